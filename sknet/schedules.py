"""Learning-rate schedules. A new one is one class here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from sknet._parts import Part


@dataclass
class Schedule(Part):
    """When and how the learning rate changes.

    Its fields are its hyperparameters, named as the estimators name them.
    """

    @classmethod
    def start(cls, hyperparameters: Mapping[str, Any]) -> Self:
        """Make a schedule from an estimator's parameters, of which it takes its own."""
        return cls(**{f.name: hyperparameters[f.name] for f in fields(cls)})

    def factors(self, fractions: np.ndarray) -> np.ndarray:
        """Return by what the rate of the epoch is multiplied at each of its steps.

        Parameters
        ----------
        fractions : ndarray of shape (n_steps,)
            How much of the training, ``max_iter`` epochs, is done before each
            step: 0 at the first, below 1.
        """
        return np.ones(fractions.size)

    def epoch_ends(self, rate: float, t: int) -> float:
        """Return the rate of the next epoch.

        Parameters
        ----------
        rate : float
            Rate of the epoch that ends, per step.
        t : int
            Training samples seen so far.
        """
        return rate

    def plateau(self, rate: float) -> tuple[float | None, str]:
        """Return the rate to go on with after training came to a plateau, and what to tell.

        None stops training.
        """
        return None, "Stopping."


def schedule_for(learning_rate: Any, hyperparameters: Mapping[str, Any]) -> Schedule:
    """Return the schedule that a user asked for."""
    return Schedule.table[learning_rate].start(hyperparameters)


@dataclass
class Constant(Schedule, name="constant"):
    """The rate stays as it is."""


@dataclass
class InverseScaling(Schedule, name="invscaling"):
    """The rate falls with the number t of samples seen.

    rate_t = learning_rate_init / (t + 1)**power_t, in force from the second
    epoch on; t counts samples, not steps: scikit-learn's own convention.
    """

    learning_rate_init: float
    power_t: float

    def factors(self, fractions: np.ndarray) -> np.ndarray:
        """Return by what the rate of the epoch is multiplied at each of its steps.

        Parameters
        ----------
        fractions : ndarray of shape (n_steps,)
            How much of the training, ``max_iter`` epochs, is done before each
            step: 0 at the first, below 1.
        """
        return np.ones(fractions.size)

    def epoch_ends(self, rate, t):
        """Return learning_rate_init / (t + 1)**power_t."""
        return float(self.learning_rate_init) / (t + 1) ** self.power_t


@dataclass
class Adaptive(Schedule, name="adaptive"):
    """The rate is divided by 5 at each plateau, and training stops once it is 1e-6 or less."""

    def plateau(self, rate):
        """Return a fifth of the rate, or None."""
        if rate <= 1e-6:
            return None, "Learning rate too small. Stopping."
        return rate / 5, f"Setting learning rate to {rate / 5:f}"
