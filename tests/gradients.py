"""Gradients compared with central differences of what they are gradients of."""

from __future__ import annotations

import numpy as np


def central_differences(score, X, step=1e-5):
    """Return the derivative of each row's score by each feature."""
    moves = step * np.eye(X.shape[1])
    return np.stack([(score(X + m) - score(X - m)) / (2 * step) for m in moves], axis=1)


def assert_is_gradient(found, score, X):
    """Compare with central differences to 1e-7.

    Truncation is of the order of 1e-5**2 = 1e-10, rounding of 1e-16 / 1e-5 = 1e-11, both
    relative to scores and slopes of the order of 1.
    """
    expected = central_differences(score, X)
    assert np.linalg.norm(expected) > 0
    assert np.linalg.norm(found - expected) < 1e-7 * np.linalg.norm(expected)
