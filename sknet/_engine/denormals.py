"""Numbers below the smallest normal one count as zero inside of programs.

Denormal numbers are those between 0 and the smallest normal number, 1.2e-38 in
float32 and 2.2e-308 in float64. Each operation on one takes a hundred cycles or
more on most processors. Moments of optimisers and derivatives reach them as
training converges. Processors have a flag for each thread that replaces them by
zero: https://en.wikipedia.org/wiki/Subnormal_number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import binding, ir
from numba.core.cgutils import alloca_once, get_or_insert_function

INT64, INT32 = ir.IntType(64), ir.IntType(32)
POINTER = ir.IntType(8).as_pointer()

# Bits of the control register: in MXCSR "flush to zero" for results and "denormals are zero" for
# operands, in FPCR "flush to zero" for both.
MXCSR_FLAGS, FPCR_FLAGS = 0x8040, 1 << 24

_ARCHITECTURE = binding.get_process_triple().split("-")[0]


@contextmanager
def denormals_are_zero(builder: Any) -> Iterator[None]:
    """Emit what sets the flags of the running thread before the block, and restores them after it.

    Processors other than x86-64 and AArch64 go on as they are.
    """
    if _ARCHITECTURE == "x86_64":
        place = alloca_once(builder, INT32)
        changed = alloca_once(builder, INT32)
        _call(builder, "x86.sse.stmxcsr", ir.VoidType(), builder.bitcast(place, POINTER))
        flags = builder.or_(builder.load(place), INT32(MXCSR_FLAGS))
        builder.store(flags, changed)
        _call(builder, "x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(changed, POINTER))
        yield
        _call(builder, "x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(place, POINTER))
    elif _ARCHITECTURE in ("aarch64", "arm64"):
        saved = _call(builder, "aarch64.get.fpcr", INT64)
        _call(builder, "aarch64.set.fpcr", ir.VoidType(), builder.or_(saved, INT64(FPCR_FLAGS)))
        yield
        _call(builder, "aarch64.set.fpcr", ir.VoidType(), saved)
    else:
        yield


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call an intrinsic of LLVM."""
    kind = ir.FunctionType(result, [x.type for x in arguments])
    return builder.call(get_or_insert_function(builder.module, kind, f"llvm.{name}"), arguments)
