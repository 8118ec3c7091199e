"""Activations, losses and links in mpmath: what `test_precision.py` compares with.

Each formula stands as in the docstring of its part, evaluated with so many bits that cancellation
plays no role. Derivatives are differences of values, so no formula of a derivative is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from mpmath import mp, mpf

# Bits that numbers of the dtype need beside 1, and those of a difference quotient and its margin.
BITS = {np.dtype(np.float32): 126 + 200, np.dtype(np.float64): 1022 + 300}
# Relative truncation error: the square, far below the machine epsilon of float64.
STEP = mpf(2) ** -60

SELU_SCALE, SELU_ALPHA = mpf(1.0507009873554805), mpf(1.6732632423543772)


def logistic(z):
    return 1 / (1 + mp.exp(-z))


def softplus(z):
    return max(z, mpf(0)) + mp.log1p(mp.exp(-abs(z)))


def twice_u(z):
    """Return what GELU's exponential takes, cut where exp(-abs(u)) is far below all numbers."""
    z = min(max(z, mpf(-100)), mpf(100))
    return 2 * mp.sqrt(2 / mp.pi) * (z + mpf("0.044715") * z**3)


ACTIVATIONS: dict[str, Callable] = {
    "identity": lambda z: z,
    "logistic": logistic,
    "tanh": mp.tanh,
    "relu": lambda z: max(z, mpf(0)),
    "leaky_relu": lambda z: z if z > 0 else mpf("0.01") * z,
    "elu": lambda z: z if z > 0 else mp.expm1(z),
    "selu": lambda z: SELU_SCALE * (z if z > 0 else SELU_ALPHA * mp.expm1(z)),
    "gelu": lambda z: z * logistic(twice_u(z)),
    "silu": lambda z: z * logistic(z),
    "mish": lambda z: z * mp.tanh(softplus(z)),
    "softplus": softplus,
    "softsign": lambda z: z / (1 + abs(z)),
}


def slope(f: Callable, z):
    """Return f'(z), the central difference with a relative step."""
    h = STEP * min(abs(z), mpf(1))
    return (f(z + h) - f(z - h)) / (2 * h)


def softmax(z: Sequence) -> list:
    top = max(z)
    e = [mp.exp(x - top) for x in z]
    return [x / sum(e) for x in e]


def _log_loss(z, y, smoothing, eps=0):
    p = softmax(z)
    own = -mp.log(_clipped(p[int(y[0])], eps))
    return (1 - smoothing) * own - smoothing * sum(mp.log(x) for x in p) / len(p)


def _clipped(p, eps):
    return min(max(p, mpf(eps)), 1 - mpf(eps))


def _binary_log_loss(z, y, smoothing, eps=0):
    total = mpf(0)
    for x, t in zip(z, y, strict=True):
        p, even = logistic(x), (softplus(x) + softplus(-x)) / 2
        right = _clipped(p if t == 1 else 1 - p, eps)
        total += (1 - smoothing) * -mp.log(right) + smoothing * even
    return total


def _focal(z, y, gamma):
    p = softmax(z)
    own = int(y[0])
    return -(sum(p[:own] + p[own + 1 :]) ** gamma) * mp.log(p[own])


def _binary_focal(z, y, gamma):
    signed = [x if t == 1 else -x for x, t in zip(z, y, strict=True)]
    return sum(logistic(-x) ** gamma * softplus(-x) for x in signed)


def _brier(z, y):
    return sum((p - (k == int(y[0]))) ** 2 for k, p in enumerate(softmax(z)))


def _binary_brier(z, y):
    return sum((logistic(x) - t) ** 2 for x, t in zip(z, y, strict=True))


def _hinge(z, y):
    own = int(y[0])
    return max(mpf(0), 1 + max(z[:own] + z[own + 1 :]) - z[own])


def _binary_hinge(z, y):
    return sum(max(mpf(0), 1 - (2 * t - 1) * x) for x, t in zip(z, y, strict=True))


def _squared_error(z, y):
    return sum((x - t) ** 2 / 2 for x, t in zip(z, y, strict=True)) / len(z)


def _absolute_error(z, y):
    return sum(abs(x - t) for x, t in zip(z, y, strict=True))


def _huber(z, y, d):
    errors = [abs(x - t) for x, t in zip(z, y, strict=True)]
    return sum(e * e / 2 if e <= d else d * (e - d / 2) for e in errors)


def quantiles(z, non_crossing, *taus):
    """Return the predictions of all quantiles of all targets."""
    out = list(z)
    for k in range(len(out)):
        if non_crossing and k % len(taus):
            out[k] = out[k - 1] + softplus(z[k])
    return out


def _quantile(z, y, non_crossing, *taus):
    total = mpf(0)
    for k, f in enumerate(quantiles(z, non_crossing, *taus)):
        error, tau = f - y[k // len(taus)], taus[k % len(taus)]
        total += (1 - tau) * error if error > 0 else -tau * error
    return total


def _poisson(z, y):
    def deviance(x, t):
        return mp.exp(x) - t + (t * (mp.log(t) - x) if t > 0 else 0)

    return sum(deviance(x, t) for x, t in zip(z, y, strict=True))


def _gamma(z, y):
    return sum(t * mp.exp(-x) - 1 - mp.log(t) + x for x, t in zip(z, y, strict=True))


def _log_cosh(z, y):
    errors = [abs(x - t) for x, t in zip(z, y, strict=True)]
    return sum(e + mp.log1p(mp.exp(-2 * e)) - mp.log(2) for e in errors)


# Of the scores of a row, its targets, and the loss's settings.
LOSSES: dict[str, Callable] = {
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

# Of the scores of a row and the settings.
LINKS: dict[str, Callable] = {
    "softmax": lambda z: softmax(z),
    "logistic": lambda z: [logistic(x) for x in z],
    "identity": lambda z: z,
    "exp": lambda z: [mp.exp(x) for x in z],
    "quantiles": quantiles,
}


def loss_slope(loss: Callable, z: Sequence, k: int):
    """Return the derivative of `loss`, a function of a row's scores, by the k-th one."""
    h = STEP * min(abs(z[k]), mpf(1)) if z[k] else STEP
    ends = [loss([*z[:k], z[k] + step, *z[k + 1 :]]) for step in (h, -h)]
    return (ends[0] - ends[1]) / (2 * h)
