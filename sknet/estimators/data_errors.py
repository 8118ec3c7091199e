"""What is wrong with X or y, and what to do, where scikit-learn's errors do not say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time, timedelta
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp

# Columns that a message names. Of more it gives the number.
N_NAMED = 8

# What columns hold by the names that pandas and polars give to their dtypes. The first beginning
# that fits counts.
DTYPES = {
    "date": "dates",  # datetime, too
    "period": "dates",
    "timedelta": "durations",
    "duration": "durations",
    "time": "times",
}

# What to do about kinds of time.
REMEDIES = {
    "dates": "Replace dates by numbers, such as the year or the weekday.",
    "durations": "Replace durations by numbers, such as their seconds.",
    "times": "Replace times by numbers, such as the hour.",
}


@contextmanager
def explained(X: Any, y: Any = None, ending: str = "") -> Iterator[None]:
    """Add to the errors of scikit-learn's validation what to do about X or y.

    Parameters
    ----------
    X, y : object
        The data that are validated in the block.
    ending : str
        What the names of the arguments end in: "_val" for validation data.

    Raises
    ------
    ValueError
        With the explanation, if there is one. Else the error of the block is raised as it is.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        shape = _shape_explained(text, X, f"X{ending}")
        if shape:  # without the error, which may print all numbers of X
            raise ValueError(shape) from None
        explanation = _values_explained(error, X, y, ending)
        if not explanation:
            raise
        raise ValueError(explanation) from error


def _shape_explained(text: str, X: Any, name: str) -> str:
    """Return what to do about an X that is not two-dimensional, or ""."""
    if text.startswith("Found array with dim") and np.ndim(X) > 2:
        return (
            f"{text} {name} has the shape {np.shape(X)}. Give one row for each image, or whatever "
            f"a sample is: {name}.reshape(len({name}), -1)."
        )
    if text.startswith("Expected 2D array, got scalar array instead:"):
        remedy = f"{name}.collect()" if hasattr(X, "collect") else "an array or a data frame"
        return (
            f"Expected 2D array, got scalar array instead: {name} is of the type "
            f"{type(X).__name__}. Give {remedy}, with one row for each sample."
        )
    if text.startswith("Expected 2D array, got 1D array instead:"):
        return (
            f"Expected 2D array, got 1D array instead: {name} has the shape {np.shape(X)}. Reshape "
            f"your data: {name}.reshape(1, -1) if it is a single sample, {name}.reshape(-1, 1) if "
            "it has a single feature."
        )
    is_of_other_width = re.match(r"X has \d+ features, but .* is expecting (\d+) features", text)
    is_array = isinstance(X, np.ndarray)
    if is_array and is_of_other_width and X.size == int(is_of_other_width[1]):
        return (
            f"{text} If {name} of the shape {np.shape(X)} is a single sample, such as an image, "
            f"give it as one row: {name}.reshape(1, -1)."
        )
    return ""


def _values_explained(error: Exception, X: Any, y: Any, ending: str) -> str:
    """Return what to do about values that are missing or no numbers, or ""."""
    text = str(error)
    if text.startswith(("Input contains NaN", "Input y contains NaN")) or "NA is ambiguous" in text:
        missing = [is_missing(value) for value in np.asarray(y, object).flat]
        return (
            f"Input y{ending} contains NaN: {sum(missing)} of {len(missing)} values are missing. "
            "Give only the rows that have one."
        )
    if re.match("Input (X|y) contains", text):
        return text.replace(" contains", f"{ending} contains", 1) if ending else ""
    if ending and text.startswith(("X has", "The feature names")):
        return text.replace("X has", f"X{ending} has").replace("names", f"names of X{ending}", 1)
    is_unlike_number = text.startswith("could not convert string to float")
    if is_unlike_number or (isinstance(error, TypeError) and hasattr(X, "columns")):
        columns = _not_numbers(X)
        if columns:
            reason = f" ({text})" if is_unlike_number else ""
            return f"X{ending} has columns that are not numbers: {encoding_of(columns)}{reason}"
    if is_unlike_number:
        return f"y{ending} must hold numbers. For class labels use MLPClassifier. ({text})"
    return ""


def encoding_of(
    columns: Sequence[tuple[Any, str]],
    remedy: str = "Encode them, for example with OneHotEncoder in a ColumnTransformer.",
) -> str:
    """Return the names and kinds of columns, and how to make numbers of them."""
    kinds, remedies = {kind for _, kind in columns}, []
    if kinds - REMEDIES.keys():
        remedies.append(remedy)
    remedies += [text for kind, text in REMEDIES.items() if kind in kinds]
    named = enumerated([f"{name!r} ({kind})" for name, kind in columns])
    return " ".join([f"{named}.", *remedies])


def enumerated(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    others = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + others


def _not_numbers(X: Any) -> list[tuple[Any, str]]:
    """Return names and kinds of the columns whose values are not numbers.

    The columns of an array have their positions as names.
    """
    names: Sequence[Any]
    columns: Sequence[Any]
    if hasattr(X, "columns"):
        names = list(X.columns)
        columns = [X.iloc[:, i] if hasattr(X, "iloc") else X[name] for i, name in enumerate(names)]
    elif sp.issparse(X):
        return []
    else:
        try:
            table = np.asarray(X, object)
        except ValueError:  # rows of several lengths
            return []
        if table.ndim != 2:
            return []
        names, columns = range(table.shape[1]), list(table.T)
    found = zip(names, map(kind_of, columns), strict=True)
    return [(name, kind) for name, kind in found if kind]


def kind_of_dtype(dtype: Any) -> str:
    """Return what a dtype of pandas, polars or NumPy holds if it is a kind of time, or ""."""
    name = str(dtype).lower()
    return next((kind for beginning, kind in DTYPES.items() if name.startswith(beginning)), "")


def kind_of(column: Any) -> str:
    """Return what the values of a column are, or "" if they are numbers or missing."""
    kind = kind_of_dtype(column.dtype)
    if kind:
        return kind
    for value in column:
        if not is_missing(value):
            try:
                float(value)
            except (TypeError, ValueError):
                return kind_of_value(value)
    return ""


def kind_of_value(value: Any) -> str:
    """Return what a value is that is no number, in the plural."""
    for types, kind in (
        (str, "strings"),
        ((date, np.datetime64), "dates"),
        (time, "times"),
        ((timedelta, np.timedelta64), "durations"),
    ):
        if isinstance(value, types):
            return kind
    return f"objects of the type {type(value).__name__}"


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or pandas' NA or NaT."""
    is_of_pandas = type(value).__name__ in ("NAType", "NaTType")
    return value is None or is_of_pandas or (isinstance(value, Real) and value != value)
