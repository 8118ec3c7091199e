"""An epoch in many short calls of its kernel has the bits of one long call."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from sknet._engine import memory, threads
from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.kernels import ABANDONED, N_DONE, N_LEFT
from sknet._engine.memory import Unconverted, as_kernel_input, read_only
from sknet._engine.threads import ThreadTeam
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._training import epoch
from sknet._training.averaging import Averaging
from sknet._training.contract import Dataset, Regularization
from sknet._training.epoch import EpochRunner
from sknet._training.stage import MICROBATCH
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import Optimizer

HYPERPARAMETERS = {"learning_rate_init": 0.1, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
WIDTHS = [7, 20, 5, 3]
N_EPOCHS = 2

# Rows, and rows of a minibatch: several minibatches of one microbatch, and minibatches of several
# microbatches, with remainders or without them.
SIZES = [
    (100, 40),
    (2 * MICROBATCH, MICROBATCH),
    (2 * MICROBATCH, 2 * MICROBATCH),
    (2100, 1100),
    (3 * MICROBATCH + 5, MICROBATCH + 1),
]
REGULARIZATIONS = {
    "plain": Regularization(),
    "all": Regularization(
        l2=0.1, l1=0.05, decay=0.1, clip=0.1, dropout=[0.5, 0.2], noise=0.1, seed=3
    ),
}


class CountedPace:
    """A pace of so many phases in each call, of which the calls are counted."""

    n_units = 1
    n_calls = 0

    def __init__(self, flops):
        self.units = self.n_units

    def record(self, units, seconds):
        type(self).n_calls += 1


@pytest.fixture
def many_threads(monkeypatch):
    """Let every run use all threads asked for, even more than cores."""
    monkeypatch.setattr(
        ThreadTeam, "schedule_steps", lambda team, n: iter([(team.n_threads, slice(0, n))])
    )
    monkeypatch.setattr(threads, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "MIN_STEP_FLOPS", 0)


def make_runner(n, batch_size, sparse, dtype, regularization, takes_steps, unconverted=False):
    """Return a runner over random data, and the numbers of all rows.

    Some rows have no weight, and of three or more minibatches in order the first one has none.
    """
    rng = np.random.RandomState(0)
    layout = Layout(WIDTHS)
    params = rng.normal(scale=0.5, size=layout.n_parameters).astype(dtype)
    activations = [Activation.table["gelu"], Activation.table["relu"]]
    network = Network(layout, params, activations, Loss.table["log_loss"], [0.1])
    X = (rng.normal(size=(n, WIDTHS[0])) * (rng.rand(n, WIDTHS[0]) < 0.7)).astype(dtype)
    targets = rng.randint(0, WIDTHS[-1], size=(n, 1)).astype(dtype)
    weights = (rng.gamma(2.0, size=n) * (rng.rand(n) < 0.9)).astype(dtype)
    weights[:batch_size] = 0 if n > 2 * batch_size else weights[:batch_size]
    rows = np.arange(n, dtype=np.int64)
    given = sp.csr_array(X) if sparse else X
    if unconverted:
        given = Unconverted(np.asfortranarray(X), X.dtype)
    data = Dataset(as_kernel_input(given), targets, weights, rows)
    optimizer = averaging = None
    if takes_steps:
        optimizer = Optimizer.table["adamw"].start(HYPERPARAMETERS, params)
        averaging = Averaging(0.9, params.copy(), params)
    regularization = REGULARIZATIONS[regularization]._replace(**{"noise": 0.0} if sparse else {})
    return EpochRunner(network, data, batch_size, regularization, optimizer, averaging), rows


def train(runner, rows, n_threads):
    """Run epochs in the same order, and return all that they leave."""
    results = []
    n_steps = -(-rows.size // runner.batch_size)
    with ThreadTeam(n_threads, 1.0) as team:
        for k in range(N_EPOCHS):
            order = np.roll(rows, k)
            results.append(runner.run(team, order, np.linspace(0.1, 0.01, n_steps)))
            assert runner.objective == results[-1]
            if runner.optimizer is not None:
                runner.optimizer.t += n_steps
    assert runner.n_steps == N_EPOCHS * n_steps
    results += [runner.network.params, runner.workspace.scaled_grad, runner.workspace.grad]
    if runner.optimizer is not None:
        results += [runner.optimizer.slots, runner.averaging.mean]
    return results


def assert_same_results(ours, others):
    for a, b in zip(ours, others, strict=True):
        assert np.isfinite(a).all()
        assert_array_equal(a, b)


needs_compilation = pytest.mark.skipif(
    PYTHON_MODE, reason="threads meet in compiled code alone, and plain loops are slow"
)


@needs_compilation
@pytest.mark.parametrize("takes_steps", [True, False], ids=["steps", "gradient"])
@pytest.mark.parametrize("regularization", REGULARIZATIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize(("n", "batch_size"), SIZES)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_short_calls_have_the_bits_of_a_long_one(
    n_threads, n, batch_size, sparse, dtype, regularization, takes_steps, many_threads, monkeypatch
):
    """A kernel goes on at any phase, where microbatches and minibatches are not yet complete."""
    arguments = n, batch_size, sparse, dtype, regularization, takes_steps
    runner, rows = make_runner(*arguments)
    monkeypatch.setattr(
        epoch, "Pace", type("Pace", (CountedPace,), {"n_units": 10**9, "n_calls": 0})
    )
    expected = train(runner, rows, n_threads)
    assert epoch.Pace.n_calls == N_EPOCHS

    for n_units in (1, 3):
        runner, rows = make_runner(*arguments)
        pace = type("Pace", (CountedPace,), {"n_units": n_units, "n_calls": 0})
        monkeypatch.setattr(epoch, "Pace", pace)
        assert_same_results(train(runner, rows, n_threads), expected)
        # A microbatch has at least one phase for the gradient of each layer. In each epoch one
        # minibatch at most has no weight.
        n_minibatches = -(-n // batch_size)
        assert pace.n_calls * n_units >= N_EPOCHS * 3 * max(1, n_minibatches - 1)


@needs_compilation
@pytest.mark.parametrize("takes_steps", [True, False], ids=["steps", "gradient"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "batch_size"), SIZES)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_rows_made_ready_in_parts_have_the_bits_of_all_at_once(
    n_threads, n, batch_size, dtype, takes_steps, many_threads, monkeypatch
):
    """Parts end within minibatches and microbatches, and calls end within parts."""
    arguments = n, batch_size, False, dtype, "all", takes_steps
    expected = train(*make_runner(*arguments), n_threads)
    for n_rows in (1, 700):
        row_bytes = WIDTHS[0] * np.dtype(dtype).itemsize
        monkeypatch.setattr(memory, "CONVERTED_BYTES", n_rows * row_bytes)
        for n_units in (2, 10**9):
            pace = type("Pace", (CountedPace,), {"n_units": n_units, "n_calls": 0})
            monkeypatch.setattr(epoch, "Pace", pace)
            runner, rows = make_runner(*arguments, unconverted=True)
            assert len(runner.workspace.X) == min(n, max(n_rows, min(batch_size, MICROBATCH)))
            assert_same_results(train(runner, rows, n_threads), expected)


@pytest.mark.parametrize("takes_steps", [True, False], ids=["steps", "gradient"])
def test_kernels_stop_where_rows_are_not_ready_yet(takes_steps, monkeypatch):
    """Rows are made ready for one minibatch at a time."""
    arguments = 40, 16, False, np.float64, "plain", takes_steps
    expected = train(*make_runner(*arguments), 1)
    monkeypatch.setattr(memory, "CONVERTED_BYTES", 1)
    runner, rows = make_runner(*arguments, unconverted=True)
    assert len(runner.workspace.X) == 16
    assert_same_results(train(runner, rows, 1), expected)


@needs_compilation
@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_real_pace_has_the_bits_of_a_long_call(n_threads, many_threads, monkeypatch):
    """No call may last: each has one phase, and all are counted where the kernel is called."""
    arguments = 2100, 1100, False, np.float64, "all", True
    runner, rows = make_runner(*arguments)
    expected = train(runner, rows, n_threads)
    monkeypatch.setattr(threads, "FIRST_CALL_FLOPS", 0)
    monkeypatch.setattr(threads, "CALL_SECONDS", 0)
    runner, rows = make_runner(*arguments)
    calls, run = [], epoch._Thread.run

    def counted(thread, arguments):
        calls.append(thread)
        run(thread, arguments)

    monkeypatch.setattr(epoch._Thread, "run", counted)
    assert_same_results(train(runner, rows, n_threads), expected)
    assert len(set(calls)) == n_threads
    # All threads are called equally often: once for each phase of at least four microbatches, each
    # of which has one phase at least for the gradient of each layer.
    n_calls = {calls.count(thread) for thread in calls}
    assert len(n_calls) == 1
    assert n_calls.pop() >= N_EPOCHS * 4 * 3


@needs_compilation
def test_objective_is_that_of_whole_steps(many_threads, monkeypatch):
    """Between two calls the objective has the steps that `n_steps` counts, and no others."""
    monkeypatch.setattr(epoch, "Pace", CountedPace)
    runner, rows = make_runner(200, 100, False, np.float64, "plain", True)
    seen, run = [], epoch._Thread.run

    def watched(thread, arguments):
        run(thread, arguments)
        seen.append((runner.n_steps, runner.objective, runner.network.params.copy()))

    monkeypatch.setattr(epoch._Thread, "run", watched)
    with ThreadTeam(1, 1.0) as team:
        runner.run(team, rows, np.full(2, 0.1))
    assert seen[-1][0] == 2
    by_step = {}
    for n_steps, objective, params in seen:
        first = by_step.setdefault(n_steps, (objective, params))
        assert objective == first[0]
        assert_array_equal(params, first[1])
    objectives = [objective for objective, _ in by_step.values()]
    assert list(by_step) == [0, 1, 2]
    # The loss of each step is larger than 0, and is added to those before.
    assert objectives[0] == 0 < objectives[1] < objectives[2]


@pytest.mark.parametrize("takes_steps", [True, False], ids=["steps", "gradient"])
def test_a_minibatch_without_weight_is_left_out(takes_steps):
    """It counts as a step, and changes nothing: the others do the same when they begin there."""
    batch_size, results = 4, []
    for first in (0, batch_size):
        runner, rows = make_runner(3 * batch_size, batch_size, False, float, "plain", takes_steps)
        if takes_steps:
            runner.optimizer.t = first // batch_size
        rates = np.array([0.3, 0.2, 0.1])[first // batch_size :]
        with ThreadTeam(1, 1.0) as team:
            objective = runner.run(team, rows[first:], rates)
        assert runner.n_steps == rates.size
        results.append([objective, runner.network.params, runner.grad])
    assert_same_results(*results)


def test_an_abandoned_program_stops_before_its_step():
    runner, rows = make_runner(12, 4, False, float, "plain", True)
    before = runner.network.params.copy()
    (thread,) = runner._threads(1)
    thread.program.begin(0, 0)
    thread.program.counters[N_LEFT] = 10**6
    thread.program.scalars[ABANDONED] = 1  # as a meeting does that others will not reach
    rates, constants = runner._per_step(np.full(3, 0.1), 0)
    thread.run((read_only(runner.data.weights), rows[4:], rates, constants[1:]))
    assert thread.program.counters[N_DONE] == 0
    assert_array_equal(runner.network.params, before)
