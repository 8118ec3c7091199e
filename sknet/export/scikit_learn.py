"""Fitted networks as estimators of scikit-learn, and back, with the state of their training."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import sklearn.neural_network as theirs
from sklearn.base import is_classifier
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer
from sklearn.utils.validation import check_is_fitted

from sknet._engine.memory import slots_by_parameter, slots_in_blocks
from sknet._network.layout import Layout
from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.estimators.fit_start import optimizer_to_go_on
from sknet.estimators.fitted_network import NetworkSpec
from sknet.estimators.known_parameters import defaults_of
from sknet.estimators.parameters import plain_numbers
from sknet.estimators.targets import fitted_targets
from sknet.losses import Loss
from sknet.optimizers import Optimizer

PAIRS = ((MLPClassifier, theirs.MLPClassifier), (MLPRegressor, theirs.MLPRegressor))

# What scikit-learn's networks have.
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
SOLVERS = ("adam", "sgd", "lbfgs")
SCHEDULES = ("constant", "invscaling", "adaptive")

# Fitted attributes that both libraries have under the same name and with the same meaning.
SHARED = (
    "n_features_in_", "feature_names_in_", "classes_", "_label_binarizer", "n_layers_",
    "n_outputs_", "out_activation_", "n_iter_", "t_", "loss_", "best_loss_", "loss_curve_",
    "validation_scores_", "best_validation_score_", "_no_improvement_count",
)  # fmt: skip


def to_sklearn(model: Any, *, prediction_only: bool = False) -> Any:
    """Return a fitted network as scikit-learn's estimator of the same name.

    The weights have the same bits. Predictions agree to rounding, since scikit-learn adds up
    products in another order.

    Training goes on in scikit-learn as it would in sknet: `partial_fit`, and `fit` with
    ``warm_start=True``, go on from the same weights, with the same random numbers. `partial_fit`
    also takes over the moving averages and the number of steps of 'adam', and the velocities and
    the learning rate of 'sgd'.

    Parameters that change neither the predictions nor how training goes on are left out:
    ``n_jobs``, ``training_scoring``, ``weight_init``, and whatever has no effect with the other
    parameters. ``verbose='progress'`` becomes True.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        A fitted estimator of sknet. It is not changed.
    prediction_only : bool, default=False
        Whether the result is for predictions only. If True, parameters of training that
        scikit-learn does not have, such as ``dropout`` or ``solver='lion'``, are no error. They are
        left out, or get scikit-learn's defaults, and the state of the optimiser is left out.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        A fitted estimator of scikit-learn, which shares no arrays with `model`.

    Raises
    ------
    TypeError
        If the model is not an estimator of sknet.
    NotFittedError
        If the model is not fitted.
    ValueError
        If scikit-learn cannot express the network. The message names each reason: other
        activations, outputs that it does not have and, unless ``prediction_only=True``, parameters
        of training that it does not have.

    See Also
    --------
    from_sklearn : The other direction.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sknet import MLPClassifier
    >>> from sknet.export import to_sklearn
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(random_state=0).fit(X, y)
    >>> theirs = to_sklearn(model)
    >>> type(theirs)
    <class 'sklearn.neural_network._multilayer_perceptron.MLPClassifier'>
    >>> np.allclose(theirs.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12)
    True
    """
    cls = _counterpart(model, PAIRS)
    check_is_fitted(model, "coefs_")
    spec = model._spec()
    for_training = _obstacles_to_training(model, cls)
    obstacles = _obstacles_to_predictions(model, spec, cls)
    if not prediction_only:
        obstacles += for_training.values()
    if obstacles:
        advice = ""
        if for_training and not prediction_only and len(for_training) == len(obstacles):
            advice = " They matter for training only: give prediction_only=True to leave them out."
        raise ValueError(
            f"scikit-learn's {cls.__name__} cannot express this network: {'; '.join(obstacles)}."
            + advice
        )
    given = {name: value for name, value in vars(model).items() if name not in for_training}
    parameters = {name: given[name] for name in defaults_of(cls) if name in given}
    parameters |= {
        "hidden_layer_sizes": spec.units[1:-1],
        "activation": spec.activations[0] if spec.activations else "relu",
        "verbose": model.verbose if model.verbose != "progress" else True,
        "random_state": copy.deepcopy(model.random_state),
    }
    if model.learning_rate not in SCHEDULES:  # which has no effect, or is left out
        parameters["learning_rate"] = "constant"
    if spec.out_activation == "exp":
        parameters["loss"] = "poisson"
    result = cls(**parameters)
    _copy_attributes(model, result)
    if spec.out_activation == "quantiles":  # which are not sorted here
        result.out_activation_ = "identity"
    coefs, intercepts = Layout(spec.units).split(spec.params)
    result.coefs_ = [W.copy() for W in coefs]
    result.intercepts_ = [b.copy() for b in intercepts]
    # The same arrays, as after early stopping in scikit-learn. A warm start that makes no progress
    # then keeps the last weights, as in sknet.
    result._best_coefs, result._best_intercepts = result.coefs_, result.intercepts_
    optimizer = optimizer_to_go_on(plain_numbers(vars(model)), spec.params)
    if optimizer is not None and not for_training:
        result._optimizer = _optimizer_of_sklearn(optimizer, result)
    return result


def from_sklearn(model: Any) -> Any:
    """Return a network of scikit-learn as sknet's estimator of the same name.

    The weights have the same bits, and predictions agree to rounding. Training goes on as it would
    in scikit-learn, as described for :func:`to_sklearn`.

    scikit-learn does not record learning rates and validation losses, so these curves begin with
    the next epoch. ``early_stopping`` becomes False with ``solver='lbfgs'``, for which scikit-learn
    ignores it.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        An estimator of scikit-learn, fitted or not. It is not changed.

    Returns
    -------
    MLPClassifier or MLPRegressor
        An estimator of sknet, which shares no arrays with `model`. It is fitted if `model` is.

    Raises
    ------
    TypeError
        If the model is not one of these estimators.

    See Also
    --------
    to_sklearn : The other direction.

    Examples
    --------
    >>> import numpy as np
    >>> import sklearn.neural_network
    >>> from sklearn.datasets import load_diabetes
    >>> from sknet.export import from_sklearn
    >>> X, y = load_diabetes(return_X_y=True)
    >>> theirs = sklearn.neural_network.MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
    >>> model = from_sklearn(theirs)
    >>> type(model)
    <class 'sknet.estimators.regressor.MLPRegressor'>
    >>> np.allclose(model.predict(X), theirs.predict(X))
    True
    """
    cls = _counterpart(model, tuple((other, ours) for ours, other in PAIRS))
    names = set(model.get_params()) & defaults_of(cls).keys()
    parameters = {name: copy.deepcopy(vars(model)[name]) for name in names}
    if model.solver == "lbfgs":
        parameters["early_stopping"] = False
    result = cls(**parameters)
    if not hasattr(model, "coefs_"):
        return result
    vars(result).update(
        loss_curve_=[], learning_rate_curve_=[], best_loss_=None,
        validation_scores_=None, validation_loss_curve_=None, best_validation_score_=None,
    )  # fmt: skip
    _copy_attributes(model, result)
    if result.validation_scores_ is not None:
        result.validation_loss_curve_ = []
    kind = fitted_targets(result, vars(result)).kind if is_classifier(result) else "numbers"
    loss = Loss.find(model.loss, kind)
    result._fitted_loss = loss.name, loss.settings(vars(result))
    result._fitted_activations = (model.activation,) * (len(model.coefs_) - 1)
    result.coefs_ = [np.array(W) for W in model.coefs_]
    result.intercepts_ = [np.array(b) for b in model.intercepts_]
    network = result._network()
    result._show(network)
    optimizer = vars(model).get("_optimizer")
    if optimizer is not None and model.solver in Optimizer.table:
        changed = _optimizer_of_sknet(optimizer, result, network.params)
        if changed is not None:
            result._optimizer = changed
    return result


def _counterpart(model: Any, pairs: tuple[tuple[type, Any], ...]) -> Any:
    """Return the class of the other library, or raise TypeError."""
    for cls, other in pairs:
        if isinstance(model, cls):
            return other
    expected = " or ".join(f"{cls.__module__.split('.')[0]}'s {cls.__name__}" for cls, _ in pairs)
    raise TypeError(f"model must be {expected}, got {type(model)}.")


def _copy_attributes(source: Any, target: Any) -> None:
    """Copy the fitted attributes that both libraries have."""
    for name in SHARED:
        if name in vars(source):
            setattr(target, name, copy.deepcopy(vars(source)[name]))


def _obstacles_to_predictions(model: Any, spec: NetworkSpec, cls: Any) -> list[str]:
    """Return what about a network's predictions scikit-learn cannot express."""
    found, names = [], spec.activations
    if len(set(names)) > 1 or not set(names) <= set(ACTIVATIONS):
        given = list(names) if len(set(names)) > 1 else names[0]
        found.append(f"activation={given!r} (it has {', '.join(ACTIVATIONS)}, one for all layers)")
    if is_classifier(model):
        if not Loss.get(spec.loss).has_probabilities:
            found.append(f"loss={model.loss!r}, whose scores are no probabilities")
        if len(model.classes_) == 1:
            found.append("a single class, for which it has probabilities of two")
    elif spec.out_activation == "exp" and "loss" not in defaults_of(cls):
        found.append(f"loss={model.loss!r} (it has an exponential output from version 1.7 on)")
    elif spec.out_activation == "quantiles" and spec.settings[0] and len(spec.settings) > 2:
        found.append("non_crossing=True with several quantiles")
    elif spec.out_activation not in ("exp", "identity", "quantiles"):
        found.append(f"out_activation_={spec.out_activation!r}")
    return found


