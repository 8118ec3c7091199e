"""A barrier for threads that run programs, and how rows are divided among them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from sknet._engine.compilation import PYTHON_MODE

# Positions in the array of a barrier, two cache lines apart, so that threads that wait for one do
# not slow down those that count at another.
ARRIVED, GENERATION, ABANDONED, SIZE = 0, 16, 32, 48

# Turns of waiting before a thread yields its core. They last longer than the slowest transfer
# between two cores (half a microsecond), and are too few to starve a thread that has no core.
SPINS = 2000


def new_barrier() -> np.ndarray:
    """Return a barrier at which no thread has arrived."""
    return np.zeros(SIZE, np.int64)


def thread_slice(n: int, block: int, thread: int, n_threads: int) -> slice:
    """Return the part of n rows that a thread takes, cut at multiples of `block`."""
    n_blocks = -(-n // block)
    begin, end = (min(n_blocks * k // n_threads * block, n) for k in (thread, thread + 1))
    return slice(begin, end)


def _atomic(operation: str) -> Any:
    """Define an intrinsic that loads, stores or adds to an element, atomically for all threads.

    It returns the value before the operation.
    """

    @intrinsic
    def atomic(typing_context: Any, counters: Any, place: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            array = make_array(sig.args[0])(context, builder, arguments[0])
            assert len(unpack_tuple(builder, array.shape)) == 1
            pointer = builder.gep(array.data, [arguments[1]])
            operand = arguments[2]
            if operation == "load":  # adding 0: LLVM turns it into a plain load
                operand = ir.Constant(ir.IntType(64), 0)
            name = "xchg" if operation == "store" else "add"
            return builder.atomic_rmw(name, pointer, operand, "seq_cst")

        return types.int64(counters, types.intp, types.int64), codegen

    return atomic


_load, _store, _add = _atomic("load"), _atomic("store"), _atomic("add")

# Elsewhere (Windows) a waiting thread keeps its core until the system takes it away.
_yield_core: Any = (
    types.ExternalFunction("sched_yield", types.int32()) if os.name == "posix" else None
)
_CAN_YIELD = _yield_core is not None


def meet(barrier, settings):
    """Wait until all of ``settings[0]`` threads have arrived; what they wrote is then visible.

    Returns 0, or 1 if the barrier was abandoned because some thread will never
    arrive.
    """
    generation = _load(barrier, GENERATION, 0)
    if _add(barrier, ARRIVED, 1) == settings[0] - 1:
        _store(barrier, ARRIVED, 0)
        _add(barrier, GENERATION, 1)
    else:
        turns = 0
        while _load(barrier, GENERATION, 0) == generation:
            if _load(barrier, ABANDONED, 0) != 0:
                return 1.0
            turns += 1
            if _CAN_YIELD and turns > SPINS:
                _yield_core()
    return 0.0


if PYTHON_MODE:  # without compilation there is one thread

    def meet(barrier, settings):
        """Return 0."""
        return 0.0


def abandon(barrier: np.ndarray) -> None:
    """Release all threads that wait at a barrier, now or later; programs then stop."""
    barrier[ABANDONED] = 1
