"""A running mean of the parameters, which often generalises better than the last parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Averaging:
    """The running mean of the parameters over steps, and the last parameters themselves.

    mean_t = sum_s d**(t - s) theta_s / sum_s d**(t - s), s = 1 ... t.

    d is the decay. The last parameters have the largest weight.

    Attributes
    ----------
    decay : float
        The decay d, in [0, 1).
    mean : ndarray of shape (n_parameters,)
        The mean, which the fitted network has as its parameters.
    last : ndarray of shape (n_parameters,)
        The last parameters, from which training continues.

    References
    ----------
    Polyak, B. T., Juditsky, A. B. (1992). Acceleration of stochastic approximation
    by averaging. SIAM J. Control Optim. 30, with weights that fall off as in
    Kingma, D. P., Ba, J. (2015), section 7.2.
    """

    decay: float
    mean: np.ndarray
    last: np.ndarray

    def goes_on_from(self, params: np.ndarray) -> bool:
        """Return whether a network's parameters are still the mean, so that `last` is valid."""
        return bool(np.array_equal(params, self.mean))

    def keep_factors(self, t: int, n_steps: int) -> np.ndarray:
        """Return how much of the mean stays at each of the next steps.

        The sum of all weights so far is (1 - d**t) / (1 - d). Hence
        keep_t = d (1 - d**(t - 1)) / (1 - d**t).
        """
        steps = t + 1 + np.arange(n_steps, dtype=np.int64)
        return self.decay * (1 - self.decay ** (steps - 1)) / (1 - self.decay**steps)
