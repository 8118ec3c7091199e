"""Steps with gradients from elsewhere beside those of `EpochRunner`."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sknet import MLPClassifier
from sknet._engine.threads import ThreadTeam
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._training.averaging import Averaging
from sknet._training.contract import Dataset, Regularization
from sknet._training.epoch import EpochRunner
from sknet._training.steps import StepRunner
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import Optimizer

N, LAYOUT = 60, Layout((64, 12, 10))


def network(start):
    return Network(LAYOUT, start.copy(), [Activation.get("relu")], Loss.get("log_loss"), [])


@pytest.mark.parametrize("clip", [None, 0.01])
@pytest.mark.parametrize("solver", list(Optimizer.table))
def test_a_step_is_that_of_an_epoch(digits, solver, clip):
    """The gradients come from a runner that takes no steps."""
    random = np.random.RandomState(0)
    rows, weights = np.arange(N), random.rand(N)
    data = Dataset(digits[0][:N], digits[1][:N, None].astype(float), weights, rows)
    start = random.normal(0, 0.1, LAYOUT.n_parameters)
    regularization = Regularization(l2=0.1, l1=0.01, decay=0.01, clip=clip)
    whole, apart = network(start), network(start)
    own, other = (Optimizer.get(solver).start(vars(MLPClassifier()), start) for _ in range(2))
    averages = [Averaging(0.9, start.copy(), start) for _ in range(2)]
    runner = EpochRunner(whole, data, N, regularization, own, averages[0])
    gradients = EpochRunner(apart, data, N, Regularization())
    stepper = StepRunner(apart, regularization, other, averages[1])
    with ThreadTeam(None, 0) as team:
        for t in range(4):
            own.t = t
            objective = runner.run(team, rows, np.array([0.01])) / N
            mean_loss = gradients.run(team, rows, np.zeros(1)) / N
            total = weights.sum()
            theirs = stepper.step(mean_loss * total, gradients.grad * total, total, 0.01, t)
            assert_allclose(theirs, objective, rtol=1e-13)
    # The gradients were divided by the sum of weights and multiplied by it: some roundings.
    assert_allclose(apart.params, whole.params, rtol=0, atol=1e-13)
    assert_allclose(averages[1].mean, averages[0].mean, rtol=0, atol=1e-13)


def test_without_an_optimiser_the_gradient_gets_its_penalty():
    start = np.random.RandomState(0).normal(0, 0.1, LAYOUT.n_parameters)
    stepper = StepRunner(network(start), Regularization(l2=2.0))
    grad, W = np.ones(start.size), start[: LAYOUT.n_weights]
    assert_allclose(stepper.step(3.0, grad, 4.0, 0.0, 0), (3 + W @ W) / 4, rtol=1e-14)
    penalty = np.append(2 * W, np.zeros(start.size - W.size))
    assert_allclose(stepper.grad, (1 + penalty) / 4, rtol=1e-14)
