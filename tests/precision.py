"""The stated errors of activations, losses and links, and how they are measured.

An error is in units of the machine epsilon times a scale. The scale is the exact result unless
another one is stated, and one unit is then one to two units in the last place. Below the smallest
normal number errors are absolute: processors may flush such numbers to zero, and what depends on
them.

The bounds add up the errors of the operations. A sum, difference, product or rounded constant
contributes 1/2, and a quotient 1, since it may be the product with a rounded reciprocal. exp
contributes 1.5 and tanh 2.5 (`test_functions.py`), functions of the C library 1.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import exact
import numpy as np
from mpmath import mp, mpf

from sknet._engine.program import Program, run_program
from sknet.activations import Activation
from sknet.losses import Loss

# Random points are as many times as dense. The nightly run has 50.
DENSITY = int(os.environ.get("SKNET_PRECISION_DENSITY", "1"))

TAUS = [0.1, 0.5, 0.9]
SMOOTHINGS = [{"label_smoothing": 0.0}, {"label_smoothing": 0.1}]
GAMMAS = [{"focal_gamma": 0.0}, {"focal_gamma": 0.5}, {"focal_gamma": 2.0}]
HYPERPARAMETERS: dict[str, list[dict[str, Any]]] = {
    "log_loss": SMOOTHINGS,
    "binary_log_loss": SMOOTHINGS,
    "focal": GAMMAS,
    "binary_focal": GAMMAS,
    "huber": [{"huber_delta": 0.8}, {"huber_delta": 1e30}],
    "quantile": [{"quantile": TAUS, "non_crossing": rising} for rising in (False, True)],
}


class Place(NamedTuple):
    """What a scale depends on: the exact result of weight 1, and what it is the result of."""

    exact: Any
    z: list[Any]
    y: list[Any]
    k: int = 0


def _log(place: Place) -> Any:
    """Softmax takes exp of a difference of scores, whose relative error grows with its size."""
    return abs(place.exact) * (1 + abs(mp.log(abs(place.exact)))) if place.exact else mpf(0)


def _gelu(place: Place) -> Any:
    return abs(place.exact) * (1 + abs(exact.twice_u(place.z[0])))


def _brier(place: Place) -> Any:
    p, own = exact.softmax(place.z), int(place.y[0])
    residuals = [x - (j == own) for j, x in enumerate(p)]
    below = [max(place.z) - x for x in place.z]
    top = below.index(0)
    r = [abs(x - residuals[top]) for x in residuals]
    terms = r[place.k] + sum(p[j] * r[j] * (1 + below[j]) for j in range(len(p)))
    return 2 * p[place.k] * terms * (1 + below[place.k])


def _poisson(place: Place) -> Any:
    (z,), (y,) = place.z, place.y
    if y == 0:
        return mp.exp(z)
    t = z - mp.log(y)
    return (abs(mp.exp(z) - y) + y * abs(t)) * (1 + abs(mp.log(y)) + abs(t))


def _gamma(place: Place) -> Any:
    log_y = mp.log(place.y[0])
    t = log_y - place.z[0]
    return (1 + mp.exp(t)) * (1 + abs(log_y) + abs(t))


def _gamma_value(place: Place) -> Any:
    log_y = mp.log(place.y[0])
    t = log_y - place.z[0]
    return (abs(mp.expm1(t)) + abs(t)) * (1 + abs(log_y) + abs(t))


def _quantiles(place: Place) -> Any:
    return sum(abs(f) + abs(y) for f in exact.quantiles(place.z, True, *TAUS) for y in place.y)


SCALES: dict[str, Callable[[Place], Any]] = {
    "result": lambda place: abs(place.exact),
    "1": lambda place: mpf(1),
    "1 + result": lambda place: 1 + abs(place.exact),
    "result (1 + abs(log(result)))": _log,
    "result (1 + abs(2 u))": _gelu,
    "terms of the difference, times 1 + max(z) - z": _brier,
    "mu + y": lambda place: mp.exp(place.z[0]) + place.y[0],
    "(abs(mu - y) + y abs(t)) (1 + abs(log(y)) + abs(t)), t = z - log(y)": _poisson,
    "(1 + y / mu) (1 + abs(log(y)) + abs(t)), t = log(y) - z": _gamma,
    "(abs(exp(t) - 1) + abs(t)) (1 + abs(log(y)) + abs(t)), t = log(y) - z": _gamma_value,
    "sum of abs(f) + abs(y)": _quantiles,
}


class Stated(NamedTuple):
    """The largest error in both dtypes, and the scale of its units."""

    bound: float
    scale: str = "result"


LOG, POISSON, GAMMA, GAMMA_VALUE = (
    name for name, scale in SCALES.items() if scale in (_log, _poisson, _gamma, _gamma_value)
)

STATED: dict[tuple[str, str], Stated] = {
    ("identity", "f"): Stated(0),
    ("logistic", "f"): Stated(3),  # exp, sum, quotient
    ("tanh", "f"): Stated(2.5),
    ("relu", "f"): Stated(0),
    ("leaky_relu", "f"): Stated(1),  # constant, product
    ("elu", "f"): Stated(4),  # tanh, difference, quotient
    ("selu", "f"): Stated(5.5),  # ELU, constant, two products
    ("gelu", "f"): Stated(3.5, "result (1 + abs(2 u))"),  # as SiLU; five operations in u
    ("silu", "f"): Stated(3.5),  # exp, sum, quotient, product
    ("mish", "f"): Stated(6),  # exp (times 4/3: w is squared), two sums, two products, quotient
    ("softplus", "f"): Stated(5),  # exp, sum, quotient, series (1), product, sum
    ("softsign", "f"): Stated(1.5),  # sum, quotient
    # Where f' is computed from f, its error is that of f times the derivative of f' by f, which is
    # at most 1, or 2 for tanh and softsign. It is absolute where f saturates.
    ("identity", "f'"): Stated(0),
    ("logistic", "f'"): Stated(3.5, "1"),  # f, difference
    ("tanh", "f'"): Stated(6, "1"),  # twice f, product, difference
    ("relu", "f'"): Stated(0),
    ("leaky_relu", "f'"): Stated(1),
    ("elu", "f'"): Stated(4.5, "1"),  # f, sum
    ("selu", "f'"): Stated(11.5, "1"),  # f, constant, sum, each times s alpha = 1.76
    ("softplus", "f'"): Stated(9),  # f, tanh, sum, quotient
    ("softsign", "f'"): Stated(2.5, "1"),  # f twice, times at most 1/4, difference twice, square
    # A sum of two terms of either sign. The first is a probability with an error of at most 3
    # (Mish: 6). The second is at most 0.33 and has the errors of w, two q and four products (Mish:
    # of x, p, r / (n + r) and 1 + t).
    ("gelu", "f'"): Stated(10, "1"),
    ("silu", "f'"): Stated(6.5, "1"),
    ("mish", "f'"): Stated(12.5, "1"),
    # Softmax: exp, half of the exponent, total (exp and two sums), quotient.
    ("softmax", "link"): Stated(5.5, LOG),
    ("logistic", "link"): Stated(3),
    ("identity", "link"): Stated(0),
    ("exp", "link"): Stated(1.5),
    ("quantiles", "link"): Stated(4.5, "sum of abs(f) + abs(y)"),  # exp, log1p, sums
    # As in scikit-learn, p is clipped to [eps, 1 - eps] inside the logarithm: errors are absolute.
    ("log_loss", "value"): Stated(6, "1 + result"),  # p as softmax's, product
    ("log_loss", "delta"): Stated(6, LOG),  # p as softmax's, product
    ("log_loss, smoothed", "delta"): Stated(8, "1"),  # and constant, quotient, sum
    ("binary_log_loss", "value"): Stated(3, "1 + result"),  # p as logistic's
    ("binary_log_loss, smoothed", "value"): Stated(5, "1 + result"),  # and four operations
    ("binary_log_loss", "delta"): Stated(4.5),  # exp times 3/2, sum, quotient, product
    ("binary_log_loss, smoothed", "delta"): Stated(5, "1"),
    # With gamma = 2: twice q with the error of softmax (logistic), log1p of it times 1.44, pow,
    # products; in delta also p, q and their quotient.
    ("focal", "value"): Stated(24, LOG),
    ("focal", "delta"): Stated(36, LOG),
    ("binary_focal", "value"): Stated(13),
    ("binary_focal", "delta"): Stated(24),
    ("brier", "value"): Stated(14, LOG),  # twice p as softmax's, square, sums, product
    ("brier", "delta"): Stated(22, "terms of the difference, times 1 + max(z) - z"),  # three p
    ("binary_brier", "value"): Stated(9),  # twice p as in the binary log-loss, square, product
    ("binary_brier", "delta"): Stated(10.5),  # p, exp, squared sum, products, quotient
    ("hinge", "value"): Stated(1.5, "1 + result"),  # difference, sum, product
    ("hinge", "delta"): Stated(0),
    ("binary_hinge", "value"): Stated(1, "1 + result"),
    ("binary_hinge", "delta"): Stated(0),
    ("squared_error", "value"): Stated(3),  # twice the difference, square, quotient, product
    ("squared_error", "delta"): Stated(1),
    ("absolute_error", "value"): Stated(1),
    ("absolute_error", "delta"): Stated(0),
    ("huber", "value"): Stated(3),
    ("huber", "delta"): Stated(1),
    ("quantile", "value"): Stated(3),
    ("quantile", "delta"): Stated(1),
    ("quantile, non-crossing", "value"): Stated(6.5, "sum of abs(f) + abs(y)"),
    ("quantile, non-crossing", "delta"): Stated(14, "1"),  # sum of three slopes, times logistic
    ("poisson", "value"): Stated(6, POISSON),
    ("poisson", "delta"): Stated(2.5, "mu + y"),  # exp, difference, product
    ("gamma", "value"): Stated(3, GAMMA_VALUE),
    ("gamma", "delta"): Stated(2.5, GAMMA),
    # log1p(-tanh(e)**2), whose argument counts 1.6 times at e = 1.
    ("log_cosh", "value"): Stated(12.5),
    ("log_cosh", "delta"): Stated(3.5),
}


class Point(NamedTuple):
    """Where a function was evaluated, and what came out.

    Attributes
    ----------
    where : str
        The arguments, for messages.
    actual : float
    exact, scale : mpf
    flushed : mpf
        How much numbers below the smallest normal one change in the result if they become zero.
    """

    where: str
    actual: Any
    exact: Any
    scale: Any
    flushed: Any

    def error(self, dtype: Any) -> float:
        """Return the error in units. An infinity has none where the exact result overflows."""
        info = np.finfo(dtype)
        if not np.isfinite(self.actual):
            largest = mpf(float(np.finfo(np.asarray(self.actual).dtype).max))
            is_beyond = abs(self.exact) > largest and self.actual * mp.sign(self.exact) > 0
            return 0.0 if is_beyond else np.inf
        difference = abs(mpf(float(self.actual)) - self.exact) - self.flushed
        if difference <= 0:
            return 0.0
        return float(difference / self.scale / mpf(float(info.eps))) if self.scale else np.inf


def _exact(array: np.ndarray) -> list[Any]:
    return [mpf(float(x)) for x in array]


# Activations.


def activation_inputs(dtype: Any) -> np.ndarray:
    """Return the edges of the domain, and numbers of all sizes up to 1e4, of both signs."""
    info, rng = np.finfo(dtype), np.random.RandomState(0)
    ends = np.abs(np.log([float(info.tiny), float(info.eps), float(info.max)]))
    near = [1 + sign * step for step in (1e-6, 1e-3, 0.02, 0.06) for sign in (-1, 1)]
    edges = [end * factor for end in ends for factor in near]
    edges += [info.smallest_subnormal, info.tiny / 2, info.tiny, 1.9 * info.tiny, float(info.eps)]
    edges += [1e-30, 1e-20, 1e-10, 0.5, 1, 2, 20, 40, 1e3, 1e4, 1e6, 1e10]
    edges += [float(info.max) ** 0.5 * factor for factor in (0.5, 1.1)] + [float(info.max) / 4]
    sizes = [10 ** rng.uniform(-6, 0, 20 * DENSITY), rng.uniform(0, 4, 30 * DENSITY)]
    sizes += [rng.uniform(4, 110, 20 * DENSITY), 10 ** rng.uniform(2, 4, 5 * DENSITY)]
    z = np.concatenate([edges, *sizes])
    return np.concatenate([z, -z, [0.0, -0.0]]).astype(dtype)


def activation_points(name: str, dtype: Any) -> Iterator[tuple[tuple[str, str], Point]]:
    """Evaluate an activation and its slope, in vectors and in lone elements."""
    mp.prec = exact.BITS[np.dtype(dtype)]
    part, f, z = Activation.table[name], exact.ACTIVATIONS[name], activation_inputs(dtype)
    tiny = mpf(float(np.finfo(dtype).tiny))
    alone = [_run_activation(part, z[i : i + 1]) for i in range(z.size)]
    results = [_run_activation(part, z)]
    results.append(tuple(np.concatenate(column) for column in zip(*alone, strict=True)))
    for i, x in enumerate(_exact(z)):
        expected = {"f": f(x)}
        if abs(x) >= tiny:  # test_activations.py has kinks
            expected["f'"] = exact.slope(f, x)
        flushed = tiny * (4 + abs(x))  # z times w, and 2 s alpha times a half of z (SELU)
        for result in results:
            for (what, value), actual in zip(expected.items(), result, strict=False):
                scale = SCALES[STATED[name, what].scale](Place(value, [x], []))
                point = Point(f"z={float(z[i])!r}", actual[i], value, scale, flushed)
                yield (name, what), point


def _run_activation(part: type[Activation], z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, delta = z.copy(), np.ones_like(z)
    program = Program(z.dtype)
    program.add(part.forward, a)
    program.add(part.backward, z if part.needs_input else z[:0], a, delta)
    run_program(program.finish().instructions, 2, z)
    return a, delta


# Losses.


def loss_cases() -> list[tuple[str, dict[str, Any]]]:
    """Return the names of all losses, with hyperparameters."""
    return [(name, h) for name in Loss.table for h in HYPERPARAMETERS.get(name, [{}])]


def loss_rows(name: str, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and targets: sizes up to 1e4 and at the edges, but no row at a kink."""
    part, info, rng = Loss.table[name], np.finfo(dtype), np.random.RandomState(0)
    largest, ends = float(info.max), np.abs(np.log([float(info.tiny), float(info.max)]))
    sizes = [1e-6, 0.11, 0.9, 3, 8, 15, 20, 36.5, 40, 60, 103, 300, 700, 745, 1e4]
    sizes = np.concatenate([sizes, *(factor * ends for factor in (0.49, 0.999, 1.03))])
    sizes = np.concatenate([sizes, 10 ** rng.uniform(-3, 2, 10 * DENSITY)])
    if part.targets == "codes":
        orders = np.array([[1, 0, -0.5], [0, 1, 0.7], [-1, 0.2, 0], [1, -1, 1.3]])
        z = (sizes[:, None, None] * orders).reshape(-1, 3)
        # Two units in the last place are 4, so that 1 + z is z.
        odd = 2.0 ** (info.nmant + 1) + np.array([0, 4, -8])
        shifted = 1e4 + np.array([0, 1.5, -2])
        z = np.concatenate([z, [odd, shifted, -shifted, [largest / 4, 0, -largest / 4]]])
        z, y = np.repeat(z, 3, axis=0), np.tile([[0.0], [1], [2]], (len(z), 1))
    elif part.targets == "indicators":
        z = np.concatenate([sizes, -sizes, [largest / 4, -largest / 4]])
        z, y = np.repeat(z, 2)[:, None], np.tile([0.0, 1.0], z.size)[:, None]
    elif part.out_activation == "exp":
        z = np.concatenate([sizes[sizes < ends[1]], -sizes])
        pairs = list(itertools.product(z, [1.0, 5, 1e3, 1e6, 1e20, 1e-20]))
        if name == "poisson":
            pairs += [(x, 0.0) for x in z]
        # Near the minimum, where the terms of the deviance cancel.
        steps = (0, 1e-3, -0.1, 0.5)
        pairs += [(x, np.exp(x) * (1 + step)) for x in z if abs(x) < 80 for step in steps]
        z, y = np.array(pairs).T[:, :, None]
    else:
        errors = np.concatenate([sizes, [1e-30, 1e-10, 1e20, largest / 4]])
        pairs = [(e + y, y) for e in [*errors, *-errors] for y in (0.0, 0.3, -1e4)]
        z, y = np.array(pairs, dtype).T[:, :, None]
        if name == "quantile":
            z = z * np.array([1, 1.2, 0.3], dtype) + np.array([0, 0.1, 0.2], dtype)
        apart = z[:, 0] != y[:, 0]
        z, y = z[apart], y[apart]
    return z.astype(dtype), y.astype(dtype)


