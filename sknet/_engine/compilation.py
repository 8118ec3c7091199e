"""Compilation: options, compiled functions and their addresses.

Kernels are Numba functions that call the network's parts (activation, loss,
optimiser, matrix product) through *addresses*. A part's plain function is
compiled on demand to a C function, and kernels call it by its address. A part
therefore never enters the type of a kernel: a combination of parts that was not
used before compiles only the parts that are new, and the cache on disk holds
every one of them for the next process.

With ``NUMBA_DISABLE_JIT=1`` the same kernels run as plain Python.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numba
import numpy as np
from numba.core.ccallback import CFunc

from sknet._engine import vector_math, views  # noqa: F401  # register compiled forms
from sknet._engine.cache import keep_on_disk
from sknet._engine.uninterrupted import uninterrupted

# nnan and ninf stay out: a diverging loss has to stay visible as NaN.
# The NumPy error model leaves out the check for zero that keeps a division scalar.
OPTIONS: dict[str, Any] = {
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "error_model": "numpy",
}
# LLVM may fuse or reorder operations in the vectorised body of a loop in another way than in its
# remainder. Where a loop runs over the elements of all rows, it must not: the result of a row would
# depend on where it stands.
ELEMENTWISE_OPTIONS: dict[str, Any] = {**OPTIONS, "fastmath": {"nsz"}}
PYTHON_MODE = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]

# Compiled functions by function and signature. They are never removed, since programs hold their
# addresses.
_compiled: dict[tuple[Callable[..., Any], str], CFunc] = {}

# Kernels and the kinds of arguments that they are compiled for.
_ready: set[tuple[Any, ...]] = set()

# With NUMBA_DISABLE_JIT=1 a function's address is its index in this list.
python_functions: list[Callable[..., Any]] = []


def address(function: Callable[..., Any], signature: Any, *, elementwise: bool = False) -> int:
    """Compile a function once, and return its address.

    Parameters
    ----------
    function : callable
        A plain Python function in Numba's subset of the language.
    signature : numba.core.typing.Signature
        What it takes and returns.
    elementwise : bool, default=False
        Whether an element of the result depends on the elements at its place alone.
        It has the same bits at every place then.

    Returns
    -------
    int
        Valid until the process ends.
    """
    key = function, str(signature)
    found = _compiled.get(key)
    if found is None:
        options = ELEMENTWISE_OPTIONS if elementwise else OPTIONS
        found = _timed(lambda: _compile_once(key, signature, options))
    return found if PYTHON_MODE else found.address  # type: ignore[return-value]


def _compile_once(
    key: tuple[Callable[..., Any], str], signature: Any, options: dict[str, Any]
) -> Any:
    found: Any = _compiled.get(key)
    if found is None:
        if PYTHON_MODE:
            python_functions.append(key[0])
            found = len(python_functions) - 1
        else:
            with _garbage_collection_paused():
                found = _c_function(key[0], signature, options)
        _compiled[key] = found
    return found


def compile_kernel(kernel: Any, arguments: Sequence[Any]) -> None:
    """Compile a kernel for the types of its arguments, before its first call."""
    if PYTHON_MODE:
        return
    kinds = kernel, *map(_kind, arguments)
    if kinds in _ready:
        return
    types = tuple(numba.typeof(argument) for argument in arguments)
    if types not in kernel.overloads:

        def compile_once() -> None:
            with _garbage_collection_paused():
                kernel.compile(types)

        _timed(compile_once)
    _ready.add(kinds)


def _kind(argument: Any) -> Any:
    """Return what tells types of Numba apart. It may differ for one type, but is found sooner."""
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.num
    return type(argument)


_clock = threading.local()


def seconds_compiling() -> float:
    """Return how long this thread has compiled so far, or waited for other compilations."""
    return getattr(_clock, "seconds", 0.0)


def _timed(compile_once: Callable[[], Any]) -> Any:
    """Return what a compilation returns. Nothing cuts it short, and its time is noted."""
    start = perf_counter()
    try:
        return uninterrupted(compile_once)
    finally:
        _clock.seconds = seconds_compiling() + perf_counter() - start


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Compilation makes millions of objects that live on: searching them costs a tenth of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _c_function(function: Callable[..., Any], signature: Any, options: dict[str, Any]) -> CFunc:
    # This is what numba.cfunc does, with a cache of our own.
    compiled = CFunc(function, (signature.args, signature.return_type), {}, dict(options))
    keep_on_disk(compiled, function)
    compiled.compile()
    return compiled


def kernel(function: Callable[..., Any]) -> Any:
    """Decorate a function that runs programs: compiled lazily, cached, without the GIL."""
    if PYTHON_MODE:
        return function
    dispatcher = numba.njit(nogil=True, **OPTIONS)(function)
    keep_on_disk(dispatcher, function)
    return dispatcher


def start_address(array: np.ndarray) -> int:
    """Return the address of an array's first element."""
    return array.__array_interface__["data"][0]
