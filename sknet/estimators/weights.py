"""Weights of samples and of classes: their checks, and the arrays that kernels take."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight


def validate_weights(sample_weight: Any, X: Any, name: str = "sample_weight") -> np.ndarray:
    """Return one weight for each row of X, in the dtype of X. None gives ones.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    X : ndarray or sparse matrix of shape (n_samples, n_features)
    name : str, default="sample_weight"
        The argument that the weights come from, for errors.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, if all of them are zero, or if
        they are so small or so large that derivatives of the loss would not be
        normal numbers of the dtype of X.
    """
    if sample_weight is None:
        return np.ones(X.shape[0], X.dtype)
    try:
        exact = _check_sample_weight(sample_weight, X, dtype=np.float64)
    except ValueError as error:  # which names the argument at most as sample_weight
        text = str(error).replace("sample_weight", name)
        if name in text:
            raise ValueError(text) from error
        raise ValueError(
            f"{text.rstrip('.')}. Give {name} as one number >= 0 for each row, and not only zeros."
        ) from error
    if isinstance(sample_weight, Real) and not np.isfinite(exact[0]):
        raise ValueError(f"{name}={sample_weight} is not a finite number.")
    if exact.min() < 0:
        raise ValueError(
            f"{name} has negative values (the least is {exact.min():g}); weights must be "
            ">= 0. Leave out samples that must not count, or give them the weight 0."
        )
    if not exact.any():
        raise ValueError(
            f"Sample weights must contain at least one non-zero number: all of {name} is zero, "
            "which leaves nothing to learn from."
        )
    return as_weights(name, exact, X.dtype)


def as_weights(name: str, weights: np.ndarray, dtype: Any) -> np.ndarray:
    """Return weights in the dtype of X, with 0 for those that are too small to count.

    A derivative of the loss as small as the machine epsilon, times any weight that
    counts, is then a normal number. So is 1 divided by the sum of weights.

    Parameters
    ----------
    name : str
        The parameter from which the weights come.
    weights : ndarray of shape (n_samples,)
        Weights in float64, not all of them zero.
    dtype : dtype
        The dtype of X.

    Raises
    ------
    ValueError
        If all weights are too small to count, or if their sum is too large.
    """
    info = np.finfo(dtype)
    least = float(info.tiny / info.eps)
    with np.errstate(over="ignore"):
        largest, total = weights.max(), weights.sum()
    if not (least <= largest and total <= 1 / least):
        size = "small" if largest < least else "large"
        raise ValueError(
            f"{name} is too {size} for {dtype}, the dtype of X. The largest weight is {largest:g} "
            f"and must be at least {least:g}. The sum of weights is {total:g} and must be at most "
            f"{1 / least:g}. Scale the weights, so that they are about 1."
        )
    return np.where(weights < least, 0, weights).astype(dtype)


def apply_class_weights(
    weights: np.ndarray, targets: np.ndarray, tables: list[np.ndarray], given: Any
) -> np.ndarray:
    """Return weights of samples times those of their classes.

    Parameters
    ----------
    weights : ndarray of shape (n_samples,)
    targets : ndarray of shape (n_samples, n_targets)
        Codes or indicators.
    tables : list of ndarray
        As :meth:`ClassTargets.class_weights` returns them.
    given : object
        The parameter `class_weight`, for messages.

    Raises
    ------
    ValueError
        If no sample keeps a weight above 0, or if weights become too small or too
        large for their dtype.
    """
    if not tables:
        return weights
    dtype, weights = weights.dtype, weights.astype(np.float64)
    with np.errstate(over="ignore"):
        for column, table in zip(targets.T, tables, strict=True):
            weights = weights * table[column.astype(np.intp)]
    if not weights.any():
        raise ValueError(
            f"class_weight={given} leaves a weight of zero for all samples. Give at least one of "
            "their classes a weight above 0."
        )
    return as_weights("class_weight", weights, dtype)
