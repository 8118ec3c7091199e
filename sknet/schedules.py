"""Learning-rate schedules.

To add a schedule, define a named subclass of :class:`Schedule` or :class:`WithWarmup` in this
file. If it has hyperparameters, they are the fields of a dataclass.

A schedule can change the learning rate in three ways:

- At each step, by a factor that depends on the fraction of the training that is done. The whole
  training is ``max_iter`` epochs.
- At the end of each epoch.
- When training reaches a plateau, which is more than ``n_iter_no_change`` epochs in a row without
  progress. Most schedules stop training at the first plateau. With ``n_iter_no_change=inf`` there
  are no plateaus.

If ``warmup_fraction`` is positive, the learning rate first increases linearly from 0 over that
fraction of the training. This has no effect on functions. It has none on 'one_cycle' and 'coslog'
either, which increase the learning rate by themselves.
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
    """A rule by which the learning rate changes during training.

    Its dataclass fields are its hyperparameters. They are named like the estimators' parameters.

    Attributes
    ----------
    has_end : bool
        Whether the schedule is planned for exactly ``max_iter`` epochs. If it is, a training that
        reaches ``max_iter`` is complete, and there is no warning that it has not converged.
    """

    has_end: ClassVar[bool] = False

    @property
    def is_flat(self) -> bool:
        """Whether all factors are 1, so that they need not be computed for each epoch."""
        return type(self).factors is Schedule.factors

    @classmethod
    def start(cls, hyperparameters: Mapping[str, Any]) -> Self:
        """Create a schedule.

        Parameters
        ----------
        hyperparameters : mapping of str to object
            Parameters of an estimator. The schedule reads those that concern it.

        Returns
        -------
        Schedule
            The schedule at the start of training.
        """
        return cls(**{f.name: hyperparameters[f.name] for f in fields(cls)})

    def factors(self, fractions: np.ndarray) -> np.ndarray:
        """Return the factor of the epoch's learning rate at each step of the epoch.

        Parameters
        ----------
        fractions : ndarray of shape (n_steps,)
            Fraction of the training that is done before each step, in [0, 1). The whole training
            is ``max_iter`` epochs. The fraction of the first step is 0.

        Returns
        -------
        ndarray of shape (n_steps,)
            Factors >= 0.
        """
        return np.ones(fractions.size)

    def epoch_ends(self, rate: float, t: int) -> float:
        """Return the learning rate of the next epoch.

        Parameters
        ----------
        rate : float
            Learning rate of the epoch that ends, not yet multiplied by `factors`.
        t : int
            Number of training samples seen so far.

        Returns
        -------
        float
            Learning rate of the next epoch, not yet multiplied by `factors`.
        """
        return rate

    def plateau(self, rate: float) -> tuple[float | None, str]:
        """Return the learning rate to continue with after a plateau.

        Parameters
        ----------
        rate : float
            Current learning rate, not yet multiplied by `factors`.

        Returns
        -------
        rate : float or None
            New learning rate. None stops training.
        message : str
            What ``verbose`` prints about the plateau.
        """
        return None, "Stopping."


def schedule_for(
    learning_rate: str | Callable[[float], float], hyperparameters: Mapping[str, Any]
) -> Schedule:
    """Return the schedule for a value of the parameter ``learning_rate``.

    Parameters
    ----------
    learning_rate : str or callable
        Name of a schedule, or a function as described in :class:`Function`.
    hyperparameters : mapping of str to object
        Parameters of an estimator. The schedule reads those that concern it.

    Returns
    -------
    Schedule
        The schedule at the start of training.

    Raises
    ------
    ValueError
        If no schedule has the name.

    Examples
    --------
    >>> import numpy as np
    >>> from sknet.schedules import schedule_for
    >>> schedule_for("cosine", {"warmup_fraction": 0.0}).factors(np.array([0.0, 0.5]))
    array([1. , 0.5])
    """
    if callable(learning_rate):
        return Function(learning_rate)
    return Schedule.get(learning_rate).start(hyperparameters)


@dataclass
class WithWarmup(Schedule):
    """Base class of schedules that begin with a warm-up and never increase after it.

    factor = min(1, f / w) decay(max(0, f - w)).

    f is the fraction of the training that is done and w is ``warmup_fraction`` in [0, 1). If w is
    0, there is no warm-up. Otherwise the learning rate of the first step is 0, so that this step
    only updates the optimiser's slots.

    References
    ----------
    Goyal, P., Dollar, P., Girshick, R., et al. (2017). Accurate, large minibatch SGD: training
    ImageNet in 1 hour. arXiv:1706.02677, section 2.2 (gradual warm-up).
    """

    warmup_fraction: float

    @property
    def is_flat(self) -> bool:
        """Whether there is neither a warm-up nor a decay."""
        own = type(self)
        is_inherited = own.factors is WithWarmup.factors and own.decay is WithWarmup.decay
        return self.warmup_fraction == 0 and is_inherited

    def factors(self, fractions: np.ndarray) -> np.ndarray:
        """Return the factors of the warm-up times those of `decay`."""
        w = self.warmup_fraction
        rise = np.minimum(fractions, w) / w if w > 0 else 1.0
        return rise * self.decay(np.maximum(0, fractions - w))

    def decay(self, since: np.ndarray) -> np.ndarray:
        """Return the factor of the learning rate after the warm-up.

        Parameters
        ----------
        since : ndarray of shape (n_steps,)
            Fraction of the training between the end of the warm-up and each step; 0 during the
            warm-up.

        Returns
        -------
        ndarray of shape (n_steps,)
            Factors in [0, 1]. The factor at 0 must be 1.
        """
        return np.ones(since.size)


@dataclass
class Constant(WithWarmup, name="constant"):
    """The learning rate does not change.

    This is the default. 'cosine' or 'one_cycle' often reach a better model in the same number of
    epochs, because small steps at the end let the weights settle.
    """


@dataclass
class InverseScaling(WithWarmup, name="invscaling"):
    """The learning rate decreases with a power of the number of samples seen.

    rate_t = learning_rate_init / (t + 1)**power_t.

    The rate changes at the end of each epoch. As in scikit-learn, t is the number of training
    samples seen so far, and not the number of steps. The rate therefore falls very early: after
    10,000 samples it is a hundredth of ``learning_rate_init`` with the default ``power_t=0.5``.
    """

    learning_rate_init: float
    power_t: float

    def epoch_ends(self, rate: float, t: int) -> float:
        """Return learning_rate_init / (t + 1)**power_t, 0 where the power overflows."""
        try:
            return float(self.learning_rate_init) / (t + 1) ** self.power_t
        except OverflowError:
            return 0.0


@dataclass
class Adaptive(WithWarmup, name="adaptive"):
    """The learning rate is divided by 5 at each plateau.

    Training stops at a plateau whose learning rate is at most 1e-6. Use it when you do not know how
    many epochs training needs, and set a large ``max_iter``.
    """

    def plateau(self, rate: float) -> tuple[float | None, str]:
        """Return `rate` / 5, or None if `rate` is at most 1e-6."""
        if rate <= 1e-6:
            return None, "Learning rate too small. Stopping."
        return rate / 5, f"Setting learning rate to {rate / 5:f}"


def half_cosine(x: np.ndarray) -> np.ndarray:
    """Return (1 + cos(pi x)) / 2, which decreases from 1 at x = 0 to 0 at x = 1.

    Parameters
    ----------
    x : ndarray
        Numbers in [0, 1].

    Returns
    -------
    ndarray
        Of the same shape.
    """
    return (1 + np.cos(np.pi * x)) / 2


@dataclass
class Cosine(WithWarmup, name="cosine"):
    """The learning rate decreases along half a period of a cosine, to 0 at the end of training.

    factor = (1 + cos(pi s)) / 2.

    s increases linearly from 0 at the end of the warm-up to 1 at the end of training. There are no
    restarts. Use it when you know for how many epochs to train.

    References
    ----------
    Loshchilov, I., Hutter, F. (2017). SGDR: stochastic gradient descent with warm restarts. ICLR,
    arXiv:1608.03983, equation 5 with a minimum rate of 0.
    """

    has_end = True

    def decay(self, since: np.ndarray) -> np.ndarray:
        """Return (1 + cos(pi s)) / 2."""
        return half_cosine(since / (1 - self.warmup_fraction))


@dataclass
class Exponential(WithWarmup, name="exponential"):
    """The learning rate decreases exponentially, by a factor of ``decay_rate`` per epoch.

    factor = decay_rate**n.

    n is the number of epochs since the warm-up. It is not rounded to whole epochs, so the learning
    rate decreases at each step. ``decay_rate`` is in (0, 1].
    """

    max_iter: int
    decay_rate: float

    def decay(self, since: np.ndarray) -> np.ndarray:
        """Return decay_rate**n."""
        return self.decay_rate ** (since * self.max_iter)


@dataclass
class Step(WithWarmup, name="step"):
    """The learning rate is multiplied by ``decay_rate`` every ``decay_epochs`` epochs.

    factor = decay_rate**floor(n / decay_epochs).

    n is the number of epochs since the warm-up. ``decay_rate`` is in (0, 1]. Use it to repeat a
    training that was published with such steps.
    """

    max_iter: int
    decay_rate: float
    decay_epochs: int

    def decay(self, since: np.ndarray) -> np.ndarray:
        """Return decay_rate**floor(n / decay_epochs)."""
        # Where a period ends, rounding may give a quotient just below an integer. Adding 1e-9
        # corrects this. It cannot skip a step, since a step is longer than 1e-9 periods.
        periods = np.floor(since * self.max_iter / self.decay_epochs + 1e-9)
        return self.decay_rate**periods


@dataclass
class OneCycle(Schedule, name="one_cycle"):
    """The learning rate increases to ``learning_rate_init`` and then decreases to almost 0.

    factor = 1 - (1 - 1/25) c(f / 0.3) if f < 0.3,
    else 1/250000 + (1 - 1/250000) c((f - 0.3) / 0.7);
    c(x) = (1 + cos(pi x)) / 2.

    f is the fraction of the training that is done. Use it to reach a good model in few epochs, with
    a ``learning_rate_init`` of up to ten times that of 'constant'. The constants are the defaults
    of PyTorch's OneCycleLR. The paper changes the learning rate linearly, and varies the momentum
    in the opposite direction. Here the momentum is constant.

    References
    ----------
    Smith, L. N., Topin, N. (2018). Super-convergence: very fast training of neural networks using
    large learning rates. arXiv:1708.07120.
    """

    has_end = True
    rise: ClassVar[float] = 0.3
    first: ClassVar[float] = 1 / 25
    last: ClassVar[float] = 1 / 250000

    def factors(self, fractions: np.ndarray) -> np.ndarray:
        """Return the factors of the increase, then those of the decrease."""
        up = 1 - (1 - self.first) * half_cosine(fractions / self.rise)
        down = half_cosine((fractions - self.rise) / (1 - self.rise))
        return np.where(fractions < self.rise, up, self.last + (1 - self.last) * down)


@dataclass
class Coslog(Schedule, name="coslog"):
    """The learning rate goes through four cycles from 0 to ``learning_rate_init`` and back.

    factor = (1 - cos(2 pi log2(1 + 15 f))) / 2.

    f is the fraction of the training that is done. Each cycle is twice as long as the one before.
    The paper chose it for tabular data, with tuned learning rates.

    References
    ----------
    Holzmueller, D., Grinsztajn, L., Steinwart, I. (2024). Better by default: strong pre-tuned MLPs
    and boosted trees on tabular data. NeurIPS, arXiv:2407.04491 (coslog_4).
    """

    has_end = True

    def factors(self, fractions: np.ndarray) -> np.ndarray:
        """Return (1 - cos(2 pi log2(1 + 15 f))) / 2."""
        return (1 - np.cos(2 * np.pi * np.log2(1 + 15 * fractions))) / 2


@dataclass
class Function(Schedule):
    """A schedule that calls a function of the user.

    Attributes
    ----------
    function : callable
        It takes the fraction of the training that is done before a step, a float in [0, 1). It
        returns the factor of ``learning_rate_init``, a finite number >= 0.
    """

    has_end = True
    function: Callable[[float], float]

    def factors(self, fractions: np.ndarray) -> np.ndarray:
        """Return what the function returns for each fraction.

        Parameters
        ----------
        fractions : ndarray of shape (n_steps,)
            Fraction of the training that is done before each step.

        Returns
        -------
        ndarray of shape (n_steps,)
            Factors >= 0.

        Raises
        ------
        ValueError
            If the function returns anything but a finite number >= 0.
        """
        return np.array([self._factor(fraction) for fraction in fractions.tolist()])

    def _factor(self, fraction: float) -> float:
        value: Any = self.function(fraction)
        if not (isinstance(value, Real) and 0 <= float(value) < math.inf):
            raise ValueError(
                "learning_rate must return the factor of learning_rate_init, a finite number "
                f">= 0, for each fraction of the training in [0, 1). At {fraction} it returned "
                f"{value!r}."
            )
        return float(value)
