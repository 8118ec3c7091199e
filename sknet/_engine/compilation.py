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

import gc
import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc
from numba.core.cgutils import for_range, get_or_insert_function
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from sknet._engine import vector_math  # noqa: F401  (registers exp and tanh with Numba)
from sknet._engine.simd import VECTOR_BITS
from sknet._engine.views import array_at

# nnan and ninf stay out: a diverging loss has to stay visible as NaN.
# The NumPy error model drops the zero checks that keep a division scalar.
OPTIONS: dict[str, Any] = {
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "error_model": "numpy",
}
PACKAGE = Path(__file__).parents[1]
PYTHON_MODE = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]


class Array(NamedTuple):
    """An array argument of a role, in the dtype of the parameters unless another is said.

    Layouts: "C" is contiguous, "rows" has contiguous rows at any distance from
    each other, "any" has any strides.
    """

    ndim: int
    readonly: bool
    layout: Literal["C", "rows", "any"] = "C"
    dtype: types.Type | None = None

    def type(self, dtype: types.Type) -> types.Array:
        """Return Numba's type of the argument."""
        layout: Any = "C" if self.layout == "C" else "A"
        return types.Array(self.dtype or dtype, self.ndim, layout, self.readonly)


class Role(NamedTuple):
    """What the functions of one kind take and return, and the number by which kernels know it."""

    number: int
    arguments: dict[str, Array]
    returns: types.Type

    def signature(self, dtype: types.Type) -> Any:
        """Return Numba's signature in a dtype of parameters."""
        return self.returns(*(a.type(dtype) for a in self.arguments.values()))


IN_1D, IN_2D, OUT_1D, OUT_2D = (Array(n, r) for r in (True, False) for n in (1, 2))
IN_ROWS, OUT_ROWS = Array(2, True, "rows"), Array(2, False, "rows")
IN_ANY = Array(2, True, "any")
INTS, INTS_32 = Array(1, True, dtype=types.int64), Array(1, True, dtype=types.int32)
IN_DOUBLES, OUT_DOUBLES = (Array(1, r, dtype=types.float64) for r in (True, False))

ROLES: dict[str, Role] = {}


def _role(name: str, *, returns: types.Type = types.void, **arguments: Array) -> None:
    ROLES[name] = Role(len(ROLES), arguments, returns)


# A parameter that is only read is declared read-only, which a writeable array
# converts to for free: users' read-only data needs no copy.
_role(
    "product",
    A=IN_ANY, B=IN_ANY, bias=IN_1D, scratch=OUT_1D, out=OUT_ROWS,
)  # fmt: skip
_role("forward", a=OUT_1D)
_role("backward", z=IN_1D, a=IN_1D, delta=OUT_1D)
_role("link", scores=OUT_2D, settings=IN_1D)
_role(
    "loss",
    scores=IN_2D, targets=IN_2D, weights=IN_1D, settings=IN_1D, delta=OUT_2D, values=OUT_DOUBLES,
)  # fmt: skip
_role("step", params=OUT_1D, grad=IN_1D, slots=OUT_2D, constants=IN_1D)
_role(
    "update",
    params=OUT_1D, grad=IN_1D, scaled=OUT_1D, slots=OUT_1D, constants=IN_1D, state=IN_DOUBLES,
    penalties=OUT_DOUBLES, settings=INTS,
)  # fmt: skip
_role("decay", params=OUT_1D, state=IN_DOUBLES, settings=INTS)
_role(
    "add_l1_subgradient",
    params=IN_1D, grad=OUT_1D, before=OUT_1D, state=IN_DOUBLES, magnitudes=OUT_DOUBLES,
    settings=INTS,
)  # fmt: skip
_role("project_to_orthant", params=OUT_1D, grad=IN_1D, before=IN_1D, settings=INTS)
_role("squared_norms", grad=IN_1D, squares=OUT_DOUBLES)
_role(
    "clipped_step",
    params=OUT_1D, grad=OUT_1D, slots=OUT_1D, constants=IN_1D, state=IN_DOUBLES, settings=INTS,
)  # fmt: skip
_role("average", params=IN_1D, state=IN_DOUBLES, out=OUT_1D)
_role("drop", a=OUT_ROWS, rate=IN_1D, clock=INTS, settings=INTS)
_role("add_noise", a=OUT_ROWS, deviation=IN_1D, clock=INTS, settings=INTS)
_role("gather", source=IN_2D, index=INTS, out=OUT_ROWS)
_role("clear", out=OUT_1D)
_role("copy", source=IN_1D, out=OUT_1D)
_role("add", more=IN_1D, out=OUT_1D)
_role("sum", values=IN_DOUBLES, returns=types.float64)
_role(
    "csr_affine",
    data=IN_1D, indices=INTS_32, indptr=INTS, index=INTS, W=IN_2D, b=IN_1D, out=OUT_ROWS,
)  # fmt: skip
_role(
    "csr_weight_gradient",
    data=IN_1D, indices=INTS_32, indptr=INTS, index=INTS, delta=IN_ROWS, out=OUT_ROWS,
)  # fmt: skip
_role("meet", barrier=Array(1, False, dtype=types.int64), settings=INTS)

