"""Losses, each fused with its link. A new one is one class here.

A loss works on raw scores (the last layer before any output activation): on
raw scores its derivative is simple and nothing overflows.

Values are summed over outputs, unless a class says otherwise, and where a loss
has a kink its derivative there is taken as 0, which is a subgradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from sknet._functions import exp, flat, resolution, row, tanh
from sknet._parts import Part


class Loss(Part):
    """What training minimises, as a function of raw scores and targets.

    Attributes
    ----------
    public : str
        The value of the estimators' parameter ``loss`` that asks for it.
    targets : str
        What it takes: "codes" of classes, in one column; "indicators" 0 and 1,
        or "numbers", a column for each output.
    out_activation : str
        Name of the inverse link, scikit-learn's where it has one. Losses of
        the same name have the same link.
    """

    public: ClassVar[str]
    targets: ClassVar[str]
    out_activation: ClassVar[str]

    @classmethod
    def find(cls, public: str, targets: str) -> type[Loss]:
        """Return the loss that a user's word means for targets of a kind."""
        for loss in cls.table.values():
            if loss.public == public and loss.targets == targets:
                return loss
        raise ValueError(f"loss={public!r} is not for targets that are {targets}.")

    @classmethod
    def choices(cls, *targets: str) -> list[str]:
        """Return the words that users may ask with, for targets of such kinds."""
        return list(dict.fromkeys(v.public for v in cls.table.values() if v.targets in targets))

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return what `loss` and `link` get as their `settings`: none, unless it has parameters."""
        return []

    @classmethod
    def n_outputs(cls, n_targets: int, hyperparameters: Mapping[str, Any]) -> int:
        """Return how many scores it takes for so many columns of numbers: as many."""
        return n_targets

    @staticmethod
    def link(scores: np.ndarray, settings: np.ndarray) -> None:
        """Apply the inverse link.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_outputs)
            Raw scores, overwritten by predictions: probabilities or means.
        settings : ndarray of shape (n_settings,)
            The loss's parameters.
        """
        raise NotImplementedError

    @staticmethod
    def loss(
        scores: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        settings: np.ndarray,
        delta: np.ndarray,
        values: np.ndarray,
    ) -> None:
        """Take the weighted loss of each row, and its derivative.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_outputs)
            Raw scores.
        targets : ndarray of shape (n_samples, n_targets)
            Targets, of the class's kind: a single column of codes, else
            usually as many columns as there are scores.
        weights : ndarray of shape (n_samples,)
            Sample weights.
        settings : ndarray of shape (n_settings,)
            The loss's parameters.
        delta : ndarray of shape (n_samples, n_outputs)
            Overwritten by the derivative of the weighted loss by `scores`.
        values : ndarray of shape (n_samples,)
            Overwritten by the weighted loss; float64.
        """
        raise NotImplementedError

    @staticmethod
    def check_targets(y: np.ndarray) -> None:
        """Raise ValueError where `y` is outside the loss's domain."""


class WithSoftmax(Loss):
    """A loss of one class among several, with the softmax as inverse link.

    p_k = exp(z_k) / sum_j exp(z_j). The exponentials are taken over all rows as
    one vector, here and in :class:`LogLoss`: a row is often shorter than a
    vector register.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning,
    equation 4.104.
    """

    targets = "codes"
    out_activation = "softmax"

    @staticmethod
    def link(scores, settings):
        """Overwrite each row by its softmax."""
        for i in range(scores.shape[0]):
            z = row(scores, i)
            top = z[0]
            for k in range(z.size):
                top = max(top, z[k])
            for k in range(z.size):
                z[k] -= top
        every = flat(scores)
        for i in range(every.size):
            every[i] = exp(every[i])
        for i in range(scores.shape[0]):
            p = row(scores, i)
            total = p[0] - p[0]
            for k in range(p.size):
                total += p[k]
            for k in range(p.size):
                p[k] /= total


class WithLogistic(Loss):
    """A loss of independent yes/no outputs, with the logistic as inverse link.

    p = 1 / (1 + exp(-z)).
    """

    targets = "indicators"
    out_activation = "logistic"

    @staticmethod
    def link(scores, settings):
        """Overwrite each score by its logistic."""
        one = scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z = row(scores, i)
            for k in range(z.size):
                z[k] = one / (one + exp(-z[k]))


