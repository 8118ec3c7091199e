"""Threads inside a fit: the same bits for any number, whatever runs around them."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from sknet import MLPClassifier, MLPRegressor
from sknet._engine import threads
from sknet._engine.threads import ThreadTeam

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
    slower = 3 - faster
    # Twice each at first, then one part in RETRY_SHARE, or at least a step in an epoch.
    again = max(len(chosen) / threads.RETRY_SHARE, n_epochs if n_steps > threads.FEW_STEPS else 0)
    # Where several are sure to pay, the first epoch does not ask, nor does one in fifty.
    unasked = n_steps if work == threads.SURE_STEP_FLOPS else 0
    assert 0 < chosen.count(slower) <= again + 2 * n_steps + unasked
    assert chosen[0] == (2 if unasked else 1)
    assert chosen[-1] == faster or n_steps == 1
