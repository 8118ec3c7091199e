"""Random parameters of estimators: a few at a time, at ordinary values and at the edges."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import sklearn.neural_network
from hypothesis import strategies as st

import sknet
from sknet.activations import Activation
from sknet.initialization import Initializer
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

# Small and short, so that a case takes milliseconds. A draw may say otherwise.
BASE: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


def half_of(fraction):
    """Return a factor of the learning rate that decreases to a half."""
    return 1 - fraction / 2


def whole_rate(fraction):
    """Return a factor of the learning rate that is an int."""
    return 1


def draw_uniform(fan_in, fan_out, random_state):
    """Return weights without biases."""
    return random_state.uniform(-0.5, 0.5, (fan_in, fan_out))


def draw_zeros(fan_in, fan_out, random_state):
    """Return weights and biases of 0."""
    return np.zeros((fan_in, fan_out)), np.zeros(fan_out)


def score_by_mean(model, X, y, **options):
    """Return the mean of the first column of predictions, if they are numbers."""
    predicted = np.asarray(model.predict(X))
    return float(predicted.mean()) if predicted.dtype.kind in "fiub" else 0.0


def own_names(part: type) -> list[str]:
    """Return the names of the package's own parts: other tests register more."""
    return sorted(n for n, p in part.table.items() if p.__module__.startswith("sknet."))


# What scikit-learn's MLP takes as well; it has no n_jobs, which changes no result.
PLAIN: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(4,), (), (1,), 5, [3, 2], np.array([2, 3]), (2, 1, 2), (17,), (33, 9)],
    "activation": ["relu", "identity", "logistic", "tanh"],
    "solver": ["adam", "sgd", "lbfgs"],
    "alpha": [1e-4, 0, 0.0, 1.0, 1e10, 1e-310, np.float32(0.01), np.longdouble(0.1)],
    "batch_size": ["auto", 1, 2, 3, 7, 1000, np.int64(4), np.uint8(5)],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "learning_rate_init": [1e-3, 0.1, 1, 1e3, 1e30, 1e-30, 1e-310, np.float16(0.01)],
    "power_t": [0.5, 0, 0.0, 3.0, 1e3],
    "max_iter": [3, 1, 2, 6, 25, np.int64(4), np.int8(4)],
    "shuffle": [True, False, np.False_],
    "random_state": [0, 1, 2**32 - 1, np.int64(3), np.uint8(200)],
    "tol": [1e-4, 0.0, 0, 10.0, 1e30, np.longdouble(0.001)],
    "verbose": [False, True, 0, 2],
    "warm_start": [False, True, np.True_],
    "momentum": [0.9, 0.0, 0, 1.0, 1, 0.999999, np.float16(0.5)],
    "nesterovs_momentum": [True, False],
    "early_stopping": [False, True, True],
    "validation_fraction": [0.1, 0.5, 0.9, 0.001, 0.0, 0.999],
    "beta_1": [0.9, 0.0, 0, 0.999999, np.longdouble(0.5)],
    "beta_2": [0.999, 0.0, 0, 0.999999],
    "epsilon": [1e-8, 1.0, 1, 1e-300, 1e-30, 1e10],
    "n_iter_no_change": [10, 1, 2, np.inf, np.int8(1), np.float32("inf")],
    "n_jobs": [None, 1, 2, np.int64(2)],
    "max_fun": [15000, 1, 2, 5, np.int16(9)],
}

# What only sknet takes; names of PLAIN get further values.
OWN: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["3-2", "4", np.int64(3)],
    "solver": [*own_names(Optimizer), "lbfgs"],
    "learning_rate": [*own_names(Schedule), half_of, whole_rate],
    "verbose": ["progress"],
    "weight_init": ["auto", *own_names(Initializer), draw_uniform, draw_zeros],
    "l1_ratio": [0.0, 0, 0.5, 1.0, 1, np.longdouble(0.5)],
    "dropout": [0.0, 0, 0.3, 0.99, np.float16(0.5)],
    "input_noise": [0.0, 0, 0.1, 1e30, 1e-310],
    "weight_decay": [0.01, 0.0, 0, 1.0, 1e30, np.longdouble(0.1)],
    "gradient_clip_norm": [None, 1.0, 1, 1e-30, 1e-310, 1e30, np.longdouble(1)],
    "ema_decay": [None, 0.0, 0, 0.5, 0.9999, np.longdouble(0.5)],
    "warmup_fraction": [0.0, 0, 0.5, 0.999, np.float16(0.5)],
    "decay_rate": [0.95, 1.0, 1, 1e-30, np.longdouble(0.5)],
    "decay_epochs": [10, 1, np.int64(2), np.int8(2)],
    "scoring": [None, "loss", score_by_mean],
    "restore_best": [None, True, False],
    "training_scoring": [None, "loss", score_by_mean],
}
FOR_CLASSIFIER: dict[str, list[Any]] = {
    "loss": ["log_loss", "focal", "squared_error", "hinge"],
    "class_weight": [
        None,
        "balanced",
        {},
        {1: 2.0, 0: 0.5},
        {"a": 3},
        {0: 0.0},
        [{0: 1, 1: 2}] * 3,
    ],
    "scoring": ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro"],
    "training_scoring": ["accuracy", "neg_log_loss"],
    "label_smoothing": [0.0, 0, 0.1, 0.999, np.float16(0.1)],
    "focal_gamma": [2.0, 0.0, 0, 0.5, 30.0, np.longdouble(1)],
}
FOR_REGRESSOR: dict[str, list[Any]] = {
    "loss": sorted(Loss.choices("numbers")),
    "quantile": [0.5, 0.01, [0.1, 0.9], (0.5,), np.array([0.2, 0.5, 0.7]), np.float16(0.5)],
    "non_crossing": [False, True],
    "scoring": ["r2", "neg_mean_absolute_error", "neg_mean_gamma_deviance"],
    "training_scoring": ["r2", "neg_mean_gamma_deviance"],
    "huber_delta": [1.0, 1, 1e-30, 1e30, np.longdouble(1)],
}

