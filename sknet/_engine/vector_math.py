"""The arithmetic of compiled functions. Importing this module registers it with Numba.

exp and tanh are written in LLVM's intermediate representation, without branches and
calls, so that LLVM vectorises the loops over them.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import lower_builtin, type_callable

from sknet._engine.functions import difference, exp, fma, tanh
from sknet._engine.simd import FLOATS


class _Format(NamedTuple):
    """A floating-point format, and what exp needs in it.

    `degree` is that of the Taylor series. Outside of `min_x` and `max_x`, e**x is
    below the smallest normal number, or overflows.
    """

    degree: int
    mantissa_bits: int
    exponent_bits: int
    min_x: float
    max_x: float


FORMATS = {
    64: _Format(13, 52, 11, -708.3964, 709.7827),
    32: _Format(7, 23, 8, -87.33654, 88.72283),
}


class _ExpBuilder:
    """Emits e**x of a scalar as 2**n e**r with x = n log(2) + r, |r| <= log(2) / 2.

    log(2) is the sum of two numbers. The first has so few bits that n times it
    is exact. e**r - 1 is a Taylor series that ends where the next term is below
    half a unit in the last place (Cody and Waite 1980, Software manual for the
    elementary functions, chapter 6).
    """

    def __init__(self, builder: Any, bits: int) -> None:
        self.builder, self.bits, self.float = builder, bits, FLOATS[bits]
        self.format = FORMATS[bits]

    def constant(self, value: float) -> Any:
        return ir.Constant(self.float, float(value))

    def call(self, name: str, *arguments: Any) -> Any:
        """Call an intrinsic of LLVM."""
        function_type = ir.FunctionType(self.float, [self.float] * len(arguments))
        name = f"llvm.{name}.f{self.bits}"
        function = get_or_insert_function(self.builder.module, function_type, name)
        return self.builder.call(function, arguments)

    def select(self, x: Any, comparison: str, bound: float, if_true: float, if_false: Any) -> Any:
        """Return a constant where the comparison of x holds, which it never does for NaN."""
        is_true = self.builder.fcmp_ordered(comparison, x, self.constant(bound))
        return self.builder.select(is_true, self.constant(if_true), if_false)

    def clamp(self, x: Any, min_x: float, max_x: float) -> Any:
        """Return x limited to a range. NaN stays NaN."""
        x = self.select(x, "<", min_x, min_x, x)
        return self.select(x, ">", max_x, max_x, x)

    def reduce(self, x: Any) -> tuple[Any, Any]:
        """Return the integer n, and e**r - 1. e**x must neither underflow nor overflow."""
        builder, (degree, mantissa_bits, exponent_bits, _, _) = self.builder, self.format
        log2_high, log2_low = _split_log_2(mantissa_bits - exponent_bits)
        n = self.call("rint", builder.fmul(x, self.constant(1 / math.log(2))))
        r = self.call("fma", n, self.constant(-log2_high), x)
        r = self.call("fma", n, self.constant(-log2_low), r)
        series = self.constant(1 / math.factorial(degree))
        for k in range(degree - 1, 1, -1):
            series = self.call("fma", series, r, self.constant(1 / math.factorial(k)))
        expm1 = self.call("fma", builder.fmul(r, r), series, r)
        return builder.fptosi(n, ir.IntType(self.bits)), expm1

    def scale(self, x: Any, n: Any) -> Any:
        """Return 2**n x, which must be a normal number, as x is.

        n is added to the exponent of x. 2**n itself may overflow where 2**n x does not.
        """
        integer = ir.IntType(self.bits)
        exponent = self.builder.shl(n, ir.Constant(integer, self.format.mantissa_bits))
        bits = self.builder.add(self.builder.bitcast(x, integer), exponent)
        return self.builder.bitcast(bits, self.float)


def _split_log_2(n_bits: int) -> tuple[float, float]:
    """Return log(2) as the sum of a number of `n_bits` bits and a small one."""
    high = round(math.log(2) * 2**n_bits) / 2**n_bits
    return high, float(Decimal(2).ln() - Decimal(high))


def _lower_exp(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    emit, x = _ExpBuilder(builder, sig.args[0].bitwidth), arguments[0]
    min_x, max_x = emit.format.min_x, emit.format.max_x
    n, expm1 = emit.reduce(emit.clamp(x, min_x, max_x))
    value = emit.scale(builder.fadd(expm1, emit.constant(1)), n)
    value = emit.select(x, "<", min_x, 0.0, value)
    return emit.select(x, ">", max_x, math.inf, value)


def _lower_tanh(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    """Emit tanh(x) = t / (t + 2) with t = e**2x - 1, which is precise for small x, too.

    Beyond 20 the result is 1 in both formats.
    """
    emit = _ExpBuilder(builder, sig.args[0].bitwidth)
    x = emit.clamp(arguments[0], -20.0, 20.0)
    n, expm1 = emit.reduce(builder.fadd(x, x))
    power = emit.scale(emit.constant(1), n)
    t = emit.call("fma", power, expm1, builder.fsub(power, emit.constant(1)))
    return builder.fdiv(t, builder.fadd(t, emit.constant(2)))


def _lower_fma(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    return _ExpBuilder(builder, sig.args[0].bitwidth).call("fma", *arguments)


def _lower_difference(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    """Emit a difference behind a fence, through which LLVM does not move other sums."""
    value = builder.fsub(*arguments)
    kind = ir.FunctionType(value.type, [value.type])
    fence = builder.module.declare_intrinsic("llvm.arithmetic.fence", [value.type], kind)
    return builder.call(fence, [value])


for _function, _lower in ((exp, _lower_exp), (tanh, _lower_tanh)):
    type_callable(_function)(lambda context: lambda x: x)
    for _type in (types.float32, types.float64):
        lower_builtin(_function, _type)(_lower)

type_callable(fma)(lambda context: lambda x, y, z: x if x == y == z else None)
type_callable(difference)(lambda context: lambda x, y: x if x == y else None)
for _type in (types.float32, types.float64):
    lower_builtin(fma, _type, _type, _type)(_lower_fma)
    lower_builtin(difference, _type, _type)(_lower_difference)
