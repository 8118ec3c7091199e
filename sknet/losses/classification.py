"""Losses of class labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sknet._engine.functions import exp, flat, machine_epsilon, row
from sknet.losses.base import WithIdentity, WithLogistic, WithSoftmax


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
        eps, smoothing = machine_epsilon(scores), settings[0]
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
        eps, smoothing = machine_epsilon(scores), settings[0]
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
    has_probabilities = False

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
    has_probabilities = False

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
