"""Learning-rate schedules. A new one is one class here.

A schedule may change the rate at each step, by how much of the training is
done, at each end of an epoch, and where training comes to a plateau. "Training"
is ``max_iter`` epochs, even though most schedules let it stop at a plateau
before: ``n_iter_no_change=inf`` goes through all of them.

With ``warmup_fraction`` the rate first rises from 0, in proportion to the steps
taken; at 0 there is no warm-up. That goes for all schedules but 'one_cycle' and
'coslog', which rise by themselves, and functions, which say everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from sknet.parts import Part


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


def schedule_for(
    learning_rate: str | Callable[[float], float], hyperparameters: Mapping[str, Any]
) -> Schedule:
    """Return the schedule that a user asked for, by name or as a function."""
    if callable(learning_rate):
        return Function(learning_rate)
    return Schedule.get(learning_rate).start(hyperparameters)


@dataclass
class WithWarmup(Schedule):
    """Schedules that begin with a warm-up, and fall after it.

    The factor at a fraction f of the training is min(1, f / ``warmup_fraction``)
    times `decay` of what came after the warm-up. The first step has the rate 0:
    it feeds the optimiser's moments only.

    References
    ----------
    Goyal, P., Dollar, P., Girshick, R., et al. (2017). Accurate, large
    minibatch SGD: training ImageNet in 1 hour. arXiv:1706.02677, section 2.2
    (gradual warm-up).
    """

    warmup_fraction: float

    def factors(self, fractions):
        """Return the warm-up's factors times those of `decay`."""
        w = self.warmup_fraction
        rise = np.minimum(fractions, w) / w if w > 0 else 1.0
        return rise * self.decay(np.maximum(0, fractions - w))

    def decay(self, since: np.ndarray) -> np.ndarray:
        """Return by what the rate is multiplied so long after the warm-up.

        Parameters
        ----------
        since : ndarray of shape (n_steps,)
            How much of the training came between the end of the warm-up and
            each step; 0 during the warm-up, where this must return 1.
        """
        return np.ones(since.size)


@dataclass
class Constant(WithWarmup, name="constant"):
    """The rate stays as it is."""


@dataclass
class InverseScaling(WithWarmup, name="invscaling"):
    """The rate falls with the number t of samples seen.

    rate_t = learning_rate_init / (t + 1)**power_t, in force from the second
    epoch on; t counts samples, not steps: scikit-learn's own convention.
    """

    learning_rate_init: float
    power_t: float

    def epoch_ends(self, rate, t):
        """Return learning_rate_init / (t + 1)**power_t."""
        return float(self.learning_rate_init) / (t + 1) ** self.power_t


@dataclass
class Adaptive(WithWarmup, name="adaptive"):
    """The rate is divided by 5 at each plateau, and training stops once it is 1e-6 or less."""

    def plateau(self, rate):
        """Return a fifth of the rate, or None."""
        if rate <= 1e-6:
            return None, "Learning rate too small. Stopping."
        return rate / 5, f"Setting learning rate to {rate / 5:f}"


def half_cosine(x: np.ndarray) -> np.ndarray:
    """Return (1 + cos(pi x)) / 2, which falls from 1 at 0 to 0 at 1, level at both ends."""
    return (1 + np.cos(np.pi * x)) / 2


@dataclass
class Cosine(WithWarmup, name="cosine"):
    """The rate falls along half a cosine, to 0 at the end of training.

    factor = (1 + cos(pi s)) / 2, where s goes from 0 at the end of the
    warm-up to 1 at the end of training: one cycle, without restarts.

    References
    ----------
    Loshchilov, I., Hutter, F. (2017). SGDR: stochastic gradient descent with
    warm restarts. ICLR, arXiv:1608.03983, equation 5 with a least rate of 0.
    """

    def decay(self, since):
        """Return (1 + cos(pi s)) / 2."""
        return half_cosine(since / (1 - self.warmup_fraction))


@dataclass
class Exponential(WithWarmup, name="exponential"):
    """The rate falls by the same factor in every epoch, a little at each step.

    factor = decay_rate**n, n being the epochs since the warm-up, parts
    of epochs included.
    """

    max_iter: int
    decay_rate: float

    def decay(self, since):
        """Return decay_rate**n."""
        return self.decay_rate ** (since * self.max_iter)


@dataclass
class Step(WithWarmup, name="step"):
    """The rate falls every ``decay_epochs`` epochs, and stays in between.

    factor = decay_rate**floor(n / decay_epochs), n being the epochs
    since the warm-up.
    """

    max_iter: int
    decay_rate: float
    decay_epochs: int

    def decay(self, since):
        """Return decay_rate**floor(n / decay_epochs)."""
        # Rounding may leave a whole number just below itself. Steps are further apart
        # than 1e-9 periods.
        periods = np.floor(since * self.max_iter / self.decay_epochs + 1e-9)
        return self.decay_rate**periods


@dataclass
class OneCycle(Schedule, name="one_cycle"):
    """The rate rises to ``learning_rate_init`` and falls to next to nothing.

    With c(x) = (1 + cos(pi x)) / 2 and f the fraction of the training, the
    factor is 1 - (1 - 1/25) c(f / 0.3) up to f = 0.3, then
    1/250000 + (1 - 1/250000) c((f - 0.3) / 0.7).

    The paper has straight lines and turns momentum the other way round; this is
    the form with half cosines, with the shares of PyTorch's OneCycleLR, and
    momentum as it is.

    References
    ----------
    Smith, L. N., Topin, N. (2018). Super-convergence: very fast training of
    neural networks using large learning rates. arXiv:1708.07120.
    """

    rise: ClassVar[float] = 0.3
    first: ClassVar[float] = 1 / 25
    last: ClassVar[float] = 1 / 250000

    def factors(self, fractions):
        """Return both half cosines, one after the other."""
        up = 1 - (1 - self.first) * half_cosine(fractions / self.rise)
        down = half_cosine((fractions - self.rise) / (1 - self.rise))
        return np.where(fractions < self.rise, up, self.last + (1 - self.last) * down)


@dataclass
class Coslog(Schedule, name="coslog"):
    """The rate goes from 0 to its full height and back four times, each time twice as long.

    factor = (1 - cos(2 pi log2(1 + 15 f))) / 2, f being the fraction of
    the training.

    References
    ----------
    Holzmueller, D., Grinsztajn, L., Steinwart, I. (2024). Better by default:
    strong pre-tuned MLPs and boosted trees on tabular data. NeurIPS,
    arXiv:2407.04491 (coslog_4).
    """

    def factors(self, fractions):
        """Return (1 - cos(2 pi log2(1 + 15 f))) / 2."""
        return (1 - np.cos(2 * np.pi * np.log2(1 + 15 * fractions))) / 2


@dataclass
class Function(Schedule):
    """A user's function of the fraction of the training that is done.

    It takes a float from 0 at the first step to just below 1, and returns by
    what ``learning_rate_init`` is multiplied: a finite number >= 0.
    """

    function: Callable[[float], float]

    def factors(self, fractions):
        """Return what the function says of each fraction.

        Raises
        ------
        ValueError
            If that is no finite number >= 0.
        """
        return np.array([self._factor(fraction) for fraction in fractions.tolist()])

    def _factor(self, fraction: float) -> float:
        value: Any = self.function(fraction)
        if not (isinstance(value, Real) and 0 <= float(value) < math.inf):
            raise ValueError(
                "learning_rate must return by what learning_rate_init is multiplied, a finite "
                f"number >= 0, for each fraction of the training from 0 to 1. At {fraction} it "
                f"returned {value!r}."
            )
        return float(value)
