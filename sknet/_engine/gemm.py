"""The matrix product of a layer: its forward pass, its backward pass and its weight gradient.

It does not call BLAS. It therefore starts no threads, and gives the same bits
on every machine with vectors of the same width.
"""

from __future__ import annotations

import numpy as np

from sknet._engine.functions import matrix, vector
from sknet._engine.simd import (
    TILE_ROWS,
    VECTOR_BYTES,
    pack_columns,
    pack_rows,
    tile_full,
    tile_narrow,
    tile_row,
    tile_wide,
)

# The depth is split into blocks of this size. A panel of B, two vectors wide, then stays in the
# L1 cache for all rows of A.
DEPTH_BLOCK = 128

# From PACK_FROM rows on, panels of B are packed. A packed panel is contiguous, whereas the rows
# of B can evict each other from the cache if they are a power of two apart.
PACK_FROM = 4 * TILE_ROWS


def product(
    A: np.ndarray, B: np.ndarray, bias: np.ndarray, scratch: np.ndarray, out: np.ndarray
) -> None:
    """Overwrite `out` by A B + bias.

    The tile of the last rows overlaps the tile before it, so that it needs no
    mask. The vectors of the last columns are masked. With fewer rows than a
    tile has, each row is a tile of its own.

    Parameters
    ----------
    A : ndarray of shape (m, k)
        With any strides, so that a transposed matrix needs no copy.
    B : ndarray of shape (k, n)
        With contiguous rows or contiguous columns.
    bias : ndarray of shape (n,)
    scratch : ndarray of shape (scratch_size(m, itemsize),)
        Overwritten.
    out : ndarray of shape (m, n)
        It must not overlap the other arrays.
    """
    m, n = out.shape
    lanes = VECTOR_BYTES // out.itemsize
    panel = matrix(scratch, 0, DEPTH_BLOCK + lanes, 2 * lanes)
    sums = vector(scratch, panel.size, scratch.size - panel.size)
    transposed = B.strides[1] != B.itemsize
    is_packed = transposed or m >= PACK_FROM
    j = 0
    while j < n:
        width = min(n - j, 2 * lanes if m >= TILE_ROWS else lanes)
        for k in range(0, B.shape[0], DEPTH_BLOCK):
            depth = min(DEPTH_BLOCK, B.shape[0] - k)
            is_first, is_last = k == 0, k + depth == B.shape[0]
            source, row, column = B, k, j
            if is_packed:
                if transposed:
                    pack_columns(B, k, depth, j, width, panel)
                else:
                    pack_rows(B, k, depth, j, width, panel)
                source, row, column = panel, 0, 0
            if m < TILE_ROWS:
                for i in range(m):
                    tile_row(
                        A, i, k, depth, source, row, column, bias, sums, i, out, j, width,
                        is_first, is_last,
                    )  # fmt: skip
            else:
                for t in range((m + TILE_ROWS - 1) // TILE_ROWS):
                    i = min(t * TILE_ROWS, m - TILE_ROWS)
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
    """Return the length of the scratch array of `product` for m rows."""
    lanes = VECTOR_BYTES // itemsize
    return (DEPTH_BLOCK + lanes + m + TILE_ROWS) * 2 * lanes
