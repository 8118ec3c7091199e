"""Programs: calls of compiled functions, put together in Python and run without it.

A program is a table of instructions. Each names a compiled function by its
address and its arrays by address, shape and strides. A call through a wrong
address, signature or shape would crash the process. This module alone makes
instructions, out of one table of roles, and checks every array it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import for_range, get_or_insert_function
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from sknet._engine.compilation import (
    PYTHON_MODE,
    address,
    kernel,
    python_functions,
    start_address,
)
from sknet._engine.denormals import denormals_are_zero
from sknet._engine.views import array_at

Layout = Literal["C", "rows", "rows or columns", "any"]


class Array(NamedTuple):
    """An array argument of a role.

    Attributes
    ----------
    shape : tuple of str
        A symbol for each dimension. Dimensions of one call that share a symbol
        must be equal; "?" is any length.
    readonly : bool
        Whether the function leaves the array as it is. Such an argument also
        takes read-only arrays, so users' data need no copy.
    layout : {'C', 'rows', 'rows or columns', 'any'}
        "C" is contiguous, "rows" has contiguous rows at any distance from each
        other, "rows or columns" has contiguous rows or contiguous columns, "any"
        has any strides.
    dtype : numba type, default=None
        None is the dtype of the parameters.
    """

    shape: tuple[str, ...]
    readonly: bool
    layout: Layout = "C"
    dtype: types.Type | None = None

    def type(self, dtype: types.Type) -> types.Array:
        """Return Numba's type of the argument."""
        layout: Any = "C" if self.layout == "C" else "A"
        return types.Array(self.dtype or dtype, len(self.shape), layout, self.readonly)


class Role(NamedTuple):
    """What the functions of one kind take and return, and the number by which kernels know it.

    Attributes
    ----------
    number : int
    arguments : dict of str to Array
    returns : numba type
    elementwise : bool
        Whether an element of the result depends on the elements at its place alone.
    """

    number: int
    arguments: dict[str, Array]
    returns: types.Type
    elementwise: bool = False

    def signature(self, dtype: types.Type) -> Any:
        """Return Numba's signature in a dtype of parameters."""
        return self.returns(*(a.type(dtype) for a in self.arguments.values()))


def _in(*shape: str, layout: Layout = "C", dtype: Any = None) -> Array:
    return Array(shape, True, layout, dtype)


def _out(*shape: str, layout: Layout = "C", dtype: Any = None) -> Array:
    return Array(shape, False, layout, dtype)


ROLES: dict[str, Role] = {}


def _role(
    name: str,
    *,
    returns: types.Type = types.void,
    elementwise: bool = False,
    **arguments: Array,
) -> None:
    ROLES[name] = Role(len(ROLES), arguments, returns, elementwise)


INT, INT_32, DOUBLE = types.int64, types.int32, types.float64

