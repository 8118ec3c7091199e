"""Metrics for predicted quantiles: one or several quantiles of one or several targets.

scikit-learn's metrics for quantiles take one quantile at a time. With ``quantile=[0.1, 0.5, 0.9]``,
:class:`~sknet.MLPRegressor` predicts a column for each of these quantiles. The functions of this
module average scikit-learn's metrics over the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import sklearn.metrics
from sklearn.utils import check_array

from sknet._engine.sparse import check_sparse
from sknet.losses import Quantile


def mean_pinball_loss(
    y_true: Any,
    y_pred: Any,
    *,
    quantile: float | Sequence[float] | np.ndarray = 0.5,
    sample_weight: Any = None,
) -> float:
    """Return the pinball loss, averaged over quantiles and targets.

    It measures how good predicted quantiles are. For one quantile it equals
    :func:`sklearn.metrics.mean_pinball_loss`.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_targets)
        Correct targets.
    y_pred : array-like of shape (n_samples,) or (n_samples, n_targets * n_quantiles)
        Predicted quantiles. The first columns are the quantiles of the first target,
        in the order of `quantile`. Those of the second target follow, and so on.
    quantile : float or list of float, default=0.5
        The quantiles that were predicted, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample. With None, each weight is 1.

    Returns
    -------
    float
        Mean loss, in units of y. The best possible value is 0.

    Raises
    ------
    ValueError
        If a quantile is outside (0, 1), or if `y_pred` does not have one column for
        each quantile of each target.

    Examples
    --------
    >>> from sknet.metrics import mean_pinball_loss
    >>> y_pred = [[0, 2, 3], [1, 2, 5]]
    >>> round(mean_pinball_loss([1, 3], y_pred, quantile=[0.1, 0.5, 0.9]), 3)
    0.283
    """
    return _mean(sklearn.metrics.mean_pinball_loss, y_true, y_pred, quantile, sample_weight)


def d2_pinball_score(
    y_true: Any,
    y_pred: Any,
    *,
    quantile: float | Sequence[float] | np.ndarray = 0.5,
    sample_weight: Any = None,
) -> float:
    """Return the fraction of the pinball loss explained, averaged over quantiles and targets.

    For one quantile it equals :func:`sklearn.metrics.d2_pinball_score`. The method
    `score` of ``MLPRegressor(loss="quantile")`` returns this value.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_targets)
        Correct targets.
    y_pred : array-like of shape (n_samples,) or (n_samples, n_targets * n_quantiles)
        Predicted quantiles, as for :func:`mean_pinball_loss`.
    quantile : float or list of float, default=0.5
        The quantiles that were predicted, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample. With None, each weight is 1.

    Returns
    -------
    float
        A number of at most 1. It is 0 for the best constant prediction of each
        quantile.

    Raises
    ------
    ValueError
        In the same cases as :func:`mean_pinball_loss`.

    Examples
    --------
    >>> from sknet.metrics import d2_pinball_score
    >>> d2_pinball_score([1, 2, 3], [[1, 1], [2, 2], [3, 3]], quantile=[0.4, 0.6])
    1.0
    """
    return _mean(sklearn.metrics.d2_pinball_score, y_true, y_pred, quantile, sample_weight)


def make_pinball_scorer(
    quantile: float | Sequence[float] | np.ndarray = 0.5,
) -> Callable[..., float]:
    """Return a scorer whose score is the negative mean pinball loss.

    A higher score is better. The scorer takes any estimator that predicts the
    quantiles: the network itself, a pipeline or a
    :class:`~sklearn.compose.TransformedTargetRegressor` around it, or another
    regressor.

    Parameters
    ----------
    quantile : float or list of float, default=0.5
        The quantiles that the estimator predicts, between 0 and 1.

    Returns
    -------
    callable
        A scorer. Pass it as the parameter ``scoring`` of cross-validation, of
        searches and of :class:`~sknet.MLPRegressor`.

    Raises
    ------
    ValueError
        If a quantile is outside (0, 1).

    Examples
    --------
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknet import MLPRegressor
    >>> from sknet.metrics import make_pinball_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> quantile = [0.1, 0.5, 0.9]
    >>> net = MLPRegressor("quantile", (10,), quantile=quantile, learning_rate="one_cycle",
    ...                    learning_rate_init=0.03, max_iter=30, random_state=0)
    >>> model = TransformedTargetRegressor(net, transformer=StandardScaler())
    >>> scores = cross_val_score(model, X, y, scoring=make_pinball_scorer(quantile))
    >>> round(float(scores.mean()))
    -16
    """
    _quantiles(quantile)
    scorer: Callable[..., float] = sklearn.metrics.make_scorer(
        mean_pinball_loss, greater_is_better=False, quantile=quantile
    )
    return scorer


def _quantiles(quantile: Any) -> list[float]:
    """Return the quantiles as a list. The loss reads and checks them."""
    return Quantile.quantiles(Quantile.settings({"quantile": quantile, "non_crossing": False}))


def _mean(
    metric: Callable[..., float], y_true: Any, y_pred: Any, quantile: Any, sample_weight: Any
) -> float:
    """Return the mean over quantiles of a metric that takes one quantile of all targets."""
    quantiles = _quantiles(quantile)
    y, predicted = _as_columns(y_true, "y_true"), _as_columns(y_pred, "y_pred")
    if predicted.shape[1] != y.shape[1] * len(quantiles):
        raise ValueError(
            f"y_pred has {predicted.shape[1]} columns, but there must be one for each of the "
            f"{y.shape[1]} targets and each quantile of quantile={quantile!r}. Give the quantiles "
            "that the estimator was fitted with."
        )
    columns = [predicted[:, k :: len(quantiles)] for k in range(len(quantiles))]
    return float(
        np.mean(
            [
                metric(y, column, sample_weight=sample_weight, alpha=tau)
                for column, tau in zip(columns, quantiles, strict=True)
            ]
        )
    )


def _as_columns(y: Any, name: str) -> np.ndarray:
    """Return targets or predictions, sparse ones included, as an array with a column for each.

    Parameters
    ----------
    y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_columns)
    name : str
        What errors call it.

    Returns
    -------
    ndarray of shape (n_samples, n_columns)

    Raises
    ------
    ValueError
        If it is empty, or holds anything but finite numbers.
    """
    if sp.issparse(y):
        check_sparse(y, name)
        y = y.toarray()
    y = check_array(y, ensure_2d=False, input_name=name)
    return y.reshape(len(y), -1)
