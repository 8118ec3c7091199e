"""Everything about compilation: options, the roles' signatures, the cache.

Kernels are Numba functions that call the network's parts (activation, loss,
optimiser, matrix products) through *addresses*. A part's plain function is
compiled on demand to a C function of the signature its role prescribes, its
address goes into an integer array, and the kernel calls through that. So a
part never enters the type of a kernel: a combination not used before compiles
only its new parts, and every compilation is found in the disk cache again.

A call through a wrong address or signature would crash the process; this
module alone makes both, from one table.

With ``NUMBA_DISABLE_JIT=1`` the same kernels run as plain Python.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from sknet._simd import VECTOR_BITS

# nnan and ninf stay out: a diverging loss has to stay visible as NaN.
# The NumPy error model drops the zero checks that keep a division scalar.
OPTIONS: dict[str, Any] = {
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "error_model": "numpy",
}
PYTHON_MODE = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]


class Array(NamedTuple):
    """An array argument of a role, in the dtype of the parameters."""

    ndim: int
    readonly: bool
    layout: Literal["C", "A"] = "C"


IN_1D, IN_2D, IN_ANY_STRIDES = Array(1, True), Array(2, True), Array(2, True, "A")
OUT_1D, OUT_2D = Array(1, False), Array(2, False)

_signatures: dict[str, Callable[[types.Float], Any]] = {}
_compiled: dict[tuple[Callable[..., Any], str, str], Any] = {}
_compiling = threading.RLock()


def _with_parameters(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    # Intrinsics take no star arguments, but go by the signature that a function declares.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    return function


def _role(role: str, *, returns: types.Type = types.void, **arguments: Array) -> Callable[..., Any]:
    """Define a role and return the function by which kernels call its holder.

    The returned function takes the holder's address, then the arguments.
    """

    def signature(dtype: types.Float) -> Any:
        return returns(
            *(types.Array(dtype, a.ndim, a.layout, a.readonly) for a in arguments.values())
        )

    _signatures[role] = signature
    if PYTHON_MODE:
        return lambda address, *values: _python_functions[address](*values)

    def call(typing_context: Any, address: Any, *values: Any) -> Any:
        sig = signature(values[0].dtype)

        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            result = ir.VoidType() if returns == types.void else context.get_value_type(returns)
            operands = [context.get_value_type(a) for a in sig.args[1:]]
            pointer = builder.inttoptr(arguments[0], ir.FunctionType(result, operands).as_pointer())
            value = builder.call(pointer, arguments[1:])
            return context.get_dummy_value() if returns == types.void else value

        return sig.return_type(types.int64, *sig.args), codegen

    return intrinsic(_with_parameters(call, ("typing_context", "address", *arguments)))


# The roles. A parameter that is only read is declared read-only, which a
# writeable array converts to for free: users' read-only data needs no copy.
call_product = _role("product", A=IN_ANY_STRIDES, B=IN_2D, bias=IN_1D, out=OUT_2D)
call_forward = _role("forward", a=OUT_1D)
call_backward = _role("backward", z=IN_1D, a=IN_1D, delta=OUT_1D)
call_link = _role("link", scores=OUT_2D)
call_loss = _role(
    "loss",
    returns=types.float64,
    scores=IN_2D,
    targets=IN_2D,
    weights=IN_1D,
    delta=OUT_2D,
)
call_step = _role("step", params=OUT_1D, grad=IN_1D, slots=OUT_2D, constants=IN_1D)

_python_functions: dict[int, Callable[..., Any]] = {}


def address(function: Callable[..., Any], role: str, dtype: np.dtype[Any]) -> int:
    """Compile `function` for `role` in `dtype`, once, and return its address.

    Parameters
    ----------
    function : callable
        A plain Python function in Numba's subset of the language.
    role : str
        Key of the signature table of this module.
    dtype : dtype
        float32 or float64: the dtype of the network's parameters.

    Returns
    -------
    int
        Valid until the process ends.
    """
    key = (function, role, np.dtype(dtype).name)
    with _compiling:  # one object for each key, kept for ever: its code must never be freed
        if key not in _compiled:
            if PYTHON_MODE:
                _compiled[key] = len(_python_functions)
                _python_functions[_compiled[key]] = function
            else:
                signature = _signatures[role](numba.from_dtype(np.dtype(dtype)))
                _compiled[key] = _c_function(function, signature)
        holder = _compiled[key]
    return holder if PYTHON_MODE else holder.address


def _c_function(function: Callable[..., Any], signature: Any) -> CFunc:
    # What numba.cfunc does, with our stamp put in before the cache is read.
    compiled = CFunc(function, (signature.args, signature.return_type), {}, dict(OPTIONS))
    try:
        compiled.enable_caching()
    except RuntimeError:
        _warn_of_missing_cache()
    else:
        _stamp(compiled)
    compiled.compile()
    return compiled


def inner(function: Callable[..., Any]) -> Any:
    """Decorate a function that kernels alone call. Without a wrapper, Python must not call it."""
    if PYTHON_MODE:
        return function
    return numba.njit(nogil=True, no_cpython_wrapper=True, **OPTIONS)(function)  # type: ignore


def kernel(function: Callable[..., Any]) -> Any:
    """Decorate a function of arrays and addresses: compiled lazily, cached, without the GIL."""
    if PYTHON_MODE:
        return function
    try:
        dispatcher = numba.njit(nogil=True, cache=True, **OPTIONS)(function)
    except RuntimeError:
        _warn_of_missing_cache()
        return numba.njit(nogil=True, **OPTIONS)(function)
    _stamp(dispatcher)
    return dispatcher


@cache
def _warn_of_missing_cache() -> None:
    warnings.warn(
        "Numba found no writeable folder for its cache, so sknet compiles its kernels anew in "
        "every process (some seconds at the first fit). To keep them, set the environment "
        "variable NUMBA_CACHE_DIR to a writeable folder before Python starts.",
        RuntimeWarning,
        stacklevel=3,
    )


@cache
def _package_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamp(compiled: Any) -> None:
    """Make a cache entry stale whenever any file of the package changes.

    Numba looks at the time and size of the function's own file only, and would
    serve a kernel that has an older version of another file compiled into it.
    """
    file: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):  # private to Numba; tests/test_jit.py sees that it works
        file._source_stamp = (file._source_stamp, _package_digest(), VECTOR_BITS)


def _view(ndim: int) -> Any:
    """Define an intrinsic that views part of a flat array as an array of `ndim` dimensions.

    Slicing and reshaping would say the same, but cost ten times the compilation.
    """
    if PYTHON_MODE:
        return lambda flat, start, *shape: flat[start : start + math.prod(shape)].reshape(shape)

    def view(typing_context: Any, flat: Any, start: Any, *shape: Any) -> Any:
        result = flat.copy(ndim=ndim)

        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            source = make_array(sig.args[0])(context, builder, arguments[0])
            itemsize = context.get_constant(types.intp, sig.args[0].dtype.bitwidth // 8)
            lengths, strides = arguments[2:], [itemsize]
            for length in lengths[:0:-1]:
                strides.insert(0, builder.mul(strides[0], length))
            out = make_array(result)(context, builder)
            populate_array(
                out,
                data=builder.gep(source.data, [arguments[1]]),
                shape=lengths,
                strides=strides,
                itemsize=itemsize,
                meminfo=source.meminfo,
            )
            return impl_ret_borrowed(context, builder, result, out._getvalue())

        return result(flat, types.intp, *[types.intp] * ndim), codegen

    names = ("typing_context", "flat", "start", *(f"length_{i}" for i in range(ndim)))
    return intrinsic(_with_parameters(view, names))


vector = _view(1)
matrix = _view(2)


def frozen(array: np.ndarray) -> np.ndarray:
    """Return a read-only view: one type, so one compilation, for whatever users pass in."""
    view = array.view()
    view.flags.writeable = False
    return view
