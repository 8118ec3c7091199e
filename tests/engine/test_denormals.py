"""Denormal numbers are zero inside of programs, and the caller's flags stay as they are."""

from __future__ import annotations

import ctypes
import platform
import signal
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from factories import classifier, regressor
from numpy.testing import assert_array_equal

from sknet import inspection
from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.kernels import KEEP, N_SCALARS, average
from sknet._engine.program import Program, run_program

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Training interrupted by user"),
    pytest.mark.skipif(PYTHON_MODE, reason="plain Python changes no flags of the processor"),
]

# The environment of the C library on x86-64: 28 bytes of the old x87 unit, then MXCSR.
MXCSR_PLACE, MXCSR_FLAGS, ENVIRONMENT_BYTES = 28, 0x8040, 32

x86_64_linux = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="reads and sets the flags by the layout of glibc's fenv_t on x86-64",
)


def flags():
    """Return the control bits of MXCSR, as the C library reads them."""
    environment = ctypes.create_string_buffer(ENVIRONMENT_BYTES)
    assert ctypes.CDLL(None).fegetenv(environment) == 0
    mxcsr = int.from_bytes(environment.raw[MXCSR_PLACE:], "little")
    return mxcsr & ~0x3F  # the lowest six say which exceptions have occurred


@contextmanager
def flags_set_by_the_caller(bits):
    """Set control bits of MXCSR for the block."""
    before = ctypes.create_string_buffer(ENVIRONMENT_BYTES)
    assert ctypes.CDLL(None).fegetenv(before) == 0
    mxcsr = int.from_bytes(before.raw[MXCSR_PLACE:], "little") | bits
    changed = before.raw[:MXCSR_PLACE] + mxcsr.to_bytes(4, "little")
    assert ctypes.CDLL(None).fesetenv(changed) == 0
    try:
        yield
    finally:
        ctypes.CDLL(None).fesetenv(before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_programs_take_and_leave_zeros(dtype):
    """An average of denormals is zero: as operands they count as zero, as results they become it.

    Half of the smallest normal number is denormal.
    """
    tiny = np.finfo(dtype).smallest_normal
    params = np.array([tiny / 4, tiny, -tiny / 2, 4 * tiny], dtype)
    mean, scalars = np.zeros(4, dtype), np.zeros(N_SCALARS)
    scalars[KEEP] = 0.5
    program = Program(mean.dtype)
    program.add(average, params, scalars, mean)
    run_program(program.finish().instructions, 1, mean)
    assert_array_equal(mean, [0, 0, 0, 2 * tiny])
    assert (params / 2 != 0).all()  # NumPy's operations keep denormals


def data():
    """Return features and two classes."""
    X = np.random.RandomState(0).normal(size=(60, 5))
    return X, (X[:, 0] > 0).astype(int)


def diverging_fit():
    X, _ = data()
    with pytest.raises(ValueError, match="learning_rate_init"):
        regressor(solver="sgd", learning_rate_init=1e9).fit(X, 1e9 * X[:, 0])


def interrupted_fit():
    """Train until a signal raises KeyboardInterrupt, which ends the training."""
    X = np.random.RandomState(0).normal(size=(2000, 20))
    net = classifier(max_iter=10**6, n_iter_no_change=np.inf, hidden_layer_sizes=(50,))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        net.fit(X, (X[:, 0] > 0).astype(int))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert net.n_iter_ < 10**6


# All ways in which kernels are called.
CALLS = {
    "fit": lambda: classifier().fit(*data()),
    "fit, threads": lambda: classifier(n_jobs=2, hidden_layer_sizes=(300,)).fit(*data()),
    "fit, lbfgs": lambda: classifier(solver="lbfgs").fit(*data()),
    "fit, early stopping": lambda: classifier(early_stopping=True).fit(*data()),
    "partial_fit": lambda: classifier().partial_fit(*data(), classes=[0, 1]),
    "predict_proba": lambda: classifier().fit(*data()).predict_proba(data()[0]),
    "input_gradients": lambda: inspection.input_gradients(classifier().fit(*data()), data()[0]),
    "divergence": diverging_fit,
    "interrupted fit": interrupted_fit,
}


@x86_64_linux
@pytest.mark.parametrize("bits", [0, MXCSR_FLAGS], ids=["default", "set by the caller"])
@pytest.mark.parametrize("name", CALLS)
def test_flags_are_as_before(name, bits):
    with flags_set_by_the_caller(bits):
        before = flags()
        CALLS[name]()
        assert flags() == before
        assert before & MXCSR_FLAGS == bits
