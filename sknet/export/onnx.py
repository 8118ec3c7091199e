"""Export of fitted networks to ONNX, the open format of neural networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

import sknet
from sknet.estimators.base import BaseMLP
from sknet.export.graph import Graph, Tensor
from sknet.export.networks import (
    add_classifier,
    add_hidden_layers,
    add_regressor,
    is_multilabel,
    label_classes,
)
from sknet.inspection import HiddenLayers, _network_of
from sknet.tabular.base import BaseTabular

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

# The version of ONNX's operators: old enough for onnxruntime 1.10, and new enough for all formulas.
OPSET = 15
ML_DOMAIN, ML_OPSET = "ai.onnx.ml", 1  # which have ZipMap

N_SAMPLES = "n_samples"  # the name of the first dimension, which may have any size


def require_onnx() -> None:
    """Raise ImportError with what to do if the package onnx is absent."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "The export to ONNX needs the package onnx, which is not installed. Install it with: "
            "python -m pip install 'sknet-mlp[onnx]'"
        ) from error


def to_onnx(
    model: Any, *, zipmap: bool = False, raw_scores: bool = False, dtype: Any = None
) -> ModelProto:
    """Return a fitted network as an ONNX model.

    Programs in many languages, such as onnxruntime, then predict with it, and need neither Python
    nor sknet. The result equals sknet's own predictions up to rounding.

    The model has one input, ``X``, of shape (n_samples, n_features). Its first dimension may have
    any size. The outputs are:

    ============== ================== ==================================================
    model          output             shape and meaning
    ============== ================== ==================================================
    classifier     ``label``          (n_samples,), as from `predict`: strings or int64.
                                      (n_samples, n_labels) for multilabel targets.
    classifier     ``probabilities``  (n_samples, n_classes), as from `predict_proba`
    classifier     ``scores``         (n_samples, n_outputs), as from
                                      `decision_function`, with one column for two
                                      classes. In place of ``probabilities``, with
                                      ``raw_scores=True`` or ``loss='hinge'``.
    regressor      ``variable``       (n_samples, n_outputs), as from `predict`, with one
                                      column for one target
    HiddenLayers   ``variable``       (n_samples, n_units), as from `transform`
    ============== ================== ==================================================

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor or HiddenLayers
        Fitted. It may be wrapped in a :class:`sklearn.frozen.FrozenEstimator`.
    zipmap : bool, default=False
        Whether the second output of a classifier is a list of dictionaries, one for each row,
        that map labels to probabilities or scores. ONNX has these in float32 only.
    raw_scores : bool, default=False
        Whether the second output of a classifier has raw scores instead of probabilities.
    dtype : {'float32', 'float64'} or dtype, default=None
        Type of the input, of the arithmetic and of all outputs except labels. None means the type
        of the weights.

    Returns
    -------
    onnx.ModelProto
        The model. ``SerializeToString()`` returns it as bytes, and ``onnx.save(model, path)``
        writes them to a file.

    Raises
    ------
    ImportError
        If the package onnx is not installed. It comes with the extra ``sknet-mlp[onnx]``.
    TypeError
        If the model is not a network of sknet. For pipelines and other estimators around one, see
        :func:`register_skl2onnx`.
    ValueError
        If an activation or an inverse link of your own has no formula in ONNX (see
        :func:`onnx_formula`), if a class label is neither a string nor an integer, or if a
        parameter does not fit the model.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    See Also
    --------
    register_skl2onnx : Let skl2onnx convert pipelines with networks of sknet.

    Notes
    -----
    The model uses version 15 of ONNX's operators, which onnxruntime has since its version 1.10. Its
    input is not checked: NaN and infinity give meaningless results, where sknet raises an error.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import MLPClassifier
    >>> from sknet.export import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(max_iter=500, random_state=0).fit(X, y)
    >>> model = to_onnx(net)
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    require_onnx()
    model = model.estimator if isinstance(model, FrozenEstimator) else model
    if not isinstance(model, (BaseMLP, HiddenLayers)):
        raise TypeError(
            "model must be an MLPClassifier, MLPRegressor or HiddenLayers of sknet, got "
            f"{type(model).__name__}. {_instead_of(model)}"
        )
    if not is_classifier(model):
        for option, value in {"zipmap": zipmap, "raw_scores": raw_scores}.items():
            if value:
                raise ValueError(
                    f"{option}={value!r} is for classifiers, but the model is of the class "
                    f"{type(model).__name__}. Leave {option} out."
                )
    check_is_fitted(model, "estimator_" if isinstance(model, HiddenLayers) else "coefs_")
    network = _network_of(model.estimator_) if isinstance(model, HiddenLayers) else model
    graph = Graph(_checked_dtype(network.coefs_[0].dtype if dtype is None else dtype))
    X = Tensor(graph, "X")
    if is_classifier(model):
        outputs = _classifier_outputs(graph, X, model, zipmap=zipmap, raw_scores=raw_scores)
    elif isinstance(model, HiddenLayers):
        n_units = len(model.get_feature_names_out())
        outputs = [_output(graph, "variable", add_hidden_layers(graph, X, model), n_units)]
    else:
        n_outputs = len(model.intercepts_[-1])
        outputs = [_output(graph, "variable", add_regressor(graph, X, model), n_outputs)]
    return _finished(graph, len(network.coefs_[0]), outputs)


def _instead_of(model: Any) -> str:
    """Return what a user can do about a model of another class."""
    if hasattr(model, "to_local"):
        return "Give its to_local(), which is such a network."
    if isinstance(model, BaseTabular):
        return "Ensembles for tables cannot be exported to ONNX."
    return (
        "For estimators around one, such as pipelines, call sknet.export.register_skl2onnx() and "
        "then skl2onnx.to_onnx(model, X)."
    )


def _checked_dtype(dtype: Any) -> np.dtype:
    """Return a dtype, or raise ValueError unless it is float32 or float64."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r} must be 'float32', 'float64' or None.")
    return found


