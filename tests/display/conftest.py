"""Small fitted networks to draw, and figures that are closed after each test."""

from __future__ import annotations

import matplotlib.pyplot
import pytest
from pictures import network

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="session")
def small(digits):
    X, y = digits
    return X[:100], y[:100]


@pytest.fixture(scope="session")
def fitted(small):
    return network().fit(*small)


@pytest.fixture(scope="session")
def stopped(small):
    """Return a network with a best epoch and a learning rate that changes."""
    return network(early_stopping=True, learning_rate="cosine").fit(*small)
