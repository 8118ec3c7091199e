"""Converters of scikit-learn's estimators around others, for skl2onnx.

They are used where a network of sknet is within. skl2onnx 1.20 has converters of its own for these
estimators, which serve all others. They stop at temperature scaling, at weights of votes and at
``stack_method='predict'``. They also take the nearest value of an isotonic regression instead of
interpolating, and probabilities instead of raw scores from a calibrated pipeline or search, and
give two columns for the one raw score of a stacked classifier of two classes.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import numpy as np

from sknet.export.graph import Graph, Tensor
from sknet.export.skl2onnx_graphs import (
    finish,
    input_of,
    labels_of,
    new_graph,
    numbers_type,
    response,
)


def convert_calibrated(scope: Any, operator: Any, container: Any) -> None:
    """Add a CalibratedClassifierCV: the mean of its classifiers' calibrated probabilities."""
    model, graph = operator.raw_operator, new_graph(scope, operator, container)
    probabilities = []
    for calibrated in model.calibrated_classifiers_:
        inner = calibrated.estimator
        if len(inner.classes_) != len(model.classes_):
            raise NotImplementedError(
                f"A classifier inside CalibratedClassifierCV has the classes {inner.classes_} "
                f"instead of {model.classes_}, which cannot be converted to ONNX. Give each fold "
                "samples of all classes, for example with fewer folds."
            )
        method = "decision_function" if hasattr(inner, "decision_function") else "predict_proba"
        _, scores = response(graph, scope, container, operator.inputs, inner, method)
        if calibrated.method == "temperature":
            # scikit-learn's scaling takes the logarithm of probabilities, with this epsilon.
            logits = scores if method == "decision_function" else graph.Log(scores + 1e-12)
            p = graph.Softmax(float(calibrated.calibrators[0].beta_) * logits, axis=1)
        else:
            p = _one_against_the_rest(graph, scores, calibrated)
        probabilities.append(p)
    mean = _sum(probabilities) / len(probabilities)
    labels = labels_of(graph, scope, model, graph.ArgMax(mean, axis=1, keepdims=0))
    finish(graph, operator, container, labels, mean)


def _one_against_the_rest(graph: Graph, scores: Tensor, calibrated: Any) -> Tensor:
    """Return the probabilities of calibrators that have each seen one class and the others."""
    calibrate = {"sigmoid": _sigmoid, "isotonic": _isotonic}[calibrated.method]
    n_classes = len(calibrated.classes)
    if n_classes == 2:
        p = calibrate(graph, _column(graph, scores, 1), calibrated.calibrators[0])
        return graph.Concat(1 - p, p, axis=1)
    columns = [
        calibrate(graph, _column(graph, scores, k), calibrator)
        for k, calibrator in enumerate(calibrated.calibrators)
    ]
    total = _sum(columns)
    is_zero = graph.Equal(total, 0.0)  # then all classes are equally probable
    p = graph.Concat(*columns, axis=1) / graph.Where(is_zero, 1.0, total)
    return graph.Where(is_zero, 1 / n_classes, p)


def _sigmoid(graph: Graph, score: Tensor, calibrator: Any) -> Tensor:
    """Return 1 / (1 + exp(a score + b))."""
    return 1 / (1 + graph.Exp(float(calibrator.a_) * score + float(calibrator.b_)))


def _isotonic(graph: Graph, score: Tensor, calibrator: Any) -> Tensor:
    """Return the interpolation between the thresholds of an isotonic regression."""
    x = calibrator.X_thresholds_.astype(graph.dtype)
    y = calibrator.y_thresholds_.astype(graph.dtype)
    # Of each interval, what it starts with. The first and the last have no end, and are flat.
    starts, values = np.append(x[:1], x), np.append(y[:1], y)
    slopes, widths = np.zeros_like(starts), np.diff(x)
    # Two thresholds may be the same number in float32. No score is between them.
    np.divide(np.diff(y), widths, out=slopes[1:-1], where=widths > 0)
    is_reached = graph.cast(graph.Not(score < x[None]), np.int64)
    k = graph.ReduceSum(is_reached, np.array([1]))  # the number of the interval
    return graph.Gather(values, k) + graph.Gather(slopes, k) * (score - graph.Gather(starts, k))