class WithIdentity(Loss):
    """A loss of the scores themselves."""

    out_activation = "identity"

    @staticmethod
    def link(scores, settings):
        """Leave `scores` as they are."""


class WithExp(Loss):
    """A loss of positive means, with the exponential as inverse link: mu = exp(z)."""

    targets = "numbers"
    out_activation = "exp"

    @staticmethod
    def link(scores, settings):
        """Overwrite each score by its exponential."""
        for i in range(scores.shape[0]):
            z = row(scores, i)
            for k in range(z.size):
                z[k] = exp(z[k])


class LogLoss(WithSoftmax, name="log_loss"):
    """Cross-entropy of one class among several, with the softmax as inverse link.

    p_k = exp(z_k) / sum_j exp(z_j), loss = -log(p_y), dloss/dz_k = p_k - [k = y].

    Inside the logarithm p is held in [eps, 1 - eps], eps being the spacing of
    the dtype at 1, as scikit-learn does.

    ``label_smoothing`` s moves that share of the target from the class to all K
    classes alike: t_k = (1 - s) [k = y] + s / K, loss = -sum_k t_k log(p_k),
    dloss/dz_k = p_k - t_k. The least loss is then the entropy of t, not 0.

    Notes
    -----
    Label smoothing is no sure way to calibrated probabilities: it makes every
    prediction less confident, whether it was overconfident or not. Of networks
    of 100 units that learnt 300 of scikit-learn's digits by heart (``alpha=0``),
    the mean expected calibration error on the other digits (15 bins, five
    seeds) was

    ===============  =====  =====  =====  =====  =====
    label_smoothing  0      0.02   0.05   0.1    0.2
    ===============  =====  =====  =====  =====  =====
    labels as given  0.029  0.052  0.098  0.157  0.250
    a fifth random   0.124  0.035  0.045  0.104  0.184
    ===============  =====  =====  =====  =====  =====

    while the accuracy on them rose by 0.01 at most (0.946 to 0.956 at 0.1).

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning,
    equations 4.104, 4.108 and 4.109.

    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J., Wojna, Z. (2016).
    Rethinking the Inception architecture for computer vision. CVPR, section 7.
    """

    public = "log_loss"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return s."""
        return [float(hyperparameters["label_smoothing"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put -w sum_k t_k log(p_k) into `values`, w (p - t) into `delta`."""
        eps, smoothing = resolution(scores), settings[0]
        for i in range(scores.shape[0]):
            z = row(scores, i)
            out = row(delta, i)
            top = z[0]
            for k in range(z.size):
                top = max(top, z[k])
            values[i] = top  # kept there until the row's loss is known
            for k in range(z.size):
                out[k] = z[k] - top
        every = flat(delta)
        for i in range(every.size):
            every[i] = exp(every[i])
        for i in range(scores.shape[0]):
            out = row(delta, i)
            total = out[0] - out[0]
            for k in range(out.size):
                total += out[k]
            code = int(targets[i, 0])
            p, top = out[code] / total, values[i]
            values[i] = -weights[i] * np.log(min(max(p, eps), 1 - eps))
            scale = weights[i] / total
            for k in range(out.size):
                out[k] *= scale
            out[code] = weights[i] * (p - 1)
            if smoothing > 0:
                # The mean of -log(p_k) = log(total) + top - z_k, which needs no bounds.
                z, mean = row(scores, i), 0.0
                for k in range(z.size):
                    mean += z[k]
                mean = np.log(total) + top - mean / z.size
                values[i] += smoothing * (weights[i] * mean - values[i])
                moved = smoothing * weights[i]
                for k in range(out.size):
                    out[k] -= moved / out.size
                out[code] += moved


