"""The values of one column, as numbers or as categories.

A column is a Series of pandas or polars, or a one-dimensional array. Neither library is imported
here: what a column is shows in the names of its methods and its dtype.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import repeat
from numbers import Real
from typing import Any

import numpy as np

from sknet.estimators.data_errors import is_missing, kind_of_dtype

# Names of the dtypes that hold categories, in pandas, polars and Arrow.
CATEGORICAL_DTYPE = re.compile(
    r"(category|categorical|enum|str|string|large_string|dictionary|bool|boolean)\b"
)

# Dates, times and durations: no numbers, and no categories unless the user says so.
TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)


def holds_categories(column: Any) -> bool:
    """Return whether the column of a data frame holds categories, going by its dtype.

    Categories are what pandas calls category, string or bool, and polars Categorical, Enum,
    String or Boolean. A column of Python objects holds categories unless each of them is a number
    or missing, or each is a date, a time or a duration, or missing.
    """
    name = str(column.dtype).lower()
    if name != "object":
        return CATEGORICAL_DTYPE.match(name) is not None
    try:
        levels = levels_and_codes(column)[0]
    except TypeError:  # such as lists, which are no numbers, either
        return True
    are_numbers = all(
        isinstance(level, Real | Decimal) and not isinstance(level, bool | np.bool_)
        for level in levels
    )
    are_times = all(isinstance(level, TIMES) for level in levels)
    return not (levels and (are_numbers or are_times))


def as_numbers(column: Any) -> np.ndarray:
    """Return the values of a column as float64. Missing values are NaN.

    Raises
    ------
    TypeError or ValueError
        If a value is not a number.
    """
    kind = kind_of_dtype(column.dtype)
    if kind:
        raise ValueError(f"{kind} are not numbers")
    if str(column.dtype).startswith("complex"):
        raise ValueError("complex numbers are not supported")
    if hasattr(column, "iloc"):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if hasattr(column, "to_list"):
        if column.dtype.is_numeric():
            return column.cast(float).to_numpy()
        column = np.array(column.to_list(), dtype=object)
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        # NumPy reads None as NaN, but does not know pandas' NA and NaT.
        values = [np.nan if is_missing(value) else value for value in column]
        return np.array(values, dtype=object).astype(np.float64)


def levels_and_codes(column: Any) -> tuple[list[Hashable], np.ndarray]:
    """Return the different values of a column, and for each row which of them it has.

    Returns
    -------
    levels : list
        The different values, without missing ones. Some of them may have no row.
    codes : ndarray of shape (n_rows,), dtype=int
        Positions in `levels`, or -1 where the value is missing.

    Raises
    ------
    TypeError
        If a value cannot be hashed, such as a list.
    """
    if hasattr(column, "iloc"):
        as_category = column.astype("category").cat
        return as_category.categories.tolist(), as_category.codes.to_numpy()
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        values, codes = np.unique(column, return_inverse=True)
        if values.size and np.isnan(values[-1]):
            values = values[:-1]
            codes[codes == values.size] = -1
        return values.tolist(), codes
    values = column.to_list() if hasattr(column, "to_list") else column.tolist()
    levels = [value for value in dict.fromkeys(values) if not is_missing(value)]
    return levels, codes_of(values, levels)


def codes_of(values: Iterable[Hashable], levels: Iterable[Hashable]) -> np.ndarray:
    """Return the position of each value in `levels`, or -1 where it is not one of them."""
    positions = {level: code for code, level in enumerate(levels)}
    return np.fromiter(map(positions.get, values, repeat(-1)), dtype=np.int64)


def in_order(levels: Iterable[Any]) -> np.ndarray:
    """Return levels in their natural order, or in that of their types and texts, as objects."""
    levels = list(levels)
    try:
        levels = sorted(levels)
    except TypeError:  # such as strings beside numbers
        levels = sorted(levels, key=lambda level: (type(level).__name__, str(level)))
    ordered = np.empty(len(levels), dtype=object)
    ordered[:] = levels
    return ordered
