"""Parameters are cloned, set and compared with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
from comparisons import ATOL
from factories import BOTH, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from snapshots import assert_same_weights

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_clone_and_set_params(estimator):
    values = {
        "hidden_layer_sizes": [3, 2],
        "activation": "tanh",
        "solver": "sgd",
        "alpha": 0.25,
        "n_iter_no_change": np.inf,
        "random_state": 5,
    }
    model = estimator(**values)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(alpha=1.0) is copy
    assert (model.alpha, copy.alpha) == (0.25, 1.0)
    assert copy.hidden_layer_sizes is not model.hidden_layer_sizes
    with pytest.raises(ValueError, match="Invalid parameter 'units' for estimator MLP"):
        model.set_params(units=3)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults_are_scikit_learn_s(name):
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]()
    theirs = getattr(sklearn.neural_network, name)()
    shared = theirs.get_params().items()
    assert {k: v for k, v in ours.get_params().items() if k in theirs.get_params()} == dict(shared)


def test_a_clone_fits_the_same_model(wine):
    X, y = wine
    model = classifier().fit(X, y)
    again = clone(model).fit(X, y)
    assert again.loss_curve_ == model.loss_curve_
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_set_params_does_not_change_a_fitted_regressor_s_predictions(progress):
    X, y = progress
    ours, theirs = (regressor(library).fit(X, y) for library in BOTH)
    before = ours.predict(X)
    if "loss" in theirs.get_params():
        theirs.set_params(loss="poisson")
    ours.set_params(loss="poisson", alpha=7, solver="lbfgs", max_iter=1)
    assert_array_equal(ours.predict(X), before)
    assert_allclose(ours.predict(X), theirs.predict(X), atol=ATOL)


# NumPy's scalars. Each stands beside the parameters that make it count.

INTEGERS = {
    "max_iter": (100, {}),
    "batch_size": (20, {}),
    "n_iter_no_change": (2, {"tol": 1.0}),
    "max_fun": (20, {"solver": "lbfgs"}),
    "n_jobs": (1, {}),
    "decay_epochs": (2, {"learning_rate": "step"}),
    "random_state": (3, {}),
    "verbose": (0, {}),
    "hidden_layer_sizes": (4, {}),
}
FRACTIONS = {
    "alpha": {},
    "learning_rate_init": {},
    "power_t": {"solver": "sgd", "learning_rate": "invscaling"},
    "tol": {},
    "momentum": {"solver": "sgd"},
    "validation_fraction": {"early_stopping": True},
    "beta_1": {},
    "beta_2": {},
    "epsilon": {},
    "l1_ratio": {"alpha": 0.1},
    "dropout": {},
    "input_noise": {},
    "weight_decay": {"solver": "adamw"},
    "gradient_clip_norm": {},
    "ema_decay": {},
    "warmup_fraction": {},
    "decay_rate": {"learning_rate": "exponential"},
    "label_smoothing": {},
    "focal_gamma": {"loss": "focal"},
}
SCALARS = [
    *((name, t(v), more) for name, (v, more) in INTEGERS.items() for t in (np.int8, np.uint64)),
    *(
        (name, t(0.3), more)
        for name, more in FRACTIONS.items()
        for t in (np.float16, np.float32, np.longdouble)
    ),
    *((n, np.True_, {}) for n in ("shuffle", "warm_start", "early_stopping", "restore_best")),
    ("nesterovs_momentum", np.True_, {"solver": "sgd"}),
]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "value", "more"), SCALARS, ids=[f"{n}-{type(v).__name__}" for n, v, _ in SCALARS]
)
def test_scalars_of_numpy_are_taken_as_python_s_numbers(name, value, more, wine):
    X, y = wine
    kind = {"b": bool, "f": float}.get(value.dtype.kind, int)
    parameters = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0} | more
    models = [MLPClassifier(**{**parameters, name: v}) for v in (value, kind(value))]
    for model in models:
        model.fit(X, y)
    assert_same_weights(*models)
    assert getattr(models[0], name) is value
    if more.keys() & {"early_stopping"} or name == "early_stopping" or "lbfgs" in more.values():
        return
    for model in models:
        model.partial_fit(X, y)
    assert_same_weights(*models)


def test_scalars_cover_all_numbers():
    numbers = {
        name
        for name, value in MLPClassifier().get_params().items()
        if isinstance(value, (int, float)) or name in {"ema_decay", "gradient_clip_norm", "n_jobs"}
    }
    assert numbers <= {name for name, *_ in SCALARS}


@pytest.mark.parametrize("zero", [0, np.int8(0), False])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_no_threads_are_refused(zero, method, wine):
    # joblib refuses 0, too, but small networks never ask it.
    X, y = wine
    with pytest.raises(ValueError, match=r"'n_jobs' parameter .* Got"):
        getattr(classifier(n_jobs=zero), method)(X, y)


ACTIVATIONS = ["nosuch", ["nosuch"], ("relu", "relu"), [["relu"]], [None], [3], np.array(["relu"])]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=map(repr, ACTIVATIONS))
@pytest.mark.parametrize("method", ["fit", "partial_fit", "warm start"])
def test_unknown_activations_after_a_fit(activation, method, wine):
    """They do not matter until the next fit, which lists the names."""
    X, y = wine
    model = classifier(max_iter=2, warm_start=method == "warm start").fit(X, y)
    before = model.predict_proba(X)
    model.set_params(activation=activation)
    assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match=r"activation.*'elu', 'gelu', .*'tanh'"):
        getattr(model, "partial_fit" if method == "partial_fit" else "fit")(X, y)
    assert_array_equal(model.predict_proba(X), before)