# Values that no parameter takes. The most of them are refused before anything else happens.
REFUSED: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(0,), (-1,), (2.5,), "a-b", None, 0, [[1, 2]], ("x",)],
    "activation": ["rleu", None, 3, ["relu", "nothing"], []],
    "solver": ["adma", None, 3],
    "alpha": [-1.0, np.nan, np.inf, "x", None],
    "batch_size": [0, -3, 2.5, "all", None],
    "learning_rate": ["fast", None, 0.1],
    "learning_rate_init": [0.0, -1.0, np.nan, np.inf, "x", None],
    "max_iter": [0, -1, 2.5, np.inf, None],
    "random_state": [-1, 2**32, "x", 0.5],
    "momentum": [-0.1, 1.1, np.nan],
    "beta_1": [1.0, -0.1, np.nan],
    "epsilon": [0.0, -1.0, np.nan],
    "n_iter_no_change": [0, 2.5, np.nan, None],
    "validation_fraction": [1.0, -0.1, np.nan],
    "n_jobs": ["two", 1.5, 0],
    "weight_init": ["large", None],
    "dropout": [1.0, -0.1, np.nan, [0.1] * 7, ["x"]],
    "gradient_clip_norm": [0.0, -1.0, np.nan],
    "ema_decay": [1.0, -0.1, np.nan],
    "scoring": ["acuracy", 3],
    "training_scoring": ["acuracy", 3],
}

CONSTRAINED = {"MLPClassifier": FOR_CLASSIFIER, "MLPRegressor": FOR_REGRESSOR}


def values_of(estimator: str, *, plain: bool) -> dict[str, list[Any]]:
    """Return the values that are drawn for each parameter of an estimator."""
    if plain:
        loss = {"loss": ["squared_error", "poisson"]} if estimator == "MLPRegressor" else {}
        return PLAIN | loss
    tables = (PLAIN, OWN, CONSTRAINED[estimator])
    names = {name for table in tables for name in table}
    return {name: [v for table in tables for v in table.get(name, [])] for name in names}


@st.composite
def parameters(draw: Any, estimator: str, *, plain: bool, max_size: int = 8) -> dict[str, Any]:
    """Draw some parameters; those that are left out are those of `BASE`, or the defaults."""
    values = values_of(estimator, plain=plain)
    names = draw(st.lists(st.sampled_from(sorted(values)), unique=True, max_size=max_size))
    drawn = {name: draw(st.sampled_from(values[name])) for name in names}
    if not plain:
        layers = draw(st.sampled_from([None, None, 1, 2]))
        one = st.sampled_from(own_names(Activation))
        if layers is None:
            drawn["activation"] = draw(one)
        else:  # a list has to fit the layers
            drawn["hidden_layer_sizes"] = (3, 5)[:layers]
            drawn["activation"] = [draw(one) for _ in range(layers)]
    return drawn


@st.composite
def refused(draw: Any) -> dict[str, Any]:
    """Draw one parameter with a value that is not allowed."""
    name = draw(st.sampled_from(sorted(REFUSED)))
    return {name: draw(st.sampled_from(REFUSED[name]))}


def for_sklearn(estimator: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Return the parameters for scikit-learn's estimator, None if it has no such model."""
    theirs = getattr(sklearn.neural_network, estimator)
    known = dict(parameters)
    if known.get("n_jobs") in PLAIN["n_jobs"]:
        known.pop("n_jobs", None)
    if not set(known) <= set(inspect.signature(theirs).parameters):
        return None
    values = values_of(estimator, plain=True)
    for name in ("activation", "solver", "learning_rate", "loss", "verbose"):
        value = known.get(name)
        if name in known and (not isinstance(value, str | int) or value not in values[name]):
            return None
    if isinstance(known.get("hidden_layer_sizes"), str):
        return None
    if known.get("solver") == "lbfgs" and known.get("early_stopping"):
        return None  # it ignores early_stopping there
    return known


def new(estimator: str, parameters: dict[str, Any]) -> Any:
    """Return one of our estimators."""
    return getattr(sknet, estimator)(**BASE | parameters)


def new_of_sklearn(estimator: str, parameters: dict[str, Any]) -> Any:
    """Return scikit-learn's estimator, None if it has no such model."""
    known = for_sklearn(estimator, BASE | parameters)
    if known is None:
        return None
    # It computes with batch_size in whatever integers that is given in, which may overflow.
    plain = {k: int(v) if isinstance(v, np.integer) else v for k, v in known.items()}
    # Below the smallest normal number we take 0.
    if isinstance(known.get("alpha"), float) and 0 < known["alpha"] < np.finfo(float).tiny:
        plain["alpha"] = 0.0
    return getattr(sklearn.neural_network, estimator)(**plain)
