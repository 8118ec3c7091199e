"""The functions that kernels and parts call.

In plain Python they call NumPy. For compiled code, `vector_math` implements exp,
tanh, fma and difference, and `views` implements the other functions. Numba's own
exp and tanh are slower, and its own views take several times as long to compile.

Compiled code does not check where a view ends. Plain Python does, so that it finds
what compiled code would read or write beside its arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def exp(x: Any) -> Any:
    """Return e**x."""
    return np.exp(x)


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent of x."""
    return np.tanh(x)


def fma(x: Any, y: Any, z: Any) -> Any:
    """Return x y + z. Compiled code rounds it once, plain Python after each operation."""
    return x * y + z


def difference(x: Any, y: Any) -> Any:
    """Return x - y, rounded before anything is added to it.

    Compiled code may sum in another order. a - b + c would then lose c where it
    is small beside a and b, even if a - b is exact.
    """
    return x - y


def machine_epsilon(a: np.ndarray) -> Any:
    """Return the distance from 1 to the next larger number of an array's dtype."""
    return np.finfo(a.dtype).eps


def square_limit(a: np.ndarray) -> Any:
    """Return the largest power of two whose square is finite in an array's dtype."""
    info = np.finfo(a.dtype)
    return info.dtype.type(2.0 ** ((info.maxexp - 1) // 2))


def hash32(x: int) -> int:
    """Return a pseudo-random hash of 32 bits of the lowest 32 bits of x >= 0.

    References
    ----------
    Mueller, T. (2012), in Wellons, C. (2018). Prospecting for hash functions: two
    rounds of shift, exclusive or, and multiplication by 0x45d9f3b.
    """
    x &= 0xFFFFFFFF
    x = ((x >> 16) ^ x) * 0x45D9F3B & 0xFFFFFFFF
    x = ((x >> 16) ^ x) * 0x45D9F3B & 0xFFFFFFFF
    return (x >> 16) ^ x


def flat(a: np.ndarray) -> np.ndarray:
    """Return a view of a contiguous array as a vector."""
    return a.reshape(-1)


def row(a: np.ndarray, i: int) -> np.ndarray:
    """Return a view of row i of a matrix, whose rows must be contiguous."""
    return a[i]


def vector(flat: np.ndarray, start: int, length: int) -> np.ndarray:
    """Return a view of part of a vector."""
    if not 0 <= start <= start + length <= flat.size:
        raise IndexError(f"numbers {start} to {start + length} of a vector of {flat.size}")
    return flat[start : start + length]


def matrix(flat: np.ndarray, start: int, n_rows: int, n_columns: int) -> np.ndarray:
    """Return a view of part of a vector as a contiguous matrix."""
    return vector(flat, start, n_rows * n_columns).reshape(n_rows, n_columns)
