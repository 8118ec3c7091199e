"""SIGTERM ends a process at any moment, and leaves no thread and no broken cache behind.

With the environment variable SKNET_ROUNDS=20 the parts that depend on chance are done so often.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numba
import numpy as np
import pytest
from processes import run_script

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch"),
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="the kernels run as plain Python"),
]
ROUNDS = int(os.environ.get("SKNET_ROUNDS", "1"))

SCRIPT = """
import _thread, signal, sys, time, warnings
import numpy as np
from sknet import MLPClassifier

warnings.simplefilter("ignore")
what, handler = sys.argv[1:]
rng = np.random.default_rng(0)
X, y = rng.random((2000, 784), dtype=np.float32), rng.integers(10, size=2000)


def leave(number, frame):
    sys.exit(3)


if handler == "exits":
    signal.signal(signal.SIGTERM, leave)
net = MLPClassifier((512,), batch_size=500, max_iter=1, random_state=0, n_jobs=2)
try:
    if what == "fit":
        net.fit(X, y)
        net.set_params(max_iter=10**6, tol=0.0, n_iter_no_change=np.inf)
    print("ready", flush=True)
    net.fit(X, y)
finally:
    # Threads of the fit have ended. One that compiles goes on to its end.
    for _ in range(3000):
        if (n_threads := _thread._count()) == 0:
            break
        time.sleep(0.01)
    print("threads left:", n_threads, flush=True)
"""


def terminate(what: str, handler: str, delay: float, cache: str) -> tuple[int, str]:
    """Send SIGTERM to a process that fits or compiles, and return its exit code and output."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", SCRIPT, what, handler],
        env={**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        # The fit would take hours; the compilation that runs ends in seconds.
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert errors == ""
    return process.returncode, out


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """Return a folder with compiled kernels."""
    cache = str(tmp_path_factory.mktemp("cache"))
    assert terminate("fit", "default", 0.0, cache)[0] == -signal.SIGTERM
    return cache


def test_sigterm_ends_a_fit(warm):
    for delay in np.random.default_rng(0).uniform(0, 0.5, ROUNDS):
        assert terminate("fit", "default", delay, warm) == (-signal.SIGTERM, "")


def test_a_handler_of_sigterm_ends_a_fit_and_its_threads(warm):
    for delay in np.random.default_rng(1).uniform(0, 0.5, ROUNDS):
        assert terminate("fit", "exits", delay, warm) == (3, "threads left: 0\n")


AFTERWARDS = """
import warnings
import numpy as np
from sknet import MLPClassifier

warnings.simplefilter("ignore")
warnings.simplefilter("error", RuntimeWarning)  # of a cache that cannot be used
rng = np.random.default_rng(0)
X, y = rng.random((2000, 784), dtype=np.float32), rng.integers(10, size=2000)
net = MLPClassifier((512,), batch_size=500, max_iter=1, random_state=0).fit(X, y)
print(net.loss_)
"""


@pytest.fixture(scope="module")
def undisturbed(warm):
    """Return what a process prints that works with a whole cache."""
    return run_script(AFTERWARDS, NUMBA_CACHE_DIR=warm)


@pytest.mark.parametrize("handler", ["default", "exits"])
def test_sigterm_while_kernels_compile(handler, undisturbed, tmp_path):
    """The process ends, and the next one works with the cache that it leaves."""
    cache, is_compiling = str(tmp_path), False
    # In a cold process the compilation takes some seconds. Each process goes on where the one
    # before was stopped.
    for delay in np.random.default_rng(2).uniform(0.1, 1.5, ROUNDS):
        code, out = terminate("compile", handler, delay, cache)
        if handler == "exits":
            assert code in (0, 3)
            assert out == "threads left: 0\n"
        else:
            assert code in (0, -signal.SIGTERM)
        is_compiling |= code != 0
    assert is_compiling
    assert run_script(AFTERWARDS, NUMBA_CACHE_DIR=cache) == undisturbed
