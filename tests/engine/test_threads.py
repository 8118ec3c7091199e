"""Threads inside a fit: the same bits for any number, and none is left behind."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from sknet import MLPClassifier, MLPRegressor
from sknet._engine import threads
from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.threads import Pace, ThreadTeam, Workers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def all_threads(monkeypatch):
    """Let every run use all threads asked for, even more than cores, and count them."""
    used = []

    def schedule_steps(team, n_steps):
        used.append(team.n_threads)
        yield team.n_threads, slice(0, n_steps)

    monkeypatch.setattr(ThreadTeam, "schedule_steps", schedule_steps)
    monkeypatch.setattr(threads, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "MIN_STEP_FLOPS", 0)
    monkeypatch.setattr(threads, "MIN_SHARED_FLOPS", 0)
    return used


def assert_same_bits(a, b):
    assert a.loss_ == b.loss_
    for u, v in zip((*a.coefs_, *a.intercepts_), (*b.coefs_, *b.intercepts_), strict=True):
        assert_array_equal(u, v)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (33, 7, 18), "activation": "tanh", "batch_size": 37},
        {"solver": "sgd", "batch_size": 1300},
        {"solver": "lbfgs"},
        {"early_stopping": True, "batch_size": 5},
        {"dropout": 0.5, "batch_size": 1100, "hidden_layer_sizes": (33, 20)},
        {"l1_ratio": 0.5, "alpha": 0.1, "gradient_clip_norm": 0.1, "ema_decay": 0.9},
        {"solver": "adamw", "activation": "gelu"},
    ],
    ids=str,
)
def test_same_bits_for_any_number_of_threads(digits, all_threads, parameters, dtype, sparse):
    X, y = digits[0].astype(dtype), digits[1]
    X = sp.csr_array(X) if sparse else X
    weights = np.random.RandomState(0).gamma(2.0, size=len(y))
    common = {"max_iter": 2, "random_state": 0, **parameters}
    one = MLPClassifier(**common).fit(X, y, sample_weight=weights)
    for n_jobs in (2, 3, 5):
        all_threads.clear()
        several = MLPClassifier(**common, n_jobs=n_jobs).fit(X, y, sample_weight=weights)
        assert set(all_threads) == {n_jobs}
        assert_same_bits(one, several)
        assert_array_equal(one.predict_proba(X), several.predict_proba(X))


def test_same_noise_for_any_number_of_threads(digits, all_threads):
    one, two = (
        MLPClassifier((20,), input_noise=0.1, batch_size=1100, max_iter=2, random_state=0, n_jobs=n)
        for n in (1, 2)
    )
    assert_same_bits(one.fit(*digits), two.fit(*digits))


def test_same_bits_in_every_run(digits, all_threads):
    """With more threads than cores, so that they are interrupted anywhere."""
    first, *others = (
        MLPClassifier(max_iter=3, random_state=0, n_jobs=4, batch_size=64).fit(*digits)
        for _ in range(6)
    )
    for other in others:
        assert_same_bits(first, other)


def test_fits_side_by_side(digits, all_threads):
    """Several teams at once, as under joblib's threading backend."""
    alone = MLPClassifier(max_iter=3, random_state=0).fit(*digits)
    with ThreadPoolExecutor(3) as pool:
        models = [MLPClassifier(max_iter=3, random_state=0, n_jobs=2) for _ in range(6)]
        for model in pool.map(lambda m: m.fit(*digits), models):
            assert_same_bits(alone, model)


def _fit(seed, X, y):
    return MLPClassifier(max_iter=4, random_state=seed, n_jobs=2).fit(X, y)


@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_inside_joblib(digits, backend):
    with joblib.parallel_config(backend=backend, n_jobs=2):
        models = joblib.Parallel()(joblib.delayed(_fit)(seed, *digits) for seed in range(3))
    for seed, model in enumerate(models):
        assert_same_bits(model, _fit(seed, *digits))


def _fit_in_child(queue, X, y):
    queue.put(MLPClassifier(max_iter=3, random_state=0, n_jobs=2).fit(X, y).loss_)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_fork(digits, all_threads):
    """A child of a process that has trained on threads trains on threads of its own."""
    model = MLPClassifier(max_iter=3, random_state=0, n_jobs=2).fit(*digits)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_fit_in_child, args=(queue, *digits))
    child.start()
    assert queue.get(timeout=120) == model.loss_
    child.join()