_compiled: dict[tuple[Callable[..., Any], str, str], Any] = {}
_compiling = threading.RLock()


def address(function: Callable[..., Any], role: str, dtype: np.dtype[Any]) -> int:
    """Compile `function` for `role` in `dtype`, once, and return its address.

    Parameters
    ----------
    function : callable
        A plain Python function in Numba's subset of the language.
    role : str
        Key of the table of roles.
    dtype : dtype
        float32 or float64: the dtype of the network's parameters.

    Returns
    -------
    int
        Valid until the process ends.
    """
    key = (function, role, np.dtype(dtype).name)
    found: Any = _compiled.get(key)
    if found is None:
        with _compiling:  # one object for each key, kept for ever: its code must never be freed
            found = _compiled.get(key)
            if found is None:
                if PYTHON_MODE:
                    _python_functions.append(function)
                    found = len(_python_functions) - 1
                else:
                    signature = ROLES[role].signature(numba.from_dtype(np.dtype(dtype)))
                    with _no_garbage_collection():
                        found = _c_function(function, signature)
                _compiled[key] = found
    return found if PYTHON_MODE else found.address


_python_functions: list[Callable[..., Any]] = []


def instruction(
    role: str,
    function: Callable[..., Any],
    dtype: np.dtype[Any],
    arguments: Sequence[np.ndarray],
    result: np.ndarray | None = None,
) -> Any:
    """Return a call of a compiled function as `execute` takes it.

    Parameters
    ----------
    role : str
        Key of the table of roles.
    function : callable
        As for :func:`address`.
    dtype : dtype
        The dtype of the network's parameters.
    arguments : sequence of ndarray
        What the role asks for. They must live as long as the instruction.
    result : ndarray of shape (1,), default=None
        Where to leave what the function returns, in float64.

    Returns
    -------
    ndarray of shape (WIDTH,)
        Role, function, result; then of each array its address and shape, and
        of a matrix its strides.

    Raises
    ------
    TypeError
        If an argument is not of the kind that the role asks for: the call
        would read or write memory that belongs to something else.
    """
    if PYTHON_MODE:
        return function, arguments, result
    row = np.zeros(WIDTH, np.int64)
    number, specs, _ = ROLES[role]
    code = [number, address(function, role, dtype), 0 if result is None else _start(result)]
    for (name, spec), array in zip(specs.items(), arguments, strict=True):
        wanted = dtype if spec.dtype is None else np.dtype(spec.dtype.name)
        if (
            array.dtype != wanted
            or array.ndim != spec.ndim
            or not (array.flags.c_contiguous or spec.layout != "C")
            or not (array.flags.writeable or spec.readonly)
            or (spec.layout == "rows" and array.size and array.strides[1] != array.itemsize)
        ):
            raise TypeError(
                f"{name} of the role {role!r} must be {wanted}, {spec}; got {array.dtype} of "
                f"shape {array.shape} and strides {array.strides}."
            )
        code += [_start(array), *array.shape]
        if spec.ndim == 2:
            code += array.strides
    row[: len(code)] = code
    return row


