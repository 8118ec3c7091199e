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
from numba.core.cgutils import for_range_slice, unpack_tuple
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


def _tile(n_rows: int, choices: Sequence[_Columns], *, clamped: bool = False) -> Any:
    """Define an intrinsic that computes one tile of C = A B + bias, over one block of the depth.

    The tile has `n_rows` rows of C from row i on, and `width` columns from column
    j on. The block has `depth` columns of A, from row `a_row` and column
    `a_column` on, and the columns of the tile in `depth` rows of B, from row
    `b_row` and column `b_column` on. It must not be empty. With `clamped`, only
    the first `n_left` rows count, and the last of these is computed in place of
    the others.

    The first block starts with the bias, and each other block with the sums of
    the block before. The last block writes its sums to C, and each other block
    writes them to the same rows of `partial_sums`. The products of an element are
    added in the order of the depth. Its bits therefore do not depend on the tile
    that computes it.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain_tile(
            A: Any, a_row: int, a_column: int, depth: int, B: Any, b_row: int, b_column: int,
            bias: Any, partial_sums: Any, C: Any, i: int, j: int, n_left: int, width: int,
            is_first: bool, is_last: bool,
        ) -> None:  # fmt: skip
            rows = n_left if clamped else n_rows
            sums = partial_sums[i : i + rows, :width]
            a_block = A[a_row : a_row + rows, a_column : a_column + depth]
            value = a_block @ B[b_row : b_row + depth, b_column : b_column + width]
            value += bias[j : j + width] if is_first else sums
            (C[i : i + rows, j : j + width] if is_last else sums)[...] = value

        return plain_tile

    @intrinsic
    def tile(
        typing_context: Any,
        A: Any, a_row: Any, a_column: Any, depth: Any, B: Any, b_row: Any, b_column: Any,
        bias: Any, partial_sums: Any, C: Any, i: Any, j: Any, n_left: Any, width: Any,
        is_first: Any, is_last: Any,
    ) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            a, b, start, sums, c = (
                make_array(sig.args[n])(context, builder, arguments[n]) for n in (0, 4, 7, 8, 9)
            )
            a_row, a_column, depth, b_row, b_column, i, j, n_left, width, is_first, is_last = (
                arguments[n] for n in (1, 2, 3, 5, 6, 10, 11, 12, 13, 14, 15)
            )
            (a_down, a_right), (b_down, _), (sums_down, _), (c_down, _) = (
                unpack_tuple(builder, x.strides) for x in (a, b, sums, c)
            )
            emit = VectorBuilder(builder, A.dtype.bitwidth)
            item = emit.integer(emit.itemsize)
            rows = [emit.integer(r) for r in range(n_rows)]
            if clamped:
                last = builder.sub(n_left, emit.integer(1))
                rows = [rows[0], *(emit.minimum(r, last) for r in rows[1:])]

            def rows_from(first: Any, stride: Any) -> list[Any]:
                return [emit.address(first, builder.mul(r, stride)) for r in rows]

            a_first = emit.address(a.data, emit.offset((a_row, a_down), (a_column, a_right)))
            b_first = emit.address(b.data, emit.offset((b_row, b_down), (b_column, item)))
            c_first = emit.address(c.data, emit.offset((i, c_down), (j, item)))
            bias_first = emit.address(start.data, builder.mul(j, item))
            sums_first = emit.address(sums.data, builder.mul(i, sums_down))
            sources = rows_from(
                builder.select(is_first, bias_first, sums_first),
                builder.select(is_first, emit.integer(0), sums_down),
            )
            targets = rows_from(
                builder.select(is_last, c_first, sums_first),
                builder.select(is_last, c_down, sums_down),
            )
            # The first of each GROUP of rows of A has a pointer, the others are so far from it.
            leaders = rows_from(a_first, a_down)[::GROUP]
            distances = [emit.opaque(builder.mul(r, a_down)) for r in rows[1:GROUP]]
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
                    steps = [b_down, *[a_step] * len(leaders)]
                    for p, stride in enumerate(steps):
                        pointers[p] = emit.opaque(emit.address(pointers[p], stride))
                    return [*pointers, *results]

                values = [b_first, *leaders, *(x for row in sources for x in load(row))]
                n_pointers = 1 + len(leaders)
                n_turns = builder.ashr(depth, emit.integer(UNROLLED.bit_length() - 1))
                values = emit.repeat(n_turns, UNROLLED, step, values)
                n_rest = builder.and_(depth, emit.integer(UNROLLED - 1))
                totals = emit.repeat(n_rest, 1, step, values)[n_pointers:]
                for r, row in enumerate(targets):
                    for v, (e, at, mask) in enumerate(vectors):
                        e.store(totals[r * n_vectors + v], e.address(row, at), mask)

            end = builder.append_basic_block("tile.end")
            for columns in choices[:-1]:
                room = columns.n_whole * emit.lanes + columns.n_masked * emit.lanes // columns.part
                room -= 0 if columns.part > 1 or columns.n_whole == 0 else 1
                fits = builder.icmp_signed("<=", width, emit.integer(room))
                yes, no = (builder.append_basic_block(name) for name in ("tile.fits", "tile.else"))
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
            A, intp, intp, intp, B, intp, intp, bias, partial_sums, C, intp, intp, intp, intp,
            types.boolean, types.boolean,
        )  # fmt: skip
        return types.void(*argument_types), codegen

    return tile


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


tile = _tile(TILE_ROWS, TILE_COLUMNS)
rest_tile = _tile(REST_ROWS, [_Columns(0, 2)], clamped=True)
row_tile = _tile(1, [_Columns(0, 1), _Columns(0, ROW_VECTORS)])
pack_rows = _pack(transposed=False)
pack_columns = _pack(transposed=True)
fetch = _fetch()
fetch_memory = _fetch_memory()