def loss_points(
    name: str, hyperparameters: dict[str, Any], dtype: Any
) -> Iterator[tuple[tuple[str, str], Point]]:
    """Evaluate a loss, its derivative and its link."""
    mp.prec = exact.BITS[np.dtype(dtype)]
    part, info = Loss.table[name], np.finfo(dtype)
    tiny = mpf(float(info.tiny))
    z, y = loss_rows(name, dtype)
    weights = np.resize(np.array([1, 0.7, 1e-3, 1e3], dtype), len(z))
    settings = np.array(part.settings(hyperparameters), dtype)
    delta, values, linked = np.empty_like(z), np.empty(len(z)), z.copy()
    program = Program(z.dtype)
    program.add(part.loss, z, y, weights, settings, delta, values)
    program.add(part.link, linked, settings)
    run_program(program.finish().instructions, 2, z)

    numbers = _exact(settings)
    clip = {"eps": float(info.eps)} if name in ("log_loss", "binary_log_loss") else {}
    row = row_of(name, hyperparameters)
    for i in range(len(z)):
        scores, targets, weight = _exact(z[i]), _exact(y[i]), mpf(float(weights[i]))
        where = f"z={z[i].tolist()}, y={y[i].tolist()}, weight={weights[i]}, {hyperparameters}"

        def loss(scores: list[Any], targets: list[Any] = targets) -> Any:
            return exact.LOSSES[name](scores, targets, *numbers)

        results = [("value", 0, exact.LOSSES[name](scores, targets, *numbers, **clip), values[i])]
        for k in range(len(scores)):
            results.append(("delta", k, exact.loss_slope(loss, scores, k), delta[i, k]))
        for what, k, result, actual in results:
            largest = mpf(float(np.finfo(actual.dtype).max))
            if abs(result) <= largest:  # else it overflows before it is multiplied by the weight
                key = (row, what) if (row, what) in STATED else (name, what)
                scale = SCALES[STATED[key].scale](Place(result, scores, targets, k))
                flushed = tiny * (1 + 4 * weight)
                yield key, Point(where, actual, result * weight, scale * weight, flushed)
        link = part.out_activation
        predictions = exact.LINKS[link](scores, *(numbers if link == "quantiles" else []))
        for k, prediction in enumerate(predictions):
            scale = SCALES[STATED[link, "link"].scale](Place(prediction, scores, targets, k))
            yield (link, "link"), Point(where, linked[i, k], prediction, scale, tiny)


def row_of(name: str, hyperparameters: dict[str, Any]) -> str:
    """Return the row of the table for these hyperparameters, if they have one of their own."""
    if hyperparameters.get("label_smoothing"):
        return f"{name}, smoothed"
    return f"{name}, non-crossing" if hyperparameters.get("non_crossing") else name
