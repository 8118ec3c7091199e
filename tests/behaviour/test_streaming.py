"""A stream of batches: each call of `partial_fit` goes by the parameters that are set by then."""

from __future__ import annotations

import numpy as np
import pytest
from comparisons import ATOL
from factories import BOTH, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from snapshots import assert_unchanged, snapshot

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
