"""oneMKL's matrix product as a function that compiled code calls, where the package `mkl` is there.

`python -m pip install mkl` has the library for x86-64; it comes with the extra `bench`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numba

# Of mkl_cblas.h: CblasRowMajor, CblasNoTrans, CblasTrans. Of mkl_service.h:
# MKL_THREADING_SEQUENTIAL.
ROW_MAJOR, NO_TRANS, TRANS = 101, 111, 112
SEQUENTIAL = 1
NAMES = {"float32": ("cblas_sgemm", ctypes.c_float), "float64": ("cblas_dgemm", ctypes.c_double)}


def load() -> ctypes.CDLL | None:
    """Return the library, held at one thread; None if the package is missing."""
    try:
        files = metadata.files("mkl") or []
    except metadata.PackageNotFoundError:
        return None
    paths = [file.locate() for file in files if file.name.startswith(("libmkl_rt.", "mkl_rt."))]
    if not paths:
        return None
    library = ctypes.CDLL(str(paths[0]))
    library.MKL_Set_Threading_Layer(SEQUENTIAL)  # before any other call
    return library


def version(library: ctypes.CDLL) -> str:
    """Return what the library says of itself, with the processor that it has kernels for."""
    text = ctypes.create_string_buffer(200)
    library.mkl_get_version_string(text, len(text))
    return text.value.decode().strip()


def repeat_onemkl(library: ctypes.CDLL, dtype: str) -> Callable[..., None]:
    """Return a compiled loop of C = A B, without Python in it.

    The loop takes the number of products, A of shape (m, k), which may be the transpose
    of an array with contiguous rows, B of shape (k, n) and C of shape (m, n).
    """
    name, real = NAMES[dtype]
    gemm = getattr(library, name)
    gemm.restype = None
    gemm.argtypes = (
        [ctypes.c_int] * 6
        + [real, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
        + [real, ctypes.c_void_p, ctypes.c_int]
    )

    @numba.njit
    def loop(times, transpose, m, n, k, A, lda, B, C):
        for _ in range(times):
            gemm(ROW_MAJOR, transpose, NO_TRANS, m, n, k, 1, A, lda, B, n, 0, C, n)

    def repeat(times: int, A: Any, B: Any, C: Any) -> None:
        (m, k), n = A.shape, B.shape[1]
        is_transposed = not A.flags.c_contiguous
        addresses = [array.ctypes.data for array in (A, B, C)]
        loop(
            times, TRANS if is_transposed else NO_TRANS, m, n, k,
            addresses[0], m if is_transposed else k, *addresses[1:],
        )  # fmt: skip

    return repeat
