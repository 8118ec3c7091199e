"""A multilayer perceptron's loss in plain NumPy: what the kernels are compared with."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, huber, log_softmax, softmax, xlogy

ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: (
        1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(np.minimum(z, 0)))
    ),
    "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z * expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "softplus": lambda z: np.logaddexp(0, z),
    "softsign": lambda z: z / (1 + np.abs(z)),
}


def _one_hot(scores, y):
    return np.eye(scores.shape[1])[y[:, 0].astype(int)]


def _log_loss(scores, y, smoothing):
    targets = (1 - smoothing) * _one_hot(scores, y) + smoothing / scores.shape[1]
    return -(targets * log_softmax(scores, axis=1)).sum(axis=1)


def _binary_log_loss(scores, y, smoothing):
    # -log p and -log(1 - p) of p = 1 / (1 + exp(-z)), without ever forming p.
    y = (1 - smoothing) * y + smoothing / 2
    return (y * np.logaddexp(0, -scores) + (1 - y) * np.logaddexp(0, scores)).sum(axis=1)


def _focal(scores, y, gamma):
    log_p = (_one_hot(scores, y) * log_softmax(scores, axis=1)).sum(axis=1)
    return -((-np.expm1(log_p)) ** gamma) * log_p


def _binary_focal(scores, y, gamma):
    log_p = -np.logaddexp(0, np.where(y == 1, -scores, scores))
    return (-((-np.expm1(log_p)) ** gamma) * log_p).sum(axis=1)


def _brier(scores, y):
    return ((softmax(scores, axis=1) - _one_hot(scores, y)) ** 2).sum(axis=1)


def _binary_brier(scores, y):
    return ((expit(scores) - y) ** 2).sum(axis=1)


def _hinge(scores, y):
    is_own = _one_hot(scores, y) == 1
    return np.maximum(0, 1 + np.where(is_own, -np.inf, scores).max(axis=1) - scores[is_own])


def _binary_hinge(scores, y):
    return np.maximum(0, 1 - (2 * y - 1) * scores).sum(axis=1)


def _squared_error(scores, y):
    return ((scores - y) ** 2 / 2).mean(axis=1)


def _absolute_error(scores, y):
    return np.abs(scores - y).sum(axis=1)


def _huber(scores, y, delta):
    return huber(delta, scores - y).sum(axis=1)


def quantiles(scores, non_crossing, *taus):
    """Return predicted quantiles, of shape (n_samples, n_targets, n_quantiles)."""
    scores = scores.reshape(len(scores), -1, len(taus))
    if not non_crossing:
        return scores
    steps = np.concatenate([scores[..., :1], np.logaddexp(0, scores[..., 1:])], axis=2)
    return steps.cumsum(axis=2)


def _quantile(scores, y, non_crossing, *taus):
    error = y[:, :, None] - quantiles(scores, non_crossing, *taus)
    taus = np.array(taus)
    return np.maximum(taus * error, (taus - 1) * error).sum(axis=(1, 2))


def _poisson(scores, y):
    return (xlogy(y, y) - y * scores - y + np.exp(scores)).sum(axis=1)


def _gamma(scores, y):
    return (scores - np.log(y) + y / np.exp(scores) - 1).sum(axis=1)


def _log_cosh(scores, y):
    return np.log(np.cosh(scores - y)).sum(axis=1)


# Of scores, targets, and the numbers that are the loss's settings.
LOSSES = {
    "log_loss": _log_loss,
    "binary_log_loss": _binary_log_loss,
    "focal": _focal,
    "binary_focal": _binary_focal,
    "brier": _brier,
    "binary_brier": _binary_brier,
    "hinge": _hinge,
    "binary_hinge": _binary_hinge,
    "squared_error": _squared_error,
    "absolute_error": _absolute_error,
    "huber": _huber,
    "quantile": _quantile,
    "poisson": _poisson,
    "gamma": _gamma,
    "log_cosh": _log_cosh,
}


def scores(coefs, intercepts, X, activation):
    """Return the raw scores of a network."""
    f = ACTIVATIONS[activation]
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        X = f(X @ W + b)
    return X @ coefs[-1] + intercepts[-1]


def objective(coefs, intercepts, X, y, weights, activation, loss, settings, alpha):
    """Return what training minimises over a batch."""
    value = weights @ LOSSES[loss](scores(coefs, intercepts, X, activation), y, *settings)
    penalty = alpha / 2 * sum((W**2).sum() for W in coefs)
    return (value + penalty) / weights.sum()
