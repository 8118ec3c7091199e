"""Roles: the kinds of functions that programs call, in one table with the arrays that each takes.

A call through a wrong address, signature or shape would crash the process. The
table gives the signature that a function is compiled to, the code that calls it,
and the check of the arrays of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numba import types

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
    later=_in("?", dtype=INT), scratch=_out("?"), out=_out("m", "n", layout="rows"),
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
_role("locate", index=_in("n", dtype=INT), settings=_in("?", dtype=INT), later=_out("?", dtype=INT))
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
    "unscale",
    W=_out("f", "u"), grad=_out("f", "u"), V=_in("f", "u"), scales=_out("?"),
    scalars=_in("?", dtype=DOUBLE),
)  # fmt: skip
_role(
    "rescale",
    W=_out("f", "u"), V=_out("f", "u"), scales=_out("?"), constants=_in("?"),
    settings=_in("?"),
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


def check_arrays(name: str, dtype: np.dtype[Any], arrays: Sequence[np.ndarray]) -> None:
    """Check that arrays are what a role asks for, one by one and beside each other.

    Raises
    ------
    TypeError
        If a dtype, a layout or a shape is not what the role asks for: the call
        would read or write memory that belongs to something else.
    """
    lengths: dict[str, int] = {}
    for (argument, spec, wanted), array in zip(_wanted(name, dtype), arrays, strict=True):
        shape, readonly, layout, _ = spec
        flags = array.flags
        fits = (
            array.dtype == wanted
            and array.ndim == len(shape)
            and (layout != "C" or flags.c_contiguous)
            and (readonly or flags.writeable)
            and (layout == "C" or not array.size or has_layout(array, layout))
        )
        if fits:
            for symbol, length in zip(shape, array.shape, strict=True):
                if symbol != "?" and lengths.setdefault(symbol, length) != length:
                    fits = False
        if not fits:
            raise TypeError(
                f"{argument} of the role {name!r} must be {wanted}, {spec}, with the lengths "
                f"{lengths} of the call so far; got {array.dtype} of shape {array.shape} "
                f"and strides {array.strides}."
            )


@cache
def _wanted(name: str, dtype: np.dtype[Any]) -> list[tuple[str, Array, np.dtype[Any]]]:
    """Return name, description and dtype of each argument of a role, for a dtype of parameters."""
    return [
        (argument, spec, dtype if spec.dtype is None else np.dtype(spec.dtype.name))
        for argument, spec in ROLES[name].arguments.items()
    ]


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
    if ROLES[name].returns is types.void:  # there is one; to compare types takes longer
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