class BinaryLogLoss(WithLogistic, name="binary_log_loss"):
    """Cross-entropy of independent yes/no outputs, with the logistic inverse link.

    p = 1 / (1 + exp(-z)), loss = -y log(p) - (1 - y) log(1 - p), summed over
    outputs; dloss/dz = p - y. Inside the logarithms p is held in
    [eps, 1 - eps], as in :class:`LogLoss`.

    With ``label_smoothing`` s the target (1 - s) y + s / 2 stands in place of y:
    :class:`LogLoss` of two classes.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning,
    equations 4.90 and 4.91.

    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J., Wojna, Z. (2016).
    Rethinking the Inception architecture for computer vision. CVPR, section 7.
    """

    public = "log_loss"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return s."""
        return [float(hyperparameters["label_smoothing"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w times both terms into `values`, w (p - target) into `delta`."""
        eps, smoothing = resolution(scores), settings[0]
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                p = 1.0 / (1.0 + exp(-z[k]))
                out[k] = weights[i] * (p - y[k])
                p = min(max(p, eps), 1 - eps)
                if y[k] > 0:
                    value -= y[k] * np.log(p)
                if y[k] < 1:
                    value -= (1 - y[k]) * np.log(1 - p)
            if smoothing > 0:
                # The mean of -log(p) and -log(1 - p), which needs no bounds.
                mean = 0.0
                for k in range(z.size):
                    far = abs(z[k])
                    mean += 0.5 * far + np.log1p(exp(-far))
                    out[k] += weights[i] * smoothing * (y[k] - 0.5)
                value += smoothing * (mean - value)
            values[i] = weights[i] * value


class Focal(WithSoftmax, name="focal"):
    """Cross-entropy that counts well-classified samples less, for several classes.

    loss = -(1 - p_y)**gamma log(p_y), gamma being ``focal_gamma``; with 0 it is
    the log-loss. dloss/dz_k = g (p_k - [k = y]) with
    g = q**gamma (1 - gamma p_y log(p_y) / q) and q = 1 - p_y.

    log(p_y) / q goes to -1 as q goes to 0; q is summed over the other classes,
    since 1 - p_y would lose its digits.

    References
    ----------
    Lin, T.-Y., Goyal, P., Girshick, R., He, K., Dollar, P. (2017). Focal loss
    for dense object detection. ICCV, equation 4.
    """

    public = "focal"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return gamma."""
        return [float(hyperparameters["focal_gamma"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put -w q**gamma log(p_y) into `values`, w g (p - [k = y]) into `delta`."""
        gamma, one, half = settings[0], scores.dtype.type(1), scores.dtype.type(0.5)
        for i in range(scores.shape[0]):
            z, out = row(scores, i), row(delta, i)
            code = int(targets[i, 0])
            top = z[0]
            for k in range(z.size):
                top = max(top, z[k])
            others = one - one
            for k in range(z.size):
                out[k] = exp(z[k] - top)
                others += out[k] if k != code else one - one
            total = others + out[code]
            p, q = out[code] / total, others / total
            log_p = np.log1p(-q) if q < half else z[code] - top - np.log(total)
            ratio = log_p / q if q > 0 else -one
            factor = q**gamma
            values[i] = -weights[i] * factor * log_p
            slope = weights[i] * factor * (one - gamma * p * ratio)
            for k in range(z.size):
                out[k] *= slope / total
            out[code] = -slope * q


class BinaryFocal(WithLogistic, name="binary_focal"):
    """Cross-entropy that counts well-classified outputs less, for yes/no outputs.

    With t = z where y is 1, t = -z where it is 0, p = 1 / (1 + exp(-t)) and
    q = 1 - p: loss = -q**gamma log(p), dloss/dt = -g q with the g of
    :class:`Focal`.

    References
    ----------
    Lin, T.-Y., Goyal, P., Girshick, R., He, K., Dollar, P. (2017). Focal loss
    for dense object detection. ICCV, equation 4.
    """

    public = "focal"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return gamma."""
        return [float(hyperparameters["focal_gamma"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put -w q**gamma log(p) into `values`, the derivative into `delta`."""
        gamma, zero, one = settings[0], scores.dtype.type(0), scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                sign = one if y[k] > 0 else -one
                t = sign * z[k]
                small = exp(-abs(t))
                log_p = min(t, zero) - np.log1p(small)
                p = (small if t < 0 else one) / (one + small)
                q = (one if t < 0 else small) / (one + small)
                ratio = log_p / q if q > 0 else -one
                factor = q**gamma
                value -= factor * log_p
                slope = weights[i] * factor * (one - gamma * p * ratio)
                out[k] = -sign * slope * q
            values[i] = weights[i] * value


