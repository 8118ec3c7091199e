"""The product of matrices, tile by tile: a layer forwards, backwards, and its gradient.

There is no BLAS beneath: no thread pools, and the same bits on every machine
with vectors of the same width.
"""

from __future__ import annotations

import numpy as np

from sknet._engine.functions import matrix, vector
from sknet._engine.simd import (
    COLUMN_BYTES,
    ROWS,
    pack_columns,
    pack_rows,
    tile_full,
    tile_narrow,
    tile_row,
    tile_wide,
)

# Depth is taken in blocks, so that a panel of B, two vectors wide, stays in the L1
# cache for all rows of A.
BLOCK = 128

# From so many rows on, panels are copied before they are used for each tile of rows:
# the copy is contiguous, and cannot collide with itself in the cache as rows a power
# of two apart do.
PACK_FROM = 4 * ROWS


def product(
    A: np.ndarray, B: np.ndarray, bias: np.ndarray, scratch: np.ndarray, out: np.ndarray
) -> None:
    """Overwrite `out` by A B + bias.

    The last rows are computed in a full tile that overlaps the one before, so
    that rows need no masks; the last columns in vectors that are masked.

    Parameters
    ----------
    A : ndarray of shape (m, k)
        Of any strides: a transpose costs nothing.
    B : ndarray of shape (k, n)
        With contiguous rows or contiguous columns.
    bias : ndarray of shape (n,)
    scratch : ndarray of shape (scratch_size(m, itemsize),)
        Overwritten.
    out : ndarray of shape (m, n)
        Must not overlap the others.
    """
    m, n = out.shape
    lanes = COLUMN_BYTES // out.itemsize
    panel = matrix(scratch, 0, BLOCK + lanes, 2 * lanes)
    sums = vector(scratch, panel.size, scratch.size - panel.size)
    transposed = B.strides[1] != B.itemsize
    is_packed = transposed or m >= PACK_FROM
    j = 0
    while j < n:
        width = min(n - j, 2 * lanes if m >= ROWS else lanes)
        for k in range(0, B.shape[0], BLOCK):
            depth = min(BLOCK, B.shape[0] - k)
            is_first, is_last = k == 0, k + depth == B.shape[0]
            source, row, column = B, k, j
            if is_packed:
                if transposed:
                    pack_columns(B, k, depth, j, width, panel)
                else:
                    pack_rows(B, k, depth, j, width, panel)
                source, row, column = panel, 0, 0
            if m < ROWS:
                for i in range(m):
                    tile_row(
                        A, i, k, depth, source, row, column, bias, sums, i, out, j, width,
                        is_first, is_last,
                    )  # fmt: skip
            else:
                for t in range((m + ROWS - 1) // ROWS):
                    i = min(t * ROWS, m - ROWS)
                    if width == 2 * lanes:
                        tile_full(
                            A, i, k, depth, source, row, column, bias, sums, t, out, j, lanes,
                            is_first, is_last,
                        )  # fmt: skip
                    elif width > lanes:
                        tile_wide(
                            A, i, k, depth, source, row, column, bias, sums, t, out, j,
                            width - lanes, is_first, is_last,
                        )  # fmt: skip
                    else:
                        tile_narrow(
                            A, i, k, depth, source, row, column, bias, sums, t, out, j, width,
                            is_first, is_last,
                        )  # fmt: skip
        j += width


def scratch_size(m: int, itemsize: int) -> int:
    """Return how many numbers `product` may overwrite for m rows."""
    lanes = COLUMN_BYTES // itemsize
    return (BLOCK + lanes + m + ROWS) * 2 * lanes
