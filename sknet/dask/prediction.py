"""Predictions and scores of Dask collections, one partition after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from sknet.dask.partitions import is_frame, partitions_of
from sknet.estimators.indicators import as_indicators


def predict_blocks(model: Any, method: str, X: Any) -> Any:
    """Return predictions of a collection as a collection with the same partitions.

    Those of an array are an array. Those of a data frame are a series or a data frame
    with the same index. Nothing is computed before the result is.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        A fitted estimator.
    method : str
        The method that predicts.
    X : dask array or data frame
    """
    import dask

    shared = dask.delayed(model, pure=True)
    with np.errstate(all="ignore"):
        example = _predicted(
            model, method, np.zeros((1, model.n_features_in_), model.coefs_[0].dtype)
        )
    if is_frame(X):
        columns = None
        if example.ndim == 2:
            is_proba = is_classifier(model) and example.shape[1] == len(model.classes_)
            columns = model.classes_.tolist() if is_proba else list(range(example.shape[1]))
        return X.map_partitions(
            _predict_frame, shared, method, columns, meta=_as_frame(example[:0], columns, None)
        )
    X = X.rechunk({1: -1})
    kinds: dict[str, Any] = {"dtype": example.dtype, "meta": example[:0]}
    if example.ndim == 1:
        kinds["drop_axis"] = 1
    else:
        kinds["chunks"] = (X.chunks[0], (example.shape[1],))
    return X.map_blocks(_predict_array, shared, method, example[:0], **kinds)


def _predicted(model: Any, method: str, X: Any) -> np.ndarray:
    names = vars(model).get("feature_names_in_")
    if names is not None and not hasattr(X, "columns"):
        import pandas as pd

        X = pd.DataFrame(X, columns=names)
    return getattr(model, method)(X)


def _predict_array(X: Any, model: Any, method: str, nothing: np.ndarray) -> np.ndarray:
    return nothing if len(X) == 0 else getattr(model, method)(X)


def _predict_frame(X: Any, model: Any, method: str, columns: list[Any] | None) -> Any:
    if len(X) == 0:
        example = _predicted(model, method, np.zeros((1, X.shape[1]), model.coefs_[0].dtype))
        return _as_frame(example[:0], columns, X.index)
    return _as_frame(getattr(model, method)(X), columns, X.index)


def _as_frame(values: np.ndarray, columns: list[Any] | None, index: Any) -> Any:
    import pandas as pd

    if columns is None:
        return pd.Series(values, index=index)
    return pd.DataFrame(values, columns=columns, index=index)


def score_blocks(model: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """Return accuracy or R2 of collections. Only sums of each partition are gathered.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        A fitted estimator.
    X, y : dask array or data frame
    sample_weight : dask array or series, or None

    Raises
    ------
    ValueError
        If the score needs all targets at once, as that of quantiles does.
    """
    import dask

    count: Callable[..., Any] = _hits
    if not is_classifier(model):
        count = _moments
        if model._fitted_loss[0] == "quantile":
            raise ValueError(
                "The score of loss='quantile' compares with quantiles of all of y, which no "
                "process holds. Give arrays that fit into memory, such as a sample of the rows."
            )
    counted = dask.delayed(count)
    shared = dask.delayed(model, pure=True)
    parts = dask.compute(*[counted(shared, part) for part in partitions_of(X, y, sample_weight)])
    parts = [part for part in parts if part is not None]
    if not parts:
        raise ValueError("X has no rows. Give at least one.")
    if is_classifier(model):
        return float(sum(hits for hits, _ in parts) / sum(weight for _, weight in parts))
    weight, mean, spread, error = parts[0]
    for other_weight, other_mean, other_spread, other_error in parts[1:]:
        total = weight + other_weight
        spread = spread + other_spread
        if total > 0:
            spread = spread + (other_mean - mean) ** 2 * (weight * other_weight / total)
            mean = mean + (other_mean - mean) * (other_weight / total)
        weight, error = total, error + other_error
    with np.errstate(divide="ignore", invalid="ignore"):
        # As in scikit-learn, constant targets give 1 if they are predicted exactly, else 0.
        r2 = np.where(spread > 0, 1 - error / spread, np.where(error > 0, 0.0, 1.0))
    return float(r2.mean())


def _rows(part: tuple[Any, Any, Any]) -> tuple[Any, np.ndarray, np.ndarray]:
    X, y, sample_weight = part
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    return X, y, weights


def _hits(model: Any, part: tuple[Any, Any, Any]) -> tuple[float, float] | None:
    """Return the sum of weights of the rows that are predicted right, and of all rows."""
    X, y, weights = _rows(part)
    if len(X) == 0:
        return None
    if y.ndim == 2:
        hits = (model.predict(X) == as_indicators(y)).all(axis=1)
    else:
        hits = model.predict(X) == y
    return float(weights @ hits), float(weights.sum())


def _moments(
    model: Any, part: tuple[Any, Any, Any]
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the weights' sum, the mean of y, the squares about it, and the squared errors.

    References
    ----------
    Chan, T. F., Golub, G. H., LeVeque, R. J. (1983). Algorithms for computing the sample
    variance. The American Statistician 37, for how these are put together.
    """
    X, y, weights = _rows(part)
    if len(X) == 0:
        return None
    y = y.reshape(len(y), -1).astype(np.float64)
    predicted = model.predict(X).reshape(y.shape).astype(np.float64)
    total = float(weights.sum())
    mean = weights @ y / total if total > 0 else np.zeros(y.shape[1])
    return total, mean, weights @ (y - mean) ** 2, weights @ (y - predicted) ** 2
