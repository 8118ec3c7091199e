"""A multilayer perceptron's loss in plain NumPy: what the kernels are compared with."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_softmax, xlogy

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


def _log_loss(scores, y):
    return -log_softmax(scores, axis=1)[np.arange(len(y)), y[:, 0].astype(int)]


def _binary_log_loss(scores, y):
    # -log p and -log(1 - p) of p = 1 / (1 + exp(-z)), without ever forming p.
    return (y * np.logaddexp(0, -scores) + (1 - y) * np.logaddexp(0, scores)).sum(axis=1)


def _squared_error(scores, y):
    return ((scores - y) ** 2 / 2).mean(axis=1)


def _poisson(scores, y):
    return (xlogy(y, y) - y * scores - y + np.exp(scores)).sum(axis=1)


LOSSES = {
    "log_loss": _log_loss,
    "binary_log_loss": _binary_log_loss,
    "squared_error": _squared_error,
    "poisson": _poisson,
}


def scores(coefs, intercepts, X, activation):
    """Return the raw scores of a network."""
    f = ACTIVATIONS[activation]
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        X = f(X @ W + b)
    return X @ coefs[-1] + intercepts[-1]


def objective(coefs, intercepts, X, y, weights, activation, loss, alpha):
    """Return what training minimises over a batch."""
    value = weights @ LOSSES[loss](scores(coefs, intercepts, X, activation), y)
    penalty = alpha / 2 * sum((W**2).sum() for W in coefs)
    return (value + penalty) / weights.sum()
