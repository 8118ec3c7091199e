"""Losses for numbers.

A new loss for regressors belongs here. It is one class, whose ``targets`` are 'numbers'. `base.py`
explains what each method receives and computes. It also has a base class for each inverse link.

In the formulas, z are raw scores, y are targets and w are sample weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sknet._engine.functions import difference, exp, row, tanh
from sknet.losses.base import Loss, WithExp, WithIdentity

# How to change the scale of targets that must not change their sign.
NOT_CENTRED = (
    "To scale y without centring it, use sklearn.preprocessing.StandardScaler(with_mean=False)."
)


class SquaredError(WithIdentity, name="squared_error"):
    """Half the squared error, which is minimised by the mean.

    loss = (z - y)**2 / 2, dloss/dz = z - y.

    This is the default for regressors. A few very large errors can dominate it; 'huber' or
    'absolute_error' limit their influence.

    With several outputs, the value is the mean over the outputs, but the derivative is that of the
    sum. Both follow scikit-learn, so that both packages train the same model.
    """

    public = "squared_error"
    targets = "numbers"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w (z - y)**2 / 2, averaged over outputs, to `values` and w (z - y) to `delta`."""
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                error = z[k] - y[k]
                value += np.float64(error) * error
                out[k] = weights[i] * error
            values[i] = weights[i] * value / (2 * z.size)


