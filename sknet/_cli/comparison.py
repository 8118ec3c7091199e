"""The result of a grid search, and two of them compared in words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GridSearchCV


class Result(NamedTuple):
    """A finished search, and what its best network says of the test images.

    The confidence of a prediction is the probability that the network gives it.
    """

    name: str
    grid: GridSearchCV
    seconds: float
    predictions: np.ndarray
    confidences: np.ndarray


def three_digits(value: float) -> str:
    """Return a number with three significant digits, or all digits before the point.

    Parameters
    ----------
    value : float
        A number >= 0.

    Returns
    -------
    str

    Examples
    --------
    >>> [three_digits(seconds) for seconds in (0.0512, 0.1, 9.996, 1234.5)]
    ['0.0512', '0.100', '10.0', '1234']
    """
    exponent = int(f"{value:.2e}".partition("e")[2])
    return f"{value:.{max(0, 2 - exponent)}f}"


def speed(sklearn_seconds: float, sknet_seconds: float) -> str:
    """Return how fast sknet is beside scikit-learn, whichever of them is faster.

    Parameters
    ----------
    sklearn_seconds, sknet_seconds : float
        Times of the same work.

    Returns
    -------
    str
        It continues "sknet is".

    Examples
    --------
    >>> speed(6.8, 2.0)
    '3.4 times as fast'
    >>> speed(1.0, 1.02)
    'about as fast'
    >>> speed(1.0, 1.3)
    '1.3 times as slow'
    """
    ratio = sklearn_seconds / sknet_seconds
    fast, slow = f"{ratio:.1f}", f"{1 / ratio:.1f}"
    if "1.0" in (fast, slow):
        return "about as fast"
    return f"{fast} times as fast" if ratio > 1 else f"{slow} times as slow"


def agreement(sklearn_predictions: np.ndarray, sknet_predictions: np.ndarray) -> str:
    """Return how many predictions are the same.

    Parameters
    ----------
    sklearn_predictions, sknet_predictions : ndarray of shape (n_samples,)

    Returns
    -------
    str

    Examples
    --------
    >>> agreement(np.array([3, 8, 5]), np.array([3, 8, 5]))
    'the same 3 predictions'
    >>> agreement(np.array([3, 8, 5]), np.array([3, 3, 5]))
    '1 of 3 predictions differs'
    """
    n, n_different = (
        len(sknet_predictions),
        np.count_nonzero(sklearn_predictions != sknet_predictions),
    )
    if n_different == 0:
        return f"the same {n} predictions"
    return f"{n_different} of {n} predictions {'differs' if n_different == 1 else 'differ'}"
