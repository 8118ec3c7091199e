"""The vector intrinsics: a register tile for matrix products, and exp and tanh.

Written as LLVM's intermediate code, because neither can be said in Numba's
Python: a tile has to keep its sums in registers across a loop, and exp has to
be free of branches and calls for loops over it to become vector code.

The vector width is the widest that the host has; LLVM would accept any width on
any host, but split or widen it at a loss of a factor of four.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numba
from llvmlite import binding, ir
from numba import types
from numba.core.cgutils import for_range_slice, get_or_insert_function, unpack_tuple
from numba.extending import intrinsic, lower_builtin, type_callable
from numba.np.arrayobj import make_array

from sknet._engine.functions import exp, tanh

intp = types.intp
INT64, INT32, INT8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)
FLOATS = {32: ir.FloatType(), 64: ir.DoubleType()}


def _vector_bits() -> int:
    forced = os.environ.get("SKNET_VECTOR_BITS")
    if forced is not None:
        if forced not in ("128", "256", "512"):
            raise ValueError(
                f"The environment variable SKNET_VECTOR_BITS is {forced!r}, but must be 128, 256 "
                "or 512; unset it for the widest vectors of this machine."
            )
        return int(forced)
    features = numba.config.CPU_FEATURES  # type: ignore[attr-defined]
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    for feature, bits in (("+avx512f", 512), ("+avx2", 256)):
        if feature in features.split(","):
            return bits
    return 128  # SSE, NEON


# SKNET_VECTOR_BITS forces a width, for tests and for measuring.
VECTOR_BITS = _vector_bits()
# Rows of a tile. Its 2 x ROWS sums, two vectors of B and one of A have to fit into
# the registers: 32 with AVX-512 and NEON, 16 with AVX2 and SSE.
ROWS = 8 if VECTOR_BITS == 512 or binding.get_process_triple().startswith("aarch64") else 6
COLUMN_BYTES = VECTOR_BITS // 8


def _tile(rows: int, vectors: int, *, masked: bool) -> Any:
    """Define an intrinsic that computes one tile of a product, over one block of its depth.

    It overwrites `rows` rows of C from row i on, and `vectors` vectors of
    columns from column j on, by A B + bias: A from its column k on, `depth`
    columns, B from its row `b_row` and its column `b_column` on. With `masked`
    only the first `width` columns of the last vector are read and written.

    Depth comes in blocks. All but the last leave their sums in `sums`, in the
    place numbered t, and all but the first take them from there. Sums run over
    the depth in order, so that an element is the same to the last bit whatever
    tile it falls into. A block must not be empty.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain_tile(
            A: Any, i: int, k: int, depth: int, B: Any, b_row: int, b_column: int,
            bias: Any, sums: Any, t: int, C: Any, j: int, width: int, is_first: bool, is_last: bool,
        ) -> None:  # fmt: skip
            lanes = COLUMN_BYTES // C.itemsize
            n = (vectors - 1) * lanes + width
            kept = sums[t * rows * 2 * lanes :][: rows * 2 * lanes].reshape(rows, 2 * lanes)[:, :n]
            value = (
                A[i : i + rows, k : k + depth] @ (B[b_row : b_row + depth, b_column : b_column + n])
            )
            value += bias[j : j + n] if is_first else kept
            (C[i : i + rows, j : j + n] if is_last else kept)[...] = value

        return plain_tile

    @intrinsic
    def tile(
        typing_context: Any,
        A: Any, i: Any, k: Any, depth: Any, B: Any, b_row: Any, b_column: Any,
        bias: Any, sums: Any, t: Any, C: Any, j: Any, width: Any, is_first: Any, is_last: Any,
    ) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            a, b, s, kept, c = (
                make_array(sig.args[k])(context, builder, arguments[k]) for k in (0, 4, 7, 8, 10)
            )
            i, k, depth, b_row, b_column, t, j, width, is_first, is_last = (
                arguments[n] for n in (1, 2, 3, 5, 6, 9, 11, 12, 13, 14)
            )
            a_row, a_column = unpack_tuple(builder, a.strides)
            b_next, c_next = (unpack_tuple(builder, x.strides)[0] for x in (b, c))
            code = _Vectors(builder, A.dtype.bitwidth, width if masked else None)
            item, kept_row = code.integer(code.itemsize), code.integer(2 * COLUMN_BYTES)

            def load(base: Any, offset: Any) -> list[Any]:
                return [code.load(base, offset, v, v == vectors - 1) for v in range(vectors)]

            def place(*terms: tuple[Any, Any]) -> Any:
                return functools.reduce(builder.add, [builder.mul(x, y) for x, y in terms])

            def either(condition: Any, first: Any, second: Any) -> Any:
                return builder.select(condition, first, second)

            kept_place = place((t, code.integer(2 * COLUMN_BYTES * rows)))
            c_place, c_data = place((i, c_next), (j, item)), code.bytes(c.data)
            source = either(is_first, code.bytes(s.data), code.bytes(kept.data))
            source_place = either(is_first, place((j, item)), kept_place)
            source_row = either(is_first, code.integer(0), kept_row)
            to = either(is_last, c_data, code.bytes(kept.data))
            to_place = either(is_last, c_place, kept_place)
            to_row = either(is_last, c_next, kept_row)

            start = [
                load(source, builder.add(source_place, place((code.integer(r), source_row))))
                for r in range(rows)
            ]
            a_rows = [
                place((builder.add(i, code.integer(r)), a_row), (k, a_column)) for r in range(rows)
            ]
            b_place = place((b_row, b_next), (b_column, item))
            before, loop = builder.block, builder.append_basic_block("tile")
            after = builder.append_basic_block("tile.end")
            builder.branch(loop)

            builder.position_at_end(loop)
            n = builder.phi(INT64)
            totals = [[builder.phi(code.vector) for _ in range(vectors)] for _ in range(rows)]
            b_vectors = load(b.data, builder.add(b_place, builder.mul(n, b_next)))
            a_offset = builder.mul(n, a_column)
            results = []
            for r in range(rows):
                x = code.broadcast(a.data, builder.add(a_rows[r], a_offset))
                results.append([code.fma(x, b_vectors[v], totals[r][v]) for v in range(vectors)])
            following = builder.add(n, code.integer(1))
            n.add_incoming(code.integer(0), before)
            n.add_incoming(following, loop)
            for r in range(rows):
                for v in range(vectors):
                    totals[r][v].add_incoming(start[r][v], before)
                    totals[r][v].add_incoming(results[r][v], loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)

            builder.position_at_end(after)
            for r in range(rows):
                offset = builder.add(to_place, place((code.integer(r), to_row)))
                for v in range(vectors):
                    code.store(results[r][v], to, offset, v, v == vectors - 1)
            return context.get_dummy_value()

        boolean = types.boolean
        kinds = (
            A, intp, intp, intp, B, intp, intp, bias, sums, intp, C, intp, intp, boolean, boolean
        )  # fmt: skip
        return types.void(*kinds), codegen

    return tile