# The name of a function is its role (see `role_of` for one exception). Roles are numbered by their
# position here, and compiled code holds the numbers: they must not depend on the order of imports.
_role(
    "product",
    A=_in("m", "k", layout="any"), B=_in("k", "n", layout="rows or columns"), bias=_in("n"),
    scratch=_out("?"), out=_out("m", "n", layout="rows"),
)  # fmt: skip
_role("forward", elementwise=True, a=_out("n"))
_role("backward", elementwise=True, z=_in("?"), a=_in("n"), delta=_out("n"))
_role("link", scores=_out("n", "c"), settings=_in("?"))
_role(
    "loss",
    scores=_in("n", "c"), targets=_in("n", "?"), weights=_in("n"), settings=_in("?"),
    delta=_out("n", "c"), values=_out("n", dtype=DOUBLE),
)  # fmt: skip
_role("step", params=_out("n"), grad=_in("n"), slots=_out("?", "n"), constants=_in("?"))
_role(
    "update",
    params=_out("n"), grad=_in("n"), scaled_grad=_out("?"), slots=_out("?"), constants=_in("?"),
    scalars=_in("?", dtype=DOUBLE), penalties=_out("b", dtype=DOUBLE), settings=_in("?", dtype=INT),
)  # fmt: skip
_role("decay", params=_out("n"), scalars=_in("?", dtype=DOUBLE), settings=_in("?", dtype=INT))
_role(
    "add_l1_subgradient",
    params=_in("n"), grad=_out("n"), previous_params=_out("n"), scalars=_in("?", dtype=DOUBLE),
    penalties=_out("b", dtype=DOUBLE), settings=_in("?", dtype=INT),
)  # fmt: skip
_role(
    "project_to_orthant",
    params=_out("n"), grad=_in("n"), previous_params=_in("n"), settings=_in("?", dtype=INT),
)  # fmt: skip
_role("squared_norms", grad=_in("n"), squares=_out("b", dtype=DOUBLE))
_role(
    "clipped_step",
    params=_out("n"), grad=_out("n"), slots=_out("?"), constants=_in("?"),
    scalars=_in("?", dtype=DOUBLE), settings=_in("?", dtype=INT),
)  # fmt: skip
_role("average", params=_in("n"), scalars=_in("?", dtype=DOUBLE), out=_out("n"))
_role(
    "apply_dropout",
    a=_out("n", "u", layout="rows"), rate=_in("?"), counters=_in("?", dtype=INT),
    settings=_in("?", dtype=INT),
)  # fmt: skip
_role(
    "add_noise",
    a=_out("n", "u", layout="rows"), deviation=_in("?"), counters=_in("?", dtype=INT),
    settings=_in("?", dtype=INT),
)  # fmt: skip
_role(
    "gather",
    source=_in("?", "u"), index=_in("n", dtype=INT), out=_out("n", "u", layout="rows"),
)  # fmt: skip
_role("clear", out=_out("n"))
_role("copy", source=_in("n"), out=_out("n"))
_role("add", partial_grad=_in("n"), out=_out("n"))
_role("total", values=_in("n", dtype=DOUBLE), returns=DOUBLE)
_role(
    "csr_affine",
    data=_in("z"), indices=_in("z", dtype=INT_32), indptr=_in("?", dtype=INT),
    index=_in("n", dtype=INT), W=_in("f", "u"), b=_in("u"), out=_out("n", "u", layout="rows"),
)  # fmt: skip
_role(
    "csr_weight_gradient",
    data=_in("z"), indices=_in("z", dtype=INT_32), indptr=_in("?", dtype=INT),
    index=_in("n", dtype=INT), delta=_in("n", "u", layout="rows"),
    out=_out("f", "u", layout="rows"),
)  # fmt: skip
_role(
    "meet",
    barrier=_out("?", dtype=INT), settings=_in("?", dtype=INT), returns=DOUBLE,
)  # fmt: skip
# Functions that read the data, for data in float32 beside parameters in float64. They convert what
# they read, so the data need no copy.
for _name in ("gather", "csr_affine", "csr_weight_gradient"):
    _arguments = dict(ROLES[_name].arguments)
    _data = next(iter(_arguments))
    _arguments[_data] = _arguments[_data]._replace(dtype=types.float32)
    ROLES[f"{_name}_float32"] = Role(len(ROLES), _arguments, types.void)


def role_of(
    function: Callable[..., Any], dtype: np.dtype[Any], arrays: Sequence[np.ndarray]
) -> str:
    """Return the role of a call: the function's name, or that for data in float32."""
    role = f"{function.__name__}_float32"
    is_float32 = role in ROLES and arrays[0].dtype == np.float32 != dtype
    return role if is_float32 else function.__name__


def function_address(
    function: Callable[..., Any], dtype: np.dtype[Any], name: str | None = None
) -> int:
    """Return the address of a function, compiled for a role, or for that which its name says."""
    role = ROLES[name or function.__name__]
    signature = role.signature(numba.from_dtype(np.dtype(dtype)))
    return address(function, signature, elementwise=role.elementwise)


def check_arrays(name: str, dtype: np.dtype[Any], arrays: Sequence[np.ndarray]) -> None:
    """Check that arrays are what a role asks for, one by one and beside each other.

    Raises
    ------
    TypeError
        If a dtype, a layout or a shape is not what the role asks for: the call
        would read or write memory that belongs to something else.
    """
    lengths: dict[str, int] = {}
    for (argument, spec), array in zip(ROLES[name].arguments.items(), arrays, strict=True):
        wanted = dtype if spec.dtype is None else np.dtype(spec.dtype.name)
        flags = array.flags
        fits = (
            array.dtype == wanted
            and array.ndim == len(spec.shape)
            and (spec.layout != "C" or flags.c_contiguous)
            and (spec.readonly or flags.writeable)
            and (not array.size or has_layout(array, spec.layout))
        )
        if fits:
            for symbol, length in zip(spec.shape, array.shape, strict=True):
                fits = fits and (symbol == "?" or lengths.setdefault(symbol, length) == length)
        if not fits:
            raise TypeError(
                f"{argument} of the role {name!r} must be {wanted}, {spec}, with the lengths "
                f"{lengths} of the call so far; got {array.dtype} of shape {array.shape} "
                f"and strides {array.strides}."
            )


