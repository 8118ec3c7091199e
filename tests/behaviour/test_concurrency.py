"""Fits in many threads and processes at once, cold and warm, however the processes start.

With the environment variable SKNET_ROUNDS=20 the parts that depend on chance are done so often.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numba
import pytest
from comparisons import assert_same_search
from factories import classifier, regressor
from joblib import parallel_config
from numpy.testing import assert_array_equal
from processes import run_script
from sklearn.model_selection import GridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
needs_compiled_kernels = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="the kernels run as plain Python"
)
ROUNDS = int(os.environ.get("SKNET_ROUNDS", "1"))

# With a step of so many operations threads work together.
LARGE = {"hidden_layer_sizes": (300, 300), "batch_size": 100, "max_iter": 2}
CASES = [
    {"solver": solver, "activation": activation, "n_jobs": n_jobs}
    for solver, activation in (("adam", "relu"), ("sgd", "tanh"), ("lbfgs", "logistic"))
    for n_jobs in (1, 2)
]


def test_eight_threads_fit_and_predict_at_once(digits):
    """Each fit has the bits that it has alone, beside predictions of a model that all share."""
    X, y = digits[0][:300], digits[1][:300]
    shared = classifier(max_iter=2).fit(X, y)

    def fit(parameters):
        net = classifier(**LARGE, **parameters).fit(X, y)
        other = regressor(max_iter=2).fit(X, X[:, :3])
        return net.predict_proba(X), shared.predict_proba(X), other.predict(X)

    expected = [fit(case) for case in CASES]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(fit, CASES * 4 * ROUNDS))
    for k, found in enumerate(results):
        for part, right in zip(found, expected[k % len(CASES)], strict=True):
            assert_array_equal(part, right)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_threads_inside_the_jobs_of_a_search(backend, digits):
    X, y = digits[0][:200], digits[1][:200]
    net = classifier(**LARGE, n_jobs=2)
    grid = {"alpha": [1e-4, 1.0]}
    alone = GridSearchCV(net, grid, cv=2).fit(X, y)
    with parallel_config(backend, n_jobs=2):
        together = GridSearchCV(net, grid, cv=2).fit(X, y)
    assert_same_search(together, alone)


# Scripts. Each prints the digest of its results, which must be that of a process alone.

COMMON = """
import hashlib, json, multiprocessing, sys, threading, time, warnings
import numpy as np
from sknet import MLPClassifier

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 50))
y = X[:, :3].argmax(axis=1)


def work(k=0):
    "Return a digest of networks: in the second one, threads work together."
    digest = hashlib.sha256()
    for hidden, batch in (((5,), 50), ((400, 300), 200)):
        net = MLPClassifier(hidden, max_iter=2, batch_size=batch, random_state=0, n_jobs=2)
        digest.update(net.fit(X, y).predict_proba(X).tobytes())
    return digest.hexdigest()
"""


@pytest.fixture(scope="module")
def alone():
    """Return the digest of a process that does the work alone."""
    return run_script(COMMON + "print(work())").strip()


COLD_THREADS = """
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(8) as pool:
    print(json.dumps(sorted(set(pool.map(work, range(8))))))
"""


@needs_compiled_kernels
def test_eight_threads_compile_at_once(alone, tmp_path):
    """Numba is imported and all kernels are compiled by whichever thread comes first."""
    for k in range(ROUNDS):
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / str(k))}
        found = json.loads(run_script(COMMON + COLD_THREADS, timeout=300, **environment))
        assert found == [alone]


@needs_compiled_kernels
def test_processes_compile_at_once_into_one_cache(alone, tmp_path):
    n = 2 if ROUNDS == 1 else 8
    for k in range(ROUNDS):
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / str(k))}
        with ThreadPoolExecutor(n) as pool:
            scripts = [
                pool.submit(run_script, COMMON + "print(work())", timeout=300, **environment)
                for _ in range(n)
            ]
        assert {script.result().strip() for script in scripts} == {alone}
        assert run_script(COMMON + "print(work())", **environment).strip() == alone


START_METHODS = """
from multiprocessing.pool import Pool