def convert_voting(scope: Any, operator: Any, container: Any) -> None:
    """Add a VotingClassifier: the weighted mean of probabilities, or of votes.

    With ``voting='hard'``, the second output is the share of the votes for each class.
    """
    model, graph = operator.raw_operator, new_graph(scope, operator, container)
    weights = model._weights_not_none
    weights = np.ones(len(model.estimators_)) if weights is None else np.asarray(weights)
    votes = []
    for estimator, weight in zip(model.estimators_, weights, strict=True):
        method = "predict_proba" if model.voting == "soft" else "predict"
        label, vote = response(graph, scope, container, operator.inputs, estimator, method)
        if model.voting == "hard":
            codes = np.arange(len(model.classes_), dtype=np.int64)  # the labels of the estimators
            is_chosen = graph.Equal(graph.Unsqueeze(label, np.array([1])), codes)
            vote = graph.cast(is_chosen, graph.dtype)
        votes.append(float(weight) * vote)
    total = _sum(votes)
    labels = labels_of(graph, scope, model, graph.ArgMax(total, axis=1, keepdims=0))
    finish(graph, operator, container, labels, total / float(weights.sum()))


def convert_stacking(scope: Any, operator: Any, container: Any) -> None:
    """Add a StackingClassifier: the final estimator's response to those of the others."""
    model, graph = operator.raw_operator, new_graph(scope, operator, container)
    final = model.final_estimator_
    if isinstance(model._label_encoder, list):
        raise NotImplementedError(
            "A StackingClassifier of multilabel targets cannot be converted to ONNX. Wrap one of "
            "a single label in sklearn.multioutput.MultiOutputClassifier."
        )
    columns = [
        _stacked(graph, scope, operator, container, estimator, method)
        for estimator, method in zip(
            (e for e in model.estimators_ if e != "drop"), model.stack_method_, strict=True
        )
    ]
    if model.passthrough:
        if len(operator.inputs) > 1:
            raise NotImplementedError(
                "passthrough=True of a StackingClassifier cannot be converted to ONNX for an input "
                "in several parts. Give all columns as one array, or set passthrough=False."
            )
        columns.append(input_of(graph, operator))
    numbers = numbers_type(operator.inputs[0])
    stacked = scope.declare_local_variable("stacked", numbers([None, final.n_features_in_]))
    graph.Concat(*columns, axis=1, output=stacked.full_name)
    wants_scores = scope.get_options(model, {"raw_scores": False})["raw_scores"]
    has_probabilities = hasattr(final, "predict_proba") and not wants_scores
    method = "predict_proba" if has_probabilities else "decision_function"
    codes, scores = response(graph, scope, container, [stacked], final, method)
    labels = labels_of(graph, scope, model, codes)
    finish(graph, operator, container, labels, scores)


def refuse_threshold(scope: Any, operator: Any, container: Any) -> None:
    """Raise NotImplementedError, since skl2onnx leaves out the threshold and says nothing."""
    model = operator.raw_operator
    raise NotImplementedError(
        "TunedThresholdClassifierCV cannot be converted to ONNX. Convert its estimator_ instead, "
        f"and compare the probabilities with best_threshold_={model.best_threshold_!r} yourself."
    )


def _stacked(
    graph: Graph, scope: Any, operator: Any, container: Any, estimator: Any, method: str
) -> Tensor:
    """Return the columns that one estimator gives to the final estimator."""
    *labels, scores = response(graph, scope, container, operator.inputs, estimator, method)
    if not labels:  # a regressor
        return scores
    if method == "predict":
        return graph.cast(graph.Unsqueeze(labels[0], np.array([1])), graph.dtype)
    return _column(graph, scores, 1) if len(estimator.classes_) == 2 else scores


def _column(graph: Graph, matrix: Tensor, k: int) -> Tensor:
    """Return a column of a matrix, as a matrix."""
    return graph.Gather(matrix, np.array([k]), axis=1)


def _sum(tensors: list[Tensor]) -> Tensor:
    """Return the sum of tensors, added from first to last."""
    return reduce(add, tensors)
