"""Shards without a cluster: what they hold, who has which rows, and what happens after losses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet import MLPClassifier, MLPRegressor
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._training.contract import Regularization
from sknet.dask import shards as module
from sknet.dask.plan import PartitionFacts, Plan
from sknet.dask.shard import Shard
from sknet.dask.shards import Placed, Shards
from sknet.dask.training import Facts, steps_apart
from sknet.estimators.targets import NumericTargets
from sknet.losses import Loss
from sknet.optimizers import Optimizer

LAYOUT = Layout((3, 1))


def value_of(answer):
    value, error = answer
    assert error is None
    return value


def plan(solver="sgd", **regularization):
    """Return the plan of a linear regression."""
    loss = Loss.get("squared_error")
    params = np.arange(4.0)
    network = Network(LAYOUT, params, [], loss, [])
    optimizer = Optimizer.get(solver).start(vars(MLPRegressor()), params)
    targets = NumericTargets(loss, [])
    own = Regularization(**regularization)
    return Plan(network, np.float64, targets, 1, [], own, optimizer, None, None)


def shard(X, y, weights=None):
    """Return a shard of two partitions, of which the second comes first in the mapping."""
    own = Shard(MLPRegressor, {5: (X[6:], y[6:], weights), 2: (X[:6], y[:6], weights)})
    assert [facts.n_rows for facts in value_of(own.examine())] == [6, len(X) - 6]
    return own


@pytest.fixture
def rows():
    random = np.random.RandomState(0)
    return random.rand(10, 3), random.rand(10)


def test_gradients_are_sums_over_rows(rows):
    X, y = rows
    own = shard(X, y)
    assert value_of(own.prepare(plan())) == 10
    assert value_of(own.prepare(plan())) == 10  # as after a loss elsewhere
    params = np.array([1.0, 2.0, 3.0, 4.0])
    for chosen in (None, np.array([7, 0, 3])):
        value, grad, weight = value_of(own.gradient(params, 0, chosen))
        kept = slice(None) if chosen is None else chosen
        error = X[kept] @ params[:3] + params[3] - y[kept]
        assert_allclose(value, error @ error / 2, rtol=1e-14)
        assert_allclose(grad, np.append(X[kept].T @ error, error.sum()), rtol=1e-13)
        assert weight == error.size


def test_rows_without_weight(rows):
    own = shard(*rows, weights=0)
    assert value_of(own.prepare(plan())) == 0
    params = np.ones(4)
    value, grad, weight = value_of(own.gradient(params, 0, np.array([1])))
    assert (value, weight, grad.tolist()) == (0, 0, [0] * 4)
    counts, state = np.array([1, 0]), np.ones(8)
    loss, after, weight = value_of(
        own.steps(state, plan().optimizer, np.full(2, 0.1), np.array([1]), counts, 0.5)
    )
    assert (loss, weight, after.tolist()) == (0, 0, state.tolist())


def test_errors_are_answers():
    own = Shard(MLPClassifier, {0: (np.full((2, 1), np.nan), np.array([0, 1]), None)})
    value, error = own.examine()
    assert value is None
    with pytest.raises(ValueError, match="NaN"):
        raise error


def test_facts_of_classes():
    frames = [pd.DataFrame({"a": [1.0] * n, "b": 2.0}) for n in (3, 0, 2)]
    labels = [np.array(["x", "y", "x"]), np.array([]), np.array(["z", "x"])]
    given = zip(frames, labels, [None] * 3, strict=True)
    facts = Facts(value_of(Shard(MLPClassifier, dict(enumerate(given))).examine()))
    assert facts.n_rows == 5
    assert facts.feature_names == ["a", "b"]
    assert np.unique(facts.labels).tolist() == ["x", "y", "z"]
    assert facts.counts.tolist() == [3, 1, 1]


def test_partitions_must_have_the_same_columns():
    parts = [PartitionFacts(i, 2, 2, names) for i, names in enumerate((["a", "b"], ["b", "a"]))]
    with pytest.raises(ValueError, match="All partitions must have the same columns"):
        Facts(parts)


class Future:
    def __init__(self, key):
        self.key = key


@pytest.fixture
def three():
    """Return two shards of five partitions with 4, 0, 3, 2 and 1 rows."""
    shards = Shards(None, MLPClassifier, [None] * 5, timeout=0.1)
    shards.facts = {i: PartitionFacts(i, n) for i, n in enumerate([4, 0, 3, 2, 1])}
    shards._offsets = np.array([0, 4, 4, 7, 9, 10])
    shards.placed = [
        Placed("a", (0, 1, 3), None, Future("a")),
        Placed("b", (2, 4), None, Future("b")),
    ]
    return shards


def test_who_has_which_rows(three):
    (first, own_first), (second, own_second) = three.local_rows(np.array([9, 0, 7, 4, 8, 3, 6]))
    assert_array_equal(first, [1, 2, 4, 5])
    assert_array_equal(own_first, [0, 4, 5, 3])
    assert_array_equal(second, [0, 3, 6])
    assert_array_equal(own_second, [3, 0, 2])
    (first, _), (second, _) = three.local_rows(np.array([5]))
    assert (first.size, second.size) == (0, 1)


def test_partitions_are_evened_out():
    groups, held = {"a": [0, 1, 2, 3]}, {"a": 4, "b": 1, "c": 0}
    Shards._even_out(groups, held)
    assert held == {"a": 2, "b": 2, "c": 1}
    assert {address: len(own) for address, own in groups.items()} == {"a": 2, "b": 1, "c": 1}
    assert sorted(number for own in groups.values() for number in own) == [0, 1, 2, 3]


def test_losses_without_end_are_an_error(three, monkeypatch):
    monkeypatch.setattr(three, "_alive", lambda: {"a", "b"})
    n_attempts = 0

    def attempt():
        nonlocal n_attempts
        n_attempts += 1
        raise module._LostError

    with pytest.raises(RuntimeError, match="Workers were lost 6 times in a row"):
        three._keep_trying(attempt)
    assert n_attempts == module.MAX_LOSSES_IN_A_ROW + 1


def test_a_partition_that_is_another_one_after_a_loss_is_an_error(three, monkeypatch):
    three.placed, three._examined = three.placed[:1], set()

    def place(numbers):
        assert numbers == [2, 4]
        three.placed.append(Placed("c", (2, 4), None, Future("c")))

    def ask(method, calls):
        other = three.facts | {4: PartitionFacts(4, 2)}
        return [[other[number] for number in placed.partitions] for placed, _ in calls]

    monkeypatch.setattr(three, "_place", place)
    monkeypatch.setattr(three, "_ask", ask)
    with pytest.raises(RuntimeError, match="Partition 4 had 1 rows, and has 2"):
        three._complete()


def test_when_workers_compute_together():
    """6 operations for each weight and row: here 1e9 with 1,000 rows of 166,667 weights."""
    assert steps_apart(7, 1, 1, 2) == 7
    assert steps_apart("auto", 2000, 166_667, 2) == 1
    assert steps_apart("auto", 1999, 166_666, 2) == 16
    assert steps_apart("auto", 1, 1, 1) == 1


def test_local_steps_with_an_empty_minibatch_stand_still(rows):
    """A shard may have no row of a minibatch."""
    own = shard(*rows)
    value_of(own.prepare(plan()))
    optimizer = plan().optimizer
    optimizer.momentum = 0.0
    state, rates = np.append(np.ones(4), np.zeros(4)), np.full(2, 0.1)
    numbers, counts = np.array([1, 2]), np.array([2, 0])
    _, both, _ = value_of(own.steps(state, optimizer, rates, numbers, counts, 1.0))
    _, one, _ = value_of(own.steps(state, optimizer, rates[:1], numbers, counts[:1], 1.0))
    assert_array_equal(both, one)
