"""Which rows each member leaves out of its training, to choose its best epoch by them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from sknet.tabular.values import codes_of, in_order, levels_and_codes

# Rows are divided into as many parts as there are members, but not into fewer or more than these.
PARTS = (4, 8)


def left_out_rows(
    n_rows: int,
    n_members: int,
    strata: np.ndarray | None,
    groups: np.ndarray | None,
    rng: np.random.RandomState,
) -> list[np.ndarray]:
    """Return the rows that each member leaves out.

    The rows are divided into as many parts as there are members, at least 4 and at most 8, and at
    most as many as there are rows or groups. Each member leaves out another part. If there are
    more members than parts, the rows are divided anew for the next ones.

    Without groups, the parts have the same number of rows of each class, up to one. A class that
    has only one row is never left out: nobody else could learn it. With groups, all rows of a
    group are in one part, and the parts are stratified as well as groups allow if each class has
    at least one row for each part.

    Parameters
    ----------
    n_rows : int
    n_members : int
    strata : ndarray of int of shape (n_rows,) or None
        Classes by number. None does not stratify.
    groups : ndarray of shape (n_rows,) or None
    rng : RandomState
        Source of random numbers.

    Returns
    -------
    list of ndarray of int64
        Rows by member.

    Raises
    ------
    ValueError
        If no row or group can be left out.
    """
    left_out: list[np.ndarray] = []
    while len(left_out) < n_members:
        n_parts = int(np.clip(n_members, *PARTS))
        if groups is None:
            parts = _parts(n_rows, n_parts, strata, rng)
        else:
            parts = _parts_of_groups(n_rows, n_parts, strata, groups, rng)
        left_out += parts
    return left_out[:n_members]


def read_groups(groups: Any, n_rows: int) -> np.ndarray:
    """Return the group of each row by number, in the natural order of groups.

    Parameters
    ----------
    groups : array-like of shape (n_rows,)
        Numbers, strings, dates, or anything else that can be hashed.
    n_rows : int

    Returns
    -------
    ndarray of int64 of shape (n_rows,)

    Raises
    ------
    ValueError
        If there is not one group for each row.
    TypeError
        If a group cannot be hashed, such as a list.
    """
    given = np.asarray(groups, dtype=object)
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim != 1:
        raise ValueError(
            f"groups has the shape {given.shape}, but must have one entry for each of the {n_rows} "
            "samples. Give a list or a column of X, not its name."
        )
    if len(given) != n_rows:
        raise ValueError(
            f"groups has {len(given)} entries, but X has {n_rows} samples. Give the group of each."
        )
    try:
        levels, codes = levels_and_codes(given)
    except TypeError as error:
        raise TypeError(
            f"groups must hold numbers or strings ({error}). Give the group of each sample."
        ) from error
    if (codes < 0).any():
        raise ValueError(
            f"Input groups contains NaN: {(codes < 0).sum()} of {n_rows} values are missing. Give "
            "the group of each sample; one that is alone can be a group of its own."
        )
    return codes_of(levels, in_order(levels))[codes]


def _parts(
    n_rows: int, n_parts: int, strata: np.ndarray | None, rng: np.random.RandomState
) -> list[np.ndarray]:
    """Deal the rows out like cards, class by class."""
    rows = rng.permutation(n_rows)
    if strata is not None:
        rows = rows[np.bincount(strata)[strata[rows]] > 1]
        rows = rows[np.argsort(strata[rows], kind="stable")]
    n_parts = min(n_parts, rows.size)
    if n_parts < 2:
        need = "At least two are needed" if strata is None else "A class needs two rows for that"
        raise ValueError(
            f"There are too few rows: with n_samples = {n_rows}, none can be left out of training "
            f"to find the best epoch. {need}. Give more rows, or validation data as X_val and "
            "y_val. Rows with the weight 0 do not count."
        )
    return [np.sort(rows[part::n_parts]).astype(np.int64) for part in range(n_parts)]


def _parts_of_groups(
    n_rows: int,
    n_parts: int,
    strata: np.ndarray | None,
    groups: np.ndarray,
    rng: np.random.RandomState,
) -> list[np.ndarray]:
    n_groups = np.unique(groups).size
    if n_groups < 2:
        raise ValueError(
            f"groups has {n_groups} group, but at least 2 are needed, since each member is trained "
            "on some groups and finds its best epoch on others. Give groups=None, or validation "
            "data as X_val and y_val."
        )
    n_parts = min(n_parts, n_groups)
    X, seed = np.empty((n_rows, 0)), int(rng.randint(2**31 - 1))
    if strata is not None and np.bincount(strata).min() >= n_parts:
        splitter = StratifiedGroupKFold(n_parts, shuffle=True, random_state=seed)
    else:
        splitter = GroupKFold(n_parts, shuffle=True, random_state=seed)
    parts = [rows for _, rows in splitter.split(X, strata, groups)]
    return [rows.astype(np.int64) for rows in parts if 0 < rows.size < n_rows]
