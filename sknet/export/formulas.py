"""The formulas of activations and inverse links, as ONNX computes them.

To describe an activation or an inverse link of your own, give its formula to
:func:`onnx_formula`. Each formula stands for one compiled function, such as ``ReLU.forward`` or
``WithSoftmax.link``, and for no other. A subclass with a function of its own therefore needs a
formula of its own, and until it has one, an error says so.

The formulas use only operators that onnxruntime has in float32 and in float64. It has no float64
kernels for Elu, Erf, LeakyRelu, Selu, Softplus and Softsign, so these are written out. No
intermediate result overflows, except where the formula then has its limit, as 1 / (1 + exp(-z)) has
0 where exp(-z) is infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from sknet.activations import (
    ELU,
    GELU,
    GELU_CUBIC,
    GELU_SLOPE,
    SELU,
    SELU_ALPHA,
    SELU_SCALE,
    Activation,
    Identity,
    LeakyReLU,
    Logistic,
    Mish,
    ReLU,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from sknet.export.graph import Graph, Tensor
from sknet.losses import Loss, Quantile
from sknet.losses.base import WithExp, WithIdentity, WithLogistic, WithSoftmax

Formula = TypeVar("Formula", bound=Callable[..., Tensor])

_FORMULAS: dict[Callable[..., Any], Callable[..., Tensor]] = {}


def onnx_formula(function: Callable[..., Any]) -> Callable[[Formula], Formula]:
    """Register the ONNX formula of an activation or of an inverse link, as a decorator.

    :func:`to_onnx` then exports networks that use it. The formulas of sknet's own activations and
    losses are registered already.

    Parameters
    ----------
    function : callable
        The function that is described: ``forward`` of an activation class, or ``link`` of a loss
        class.

    Returns
    -------
    callable
        A decorator, which registers a formula and returns it unchanged. The formula of an
        activation is called as ``formula(op, z)``, that of an inverse link as
        ``formula(op, scores, settings)``. ``z`` and ``scores`` are tensors of shape
        (n_samples, n_units). They take Python's arithmetic and the comparisons ``<`` and ``>``.
        ``op`` has `the operators of ONNX <https://onnx.ai/onnx/operators>`_ as methods, and
        ``settings`` is the list of numbers that the loss class returns from ``settings``. The
        formula returns the tensor that the function would compute.

    See Also
    --------
    to_onnx : Export a fitted network as an ONNX model.

    Examples
    --------
    >>> from sknet.activations import Activation
    >>> from sknet.export import onnx_formula
    >>> class Cube(Activation, name="cube"):
    ...     @staticmethod
    ...     def forward(a):
    ...         for i in range(a.size):
    ...             a[i] = a[i] * a[i] * a[i]
    >>> @onnx_formula(Cube.forward)
    ... def cube(op, z):
    ...     return z * z * z
    >>> del Activation.table["cube"]
    """

    def register(formula: Formula) -> Formula:
        _FORMULAS[function] = formula
        return formula

    return register


def apply_activation(graph: Graph, activation: type[Activation], z: Tensor) -> Tensor:
    """Return the activations of pre-activations z.

    Raises
    ------
    ValueError
        If the activation has no formula.
    """
    if activation.forward not in _FORMULAS:
        raise ValueError(_missing(activation, "forward"))
    return _FORMULAS[activation.forward](graph, z)


def apply_link(graph: Graph, loss: type[Loss], scores: Tensor, settings: Any) -> Tensor:
    """Return the predictions that the inverse link of a loss makes of raw scores.

    Raises
    ------
    ValueError
        If the inverse link has no formula.
    """
    if loss.link not in _FORMULAS:
        raise ValueError(_missing(loss, "link"))
    return _FORMULAS[loss.link](graph, scores, list(settings))


def _missing(part: type[Activation] | type[Loss], function: str) -> str:
    path = f"{part.__qualname__}.{function}"
    return (
        f"The {part.kind} {part.name!r} cannot be exported to ONNX, because {path} has no formula "
        f"there. Register one with the decorator sknet.export.onnx_formula({path})."
    )


@onnx_formula(Identity.forward)
def _identity(op: Graph, z: Tensor) -> Tensor:
    return z


@onnx_formula(Logistic.forward)
def _logistic(op: Graph, z: Tensor) -> Tensor:
    return op.Sigmoid(z)


@onnx_formula(Tanh.forward)
def _tanh(op: Graph, z: Tensor) -> Tensor:
    return op.Tanh(z)


@onnx_formula(ReLU.forward)
def _relu(op: Graph, z: Tensor) -> Tensor:
    return op.Relu(z)


@onnx_formula(LeakyReLU.forward)
def _leaky_relu(op: Graph, z: Tensor) -> Tensor:
    return op.Max(z, 0.01 * z)


def _expm1_if_negative(op: Graph, z: Tensor) -> Tensor:
    """Return exp(z) - 1 where z < 0 and 0 elsewhere, as 2 t / (1 - t) with t = tanh(z / 2).

    exp(z) - 1 itself would cancel near 0.
    """
    t = op.Tanh(0.5 * op.Min(z, 0.0))
    return (t + t) / (1 - t)


@onnx_formula(ELU.forward)
def _elu(op: Graph, z: Tensor) -> Tensor:
    return op.Max(z, 0.0) + _expm1_if_negative(op, z)


@onnx_formula(SELU.forward)
def _selu(op: Graph, z: Tensor) -> Tensor:
    bottom = SELU_SCALE * SELU_ALPHA
    return SELU_SCALE * op.Max(z, 0.0) + bottom * _expm1_if_negative(op, z)


@onnx_formula(GELU.forward)
def _gelu(op: Graph, z: Tensor) -> Tensor:
    return z / (1 + op.Exp(-GELU_SLOPE * z * (1 + GELU_CUBIC * (z * z))))


@onnx_formula(SiLU.forward)
def _silu(op: Graph, z: Tensor) -> Tensor:
    return z / (1 + op.Exp(-z))


@onnx_formula(Mish.forward)
def _mish(op: Graph, z: Tensor) -> Tensor:
    """Return z n / (n + r), as `Mish.forward` does."""
    w, is_negative = op.Exp(-op.Abs(z)), z < 0.0
    n = op.Where(is_negative, w * (w + 2), 1 + 2 * w)
    r = op.Where(is_negative, 2.0, 2 * w * w)
    return z * n / (n + r)


@onnx_formula(Softplus.forward)
def _softplus(op: Graph, z: Tensor) -> Tensor:
    """Return max(0, z) + log(1 + w), where w = exp(-|z|) cannot overflow.

    log(1 + w) is log(u) w / (u - 1), where u is 1 + w as rounded, and w where u is 1. Its relative
    error is a few machine epsilons for every w: Goldberg, D. (1991). What every computer scientist
    should know about floating-point arithmetic. ACM Computing Surveys 23, theorem 4.
    """
    w = op.Exp(-op.Abs(z))
    u = 1 + w
    return op.Max(z, 0.0) + op.Where(op.Equal(u, 1.0), w, op.Log(u) * w / (u - 1))


@onnx_formula(Softsign.forward)
def _softsign(op: Graph, z: Tensor) -> Tensor:
    return z / (1 + op.Abs(z))


@onnx_formula(WithIdentity.link)
def _identity_link(op: Graph, scores: Tensor, settings: list[float]) -> Tensor:
    return scores


@onnx_formula(WithExp.link)
def _exp_link(op: Graph, scores: Tensor, settings: list[float]) -> Tensor:
    return op.Exp(scores)


@onnx_formula(WithLogistic.link)
def _logistic_link(op: Graph, scores: Tensor, settings: list[float]) -> Tensor:
    """Return 1 / (1 + exp(-z)).

    ``Sigmoid`` of onnxruntime gives no float32 below 1e-8, which is not small enough for
    probabilities of rare classes.
    """
    return 1 / (1 + op.Exp(-scores))


@onnx_formula(WithSoftmax.link)
def _softmax_link(op: Graph, scores: Tensor, settings: list[float]) -> Tensor:
    return op.Softmax(scores, axis=1)


@onnx_formula(Quantile.link)
def _quantiles_link(op: Graph, scores: Tensor, settings: list[float]) -> Tensor:
    """Return the scores, or with ``non_crossing`` the sums of their increments for each target.

    They are summed one after the other, so that rounding keeps their order, too.
    """
    is_rising, n = settings[0] > 0, len(settings) - 1
    if not is_rising:
        return scores
    by_target = op.Reshape(scores, np.array([-1, n]))
    is_lowest = np.arange(n, dtype=np.int64) == 0
    increments = op.Where(is_lowest, by_target, _softplus(op, by_target))
    return op.Reshape(op.CumSum(increments, np.array(1)), op.Shape(scores))
