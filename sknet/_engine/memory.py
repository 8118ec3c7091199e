"""Memory that kernels read and write: buffers, read-only views, data in the forms they take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from sknet._engine.sparse import check_sparse

# Parameters that one step of an optimiser updates at a time. With their slots they stay in the
# L1 cache. The number is no power of two: processors first compare the lowest 12 bits of two
# addresses, so slots 4096 bytes apart would make each load wait for the store before it.
PARAM_BLOCK = 960

# Bytes of a cache line.
LINE = 64

# Bytes of which the distance between two rows must not be a multiple. The rows of one column
# would share a few sets of the cache and evict each other.
AVOIDED_STRIDE = 512

# Of data that kernels do not take as they are, so many bytes are converted at a time.
CONVERTED_BYTES = 2**22


class CSR(NamedTuple):
    """A sparse matrix in compressed rows, checked and in the dtypes that kernels take."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_features: int

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three arrays, as kernels take them."""
        return self.data, self.indices, self.indptr


class Unconverted(NamedTuple):
    """Dense data of any dtype, byte order and layout, which become numbers of `dtype` when read.

    They may be larger than memory. What reads them therefore takes some rows at a time.
    """

    source: np.ndarray
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data."""
        return self.source.shape

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, if they were converted."""
        return self.source.size * self.dtype.itemsize

    @property
    def rows_at_a_time(self) -> int:
        """How many rows to convert at a time."""
        return max(1, CONVERTED_BYTES // max(1, self.shape[1] * self.dtype.itemsize))

    def rows(self, which: slice | np.ndarray) -> np.ndarray:
        """Return rows, converted."""
        with np.errstate(over="ignore"):  # whoever validates the data finds what is infinite
            return self.source[which].astype(self.dtype, order="C")

    def read(self, which: np.ndarray, out: np.ndarray) -> None:
        """Overwrite `out` by rows, converted. They are known to be finite."""
        out[...] = self.source[which]

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows, converted, some at a time."""
        for start in range(0, self.shape[0], self.rows_at_a_time):
            yield self.rows(slice(start, start + self.rows_at_a_time))


# Data as training and prediction take them.
Data = np.ndarray | CSR | Unconverted


def n_rows(X: Data) -> int:
    """Return the number of rows of a dense or sparse matrix."""
    return X.indptr.size - 1 if isinstance(X, CSR) else X.shape[0]


def parts_of(X: Data) -> Iterator[np.ndarray]:
    """Yield the arrays of a matrix: itself, those of a CSR matrix, or its rows some at a time."""
    if isinstance(X, Unconverted):
        yield from X.blocks()
    elif isinstance(X, CSR):
        yield from X.arrays
    else:
        yield X


def check_rows(rows: np.ndarray, n: int) -> None:
    """Raise ValueError unless rows are numbers from 0 to n - 1: kernels index data by them."""
    if rows.size and not 0 <= rows.min() <= rows.max() < n:
        raise ValueError(f"Rows must be numbers from 0 to {n - 1}.")


def as_kernel_input(X: Any) -> Any:
    """Return validated data in one of the forms that training and prediction take.

    Nothing is copied that has such a form already.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features), or Unconverted
        C-contiguous, float32 or float64, unless it is unconverted.

    Raises
    ------
    ValueError
        If the arrays of a CSR matrix contradict each other, so that kernels
        would read or write memory that belongs to something else.
    """
    if isinstance(X, Unconverted):
        return X
    if not sp.issparse(X):
        return read_only(X)
    check_sparse(X)
    n_features, n = X.shape[1], int(X.indptr[-1])
    if n_features - 1 > np.iinfo(np.int32).max:
        raise ValueError(
            f"A sparse X has {n_features} columns, more than the {2**31} that networks take. "
            "Leave out columns, or hash them into fewer."
        )
    return CSR(
        read_only(np.ascontiguousarray(X.data[:n])),
        read_only(np.ascontiguousarray(X.indices[:n], dtype=np.int32)),
        read_only(np.ascontiguousarray(X.indptr, dtype=np.int64)),
        n_features,
    )


def aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return zeros that begin at a cache line."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def padded(n_rows: int, width: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return zeros with one more cache line in each row where the stride would be unfavourable."""
    avoid = width * dtype.itemsize % AVOIDED_STRIDE == 0
    return aligned((n_rows, width + (LINE // dtype.itemsize if avoid else 0)), dtype)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view, so that kernels see one type whatever users pass in."""
    view = array.view(np.ndarray)  # of a memory map, too
    view.flags.writeable = False
    return view


def is_finite(array: np.ndarray) -> bool:
    """Return whether all numbers are finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum of finite float32 may overflow, but takes a fraction of the time. NaN is the least
        # and the greatest of all numbers it is among. Nothing of the size of the array is made.
        return math.isfinite(np.add.reduce(array, axis=None)) or bool(
            np.isfinite(array.min()) and np.isfinite(array.max())
        )


class LayerBuffers:
    """One matrix for each layer, with row strides that suit the cache.

    Parameters
    ----------
    n_rows : int
        Rows of each matrix.
    widths : sequence of int
        Columns of each matrix.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, n_rows: int, widths: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.widths = widths
        self._padded = [padded(n_rows, width, dtype) for width in widths[:-1]]
        self._padded.append(aligned((n_rows, widths[-1]), dtype))  # losses need it contiguous

    def matrix(self, l: int, rows: slice) -> np.ndarray:
        """Return some rows of the matrix of layer l."""
        return self._padded[l][rows, : self.widths[l]]

    def flat(self, l: int, rows: slice) -> np.ndarray:
        """Return these rows as one vector, padding included."""
        return self._padded[l][rows].reshape(-1)


def slots_by_parameter(slots: np.ndarray, n_slots: int) -> np.ndarray:
    """Return an optimiser's slots as a table with a row for each slot.

    Parameters
    ----------
    slots : ndarray of shape (n_slots * n_parameters,)
        Slots as kernels store them: a block holds all slots of `PARAM_BLOCK` parameters.
    n_slots : int
        At least 1.

    Returns
    -------
    ndarray of shape (n_slots, n_parameters)
        A copy.
    """
    blocks = np.split(slots, range(PARAM_BLOCK * n_slots, slots.size, PARAM_BLOCK * n_slots))
    return np.hstack([block.reshape(n_slots, -1) for block in blocks])


def slots_in_blocks(table: np.ndarray) -> np.ndarray:
    """Return a table with a row for each slot as kernels store it, which undoes the above."""
    blocks = np.split(table, range(PARAM_BLOCK, table.shape[1], PARAM_BLOCK), axis=1)
    return np.concatenate([block.ravel() for block in blocks])
