"""The most that one core can do: a loop of nothing but vector multiply-adds, in registers.

Twelve independent sums, enough to keep two units of four cycles' latency busy
and few enough for 16 registers. Run as a script it prints GFLOP/s.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from sknet._engine.simd import VECTOR_BITS

SUMS = 12
TURNS = 1_000_000


@intrinsic
def _multiply_add(typing_context: Any, n: Any, x: Any, y: Any) -> Any:
    """Repeat `sum = sum * x + y` n times for all sums; return the total."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        count, *factors = arguments
        lanes = VECTOR_BITS // x.bitwidth
        vector = ir.VectorType(factors[0].type, lanes)

        def spread(value: Any) -> Any:
            undefined = ir.Constant(vector, ir.Undefined)
            first = builder.insert_element(undefined, value, ir.IntType(32)(0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            return builder.shuffle_vector(first, undefined, mask)

        a, b = map(spread, factors)
        name = f"llvm.fma.v{lanes}f{x.bitwidth}"
        fma = get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        before = builder.block
        body, after = (builder.append_basic_block(name) for name in ("turns", "after"))
        builder.branch(body)
        builder.position_at_end(body)
        turn = builder.phi(count.type)
        turn.add_incoming(count, before)
        sums = [builder.phi(vector) for _ in range(SUMS)]
        for k, total in enumerate(sums):
            start = [float(k + lane) for lane in range(lanes)]
            total.add_incoming(ir.Constant(vector, start), before)
        left = builder.sub(turn, count.type(1))
        turn.add_incoming(left, body)
        results = [builder.call(fma, [total, a, b]) for total in sums]
        for total, result in zip(sums, results, strict=True):
            total.add_incoming(result, body)
        builder.cbranch(builder.icmp_signed(">", left, count.type(0)), body, after)
        builder.position_at_end(after)
        total = results[0]
        for result in results[1:]:
            total = builder.fadd(total, result)
        scalar = builder.extract_element(total, ir.IntType(32)(0))
        for lane in range(1, lanes):
            scalar = builder.fadd(scalar, builder.extract_element(total, ir.IntType(32)(lane)))
        return scalar

    return x(types.int64, x, x), codegen


@numba.njit
def _run(n, x, y):
    return _multiply_add(n, x, y)


def peak(dtype: str, repeats: int = 15) -> float:
    """Return the best of several runs, in GFLOP/s of one core."""
    x, y = (np.dtype(dtype).type(value) for value in (0.999, 0.001))
    _run(1, x, y)
    best = float("inf")
    for _ in range(repeats):
        start = perf_counter()
        _run(TURNS, x, y)
        best = min(best, perf_counter() - start)
    return 2 * SUMS * TURNS * (VECTOR_BITS // (8 * x.itemsize)) / best / 1e9


if __name__ == "__main__":
    print(peak(sys.argv[1]))
