"""What a trainer gives to each epoch: the order of rows, and the learning rates of the steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils import shuffle

from sknet import MLPRegressor
from sknet._training.epoch import EpochRunner
from sknet._training.rates import EpochRates
from sknet.schedules import Schedule, schedule_for

HYPERPARAMETERS = {
    "learning_rate_init": 0.3, "power_t": 0.5, "max_iter": 3, "warmup_fraction": 0.0,
    "decay_rate": 0.5, "decay_epochs": 1,
}  # fmt: skip


class Stop(Exception):
    """Ends a fit."""


@pytest.mark.parametrize("is_shuffled", [True, False])
def test_rows_are_shuffled_as_by_scikit_learn(monkeypatch, is_shuffled):
    """Each epoch shuffles the order of the one before. Without shuffling, it stays."""
    n, orders = 23, []
    random_state = np.random.RandomState(0)

    def run(self, team, order, rates):
        if not orders:  # weights have been drawn, and from here on only rows are shuffled
            orders.append(order.copy())
            followed.set_state(random_state.get_state())
            return 0.0
        orders.append(order.copy())
        if len(orders) == 4:
            raise Stop
        return 0.0

    followed = np.random.RandomState()
    monkeypatch.setattr(EpochRunner, "run", run)
    model = MLPRegressor(hidden_layer_sizes=(2,), shuffle=is_shuffled, random_state=random_state)
    with pytest.raises(Stop):
        model.fit(np.ones((n, 2)), np.arange(float(n)))
    assert is_shuffled != np.array_equal(orders[0], np.arange(n))
    for before, after in pairwise(orders):
        expected = shuffle(before, random_state=followed) if is_shuffled else before
        assert_array_equal(after, expected)


@pytest.mark.parametrize("warmup", [0.0, 0.4])
@pytest.mark.parametrize("name", Schedule.table)
def test_rates_are_those_of_the_schedule(name, warmup):
    """To the bit, whether they are computed or those of the epoch before. So is their mean."""
    n_steps, n_epochs = 7, 3
    schedule = schedule_for(name, {**HYPERPARAMETERS, "warmup_fraction": warmup})
    rates_of_epoch = EpochRates(schedule, n_steps, n_epochs)
    # One epoch more than the schedule spans, and a learning rate that changes in between.
    for epoch, rate in enumerate([0.3, 0.3, 0.1, 0.1]):
        t = epoch * n_steps
        fractions = np.minimum((t + np.arange(n_steps)) / (n_steps * n_epochs), np.nextafter(1, 0))
        expected = rate * schedule.factors(fractions)
        rates, mean = rates_of_epoch.after(t, rate)
        assert_array_equal(rates, expected)
        assert mean == expected.mean()
        rates[:] = -1  # as an optimiser may, which is given them


@pytest.mark.parametrize("warmup", [0.0, 0.4])
@pytest.mark.parametrize("name", Schedule.table)
def test_a_flat_schedule_is_one_without_factors(name, warmup):
    schedule = schedule_for(name, {**HYPERPARAMETERS, "warmup_fraction": warmup})
    is_one = (schedule.factors(np.linspace(0, 0.999, 50)) == 1).all()
    assert schedule.is_flat == is_one


def test_a_function_is_asked_in_each_epoch():
    """It may return other numbers than before."""
    asked = []
    rates_of_epoch = EpochRates(schedule_for(lambda x: asked.append(x) or 1.0, {}), 2, 2)
    for t in (0, 2):
        rates_of_epoch.after(t, 0.3)
    assert asked == [0, 0.25, 0.5, 0.75]


def test_a_schedule_of_a_user_is_not_taken_for_a_flat_one():
    class Own(Schedule):
        def factors(self, fractions):
            return 1 - fractions

    assert Schedule().is_flat
    assert not Own().is_flat
