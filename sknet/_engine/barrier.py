"""Threads that run one network together: the barrier where they meet, and their shares."""

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

# Places in the array of a barrier, a cache line or two apart, so that threads
# waiting for one do not slow down those counting at the other.
ARRIVED, GENERATION, SIZE = 0, 16, 32

# Turns to wait in before giving the core away: enough for the slowest hand-over
# between cores (half a microsecond), too few to starve a thread without a core.
SPINS = 2000


def barrier() -> np.ndarray:
    """Return a barrier that nobody has come to yet."""
    return np.zeros(SIZE, np.int64)


def share(n: int, grain: int, thread: int, n_threads: int) -> slice:
    """Return a thread's part of n things, cut at multiples of `grain`."""
    grains = -(-n // grain)
    begin, end = (min(grains * k // n_threads * grain, n) for k in (thread, thread + 1))
    return slice(begin, end)


def _atomic(operation: str) -> Any:
    """Define an intrinsic that loads from, stores to or adds to an element for all threads to see.

    It returns what stood there before.
    """

    @intrinsic
    def atomic(typing_context: Any, counters: Any, place: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            array = make_array(sig.args[0])(context, builder, arguments[0])
            assert len(unpack_tuple(builder, array.shape)) == 1
            pointer = builder.gep(array.data, [arguments[1]])
            operand = arguments[2]
            if operation == "load":  # adding nothing: LLVM makes it a plain load
                operand = ir.Constant(ir.IntType(64), 0)
            name = "xchg" if operation == "store" else "add"
            return builder.atomic_rmw(name, pointer, operand, "seq_cst")

        return types.int64(counters, types.intp, types.int64), codegen

    return atomic


_load, _store, _add = _atomic("load"), _atomic("store"), _atomic("add")

# Elsewhere (Windows) a waiting thread keeps its core until the system takes it.
_give_way: Any = (
    types.ExternalFunction("sched_yield", types.int32()) if os.name == "posix" else None
)
_CAN_GIVE_WAY = _give_way is not None


def _meet(barrier, settings):
    generation = _load(barrier, GENERATION, 0)
    if _add(barrier, ARRIVED, 1) == settings[0] - 1:
        _store(barrier, ARRIVED, 0)
        _add(barrier, GENERATION, 1)
    else:
        turns = 0
        while _load(barrier, GENERATION, 0) == generation:
            turns += 1
            if _CAN_GIVE_WAY and turns > SPINS:
                _give_way()


def _pass_by(barrier, settings):
    pass


# Returns once all of settings[0] threads have come; what they wrote is then seen.
# Without compilation there is one thread.
meet = _pass_by if PYTHON_MODE else _meet
