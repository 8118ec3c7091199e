"""The register tile of matrix products and the packing of panels, as LLVM intrinsics.

A tile keeps its sums in registers across a loop, which Numba's Python cannot
express. It is therefore written in LLVM's intermediate representation.

Vectors are as wide as those of the host. LLVM compiles other widths, too, but
it splits or widens the vectors then, and the code is up to four times slower.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import numba
from llvmlite import binding, ir
from numba import types
from numba.core.cgutils import for_range_slice, get_or_insert_function, unpack_tuple
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

intp = types.intp
INT64, INT32, INT8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)
FLOATS = {32: ir.FloatType(), 64: ir.DoubleType()}


def _vector_bits() -> int:
    forced = os.environ.get("SKNET_VECTOR_BITS")
    if forced is not None:
        if forced not in ("128", "256", "512"):
            raise ValueError(
                f"The environment variable SKNET_VECTOR_BITS is {forced!r}, but must be 128, 256 "
                "or 512. Unset it to use the widest vectors of this machine."
            )
        return int(forced)
    features = numba.config.CPU_FEATURES  # type: ignore[attr-defined]
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    for feature, bits in (("+avx512f", 512), ("+avx2", 256)):
        if feature in features.split(","):
            return bits
    return 128  # SSE, NEON


# The environment variable SKNET_VECTOR_BITS sets the width, for tests and benchmarks.
VECTOR_BITS = _vector_bits()
VECTOR_BYTES = VECTOR_BITS // 8
# Rows of a tile. Its 2 x TILE_ROWS accumulators, two vectors of B and one of A have to fit
# into the vector registers: 32 with AVX-512 and NEON, 16 with AVX2 and SSE.
TILE_ROWS = 8 if VECTOR_BITS == 512 or binding.get_process_triple().startswith("aarch64") else 6


def _tile(n_rows: int, n_vectors: int, *, masked: bool) -> Any:
    """Define an intrinsic that computes one tile of C = A B + bias, over one block of the depth.

    The tile has `n_rows` rows of C from row i on, and `n_vectors` vectors of
    columns from column j on. The block has `depth` columns of A from column k
    on, and the columns of the tile in `depth` rows of B, from row `b_row` and
    column `b_column` on. It must not be empty. With `masked`, only the first
    `width` columns of the last vector are read and written.

    The first block starts with the bias, and each other block with the sums of
    the block before. The last block writes its sums to C, and each other block
    writes them to `partial_sums`, at the position of tile number t. The
    products of an element are added in the order of the depth. Its bits
    therefore do not depend on the tile that computes it.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain_tile(
            A: Any, i: int, k: int, depth: int, B: Any, b_row: int, b_column: int, bias: Any,
            partial_sums: Any, t: int, C: Any, j: int, width: int, is_first: bool, is_last: bool,
        ) -> None:  # fmt: skip
            lanes = VECTOR_BYTES // C.itemsize
            n = (n_vectors - 1) * lanes + width
            size = n_rows * 2 * lanes
            sums = partial_sums[t * size :][:size].reshape(n_rows, 2 * lanes)[:, :n]
            b_block = B[b_row : b_row + depth, b_column : b_column + n]
            value = A[i : i + n_rows, k : k + depth] @ b_block
            value += bias[j : j + n] if is_first else sums
            (C[i : i + n_rows, j : j + n] if is_last else sums)[...] = value

        return plain_tile

    @intrinsic
    def tile(
        typing_context: Any,
        A: Any, i: Any, k: Any, depth: Any, B: Any, b_row: Any, b_column: Any, bias: Any,
        partial_sums: Any, t: Any, C: Any, j: Any, width: Any, is_first: Any, is_last: Any,
    ) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            a, b, bias, sums, c = (
                make_array(sig.args[n])(context, builder, arguments[n]) for n in (0, 4, 7, 8, 10)
            )
            i, k, depth, b_row, b_column, t, j, width, is_first, is_last = (
                arguments[n] for n in (1, 2, 3, 5, 6, 9, 11, 12, 13, 14)
            )
            a_row_stride, a_column_stride = unpack_tuple(builder, a.strides)
            b_row_stride, c_row_stride = (unpack_tuple(builder, x.strides)[0] for x in (b, c))
            emit = _VectorBuilder(builder, A.dtype.bitwidth, width if masked else None)
            item, sums_row_stride = emit.integer(emit.itemsize), emit.integer(2 * VECTOR_BYTES)

            def load(base: Any, offset: Any) -> list[Any]:
                return [emit.load(base, offset, v, v == n_vectors - 1) for v in range(n_vectors)]

            def offset_of(*terms: tuple[Any, Any]) -> Any:
                """Return the offset in bytes of pairs of an index and a stride."""
                return functools.reduce(builder.add, [builder.mul(x, y) for x, y in terms])

            sums_offset = offset_of((t, emit.integer(2 * VECTOR_BYTES * n_rows)))
            c_offset, c_data = offset_of((i, c_row_stride), (j, item)), emit.bytes(c.data)
            source = builder.select(is_first, emit.bytes(bias.data), emit.bytes(sums.data))
            source_offset = builder.select(is_first, offset_of((j, item)), sums_offset)
            source_row_stride = builder.select(is_first, emit.integer(0), sums_row_stride)
            target = builder.select(is_last, c_data, emit.bytes(sums.data))
            target_offset = builder.select(is_last, c_offset, sums_offset)
            target_row_stride = builder.select(is_last, c_row_stride, sums_row_stride)

            initial = []
            for r in range(n_rows):
                row_offset = offset_of((emit.integer(r), source_row_stride))
                initial.append(load(source, builder.add(source_offset, row_offset)))
            a_offsets = [
                offset_of((builder.add(i, emit.integer(r)), a_row_stride), (k, a_column_stride))
                for r in range(n_rows)
            ]
            b_offset = offset_of((b_row, b_row_stride), (b_column, item))
            entry, loop = builder.block, builder.append_basic_block("tile")
            end = builder.append_basic_block("tile.end")
            builder.branch(loop)

            builder.position_at_end(loop)
            n = builder.phi(INT64)
            accumulators = [
                [builder.phi(emit.vector) for _ in range(n_vectors)] for _ in range(n_rows)
            ]
            b_vectors = load(b.data, builder.add(b_offset, builder.mul(n, b_row_stride)))
            a_step = builder.mul(n, a_column_stride)
            results = []
            for r in range(n_rows):
                x = emit.broadcast(a.data, builder.add(a_offsets[r], a_step))
                results.append(
                    [emit.fma(x, b_vectors[v], accumulators[r][v]) for v in range(n_vectors)]
                )
            next_n = builder.add(n, emit.integer(1))
            n.add_incoming(emit.integer(0), entry)
            n.add_incoming(next_n, loop)
            for r in range(n_rows):
                for v in range(n_vectors):
                    accumulators[r][v].add_incoming(initial[r][v], entry)
                    accumulators[r][v].add_incoming(results[r][v], loop)
            builder.cbranch(builder.icmp_signed("<", next_n, depth), loop, end)

            builder.position_at_end(end)
            for r in range(n_rows):
                row_offset = offset_of((emit.integer(r), target_row_stride))
                offset = builder.add(target_offset, row_offset)
                for v in range(n_vectors):
                    emit.store(results[r][v], target, offset, v, v == n_vectors - 1)
            return context.get_dummy_value()

        boolean = types.boolean
        argument_types = (
            A, intp, intp, intp, B, intp, intp, bias,
            partial_sums, intp, C, intp, intp, boolean, boolean,
        )  # fmt: skip
        return types.void(*argument_types), codegen

    return tile


