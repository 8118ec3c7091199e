"""Losses for class labels.

A new loss for classifiers belongs here. It usually consists of two Python classes that share their
``public`` name. The first is for multiclass problems, and its ``targets`` are 'codes'. The second
is for binary and multilabel problems, its ``targets`` are 'indicators', and its name begins with
``Binary``. `base.py` explains what each method receives and computes.

In the formulas, z are raw scores, p are probabilities, y are targets and w are sample weights.
[k = y] is 1 if k is the class of the sample, and 0 otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sknet._engine.functions import difference, exp, flat, machine_epsilon, row
from sknet.losses.base import WithIdentity, WithLogistic, WithSoftmax


class LogLoss(WithSoftmax, name="log_loss"):
    """Cross-entropy of one class among several, with softmax as inverse link.

    p_k = exp(z_k) / sum_j exp(z_j), loss = -log(p_y), dloss/dz_k = p_k - [k = y].

    This is the default for more than two classes. Its expectation is lowest at the true
    probabilities of the classes. The loss is in nats. As in scikit-learn, p is clipped to
    [eps, 1 - eps] inside the logarithm, where eps is the machine epsilon of the dtype.

    Label smoothing spreads a fraction s of the target evenly over all K classes, where s is
    ``label_smoothing`` in [0, 1). The smallest possible loss is then the entropy of t instead of 0:

    t_k = (1 - s) [k = y] + s / K, loss = -sum_k t_k log(p_k),
    dloss/dz_k = p_k - t_k.

    Notes
    -----
    Label smoothing does not always improve the calibration of probabilities. It makes every
    prediction less confident, even those that were not overconfident. It can help when some of the
    labels are wrong. As an example, networks with 100 hidden units and ``alpha=0`` were fitted to
    300 of scikit-learn's digits until they reproduced the labels. The table shows the expected
    calibration error on the other digits, with 15 bins, as a mean over five seeds. In the second
    row, 20 % of the labels were random.

    ===============  =====  =====  =====  =====  =====
    label_smoothing  0      0.02   0.05   0.1    0.2
    ===============  =====  =====  =====  =====  =====
    true labels      0.029  0.052  0.098  0.157  0.250
    20 % random      0.124  0.035  0.045  0.104  0.184
    ===============  =====  =====  =====  =====  =====

    The accuracy on the other digits increased by at most 0.01, from 0.946 to 0.956 with
    ``label_smoothing=0.1``.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning, equations 4.104, 4.108 and
    4.109.

    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J., Wojna, Z. (2016). Rethinking the Inception
    architecture for computer vision. CVPR, section 7.
    """

    public = "log_loss"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return [s]."""
        return [float(hyperparameters["label_smoothing"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write -w sum_k t_k log(p_k) to `values` and w (p - t) to `delta`.

        1 - p_y is computed as the sum of the other probabilities, to avoid cancellation.
        """
        eps, smoothing, zero = machine_epsilon(scores), settings[0], scores.dtype.type(0)
        for i in range(scores.shape[0]):
            z = row(scores, i)
            out = row(delta, i)
            top = z[0]
            for k in range(z.size):
                top = max(top, z[k])
            values[i] = top  # the loss of the row overwrites it below
            for k in range(z.size):
                out[k] = z[k] - top
        every = flat(delta)
        for i in range(every.size):
            every[i] = exp(every[i])
        for i in range(scores.shape[0]):
            out, code = row(delta, i), int(targets[i, 0])
            total, others = zero, zero
            for k in range(out.size):
                total += out[k]
                others += zero if k == code else out[k]
            p, top = out[code] / total, values[i]
            values[i] = -weights[i] * np.log(min(max(p, eps), 1 - eps))
            scale = weights[i] / total
            for k in range(out.size):
                out[k] *= scale
            out[code] = -others * scale
            if smoothing > 0:
                # The mean over k of -log(p_k) = log(total) + top - z_k, which needs no clipping.
                z, mean = row(scores, i), 0.0
                for k in range(z.size):
                    mean += (top - z[k]) / z.size
                mean += np.log(total)
                values[i] += smoothing * (weights[i] * mean - values[i])
                moved = smoothing * weights[i]
                for k in range(out.size):
                    out[k] -= moved / out.size
                out[code] += moved


class BinaryLogLoss(WithLogistic, name="binary_log_loss"):
    """Cross-entropy of independent binary outputs, with the logistic sigmoid as inverse link.

    p = 1 / (1 + exp(-z)), loss = -y log(p) - (1 - y) log(1 - p), dloss/dz = p - y.

    This is the default for two classes and for multilabel targets. As in :class:`LogLoss`, p is
    clipped to [eps, 1 - eps] inside the logarithms.

    Label smoothing replaces y by (1 - s) y + s / 2, where s is ``label_smoothing``. This agrees
    with :class:`LogLoss` for two classes.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning, equations 4.90 and 4.91.

    Szegedy, C., Vanhoucke, V., Ioffe, S., Shlens, J., Wojna, Z. (2016). Rethinking the Inception
    architecture for computer vision. CVPR, section 7.
    """

    public = "log_loss"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return [s]."""
        return [float(hyperparameters["label_smoothing"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write the weighted loss to `values` and w (p - y), with y smoothed, to `delta`."""
        eps, smoothing = machine_epsilon(scores), settings[0]
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value = 0.0
            for k in range(z.size):
                small = exp(-abs(z[k]))
                p = (small if z[k] < 0 else 1.0) / (1.0 + small)
                q = (1.0 if z[k] < 0 else small) / (1.0 + small)
                # p - y, without the cancellation of p - 1.
                out[k] = weights[i] * ((1 - y[k]) * p - y[k] * q)
                own = p if y[k] > 0 else q
                value -= np.log(min(max(own, eps), 1 - eps))
            if smoothing > 0:
                # The mean of -log(p) and -log(1 - p), which needs no clipping.
                mean = 0.0
                for k in range(z.size):
                    far = abs(z[k])
                    mean += 0.5 * far + np.log1p(exp(-far))
                    out[k] += weights[i] * smoothing * (y[k] - 0.5)
                value += smoothing * (mean - value)
            values[i] = weights[i] * value


class Focal(WithSoftmax, name="focal"):
    """Focal loss of one class among several: log-loss with less weight on easy samples.

    loss = -q**gamma log(p_y), q = 1 - p_y, dloss/dz_k = g (p_k - [k = y]),
    g = q**gamma (1 - gamma p_y log(p_y) / q).

    gamma is ``focal_gamma`` >= 0. The larger it is, the less a sample counts whose class already
    has a high probability. With gamma equal to 0, this is the log-loss. Use it when a large number
    of easy samples would otherwise dominate the loss, for example with a rare class. The
    probabilities then tend to be less confident than those of the log-loss.

    log(p_y) / q tends to -1 as q tends to 0. To avoid the cancellation of 1 - p_y, q is computed as
    the sum of the probabilities of the other classes.

    References
    ----------
    Lin, T.-Y., Goyal, P., Girshick, R., He, K., Dollar, P. (2017). Focal loss for dense object
    detection. ICCV, equation 4.
    """

    public = "focal"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return [gamma]."""
        return [float(hyperparameters["focal_gamma"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write -w q**gamma log(p_y) to `values` and w g (p_k - [k = y]) to `delta`."""
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
            log_p = np.log1p(-q) if q < half else difference(z[code], top) - np.log(total)
            ratio = log_p / q if q > 0 else -one
            factor = q**gamma
            values[i] = -np.float64(weights[i]) * factor * log_p
            slope = weights[i] * factor * (one - gamma * p * ratio)
            for k in range(z.size):
                out[k] *= slope / total
            out[code] = -slope * q


class BinaryFocal(WithLogistic, name="binary_focal"):
    """Focal loss of independent binary outputs: log-loss with less weight on easy samples.

    t = z if y = 1, else -z; p = 1 / (1 + exp(-t)), q = 1 - p,
    loss = -q**gamma log(p), dloss/dt = -g q.

    gamma, g and the use of this loss are those of :class:`Focal`, with p in place of p_y.

    References
    ----------
    Lin, T.-Y., Goyal, P., Girshick, R., He, K., Dollar, P. (2017). Focal loss for dense object
    detection. ICCV, equation 4.
    """

    public = "focal"

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return [gamma]."""
        return [float(hyperparameters["focal_gamma"])]

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write -w q**gamma log(p) to `values` and its derivative to `delta`."""
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
    """Brier score: the squared error of the probabilities of several classes.

    r_k = p_k - [k = y], loss = sum_k r_k**2, dloss/dz_k = 2 p_k (r_k - sum_j r_j p_j).

    The loss is in [0, 2]. It has neither a factor of 1/2 nor a mean over classes. Like the
    log-loss, it is lowest on average at the true probabilities. A confident mistake costs at most
    2, so use it when some labels may be wrong.

    References
    ----------
    Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly
    Weather Review 78, 1-3, equation 2.
    """

    public = "squared_error"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w sum_k r_k**2 to `values` and its derivative to `delta`.

        The derivative stays the same if the residual of the most probable class, r_best, is
        subtracted from every r_k. Nothing then cancels where this class is nearly certain. For this
        class, 1 - p is computed as the sum of the other probabilities.
        """
        zero, one = scores.dtype.type(0), scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, p = row(scores, i), row(delta, i)
            code = int(targets[i, 0])
            best = 0
            for k in range(z.size):
                best = k if z[k] > z[best] else best
            others = zero
            for k in range(z.size):
                p[k] = exp(z[k] - z[best])
                others += zero if k == best else p[k]
            total = p[best] + others  # NaN if the greatest score is infinite
            at_best = -others / total if best == code else one / total
            value, mean = 0.0, zero
            for k in range(z.size):
                p[k] /= total
                error = p[k] - one if k == code else p[k]
                error = at_best if k == best else error
                value += error * error
                mean += (error - at_best) * p[k]
            values[i] = weights[i] * value
            scale = weights[i] + weights[i]
            for k in range(z.size):
                error = p[k] - one if k == code else p[k]
                error = at_best if k == best else error
                p[k] *= scale * (difference(error, at_best) - mean)


class BinaryBrier(WithLogistic, name="binary_brier"):
    """Brier score of independent binary outputs: the squared error of their probabilities.

    loss = (p - y)**2, dloss/dz = 2 (p - y) p (1 - p).

    The loss of an output is in [0, 1], which is half of :class:`Brier` for the same two classes.
    Use it for the same reason.

    References
    ----------
    Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly
    Weather Review 78, 1-3.
    """

    public = "squared_error"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w (p - y)**2 to `values` and 2 w (p - y) p (1 - p) to `delta`."""
        one = scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, y, out = row(scores, i), row(targets, i), row(delta, i)
            value, scale = 0.0, weights[i] + weights[i]
            for k in range(z.size):
                small = exp(-abs(z[k]))
                p = (small if z[k] < 0 else one) / (one + small)
                q = (one if z[k] < 0 else small) / (one + small)
                # p - y, without the cancellation of p - 1.
                error = (one - y[k]) * p - y[k] * q
                value += error * error
                # p (1 - p) = small / (1 + small)**2, which avoids the cancellation of 1 - p.
                out[k] = scale * error * small / ((one + small) * (one + small))
            values[i] = weights[i] * value


class Hinge(WithIdentity, name="hinge"):
    """Hinge loss of one class among several, with a margin of 1.

    loss = max(0, 1 + max_{k != y} z_k - z_y).

    If the loss is positive, its derivative is -1 with respect to z_y, and 1 with respect to the
    greatest other score. If several are equal, the first of them counts. If the loss is 0, so is
    its derivative.

    Use it when only the predicted class matters, as with a linear support vector machine. Its
    scores are not log-probabilities, so there is no ``predict_proba``.

    References
    ----------
    Crammer, K., Singer, Y. (2001). On the algorithmic implementation of multiclass kernel-based
    vector machines. JMLR 2, 265-292, section 3.
    """

    public = "hinge"
    targets = "codes"
    has_probabilities = False

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w max(0, 1 + z_rival - z_y) to `values` and -w, w or 0 to `delta`.

        The rival is the class other than y with the greatest score.
        """
        zero, one = scores.dtype.type(0), scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z, out = row(scores, i), row(delta, i)
            code = int(targets[i, 0])
            rival = 1 if code == 0 else 0
            for k in range(z.size):
                out[k] = zero
                # NaN counts as greater than any number.
                is_greater = z[rival] == z[rival] and not z[k] <= z[rival]
                if k != code and is_greater:
                    rival = k
            margin = one + difference(z[rival], z[code])
            slope = weights[i] if margin > zero else zero
            if margin != margin:
                slope = margin
            values[i] = np.float64(weights[i]) * (zero if margin <= zero else margin)
            out[code] = -slope
            out[rival] = slope


class BinaryHinge(WithIdentity, name="binary_hinge"):
    """Hinge loss of independent binary outputs, with a margin of 1.

    t = 2 y - 1, loss = max(0, 1 - t z), dloss/dz = -t if loss > 0, else 0.

    Use it when only the predicted labels matter. There is no ``predict_proba``.

    References
    ----------
    Cortes, C., Vapnik, V. (1995). Support-vector networks. Machine Learning 20, 273-297.
    """

    public = "hinge"
    targets = "indicators"
    has_probabilities = False

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w max(0, 1 - t z) to `values` and -w t or 0 to `delta`."""
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
