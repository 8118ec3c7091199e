"""Workers that die or stop while a network is fitted."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sknet import MLPClassifier
from sknet.dask import DaskMLPClassifier

da = pytest.importorskip("dask.array", reason="the extra 'dask' is not installed")
distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

# As in test_dask_fits.
SUMS, LBFGS = 1e-10, 1e-7


class AtEpoch:
    """A scorer that sends signals to processes when it is called at the end of an epoch."""

    def __init__(self, actions):
        self.actions, self.n_calls = actions, 0

    def __call__(self, estimator, X, y):
        self.n_calls += 1
        for pid, number in self.actions.get(self.n_calls, []):
            os.kill(pid, number)
        return 0.0


@pytest.fixture
def rows(digits):
    return digits[0][:600], digits[1][:600]


def fit_both(rows, solver, sync_every, actions, timeout=60):
    """Return a fit on workers that get signals, and the fit of one machine."""
    X, y = rows
    net = MLPClassifier((10,), solver=solver, max_iter=8, random_state=0, restore_best=False)
    local = MLPClassifier(**net.get_params()).fit(X, y)
    net.set_params(scoring=AtEpoch(actions))
    collections = da.from_array(X, chunks=(150, -1)), da.from_array(y, chunks=150)
    model = DaskMLPClassifier(net, sync_every=sync_every, timeout=timeout)
    return model.fit(*collections, X_val=X[:10], y_val=y[:10]), local


def assert_same_fit(fitted, local, atol):
    assert fitted.estimator_.n_iter_ == local.n_iter_ == 8
    for a, b in zip(fitted.estimator_.coefs_, local.coefs_, strict=True):
        assert_allclose(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("solver", "sync_every", "atol"), [("lbfgs", "auto", LBFGS), ("adam", 3, None)]
)
def test_a_nanny_restarts_a_killed_worker(client, rows, solver, sync_every, atol):
    client.wait_for_workers(2)
    address, pid = min(client.run(os.getpid).items())
    with pytest.warns(UserWarning, match=f"{address}: this worker was lost"):
        fitted, local = fit_both(rows, solver, sync_every, {3: [(pid, signal.SIGKILL)]})
    assert fitted.lost_workers_ == [address]
    assert len(client.run(os.getpid)) == fitted.n_shards_ == 2
    if atol is None:  # local steps go on, too
        assert len(fitted.estimator_.loss_curve_) == 8
        assert np.diff(fitted.estimator_.loss_curve_).max() < 0
    else:
        assert_same_fit(fitted, local, atol)


@pytest.fixture
def lone_workers(digits):
    """Start two workers that nobody restarts, and return their client and processes."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads=1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = []
    with (
        distributed.LocalCluster(
            n_workers=0, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        try:
            for _ in range(2):
                arguments = [*command, "--no-dashboard", cluster.scheduler_address]
                workers.append(
                    subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL)
                )
            client.wait_for_workers(2, timeout=60)
            yield client, client.run(os.getpid)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def test_the_last_worker_goes_on_alone_and_then_there_is_none(lone_workers, rows):
    client, pids = lone_workers
    (first, first_pid), (_, last_pid) = sorted(pids.items())
    with pytest.warns(UserWarning, match=f"{first}: this worker was lost"):
        fitted, local = fit_both(rows, "adam", 1, {2: [(first_pid, signal.SIGKILL)]})
    assert fitted.lost_workers_ == [first]
    assert len(client.nthreads()) == 1
    assert_same_fit(fitted, local, SUMS)

    # A worker that stands still, and goes on before its time is over.
    late = {2: [(last_pid, signal.SIGSTOP)]}
    with pytest.raises(TimeoutError, match=r"within timeout=2 seconds from tcp://"):
        fit_both(rows, "lbfgs", 1, late, timeout=2)
    os.kill(last_pid, signal.SIGCONT)
    fitted, local = fit_both(rows, "adam", 1, {})
    assert_same_fit(fitted, local, SUMS)

    kills = {2: [(last_pid, signal.SIGKILL)]}
    with (
        pytest.warns(UserWarning, match="this worker was lost"),
        pytest.raises(TimeoutError, match="no workers, and none came within timeout=2 seconds"),
    ):
        fit_both(rows, "adam", 1, kills, timeout=2)
