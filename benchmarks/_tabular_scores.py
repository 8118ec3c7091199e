"""What `tabular.py` says of predictions: errors, calibration, and means over tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import log_loss, root_mean_squared_error

N_BINS = 15
# Added to both sides of a ratio, so that tables that everyone masters do not outweigh the others.
OFFSETS = {"error": 0.01, "log_loss": 0.05, "cpu": 0.0, "relative_rmse": 0.0}

Bins = list[list[float]]


def of_classes(y: np.ndarray, probabilities: np.ndarray) -> dict[str, float | Bins]:
    """Return error, log-loss and bins of confidence of one fold.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Codes of the classes.
    probabilities : ndarray of shape (n_rows, n_classes)
    """
    probabilities = np.asarray(probabilities, np.float64)  # scikit-learn clips by the dtype
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = np.arange(probabilities.shape[1])
    is_right = probabilities.argmax(axis=1) == y
    return {
        "error": float(1 - is_right.mean()),
        "log_loss": float(log_loss(y, probabilities, labels=labels)),
        "bins": confidence_bins(probabilities.max(axis=1), is_right),
    }


def confidence_bins(confidence: np.ndarray, is_right: np.ndarray) -> Bins:
    """Return rows, sum of confidences and right answers of each bin of the confidence."""
    which = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    weights = np.ones(len(which)), confidence, is_right
    return [np.bincount(which, w, minlength=N_BINS).astype(float).tolist() for w in weights]


def calibration_error(folds: Sequence[Bins]) -> float:
    """Return the expected calibration error of the predictions of several folds together.

    The probability of the predicted class is the confidence. Rows are put into 15 bins of equal
    width by their confidence. In each bin, the mean confidence is compared with the accuracy. The
    result is the mean of the absolute differences, weighted by rows: Guo, Pleiss, Sun and
    Weinberger, "On calibration of modern neural networks" (2017), arXiv:1706.04599.

    Examples
    --------
    >>> half_right = confidence_bins(np.array([0.75, 0.75]), np.array([True, False]))
    >>> calibration_error([half_right])
    0.25
    """
    n, confidence, is_right = np.sum(folds, axis=0)
    return float(np.abs(confidence - is_right).sum() / n.sum())


def of_numbers(y: np.ndarray, predicted: np.ndarray, y_train: np.ndarray) -> dict[str, float]:
    """Return the RMSE of one fold, relative to that of predicting the mean of the training rows."""
    mean = np.full(len(y), y_train.mean())
    rmse = root_mean_squared_error(y, predicted)
    return {"relative_rmse": float(rmse / root_mean_squared_error(y, mean))}


def of_intervals(y: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, float]:
    """Return the share of rows in their intervals, and the mean width over the deviation of y."""
    inside = (low <= y) & (y <= high)
    return {"coverage": float(inside.mean()), "width": float((high - low).mean() / y.std())}


class Mean(NamedTuple):
    """A mean over tables and its standard error, which is NaN for a single table."""

    value: float
    error: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3g}" if math.isnan(self.error) else self._with_error()

    def _with_error(self) -> str:
        digits = 3 if abs(self.value) < 2 else 2 if abs(self.value) < 20 else 1
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


def mean(values: Sequence[float]) -> Mean:
    """Return the mean of the values of all tables."""
    n = len(values)
    spread = float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Mean(float(np.mean(values)), spread, n)


def geometric_mean(values: Sequence[float], reference: Sequence[float], offset: float) -> Mean:
    """Return the geometric mean of (value + offset) / (reference + offset) over tables.

    The standard error is that of the mean logarithm, times the geometric mean.

    Examples
    --------
    >>> print(geometric_mean([0.1, 0.4], [0.2, 0.2], 0.0))
    1.000 ± 0.693
    """
    ratios = (np.asarray(values) + offset) / (np.asarray(reference) + offset)
    logarithms = mean(np.log(ratios).tolist())
    value = math.exp(logarithms.value)
    return Mean(value, value * logarithms.error, logarithms.n)