if __name__ == "__main__":
    own = work()  # before the fork threads have been used, and programs put together
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(json.dumps(sorted({own, *pool.map(work, range(2)), work()})))
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_start_methods_of_processes(method, alone, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(COMMON + START_METHODS)  # a file, since spawned processes import it
    run = f"import runpy, sys; sys.argv = [{str(script)!r}, {method!r}]; runpy.run_path"
    found = json.loads(run_script(f"{run}(sys.argv[0], run_name='__main__')"))
    assert found == [alone]


FORK_MEANWHILE = """
import importlib.abc

begun = threading.Event()


def delay():
    "Give the other thread time to fork in the middle of this thread's work."
    begun.set()
    time.sleep(0.5)


class SlowImport(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[2]:
            delay()


def compile():
    from numba.core.compiler_lock import global_compiler_lock
    from sknet._engine.uninterrupted import uninterrupted

    def compile():
        with global_compiler_lock:  # as Numba does
            delay()

    uninterrupted(compile)


if sys.argv[1] == "compile":
    thread = threading.Thread(target=compile)
else:
    sys.meta_path.insert(0, SlowImport())
    thread = threading.Thread(target=work)
thread.start()
assert begun.wait(60)
child = multiprocessing.get_context("fork").Process(target=lambda: print(work(), flush=True))
child.start()
child.join(60)
code = child.exitcode
child.kill()
assert code == 0, "the forked process hung"
thread.join()
print(work())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@needs_compiled_kernels
@pytest.mark.parametrize(
    ("what", "module"),
    [("compile", ""), ("import", "numba.core.dispatcher"), ("import", "sknet._training.gradient")],
)
def test_a_fork_while_another_thread(what, module, alone):
    """The fork waits until the thread has compiled or imported, so the child can do so, too."""
    assert run_script(COMMON + FORK_MEANWHILE, what, module).split() == [alone] * 2


FITS_WHEN_IMPORTED = """
from sknet import MLPClassifier
from sknet.activations import Activation

class Halved(Activation, name="halved"):
    @staticmethod
    def forward(a):
        for i in range(a.size):
            a[i] /= 2

    @staticmethod
    def backward(z, a, delta):
        for i in range(a.size):
            delta[i] /= 2

loss = MLPClassifier(activation="halved", max_iter=3).fit([[0.0], [1.0]], [0, 1]).loss_
"""


def test_a_module_may_fit_its_own_part_while_it_is_imported(tmp_path):
    """What compiles looks at the module, which must not wait for the end of its import."""
    (tmp_path / "fits_when_imported.py").write_text(FITS_WHEN_IMPORTED)
    script = f"import sys; sys.path.append({str(tmp_path)!r}); import fits_when_imported as module"
    assert float(run_script(script + "; print(module.loss)")) > 0


IMPORT_MEANWHILE = """
import sys, threading
from sknet._engine.uninterrupted import uninterrupted

sys.path.append(sys.argv[1])
sys.begun, sys.go_on = threading.Event(), threading.Event()
thread = threading.Thread(target=__import__, args=["slow_to_import"])
thread.start()
assert sys.begun.wait(60)
print(uninterrupted(lambda: threading.current_thread().name))
sys.go_on.set()
thread.join()
"""


def test_the_import_of_another_thread_takes_no_protection_away(tmp_path):
    """Work goes on in a thread of its own, where no interrupt cuts it short."""
    text = "import sys; sys.begun.set(); sys.go_on.wait(60)"
    (tmp_path / "slow_to_import.py").write_text(text)
    assert run_script(IMPORT_MEANWHILE, tmp_path) == "sknet-uninterrupted\n"


EVERYTHING = """
import pickle
from sknet import HiddenLayers, MLPRegressor, input_gradients
from sknet.estimators.engine import load_engine

load_engine()
before = set(sys.modules)
for net in (
    MLPClassifier(max_iter=1, ema_decay=0.5, early_stopping=True, verbose=False),
    MLPRegressor(max_iter=1, solver="lbfgs"),
):
    net.fit(X, y).predict(X)
    if net.solver != "lbfgs":
        net.set_params(early_stopping=False).partial_fit(X, y)
    net = pickle.loads(pickle.dumps(net))
    HiddenLayers(net).fit(X, y).transform(X)
    input_gradients(net, X)
    net.history_
print(json.dumps(sorted(name for name in set(sys.modules) - before if "sknet" in name)))
"""


def test_all_modules_are_imported_together():
    """An import outside `load_engine` would be cut short by interrupts and forks."""
    assert json.loads(run_script(COMMON + EVERYTHING)) == []