def _obstacles_to_training(model: Any, cls: Any) -> dict[str, str]:
    """Return the parameters with which scikit-learn could not go on, and how to put each."""
    is_lbfgs = model.solver == "lbfgs"
    losses = ["squared_error", "poisson"] if "loss" in defaults_of(cls) else ["squared_error"]
    if is_classifier(model):
        losses = ["log_loss"]
    fitted = Loss.get(model._spec().loss).public
    restores = model.restore_best not in (None, model.early_stopping)
    matters = {
        "solver": model.solver not in SOLVERS,
        "loss": model.loss not in losses or model.loss != fitted,
        "learning_rate": not is_lbfgs and model.learning_rate not in SCHEDULES,
        "warmup_fraction": not is_lbfgs and model.warmup_fraction > 0,
        "l1_ratio": model.l1_ratio > 0 and model.alpha > 0,
        "dropout": bool(np.any(np.asarray(model.dropout) > 0)),
        "input_noise": model.input_noise > 0,
        "gradient_clip_norm": model.gradient_clip_norm is not None,
        "ema_decay": model.ema_decay is not None,
        "class_weight": vars(model).get("class_weight") is not None,
        "label_smoothing": model.loss == "log_loss" and model.label_smoothing > 0,
        "scoring": model.scoring is not None and model.early_stopping,
        "restore_best": restores,
        "early_stopping": is_lbfgs and model.early_stopping,
    }
    found = {name: f"{name}={vars(model)[name]!r}" for name, does in matters.items() if does}
    if "early_stopping" in found:
        found["early_stopping"] += " with solver='lbfgs'"
    return found


