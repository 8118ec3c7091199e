"""A stream of batches: each call of `partial_fit` goes by the parameters that are set by then."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from comparisons import ATOL
from factories import BOTH, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from snapshots import assert_same, assert_unchanged, snapshot

from sknet import MLPClassifier
from sknet.optimizers import Optimizer

SOLVERS = sorted(Optimizer.table)


def step(model, X, y):
    """Return how far a call of `partial_fit` moves the first weights, as a matrix."""
    before = model.coefs_[0].copy()
    return model.partial_fit(X, y).coefs_[0] - before


def begun(iris, library=None, n=3, **parameters):
    """Return a network after some calls of `partial_fit`, each of one step, and the data."""
    X, y = iris
    model = classifier(library, batch_size=150, **parameters)
    for _ in range(n):
        model.partial_fit(X, y, classes=[0, 1, 2])
    return model, X, y


@pytest.mark.parametrize("solver", SOLVERS)
def test_another_learning_rate_scales_the_next_step(solver, iris):
    """Without momentum all rules are linear in the rate, weight decay included."""
    steps = []
    for factor in (1, 3):
        model, X, y = begun(iris, solver=solver, learning_rate_init=0.01, momentum=0, alpha=0)
        steps.append(step(model.set_params(learning_rate_init=0.01 * factor), X, y))
    assert abs(steps[0]).max() > 0
    assert_allclose(steps[1], 3 * steps[0], rtol=1e-9, atol=1e-14)


def test_momentum_goes_on_after_another_learning_rate(iris):
    """Classical momentum: v_t = mu v_(t-1) - eta g_t, and the step is v_t."""
    steps = {}
    for rate in (0.1, 0.2, 0.4):
        model, X, y = begun(iris, solver="sgd", learning_rate_init=0.1, nesterovs_momentum=False)
        steps[rate] = step(model.set_params(learning_rate_init=rate), X, y)
    assert_allclose(steps[0.4] - steps[0.2], 2 * (steps[0.2] - steps[0.1]), rtol=1e-9, atol=1e-14)
    assert abs(2 * steps[0.1] - steps[0.2]).max() > 1e-3  # that is mu v, which has remained


def test_a_learning_rate_that_is_not_changed_goes_on_decaying(iris):
    model, X, y = begun(iris, solver="sgd", learning_rate="invscaling", learning_rate_init=0.1)
    rates = model.learning_rate_curve_
    model.set_params(alpha=0.5, momentum=0.5).partial_fit(X, y)
    assert_allclose(rates[1:4], 0.1 / np.sqrt(1 + 150 * np.arange(1, 4)), rtol=1e-12)
    model.set_params(learning_rate_init=0.2).partial_fit(X, y)
    assert model.learning_rate_curve_[-1] == 0.2


HYPERPARAMETERS = {
    "momentum": ("sgd", 0.1),
    "nesterovs_momentum": ("sgd", False),
    "beta_1": ("adam", 0.1),
    "beta_2": ("adam", 0.1),
    "epsilon": ("adam", 1.0),
    "weight_decay": ("adamw", 0.9),
    "ema_decay": ("adam", 0.1),
    "alpha": ("adam", 10.0),
    "gradient_clip_norm": ("sgd", 1e-3),
    "dropout": ("adam", 0.5),
}


@pytest.mark.parametrize("name", HYPERPARAMETERS)
def test_every_hyperparameter_counts_from_the_next_call_on(name, iris):
    solver, value = HYPERPARAMETERS[name]
    parameters = {"solver": solver, "ema_decay": 0.9} if name == "ema_decay" else {"solver": solver}
    plain, X, y = begun(iris, **parameters)
    model, *_ = begun(iris, **parameters)
    model.set_params(**{name: value})
    assert abs(step(model, X, y) - step(plain, X, y)).max() > 1e-6
    # Set back, the same object as before or not, it counts as before.
    again, *_ = begun(iris, **parameters)
    again.set_params(**{name: value}).set_params(**{name: getattr(plain, name)})
    assert_array_equal(again.partial_fit(X, y).coefs_[0], plain.coefs_[0])


@pytest.mark.parametrize("other", [s for s in SOLVERS if s != "adam"])
def test_another_solver_starts_its_own_state(other, iris):
    """It steps as one that begins with these weights."""
    model, X, y = begun(iris, solver="adam")
    fresh = MLPClassifier(**{**model.get_params(), "solver": other})
    fresh.coefs_, fresh.intercepts_ = (
        [a.copy() for a in v] for v in (model.coefs_, model.intercepts_)
    )
    fresh.classes_, fresh.n_features_in_ = model.classes_, 4
    fresh.n_outputs_ = 3
    assert_array_equal(step(model.set_params(solver=other), X, y), step(fresh, X, y))


def test_unchanged_parameters_go_on_as_in_scikit_learn(iris):
    ours, theirs = (begun(iris, library, n=6)[0] for library in BOTH)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=ATOL)


# Warm starts.


def test_a_batch_may_lack_a_class_in_a_model_of_warm_starts(iris):
    X, y = iris
    parts = [slice(None), y > 0, y < 2]
    warm, cold = (
        classifier(warm_start=w).partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
        for w in (True, False)
    )
    for part in parts:
        for model in (warm, cold):
            model.partial_fit(X[part], y[part])
    assert_array_equal(warm.predict_proba(X), cold.predict_proba(X))
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        warm.fit(X[y > 0], y[y > 0])
    with pytest.raises(ValueError, match=r"has classes not in `self\.classes_`"):
        warm.partial_fit(X, y + 1)


# Parameters that are not allowed.

BAD = {
    "learning_rate_init": -1.0,
    "alpha": -1.0,
    "n_jobs": 0,
    "batch_size": 0,
    "activation": "nosuch",
    "beta_1": 2.0,
    "momentum": "much",
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_changed_parameters_are_validated(make, name, iris):
    """scikit-learn validates before the first call of `partial_fit` only."""
    X, y = iris
    model = make()
    model.partial_fit(X, y, **({"classes": [0, 1, 2]} if make is classifier else {}))
    good = getattr(model, name)
    model.set_params(**{name: BAD[name]})
    before = snapshot(model)
    with pytest.raises(ValueError, match=f"'{name}' parameter of MLP.* must be .*Got"):
        model.partial_fit(X, y)
    assert_unchanged(model, before)
    model.set_params(**{name: good}).partial_fit(X, y)


def test_validation_may_be_skipped(iris, monkeypatch):
    """With scikit-learn's switch; and unchanged parameters are not validated again."""
    model, X, y = begun(iris)
    monkeypatch.setattr(MLPClassifier, "_validate_params", lambda self: pytest.fail("validates"))
    model.partial_fit(X, y)
    with config_context(skip_parameter_validation=True):
        model.set_params(alpha=0.5).partial_fit(X, y)


