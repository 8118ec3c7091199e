"""Programs: calls of compiled functions, put together in Python and run without it.

A program is a table of instructions. Each names a compiled function by its
address and its arrays by address, shape and strides. A call through a wrong
address, signature or shape would crash the process. This module alone makes
instructions, by the table of roles, and checks every array it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

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
    compile_kernel,
    kernel,
    python_functions,
    start_address,
)
from sknet._engine.denormals import denormals_are_zero
from sknet._engine.roles import ROLES, check_arrays, check_result, role_of
from sknet._engine.views import array_at


@cache
def function_address(
    function: Callable[..., Any], dtype: np.dtype[Any], name: str | None = None
) -> int:
    """Return the address of a function, compiled for a role, or for that which its name says.

    It is valid until the process ends. Numba takes longer to make and to compare its types than
    everything else that `Program.add` does.
    """
    role = ROLES[name or function.__name__]
    signature = role.signature(numba.from_dtype(np.dtype(dtype)))
    return address(function, signature, elementwise=role.elementwise)


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

    def run(self, like: np.ndarray) -> None:
        """Carry out all instructions.

        Parameters
        ----------
        like : ndarray
            In the dtype of the program.
        """
        arguments = self.instructions, self.phases[-1], like
        compile_kernel(run_program, arguments)
        run_program(*arguments)


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

    def point_to(program: Any, place: int, numbers: np.ndarray) -> None:
        """Let the instruction at a place read its first array from other memory."""
        function, (first, *others), result = program[place]
        program[place] = function, (numbers.reshape(first.shape), *others), result

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

    @intrinsic
    def point_to(typing_context: Any, program: Any, place: Any, numbers: Any) -> Any:
        """Let the instruction at a place read its first array from other memory.

        The numbers must be as many as the array had, of its dtype, and contiguous. Compiled
        code does not check this. Plain Python does.
        """

        def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            table = make_array(sig.args[0])(context, builder, arguments[0]).data
            start = make_array(sig.args[2])(context, builder, arguments[2]).data
            word = table.type.pointee
            first = builder.add(builder.mul(arguments[1], word(WIDTH)), word(_ARGUMENTS))
            builder.store(builder.ptrtoint(start, word), builder.gep(table, [first]))
            return context.get_dummy_value()

        return types.void(program, types.intp, numbers), codegen


@kernel
def run_program(instructions, n, like):
    """Carry out the first n instructions of a program."""
    execute(instructions, 0, n, like)
