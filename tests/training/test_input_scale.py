"""A learned scale of each input, compared with a network that has one more factor."""

from __future__ import annotations

import naive
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sknet import MLPClassifier
from sknet._engine.memory import as_kernel_input
from sknet._engine.threads import ThreadTeam
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._training.contract import Dataset, Regularization
from sknet._training.epoch import EpochRunner
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import Optimizer

UNITS = [3, 4, 1]
N, N_STEPS, RATE, SCALE_RATE, DECAY = 8, 6, 0.05, 4.0, 0.3
ADAM = {"learning_rate_init": RATE, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-8}


def problem(dtype=np.float64):
    rng = np.random.RandomState(0)
    layout = Layout(UNITS)
    params = rng.normal(size=layout.n_parameters).astype(dtype)
    X = rng.normal(size=(N, UNITS[0])).astype(dtype)
    targets = rng.normal(size=(N, UNITS[-1])).astype(dtype)
    return layout, params, X, targets, rng.gamma(2.0, size=N).astype(dtype)


def trained(params, X, targets, weights, scale_rate=SCALE_RATE, n_calls=1):
    """Return the parameters after steps, each with all rows."""
    layout = Layout(UNITS)
    network = Network(
        layout, params.copy(), [Activation.table["tanh"]], Loss.table["squared_error"]
    )
    rows = np.arange(N, dtype=np.int64)
    data = Dataset(as_kernel_input(X), targets, weights, rows)
    regularization = Regularization(decay=DECAY, scale_rate=scale_rate)
    optimizer = Optimizer.table["adamw"].start(ADAM, network.params)
    runner = EpochRunner(network, data, N, regularization, optimizer)
    with ThreadTeam(1, 1.0) as team:
        for _ in range(n_calls):
            runner.restart(0)
            for _ in range(N_STEPS):
                runner.run(team, rows, np.array([RATE]))
                optimizer.t += 1
    return network.params


def expected(params, X, targets, weights):
    """Return the parameters of a network diag(s) V that is trained by complex differences."""
    layout, n_s = Layout(UNITS), UNITS[0]
    theta = np.concatenate([np.ones(n_s), params])
    rates = np.repeat([RATE * SCALE_RATE, RATE], [n_s, params.size])
    decays = np.repeat([0, RATE * DECAY, 0], [n_s, layout.n_weights, sum(UNITS[1:])])

    def weights_of(theta):
        (V, *coefs), intercepts = layout.split(theta[n_s:])
        return [theta[:n_s, None] * V, *coefs], intercepts

    def gradient(theta):
        # f(x + ih) = f(x) + ih f'(x) + O(h**2), and here h**2 vanishes beside 1.
        data = X, targets, weights, "tanh", "squared_error", (), 0
        moves = 1e-20j * np.eye(theta.size)
        return (
            np.array([naive.objective(*weights_of(theta + h), *data).imag for h in moves]) / 1e-20
        )

    m = v = np.zeros(theta.size)
    for t in range(1, N_STEPS + 1):
        g = gradient(theta)
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        eta = rates * np.sqrt(1 - 0.99**t) / (1 - 0.9**t)
        theta = (1 - decays) * theta - eta * m / (np.sqrt(v) + ADAM["epsilon"])
    coefs, intercepts = weights_of(theta)
    return np.concatenate([a.ravel() for a in (*coefs, *intercepts)])


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "csr"])
def test_gradient_of_scales(container):
    """Six steps of Adam, each of which rounds some hundred sums of numbers of about 1."""
    _, params, X, targets, weights = problem()
    ours = trained(params, container(X), targets, weights)
    assert_allclose(ours, expected(params, X, targets, weights), rtol=0, atol=1e-13)
    assert np.abs(ours - trained(params, container(X), targets, weights, 0.0)).max() > 0.1


def test_gradient_of_scales_in_float32():
    exact = trained(*problem()[1:])
    ours = trained(*problem(np.float32)[1:])
    # Each step rounds numbers of about 1, and steps of 0.2 at most multiply an error by little.
    assert_allclose(ours, exact, rtol=0, atol=100 * np.finfo(np.float32).eps)


def test_scales_begin_anew_in_each_call():
    """The weights of the first layer are those of the call before, not of its first step."""
    _, params, *data = problem()
    twice = trained(params, *data, n_calls=2)
    assert np.abs(twice - trained(params, *data)).max() > 0.01
    assert np.isfinite(twice).all()


def test_a_fit_with_scales_has_one_thread(digits, monkeypatch):
    """Each of several threads would have a part of the first layer's weights only."""
    from sknet._engine import threads

    monkeypatch.setattr(threads, "cpu_count", lambda: 4)
    first_weights = {}
    for n_jobs, rate in [(1, 0.0), (1, 6.0), (4, 6.0)]:
        model = MLPClassifier(
            (30,), solver="adamw", alpha=0, max_iter=3, n_iter_no_change=np.inf, random_state=0,
            n_jobs=n_jobs,
        )  # fmt: skip
        model._scale_rate = rate
        first_weights[n_jobs, rate] = model.fit(*digits).coefs_[0]
    assert_array_equal(first_weights[4, 6.0], first_weights[1, 6.0])
    assert not np.array_equal(first_weights[1, 0.0], first_weights[1, 6.0])
