"""The product of matrices, tile by tile: a layer forwards, backwards, and its gradient.

A role of `_jit`: kernels reach it by address, so that it is compiled once,
whatever calls it. There is no BLAS beneath: no thread pools,
and the same bits on every machine with vectors of the same width.
"""

from __future__ import annotations

import numpy as np

from sknet._simd import COLUMN_BYTES, ROWS, tile_full, tile_narrow, tile_row


def product(A: np.ndarray, B: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
    """Overwrite `out` by A B + bias.

    The last rows are computed in a full tile that overlaps the one before, so
    that rows need no masks; the last columns in vectors that are masked.

    Parameters
    ----------
    A : ndarray of shape (m, k)
        Of any strides: a transpose costs nothing.
    B : ndarray of shape (k, n)
    bias : ndarray of shape (n,)
    out : ndarray of shape (m, n)
        Must not overlap the others.
    """
    m, n = out.shape
    lanes = COLUMN_BYTES // out.itemsize
    j = 0
    while j < n:
        width = min(n - j, lanes)
        is_full = n - j >= 2 * lanes
        i = 0
        while i < m:
            if m < ROWS:
                tile_row(A, i, B, bias, out, j, width)
                i += 1
            else:
                start = min(i, m - ROWS)
                if is_full:
                    tile_full(A, start, B, bias, out, j, lanes)
                else:
                    tile_narrow(A, start, B, bias, out, j, width)
                i += ROWS
        j += 2 * lanes if is_full and m >= ROWS else width
