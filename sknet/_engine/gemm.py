"""The matrix product of a layer: its forward pass, its backward pass and its weight gradient.

It does not call BLAS. It therefore starts no threads, and gives the same bits
on every machine, whatever the width of its vectors.
"""

from __future__ import annotations

import numpy as np

from sknet._engine.functions import matrix, vector
from sknet._engine.memory import LINE, read_only
from sknet._engine.simd import CPU_NAME, VECTOR_BITS, VECTOR_BYTES
from sknet._engine.tile import (
    REST_ROWS,
    ROW_VECTORS,
    TILE_ROWS,
    fetch,
    fetch_memory,
    pack_columns,
    pack_rows,
    rest_tile,
    row_tile,
    tiles,
)

# AMD's processors have vectors of 512 bits since Zen 4. Of these, only Zen 4 was measured.
IS_ZEN = CPU_NAME.startswith("znver")
IS_ZEN_4 = IS_ZEN and VECTOR_BITS == 512

# The depth is split into blocks of at most this size. A panel of B, two vectors wide, then stays in
# the L1 cache for all rows of A. Zen 4 reads panels from the L2 cache as fast as its tiles need
# them. Longer blocks are better there, since sums are stored between two blocks.
DEPTH_BLOCK = 400 if IS_ZEN_4 else 128

# From PACK_FROM rows on, panels of B are packed. A packed panel is contiguous, whereas the rows of
# B can evict each other from the cache if they are a power of two apart. But to pack a panel takes
# half as long as a tile with it, so tiles have to share that cost: many of them where panels may as
# well come from the L2 cache. A B of more than BIG bytes is packed from PACK_BIG_FROM rows on: it
# comes from a cache that cores share. Processors other than AMD's were not measured again.
PACK_BIG_FROM = TILE_ROWS * (12 if IS_ZEN else 4)
PACK_FROM = TILE_ROWS * 32 if IS_ZEN_4 else PACK_BIG_FROM
BIG = 2**21

# If B has more bytes than this, tiles fetch the next panel while they use one. It comes from a
# cache that is far away, or from memory.
FAR = 2**18

# An A with contiguous columns is copied, tile by tile, as many tiles at a time as COPY_BYTES hold,
# if its columns are at least COPY_STRIDE bytes apart. Each step of a tile would otherwise read half
# a line, in a page of its own, which no processor foresees. It pays from so many panels of B on,
# each of which reads all of A. The numbers were measured on AMD Zen 4 and on Intel with AVX-512.
COPY_BYTES, COPY_STRIDE = 2**19, 1024
COPY_PANELS = 16 if IS_ZEN else 4

# For products beside which nothing is fetched.
NOTHING = read_only(np.empty(0, np.int64))


