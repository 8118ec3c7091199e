"""Optimisers and schedules against scikit-learn's own classes, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

HYPERPARAMETERS = {
    "learning_rate_init": 0.05,
    "momentum": 0.8,
    "nesterovs_momentum": True,
    "beta_1": 0.9,
    "beta_2": 0.99,
    "epsilon": 1e-6,
    "power_t": 0.4,
}


def references(params, schedule):
    h = HYPERPARAMETERS
    return {
        "adam": AdamOptimizer(
            [params], h["learning_rate_init"], h["beta_1"], h["beta_2"], h["epsilon"]
        ),
        "sgd": SGDOptimizer(
            [params],
            h["learning_rate_init"],
            schedule,
            h["momentum"],
            h["nesterovs_momentum"],
            h["power_t"],
        ),
    }


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("name", Optimizer.table)
def test_steps(name, nesterov, monkeypatch):
    monkeypatch.setitem(HYPERPARAMETERS, "nesterovs_momentum", nesterov)
    rng = np.random.RandomState(0)
    ours = rng.normal(size=31)
    theirs = ours.copy()
    optimizer = Optimizer.table[name].start(HYPERPARAMETERS, ours)
    slots = optimizer.slots.reshape(optimizer.n_slots, 31)
    reference = references(theirs, "constant")[name]
    for _ in range(3):  # epochs of five steps each, whose constants are computed at once
        for constants in optimizer.constants(np.full(5, optimizer.learning_rate)):
            grad = rng.normal(size=31)
            optimizer.step(ours, grad, slots, constants)
            reference.update_params([theirs], [grad])
        optimizer.t += 5
        assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", Schedule.table)
def test_schedule(name, capsys):
    """Rates after epochs and plateaus, and what is told, down to the stop."""
    schedule = Schedule.table[name].start(HYPERPARAMETERS)
    reference = references(np.zeros(1), name)["sgd"]
    rate = reference.learning_rate
    for epoch in range(1, 200):
        rate = schedule.epoch_ends(rate, 100 * epoch)
        reference.iteration_ends(100 * epoch)
        assert_allclose(rate, reference.learning_rate, rtol=1e-14)
        if epoch % 3 == 0:
            rate, told = schedule.plateau(rate)
            stopped = reference.trigger_stopping("A plateau.", verbose=True)
            assert capsys.readouterr().out == f"A plateau. {told}\n"
            assert stopped == (rate is None)
            if stopped:
                break
    else:
        pytest.fail("the schedule never stopped")