class Brier(WithSoftmax, name="brier"):
    """Squared error of the probabilities of several classes.

    loss = sum_k (p_k - [k = y])**2, in [0, 2], without a factor of one half or
    a mean over classes: with r_k = p_k - [k = y],
    dloss/dz_k = 2 p_k (r_k - sum_j r_j p_j).

    References
    ----------
    Brier, G. W. (1950). Verification of forecasts expressed in terms of
    probability. Monthly Weather Review 78, 1-3, equation 2.
    """

    public = "squared_error"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w sum_k r_k**2 into `values`, its derivative into `delta`."""
        one = scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, p = row(scores, i), row(delta, i)
            code = int(targets[i, 0])
            top = z[0]
            for k in range(z.size):
                top = max(top, z[k])
            total = one - one
            for k in range(z.size):
                p[k] = exp(z[k] - top)
                total += p[k]
            value, mean = 0.0, one - one
            for k in range(z.size):
                p[k] /= total
                error = p[k] - one if k == code else p[k]
                value += error * error
                mean += error * p[k]
            values[i] = weights[i] * value
            scale = weights[i] + weights[i]
            for k in range(z.size):
                error = p[k] - one if k == code else p[k]
                p[k] *= scale * (error - mean)


class BinaryBrier(WithLogistic, name="binary_brier"):
    """Squared error of the probabilities of yes/no outputs.

    loss = (p - y)**2, in [0, 1] for each output: half of what :class:`Brier`
    says of the same two classes. dloss/dz = 2 (p - y) p (1 - p).

    References
    ----------
    Brier, G. W. (1950). Verification of forecasts expressed in terms of
    probability. Monthly Weather Review 78, 1-3.
    """

    public = "squared_error"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w (p - y)**2 into `values`, 2 w (p - y) p (1 - p) into `delta`."""
        one = scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value, scale = 0.0, weights[i] + weights[i]
            for k in range(z.size):
                small = exp(-abs(z[k]))
                p = (small if z[k] < 0 else one) / (one + small)
                error = p - y[k]
                value += error * error
                # p (1 - p) of the smaller of both, which has all its digits.
                out[k] = scale * error * small / ((one + small) * (one + small))
            values[i] = weights[i] * value


class Hinge(WithIdentity, name="hinge"):
    """How far a class's score falls short of leading all others by 1, for several classes.

    loss = max(0, 1 + max_{k != y} z_k - z_y). Where it is above 0 the
    derivative is -1 by z_y and 1 by the greatest other score, the first of
    equals; elsewhere, the kink included, it is 0. Scores are no
    log-probabilities, so there are no probabilities to predict.

    References
    ----------
    Crammer, K., Singer, Y. (2001). On the algorithmic implementation of
    multiclass kernel-based vector machines. JMLR 2, 265-292, section 3.
    """

    public = "hinge"
    targets = "codes"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w max(0, 1 + z_rival - z_y) into `values`, -w, w or 0 into `delta`."""
        zero, one = scores.dtype.type(0), scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, out = row(scores, i), row(delta, i)
            code = int(targets[i, 0])
            rival = 1 if code == 0 else 0
            for k in range(z.size):
                out[k] = zero
                # A NaN, once found, stays the greatest.
                is_greater = z[rival] == z[rival] and not z[k] <= z[rival]
                if k != code and is_greater:
                    rival = k
            margin = one + z[rival] - z[code]
            slope = weights[i] if margin > zero else zero
            if margin != margin:
                slope = margin
            values[i] = weights[i] * (zero if margin <= zero else margin)
            out[code] = -slope
            out[rival] = slope


class BinaryHinge(WithIdentity, name="binary_hinge"):
    """How far scores fall short of being 1 on their side of 0, for yes/no outputs.

    loss = max(0, 1 - t z) with t = 1 where y is 1 and t = -1 where it is 0.
    dloss/dz = -t where the loss is above 0, and 0 elsewhere, the kink included.

    References
    ----------
    Cortes, C., Vapnik, V. (1995). Support-vector networks. Machine Learning 20,
    273-297.
    """

    public = "hinge"
    targets = "indicators"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w max(0, 1 - t z) into `values`, -w t or 0 into `delta`."""
        zero, one = scores.dtype.type(0), scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                sign = one if y[k] > 0 else -one
                margin = one - sign * z[k]
                value += zero if margin <= zero else margin
                slope = -sign * weights[i] if margin > zero else zero
                out[k] = margin if margin != margin else slope
            values[i] = weights[i] * value


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
    def n_outputs(cls, n_targets: int, hyperparameters: Mapping[str, Any]) -> int:
        """Return the number of targets times that of quantiles."""
        return n_targets * (len(cls.settings(hyperparameters)) - 1)

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