# Optimisers.


def _optimizer_of_sklearn(optimizer: Any, result: Any) -> Any:
    """Return an optimiser of scikit-learn in the state of one of sknet's."""
    params = [*result.coefs_, *result.intercepts_]
    layout = Layout([result.coefs_[0].shape[0], *(len(b) for b in result.intercepts_)])
    rows = slots_by_parameter(optimizer.slots, optimizer.n_slots)
    slots = [[v.copy() for part in layout.split(row) for v in part] for row in rows]
    rate = optimizer.learning_rate_init
    if result.solver == "sgd":
        schedule = result.learning_rate, optimizer.momentum, optimizer.nesterovs_momentum
        changed = SGDOptimizer(params, rate, *schedule, result.power_t)
        changed.velocities, changed.learning_rate = slots[0], optimizer.learning_rate
        return changed
    betas = optimizer.beta_1, optimizer.beta_2
    changed = AdamOptimizer(params, rate, *betas, optimizer.epsilon)
    changed.t = optimizer.t
    changed.ms, changed.vs = slots
    return changed


def _optimizer_of_sknet(theirs: Any, model: Any, params: np.ndarray) -> Optimizer | None:
    """Return an optimiser of sknet in the state of one of scikit-learn's.

    It is None if it is the optimiser of another solver, set before, or of other weights.
    """
    part = Optimizer.get(model.solver)
    names = {"sgd": ("velocities",), "adam": ("ms", "vs")}[model.solver]
    if not all(hasattr(theirs, name) for name in names):
        return None
    rows = [np.concatenate([v.ravel() for v in getattr(theirs, name)]) for name in names]
    if any(row.size != params.size for row in rows):
        return None
    optimizer = part.start(plain_numbers(vars(model)), params)
    optimizer.slots = slots_in_blocks(np.stack(rows).astype(params.dtype, copy=False))
    optimizer.t = getattr(theirs, "t", 0)  # which scikit-learn's 'sgd' does not count
    if model.solver == "sgd":  # 'adam' calls the corrected rate of the last step so
        optimizer.learning_rate = float(theirs.learning_rate)
    return optimizer
