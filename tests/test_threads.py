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

from sknet import MLPClassifier, MLPRegressor, _team
from sknet._team import Team

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def all_threads(monkeypatch):
    """Let every run use all threads asked for, even more than cores, and count them."""
    used = []

    def choose(team):
        used.append(team.n_threads)
        return team.n_threads

    monkeypatch.setattr(Team, "choose", choose)
    monkeypatch.setattr(_team, "cpu_count", lambda: 8)
    monkeypatch.setattr(_team, "LEAST_WORK", 0)
    monkeypatch.setattr(_team, "LEAST_SHARED_OUT", 0)
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
    monkeypatch.setattr(_team, "cpu_count", lambda: 8)
    team = Team(8, work=_team.LEAST_WORK - 1)
    assert team.n_threads == 1
    assert Team(8, work=_team.LEAST_WORK).n_threads == 8
    assert MLPRegressor(n_jobs=-1, max_iter=2).fit(*diabetes).n_iter_ == 2


def test_never_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(_team, "cpu_count", lambda: 2)
    assert Team(64, work=1e9).n_threads == 2


def test_the_faster_way_is_taken_and_the_other_tried_again(monkeypatch):
    """The first run compiles and does not count; then each way is tried, then the faster kept."""
    clock = [0.0]
    monkeypatch.setattr(_team, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(_team, "cpu_count", lambda: 2)
    chosen = []

    def kernel(thread, n_threads):
        if thread == 0:
            chosen.append(n_threads)
            clock[0] += {1: 2.0, 2: 3.0}[n_threads]

    def seats(n_threads):
        return [(thread, n_threads) for thread in range(n_threads)]

    with Team(2, work=1e9) as team:
        for _ in range(2 * _team.TRY_AGAIN):
            team.run(kernel, seats)
    assert chosen[:5] == [1, 1, 2, 1, 1]
    assert [i for i, n in enumerate(chosen) if n == 2] == [2, _team.TRY_AGAIN]
