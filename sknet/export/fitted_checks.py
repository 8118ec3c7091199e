"""What the attributes of a fitted network must be, so that a file of strangers can be trusted.

Kernels read memory by these numbers. Whatever passes here is a network that could have been fitted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
from sklearn.base import is_classifier

from sknet._training.averaging import Averaging
from sknet.activations import Activation
from sknet.estimators.pickles import CURVES, REQUESTS, TRAINING_STATE
from sknet.exceptions import ModelFileError
from sknet.losses import Loss
from sknet.optimizers import Optimizer

# Attributes that not every fitted network has.
OPTIONAL = {"feature_names_in_", "training_scores_", REQUESTS, *TRAINING_STATE}

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_fitted(model: Any, attributes: Mapping[str, Any]) -> None:
    """Check the attributes of a fitted network, as its pickle has them.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        An unfitted estimator with the parameters of the network.
    attributes : mapping of str to object

    Raises
    ------
    ModelFileError
        If an attribute is missing, unknown, or not what it is in a fitted network.
    """
    required = set(model._pickled_attributes)
    check_names("attributes of a fitted network", attributes, required, OPTIONAL)
    for name, is_valid in SIMPLE.items():
        if name in attributes and not is_valid(attributes[name]):
            _refuse(name)
    sizes = _check_weights(attributes)
    if "feature_names_in_" in attributes:
        names = attributes["feature_names_in_"]
        if not (is_vector(names, "O") and names.size == sizes[0]):
            _refuse("feature_names_in_")
    _check_requests(type(model), attributes.get(REQUESTS, {}))
    kind = _check_labels(attributes, sizes[-1]) if is_classifier(model) else "numbers"
    _check_parts(model, attributes, kind, sizes)
    n_parameters = sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(sizes))
    check_optimizer(model, attributes.get("_optimizer"), n_parameters)
    _check_averaging(attributes.get("_averaging"), n_parameters)
    _check_measured(attributes.get("_measured"))


def _refuse(name: str) -> NoReturn:
    raise ModelFileError(f"The attribute {name} is not that of a fitted network.")


def check_names(
    what: str, found: Iterable[str], required: set[str], optional: Iterable[str] = ()
) -> None:
    """Refuse names that are missing or unknown."""
    missing = required - set(found)
    unknown = set(found) - required - set(optional)
    for problem, names in (("Missing", missing), ("Unknown", unknown)):
        if names:
            shown = ", ".join(sorted(repr(str(name)[:40]) for name in names)[:5])
            raise ModelFileError(f"{problem} {what}: {shown}.")


# Single values.


def is_count(value: Any) -> bool:
    """Return whether a value is an integer >= 0, and no bool."""
    return isinstance(value, int | np.integer) and type(value) is not bool and bool(value >= 0)


def is_float(value: Any) -> bool:
    """Return whether a value is a float of Python or NumPy."""
    return isinstance(value, float | np.floating)


def is_curve(value: Any) -> bool:
    """Return whether a value is a list of floats."""
    return isinstance(value, list) and all(map(is_float, value))


def or_none(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a check that None passes, too."""
    return lambda value: value is None or is_valid(value)


def is_vector(value: Any, kinds: str) -> bool:
    """Return whether a value is a vector whose dtype is of one of NumPy's kinds."""
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in kinds


SIMPLE: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(CURVES, or_none(is_curve)),
    "loss_curve_": is_curve,
    "learning_rate_curve_": is_curve,
    "training_scores_": is_curve,
    "loss_": is_float,
    "best_loss_": or_none(is_float),
    "best_validation_score_": or_none(is_float),
    "n_iter_": is_count,
    "t_": is_count,
    "_no_improvement_count": is_count,
}


# What belongs together.


def _check_weights(attributes: Mapping[str, Any]) -> list[int]:
    """Return the widths of all layers, input included."""
    coefs, intercepts = attributes["coefs_"], attributes["intercepts_"]
    for name, ndim in (("coefs_", 2), ("intercepts_", 1)):
        arrays = attributes[name]
        if not (isinstance(arrays, list) and arrays and len(arrays) == len(coefs)):
            _refuse(name)
        for array in arrays:
            is_float = isinstance(array, np.ndarray) and array.dtype in FLOATS
            if not is_float or array.ndim != ndim or 0 in array.shape:
                _refuse(name)
            if array.dtype != coefs[0].dtype:
                _refuse(name)
    sizes = [coefs[0].shape[0], *(W.shape[1] for W in coefs)]
    if [W.shape for W in coefs] != list(pairwise(sizes)):
        _refuse("coefs_")
    if [b.size for b in intercepts] != sizes[1:]:
        _refuse("intercepts_")
    expected = {"n_features_in_": sizes[0], "n_outputs_": sizes[-1], "n_layers_": len(sizes)}
    for name, size in expected.items():
        if not is_count(attributes[name]) or attributes[name] != size:
            _refuse(name)
    return sizes


