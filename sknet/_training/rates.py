"""The learning rate of each step of an epoch."""

from __future__ import annotations

import numpy as np

from sknet.schedules import Schedule


class EpochRates:
    """Computes the learning rates of one epoch after the other.

    Parameters
    ----------
    schedule : Schedule
        Gives the factor of each step.
    n_steps : int
        Steps of an epoch.
    n_epochs : int
        Epochs that the schedule spans.
    """

    def __init__(self, schedule: Schedule, n_steps: int, n_epochs: int) -> None:
        self.schedule, self.n_steps, self.n_epochs = schedule, n_steps, n_epochs
        # Learning rate, rates and mean of the last epoch.
        self._last: tuple[float, np.ndarray, float] | None = None

    def after(self, t: int, rate: float) -> tuple[np.ndarray, float]:
        """Return the rates of the epoch that begins after t steps, and their mean.

        Parameters
        ----------
        t : int
            Number of steps that were taken before the epoch.
        rate : float
            The epoch's learning rate, which the factors multiply.

        Returns
        -------
        rates : ndarray of shape (n_steps,)
            An array of this epoch alone.
        mean : float
        """
        if self._last is not None and self.schedule.is_flat and rate == self._last[0]:
            _, rates, mean = self._last
            return rates.copy(), mean
        fractions = (t + np.arange(self.n_steps, dtype=np.int64)) / (self.n_steps * self.n_epochs)
        # The schedule may be over before training is.
        rates = rate * self.schedule.factors(np.minimum(fractions, np.nextafter(1, 0)))
        mean = float(rates.mean())
        self._last = rate, rates.copy(), mean
        return rates, mean