def _classifier_outputs(
    graph: Graph, X: Tensor, model: BaseMLP, *, zipmap: bool, raw_scores: bool
) -> list[ValueInfoProto]:
    """Add a classifier and its two outputs to a graph, and return descriptions of the outputs."""
    from onnx.helper import (
        make_map_type_proto,
        make_sequence_type_proto,
        make_tensor_type_proto,
        make_value_info,
    )

    classes, result = label_classes(model.classes_), add_classifier(graph, X, model)
    if is_multilabel(model):
        label = _output(graph, "label", result.indices, len(classes), dtype=np.int64)
    else:
        labels = graph.Gather(classes, result.indices)
        label = _output(graph, "label", labels, dtype=classes.dtype)
    columns, name = result.probabilities, "probabilities"
    if raw_scores or columns is None:
        columns, name = result.scores, "scores"
    n_columns = len(model.intercepts_[-1]) if name == "scores" else len(classes)
    if not zipmap:
        return [label, _output(graph, name, columns, n_columns)]
    if n_columns != len(classes):
        raise ValueError(
            "zipmap=True needs a column for each class, but a network of two classes has one raw "
            "score. Set zipmap=False."
        )
    labels_attribute = "classlabels_strings" if classes.dtype == object else "classlabels_int64s"
    attributes = {labels_attribute: classes.tolist()}
    columns = graph.cast(columns, np.float32)
    graph.add("ZipMap", columns, domain=ML_DOMAIN, output=name, **attributes)
    values = make_tensor_type_proto(_element_type(np.float32), [])
    maps_type = make_sequence_type_proto(make_map_type_proto(_element_type(classes.dtype), values))
    return [label, make_value_info(name, maps_type)]


def _element_type(dtype: Any) -> int:
    """Return ONNX's number of a dtype. That of Python objects is the number of strings."""
    from onnx.helper import np_dtype_to_tensor_dtype

    return np_dtype_to_tensor_dtype(np.dtype(dtype))


def _output(
    graph: Graph, name: str, tensor: Tensor, n_columns: int | None = None, dtype: Any = None
) -> ValueInfoProto:
    """Make a tensor an output of a graph, and return its description.

    Without a number of columns it is a vector. Its dtype is that of the graph unless given.
    """
    from onnx.helper import make_tensor_value_info

    graph.Identity(tensor, output=name)
    shape: list[int | str] = [N_SAMPLES] if n_columns is None else [N_SAMPLES, n_columns]
    return make_tensor_value_info(name, _element_type(dtype or graph.dtype), shape)


def _finished(graph: Graph, n_features: int, outputs: Sequence[ValueInfoProto]) -> ModelProto:
    """Return the model of a finished graph."""
    from onnx.helper import (
        find_min_ir_version_for,
        make_graph,
        make_model,
        make_opsetid,
        make_tensor_value_info,
    )

    element_type = _element_type(graph.dtype)
    inputs = [make_tensor_value_info("X", element_type, [N_SAMPLES, n_features])]
    opsets = [make_opsetid("", OPSET)]
    if any(node.domain == ML_DOMAIN for node in graph.nodes):
        opsets.append(make_opsetid(ML_DOMAIN, ML_OPSET))
    return make_model(
        make_graph(graph.nodes, "sknet", inputs, outputs, graph.constants),
        opset_imports=opsets,
        ir_version=find_min_ir_version_for(opsets),
        producer_name="sknet",
        producer_version=sknet.__version__,
    )