def has_layout(array: np.ndarray, layout: Layout) -> bool:
    """Return whether the strides of an array are those of a layout other than "C"."""
    if layout == "rows":
        return array.strides[1] == array.itemsize
    if layout == "rows or columns":
        return array.itemsize in array.strides
    return True


def check_result(name: str, result: np.ndarray | None) -> None:
    """Check that there is a place for what a role returns, and none for what it does not.

    Raises
    ------
    TypeError
        If not: the call would write to memory that belongs to something else.
    """
    if ROLES[name].returns == types.void:
        fits = result is None
    else:
        fits = (
            result is not None
            and result.dtype == np.float64
            and result.shape == (1,)
            and result.flags.writeable
        )
    if not fits:
        raise TypeError(
            f"result of the role {name!r}, which returns {ROLES[name].returns}, must be one "
            f"writeable float64, or None if it returns nothing; got {result!r}."
        )


class Table(NamedTuple):
    """A finished program, as kernels take it.

    Attributes
    ----------
    instructions : ndarray of int64 of shape (n_instructions * WIDTH,)
        All instructions, one after the other; a list of calls without
        compilation.
    phases : ndarray of int64 of shape (n_phases + 1,)
        Phase p is the instructions from ``phases[p]`` to ``phases[p + 1]``.
    sections : ndarray of int64 of shape (n_sections + 1,)
        Section s is the phases from ``sections[s]`` to ``sections[s + 1]``.
    """

    instructions: Any
    phases: np.ndarray
    sections: np.ndarray


class Program:
    """Instructions in sections, each in phases, for kernels to `execute`.

    Between two phases a kernel may return to Python and come back later. At the
    end of a phase threads may wait for each other.

    Parameters
    ----------
    dtype : dtype
        That of the parameters, float32 or float64.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._instructions: list[Any] = []
        self._phases = [0]
        self._sections = [0]
        self._arrays: list[Any] = []  # instructions hold addresses, which keep nothing alive

    def add(
        self,
        function: Callable[..., Any],
        *arrays: np.ndarray,
        result: np.ndarray | None = None,
    ) -> None:
        """Append a call.

        Parameters
        ----------
        function : callable
            Its name is its role; `role_of` tells the exception.
        *arrays : ndarray
            What the role asks for.
        result : ndarray of float64 of shape (1,), default=None
            Where to leave what the function returns.
        """
        role = role_of(function, self.dtype, arrays)
        check_arrays(role, self.dtype, arrays)
        check_result(role, result)
        self._arrays.append((arrays, result))
        if PYTHON_MODE:
            self._instructions.append((function, arrays, result))
            return
        code = [ROLES[role].number, function_address(function, self.dtype, role)]
        code.append(0 if result is None else start_address(result))
        for array in arrays:
            code += start_address(array), *array.shape
            if array.ndim == 2:
                code += array.strides
        self._instructions.append(code + [0] * (WIDTH - len(code)))

    def end_phase(self) -> None:
        """Make all that was appended since the last phase ended a phase, if there is anything."""
        if len(self._instructions) > self._phases[-1]:
            self._phases.append(len(self._instructions))

    def end_section(self) -> None:
        """Make all phases since the last section ended a section, which may be empty."""
        self.end_phase()
        self._sections.append(len(self._phases) - 1)

    def finish(self) -> Table:
        """Return the table of all instructions. It is valid while the program lives."""
        instructions: Any = self._instructions
        if not PYTHON_MODE:
            instructions = np.array(instructions, np.int64).reshape(-1)
        phases, sections = (np.array(v, np.int64) for v in (self._phases, self._sections))
        return Table(instructions, phases, sections)


# Words of an instruction: role, function, result; then of each array its address and shape, and of
# a matrix its strides.
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
        python_functions[address](*arguments)

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
        with denormals_are_zero(builder), for_range(builder, end, begin) as loop:
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


@kernel
def run_program(instructions, n, like):
    """Carry out the first n instructions of a program."""
    execute(instructions, 0, n, like)
