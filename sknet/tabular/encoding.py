"""A table as the inputs of one net: numbers that are brought to scale, and categories as columns.

Everything is measured on the rows that the net learns from, and on no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from scipy.special import ndtri
from sklearn.preprocessing import MaxAbsScaler, QuantileTransformer

from sknet.tabular.columns import UNSEEN, Table

# Numbers that are brought to scale stay between -LIMIT and LIMIT, however far a new one is out.
LIMIT = 3.0

# Larger numbers count as this one, so that differences of two do not overflow.
LARGEST = 1e300

# Elements of a block of rows that are encoded together: few enough for the cache.
BLOCK = 2**17


class Encoder:
    r"""Encodes tables for one net.

    The columns come out in this order: numbers, indicators of missing numbers, categories. Columns
    that are constant in the rows that :meth:`fit` was given are left out, since a net learns
    nothing from them. If nothing else is left, there is one column of zeros.

    **Numbers.** A missing number counts as the median of its column. If some are missing in `fit`,
    a further column is 1 where the number is missing, and else 0.

    **Categories.** Each level that occurs in `fit` has a column, which is 1 in the rows that have
    it, and else 0. A missing value is a level of its own. If there are two levels, one column is -1
    for the first and 1 for the second. A level that does not occur in `fit` gives zeros.

    **Sparse numbers** are divided by the largest absolute value of their column and stay sparse,
    whatever `numbers` says. New ones stop at -3 and 3. A missing number counts as zero, and no
    columns are left out or added.

    Parameters
    ----------
    numbers : {'robust', 'quantile', 'piecewise'}, default='robust'
        How numbers are encoded.

        - 'robust': first :math:`z = (x - \text{median}) / (q_{75} - q_{25})`, then
          :math:`z / \sqrt{1 + (z / 3)^2}`, which is between -3 and 3. Where the quartiles are
          equal, half the range takes the place of their difference. The same formula as in
          Holzmüller, Grinsztajn and Steinwart 2024, arXiv:2407.04491.
        - 'quantile': the number of the standard normal distribution with the same quantile, clipped
          at -3 and 3. The quantiles are those of
          :class:`sklearn.preprocessing.QuantileTransformer`.
        - 'piecewise': the piecewise-linear encoding of Gorishniy, Rubachev and Babenko 2022,
          arXiv:2203.05556, with quantiles as bins. A column of it goes from 0 to 1 as x goes
          through its bin. As in the paper, the first and last bin go on to both sides. Here they
          stop at -3 and 3.
    n_bins : int, default=12
        Largest number of bins of 'piecewise'. There are fewer where quantiles are equal.

    Attributes
    ----------
    n_features_out : int
        Number of columns that come out.

    Examples
    --------
    >>> import numpy as np
    >>> from sknet.tabular.columns import Columns
    >>> from sknet.tabular.encoding import Encoder
    >>> X = np.array([[1.0, 0], [2, 1], [4, 2], [np.nan, 2]])
    >>> table = Columns.fit(X, categorical_features=[1]).read(X)
    >>> Encoder().fit(table).transform(table).round(2)
    array([[-0.65,  0.  ,  1.  ,  0.  ,  0.  ],
           [ 0.  ,  0.  ,  0.  ,  1.  ,  0.  ],
           [ 1.22,  0.  ,  0.  ,  0.  ,  1.  ],
           [ 0.  ,  1.  ,  0.  ,  0.  ,  1.  ]], dtype=float32)
    """

    n_features_out: int

    def __init__(self, numbers: str = "robust", n_bins: int = 12) -> None:
        self.numbers = numbers
        self.n_bins = n_bins

    def fit(self, table: Table) -> Encoder:
        """Measure the columns of a table.

        Parameters
        ----------
        table : Table
            The rows that the net learns from, at least one.

        Returns
        -------
        Encoder
            Itself.

        Raises
        ------
        ValueError
            If `numbers` is not one of the names above.
        """
        if self.numbers not in SCALINGS:
            raise ValueError(f"numbers={self.numbers!r} must be one of {sorted(SCALINGS)}.")
        self._sparse = _SparseNumbers(table.numbers) if sp.issparse(table.numbers) else None
        if self._sparse is not None:
            self.n_features_out = table.numbers.shape[1]
            return self
        self._numbers = _Numbers(table.numbers, SCALINGS[self.numbers], self.n_bins)
        self._categories = _Categories(table.categories)
        self.n_features_out = max(1, self._numbers.n_out + self._categories.n_out)
        return self

    def transform(self, table: Table, dtype: Any = np.float32) -> Any:
        """Return rows as the inputs of a net.

        Parameters
        ----------
        table : Table
            Rows that were read by the same :class:`~sknet.tabular.columns.Columns`.
        dtype : dtype, default=float32

        Returns
        -------
        ndarray or CSR matrix of shape (n_rows, n_features_out)
            Finite numbers.
        """
        if self._sparse is not None:
            return self._sparse.scaled(table.numbers, dtype)
        out = np.zeros((table.n_rows, self.n_features_out), dtype=dtype)
        size = max(1, BLOCK // self.n_features_out)
        for start in range(0, table.n_rows, size):
            block = slice(start, start + size)
            rows, end = table.rows(block), self._numbers.n_out
            self._numbers.write(rows, out[block, :end])
            self._categories.write(rows, out[block, end:])
        return out


class _Numbers:
    """Numbers that are brought to scale, and indicators of those that are missing.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_numbers)
    scaling : type
        What scales the columns that are not constant.
    n_bins : int
        What it takes beside them.
    """

    def __init__(self, X: np.ndarray, scaling: type[_Scaling], n_bins: int) -> None:
        X = _limited(X)
        # fmin and fmax pass over NaN. Of columns without any number they return it.
        self.kept = np.flatnonzero(np.fmin.reduce(X) < np.fmax.reduce(X))
        missing = np.isnan(X)
        self.flagged = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
        X = X[:, self.kept]
        quartiles = _quantiles(X, [0.25, 0.5, 0.75])
        self.medians = quartiles[1]
        self.scaling = scaling(X, quartiles, n_bins)
        self.n_out = self.scaling.n_out + self.flagged.size

    def write(self, table: Table, out: np.ndarray) -> None:
        """Write rows into an array of zeros."""
        X = _limited(table.numbers[:, self.kept])
        n = self.scaling.n_out
        out[:, :n] = self.scaling.scaled(np.where(np.isnan(X), self.medians, X))
        out[:, n:] = np.isnan(table.numbers[:, self.flagged])


def _limited(X: np.ndarray) -> np.ndarray:
    """Return numbers of which the difference of any two is finite."""
    return np.clip(X, -LARGEST, LARGEST)


def _quantiles(X: np.ndarray, levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return quantiles of each column that is not all NaN, shape (n_levels, n_columns)."""
    if not X.shape[1]:  # NumPy would lose the levels
        return np.empty((len(levels), 0))
    return np.nanquantile(X, levels, axis=0)