def _pack(*, transposed: bool) -> Any:
    """Define an intrinsic that packs a block of B, at most two vectors wide, into a panel.

    The block has `depth` rows of B from row k on, and `width` columns from
    column j on. With `transposed`, B has contiguous columns instead of
    contiguous rows. The panel beyond `width` and `depth` is overwritten by
    unspecified numbers, which no tile may use.
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
            emit = _VectorBuilder(builder, B.dtype.bitwidth, None)
            lanes, panel_row_stride = emit.integer(emit.lanes), emit.integer(2 * VECTOR_BYTES)
            zero, step = emit.integer(0), emit.integer(emit.lanes if transposed else 1)

            def b_offset(k: Any, j: Any) -> Any:
                return builder.add(builder.mul(k, b_row_stride), builder.mul(j, b_column_stride))

            with for_range_slice(builder, zero, depth, step, INT64) as (n, _):
                row = builder.add(k, n)
                for v in range(2):
                    first = builder.mul(emit.integer(v), lanes)
                    panel_offset = builder.mul(n, panel_row_stride)
                    # The second vector may lie entirely beyond the block.
                    with builder.if_then(builder.icmp_signed("<", first, width)):
                        n_columns = builder.sub(width, first)
                        column = builder.add(j, first)
                        if not transposed:
                            emit.mask = emit.lane_mask(n_columns)
                            values = [emit.load(b.data, b_offset(row, column), 0, True)]
                        else:
                            # Where the block has no more columns, its last column is read again.
                            emit.mask = emit.lane_mask(builder.sub(depth, n))
                            values = []
                            for r in range(emit.lanes):
                                r = emit.minimum(
                                    emit.integer(r), builder.sub(n_columns, emit.integer(1))
                                )
                                offset = b_offset(row, builder.add(column, r))
                                values.append(emit.load(b.data, offset, 0, True))
                            values = emit.transpose(values)
                        emit.mask = None
                        for r, value in enumerate(values):
                            offset = builder.add(
                                panel_offset, builder.mul(emit.integer(r), panel_row_stride)
                            )
                            emit.store(value, panel.data, offset, v, False)
            return context.get_dummy_value()

        return types.void(B, intp, intp, intp, intp, panel), codegen

    return pack


class _VectorBuilder:
    """Emits operations on vectors of one dtype through an LLVM IR builder.

    An address is a base, an offset in bytes and a number v of vectors. With a
    `width`, masked loads and stores touch only the first `width` lanes.
    """

    def __init__(self, builder: Any, bits: int, width: Any) -> None:
        self.builder = builder
        self.itemsize = bits // 8
        self.lanes = VECTOR_BITS // bits
        self.scalar = FLOATS[bits]
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{bits}"
        self.mask = None if width is None else self.lane_mask(width)

    def lane_mask(self, width: Any) -> Any:
        """Return a mask of the first `width` lanes."""
        integers = ir.VectorType(INT64, self.lanes)
        lanes = ir.Constant(integers, [self.integer(k) for k in range(self.lanes)])
        return self.builder.icmp_signed("<", lanes, self._splat(width, integers))

    def _splat(self, value: Any, vector_type: Any) -> Any:
        undefined = ir.Constant(vector_type, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), [INT32(0)] * self.lanes)
        first = self.builder.insert_element(undefined, value, INT32(0))
        return self.builder.shuffle_vector(first, undefined, zeros)

    def integer(self, value: int) -> Any:
        return ir.Constant(INT64, value)

    def minimum(self, x: Any, y: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def bytes(self, base: Any) -> Any:
        """Return a pointer to bytes."""
        return self.builder.bitcast(base, INT8.as_pointer())

    def transpose(self, vectors: Sequence[Any]) -> list[Any]:
        """Transpose a square of as many vectors as lanes.

        Each of the log2(lanes) passes interleaves vector i with vector i + lanes / 2.
        """
        half = self.lanes // 2
        orders = [
            ir.Constant(
                ir.VectorType(INT32, self.lanes),
                [INT32(start + k // 2 + k % 2 * self.lanes) for k in range(self.lanes)],
            )
            for start in (0, half)
        ]
        for _ in range(half.bit_length()):
            pairs = zip(vectors[:half], vectors[half:], strict=True)
            vectors = [self.builder.shuffle_vector(x, y, o) for x, y in pairs for o in orders]
        return list(vectors)

    def _pointer(self, base: Any, offset: Any, value_type: Any) -> Any:
        pointer = self.builder.gep(self.builder.bitcast(base, INT8.as_pointer()), [offset])
        return self.builder.bitcast(pointer, value_type.as_pointer())

    def _vector_pointer(self, base: Any, offset: Any, v: int) -> Any:
        step = self.integer(v * self.lanes * self.itemsize)
        return self._pointer(base, self.builder.add(offset, step), self.vector)

    def _call_masked(self, name: str, result_type: Any, arguments: Sequence[Any]) -> Any:
        function_type = ir.FunctionType(result_type, [x.type for x in arguments])
        name = f"llvm.masked.{name}.{self.suffix}.p0"
        function = get_or_insert_function(self.builder.module, function_type, name)
        return self.builder.call(function, arguments)

    def load(self, base: Any, offset: Any, v: int, masked: bool) -> Any:
        """Load a vector. Masked lanes are zero."""
        pointer = self._vector_pointer(base, offset, v)
        if self.mask is None or not masked:
            return self.builder.load(pointer, align=self.itemsize)
        zero = ir.Constant(self.vector, [ir.Constant(self.scalar, 0.0)] * self.lanes)
        arguments = [pointer, INT32(self.itemsize), self.mask, zero]
        return self._call_masked("load", self.vector, arguments)

    def store(self, value: Any, base: Any, offset: Any, v: int, masked: bool) -> None:
        """Store a vector. Memory behind masked lanes stays as it is."""
        pointer = self._vector_pointer(base, offset, v)
        if self.mask is None or not masked:
            self.builder.store(value, pointer, align=self.itemsize)
        else:
            arguments = [value, pointer, INT32(self.itemsize), self.mask]
            self._call_masked("store", ir.VoidType(), arguments)

    def broadcast(self, base: Any, offset: Any) -> Any:
        """Load a scalar into all lanes."""
        value = self.builder.load(self._pointer(base, offset, self.scalar))
        return self._splat(value, self.vector)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """Return x y + z, rounded once."""
        function_type = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.{self.suffix}"
        function = get_or_insert_function(self.builder.module, function_type, name)
        return self.builder.call(function, [x, y, z])


tile_full = _tile(TILE_ROWS, 2, masked=False)
tile_wide = _tile(TILE_ROWS, 2, masked=True)
tile_narrow = _tile(TILE_ROWS, 1, masked=True)
tile_row = _tile(1, 1, masked=True)
pack_rows = _pack(transposed=False)
pack_columns = _pack(transposed=True)
