"""X of any kind as a table: an array of numbers beside an array of categories."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, _check_n_features

from sknet.estimators.data import checked_sparse
from sknet.estimators.data_errors import N_NAMED, encoding_of, enumerated, explained, kind_of
from sknet.tabular.category_warnings import warn_of_other_kinds, warn_of_size
from sknet.tabular.values import (
    as_numbers,
    codes_of,
    holds_categories,
    in_order,
    levels_and_codes,
)

MISSING = -1
UNSEEN = -2


@dataclass(frozen=True)
class Table:
    """Rows of numbers and of categories.

    Attributes
    ----------
    numbers : ndarray or CSR matrix of shape (n_rows, n_numbers), dtype=float64
        Finite numbers, and NaN where a value is missing.
    categories : ndarray of shape (n_rows, n_categorical), dtype=int32
        Positions in the levels of each categorical column. `MISSING` (-1) stands for a missing
        value, `UNSEEN` (-2) for one that is not among the levels.
    """

    numbers: Any
    categories: np.ndarray

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.categories.shape[0]

    def rows(self, indices: np.ndarray | slice) -> Table:
        """Return some of the rows: a view for a slice of arrays, else a copy."""
        return Table(self.numbers[indices], self.categories[indices])


class Columns:
    """What the columns of X are: which hold numbers, which categories, and which levels those have.

    Made by :meth:`fit`. It then reads X, and any later data with the same columns, as a
    :class:`Table`.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns. Set only if X has names that are strings.
    is_categorical_ : ndarray of shape (n_features_in_,), dtype=bool
        Which columns hold categories. The others hold numbers.
    categories_ : list of ndarray
        The sorted levels of each categorical column that occur in X, without missing values.
    is_sparse_ : bool
        Whether X is sparse. Then the numbers of every table are a CSR matrix.

    Examples
    --------
    >>> import pandas as pd
    >>> from sknet.tabular.columns import Columns
    >>> X = pd.DataFrame({"rooms": [2, None, 4], "town": ["Ulm", "Bonn", None]})
    >>> columns = Columns.fit(X)
    >>> columns.is_categorical_
    array([False,  True])
    >>> columns.categories_
    [array(['Bonn', 'Ulm'], dtype=object)]
    >>> table = columns.read(X)
    >>> table.numbers
    array([[ 2.],
           [nan],
           [ 4.]])
    >>> table.categories
    array([[ 1],
           [ 0],
           [-1]], dtype=int32)
    """

    n_features_in_: int
    feature_names_in_: np.ndarray
    is_categorical_: np.ndarray
    categories_: list[np.ndarray]
    is_sparse_: bool

    @classmethod
    def fit(
        cls, X: Any, categorical_features: Any = "from_dtype", estimator: Any = None
    ) -> Columns:
        """Find out what the columns of X are.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Data frames may be those of pandas or polars, neither of which is imported here.
        categorical_features : 'from_dtype', array-like of bool, int or str, or None
            Which columns hold categories.

            - 'from_dtype': in data frames the columns of categories, strings, booleans, and of
              Python objects that are neither all numbers nor all times. In arrays there are none.
            - A boolean for each column, positions of columns, or their names.
            - None: there are none.
        estimator : object, optional
            It gets the attributes `n_features_in_` and `feature_names_in_`, and errors name it.

        Returns
        -------
        Columns

        Raises
        ------
        TypeError
            If only some names of columns are strings, or if a categorical column has values that
            cannot be hashed, such as lists.
        ValueError
            If X does not have two dimensions, has no row or no column, or is complex. Also if
            `categorical_features` has none of the forms above, or does not agree with X.

        Warns
        -----
        UserWarning
            If there are so many categories that their columns would take gigabytes.
        """
        columns = cls()
        given = _as_given(X, estimator)
        for owner in (columns,) if estimator is None else (columns, estimator):
            _check_feature_names(owner, X, reset=True)
            _check_n_features(owner, given, reset=True)
        columns.is_sparse_ = sp.issparse(given)
        columns.is_categorical_ = _is_categorical(given, categorical_features)
        columns.categories_ = []
        for j in np.flatnonzero(columns.is_categorical_).tolist():
            levels, codes = _levels_and_codes(given, j, "X")
            occurring = np.unique(codes[codes >= 0]).tolist()
            columns.categories_.append(in_order(levels[code] for code in occurring))
        names = [_name(given, j) for j in np.flatnonzero(columns.is_categorical_).tolist()]
        warn_of_size(given.shape[0], dict(zip(names, map(len, columns.categories_), strict=True)))
        return columns

    def read(self, X: Any, estimator: Any = None, ending: str = "") -> Table:
        """Return X as a table.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Data with the columns of those given to :meth:`fit`. Its arrays are not modified, but
            the table may share their memory.
        estimator : object, optional
            Errors name it. By default they name the class `Columns`.
        ending : str, default=""
            What the name of X ends in, for errors: "_val" for validation data.

        Returns
        -------
        Table

        Raises
        ------
        TypeError or ValueError
            If X has other columns, or numbers that are infinite or that cannot be read. The
            message names the column and says what to do.

        Warns
        -----
        UserWarning
            If the categories of a column are of another kind than those of `fit`, such as strings
            instead of numbers.
        """
        given, name = _as_given(X, estimator, ending), f"X{ending}"
        owner = self if estimator is None else estimator
        with explained(X, ending=ending):
            _check_feature_names(owner, X, reset=False)
            _check_n_features(owner, given, reset=False)
        if sp.issparse(given) and not self.is_sparse_:
            given = given.toarray()
        positions = np.flatnonzero(~self.is_categorical_).tolist()
        numbers = given if sp.issparse(given) else _numbers(given, positions, name)
        _check_finite(numbers, given, positions, name)
        return Table(
            sp.csr_matrix(numbers) if self.is_sparse_ else numbers,
            self._codes(given, name),
        )

    def _codes(self, given: Any, name: str) -> np.ndarray:
        """Return the categories of X as positions in their levels."""
        codes = np.empty((given.shape[0], len(self.categories_)), dtype=np.int32)
        positions = np.flatnonzero(self.is_categorical_).tolist()
        for column, (j, known) in enumerate(zip(positions, self.categories_, strict=True)):
            levels, own_codes = _levels_and_codes(given, j, name)
            known_codes = codes_of(levels, known)
            known_codes[known_codes < 0] = UNSEEN
            # Position -1 is the last one, which is that of missing values.
            codes[:, column] = np.append(known_codes, MISSING)[own_codes]
            if known.size and not (codes[:, column] >= 0).any():
                occurring = [levels[code] for code in np.unique(own_codes[own_codes >= 0])]
                warn_of_other_kinds(occurring, known, f"Column {_name(given, j)!r} of {name}")
        return codes


def _is_categorical(given: Any, categorical_features: Any) -> np.ndarray:
    """Return which columns hold categories, as a mask.

    Raises
    ------
    ValueError
        As :meth:`Columns.fit`.
    """
    n_columns = given.shape[1]
    if isinstance(categorical_features, str) and categorical_features == "from_dtype":
        if not _is_frame(given):
            return np.zeros(n_columns, dtype=bool)
        return np.array([holds_categories(_column(given, j)) for j in range(n_columns)])
    chosen = _chosen(given, [] if categorical_features is None else categorical_features)
    if chosen.any() and sp.issparse(given):
        raise ValueError(
            f"categorical_features={categorical_features!r} needs a dense X, but X is sparse. A "
            "sparse X holds numbers only. Encode its categories before, for example with "
            "OneHotEncoder, or give X.toarray()."
        )
    return chosen


def _chosen(given: Any, categorical_features: Any) -> np.ndarray:
    """Return a list of names, a list of positions or a mask as a mask."""
    n_columns = given.shape[1]
    listed = np.asarray(categorical_features)
    if listed.dtype.kind in "UOT":  # strings, each of them whole
        listed = np.asarray(categorical_features, dtype=object)
    shown = f"categorical_features={categorical_features!r}"
    is_names = listed.dtype == object and all(isinstance(name, str) for name in listed.flat)
    if listed.ndim != 1 or not (listed.size == 0 or listed.dtype.kind in "biu" or is_names):
        raise ValueError(
            f"{shown} must be 'from_dtype', None, or a list: of one boolean for each column, of "
            "positions, or of names of columns."
        )
    if listed.dtype.kind == "b":
        if listed.size != n_columns:
            raise ValueError(
                f"{shown} has {listed.size} booleans, but X has {n_columns} columns. Give one "
                "boolean for each column."
            )
        return listed.copy()
    if is_names and listed.size:
        names = list(given.columns) if _is_frame(given) else []
        if not names:
            raise ValueError(
                f"{shown} names columns, but X has no names. Give positions or a mask instead, or "
                "X as a data frame."
            )
        unknown = [name for name in listed if name not in names]
        if unknown:
            raise ValueError(
                f"{shown} has names that are not columns of X: "
                f"{enumerated([repr(name) for name in unknown])}. X has the columns "
                f"{enumerated([repr(name) for name in names])}."
            )
        return np.isin(np.array(names, dtype=object), listed)
    positions = listed.astype(np.int64)
    outside = positions[(positions < 0) | (positions >= n_columns)]
    if outside.size:
        raise ValueError(
            f"{shown} has positions outside of X: {outside.tolist()}. X has {n_columns} columns, "
            f"so positions go from 0 to {n_columns - 1}."
        )
    chosen = np.zeros(n_columns, dtype=bool)
    chosen[positions] = True
    return chosen


def _as_given(X: Any, estimator: Any, ending: str = "") -> Any:
    """Return a data frame as it is, and any other X as an array or CSR matrix, not yet of numbers.

    Raises
    ------
    ValueError
        If X does not have two dimensions, has no row or no column, or is complex.
    """
    if isinstance(X, np.ma.MaskedArray):  # what is masked is missing
        missing: Any = np.nan if X.dtype.kind in "biuf" else None
        X = np.where(np.ma.getmaskarray(X), missing, X.data)
    given = checked_sparse(X, np.float64)
    if _is_frame(X):
        to_check: Any = np.broadcast_to(0.0, X.shape)  # it has a shape, but takes no memory
    elif sp.issparse(given) or hasattr(X, "__array__"):
        to_check = given
    else:
        to_check = _array_of(X)
    with explained(X, ending=ending):
        checked = check_array(
            to_check,
            accept_sparse="csr",
            dtype=np.float64 if sp.issparse(given) else None,
            ensure_all_finite=False,
            estimator=estimator,
            input_name=f"X{ending}",
        )
    if _is_frame(X):
        return X
    if sp.issparse(checked) and not checked.has_canonical_format:
        checked = checked.copy()
        checked.sum_duplicates()
    return checked


def _is_frame(X: Any) -> bool:
    """Return whether X is a data frame of pandas or polars, or like one of them."""
    return all(hasattr(X, name) for name in ("shape", "dtypes", "columns"))


def _array_of(rows: Any) -> Any:
    """Return nested lists as an array. NumPy would turn numbers beside strings into strings."""
    try:
        array = np.asarray(rows)
    except ValueError:  # of several lengths: scikit-learn says so
        return rows
    return array if array.dtype.kind in "biufc" else np.asarray(rows, dtype=object)


def _column(given: Any, j: int) -> Any:
    """Return a column of a data frame or of an array."""
    if hasattr(given, "iloc"):
        return given.iloc[:, j]
    return given.to_series(j) if hasattr(given, "to_series") else given[:, j]


def _name(given: Any, j: int) -> Any:
    """Return the name of a column, which is its position in data without names."""
    return given.columns[j] if _is_frame(given) else int(j)


def _numbers(given: Any, positions: list[int], name: str) -> np.ndarray:
    """Return columns of a data frame or array as float64, and missing values as NaN.

    Raises
    ------
    TypeError or ValueError
        If they are not numbers.
    """
    with np.errstate(over="ignore"):  # the infinite number is found later
        if not _is_frame(given) and given.dtype.kind in "biuf":
            is_all = len(positions) == given.shape[1]
            columns = given if is_all else given[:, positions]
            return columns.astype(np.float64, copy=False)
        numbers = np.empty((given.shape[0], len(positions)))
        try:
            for column, j in enumerate(positions):
                numbers[:, column] = as_numbers(_column(given, j))
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(_not_numbers(given, positions[column:], name, error)) from error
    return numbers


def _not_numbers(given: Any, positions: list[int], name: str, error: Exception) -> str:
    """Return which columns are not numbers, and what to do."""
    kinds = ((_name(given, j), kind_of(_column(given, j))) for j in positions)
    columns = [(column, kind) for column, kind in kinds if kind]
    words = [column for column, kind in columns if kind == "strings"]
    remedy = "Give a number in each row, or NaN where it is missing."
    if words:
        remedy = (
            "If they hold categories, list them in categorical_features, for example "
            f"categorical_features={words[:N_NAMED]!r}."
        )
    reason = f" ({error})" if "float" in str(error) else ""  # Python's own message
    return f"{name} has columns that are not numbers: {encoding_of(columns, remedy)}{reason}"


def _levels_and_codes(given: Any, j: int, name: str) -> tuple[list[Hashable], np.ndarray]:
    """Return the levels of a column, and which of them each row has.

    Raises
    ------
    TypeError
        If its values cannot be hashed.
    """
    try:
        return levels_and_codes(_column(given, j))
    except TypeError as error:
        raise TypeError(
            f"Column {_name(given, j)!r} of {name} cannot be read as categories ({error}). Give "
            "a string, a number or a boolean in each row, or leave the column out."
        ) from error


def _check_finite(numbers: Any, given: Any, positions: list[int], name: str) -> None:
    """Raise an error if numbers, which may be a CSR matrix, are infinite."""
    is_infinite = np.isinf(numbers.data if sp.issparse(numbers) else numbers)
    if not is_infinite.any():
        return
    found = numbers.indices[is_infinite] if sp.issparse(numbers) else is_infinite.nonzero()[1]
    columns = enumerated([repr(_name(given, positions[column])) for column in np.unique(found)])
    raise ValueError(
        f"Input {name} contains infinity or a value too large for dtype('float64'). It is in these "
        f"columns: {columns}. Give finite numbers, or NaN where the value is missing."
    )
