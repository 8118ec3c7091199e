"""What fitted networks compute, as nodes of an ONNX graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sknet._network.layout import Layout
from sknet.activations import Activation
from sknet.estimators.base import BaseMLP
from sknet.estimators.fitted_network import NetworkSpec
from sknet.estimators.targets import fitted_targets
from sknet.export.formulas import apply_activation, apply_link
from sknet.export.graph import Graph, Tensor
from sknet.inspection import HiddenLayers, _network_of
from sknet.losses import Loss


class Classification(NamedTuple):
    """What a classifier computes.

    Attributes
    ----------
    indices : Tensor
        Index of the predicted class of each row, of shape (n_samples,) and dtype int64. For
        multilabel targets, 0 or 1 for each label instead, of shape (n_samples, n_labels).
    scores : Tensor
        Raw scores, of shape (n_samples, n_outputs).
    probabilities : Tensor or None
        Of shape (n_samples, n_classes). None for a loss without probabilities.
    """

    indices: Tensor
    scores: Tensor
    probabilities: Tensor | None


def add_classifier(graph: Graph, X: Tensor, model: BaseMLP) -> Classification:
    """Add a classifier to a graph, and return what it computes.

    Parameters
    ----------
    graph : Graph
        The weights are converted to its dtype.
    X : Tensor
        The input, of shape (n_samples, n_features) and of the graph's dtype.
    model : MLPClassifier
        Fitted.

    Raises
    ------
    ValueError
        If a part has no formula, or if a weight is too large for the dtype.
    """
    spec = model._spec()
    loss, n_classes, n_outputs = Loss.get(spec.loss), len(model.classes_), spec.units[-1]
    scores = _layers(graph, X, spec)[-1]
    if is_multilabel(model):
        indices = graph.cast(scores > 0.0, np.int64)
    elif n_classes == 2 and n_outputs == 1:
        indices = graph.Squeeze(graph.cast(scores > 0.0, np.int64), np.array([1]))
    else:  # a single class has a single score, which is the greatest
        indices = graph.ArgMax(scores, axis=1, keepdims=0)
    if not loss.has_probabilities:
        return Classification(indices, scores, None)
    p = apply_link(graph, loss, scores, spec.settings)
    if n_classes == 1:
        p = graph.Softmax(scores, axis=1)  # of a single column: 1 in each row
    elif n_outputs == 1:
        p = graph.Concat(1 - p, p, axis=1)
    return Classification(indices, scores, p)


def add_regressor(graph: Graph, X: Tensor, model: BaseMLP) -> Tensor:
    """Add a regressor to a graph, and return its predictions of shape (n_samples, n_outputs).

    Parameters and errors are those of `add_classifier`.
    """
    spec = model._spec()
    return apply_link(graph, Loss.get(spec.loss), _layers(graph, X, spec)[-1], spec.settings)


def add_hidden_layers(graph: Graph, X: Tensor, model: HiddenLayers) -> Tensor:
    """Add hidden layers to a graph, and return their activations of shape (n_samples, n_units).

    Parameters and errors are those of `add_classifier`, with a fitted `HiddenLayers`.
    """
    network = _network_of(model.estimator_)
    wanted = model._layer_indices(network)
    layers = _layers(graph, X, network._spec(), wanted.stop)
    return graph.Concat(*layers[wanted.start :], axis=1)


def _layers(
    graph: Graph, X: Tensor, spec: NetworkSpec, n_layers: int | None = None
) -> list[Tensor]:
    """Add the first layers of a network, or all of them, and return what each gives the next.

    The last of all layers gives the raw scores.
    """
    with np.errstate(over="ignore"):  # the error below says more
        params = spec.params.astype(graph.dtype)
    if not np.isfinite(params).all():
        raise ValueError(
            f"The network has weights that are not finite as {graph.dtype}. Export it as float64, "
            "or fit it again with scaled data and a lower learning_rate_init."
        )
    coefs, intercepts = Layout(spec.units).split(params)
    names = [*spec.activations, "identity"]
    outputs, below = [], X
    for W, b, name in list(zip(coefs, intercepts, names, strict=True))[:n_layers]:
        below = apply_activation(graph, Activation.get(name), graph.Gemm(below, W, b))
        outputs.append(below)
    return outputs


def is_multilabel(model: BaseMLP) -> bool:
    """Return whether a fitted classifier predicts several labels for each row."""
    return fitted_targets(model, vars(model)).is_multilabel


def label_classes(classes: Any) -> np.ndarray:
    """Return class labels as ONNX has them: int64, or strings in an array of dtype object.

    Numbers and booleans become int64.

    Raises
    ------
    ValueError
        If they are of another type, or are numbers that int64 does not have.
    """
    classes = np.asarray(classes)
    if classes.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):
            integers = classes.astype(np.int64)
        if (integers == classes).all():
            return integers
    elif classes.dtype.kind == "U" or all(isinstance(label, str) for label in classes):
        return classes.astype(object)
    raise ValueError(
        f"classes_={classes!r} cannot be exported to ONNX, whose labels are int64 or strings. Fit "
        "the classifier to such labels, for example to y.astype(str)."
    )
