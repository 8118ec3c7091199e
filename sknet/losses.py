"""Losses, each fused with its link. A new one is one class here.

A loss works on raw scores (the last layer before any output activation): on
raw scores its derivative is simple and nothing overflows. The exponentials of a
softmax are taken over all rows as one vector: a row is often shorter than a
vector register.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from sknet._functions import exp, flat, resolution, row
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
        scikit-learn's name of the inverse link.
    """

    public: ClassVar[str]
    targets: ClassVar[str]
    out_activation: ClassVar[str]

    @classmethod
    def find(cls, public: str, targets: str) -> type[Loss]:
        """Return the loss that a user's word means for targets of a kind."""
        return next(
            loss for loss in cls.table.values() if loss.public == public and loss.targets == targets
        )

    @classmethod
    def choices(cls, *targets: str) -> list[str]:
        """Return the words that users may ask with, for targets of such kinds."""
        return list(dict.fromkeys(v.public for v in cls.table.values() if v.targets in targets))

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return what `loss` and `link` get as their `settings`: none, unless it has parameters."""
        return []

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
        """Take the weighted loss of each row, in nats or squared units of y, and its derivative.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_outputs)
            Raw scores.
        targets : ndarray of shape (n_samples, n_outputs) or (n_samples, 1)
            Targets, of the class's kind.
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


class LogLoss(Loss, name="log_loss"):
    """Cross-entropy of one class among several, with the softmax as inverse link.

    p_k = exp(z_k) / sum_j exp(z_j), loss = -log(p_y), dloss/dz_k = p_k - [k = y].

    Inside the logarithm p is held in [eps, 1 - eps], eps being the spacing of
    the dtype at 1, as scikit-learn does.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning,
    equations 4.104, 4.108 and 4.109.
    """

    public = "log_loss"
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

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put -w log(p_y) into `values`, w (p - [k = y]) into `delta`."""
        eps = resolution(scores)
        for i in range(scores.shape[0]):
            z = row(scores, i)
            out = row(delta, i)
            top = z[0]
            for k in range(z.size):
                top = max(top, z[k])
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
            p = out[code] / total
            values[i] = -weights[i] * np.log(min(max(p, eps), 1 - eps))
            scale = weights[i] / total
            for k in range(out.size):
                out[k] *= scale
            out[code] = weights[i] * (p - 1)


class BinaryLogLoss(Loss, name="binary_log_loss"):
    """Cross-entropy of independent yes/no outputs, with the logistic inverse link.

    p = 1 / (1 + exp(-z)), loss = -y log(p) - (1 - y) log(1 - p), summed over
    outputs; dloss/dz = p - y. Inside the logarithms p is held in
    [eps, 1 - eps], as in :class:`LogLoss`.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning,
    equations 4.90 and 4.91.
    """

    public = "log_loss"
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

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Put w times both terms into `values`, w (p - y) into `delta`."""
        eps = resolution(scores)
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
            values[i] = weights[i] * value


class SquaredError(Loss, name="squared_error"):
    """Half the squared error, with the identity as link.

    loss = (z - y)**2 / 2, dloss/dz = z - y. With several outputs the value is
    their mean but the derivative that of their sum: scikit-learn does so, and
    the same model asks for the same step.
    """

    public = "squared_error"
    targets = "numbers"
    out_activation = "identity"

    @staticmethod
    def link(scores, settings):
        """Leave `scores` as they are."""

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


class Poisson(Loss, name="poisson"):
    """Half the Poisson deviance, with the exponential as inverse link.

    mu = exp(z), loss = y log(y / mu) - y + mu, dloss/dz = mu - y, summed over
    outputs; y log(y) is 0 at y = 0.

    References
    ----------
    McCullagh, P., Nelder, J. A. (1989). Generalized linear models, 2nd
    edition, table 2.1 and section 2.3.
    """

    public = "poisson"
    targets = "numbers"
    out_activation = "exp"

    @staticmethod
    def link(scores, settings):
        """Overwrite each score by its exponential."""
        for i in range(scores.shape[0]):
            z = row(scores, i)
            for k in range(z.size):
                z[k] = exp(z[k])

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
