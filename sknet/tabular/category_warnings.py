"""Warnings of categories that are allowed, but that a user hardly means."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from sknet.estimators.data_errors import kind_of_value
from sknet.estimators.user_warnings import warn_user

# Encoded categories of more bytes than this are worth a warning.
LARGE_SIZE = 1e9


def warn_of_size(n_rows: int, n_levels: Mapping[Any, int]) -> None:
    """Warn if the categories take much memory once each of them is a column.

    Parameters
    ----------
    n_rows : int
    n_levels : mapping of column names to int
        Number of categories of each column that has some.
    """
    n_columns = sum(n_levels.values())
    size = np.dtype(np.float32).itemsize * n_rows * n_columns
    if size > LARGE_SIZE:
        widest = max(n_levels, key=n_levels.__getitem__)
        warn_user(
            f"X has {n_columns} different categories. Each becomes a column of what the nets take, "
            f"and these columns need about {size / 1e9:.1f} GB, times n_jobs. Column {widest!r} "
            f"has {n_levels[widest]} of the categories. Leave out columns that name single rows, "
            "such as ids, or make numbers of them, for example with "
            "sklearn.preprocessing.TargetEncoder."
        )


def warn_of_other_kinds(levels: Sequence[Hashable], known: np.ndarray, place: str) -> None:
    """Warn if new levels are of another kind than those of `fit`, such as strings for numbers.

    They are then equal to none of `fit`, even where both are printed in the same way.

    Parameters
    ----------
    levels : sequence
        Levels that occur, none of which is known.
    known : ndarray of object
        Levels seen in `fit`, at least one.
    place : str
        Which column of what, for the message.
    """
    kinds, known_kinds = (set(map(_kind_of_level, some)) for some in (levels, known))
    if kinds and kinds.isdisjoint(known_kinds):
        warn_user(
            f"{place} holds {' and '.join(sorted(kinds))}, such as {levels[0]!r}, but the "
            f"categories seen in fit are {' and '.join(sorted(known_kinds))}, such as "
            f"{known[0]!r}. All rows count as having an unknown category. Give the column the "
            "type that it had in fit, for example with astype."
        )


def _kind_of_level(level: Hashable) -> str:
    if isinstance(level, Real | np.bool_ | Decimal):
        return "numbers or booleans"
    return kind_of_value(level)
