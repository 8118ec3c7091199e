"""The parts that the page on extending shows: their formulas, and whole fits with each."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import cauchy

import sknet
from sknet import MLPClassifier, MLPRegressor

FOLDER = Path(sknet.__file__).parents[1] / "docs" / "extending"
N_ROWS = 200

pytestmark = [
    pytest.mark.usefixtures("tables"),
    pytest.mark.filterwarnings("ignore:.*(converge|Maximum iterations)"),
]


@pytest.fixture
def part(monkeypatch):
    """Return a function that imports a file of the page anew, and returns the class in it."""
    monkeypatch.syspath_prepend(FOLDER)

    def define(module, name):
        monkeypatch.delitem(sys.modules, module, raising=False)
        return getattr(importlib.import_module(module), name)

    return define


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hard_tanh(part, dtype):
    """Its values are NumPy's clip; its slopes are differences of them, away from the corners."""
    hard_tanh = part("hard_tanh", "HardTanh")
    z = np.array([-3, -1.25, -0.5, 0, 0.5, 1.25, 3], dtype)
    step = dtype(2**-4)  # sums with it are exact
    a, delta = z.copy(), np.ones_like(z)
    hard_tanh.forward(a)
    hard_tanh.backward(z[:0], a, delta)
    assert a.dtype == delta.dtype == dtype
    assert_array_equal(a, np.clip(z, -1, 1))
    ends = np.clip(z + step, -1, 1), np.clip(z - step, -1, 1)
    assert_array_equal(delta, (ends[0] - ends[1]) / (2 * step))


def test_a_network_of_hard_tanh(part, digits):
    """L-BFGS needs the right derivative to get this far down."""
    part("hard_tanh", "HardTanh")
    X, y = digits[0][:N_ROWS], digits[1][:N_ROWS]
    model = MLPClassifier((20,), activation="hard_tanh", solver="lbfgs", random_state=0).fit(X, y)
    hidden = np.clip(X @ model.coefs_[0] + model.intercepts_[0], -1, 1)
    scores = hidden @ model.coefs_[1] + model.intercepts_[1]
    assert_array_equal(model.predict(X), scores.argmax(axis=1))
    assert model.loss_ < 0.01


def test_cauchy(part):
    """Its values are SciPy's negative log-densities, its derivatives are differences of them.

    A central difference with a step of 1e-5 has an error of order 1e-10, of truncation and of
    rounding each.
    """
    loss = part("cauchy", "Cauchy")
    rng = np.random.RandomState(0)
    scores, y = rng.normal(scale=3.0, size=(2, 20, 1))
    weights, settings = rng.gamma(2.0, size=20), np.empty(0)

    def run(scores):
        delta, values = np.empty_like(scores), np.empty(len(scores))
        loss.loss(scores, y, weights, settings, delta, values)
        return values, delta

    values, delta = run(scores)
    density = cauchy(scale=np.sqrt(2))
    expected = density.logpdf(0) - density.logpdf(scores - y)
    assert_allclose(values, weights * expected[:, 0], rtol=1e-12, atol=1e-14)
    difference = (run(scores + 1e-5)[0] - run(scores - 1e-5)[0]) / 2e-5
    assert_allclose(delta[:, 0], difference, rtol=1e-7, atol=1e-8)


def test_a_fit_by_the_cauchy_loss_ignores_an_outlier(part):
    """One wrong target of 1e6 moves the other predictions by less than their noise."""
    part("cauchy", "Cauchy")
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, size=(N_ROWS, 1))
    y = X[:, 0] + rng.normal(scale=0.1, size=N_ROWS)
    y[0] = 1e6
    model = MLPRegressor("cauchy", (), solver="lbfgs", alpha=0, random_state=0).fit(X, y)
    assert np.abs(model.predict(X) - X[:, 0]).max() < 0.1


def test_adagrad(part):
    """Steps are those of the paper, with a learning rate that changes between them."""
    optimizer = part("adagrad", "AdaGrad")
    rng = np.random.RandomState(0)
    grads, rates = rng.normal(size=(15, 31)), rng.uniform(0.01, 0.1, size=15)
    params = rng.normal(size=31)
    expected, total = params.copy(), np.zeros(31)
    hyperparameters = {"learning_rate_init": 0.1, "epsilon": 1e-6}
    state = optimizer.start(hyperparameters, params)
    slots = state.slots.reshape(optimizer.n_slots, -1)
    for grad, rate, row in zip(grads, rates, state.constants(rates), strict=True):
        state.step(params, grad, slots, row)
        total += grad**2
        expected -= rate * grad / (np.sqrt(total) + 1e-6)
    assert_allclose(params, expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_by_adagrad(part, digits, dtype):
    part("adagrad", "AdaGrad")
    X, y = digits[0][:N_ROWS].astype(dtype), digits[1][:N_ROWS]
    model = MLPClassifier((20,), solver="adagrad", learning_rate_init=0.1, random_state=0)
    assert model.fit(X, y).coefs_[0].dtype == dtype
    assert model.loss_ < 0.05
