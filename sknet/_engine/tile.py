"""The register tile of matrix products, and the packing of panels, as LLVM intrinsics.

A tile keeps its sums in registers across a loop, which Numba's Python cannot
express. It is therefore written in LLVM's intermediate representation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
from llvmlite import binding
from numba import types
from numba.core.cgutils import for_range, for_range_slice, unpack_tuple
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from sknet._engine.memory import LINE
from sknet._engine.simd import INT8, INT64, VECTOR_BITS, VECTOR_BYTES, VectorBuilder

intp = types.intp

# Rows of a tile. Its 2 x TILE_ROWS accumulators, two vectors of B and one of A have to fit
# into the vector registers: 32 with AVX-512 and NEON, 16 with AVX2 and SSE.
TILE_ROWS = 8 if VECTOR_BITS == 512 or binding.get_process_triple().startswith("aarch64") else 6

# Rows of the tile for the last rows, and vectors of the tile for a single row. Each has as many
# accumulators as it takes to hide the latency of a multiply-add.
REST_ROWS, ROW_VECTORS = 4, 8

# Steps down the depth in one turn of the loop, a power of two. Rows of A that share a pointer. On
# some processors, such as Intel's, each addition to an address takes the place of a multiply-add.
UNROLLED, GROUP = 2, 4


class _Columns(NamedTuple):
    """The columns of a tile: whole vectors, and behind them masked ones.

    Masked vectors are the `part`-th part of a whole one. Half a vector takes half
    the time where, as in AMD's Zen 4, the units are half as wide as the vectors.
    """

    n_whole: int
    n_masked: int
    part: int = 1


# From few columns to many. The first that has room for the columns of a tile is taken.
_HALVES = VECTOR_BITS == 512
TILE_COLUMNS = (
    *([_Columns(0, 1, 2)] if _HALVES else []),
    _Columns(0, 1),
    *([_Columns(1, 1, 2)] if _HALVES else []),
    _Columns(1, 1),
    _Columns(2, 0),
)


def _tiles(n_rows: int, choices: Sequence[_Columns], *, clamped: bool = False) -> Any:
    """Define an intrinsic that computes tiles of C = A B + bias, over one block of the depth.

    There are `n` tiles, one below the other, of `n_rows` rows each. The first one
    begins at row i of C and row `a_row` of A. Each has `width` columns of C from
    column j on. The block has `depth` columns of A from column `a_column` on, and
    the columns of the tiles in `depth` rows of B, from row `b_row` and column
    `b_column` on. It must not be empty. In A, a tile begins `rows_apart` rows and
    `columns_apart` columns behind the one before. With `clamped`, there is one tile
    with `n` rows that count, and the last of these is computed in place of the
    others.

    The first block starts with the bias, and each other block with the sums of
    the block before. The last block writes its sums to C, and each other block
    writes them to the same rows of `partial_sums`. The products of an element are
    added in the order of the depth. Its bits therefore do not depend on the tile
    that computes it.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain_tiles(
            A: Any, a_row: int, a_column: int, rows_apart: int, columns_apart: int, depth: int,
            B: Any, b_row: int, b_column: int, bias: Any, partial_sums: Any, C: Any, i: int, j: int,
            n: int, width: int, is_first: bool, is_last: bool,
        ) -> None:  # fmt: skip
            b_block = B[b_row : b_row + depth, b_column : b_column + width]
            height = n if clamped else n_rows
            for t in range(1 if clamped else n):
                rows = slice(i + t * n_rows, i + t * n_rows + height)
                row, column = a_row + t * rows_apart, a_column + t * columns_apart
                sums = partial_sums[rows, :width]
                value = A[row : row + height, column : column + depth] @ b_block
                value += bias[j : j + width] if is_first else sums
                (C[rows, j : j + width] if is_last else sums)[...] = value

        return plain_tiles

    @intrinsic
    def tiles(
        typing_context: Any,
        A: Any, a_row: Any, a_column: Any, rows_apart: Any, columns_apart: Any, depth: Any,
        B: Any, b_row: Any, b_column: Any, bias: Any, partial_sums: Any, C: Any, i: Any, j: Any,
        n: Any, width: Any, is_first: Any, is_last: Any,
    ) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            a, b, start, sums, c = (
                make_array(sig.args[n])(context, builder, arguments[n]) for n in (0, 6, 9, 10, 11)
            )
            a_row, a_column, rows_apart, columns_apart, depth, b_row, b_column = (
                arguments[n] for n in (1, 2, 3, 4, 5, 7, 8)
            )
            i, j, n, width, is_first, is_last = arguments[12:]
            (a_down, a_right), (b_down, _), (sums_down, _), (c_down, _) = (
                unpack_tuple(builder, x.strides) for x in (a, b, sums, c)
            )
            emit = VectorBuilder(builder, A.dtype.bitwidth)
            item, height = emit.integer(emit.itemsize), emit.integer(n_rows)
            rows, n_tiles = [emit.integer(r) for r in range(n_rows)], n
            if clamped:
                last, n_tiles = builder.sub(n, emit.integer(1)), emit.integer(1)
                rows = [rows[0], *(emit.minimum(r, last) for r in rows[1:])]

            a_first = emit.address(a.data, emit.offset((a_row, a_down), (a_column, a_right)))
            a_apart = emit.offset((rows_apart, a_down), (columns_apart, a_right))
            b_first = emit.address(b.data, emit.offset((b_row, b_down), (b_column, item)))
            c_first = emit.address(c.data, emit.offset((i, c_down), (j, item)))
            bias_first = emit.address(start.data, builder.mul(j, item))
            sums_first = emit.address(sums.data, builder.mul(i, sums_down))
            source = builder.select(is_first, bias_first, sums_first)
            source_down = builder.select(is_first, emit.integer(0), sums_down)
            target = builder.select(is_last, c_first, sums_first)
            target_down = builder.select(is_last, c_down, sums_down)
            source_offsets, target_offsets, a_offsets = (
                [builder.mul(r, stride) for r in rows]
                for stride in (source_down, target_down, a_down)
            )
            # Of rows of A, the first of each GROUP has a pointer. The others are so far from it.
            distances = [emit.opaque(offset) for offset in a_offsets[1:GROUP]]
            a_step = emit.opaque(a_right)

            def append(columns: _Columns) -> None:
                n_vectors = columns.n_whole + columns.n_masked
                emit_last = VectorBuilder(builder, A.dtype.bitwidth, columns.part)
                # Of each vector: what emits it, the bytes before it, and the mask of its lanes.
                vectors: list[tuple[VectorBuilder, Any, Any]] = []
                for v in range(columns.n_whole):
                    vectors.append((emit, emit.integer(v * VECTOR_BYTES), None))
                for v in range(columns.n_masked):
                    n_before = columns.n_whole * emit.lanes + v * emit_last.lanes
                    mask = emit_last.lane_mask(builder.sub(width, emit.integer(n_before)))
                    vectors.append((emit_last, emit.integer(n_before * emit.itemsize), mask))

                def load(address: Any) -> list[Any]:
                    return [e.load(e.address(address, at), mask) for e, at, mask in vectors]

                def step(values: list[Any]) -> list[Any]:
                    """Take one step down the depth: the pointers and the totals after it."""
                    pointers, totals = values[:n_pointers], values[n_pointers:]
                    b_vectors, results = load(pointers[0]), []
                    for r in range(n_rows):
                        address = pointers[1 + r // GROUP]
                        if r % GROUP:
                            address = emit.address(address, distances[r % GROUP - 1])
                        x = emit.broadcast(address)
                        for v, (e, _, _) in enumerate(vectors):
                            total = totals[r * n_vectors + v]
                            results.append(e.fma(e.first_lanes(x), b_vectors[v], total))
                    steps = [b_down, *[a_step] * (n_pointers - 1)]
                    for p, stride in enumerate(steps):
                        pointers[p] = emit.opaque(emit.address(pointers[p], stride))
                    return [*pointers, *results]

                n_turns = builder.ashr(depth, emit.integer(UNROLLED.bit_length() - 1))
                n_rest = builder.and_(depth, emit.integer(UNROLLED - 1))
                with for_range(builder, n_tiles) as loop:
                    top = builder.mul(loop.index, height)
                    from_row = emit.address(source, builder.mul(top, source_down))
                    to_row = emit.address(target, builder.mul(top, target_down))
                    a_tile = emit.address(a_first, builder.mul(loop.index, a_apart))
                    leaders = [emit.address(a_tile, offset) for offset in a_offsets[::GROUP]]
                    totals = [
                        x for offset in source_offsets for x in load(emit.address(from_row, offset))
                    ]
                    n_pointers = 1 + len(leaders)
                    values = [b_first, *leaders, *totals]
                    values = emit.repeat(n_turns, UNROLLED, step, values)
                    totals = emit.repeat(n_rest, 1, step, values)[n_pointers:]
                    for r, offset in enumerate(target_offsets):
                        row = emit.address(to_row, offset)
                        for v, (e, at, mask) in enumerate(vectors):
                            e.store(totals[r * n_vectors + v], e.address(row, at), mask)

            end = builder.append_basic_block("tiles.end")
            for columns in choices[:-1]:
                room = columns.n_whole * emit.lanes + columns.n_masked * emit.lanes // columns.part
                room -= 0 if columns.part > 1 or columns.n_whole == 0 else 1
                fits = builder.icmp_signed("<=", width, emit.integer(room))
                yes, no = (builder.append_basic_block(name) for name in ("tiles.fit", "tiles.else"))
                builder.cbranch(fits, yes, no)
                builder.position_at_end(yes)
                append(columns)
                builder.branch(end)
                builder.position_at_end(no)
            append(choices[-1])
            builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        argument_types = (
            A, intp, intp, intp, intp, intp, B, intp, intp, bias, partial_sums, C, intp, intp, intp,
            intp, types.boolean, types.boolean,
        )  # fmt: skip
        return types.void(*argument_types), codegen

    return tiles


def _pack(*, transposed: bool) -> Any:
    """Define an intrinsic that packs a block of B, at most two vectors wide, into a panel.

    The block has `depth` rows of B from row k on, and `width` columns from
    column j on. With `transposed`, B has contiguous columns instead of
    contiguous rows. Whole vectors are written: the panel beyond `width` and
    `depth` is overwritten by unspecified numbers, which no tile may use. Where
    its rows are shorter than that, the row below overwrites them.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain_pack(B: Any, k: int, depth: int, j: int, width: int, panel: Any) -> None:
            panel[:depth, :width] = B[k : k + depth, j : j + width]

        return plain_pack

    @intrinsic
    def pack(
        typing_context: Any, B: Any, k: Any, depth: Any, j: Any, width: Any, panel: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            b, panel = (make_array(sig.args[n])(context, builder, arguments[n]) for n in (0, 5))
            k, depth, j, width = arguments[1:5]
            b_row_stride, b_column_stride = unpack_tuple(builder, b.strides)
            emit = VectorBuilder(builder, B.dtype.bitwidth)
            panel_row_stride = unpack_tuple(builder, panel.strides)[0]
            zero, step = emit.integer(0), emit.integer(emit.lanes if transposed else 1)

            def b_address(k: Any, j: Any) -> Any:
                offset = emit.offset((k, b_row_stride), (j, b_column_stride))
                return emit.address(b.data, offset)

            with for_range_slice(builder, zero, depth, step, INT64) as (n, _):
                row = builder.add(k, n)
                for v in range(2):
                    first = emit.integer(v * emit.lanes)
                    # The second vector may lie entirely beyond the block.
                    with builder.if_then(builder.icmp_signed("<", first, width)):
                        n_columns = builder.sub(width, first)
                        column = builder.add(j, first)
                        if not transposed:
                            mask = emit.lane_mask(n_columns)
                            values = [emit.load(b_address(row, column), mask)]
                        else:
                            # Where the block has no more columns, its last column is read again.
                            mask = emit.lane_mask(builder.sub(depth, n))
                            values = []
                            for r in range(emit.lanes):
                                r = emit.minimum(
                                    emit.integer(r), builder.sub(n_columns, emit.integer(1))
                                )
                                address = b_address(row, builder.add(column, r))
                                values.append(emit.load(address, mask))
                            values = emit.transpose(values)
                        for r, value in enumerate(values):
                            to = builder.add(n, emit.integer(r))
                            offset = builder.add(
                                builder.mul(to, panel_row_stride), emit.integer(v * VECTOR_BYTES)
                            )
                            emit.store(value, emit.address(panel.data, offset))
            return context.get_dummy_value()

        return types.void(B, intp, intp, intp, intp, panel), codegen

    return pack


def _fetch() -> Any:
    """Define an intrinsic that asks for a part of a block of B ahead of its use.

    The block begins at row k and column j. The part is its rows (of a B with
    contiguous columns: its columns) from `begin` to `end`, `length` numbers each.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain_fetch(B: Any, k: int, j: int, begin: int, end: int, length: int) -> None:
            pass

        return plain_fetch

    @intrinsic
    def fetch(
        typing_context: Any, B: Any, k: Any, j: Any, begin: Any, end: Any, length: Any
    ) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            b = make_array(sig.args[0])(context, builder, arguments[0])
            k, j, begin, end, length = arguments[1:]
            row_stride, column_stride = unpack_tuple(builder, b.strides)
            emit = VectorBuilder(builder, B.dtype.bitwidth)
            item, zero, line = (emit.integer(x) for x in (emit.itemsize, 0, LINE))
            has_rows = builder.icmp_signed("==", column_stride, item)
            stride = builder.select(has_rows, row_stride, column_stride)
            start = emit.offset((k, row_stride), (j, column_stride))
            n_bytes = builder.mul(length, item)
            with for_range_slice(builder, begin, end, emit.integer(1), INT64) as (n, _):
                first = emit.address(b.data, builder.add(start, builder.mul(n, stride)))
                with for_range_slice(builder, zero, n_bytes, line, INT64) as (offset, _):
                    emit.prefetch(emit.address(first, offset), 2)
            return context.get_dummy_value()

        return types.void(B, intp, intp, intp, intp, intp), codegen

    return fetch


def _fetch_memory() -> Any:
    """Define an intrinsic that asks for memory ahead of its use: `n_bytes` from an address on."""
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return lambda address, n_bytes: None

    @intrinsic
    def fetch_memory(typing_context: Any, address: Any, n_bytes: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            address, n_bytes = arguments
            emit = VectorBuilder(builder, 64)
            first, line = builder.inttoptr(address, INT8.as_pointer()), emit.integer(LINE)
            with for_range_slice(builder, emit.integer(0), n_bytes, line, INT64) as (offset, _):
                emit.prefetch(emit.address(first, offset), 2)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), codegen

    return fetch_memory


tiles = _tiles(TILE_ROWS, TILE_COLUMNS)
rest_tile = _tiles(REST_ROWS, [_Columns(0, 2)], clamped=True)
row_tile = _tiles(1, [_Columns(0, 1), _Columns(0, ROW_VECTORS)])
pack_rows = _pack(transposed=False)
pack_columns = _pack(transposed=True)
fetch = _fetch()
fetch_memory = _fetch_memory()