def _check_labels(attributes: Mapping[str, Any], n_outputs: int) -> str:
    """Return the kind of targets."""
    binarizer, known = attributes["_label_binarizer"], attributes["classes_"]
    if not isinstance(binarizer, dict):
        _refuse("_label_binarizer")
    check_names("entries of _label_binarizer", binarizer, {"classes", "y_type", "sparse_input"})
    classes, y_type = binarizer["classes"], binarizer["y_type"]
    for labels in (classes, known):
        if not is_vector(labels, "biufUO"):
            _refuse("classes_")
        if len(labels) != len(classes) or not (labels[1:] > labels[:-1]).all():
            _refuse("classes_")
    n_expected = {
        "binary": {1, 2} if n_outputs == 1 else set(),
        "multiclass": {n_outputs},
        "multilabel-indicator": {n_outputs},
    }
    if not (isinstance(y_type, str) and isinstance(binarizer["sparse_input"], bool)):
        _refuse("_label_binarizer")
    if len(classes) not in n_expected.get(y_type, set()):
        _refuse("_label_binarizer")
    return "codes" if y_type == "multiclass" else "indicators"


def _check_parts(model: Any, attributes: Mapping[str, Any], kind: str, sizes: list[int]) -> None:
    """Refuse activations and losses that do not exist, or that are not for this network."""
    names, loss_and_settings = attributes["_fitted_activations"], attributes["_fitted_loss"]
    if not (isinstance(names, tuple) and all(isinstance(name, str) for name in names)):
        _refuse("_fitted_activations")
    if len(names) != len(sizes) - 2:
        _refuse("_fitted_activations")
    for name in names:
        _part(Activation, name)
    if not (isinstance(loss_and_settings, tuple) and len(loss_and_settings) == 2):
        _refuse("_fitted_loss")
    loss, settings = _part(Loss, loss_and_settings[0]), loss_and_settings[1]
    if not (is_curve(settings) and all(map(math.isfinite, settings)) and loss.targets == kind):
        _refuse("_fitted_loss")
    quantiles = loss.quantiles(settings)
    if quantiles:
        is_sorted = all(a < b for a, b in pairwise([0.0, *quantiles, 1.0]))
        if not is_sorted or sizes[-1] % len(quantiles):
            _refuse("_fitted_loss")
    elif len(settings) != len(loss.settings(vars(model))):
        _refuse("_fitted_loss")
    output = attributes["out_activation_"]
    if not isinstance(output, str) or output != loss.out_activation:
        _refuse("out_activation_")


def _part(kind: Any, name: Any) -> Any:
    """Return an activation, a loss or an optimiser, or say that it is not defined."""
    if not isinstance(name, str):
        raise ModelFileError(f"Something else than a name stands for the {kind.kind}.")
    try:
        return kind.get(name[:80])
    except ValueError as error:
        raise ModelFileError(str(error)) from error


# The state of training.


def _check_requests(cls: Any, asked: Any) -> None:
    """Refuse requests for metadata of methods and parameters that the class does not have."""
    if not isinstance(asked, dict):
        _refuse(REQUESTS)
    known = cls().get_metadata_routing()
    for method, parameters in asked.items():
        if method == "owner" or method not in vars(known) or not isinstance(parameters, dict):
            _refuse(REQUESTS)
        for name, alias in parameters.items():
            is_name = isinstance(alias, str) and alias.isidentifier()
            if name not in getattr(known, method).requests or not (
                alias is None or isinstance(alias, bool) or is_name
            ):
                _refuse(REQUESTS)


def check_optimizer(model: Any, state: Any, n_parameters: int) -> None:
    """Refuse what is not the state of an optimiser, as a pickle has it, or None."""
    if state is None:
        return
    if not isinstance(state, dict) or "name" not in state:
        _refuse("_optimizer")
    part = _part(Optimizer, state["name"])
    known = {field.name for field in fields(part)}
    check_names("attributes of an optimiser", state, {"name", *known})
    slots = state["slots"]
    if not is_vector(slots, "f") or slots.dtype not in FLOATS:
        _refuse("_optimizer")
    if slots.size != part.n_slots * n_parameters or not is_count(state["t"]):
        _refuse("_optimizer")
    numbers = {name: state[name] for name in known - {"slots", "t"}}
    for number in numbers.values():
        if not isinstance(number, bool | int | float) or not 0 <= number < math.inf:
            _refuse("_optimizer")
    del numbers["learning_rate"]  # the present one; the parameter of this name is the schedule
    try:
        type(model)(**numbers)._validate_params()
    except (ValueError, TypeError):
        _refuse("_optimizer")


def _check_averaging(state: Any, n_parameters: int) -> None:
    if state is None:
        return
    if not isinstance(state, dict):
        _refuse("_averaging")
    check_names("attributes of an average", state, {field.name for field in fields(Averaging)})
    for name in ("mean", "last"):
        vector = state[name]
        if not is_vector(vector, "f") or vector.dtype not in FLOATS or vector.size != n_parameters:
            _refuse("_averaging")
    if not is_float(state["decay"]) or not 0 <= state["decay"] < 1:
        _refuse("_averaging")


def _check_measured(state: Any) -> None:
    """Check what decides whether a warm start compares its epochs with those before."""
    if state is None:
        return
    if not isinstance(state, dict):
        _refuse("_measured")
    check_names("entries of _measured", state, {"loss", "scoring", "training_scoring", "data"})
    if not isinstance(state["loss"], tuple):
        _refuse("_measured")
    if not all(
        state[name] is None or isinstance(state[name], str) for name in state.keys() - {"loss"}
    ):
        _refuse("_measured")
