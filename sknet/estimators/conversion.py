"""How X is converted to numbers that kernels take: which dtype, and how much of it at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array

from sknet._engine.memory import Unconverted, is_finite
from sknet._engine.sparse import check_sparse

# Arrays of other dtypes, byte orders and layouts are converted as a whole if that makes at most so
# many bytes, and else some rows at a time.
CONVERTED_WHOLE = 2**26


def is_single_frame(X: Any) -> bool:
    """Return whether X is a data frame whose columns make an array of float32.

    scikit-learn recognises this only in columns of pandas that have dtypes of NumPy. It would
    convert columns of polars and nullable columns of pandas to float64.
    """
    if not all(hasattr(X, name) for name in ("columns", "dtypes", "__len__")):
        return False
    kinds = {str(dtype): name for name, dtype in zip(X.columns, X.dtypes, strict=True)}
    dtypes = [np.asarray(X[name][:0]).dtype for name in kinds.values()]
    is_numeric = all(dtype.kind in "biuf" for dtype in dtypes)
    return is_numeric and np.result_type(np.bool_, *dtypes) == np.float32


def unconverted(X: Any, dtype: Any) -> Unconverted | None:
    """Return a large array as data that are converted some rows at a time, if it needs that.

    Parameters
    ----------
    X : object
    dtype : dtype or tuple of dtype
        What X may be; else it becomes the first.
    """
    is_array = type(X) in (np.ndarray, np.memmap) and X.ndim == 2 and X.dtype.kind in "biuf"
    if not is_array:
        return None
    dtypes = dtype if isinstance(dtype, tuple) else (dtype,)
    found = Unconverted(X, np.dtype(X.dtype if X.dtype in dtypes else dtypes[0]))
    is_ready = X.dtype == found.dtype and X.flags.c_contiguous and X.flags.aligned
    return None if is_ready or found.nbytes <= CONVERTED_WHOLE else found


def check_finite(estimator: Any, X: Unconverted) -> None:
    """Raise scikit-learn's ValueError if a converted number is not finite."""
    if X.source.dtype.kind == "f":
        for block in X.blocks():
            if not is_finite(block):
                check_array(block, dtype=X.dtype, estimator=estimator, input_name="X")


def checked_sparse(X: Any, dtype: Any) -> Any:
    """Return X, with another dtype if it is in compressed rows and has none of `dtype`.

    The indices are kept. SciPy would copy them, too.

    Raises
    ------
    ValueError
        If the arrays of a sparse X contradict each other. SciPy would crash on
        some of them when scikit-learn converts them.
    """
    if not sp.issparse(X):
        return X
    check_sparse(X)
    dtypes = dtype if isinstance(dtype, tuple) else (dtype,)
    if X.format != "csr" or X.ndim != 2 or X.dtype.kind not in "biuf" or X.dtype in dtypes:
        return X
    n = X.indptr[-1]
    with np.errstate(over="ignore"):  # scikit-learn finds the infinite number
        data = X.data[:n].astype(dtypes[0])
    return type(X)((data, X.indices[:n], X.indptr), shape=X.shape)
