"""The bias corrections of moving averages, 1 - base**t, for the steps of an epoch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# Steps whose corrections are computed at once, and kept for the next epochs and fits.
BLOCK = 256


def bias_correction(base: float, t: int, n_steps: int) -> np.ndarray:
    """Return 1 - base**s for the steps s = t + 1, ..., t + n_steps.

    Parameters
    ----------
    base : float
        How much of a moving average stays at each step.
    t : int
        Number of steps before.
    n_steps : int
        At least 1.

    Returns
    -------
    ndarray of shape (n_steps,)
        Each power is computed by Python as in scikit-learn. It is equal on every processor.
    """
    first, last = t // BLOCK, (t + n_steps - 1) // BLOCK
    if first == last:
        corrections = _block(float(base), first)
    else:
        corrections = np.concatenate([_block(float(base), k) for k in range(first, last + 1)])
    start = t - first * BLOCK
    return corrections[start : start + n_steps]


@lru_cache(maxsize=64)
def _block(base: float, k: int) -> np.ndarray:
    """Return 1 - base**s for the BLOCK steps s after k * BLOCK."""
    corrections = np.array([1 - base**s for s in range(k * BLOCK + 1, (k + 1) * BLOCK + 1)], float)
    corrections.flags.writeable = False
    return corrections
