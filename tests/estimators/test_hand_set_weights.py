"""Weights and biases set by hand, before any fit or between two."""

from __future__ import annotations

import copy
import warnings
from itertools import pairwise

import numpy as np
import pytest
from factories import SMALL
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.neural_network import MLPRegressor as ReferenceRegressor
from snapshots import assert_same_weights

import sknet
from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 60


def as_arrays(arrays):
    return [np.array(a) for a in arrays]


def as_lists(arrays):
    return [np.array(a).tolist() for a in arrays]


def as_float32(arrays):
    return [np.array(a, np.float32) for a in arrays]


every_form = pytest.mark.parametrize("form", [as_arrays, as_lists, as_float32])


def draw(widths, seed=0):
    """Return random weights and biases of a network, numbers that float32 holds."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32).astype(np.float64)

    coefs = [normal(*pair) / 4 for pair in pairwise(widths)]
    return coefs, [normal(n) for n in widths[1:]]


# Before any fit.


def test_the_worked_example_of_scikit_learn(monkeypatch):
    """Its own test, with this estimator in the place of its own."""
    name = "sklearn.neural_network.tests.test_mlp"
    tests = pytest.importorskip(name, reason="this scikit-learn comes without its tests")
    monkeypatch.setattr(tests, "MLPClassifier", sknet.MLPClassifier)
    tests.test_fit()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_form
def test_a_worked_example_with_weights_alone(form, dtype):
    """Only the weights and biases are set: the widths follow from them."""
    X = np.array([[0.6, 0.8, 0.7]], dtype)
    model = MLPClassifier(
        2, "logistic", solver="sgd", learning_rate_init=0.1, alpha=0.1, momentum=0
    )
    W1, W2 = np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0.0]]), np.array([[0.1], [0.2]])
    b1, b2 = np.array([0.1, 0.1]), np.array([1.0])
    model.coefs_, model.intercepts_ = form([W1, W2]), form([b1, b2])
    model.partial_fit(X, np.array([0]), classes=[0, 1])

    def logistic(z):
        return 1 / (1 + np.exp(-z))

    x = X[0].astype(float)
    h = logistic(x @ W1 + b1)
    d2 = logistic(h @ W2 + b2)
    d1 = d2 * W2[:, 0] * h * (1 - h)
    expected = [
        W1 - 0.1 * (np.outer(x, d1) + 0.1 * W1),
        W2 - 0.1 * (np.outer(h, d2) + 0.1 * W2),
        b1 - 0.1 * d1,
        b2 - 0.1 * d2,
    ]
    # A few roundings of numbers below 1.
    tolerance = (
        1e-6 if np.float32 in (dtype, *(np.asarray(w).dtype for w in model.coefs_)) else 1e-14
    )
    for mine, theirs in zip((*model.coefs_, *model.intercepts_), expected, strict=True):
        assert_allclose(mine, theirs, rtol=0, atol=tolerance)
    h = logistic(x @ expected[0] + expected[2])
    p = logistic(h @ expected[1] + expected[3])[0]
    assert_allclose(model.predict_proba(X), [[1 - p, p]], rtol=0, atol=tolerance)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("hidden", [(8,), (8, 5), ()], ids=str)
@pytest.mark.parametrize("form", [as_arrays, as_lists])
def test_a_regressor_predicts_before_any_fit_as_in_scikit_learn(
    form, hidden, activation, n_outputs, diabetes
):
    X = diabetes[0][:N]
    coefs, intercepts = draw((X.shape[1], *hidden, n_outputs))
    models = [
        estimator(hidden_layer_sizes=hidden, activation=activation)
        for estimator in (MLPRegressor, ReferenceRegressor)
    ]
    # scikit-learn itself takes arrays only.
    for model, form_of in zip(models, (form, as_arrays), strict=True):
        model.coefs_, model.intercepts_ = form_of(coefs), form_of(intercepts)
        model.n_layers_, model.n_outputs_ = len(hidden) + 2, n_outputs
        model.out_activation_ = "identity"
    ours, theirs = (model.predict(X) for model in models)
    assert ours.shape == (theirs.shape if n_outputs > 1 else (N,))
    # Sums of at most ten products of numbers of order 1.
    assert_allclose(ours, theirs.reshape(ours.shape), rtol=0, atol=1e-13)


@every_form
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_weights_and_biases_are_enough_for_predictions(loss, form, diabetes):
    X = diabetes[0][:N]
    coefs, intercepts = draw((X.shape[1], 8, 1))
    model = MLPRegressor(loss, (8,), "tanh")
    model.coefs_, model.intercepts_ = form(coefs), form(intercepts)
    scores = (np.tanh(X @ coefs[0] + intercepts[0]) @ coefs[1] + intercepts[1])[:, 0]
    expected = np.exp(scores) if loss == "poisson" else scores
    # In float32 sums of ten products of order 1 round to 1e-6.
    tolerance = 1e-5 if form is as_float32 else 1e-13
    assert_allclose(model.predict(X), expected, rtol=tolerance, atol=tolerance)
    assert np.isfinite(model.score(X, diabetes[1][:N]))
    with pytest.raises(ValueError, match=r"\b4\b"):
        model.predict(X[:, :4])
    # They are fitted attributes, which a clone has not.
    assert not hasattr(clone(model), "coefs_")
    assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))


@every_form
@pytest.mark.parametrize("how", ["partial_fit", "warm start"])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_training_goes_on_from_weights_set_before_any_fit(estimator, how, form, digits):
    """It is the training of a fitted model whose weights were set to the same."""
    X, y = digits[0][:N], digits[1][:N] % 3
    n_outputs = 3 if estimator is MLPClassifier else 1
    classes = {"classes": [0, 1, 2]} if estimator is MLPClassifier else {}
    new = estimator(**SMALL, warm_start=how == "warm start", solver="sgd", momentum=0)
    fitted = clone(new).fit(X, y)
    for model in (new, fitted):
        model.coefs_, model.intercepts_ = (form(part) for part in draw((64, 8, n_outputs)))
    if how == "partial_fit":
        new.partial_fit(X, y, **classes)
        fitted.partial_fit(X, y, **classes)
    else:
        new.fit(X, y)
        fitted.fit(X, y)
    assert new.n_iter_ == fitted.n_iter_
    # Without a fit before, weights of float32 may be trained in float32.
    tolerance = 1e-4 if form is as_float32 else 1e-13
    for mine, theirs in zip(new.coefs_, fitted.coefs_, strict=True):
        assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)
    assert_allclose(new.loss_curve_[-1], fitted.loss_curve_[-1], rtol=max(tolerance, 1e-12))
    assert np.isfinite(new.predict(X)).all()


def test_a_plain_fit_does_not_start_from_weights_set_by_hand(digits):
    # A guard against regressions: this worked before.
    X, y = digits[0][:N], digits[1][:N] % 3
    model = MLPClassifier(**SMALL)
    model.coefs_, model.intercepts_ = draw((64, 8, 3))
    assert_same_weights(model.fit(X, y), MLPClassifier(**SMALL).fit(X, y))


@pytest.mark.parametrize("method", ["predict", "partial_fit"])
def test_weights_that_do_not_fit_together(method, diabetes):
    X, y = diabetes[0][:N], diabetes[1][:N]
    coefs, intercepts = draw((X.shape[1], 8, 1))
    model = MLPRegressor(**SMALL)
    model.coefs_, model.intercepts_ = [coefs[0], coefs[1][:5]], intercepts
    with pytest.raises(ValueError, match=r"coefs_\[.\].*\(\d+, \d+\).*\(\d+, \d+\)"):
        model.predict(X) if method == "predict" else model.partial_fit(X, y)


# Handed from one estimator to another.


@pytest.mark.parametrize("first", ["new", "fitted"])
@pytest.mark.parametrize("how", ["partial_fit", "warm start", "fit", "lbfgs"])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_weights_handed_over_are_not_written_to(estimator, how, first, digits):
    """Training of the second estimator leaves the first one's weights, to the bit."""
    # With "fit", which begins anew, a guard against regressions.
    X, y = digits[0][:N], digits[1][:N] % 3
    a = estimator(**SMALL).fit(X, y)
    b = estimator(**{**SMALL, "random_state": 1})
    if first == "fitted":
        b.fit(X, y)
    lists = a.coefs_, a.intercepts_
    arrays = [*a.coefs_, *a.intercepts_]
    expected, copies, curve = a.predict(X), copy.deepcopy(arrays), list(a.loss_curve_)
    b.coefs_, b.intercepts_ = a.coefs_, a.intercepts_
    if how == "partial_fit":
        b.partial_fit(X, y, **({"classes": [0, 1, 2]} if estimator is MLPClassifier else {}))
    else:
        solver = "lbfgs" if how == "lbfgs" else "adam"
        b.set_params(warm_start=how != "fit", solver=solver).fit(X, y)
    assert not np.array_equal(b.coefs_[0], copies[0])
    for mine, before, old in zip((*a.coefs_, *a.intercepts_), copies, arrays, strict=True):
        assert mine is old
        assert_array_equal(mine, before)
    assert a.coefs_ is lists[0]
    assert a.intercepts_ is lists[1]
    assert_array_equal(a.predict(X), expected)
    assert a.loss_curve_ == curve
    # And the other way round.
    copies, expected = copy.deepcopy([*b.coefs_, *b.intercepts_]), b.predict(X)
    a.partial_fit(X, y)
    for mine, before in zip((*b.coefs_, *b.intercepts_), copies, strict=True):
        assert_array_equal(mine, before)
    assert_array_equal(b.predict(X), expected)


@pytest.mark.parametrize("how", ["partial_fit", "warm start"])
def test_arrays_taken_from_a_model_are_not_written_to(how, digits):
    """Weights that somebody took as a copy to compare with stay what they were."""
    X, y = digits[0][:N], digits[1][:N] % 3
    model = MLPClassifier(**SMALL, warm_start=how == "warm start").fit(X, y)
    taken = [*model.coefs_, *model.intercepts_]
    copies = copy.deepcopy(taken)
    model.fit(X, y) if how == "warm start" else model.partial_fit(X, y)
    for array, before in zip(taken, copies, strict=True):
        assert_array_equal(array, before)


def test_no_warning_from_weights_set_by_hand(diabetes):
    X, y = diabetes[0][:N], diabetes[1][:N]
    model = MLPRegressor(**SMALL)
    model.coefs_, model.intercepts_ = draw((X.shape[1], 8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(X, y)
        model.predict(X)