# Classes that are given in each call.

CLASSES = {
    "array": np.arange(3),
    "list": [0, 1, 2],
    "tuple": (0, 1, 2),
    "range": range(3),
    "in another order": [2, 0, 1],
    "twice": [0, 0, 1, 2],
    "as floats": [0.0, 1.0, 2.0],
    "as text": ["0", "1", "2"],
    "text and numbers": [0, 1, "2"],
    "too few": [0, 1],
    "too many": range(4),
    "others": np.arange(1, 4),
    "none": [],
    "a column": np.arange(3).reshape(3, 1),
    "one number": np.array(3),
    "lists of other lengths": [[0], [1, 2]],
}


@pytest.mark.parametrize("form", CLASSES)
def test_classes_are_checked_as_in_scikit_learn(form, iris):
    errors = []
    for library in BOTH:
        model, X, y = begun(iris, library, n=1)
        try:
            model.partial_fit(X, y, classes=CLASSES[form])
            errors.append(None)
        except Exception as error:
            errors.append((type(error), str(error)))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("form", ["array", "list", "tuple", "range"])
def test_known_classes_are_not_examined_again(form, iris, monkeypatch):
    model, X, y = begun(iris)
    name = "sknet.estimators.targets._check_partial_fit_first_call"
    monkeypatch.setattr(name, lambda *_: pytest.fail("examines"))
    model.partial_fit(X, y, classes=CLASSES[form])


# What is kept from one call to the next.


def double_in_place(model):
    model.coefs_[0] *= 2


def replace_weights(model):
    model.coefs_ = [2 * W for W in model.coefs_]


def replace_biases(model):
    model.intercepts_ = [b + 1 for b in model.intercepts_]


def fail(model):
    X = np.full((50, 4), 0.1)
    X[-1, -1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X, np.zeros(50, int))


CHANGES = {
    "nothing": lambda model: None,
    "weights in place": double_in_place,
    "other weights": replace_weights,
    "other biases": replace_biases,
    "a call that fails": fail,
    "alpha": lambda model: model.set_params(alpha=1.0),
    "solver": lambda model: model.set_params(solver="sgd"),
    "batch_size": lambda model: model.set_params(batch_size=7),
    "shuffle": lambda model: model.set_params(shuffle=False),
    "dropout": lambda model: model.set_params(dropout=0.3),
    "label_smoothing": lambda model: model.set_params(label_smoothing=0.1),
    "n_jobs": lambda model: model.set_params(n_jobs=2),
    "another dtype": lambda model: model.set_params(tol=1e-3).__setattr__(
        "coefs_", [W.astype(np.float32) for W in model.coefs_]
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_stream_goes_on_as_one_of_copies(change, iris):
    """A copy keeps nothing ready for the next call, and every call must give it the same bits."""
    X, y = iris
    order = np.random.RandomState(0).permutation(len(y))
    batches = [order[:50], order[50:100], order[:32], order[100:], order[32:64]]
    model = classifier(ema_decay=0.9).partial_fit(X, y, classes=[0, 1, 2])
    fresh = pickle.loads(pickle.dumps(model))
    for k, rows in enumerate(2 * batches):
        if k == 4:
            CHANGES[change](model)
            CHANGES[change](fresh)
        model.partial_fit(X[rows], y[rows])
        fresh = pickle.loads(pickle.dumps(fresh.partial_fit(X[rows], y[rows])))
        assert_array_equal(model.predict_proba(X), fresh.predict_proba(X))
    assert_same(model.__getstate__(), fresh.__getstate__())


def test_streams_of_several_threads_are_those_of_one(digits):
    """Each thread has a model of its own. All of them use what threads keep."""
    X, y = digits

    def stream(seed):
        model = MLPClassifier((20,), random_state=seed, dropout=0.1)
        for k in range(30):
            rows = slice(10 * k, 10 * k + 32)
            model.partial_fit(X[rows], y[rows], classes=range(10))
        return model.predict_proba(X)

    expected = [stream(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert_array_equal(list(pool.map(stream, range(4))), expected)