def product(
    A: np.ndarray,
    B: np.ndarray,
    bias: np.ndarray,
    later: np.ndarray,
    scratch: np.ndarray,
    out: np.ndarray,
) -> None:
    """Overwrite `out` by A B + bias.

    Parameters
    ----------
    A : ndarray of shape (m, k)
        With any strides, so that a transposed matrix needs no copy.
    B : ndarray of shape (k, n)
        With contiguous rows or contiguous columns.
    bias : ndarray of shape (n,)
    later : ndarray of int64 of shape (0,) or (n_pieces + 1,)
        The bytes of a piece of memory, and the addresses of pieces that are fetched into the cache
        meanwhile, since something later will need them.
    scratch : ndarray
        Overwritten. It has at least ``scratch_size(m, itemsize)`` numbers. The others are room for
        copies of A.
    out : ndarray of shape (m, n)
        It must not overlap the other arrays.
    """
    m, n = out.shape
    k = B.shape[0]
    lanes = VECTOR_BYTES // out.itemsize
    transposed = B.strides[1] != B.itemsize
    b_bytes = B.size * out.itemsize
    is_packed = transposed or m >= (PACK_BIG_FROM if b_bytes > BIG else PACK_FROM)
    is_far = is_packed and b_bytes > FAR
    panel_width = 2 * lanes if is_packed or m > 1 else ROW_VECTORS * lanes
    panel = matrix(scratch, 0, DEPTH_BLOCK + lanes, 2 * lanes)
    sums = matrix(scratch, panel.size, m, panel_width)
    copies = vector(scratch, panel.size + sums.size, scratch.size - panel.size - sums.size)

    n_blocks = max(1, (k + DEPTH_BLOCK - 1) // DEPTH_BLOCK)
    block = max(1, (k + n_blocks - 1) // n_blocks)  # all but the last have the same depth
    is_far_apart = A.strides[0] == A.itemsize and A.strides[1] >= COPY_STRIDE
    n_copied = 0
    if is_far_apart and n >= COPY_PANELS * panel_width and panel_width >= TILE_ROWS:
        n_copied = max(0, copies.size - lanes) // (k * TILE_ROWS) * TILE_ROWS
    n_rows = n_copied if n_copied > 0 else max(1, m)  # that go through all panels of B at a time
    piece, offset, bytes_per_tile = 1, 0, 0
    if later.size > 0:
        n_panels = (n + panel_width - 1) // panel_width
        n_tiles = m // TILE_ROWS * n_blocks * n_panels
        bytes_per_tile = (later.size - 1) * later[0] // max(1, n_tiles) + LINE
    for top in range(0, m, n_rows):
        bottom = min(m, top + n_rows)
        n_tiles = (bottom - top) // TILE_ROWS
        left = A
        if n_copied > 0:
            for t in range(n_tiles):
                copied = matrix(copies, t * k * TILE_ROWS, k, TILE_ROWS)
                pack_rows(A.T, 0, k, top + t * TILE_ROWS, TILE_ROWS, copied)
            left = matrix(copies, 0, n_tiles * k, TILE_ROWS).T
        for j in range(0, n, panel_width):
            width = min(n - j, panel_width)
            for first in range(0, k, block):
                depth = min(block, k - first)
                is_first, is_last = first == 0, first + depth == k
                right, b_row, b_column = B, first, j
                if is_packed:
                    if transposed:
                        pack_columns(B, first, depth, j, width, panel)
                    else:
                        pack_rows(B, first, depth, j, width, panel)
                    right, b_row, b_column = panel, 0, 0
                if m == 1:
                    row_tile(
                        A, 0, first, 0, 0, depth, right, b_row, b_column, bias, sums, out, 0, j,
                        1, width, is_first, is_last,
                    )  # fmt: skip
                    continue
                # Of the next panel, each tile fetches a share of its rows, or contiguous columns.
                n_lines, share, length, next_first, next_j = 0, 0, 0, 0, j + width
                if is_far and (next_j < n or not is_last):
                    if not is_last:
                        next_first, next_j = first + depth, j
                    n_lines, length = min(block, k - next_first), min(panel_width, n - next_j)
                    if transposed:
                        n_lines, length = length, n_lines
                    share = n_lines // max(1, n_tiles) + 1
                n_at_once = 1 if n_lines > 0 or piece < later.size else max(1, n_tiles)
                for t in range(0, n_tiles, n_at_once):
                    begin = t * share
                    if begin < n_lines:
                        fetch(B, next_first, next_j, begin, min(begin + share, n_lines), length)
                    n_left = bytes_per_tile
                    while n_left > 0 and piece < later.size:
                        n_bytes = min(n_left, later[0] - offset)
                        fetch_memory(later[piece] + offset, n_bytes)
                        offset, n_left = offset + n_bytes, n_left - n_bytes
                        if offset >= later[0]:
                            piece, offset = piece + 1, 0
                    i = top + t * TILE_ROWS
                    a_row, a_column, rows_apart, columns_apart = i, first, TILE_ROWS, 0
                    if n_copied > 0:
                        a_row, a_column, rows_apart, columns_apart = 0, t * k + first, 0, k
                    tiles(
                        left, a_row, a_column, rows_apart, columns_apart, depth, right, b_row,
                        b_column, bias, sums, out, i, j, n_at_once, width, is_first, is_last,
                    )  # fmt: skip
                for i in range(top + n_tiles * TILE_ROWS, bottom, REST_ROWS):
                    rest_tile(
                        A, i, first, 0, 0, depth, right, b_row, b_column, bias, sums, out, i, j,
                        min(REST_ROWS, bottom - i), width, is_first, is_last,
                    )  # fmt: skip


def scratch_size(m: int, itemsize: int) -> int:
    """Return the length of the scratch array of `product` for m rows, without room for copies."""
    lanes = VECTOR_BYTES // itemsize
    return (DEPTH_BLOCK + lanes) * 2 * lanes + max(2 * m, ROW_VECTORS) * lanes
