"""What all tests share: one BLAS thread, Hypothesis's profiles, and real data."""

from __future__ import annotations

import importlib
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import sknet
from sknet.parts import Part

# Shells let what they start in the background ignore Ctrl-C, and so do its child processes. Tests
# that interrupt a fit need Python's own handler.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Test processes run side by side; BLAS threads on top of that only get in each other's way.
threadpool_limits(1)

# pytest makes assertions of tests work with `python -O`, too, and those of helpers if told.
pytest.register_assert_rewrite("comparisons", "gradients", "oracle", "snapshots")

# Tests say how many examples they take unless they are those of tests/fuzz: four of these take
# 1,000 in all, or 20,000 with --hypothesis-profile=nightly. The first examples compile kernels,
# which no deadline allows for.
COMMON = {
    "deadline": None,
    "print_blob": True,
    "stateful_step_count": 10,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("ci", max_examples=250, derandomize=True, **COMMON)
settings.register_profile("nightly", max_examples=5000, **COMMON)
settings.load_profile("ci")


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the 1797 handwritten digits, pixels in [0, 1]."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    X.flags.writeable = y.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """Return 442 patients, ten standardised measurements and the disease's progress."""
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def scaled(load):
    """Return standardised features, and targets."""
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def iris():
    return scaled(load_iris)


@pytest.fixture(scope="module")
def wine():
    return scaled(load_wine)


@pytest.fixture(scope="module")
def cancer():
    X, y = scaled(load_breast_cancer)
    return X[:200], y[:200]


@pytest.fixture(scope="module")
def progress(diabetes):
    """Return 200 patients and the disease's progress, both standardised."""
    X, y = diabetes[0][:200], diabetes[1][:200]
    return X, (y - y.mean()) / y.std()


@pytest.fixture
def tables():
    """Restore the tables of parts after a test."""
    kinds = Part.__subclasses__()
    before = [dict(kind.table) for kind in kinds]
    yield
    for kind, table in zip(kinds, before, strict=True):
        kind.table.clear()
        kind.table.update(table)


@pytest.fixture
def tool(monkeypatch):
    """Return a function that imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(Path(sknet.__file__).parents[1] / "benchmarks")
    return importlib.import_module
