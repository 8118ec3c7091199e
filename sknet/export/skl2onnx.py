"""Converters of sknet's estimators for skl2onnx, and the function that registers them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.model_selection import RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.model_selection._search_successive_halving import (
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
)
from sklearn.pipeline import Pipeline

from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.export.networks import (
    add_classifier,
    add_hidden_layers,
    add_regressor,
    is_multilabel,
    label_classes,
)
from sknet.export.onnx import require_onnx
from sknet.export.skl2onnx_ensembles import (
    convert_calibrated,
    convert_stacking,
    convert_voting,
    refuse_threshold,
)
from sknet.export.skl2onnx_graphs import (
    CLASSIFIER_OPTIONS,
    contains_network,
    finish,
    input_of,
    labels_of,
    new_graph,
    numbers_type,
)
from sknet.inspection import HiddenLayers

Converter = Callable[[Any, Any, Any], None]


def register_skl2onnx() -> None:
    """Let skl2onnx convert networks of sknet, alone or within estimators of scikit-learn.

    ``skl2onnx.to_onnx(model, X[:1])`` then converts pipelines, searches, CalibratedClassifierCV
    with any method, StackingClassifier and VotingClassifier with networks within.
    The result computes in the dtype of the X that is given, float32 or float64. A second call of
    this function changes nothing.

    The classifier takes these options of skl2onnx:

    - ``zipmap``: False gives probabilities as a matrix, 'columns' as one output for each class, and
      True, which is the default of skl2onnx, as a list of dictionaries.
    - ``raw_scores``: True gives raw scores in place of probabilities. As with the classifiers of
      scikit-learn there, these are a column for each class, also for two classes: the negative of
      the score, and the score. ``loss='hinge'`` has no probabilities and always gives these.
    - ``nocl``: True gives indices of classes in place of labels.
    - ``output_class_labels``: True adds an output with the labels of all classes.

    Raises
    ------
    ImportError
        If skl2onnx or onnx is not installed. Both come with the extra ``sknet-mlp[onnx]``.

    See Also
    --------
    to_onnx : Export a network alone, without skl2onnx.

    Notes
    -----
    skl2onnx's own converters of CalibratedClassifierCV, StackingClassifier and VotingClassifier
    continue to serve models without a network of sknet. With one, sknet's converters are used. They
    also interpolate isotonic regressions, know temperature scaling, and take raw scores through
    pipelines and searches. What they cannot convert is an error.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> import skl2onnx
    >>> from sknet import MLPClassifier
    >>> from sknet.export import register_skl2onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(max_iter=500, random_state=0)
    >>> pipe = make_pipeline(StandardScaler(), net).fit(X, y)
    >>> register_skl2onnx()
    >>> model = skl2onnx.to_onnx(pipe, X[:1], options={"zipmap": False})
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    require_onnx()
    try:
        import skl2onnx
        import skl2onnx.operator_converters
        import skl2onnx.shape_calculators  # noqa: F401 - both fill skl2onnx's tables
    except ImportError as error:
        raise ImportError(
            "The conversion of pipelines to ONNX needs the package skl2onnx, which is not "
            "installed. Install it with: python -m pip install 'sknet-mlp[onnx]'"
        ) from error
    _register()