def _pack(*, transposed: bool) -> Any:
    """Define an intrinsic that copies a block of B, two vectors wide, to where tiles read it.

    It takes `depth` rows of B from row k on, and `width` columns from column j
    on. If `transposed`, B has contiguous columns instead of rows. Beyond
    `width` and `depth` the panel gets numbers that nobody may use.
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
            b, to = (make_array(sig.args[n])(context, builder, arguments[n]) for n in (0, 5))
            k, depth, j, width = arguments[1:5]
            b_row, b_column = unpack_tuple(builder, b.strides)
            code = _Vectors(builder, B.dtype.bitwidth, None)
            lanes, line = code.integer(code.lanes), code.integer(2 * COLUMN_BYTES)
            zero, step = code.integer(0), code.integer(code.lanes if transposed else 1)

            def place(k: Any, j: Any) -> Any:
                return builder.add(builder.mul(k, b_row), builder.mul(j, b_column))

            with for_range_slice(builder, zero, depth, step, INT64) as (n, _):
                row = builder.add(k, n)
                for v in range(2):
                    first = builder.mul(code.integer(v), lanes)
                    out = builder.mul(n, line)
                    # Half a panel may be all that is there.
                    with builder.if_then(builder.icmp_signed("<", first, width)):
                        left = builder.sub(width, first)
                        column = builder.add(j, first)
                        if not transposed:
                            code.mask = code.first_lanes(left)
                            values = [code.load(b.data, place(row, column), 0, True)]
                        else:
                            code.mask = code.first_lanes(builder.sub(depth, n))
                            values = []
                            for r in range(code.lanes):  # beyond the last column: that again
                                r = code.least(code.integer(r), builder.sub(left, code.integer(1)))
                                start = place(row, builder.add(column, r))
                                values.append(code.load(b.data, start, 0, True))
                            values = code.transpose(values)
                        code.mask = None
                        for r, value in enumerate(values):
                            offset = builder.add(out, builder.mul(code.integer(r), line))
                            code.store(value, to.data, offset, v, False)
            return context.get_dummy_value()

        return types.void(B, intp, intp, intp, intp, panel), codegen

    return pack


class _Vectors:
    """Loads, stores and sums of vectors of one kind, into a builder."""

    def __init__(self, builder: Any, bits: int, width: Any) -> None:
        self.builder = builder
        self.itemsize = bits // 8
        self.lanes = VECTOR_BITS // bits
        self.scalar = FLOATS[bits]
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{bits}"
        self.mask = None if width is None else self.first_lanes(width)

    def first_lanes(self, width: Any) -> Any:
        wide = ir.VectorType(INT64, self.lanes)
        lanes = ir.Constant(wide, [self.integer(k) for k in range(self.lanes)])
        return self.builder.icmp_signed("<", lanes, self._splat(width, wide))

    def _splat(self, value: Any, vector: Any) -> Any:
        undefined = ir.Constant(vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), [INT32(0)] * self.lanes)
        one = self.builder.insert_element(undefined, value, INT32(0))
        return self.builder.shuffle_vector(one, undefined, zeros)

    def integer(self, value: int) -> Any:
        return ir.Constant(INT64, value)

    def least(self, x: Any, y: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def bytes(self, base: Any) -> Any:
        return self.builder.bitcast(base, INT8.as_pointer())

    def transpose(self, vectors: Sequence[Any]) -> list[Any]:
        """Transpose a square: each pass interleaves vector i with vector i + half."""
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

    def _pointer(self, base: Any, offset: Any, kind: Any) -> Any:
        place = self.builder.gep(self.builder.bitcast(base, INT8.as_pointer()), [offset])
        return self.builder.bitcast(place, kind.as_pointer())

    def _place(self, base: Any, offset: Any, v: int) -> Any:
        step = self.integer(v * self.lanes * self.itemsize)
        return self._pointer(base, self.builder.add(offset, step), self.vector)

    def _masked(self, name: str, result: Any, arguments: Sequence[Any]) -> Any:
        kind = ir.FunctionType(result, [x.type for x in arguments])
        name = f"llvm.masked.{name}.{self.suffix}.p0"
        function = get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def load(self, base: Any, offset: Any, v: int, is_last: bool) -> Any:
        place = self._place(base, offset, v)
        if self.mask is None or not is_last:
            return self.builder.load(place, align=self.itemsize)
        zero = ir.Constant(self.vector, [ir.Constant(self.scalar, 0.0)] * self.lanes)
        return self._masked("load", self.vector, [place, INT32(self.itemsize), self.mask, zero])

    def store(self, value: Any, base: Any, offset: Any, v: int, is_last: bool) -> None:
        place = self._place(base, offset, v)
        if self.mask is None or not is_last:
            self.builder.store(value, place, align=self.itemsize)
        else:
            self._masked("store", ir.VoidType(), [value, place, INT32(self.itemsize), self.mask])

    def broadcast(self, base: Any, offset: Any) -> Any:
        value = self.builder.load(self._pointer(base, offset, self.scalar))
        return self._splat(value, self.vector)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = get_or_insert_function(self.builder.module, kind, f"llvm.fma.{self.suffix}")
        return self.builder.call(function, [x, y, z])


tile_full = _tile(ROWS, 2, masked=False)
tile_wide = _tile(ROWS, 2, masked=True)
tile_narrow = _tile(ROWS, 1, masked=True)
tile_row = _tile(1, 1, masked=True)
pack_rows = _pack(transposed=False)
pack_columns = _pack(transposed=True)


class _Exponential:
    """Code for e**x - 1 of one scalar, in pieces: (2**n, e**r - 1) with x = n log(2) + r.

    log(2) is taken in two parts, the first with so few bits that n times it is
    exact, and e**r - 1 by its Taylor series, |r| <= log(2) / 2, to where the
    next term is below half a unit in the last place (Cody and Waite 1980,
    Software manual for the elementary functions, chapter 6).
    """

    # Degree of the series, bits of the mantissa, bits of n, and the range of x.
    FORMATS = {64: (13, 52, 11, -708.0, 709.4), 32: (7, 23, 8, -87.0, 88.3)}  # noqa: RUF012

    def __init__(self, builder: Any, bits: int) -> None:
        self.builder, self.bits, self.kind = builder, bits, FLOATS[bits]
        self.degree, self.mantissa, self.exponent, self.least, self.most = self.FORMATS[bits]

    def constant(self, value: float) -> Any:
        return ir.Constant(self.kind, float(value))

    def call(self, name: str, *arguments: Any) -> Any:
        kind = ir.FunctionType(self.kind, [self.kind] * len(arguments))
        name = f"llvm.{name}.f{self.bits}"
        function = get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def clip(self, x: Any, least: float, most: float) -> Any:
        """Return x held in a range; NaN stays NaN."""
        for comparison, bound in (("<", least), (">", most)):
            outside = self.builder.fcmp_ordered(comparison, x, self.constant(bound))
            x = self.builder.select(outside, self.constant(bound), x)
        return x

    def pieces(self, x: Any) -> tuple[Any, Any]:
        """Return 2**n and e**r - 1; x must be in range."""
        builder = self.builder
        high, low = _log_2(self.mantissa, self.exponent)
        n = self.call("rint", builder.fmul(x, self.constant(1 / math.log(2))))
        r = self.call("fma", n, self.constant(-high), x)
        r = self.call("fma", n, self.constant(-low), r)
        series = self.constant(1 / math.factorial(self.degree))
        for k in range(self.degree - 1, 1, -1):
            series = self.call("fma", series, r, self.constant(1 / math.factorial(k)))
        rest = self.call("fma", builder.fmul(r, r), series, r)
        word = ir.IntType(self.bits)
        bias = ir.Constant(word, 2 ** (self.exponent - 1) - 1)
        power = builder.add(builder.fptosi(n, word), bias)
        power = builder.shl(power, ir.Constant(word, self.mantissa))
        return builder.bitcast(power, self.kind), rest


def _log_2(mantissa: int, exponent: int) -> tuple[float, float]:
    kept = 2 ** (mantissa - exponent)
    high = round(math.log(2) * kept) / kept
    return high, float(Decimal(2).ln() - Decimal(high))


def _lower_exp(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    code, x = _Exponential(builder, sig.args[0].bitwidth), arguments[0]
    power, rest = code.pieces(code.clip(x, code.least, code.most))
    value = code.call("fma", power, rest, power)
    for comparison, bound, beyond in (("<", code.least, 0.0), (">", code.most, math.inf)):
        outside = builder.fcmp_ordered(comparison, x, code.constant(bound))
        value = builder.select(outside, code.constant(beyond), value)
    return value


def _lower_tanh(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    """tanh(x) = t / (t + 2) with t = e**2x - 1, which keeps small x precise; 1 beyond 20."""
    code = _Exponential(builder, sig.args[0].bitwidth)
    x = code.clip(arguments[0], -20.0, 20.0)
    power, rest = code.pieces(builder.fadd(x, x))
    t = code.call("fma", power, rest, builder.fsub(power, code.constant(1)))
    return builder.fdiv(t, builder.fadd(t, code.constant(2)))


for _function, _lower in ((exp, _lower_exp), (tanh, _lower_tanh)):
    type_callable(_function)(lambda context: lambda x: x)
    for _type in (types.float32, types.float64):
        lower_builtin(_function, _type)(_lower)
