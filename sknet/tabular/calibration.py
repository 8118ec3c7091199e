"""Probabilities from raw scores: the mean over members, and one temperature for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

# The logarithm of the temperature is searched between these.
LOG_BOUNDS = (-4.0, 4.0)


def log_probabilities(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return the logarithms of the probabilities of classes.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes) or (n_samples, 1)
        Raw scores. With two classes, there is one score, that of the second class.
    temperature : float
        What the scores are divided by.

    Returns
    -------
    ndarray of float64 of shape (n_samples, n_classes)
    """
    scores = scores.astype(np.float64) / temperature
    if scores.shape[1] == 1:
        return np.hstack([log_expit(-scores), log_expit(scores)])
    return log_softmax(scores, axis=1)


def ensemble_probabilities(scores: Sequence[np.ndarray], temperature: float) -> np.ndarray:
    """Return the probabilities that the mean of the members' scores gives, float64.

    They are the geometric mean of the members' probabilities, made to sum to 1. On the development
    tables of ``benchmarks/tabular.py``, their log loss was lower than that of the arithmetic mean.

    Parameters
    ----------
    scores : sequence of ndarray
        Raw scores by member, as for `log_probabilities`.
    temperature : float
    """
    mean = np.stack(scores).mean(axis=0, dtype=np.float64)
    return np.exp(log_probabilities(mean, temperature))


def log_loss(
    scores: np.ndarray, codes: np.ndarray, weights: np.ndarray, temperature: float
) -> float:
    """Return the weighted mean of the negative log-likelihood of classes, in nats.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_outputs)
        Raw scores, as for `log_probabilities`.
    codes : ndarray of int of shape (n_samples,)
        Classes by number.
    weights : ndarray of shape (n_samples,)
    temperature : float
    """
    likelihood = log_probabilities(scores, temperature)[np.arange(len(codes), dtype=np.intp), codes]
    return -float(np.average(likelihood, weights=weights))


def fitted_temperature(scores: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> float:
    """Return the temperature T by which predictions of rows that were left out are most likely.

    This minimises over log T ::

        log_loss(scores, codes, weights, T) + log(T)**2 / (2 * n_samples)

    The second term stands for a normal prior of log T with the variance 1. It counts as little
    as one sample does. Without it, T would be 0 where all predictions are right, and a single
    error later on would have the probability 0.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_outputs)
        Raw scores, each of a member that was not trained on this row.
    codes : ndarray of int of shape (n_samples,)
        Classes by number.
    weights : ndarray of shape (n_samples,)

    References
    ----------
    Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
    networks. ICML, arXiv:1706.04599, section 4.2.
    """

    def objective(log_temperature: float) -> float:
        loss = log_loss(scores, codes, weights, np.exp(log_temperature))
        return loss + log_temperature**2 / (2 * len(codes))

    found = minimize_scalar(objective, bounds=LOG_BOUNDS, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
