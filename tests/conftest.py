"""What all tests share: one BLAS thread, and real data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from threadpoolctl import threadpool_limits

# Test processes run side by side; BLAS threads on top of that only get in each other's way.
threadpool_limits(1)


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
