"""Losses of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sknet._engine.functions import exp, row, tanh
from sknet.losses.base import Loss, WithExp, WithIdentity


class SquaredError(WithIdentity, name="squared_error"):
    """Half the squared error, with the identity as link.

    loss = (z - y)**2 / 2, dloss/dz = z - y. With several outputs the value is
    their mean but the derivative that of their sum: scikit-learn does so, and
    the same model asks for the same step.
    """

    public = "squared_error"
    targets = "numbers"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w (z - y)**2 / 2, the mean over outputs, into `values`, w (z - y) into `delta`."""
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                error = z[k] - y[k]
                value += error * error
                out[k] = weights[i] * error
            values[i] = weights[i] * value / (2 * z.size)


class AbsoluteError(WithIdentity, name="absolute_error"):
    """The absolute error, whose best constant is the median.

    loss = abs(z - y), dloss/dz = sign(z - y), 0 at z = y.

    References
    ----------
    Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46,
    33-50.
    """

    public = "absolute_error"
    targets = "numbers"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w abs(z - y) into `values`, w sign(z - y) into `delta`."""
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                error = z[k] - y[k]
                value += abs(error)
                if error > 0:
                    out[k] = weights[i]
                elif error < 0:
                    out[k] = -weights[i]
                else:
                    out[k] = error  # 0, or NaN
            values[i] = weights[i] * value


class Huber(WithIdentity, name="huber"):
    """Half the squared error near 0, the absolute error times d far away.

    With e = z - y and d = ``huber_delta``, in units of y:
    loss = e**2 / 2 where abs(e) <= d, else d (abs(e) - d / 2);
    dloss/dz = e held in [-d, d].

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of
    Mathematical Statistics 35, 73-101.
    """

    public = "huber"
    targets = "numbers"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return d."""
        return [float(hyperparameters["huber_delta"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w s (e - s / 2) into `values` and w s into `delta`, s being e held in [-d, d]."""
        d, half = settings[0], scores.dtype.type(0.5)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                error = z[k] - y[k]
                slope = min(max(error, -d), d)
                value += slope * (error - half * slope)
                out[k] = weights[i] * slope
            values[i] = weights[i] * value


class Quantile(Loss, name="quantile"):
    """Pinball loss, whose best constants are quantiles; for one quantile or several.

    For the quantile tau, with e = f - y: loss = (1 - tau) e where e > 0, else
    -tau e; dloss/df = 1 - tau where e > 0, -tau where e < 0, and 0 at e = 0.
    It is summed over quantiles and targets. ``quantile`` gives one tau or
    several; columns of scores and predictions are the first target's quantiles
    in the order given, then the second target's, and so on.

    f = z, unless ``non_crossing`` is set. Then quantiles are given in rising
    order, and what is predicted of a target is f_1 = z_1,
    f_k = f_(k-1) + log(1 + exp(z_k)): no quantile can be below the one before.

    References
    ----------
    Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46,
    33-50.

    Park, Y., Maddix, D., Aubet, F.-X., Kan, K., Gasthaus, J., Wang, Y. (2022).
    Learning quantile functions without quantile crossing for distribution-free
    time series forecasting. AISTATS, arXiv:2111.06581 (incremental quantiles:
    sums of increments that are not negative).
    """

    public = "quantile"
    targets = "numbers"
    out_activation = "quantiles"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return whether quantiles may not cross, as 0 or 1, and the quantiles.

        Raises
        ------
        ValueError
            If `quantile` is not a number or a list of numbers in (0, 1), in
            rising order where `non_crossing` asks for it.
        """
        quantile, rising = hyperparameters["quantile"], bool(hyperparameters["non_crossing"])
        try:
            taus = np.atleast_1d(np.array(quantile, dtype=np.float64))
        except (TypeError, ValueError):
            taus = np.empty(0)
        if taus.ndim != 1 or taus.size == 0 or not ((taus > 0) & (taus < 1)).all():
            raise ValueError(
                f"quantile={quantile!r} must be a number between 0 and 1, or a list of such "
                "numbers, for example quantile=[0.1, 0.5, 0.9]."
            )
        if rising and (np.diff(taus) <= 0).any():
            raise ValueError(
                f"quantile={quantile!r} must rise from each to the next for non_crossing=True. "
                "Sort them and leave out duplicates, or set non_crossing=False."
            )
        return [float(rising), *taus.tolist()]

    @classmethod
    def quantiles(cls, settings: Sequence[float]) -> list[float]:
        """Return all settings but the first, which is ``non_crossing``."""
        return [float(tau) for tau in settings[1:]]

    @classmethod
    def n_outputs(cls, n_targets: int, hyperparameters: Mapping[str, Any]) -> int:
        """Return the number of targets times the number of quantiles."""
        return n_targets * len(cls.quantiles(cls.settings(hyperparameters)))

    @staticmethod
    def link(scores, settings):
        """Overwrite each target's scores by its quantiles."""
        n, zero = settings.size - 1, scores.dtype.type(0)
        if settings[0] > 0:
            for i in range(scores.shape[0]):
                z = row(scores, i)
                for k in range(z.size):
                    if k % n > 0:
                        z[k] = z[k - 1] + max(z[k], zero) + np.log1p(exp(-abs(z[k])))

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w times the sum of pinball losses into `values`, its derivative into `delta`."""
        n, is_rising = settings.size - 1, settings[0] > 0
        zero, one = scores.dtype.type(0), scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            f = zero
            for k in range(z.size):
                if is_rising and k % n > 0:
                    f += max(z[k], zero) + np.log1p(exp(-abs(z[k])))
                else:
                    f = z[k]
                error, tau = f - y[k // n], settings[1 + k % n]
                if error > 0:
                    slope = one - tau
                elif error < 0:
                    slope = -tau
                else:
                    slope = error  # 0, or NaN
                value += slope * error
                out[k] = weights[i] * slope
            values[i] = weights[i] * value
            if is_rising:
                # A score moves its own quantile and all that follow.
                following = zero
                for back in range(z.size):
                    k = z.size - 1 - back
                    following += out[k]
                    if k % n > 0:
                        out[k] = following / (one + exp(-z[k]))
                    else:
                        out[k] = following
                        following = zero


class Poisson(WithExp, name="poisson"):
    """Half the Poisson deviance, with the exponential as inverse link.

    mu = exp(z), loss = y log(y / mu) - y + mu, dloss/dz = mu - y, summed over
    outputs; y log(y) is 0 at y = 0.

    References
    ----------
    McCullagh, P., Nelder, J. A. (1989). Generalized linear models, 2nd
    edition, table 2.1 and section 2.3.
    """

    public = "poisson"
    positive_targets = True

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w times the half deviance into `values`, w (mu - y) into `delta`."""
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                mu = exp(z[k])
                out[k] = weights[i] * (mu - y[k])
                value += mu - y[k]
                if y[k] > 0:
                    value += y[k] * (np.log(y[k]) - z[k])
            values[i] = weights[i] * value

    @staticmethod
    def check_targets(y):
        """Raise ValueError where `y` has a negative value."""
        if y.min() < 0:
            raise ValueError(
                f"y has negative values (the least is {y.min():g}), which are out of the valid "
                "range of the loss 'poisson': all y >= 0. Use loss='squared_error', or model "
                "counts or rates."
            )


class Gamma(WithExp, name="gamma"):
    """Half the gamma deviance, with the exponential as inverse link.

    mu = exp(z), loss = y / mu - 1 - log(y / mu), dloss/dz = 1 - y / mu.

    References
    ----------
    McCullagh, P., Nelder, J. A. (1989). Generalized linear models, 2nd
    edition, table 2.1 and section 2.3.
    """

    public = "gamma"
    positive_targets = True

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w times the half deviance into `values`, w (1 - y / mu) into `delta`."""
        one = scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                ratio = y[k] * exp(-z[k])
                out[k] = weights[i] * (one - ratio)
                value += ratio - one + z[k] - np.log(y[k])
            values[i] = weights[i] * value

    @staticmethod
    def check_targets(y):
        """Raise ValueError where `y` has a value that is not positive."""
        if y.min() <= 0:
            raise ValueError(
                f"y has values that are not positive (the least is {y.min():g}), which are out of "
                "the valid range of the loss 'gamma': all y > 0. Use loss='poisson', which takes "
                "zeros, or loss='squared_error'."
            )


class LogCosh(WithIdentity, name="log_cosh"):
    """Logarithm of the hyperbolic cosine: half the squared error near 0, the absolute one far away.

    With e = z - y: loss = log(cosh(e)) = abs(e) + log(1 + exp(-2 abs(e))) - log(2),
    dloss/dz = tanh(e). It bends at errors around 1 unit of y: scale y to suit.

    References
    ----------
    Saleh, R. A., Saleh, A. K. M. E. (2022). Statistical properties of the
    log-cosh loss function used in machine learning. arXiv:2208.04564.
    """

    public = "log_cosh"
    targets = "numbers"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w log(cosh(e)) into `values`, w tanh(e) into `delta`."""
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                error = z[k] - y[k]
                far = abs(error)
                value += far + np.log1p(exp(-far - far)) - np.log(2.0)
                out[k] = weights[i] * tanh(error)
            values[i] = weights[i] * value
