"""A running mean of the parameters, which often does better than the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sknet._network.network import Network


class Averaging:
    """Keeps the mean, and lets it stand in for the parameters.

    mean_t = sum_s d**(t - s) theta_s / sum_s d**(t - s), s = 1 ... t, with the
    decay d: the last parameters weigh most.

    Parameters
    ----------
    decay : float or None
        In [0, 1); None keeps no mean, and every method does nothing.
    params : ndarray of shape (n_parameters,)

    References
    ----------
    Polyak, B. T., Juditsky, A. B. (1992). Acceleration of stochastic approximation
    by averaging. SIAM J. Control Optim. 30, with weights that fall off as in
    Kingma, D. P., Ba, J. (2015), section 7.2.
    """

    def __init__(self, decay: float | None, params: np.ndarray) -> None:
        self.mean = None if decay is None else params.copy()
        self._last: np.ndarray | None = None

    def as_own(self, dtype: np.dtype[Any]) -> None:
        """Hold arrays of a dtype that nobody else has: those of a file's map are read-only."""
        if self.mean is not None:
            self.mean = np.array(self.mean, dtype)
        if self._last is not None:
            self._last = np.array(self._last, dtype)

    def training_begins(self, network: Network) -> None:
        """Go on from the last parameters, unless somebody has set others since."""
        if self._last is None or self.mean is None:
            return
        if np.array_equal(network.params, self.mean):
            network.params[:] = self._last
        else:
            self.mean[:] = network.params

    @contextmanager
    def in_place(self, network: Network) -> Iterator[None]:
        """Let the mean stand in for a network's parameters for a while."""
        if self.mean is None:
            yield
            return
        last = network.params.copy()
        network.params[:] = self.mean
        try:
            yield
        finally:
            network.params[:] = last

    def training_ends(self, network: Network) -> None:
        """Leave the mean in the network, and remember its last parameters."""
        if self.mean is not None:
            self._last = network.params.copy()
            network.params[:] = self.mean
