"""What converters for skl2onnx share: graphs that become a part of its own, and inner estimators.

skl2onnx gives a converter three objects. The *operator* is an estimator with its input and output
variables. The *container* collects nodes. The *scope* makes unique names, and keeps the options
that the user, or the converter of an outer estimator, has chosen for each estimator.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from sknet.estimators.base import BaseMLP
from sknet.export.graph import Graph, Tensor
from sknet.export.networks import label_classes
from sknet.inspection import HiddenLayers

# The oldest version of ONNX's operators that the graphs of this folder are valid for.
MIN_OPSET = 13

# The options of classifiers in skl2onnx, and their values.
CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def numbers_type(variable: Any) -> Any:
    """Return the class of skl2onnx for tensors of the numbers that are computed from an input.

    It is the type for float64 if the input is of float64, and otherwise that for float32.
    """
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    return DoubleTensorType if isinstance(variable.type, DoubleTensorType) else FloatTensorType


def new_graph(scope: Any, operator: Any, container: Any) -> Graph:
    """Return an empty graph in the dtype of an operator's numbers.

    Raises
    ------
    ValueError
        If the user asks for a version of ONNX's operators that is too old.
    """
    from skl2onnx.common.data_types import DoubleTensorType

    if container.target_opset < MIN_OPSET:
        raise ValueError(
            f"target_opset={container.target_opset} is too old for networks of sknet. Give "
            f"target_opset={MIN_OPSET} or more, or leave it out."
        )
    is_double = numbers_type(operator.inputs[0]) is DoubleTensorType
    return Graph(np.float64 if is_double else np.float32, scope.get_unique_variable_name)


def input_of(graph: Graph, operator: Any) -> Tensor:
    """Return an operator's input in the dtype of a graph."""
    variable = operator.inputs[0]
    X = Tensor(graph, variable.full_name)
    return X if type(variable.type) is numbers_type(variable) else graph.cast(X, graph.dtype)


def finish(graph: Graph, operator: Any, container: Any, *outputs: Tensor) -> None:
    """Make tensors of a graph the outputs of an operator, and move the graph to the container."""
    from onnx.helper import get_attribute_value

    for tensor, variable in zip(outputs, operator.outputs, strict=True):
        graph.Identity(tensor, output=variable.full_name)
    container.initializers.extend(graph.constants)
    for node in graph.nodes:
        attributes = {a.name: get_attribute_value(a) for a in node.attribute}
        container.add_node(
            node.op_type,
            list(node.input),
            list(node.output),
            op_domain=node.domain,
            name=node.name,
            **attributes,
        )


def labels_of(graph: Graph, scope: Any, model: Any, indices: Tensor) -> Tensor:
    """Return the class labels with given indices, or the indices with the option ``nocl``."""
    from skl2onnx.common.utils_classifier import get_label_classes

    return graph.Gather(label_classes(get_label_classes(scope, model)), indices)


def contains_network(model: Any) -> bool:
    """Return whether an estimator is a network of sknet, or has one in it at any depth."""
    if isinstance(model, FrozenEstimator):
        return contains_network(model.estimator)
    if isinstance(model, BaseMLP | HiddenLayers):
        return True
    inner = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
    kinds = BaseMLP | HiddenLayers | FrozenEstimator
    return any(isinstance(value, kinds) and contains_network(value) for value in inner)


def response(
    graph: Graph, scope: Any, container: Any, inputs: Any, model: Any, method: str
) -> list[Tensor]:
    """Let skl2onnx convert an inner estimator, and return its outputs.

    Parameters
    ----------
    graph : Graph
        The graph that goes on from the outputs.
    scope, container : object
        As skl2onnx gives them to the converter of the outer estimator.
    inputs : list of Variable
        What the inner estimator is given.
    model : estimator
        The inner estimator, fitted.
    method : {'predict', 'predict_proba', 'decision_function'}
        What the outer estimator asks of it.

    Returns
    -------
    list of Tensor
        The predictions of a regressor. The labels and the probabilities of a classifier. With
        'decision_function', its labels and raw scores, of which there are two for two classes.
        Numbers are in the dtype of the graph, and labels as they are.

    Raises
    ------
    NotImplementedError
        If raw scores are asked of a classifier for which skl2onnx may give something else.
    """
    from skl2onnx._supported_operators import _get_sklearn_operator_name
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    while isinstance(model, FrozenEstimator):  # which skl2onnx does not know
        model = model.estimator
    kind = numbers_type(inputs[0])
    if is_classifier(model):
        _choose_method(scope, container, model, method)
        has_strings = label_classes(model.classes_).dtype == object
        outputs = {"label": StringTensorType() if has_strings else Int64TensorType()}
        outputs["scores"] = kind()
    else:
        outputs = {"variable": kind()}
    operator = scope.declare_local_operator(_get_sklearn_operator_name(type(model)), model)
    operator.inputs = inputs
    for name, of_kind in outputs.items():
        operator.outputs.append(scope.declare_local_variable(name, of_kind))
    *labels, numbers = (Tensor(graph, variable.full_name) for variable in operator.outputs)
    # skl2onnx has forests, for instance, in float32 only.
    return [*labels, graph.cast(numbers, graph.dtype)]


def _choose_method(scope: Any, container: Any, model: Any, method: str) -> None:
    """Set the options that make an inner classifier give raw scores, or else probabilities."""
    *_, last = chain = list(_chain(model))
    wants_scores = method == "decision_function"
    # The converters of these give a score and its negative for two classes.
    if wants_scores and not isinstance(last, BaseMLP | LinearClassifierMixin):
        raise NotImplementedError(
            f"The decision_function of {type(last).__name__} cannot be converted to ONNX inside "
            "an estimator that also has a network of sknet. Use one that has predict_proba, or "
            "leave it out."
        )
    options = {"zipmap": False}
    if container.has_options(last, "raw_scores"):
        options["raw_scores"] = wants_scores
    for link in chain:
        is_search = isinstance(link, BaseSearchCV)  # it passes every option on
        allowed = {k: v for k, v in options.items() if is_search or container.has_options(link, k)}
        scope.add_options(id(link), allowed)
        container.add_options(id(link), allowed)


def _chain(model: Any) -> Iterator[Any]:
    """Yield a classifier, the one inside that it predicts by, and so on to the last one."""
    yield model
    if isinstance(model, Pipeline):
        yield from _chain(model.steps[-1][1])
    elif isinstance(model, BaseSearchCV):
        yield from _chain(model.best_estimator_)
    elif isinstance(model, StackingClassifier):
        yield from _chain(model.final_estimator_)