class _Scaling(Protocol):
    """Brings numbers to scale, and knows how many columns come out.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_numbers)
        Columns that are not constant. Missing numbers are NaN.
    quartiles : ndarray of shape (3, n_numbers)
        The quantiles of the levels 0.25, 0.5 and 0.75.
    n_bins : int
        Largest number of bins. Only `_Piecewise` has bins.
    """

    n_out: int

    def __init__(self, X: np.ndarray, quartiles: np.ndarray, n_bins: int) -> None: ...

    def scaled(self, X: np.ndarray) -> np.ndarray:
        """Return numbers, none of them NaN, as (n_rows, n_out) numbers of moderate size."""


class _Robust:
    """Median to 0, the distance of the quartiles to 1, and outliers drawn in."""

    def __init__(self, X: np.ndarray, quartiles: np.ndarray, n_bins: int) -> None:
        low, self.medians, high = quartiles
        half_range = (np.nanmax(X, axis=0) - np.nanmin(X, axis=0)) / 2
        scales = np.where(high > low, high - low, half_range)
        self.scales = np.maximum(scales, np.finfo(np.float64).tiny)  # half the least one is 0
        self.n_out = X.shape[1]

    def scaled(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            z = (X - self.medians) / self.scales
        # 1e9 is as good as infinity here, and its square is finite.
        z = np.clip(z, -1e9, 1e9)
        return z / np.sqrt(1 + (z / LIMIT) ** 2)


class _Quantile:
    """The number of the standard normal distribution with the same quantile.

    scikit-learn finds the quantiles. Reading them off here takes a fraction of the time that its
    `transform` takes, and also tells numbers apart that differ by less than 1e-7.
    """

    def __init__(self, X: np.ndarray, quartiles: np.ndarray, n_bins: int) -> None:
        transformer = QuantileTransformer(n_quantiles=min(1000, len(X)), subsample=None)
        self.n_out = X.shape[1]
        if self.n_out:
            transformer.fit(X)
            self.levels = transformer.references_
            self.quantiles = np.ascontiguousarray(transformer.quantiles_.T)

    def scaled(self, X: np.ndarray) -> np.ndarray:
        z = np.empty_like(X)
        for j in range(self.n_out):
            z[:, j] = self._level(X[:, j], self.quantiles[j])
        return np.clip(ndtri(z), -LIMIT, LIMIT)

    def _level(self, x: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
        """Return the levels of numbers. Where several quantiles are equal, it is the middle one."""
        level = np.interp(x, quantiles, self.levels)
        if (quantiles[1:] == quantiles[:-1]).any():
            level = (level - np.interp(-x, -quantiles[::-1], -self.levels[::-1])) / 2
        level[x <= quantiles[0]] = 0
        level[x >= quantiles[-1]] = 1
        return level


class _Piecewise:
    """The position of a number in each of the bins between quantiles."""

    def __init__(self, X: np.ndarray, quartiles: np.ndarray, n_bins: int) -> None:
        quantiles = _quantiles(X, np.linspace(0, 1, n_bins + 1))
        edges = [np.unique(column) for column in quantiles.T]
        sizes = np.array([column.size - 1 for column in edges], dtype=np.int64)
        self.n_out = int(sizes.sum())
        # For each bin: its column of X, left edge and width, and where the encoding stops.
        self.sources = np.repeat(np.arange(X.shape[1], dtype=np.int64), sizes)
        self.lefts = np.concatenate([[], *(column[:-1] for column in edges)])
        self.widths = np.concatenate([[], *map(np.diff, edges)])
        self.lowest, self.highest = np.zeros(self.n_out), np.ones(self.n_out)
        ends = np.cumsum(sizes)
        self.lowest[ends - sizes] = -LIMIT
        self.highest[ends - 1] = LIMIT

    def scaled(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            z = (X[:, self.sources] - self.lefts) / self.widths
        return np.clip(z, self.lowest, self.highest)


SCALINGS: dict[str, type[_Scaling]] = {
    "robust": _Robust,
    "quantile": _Quantile,
    "piecewise": _Piecewise,
}


class _Categories:
    """A column for each level, or one of -1 and 1 for two levels.

    Parameters
    ----------
    codes : ndarray of shape (n_rows, n_categorical)
    """

    def __init__(self, codes: np.ndarray) -> None:
        self.levels: dict[int, np.ndarray] = {}
        for column in range(codes.shape[1]):
            levels = np.unique(codes[:, column])
            levels = levels[levels != UNSEEN]
            if levels.size > 1:
                self.levels[column] = levels
        self.n_out = sum(map(_n_columns, self.levels.values()))

    def write(self, table: Table, out: np.ndarray) -> None:
        """Write rows into an array of zeros."""
        first = 0
        for column, levels in self.levels.items():
            has_level = table.categories[:, column, np.newaxis] == levels
            if levels.size == 2:
                out[:, first] = has_level @ [-1, 1]
            else:
                out[:, first : first + levels.size] = has_level
            first += _n_columns(levels)


def _n_columns(levels: np.ndarray) -> int:
    return 1 if levels.size == 2 else levels.size


class _SparseNumbers:
    """Sparse numbers, divided by the largest absolute value of their column.

    Parameters
    ----------
    X : CSR matrix of shape (n_rows, n_numbers)
    """

    def __init__(self, X: Any) -> None:
        self.scales = MaxAbsScaler().fit(X).scale_

    def scaled(self, X: Any, dtype: Any) -> Any:
        """Return X with other values in the same places."""
        with np.errstate(over="ignore"):
            data = X.data / self.scales[X.indices]
        data[np.isnan(data)] = 0
        data = np.clip(data, -LIMIT, LIMIT)
        return sp.csr_matrix((data.astype(dtype), X.indices, X.indptr), shape=X.shape)