class AbsoluteError(WithIdentity, name="absolute_error"):
    """The absolute error, which is minimised by the median.

    loss = abs(z - y), dloss/dz = sign(z - y).

    Use it when some targets are far off and must not influence the predictions much.

    References
    ----------
    Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46, 33-50.
    """

    public = "absolute_error"
    targets = "numbers"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w abs(z - y) to `values` and w sign(z - y) to `delta`."""
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
                    out[k] = error  # 0 or NaN
            values[i] = weights[i] * value


class Huber(WithIdentity, name="huber"):
    """Huber loss: the squared error for small errors, and a linear one for large errors.

    e = z - y, loss = e**2 / 2 if abs(e) <= d, else d (abs(e) - d / 2);
    dloss/dz = min(max(e, -d), d).

    d is ``huber_delta`` > 0, in units of y. Use it when some targets are far off. Choose d as the
    largest error that is usual, so that larger ones count as outliers.

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of Mathematical
    Statistics 35, 73-101.
    """

    public = "huber"
    targets = "numbers"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return [d]."""
        return [float(hyperparameters["huber_delta"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w s (e - s / 2) to `values` and w s to `delta`, where s is e clipped to [-d, d]."""
        d, half = settings[0], scores.dtype.type(0.5)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                error = z[k] - y[k]
                slope = min(max(error, -d), d)
                value += np.float64(slope) * (error - half * slope)
                out[k] = weights[i] * slope
            values[i] = weights[i] * value


class Quantile(Loss, name="quantile"):
    """Pinball loss, which is minimised by a quantile.

    e = f - y, loss = (1 - tau) e if e > 0, else -tau e;
    dloss/df = 1 - tau if e > 0, -tau if e < 0, else 0.

    Use it for prediction intervals: with ``quantile=[0.1, 0.9]``, about 80 % of the targets should
    lie between the two predictions. f is the prediction of the quantile tau. The parameter
    ``quantile`` is one number tau in (0, 1) or a list of them. The loss of a row is the sum over
    quantiles and targets. The first columns of scores and predictions are the quantiles of the
    first target, in the order of ``quantile``. Those of the second target follow, and so on.

    By default f equals the score z, and a prediction may exceed that of a higher quantile. With
    ``non_crossing=True`` it cannot. The tau must then be given in increasing order, and f is a sum:

    f_1 = z_1, f_k = f_(k-1) + log(1 + exp(z_k)).

    References
    ----------
    Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46, 33-50.

    Park, Y., Maddix, D., Aubet, F.-X., Kan, K., Gasthaus, J., Wang, Y. (2022). Learning quantile
    functions without quantile crossing for distribution-free time series forecasting. AISTATS,
    arXiv:2111.06581 (incremental quantile functions).
    """

    public = "quantile"
    targets = "numbers"
    out_activation = "quantiles"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return ``non_crossing`` as 0 or 1, followed by the quantiles.

        Parameters
        ----------
        hyperparameters : mapping of str to object
            Parameters of an estimator: ``quantile`` and ``non_crossing``.

        Returns
        -------
        list of float
            Of length 1 + n_quantiles.

        Raises
        ------
        ValueError
            If ``quantile`` is not a number or a list of numbers in (0, 1), or if ``non_crossing``
            is true and the numbers do not increase.
        """
        quantile, rising = hyperparameters["quantile"], bool(hyperparameters["non_crossing"])
        try:
            taus = np.atleast_1d(np.array(quantile, dtype=np.float64))
        except (TypeError, ValueError):
            taus = np.array([])
        if taus.ndim != 1 or taus.size == 0 or not ((taus > 0) & (taus < 1)).all():
            raise ValueError(
                f"quantile={quantile!r} must be a number between 0 and 1, both excluded, or a "
                "list of such numbers, for example quantile=[0.1, 0.5, 0.9]."
            )
        if rising and (np.diff(taus) <= 0).any():
            raise ValueError(
                f"quantile={quantile!r} must increase strictly for non_crossing=True. Sort the "
                "quantiles and remove duplicates, or set non_crossing=False."
            )
        return [float(rising), *taus.tolist()]

    @classmethod
    def quantiles(cls, settings: Sequence[float]) -> list[float]:
        """Return all settings except the first, which is ``non_crossing``."""
        return [float(tau) for tau in settings[1:]]

    @classmethod
    def n_outputs(cls, n_targets: int, hyperparameters: Mapping[str, Any]) -> int:
        """Return the number of targets times the number of quantiles."""
        return n_targets * len(cls.quantiles(cls.settings(hyperparameters)))

    @staticmethod
    def link(scores, settings):
        """Overwrite the scores of each target with its predicted quantiles f."""
        n, zero = settings.size - 1, scores.dtype.type(0)
        if settings[0] > 0:
            for i in range(scores.shape[0]):
                z = row(scores, i)
                for k in range(z.size):
                    if k % n > 0:
                        z[k] = z[k - 1] + max(z[k], zero) + np.log1p(exp(-abs(z[k])))

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write the weighted sum of pinball losses to `values` and its derivative to `delta`."""
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
                    slope = error  # 0 or NaN
                value += slope * error
                out[k] = weights[i] * slope
            values[i] = weights[i] * value
            if is_rising:
                # A score contributes to its own quantile and to all later ones of its target.
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

    mu = exp(z), loss = y log(y / mu) - y + mu, dloss/dz = mu - y.

    Use it for counts or rates whose variance is about proportional to their mean. Targets must be
    >= 0. For y equal to 0, y log(y) is taken to be 0.

    References
    ----------
    McCullagh, P., Nelder, J. A. (1989). Generalized linear models, 2nd edition, table 2.1 and
    section 2.3.
    """

    public = "poisson"
    positive_targets = True

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write the weighted half deviance to `values` and w (mu - y) to `delta`.

        The deviance is computed in float64 as y (exp(t) - 1 - t) with t = z - log(y), or as
        mu - y - y t where exp(t) might overflow. The terms of the class's formula would cancel for
        large counts.
        """
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                mu, count = exp(np.float64(z[k])), np.float64(y[k])
                out[k] = weights[i] * (mu - count)
                if y[k] > 0:
                    t = difference(np.float64(z[k]), np.log(count))
                    if abs(t) < 1:
                        value += count * (np.expm1(t) - t)
                    else:
                        value += mu - count - count * t
                else:
                    value += mu
            values[i] = weights[i] * value

    @staticmethod
    def check_targets(y: np.ndarray) -> None:
        """Raise ValueError if `y` has a negative value."""
        if y.min() < 0:
            raise ValueError(
                f"y has negative values (the least is {y.min():g}), which are out of the valid "
                "range of the loss 'poisson': all y >= 0. Use loss='squared_error', or give "
                f"targets that are counts or rates. {NOT_CENTRED}"
            )


class Gamma(WithExp, name="gamma"):
    """Half the gamma deviance, with the exponential as inverse link.

    mu = exp(z), loss = y / mu - 1 - log(y / mu), dloss/dz = 1 - y / mu.

    Use it for positive numbers whose standard deviation is about proportional to their mean, such
    as durations or amounts of money. Targets must be > 0.

    References
    ----------
    McCullagh, P., Nelder, J. A. (1989). Generalized linear models, 2nd edition, table 2.1 and
    section 2.3.
    """

    public = "gamma"
    positive_targets = True

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write the weighted half deviance to `values` and w (1 - y / mu) to `delta`.

        They are computed in float64 as exp(t) - 1 - t and 1 - exp(t) with t = log(y) - z, since
        1 / mu might overflow where y / mu does not.
        """
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                t = difference(np.log(np.float64(y[k])), np.float64(z[k]))
                rest = np.expm1(t)
                out[k] = -weights[i] * rest
                value += rest - t
            values[i] = weights[i] * value

    @staticmethod
    def check_targets(y: np.ndarray) -> None:
        """Raise ValueError if `y` has a value that is not positive."""
        if y.min() <= 0:
            zeros = "loss='poisson', which accepts zeros, or " if y.min() == 0 else ""
            raise ValueError(
                f"y has values that are not positive (the least is {y.min():g}), which are out of "
                f"the valid range of the loss 'gamma': all y > 0. Use {zeros}"
                f"loss='squared_error'. {NOT_CENTRED}"
            )


class LogCosh(WithIdentity, name="log_cosh"):
    """Logarithm of the hyperbolic cosine of the error.

    e = z - y, loss = log(cosh(e)) = abs(e) + log(1 + exp(-2 abs(e))) - log(2),
    dloss/dz = tanh(e).

    The loss is close to e**2 / 2 for small errors and close to abs(e) - log(2) for large ones. Use
    it as a smooth form of the Huber loss. The transition is at errors of about 1 in units of y, so
    scale y first.

    References
    ----------
    Saleh, R. A., Saleh, A. K. M. E. (2022). Statistical properties of the log-cosh loss function
    used in machine learning. arXiv:2208.04564.
    """

    public = "log_cosh"
    targets = "numbers"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w log(cosh(e)) to `values` and w tanh(e) to `delta`.

        For small errors the loss is computed as -log(1 - tanh(e)**2) / 2, to avoid cancellation.
        """
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                error = z[k] - y[k]
                far, slope = abs(error), tanh(error)
                if far < 1:
                    value -= 0.5 * np.log1p(-slope * slope)
                else:
                    value += far + np.log1p(exp(-far - far)) - np.log(2.0)
                out[k] = weights[i] * slope
            values[i] = weights[i] * value
