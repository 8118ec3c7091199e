"""How the views of `_functions` compile: an array's parts taken apart and put together anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array, populate_array

from sknet._engine.functions import flat, hash32, machine_epsilon, matrix, row, vector


def array_at(builder: Any, context: Any, kind: Any, words: Sequence[Any]) -> Any:
    """Return the value of an array, by its address, shape and, of a matrix, strides."""
    array = make_array(kind)(context, builder)
    itemsize = context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    start, pointer = words[0], array.data.type
    is_number = isinstance(start.type, ir.IntType)
    populate_array(
        array,
        data=builder.inttoptr(start, pointer) if is_number else builder.bitcast(start, pointer),
        shape=words[1 : 1 + kind.ndim],
        strides=words[1 + kind.ndim :] or [itemsize],
        itemsize=itemsize,
        meminfo=None,  # whoever made the memory keeps it for as long as kernels run
    )
    return array._getvalue()


def _contiguous(a: Any, ndim: int) -> Any:
    return types.Array(a.dtype, ndim, "C", not a.mutable)


def _integers(context: Any, builder: Any, sig: Any, arguments: Any) -> list[Any]:
    kinds = sig.args[1:]
    return [
        context.cast(builder, x, kind, types.intp)
        for x, kind in zip(arguments[1:], kinds, strict=True)
    ]


@type_callable(machine_epsilon)
def _type_resolution(context: Any) -> Any:
    return lambda a: a.dtype


@lower_builtin(machine_epsilon, types.Array)
def _lower_resolution(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    kind = sig.return_type
    return context.get_constant(kind, float(np.finfo(kind.name).eps))


@type_callable(hash32)
def _type_scramble(context: Any) -> Any:
    return lambda x: types.int64(types.int64)


@lower_builtin(hash32, types.int64)
def _lower_scramble(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    low, half, factor = (ir.Constant(ir.IntType(64), n) for n in (0xFFFFFFFF, 16, 0x45D9F3B))
    x = builder.and_(arguments[0], low)
    for _ in range(2):
        x = builder.xor(builder.lshr(x, half), x)
        x = builder.and_(builder.mul(x, factor), low)
    return builder.xor(builder.lshr(x, half), x)


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
    distance = unpack_tuple(builder, source.strides)[0]
    start = builder.bitcast(source.data, ir.IntType(8).as_pointer())
    start = builder.gep(start, [builder.mul(i, distance)])
    length = unpack_tuple(builder, source.shape)[1]
    return array_at(builder, context, sig.return_type, [start, length])


@type_callable(vector)
def _type_vector(context: Any) -> Any:
    return lambda flat, start, length: _contiguous(flat, 1)


@lower_builtin(vector, types.Array, types.Integer, types.Integer)
def _lower_vector(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    source = make_array(sig.args[0])(context, builder, arguments[0])
    start, length = _integers(context, builder, sig, arguments)
    words = [builder.gep(source.data, [start]), length]
    return array_at(builder, context, sig.return_type, words)


@type_callable(matrix)
def _type_matrix(context: Any) -> Any:
    return lambda flat, start, n_rows, n_columns: _contiguous(flat, 2)


@lower_builtin(matrix, types.Array, types.Integer, types.Integer, types.Integer)
def _lower_matrix(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    source = make_array(sig.args[0])(context, builder, arguments[0])
    start, n_rows, n_columns = _integers(context, builder, sig, arguments)
    itemsize = context.get_constant(types.intp, sig.args[0].dtype.bitwidth // 8)
    strides = [builder.mul(n_columns, itemsize), itemsize]
    words = [builder.gep(source.data, [start]), n_rows, n_columns, *strides]
    return array_at(builder, context, sig.return_type, words)
