"""Prediction intervals from the errors for samples that members left out."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

# A bound is searched by halving an interval, so often that it is exact but for rounding.
HALVINGS = 80


def conformal_interval(
    centers: Sequence[np.ndarray], errors: Sequence[np.ndarray], coverage: float
) -> np.ndarray:
    """Return intervals by the method CV+.

    Of all numbers ``center + error``, where an error is that of the member whose center it is
    added to, the upper bound is the one of rank ``ceil(coverage * (n + 1))``. The lower bound is
    the one of rank ``floor((1 - coverage) * (n + 1))`` of all numbers ``center - error``. There
    are n errors. A bound whose rank is above n, or below 1, is infinite.

    Parameters
    ----------
    centers : sequence of ndarray of shape (n_samples,)
        What each member predicts.
    errors : sequence of ndarray of shape (n_left_out,)
        Absolute errors of each member for the samples that it left out.
    coverage : float
        In (0, 1).

    Returns
    -------
    ndarray of shape (n_samples, 2)
        Lower and upper bounds.

    References
    ----------
    Barber, R. F., Candes, E. J., Ramdas, A., Tibshirani, R. J. (2021). Predictive inference with
    the jackknife+. Annals of Statistics 49(1), arXiv:1905.02928, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> centers = [np.array([0.0]), np.array([1.0])]
    >>> conformal_interval(centers, [np.array([1.0, 2.0]), np.array([3.0, 4.0])], 0.8)
    array([[-3.,  5.]])
    """
    n = sum(map(len, errors))
    # Products such as 0.9 * 10 are not exact. A rank must not be one too high for that.
    rank = ceil(round(coverage * (n + 1), 9))
    ordered = [np.sort(error) for error in errors]
    upper = _of_rank(centers, ordered, rank, n)
    lower = -_of_rank([-center for center in centers], ordered, rank, n)
    return np.column_stack([lower, upper])


def _of_rank(
    centers: Sequence[np.ndarray], errors: Sequence[np.ndarray], rank: int, n: int
) -> np.ndarray:
    """Return the number of a rank, from 1 on, among all ``center + error``, by halving."""
    if rank > n:
        return np.full(centers[0].shape, np.inf)
    pairs = [(c, e) for c, e in zip(centers, errors, strict=True) if e.size]
    low = np.min([center for center, _ in pairs], axis=0)
    high = np.max([center + error[-1] for center, error in pairs], axis=0)
    for _ in range(HALVINGS):
        middle = low + (high - low) / 2
        count = sum(
            np.searchsorted(error, middle - center, side="right") for center, error in pairs
        )
        is_enough = count >= rank
        high, low = np.where(is_enough, middle, high), np.where(is_enough, low, middle)
    return high