def test_joblib_context_gives_n_jobs(digits, all_threads):
    with joblib.parallel_config(backend="threading", n_jobs=3):
        MLPClassifier(max_iter=2).fit(*digits)
    assert set(all_threads) == {3}
    all_threads.clear()
    MLPClassifier(max_iter=2).fit(*digits)
    assert set(all_threads) == {1}


def test_small_networks_keep_one_thread(diabetes, monkeypatch):
    monkeypatch.setattr(threads, "cpu_count", lambda: 8)
    team = ThreadTeam(8, flops=threads.MIN_STEP_FLOPS - 1)
    assert team.n_threads == 1
    assert ThreadTeam(8, flops=threads.MIN_STEP_FLOPS).n_threads == 8
    assert MLPRegressor(n_jobs=-1, max_iter=2).fit(*diabetes).n_iter_ == 2


def test_never_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    assert ThreadTeam(64, flops=1e9).n_threads == 2


@pytest.mark.parametrize("n_steps", [1, 7, 16, 17, 49, 469, 5000])
@pytest.mark.parametrize("work", [threads.MIN_STEP_FLOPS, threads.SURE_STEP_FLOPS])
@pytest.mark.parametrize("faster", [1, 2])
def test_the_faster_way_is_taken_and_the_other_tried_again(n_steps, faster, work, monkeypatch):
    """Every step runs once and in order, and but few of them on the slower number of threads."""
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    chosen = []

    n_epochs = 2 * threads.RETRY_SHARE
    with ThreadTeam(2, flops=work) as team:
        for _ in range(n_epochs):
            at = 0
            for n, part in team.schedule_steps(n_steps):
                assert part.start == at
                assert part.stop > part.start
                at = part.stop
                chosen.extend([n] * (part.stop - part.start))
                seconds = 2.0 if n == faster else 3.0
                team.record(n, part.stop - part.start, (part.stop - part.start) * seconds)
            assert at == n_steps
    # A trial of each at first, then one step in RETRY_SHARE. Where several threads are sure to pay,
    # the first trial of one thread comes after so many steps, too.
    trial = team.trial_steps
    unasked = (threads.RETRY_SHARE - 1) * trial if work == threads.SURE_STEP_FLOPS else 0
    first, settled = chosen[: unasked + 2 * trial], chosen[unasked + 2 * trial :]
    assert first == ([2] * (unasked + trial) + [1] * trial)[: len(first)]
    slow = settled.count(3 - faster)
    assert slow <= trial * (len(settled) // (threads.RETRY_SHARE * trial) + 1)
    assert slow > 0 or len(settled) < threads.RETRY_SHARE * trial + n_steps


def test_a_trial_is_long_enough_to_tell(monkeypatch):
    """It goes on over epochs of few steps, and no number of threads is preferred before its end."""
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    with ThreadTeam(2, flops=threads.TRIAL_FLOPS / 7) as team:
        chosen = []
        for _ in range(6):
            for n, part in team.schedule_steps(3):
                chosen.append((n, part.stop - part.start))
                team.record(n, part.stop - part.start, float(n) * (part.stop - part.start))
    assert chosen == [(2, 3), (2, 3), (2, 1), (1, 2), (1, 3), (1, 2), (1, 1), (1, 3)]
    assert team.seconds == {1: 1.0, 2: 2.0}


# Workers: threads beside the calling one.

# Far longer than anything here takes. A test in which a thread waits for so long fails.
LONG = 60.0


class Gate:
    """What threads wait at until they are released."""

    def __init__(self):
        self.event = threading.Event()
        self.passed = []

    def release(self):
        self.event.set()

    def wait(self):
        assert self.event.wait(LONG), "nobody released this thread"
        self.passed.append(threading.get_ident())


def assert_all_have_ended(workers, n_started):
    """Expect that so many threads were started, and that none runs any more."""
    assert [w.was_started for w in workers._workers].count(True) == n_started
    assert all(w.has_ended for w in workers._workers if w.was_started)


def test_workers_run_beside_the_caller():
    """All functions run at the same time, each in a thread of its own, which runs the next too."""
    barrier = threading.Barrier(3)
    threads_of_calls = []

    def meet():
        barrier.wait(LONG)
        return threading.get_ident()

    with Workers(2) as workers:
        for _ in range(3):
            seen = []
            others = [lambda seen=seen: seen.append(meet()) for _ in range(2)]
            assert workers.run(meet, others, barrier.abort) == threading.get_ident()
            threads_of_calls.append(frozenset(seen))
        assert [w.has_ended for w in workers._workers] == [False, False]
    assert len(set(threads_of_calls)) == 1
    assert len(threads_of_calls[0] - {threading.get_ident()}) == 2
    assert_all_have_ended(workers, 2)


def test_only_as_many_threads_start_as_are_needed():
    with Workers(5) as workers:
        workers.run(int, [], int)
        assert_all_have_ended(workers, 0)
        workers.run(int, [int, int], int)
    assert_all_have_ended(workers, 2)


class StopHereError(Exception):
    """What functions raise in these tests."""


def stop(error=StopHereError):
    raise error


@pytest.mark.parametrize("error", [StopHereError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_worker_that_raises_releases_the_others(place, error):
    """The caller waits for it, as the other threads do, and gets its error."""
    gate = Gate()
    others = [gate.wait] * 3
    others[place] = lambda: stop(error)
    with Workers(3) as workers:
        with pytest.raises(error):
            workers.run(gate.wait, others, gate.release)
        # All threads are ready for the next call.
        assert workers.run(lambda: 7, [int] * 3, gate.release) == 7
    assert len(gate.passed) == 3
    assert_all_have_ended(workers, 3)


@pytest.mark.parametrize("error", [StopHereError, KeyboardInterrupt])
def test_an_error_in_the_caller_ends_all_threads(error):
    """The other threads wait for the caller, which will not come."""
    gate = Gate()
    workers = Workers(3)
    with pytest.raises(error), workers:
        workers.run(lambda: stop(error), [gate.wait] * 3, gate.release)
    assert len(gate.passed) == 3
    assert_all_have_ended(workers, 3)


@pytest.mark.parametrize("n_allowed", [0, 1, 2])
def test_a_thread_that_cannot_start_leaves_none_behind(n_allowed, monkeypatch):
    """Nothing has run before all threads are there."""
    start, n_asked = threads._thread.start_new_thread, 0

    def start_some(*arguments):
        nonlocal n_asked
        n_asked += 1
        if n_asked > n_allowed:
            raise RuntimeError("can't start new thread")
        return start(*arguments)

    monkeypatch.setattr(threads._thread, "start_new_thread", start_some)
    calls = []
    workers = Workers(3)
    with pytest.raises(RuntimeError, match="start new thread"), workers:
        workers.run(lambda: calls.append("own"), [lambda: calls.append("other")] * 3, int)
    assert calls == []
    assert n_asked == n_allowed + 1
    assert_all_have_ended(workers, n_allowed + 1)


def test_an_interrupt_at_the_end_does_not_leave_threads_behind(monkeypatch):
    """The end of the block waits for all threads, and raises the interrupt then."""
    gate, n_interrupts = Gate(), 3

    def interrupted_sleep(seconds):
        nonlocal n_interrupts
        if n_interrupts > 0:
            n_interrupts -= 1
            raise KeyboardInterrupt
        gate.release()
        time.sleep(seconds)

    monkeypatch.setattr(threads, "sleep", interrupted_sleep)
    workers = Workers(2)
    with pytest.raises(KeyboardInterrupt), workers:
        # The error in the caller leaves two threads, which `int` does not release.
        workers.run(stop, [gate.wait] * 2, int)
    assert n_interrupts == 0
    assert len(gate.passed) == 2
    assert_all_have_ended(workers, 2)


def test_threads_end_with_their_workers():
    """Also without a with statement."""
    workers = Workers(2)
    workers.run(int, [int, int], int)
    both = list(workers._workers)
    assert [w.has_ended for w in both] == [False, False]
    del workers
    end = time.monotonic() + LONG
    while not all(w.has_ended for w in both):
        assert time.monotonic() < end, "a thread goes on without its owner"
        time.sleep(0.001)


def test_threads_that_wait_keep_no_memory():
    """When a call returns, no thread holds what its function has worked on."""

    class Array:
        """Something large."""

    def work(array):
        assert array is not None

    with Workers(2) as workers:
        array = Array()
        reference = weakref.ref(array)
        workers.run(int, [lambda array=array: work(array) for _ in range(2)], int)
        del array
        assert reference() is None


# The pace: how much a kernel does before it returns to Python.


@pytest.mark.parametrize(
    ("flops", "units"),
    [(0, 1e8), (1, 1e8), (1e3, 1e5), (3e7, 3), (1e8, 1), (1e12, 1)],
)
def test_the_first_call_does_a_given_number_of_operations(flops, units):
    """At least one unit, and FIRST_CALL_FLOPS divided by those of a unit."""
    assert threads.FIRST_CALL_FLOPS == 1e8
    assert Pace(flops).units == units


@pytest.mark.parametrize("flops", [1, 1e6, 1e12])
@pytest.mark.parametrize("seconds", [1e-9, 1e-5, 1e-3, 1.0])
def test_calls_come_to_take_the_seconds_that_are_wanted(seconds, flops):
    """Or a single unit, if one takes longer. No call has more than twice the units of the last."""
    pace = Pace(flops)
    calls = [pace.units]
    for _ in range(60):
        pace.record(calls[-1], calls[-1] * seconds)
        calls.append(pace.units)
        assert calls[-1] <= 2 * calls[-2]
    wanted = max(1, threads.CALL_SECONDS / seconds)
    # The number of units is rounded down, after the rounding of a product and of two quotients.
    assert wanted * (1 - 1e-15) - 1 <= calls[-1] <= wanted * (1 + 1e-15)


def test_a_slower_machine_is_noticed_at_once():
    pace = Pace(1)
    pace.record(1000, threads.CALL_SECONDS * 1000)
    assert pace.units == 1


@pytest.mark.parametrize(("units", "seconds"), [(0, 0.1), (5, 0.0), (0, 0.0)])
def test_a_call_that_tells_nothing_changes_nothing(units, seconds):
    pace = Pace(1e5)
    before = pace.units
    pace.record(units, seconds)
    assert pace.units == before


def test_a_call_that_ended_early_does_not_slow_down_the_next():
    """The last call of an epoch has fewer units left than allowed, and takes less time."""
    pace = Pace(1e5)
    assert pace.units == 1000
    pace.record(8, threads.CALL_SECONDS / 128)  # powers of two: no rounding
    assert pace.units == 8 * 128


@pytest.mark.skipif(PYTHON_MODE, reason="without compilation there is one thread")
def test_an_exception_before_the_own_kernel_leaves_whole_steps(digits, monkeypatch):
    """The other threads have begun by then, wherever in a minibatch the call goes on."""
    X, y = digits[0][:1100], digits[1][:1100]  # two microbatches and a remainder
    calls = []

    def fit(interrupted_at=0, max_iter=3):
        run = ThreadTeam.run
        calls.clear()

        def run_or_raise(team, own, others, release):
            calls.append(own)

            def interrupted():
                sleep(0.02)  # the others go as far as they can
                raise KeyboardInterrupt

            own = interrupted if len(calls) == interrupted_at else own
            return run(team, own, others, release)

        with monkeypatch.context() as patch:
            patch.setattr(ThreadTeam, "run", run_or_raise)
            patch.setattr(ThreadTeam, "schedule_steps", lambda team, n: iter([(2, slice(0, n))]))
            patch.setattr(threads, "cpu_count", lambda: 2)
            patch.setattr(threads, "MIN_STEP_FLOPS", 0)
            patch.setattr(threads, "FIRST_CALL_FLOPS", 0)  # one phase in each call
            patch.setattr(threads, "CALL_SECONDS", 0)
            model = MLPClassifier(
                (30,), batch_size=1100, max_iter=max_iter, shuffle=False, random_state=0, n_jobs=2
            )
            return model.fit(X, y)

    whole = {n: fit(max_iter=n) for n in (1, 2, 3)}
    n_calls = len(calls)
    assert n_calls > 30
    for k in range(n_calls // 3 + 1, n_calls + 1):
        with pytest.warns(UserWarning, match="interrupted"):
            model = fit(interrupted_at=k)
        assert model.t_ % len(y) == 0
        for ours, expected in zip(model.coefs_, whole[model.t_ // len(y)].coefs_, strict=True):
            assert_array_equal(ours, expected)
