"""Sparse matrices as users give them: whether their arrays agree with each other.

SciPy's compiled code trusts these arrays when it converts or adds up, as kernels
do. Wrong ones would make it read or write memory that belongs to something else.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np


def check_sparse(X: Any, name: str = "X") -> None:
    """Check the arrays of a sparse matrix, before anything uses them.

    Those of the other formats, DIA and DOK, SciPy checks itself.

    Parameters
    ----------
    X : sparse matrix or array
    name : str, default="X"
        What messages call it.

    Raises
    ------
    ValueError
        If the arrays contradict each other.
    """
    if X.ndim != 2:
        return
    if X.format == "coo":
        if not np.shape(X.row) == np.shape(X.col) == np.shape(X.data) == (len(X.data),):
            raise ValueError(
                f"A sparse {name} has {len(X.row)} values in {name}.row, {len(X.col)} in "
                f"{name}.col and {len(X.data)} in {name}.data. Give a row, a column and a value "
                "for each entry."
            )
        _check_indices(X.row, f"{name}.row", f"{name} has {X.shape[0]} rows", X.shape[0])
        _check_indices(X.col, f"{name}.col", f"{name} has {X.shape[1]} columns", X.shape[1])
    elif X.format == "lil":
        lengths = list(map(len, X.rows))
        if len(lengths) != X.shape[0] or lengths != list(map(len, X.data)):
            raise ValueError(
                f"{name}.rows and {name}.data of a sparse {name} of shape {X.shape} must have a "
                "list for each row, both of the same length. Give one value for each column that "
                "a row names."
            )
        columns = np.fromiter(chain.from_iterable(X.rows), np.int64)
        _check_indices(columns, f"{name}.rows", f"{name} has {X.shape[1]} columns", X.shape[1])
    elif X.format in ("csr", "csc", "bsr"):
        _check_compressed(X, name)


def _check_compressed(X: Any, name: str) -> None:
    """Check compressed rows or columns, or rows of blocks."""
    blocks = X.blocksize if X.format == "bsr" else (1, 1)
    n_rows, n_columns = (n // size for n, size in zip(X.shape, blocks, strict=True))
    anew = f"Build {name} again, for example from its coordinates with scipy.sparse.coo_array."
    n_parts, n_indices, what = n_rows, n_columns, "columns"
    if X.format == "csc":
        n_parts, n_indices, what = n_columns, n_rows, "rows"
    elif X.format == "bsr":
        what = "columns of blocks"

    indptr = X.indptr
    if (
        indptr.dtype.kind not in "iu"
        or indptr.shape != (n_parts + 1,)
        or indptr[0] != 0
        or (indptr[1:] < indptr[:-1]).any()
    ):
        raise ValueError(
            f"{name}.indptr of a sparse {name} of shape {X.shape} must have {n_parts + 1} integers "
            f"that begin with 0 and never decrease. {anew}"
        )
    if X.indices.ndim != 1 or (X.format != "bsr" and X.data.ndim != 1):
        raise ValueError(
            f"{name}.data and {name}.indices of a sparse {name} must have one dimension; got the "
            f"shapes {X.data.shape} and {X.indices.shape}. {anew}"
        )
    n = int(indptr[-1])
    if min(len(X.data), len(X.indices)) < n:
        raise ValueError(
            f"{name}.indptr of a sparse {name} ends with {n}, but {name}.data has {len(X.data)} "
            f"and {name}.indices {len(X.indices)} values. {anew}"
        )
    _check_indices(X.indices[:n], f"{name}.indices", f"{name} has {n_indices} {what}", n_indices)


def _check_indices(indices: np.ndarray, source: str, extent: str, n: int) -> None:
    """Raise ValueError unless indices are integers from 0 to n - 1."""
    if indices.dtype.kind not in "iu":
        raise ValueError(
            f"{source} has the dtype {indices.dtype}, but indices must be integers. Give them as "
            "numpy.int32 or numpy.int64."
        )
    least, greatest = (indices.min(), indices.max()) if indices.size else (0, n - 1)
    if least < 0 or greatest >= n:
        raise ValueError(
            f"{source} has values from {least} to {greatest}, but {extent}, numbered from 0. "
            "Correct the indices or the shape."
        )
