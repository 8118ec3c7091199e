"""The compiled form of the functions in `functions`, except for arithmetic.

Importing this module registers them with Numba. The views are made from the
address, shape and strides of an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array, populate_array

from sknet._engine.functions import (
    flat,
    hash32,
    machine_epsilon,
    matrix,
    row,
    square_limit,
    vector,
)


def array_at(builder: Any, context: Any, array_type: Any, fields: Sequence[Any]) -> Any:
    """Return an array from the list of its address, shape and, for a matrix, strides."""
    array = make_array(array_type)(context, builder)
    itemsize = context.get_constant(types.intp, array_type.dtype.bitwidth // 8)
    address, pointer_type = fields[0], array.data.type
    is_integer = isinstance(address.type, ir.IntType)
    convert = builder.inttoptr if is_integer else builder.bitcast
    populate_array(
        array,
        data=convert(address, pointer_type),
        shape=fields[1 : 1 + array_type.ndim],
        strides=fields[1 + array_type.ndim :] or [itemsize],
        itemsize=itemsize,
        meminfo=None,  # the caller owns the memory and keeps it while kernels run
    )
    return array._getvalue()


def _contiguous(a: Any, ndim: int) -> Any:
    """Return the type of a contiguous view of an array."""
    return types.Array(a.dtype, ndim, "C", not a.mutable)


def _integers(context: Any, builder: Any, sig: Any, arguments: Any) -> list[Any]:
    """Return the arguments after the array, converted to the size of an address."""
    return [
        context.cast(builder, x, argument_type, types.intp)
        for x, argument_type in zip(arguments[1:], sig.args[1:], strict=True)
    ]


def _register_constant(function: Any) -> None:
    """Let compiled code take a function of an array's dtype as a constant."""
    type_callable(function)(lambda context: lambda a: a.dtype)

    @lower_builtin(function, types.Array)
    def _lower(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        dtype = sig.return_type
        return context.get_constant(dtype, float(function(np.empty(0, dtype.name))))


_register_constant(machine_epsilon)
_register_constant(square_limit)


@type_callable(hash32)
def _type_hash32(context: Any) -> Any:
    return lambda x: types.int64(types.int64)


@lower_builtin(hash32, types.int64)
def _lower_hash32(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    low_bits, shift, factor = (ir.Constant(ir.IntType(64), n) for n in (0xFFFFFFFF, 16, 0x45D9F3B))
    x = builder.and_(arguments[0], low_bits)
    for _ in range(2):
        x = builder.xor(builder.lshr(x, shift), x)
        x = builder.and_(builder.mul(x, factor), low_bits)
    return builder.xor(builder.lshr(x, shift), x)


@type_callable(flat)
def _type_flat(context: Any) -> Any:
    return lambda a: _contiguous(a, 1) if a.layout == "C" else None


@lower_builtin(flat, types.Array)
def _lower_flat(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    source = make_array(sig.args[0])(context, builder, arguments[0])
    return array_at(builder, context, sig.return_type, [source.data, source.nitems])


@type_callable(row)
def _type_row(context: Any) -> Any:
    return lambda a, i: _contiguous(a, 1)


@lower_builtin(row, types.Array, types.Integer)
def _lower_row(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    source = make_array(sig.args[0])(context, builder, arguments[0])
    (i,) = _integers(context, builder, sig, arguments)
    row_stride = unpack_tuple(builder, source.strides)[0]
    address = builder.bitcast(source.data, ir.IntType(8).as_pointer())
    address = builder.gep(address, [builder.mul(i, row_stride)])
    length = unpack_tuple(builder, source.shape)[1]
    return array_at(builder, context, sig.return_type, [address, length])


@type_callable(vector)
def _type_vector(context: Any) -> Any:
    return lambda flat, start, length: _contiguous(flat, 1)


@lower_builtin(vector, types.Array, types.Integer, types.Integer)
def _lower_vector(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    source = make_array(sig.args[0])(context, builder, arguments[0])
    start, length = _integers(context, builder, sig, arguments)
    fields = [builder.gep(source.data, [start]), length]
    return array_at(builder, context, sig.return_type, fields)


@type_callable(matrix)
def _type_matrix(context: Any) -> Any:
    return lambda flat, start, n_rows, n_columns: _contiguous(flat, 2)


@lower_builtin(matrix, types.Array, types.Integer, types.Integer, types.Integer)
def _lower_matrix(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    source = make_array(sig.args[0])(context, builder, arguments[0])
    start, n_rows, n_columns = _integers(context, builder, sig, arguments)
    itemsize = context.get_constant(types.intp, sig.args[0].dtype.bitwidth // 8)
    strides = [builder.mul(n_columns, itemsize), itemsize]
    fields = [builder.gep(source.data, [start]), n_rows, n_columns, *strides]
    return array_at(builder, context, sig.return_type, fields)