@cache
def _register() -> None:
    """Change skl2onnx's tables, once in each process."""
    from skl2onnx import update_registered_converter as register
    from skl2onnx import update_registered_parser
    from skl2onnx._parse import _parse_sklearn_grid_search_cv, _parse_sklearn_pipeline
    from skl2onnx.common._registration import get_converter, get_shape_calculator
    from skl2onnx.operator_converters.grid_search_cv import convert_sklearn_grid_search_cv

    for model, shapes, converter, options in (
        (MLPClassifier, _classifier_shapes, _convert_classifier, CLASSIFIER_OPTIONS),
        (MLPRegressor, _number_shapes, _convert_numbers, None),
        (HiddenLayers, _number_shapes, _convert_numbers, None),
    ):
        register(model, f"Sknet{model.__name__}", shapes, converter, options=options)

    for model, ours in (
        (CalibratedClassifierCV, convert_calibrated),
        (StackingClassifier, convert_stacking),
        (VotingClassifier, convert_voting),
        (TunedThresholdClassifierCV, refuse_threshold),
    ):
        alias = f"Sklearn{model.__name__}"
        theirs, shapes = get_converter(alias), get_shape_calculator(alias)
        options = theirs.get_allowed_options()
        register(model, alias, shapes, _ours_or_theirs(ours, theirs), options=options)

    search = "SklearnGridSearchCV"  # skl2onnx knows no other search
    for model in (RandomizedSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV):
        register(
            model,
            search,
            get_shape_calculator(search),
            convert_sklearn_grid_search_cv,
            parser=_parse_sklearn_grid_search_cv,
            options="passthrough",
        )

    def parse_pipeline(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        # skl2onnx gives the last step all options of a pipeline except raw_scores.
        options = scope.get_options(model, fail=False) or {}
        if "raw_scores" in options and contains_network(model):
            last = id(model.steps[-1][1])
            scope.add_options(last, options | (scope.options.get(last) or {}))
        return _parse_sklearn_pipeline(scope, model, inputs, custom_parsers)

    update_registered_parser(Pipeline, parse_pipeline)


def _ours_or_theirs(ours: Converter, theirs: Converter) -> Converter:
    """Return a converter that leaves estimators without a network of sknet to skl2onnx's own."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        chosen = ours if contains_network(operator.raw_operator) else theirs
        chosen(scope, operator, container)

    return convert


def _classifier_shapes(operator: Any) -> None:
    """Tell skl2onnx types and shapes of a classifier's outputs."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType
    from skl2onnx.common.utils import check_input_and_output_numbers
    from skl2onnx.common.utils_classifier import get_label_classes

    check_input_and_output_numbers(operator, input_count_range=1, output_count_range=2)
    model, n = operator.raw_operator, operator.inputs[0].get_first_dimension()
    classes = label_classes(get_label_classes(operator.scope_inst, model))
    labels = StringTensorType if classes.dtype == object else Int64TensorType
    operator.outputs[0].set_type(labels([n, len(classes)] if is_multilabel(model) else [n]))
    operator.outputs[1].set_type(numbers_type(operator.inputs[0])([n, len(classes)]))


def _number_shapes(operator: Any) -> None:
    """Tell skl2onnx type and shape of the output of a regressor or of HiddenLayers."""
    from skl2onnx.common.utils import check_input_and_output_numbers

    check_input_and_output_numbers(operator, input_count_range=1, output_count_range=1)
    model, n = operator.raw_operator, operator.inputs[0].get_first_dimension()
    is_regressor = isinstance(model, MLPRegressor)
    width = len(model.intercepts_[-1] if is_regressor else model.get_feature_names_out())
    operator.outputs[0].set_type(numbers_type(operator.inputs[0])([n, width]))


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Add an MLPClassifier."""
    model, graph = operator.raw_operator, new_graph(scope, operator, container)
    indices, scores, probabilities = add_classifier(graph, input_of(graph, operator), model)
    labels = indices if is_multilabel(model) else labels_of(graph, scope, model, indices)
    wants_scores = scope.get_options(model, {"raw_scores": False})["raw_scores"]
    if probabilities is None or wants_scores:
        is_single = len(model.intercepts_[-1]) < len(model.classes_)
        second = graph.Concat(-scores, scores, axis=1) if is_single else scores
    else:
        second = probabilities
    finish(graph, operator, container, labels, second)


def _convert_numbers(scope: Any, operator: Any, container: Any) -> None:
    """Add an MLPRegressor or HiddenLayers."""
    model, graph = operator.raw_operator, new_graph(scope, operator, container)
    add = add_regressor if isinstance(model, MLPRegressor) else add_hidden_layers
    finish(graph, operator, container, add(graph, input_of(graph, operator), model))