def _start(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


WIDTH = 24
_ROLE, _FUNCTION, _RESULT, _ARGUMENTS = range(4)


def _call(builder: Any, context: Any, function: Any, sig: Any, operands: Sequence[Any]) -> Any:
    """Call the C function at an address."""
    returns = sig.return_type
    result = ir.VoidType() if returns == types.void else context.get_value_type(returns)
    kinds = [context.get_value_type(a) for a in sig.args]
    pointer = builder.inttoptr(function, ir.FunctionType(result, kinds).as_pointer())
    return builder.call(pointer, operands)


if PYTHON_MODE:

    def execute(program: Any, begin: int, end: int, like: np.ndarray) -> None:
        """Carry out instructions, one after the other."""
        for function, arguments, result in program[begin:end]:
            value = function(*arguments)
            if result is not None:
                result[0] = value

    def call_step(address: int, *arguments: Any) -> None:
        """Call an optimiser's step by its address."""
        _python_functions[address](*arguments)

else:

    @intrinsic
    def execute(typing_context: Any, program: Any, begin: Any, end: Any, like: Any) -> Any:
        """Carry out instructions, one after the other; parameters have the dtype of `like`."""

        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            table = make_array(sig.args[0])(context, builder, arguments[0]).data
            function = _interpreter(context, builder.module, like.dtype)
            builder.call(function, [table, *arguments[1:3]])
            return context.get_dummy_value()

        return types.void(program, types.intp, types.intp, like), codegen

    def _interpreter(context: Any, module: Any, dtype: Any) -> Any:
        """Return what carries out instructions: one function for all calls in a module."""
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word.as_pointer(), word, word])
        function = get_or_insert_function(module, kind, f"sknet.execute.{dtype}")
        if not function.is_declaration:
            return function
        function.linkage = "internal"
        function.attributes.add("noinline")
        table, begin, end = function.args
        builder = ir.IRBuilder(function.append_basic_block())
        with for_range(builder, end, begin) as loop:
            first = builder.mul(loop.index, word(WIDTH))

            def words(start: int, stop: int) -> list[Any]:
                places = [builder.add(first, word(k)) for k in range(start, stop)]
                return [builder.load(builder.gep(table, [place])) for place in places]

            number, address, result = words(_ROLE, _ARGUMENTS)
            after = builder.append_basic_block("next")
            switch = builder.switch(number, after)
            for role in ROLES.values():
                block = builder.append_basic_block("role")
                switch.add_case(word(role.number), block)
                builder.position_at_end(block)
                signature = role.signature(dtype)
                operands, k = [], _ARGUMENTS
                for array in signature.args:
                    n = 1 + array.ndim + (array.ndim if array.ndim == 2 else 0)
                    operands.append(array_at(builder, context, array, words(k, k + n)))
                    k += n
                value = _call(builder, context, address, signature, operands)
                if role.returns != types.void:
                    builder.store(value, builder.inttoptr(result, value.type.as_pointer()))
                builder.branch(after)
            builder.position_at_end(after)
        builder.ret_void()
        return function

    @intrinsic
    def call_step(
        typing_context: Any, address: Any, params: Any, grad: Any, slots: Any, constants: Any
    ) -> Any:
        """Call an optimiser's step by its address."""
        signature = ROLES["step"].signature(params.dtype)

        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            _call(builder, context, arguments[0], signature, arguments[1:])
            return context.get_dummy_value()

        return types.void(types.int64, *signature.args), codegen


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Compilation makes millions of objects that live on: searching them costs a tenth of it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _stamp(compiled: Any) -> None:
    """Make a cache entry stale whenever any file of the package changes.

    Numba looks at the time and size of the function's own file only, and would
    serve a kernel that has an older version of another file compiled into it.
    """
    file: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):  # private to Numba; tests/test_jit.py sees that it works
        file._source_stamp = (file._source_stamp, _package_digest(), VECTOR_BITS)


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a read-only view: one type, so one compilation, for whatever users pass in."""
    view = array.view()
    view.flags.writeable = False
    return view
