"""Vectors of the host's width, in LLVM's intermediate representation.

Vectors are as wide as those of the host. LLVM compiles other widths, too, but
it splits or widens the vectors then, and the code is up to four times slower.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numba
from llvmlite import binding, ir
from numba.core.cgutils import get_or_insert_function

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


# LLVM's name of the processor, for example "znver4".
CPU_NAME = binding.get_host_cpu_name()

# The environment variable SKNET_VECTOR_BITS sets the width, for tests and benchmarks.
VECTOR_BITS = _vector_bits()
VECTOR_BYTES = VECTOR_BITS // 8


class VectorBuilder:
    """Emits operations on vectors of one dtype through an LLVM IR builder.

    An address is a pointer to bytes. Loads and stores with a mask touch only the
    lanes where it is true, so that the others may lie outside of an array.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where the code goes.
    bits : int
        Bits of a number, 32 or 64.
    part : int, default=1
        Vectors are the part-th part of the host's width.
    """

    def __init__(self, builder: Any, bits: int, part: int = 1) -> None:
        self.builder = builder
        self.itemsize = bits // 8
        self.lanes = VECTOR_BITS // part // bits
        self.scalar = FLOATS[bits]
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.suffix = f"v{self.lanes}f{bits}"

    def integer(self, value: int) -> Any:
        return ir.Constant(INT64, value)

    def minimum(self, x: Any, y: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed("<", x, y), x, y)

    def offset(self, *terms: tuple[Any, Any]) -> Any:
        """Return the offset in bytes of pairs of an index and a stride."""
        return functools.reduce(self.builder.add, [self.builder.mul(x, y) for x, y in terms])

    def address(self, base: Any, offset: Any) -> Any:
        """Return the address `offset` bytes behind a pointer of any type."""
        return self.builder.gep(self.builder.bitcast(base, INT8.as_pointer()), [offset])

    def lane_mask(self, width: Any) -> Any:
        """Return a mask of the first `width` lanes; of none if it is negative."""
        integers = ir.VectorType(INT64, self.lanes)
        lanes = ir.Constant(integers, [self.integer(k) for k in range(self.lanes)])
        return self.builder.icmp_signed("<", lanes, self._splat(width, integers))

    def _splat(self, value: Any, vector_type: Any) -> Any:
        undefined = ir.Constant(vector_type, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(INT32, self.lanes), [INT32(0)] * self.lanes)
        first = self.builder.insert_element(undefined, value, INT32(0))
        return self.builder.shuffle_vector(first, undefined, zeros)

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

    def _call_masked(self, name: str, result_type: Any, arguments: Sequence[Any]) -> Any:
        function_type = ir.FunctionType(result_type, [x.type for x in arguments])
        name = f"llvm.masked.{name}.{self.suffix}.p0"
        function = get_or_insert_function(self.builder.module, function_type, name)
        return self.builder.call(function, arguments)

    def load(self, address: Any, mask: Any = None) -> Any:
        """Load a vector. Masked lanes are zero."""
        pointer = self.builder.bitcast(address, self.vector.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.itemsize)
        zero = ir.Constant(self.vector, [ir.Constant(self.scalar, 0.0)] * self.lanes)
        arguments = [pointer, INT32(self.itemsize), mask, zero]
        return self._call_masked("load", self.vector, arguments)

    def store(self, value: Any, address: Any, mask: Any = None) -> None:
        """Store a vector. Memory behind masked lanes stays as it is."""
        pointer = self.builder.bitcast(address, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=self.itemsize)
        else:
            arguments = [value, pointer, INT32(self.itemsize), mask]
            self._call_masked("store", ir.VoidType(), arguments)

    def broadcast(self, address: Any) -> Any:
        """Load a scalar into all lanes."""
        pointer = self.builder.bitcast(address, self.scalar.as_pointer())
        return self._splat(self.builder.load(pointer), self.vector)

    def first_lanes(self, vector: Any) -> Any:
        """Return the first lanes of a vector, as many as vectors of this kind have."""
        if vector.type == self.vector:
            return vector
        order = ir.Constant(ir.VectorType(INT32, self.lanes), [INT32(k) for k in range(self.lanes)])
        return self.builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        """Return x y + z, rounded once."""
        function_type = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fma.{self.suffix}"
        function = get_or_insert_function(self.builder.module, function_type, name)
        return self.builder.call(function, [x, y, z])

    def prefetch(self, address: Any, level: int = 1) -> None:
        """Ask for a cache line ahead of its use. The address may be outside of any array."""
        function_type = ir.FunctionType(ir.VoidType(), [address.type, *[INT32] * 3])
        name = "llvm.prefetch.p0"
        function = get_or_insert_function(self.builder.module, function_type, name)
        self.builder.call(function, [address, INT32(0), INT32(4 - level), INT32(1)])

    def opaque(self, value: Any) -> Any:
        """Return the value through an empty instruction: LLVM keeps it in a register.

        It would otherwise compute addresses anew from their parts, in chains of additions.
        """
        same = ir.InlineAsm(ir.FunctionType(value.type, [value.type]), "", "=r,0")
        return self.builder.call(same, [value])

    def repeat(
        self, count: Any, times: int, turn: Callable[[list[Any]], list[Any]], values: list[Any]
    ) -> list[Any]:
        """Emit a loop of `count` turns, each of `times` calls of `turn` on values; return the last.

        `count` may be 0.
        """
        builder, entry = self.builder, self.builder.block
        loop, end = (builder.append_basic_block(name) for name in ("turns", "turns.end"))
        builder.cbranch(builder.icmp_signed(">", count, self.integer(0)), loop, end)
        builder.position_at_end(loop)
        phis = [builder.phi(x.type) for x in (count, *values)]
        results: list[Any] = phis[1:]
        for _ in range(times):
            results = turn(results)
        n_left = builder.sub(phis[0], self.integer(1))
        for phi, initial, result in zip(phis, (count, *values), (n_left, *results), strict=True):
            phi.add_incoming(initial, entry)
            phi.add_incoming(result, loop)
        builder.cbranch(builder.icmp_signed(">", n_left, self.integer(0)), loop, end)
        builder.position_at_end(end)
        joined = [builder.phi(x.type) for x in values]
        for phi, initial, result in zip(joined, values, results, strict=True):
            phi.add_incoming(initial, entry)
            phi.add_incoming(result, loop)
        return joined
