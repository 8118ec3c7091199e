"""Graphs of ONNX under construction, and formulas that read like mathematics.

ONNX describes a computation as a list of nodes. Each node applies an operator, such as ``Exp``, to
named tensors, and gives its result a name. :class:`Graph` makes the names. :class:`Tensor` gives
these results Python's own operators, so that ``1 / (1 + op.Exp(-z))`` adds four nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto


class Tensor:
    """A named tensor of a graph, which formulas compute with.

    Parameters
    ----------
    graph : Graph
        The graph to which operations on this tensor add their nodes.
    name : str
        The name of the tensor in the graph.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        self.graph = graph
        self.name = name

    def __neg__(self) -> Tensor:
        return self.graph.Neg(self)

    def __add__(self, other: Any) -> Tensor:
        return self.graph.Add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return self.graph.Add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return self.graph.Sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return self.graph.Sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return self.graph.Mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return self.graph.Mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return self.graph.Div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.graph.Div(other, self)

    def __lt__(self, other: Any) -> Tensor:
        return self.graph.Less(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return self.graph.Greater(self, other)


class Graph:
    """The nodes and constants of an ONNX graph, in one floating-point dtype.

    An operator of ONNX is a method of the same name: ``graph.Max(z, 0.0)`` adds a node ``Max`` and
    returns the tensor that it computes. Numbers become constants of the graph's dtype, and arrays
    keep their own. Keyword arguments are attributes of the node.

    Parameters
    ----------
    dtype : dtype
        Type of the numbers: float32 or float64.
    unique_name : callable, default=None
        Returns a new name that begins with a given one. None means that all names of the graph are
        its own.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
        Each node comes after those whose results it uses.
    constants : list of onnx.TensorProto
        What ONNX calls *initializers*.
    """

    def __init__(self, dtype: Any, unique_name: Callable[[str], str] | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.unique_name = unique_name or self._numbered
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._numbers: dict[float, Tensor] = {}

    def __getattr__(self, operator: str) -> Callable[..., Tensor]:
        """Return a function that adds a node of an operator, whose names begin with a capital."""
        if not operator[:1].isupper():
            raise AttributeError(f"Graph has no attribute {operator!r}")
        return lambda *inputs, **attributes: self.add(operator, *inputs, **attributes)

    def add(
        self,
        operator: str,
        *inputs: Any,
        domain: str = "",
        output: str | None = None,
        **attributes: Any,
    ) -> Tensor:
        """Add a node and return its result.

        Parameters
        ----------
        operator : str
            Name of the operator.
        *inputs : Tensor, number or ndarray
            What the operator is applied to.
        domain : str, default=''
            The set of operators to which it belongs. '' is that of ONNX itself.
        output : str, default=None
            Name of the result. None means a new name.
        **attributes : object
            Attributes of the node.

        Returns
        -------
        Tensor
            The first and only output of the node.
        """
        from onnx.helper import make_node

        names = [self._tensor(value).name for value in inputs]
        name = output or self.unique_name(operator)
        self.nodes.append(make_node(operator, names, [name], name, domain=domain, **attributes))
        return Tensor(self, name)

    def constant(self, array: np.ndarray) -> Tensor:
        """Return a constant tensor with the values and the dtype of an array."""
        from onnx.numpy_helper import from_array

        name = self.unique_name("constant")
        self.constants.append(from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return Tensor(self, name)

    def cast(self, tensor: Tensor, dtype: Any) -> Tensor:
        """Return a tensor converted to another dtype."""
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.add("Cast", tensor, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _numbered(self, name: str) -> str:
        return f"{name}_{len(self.nodes) + len(self.constants)}"

    def _tensor(self, value: Any) -> Tensor:
        """Return a tensor as it is, and a number or an array as a constant."""
        if isinstance(value, Tensor):
            return value
        if isinstance(value, np.ndarray):
            return self.constant(value)
        number = float(value)
        if number not in self._numbers:
            self._numbers[number] = self.constant(np.array(number, self.dtype))
        return self._numbers[number]
