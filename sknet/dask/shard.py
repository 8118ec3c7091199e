"""The actor that holds the rows of one worker."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier

from sknet.dask.plan import PartitionFacts, Plan
from sknet.estimators.base import BaseMLP
from sknet.estimators.data import as_targets, validate
from sknet.estimators.engine import load_engine
from sknet.estimators.targets import ClassTargets
from sknet.estimators.weights import as_weights, validate_weights

if TYPE_CHECKING:
    from sknet.dask.calculator import Calculator


def answering(method: Callable[..., Any]) -> Callable[..., tuple[Any, Exception | None]]:
    """Let a method return its result and its error, so that an error is not taken for a loss."""

    @functools.wraps(method)
    def answer(*args: Any, **kwargs: Any) -> tuple[Any, Exception | None]:
        try:
            return method(*args, **kwargs), None
        except Exception as error:
            return None, error

    return answer


class Shard:
    """An actor that holds partitions of the data. No row of them leaves its worker.

    Parameters
    ----------
    kind : type
        MLPClassifier or MLPRegressor, which says what data are valid.
    partitions : mapping of int to tuple
        X, y and sample weights (or None) of each partition, by its number.
    """

    def __init__(self, kind: type[BaseMLP], partitions: Mapping[int, tuple[Any, Any, Any]]) -> None:
        self.estimator, self.partitions = kind(), dict(sorted(partitions.items()))
        self.calculator: Calculator | None = None

    @answering
    def examine(self) -> list[PartitionFacts]:
        """Validate all partitions, and return what is known of each."""
        facts = []
        for number, (X, y, sample_weight) in self.partitions.items():
            if X.shape[0] == 0:
                facts.append(PartitionFacts(number, 0))
                continue
            self.estimator.__dict__.pop("feature_names_in_", None)
            X, y = validate(self.estimator, X, y, (np.float64, np.float32), reset=True)
            if not isinstance(X, np.ndarray):
                raise TypeError(
                    "Partitions of X are sparse matrices, which a fit on Dask does not take. Make "
                    "them dense, for example by X.map_blocks(lambda block: block.toarray())."
                )
            is_zero = sample_weight is not None and not np.any(sample_weight)
            # Other shards may have rows that count.
            weights = np.zeros(len(X), X.dtype) if is_zero else validate_weights(sample_weight, X)
            self.partitions[number] = X, y, weights
            names = vars(self.estimator).get("feature_names_in_")
            columns = None if names is None else names.tolist()
            labels, counts = self._labels(y)
            facts.append(
                PartitionFacts(number, len(X), X.shape[1], columns, X.dtype, labels, counts)
            )
        return facts

    def _labels(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a few rows that stand for y, and how often each of them occurs."""
        if not is_classifier(self.estimator):
            if y.dtype.kind not in "biuf":
                return y[:1], None  # which is an error where they are encoded
            return np.stack([y.min(axis=0), y.max(axis=0)]), None
        ClassTargets.check_kind(y)
        if y.ndim == 1:
            return np.unique(y, return_counts=True)
        return np.stack([np.full(y.shape[1], value) for value in np.unique(y)]), None

    @answering
    def prepare(self, plan: Plan) -> float:
        """Put the rows together as training takes them, and return the sum of their weights."""
        load_engine()
        from sknet._training.contract import Dataset
        from sknet.dask.calculator import Calculator

        if self.calculator is not None:  # the call is repeated, since another worker was lost
            return self.calculator.weight
        filled = [number for number, (X, *_) in self.partitions.items() if X.shape[0] > 0]
        n = sum(len(self.partitions[number][0]) for number in filled)
        dtype, n_features = plan.network.params.dtype, plan.network.layout.units[0]
        X = np.zeros((n + 1, n_features), plan.dtype)  # the last row fills up minibatches
        targets = np.zeros((n + 1, plan.n_targets), dtype)
        weights = np.zeros(n + 1, dtype)
        start = 0
        for number in filled:
            own_X, own_y, own_weights = self.partitions.pop(number)
            encoded = plan.targets.encode(own_y)
            assert encoded is not None  # all classes are known
            rows = slice(start, start + len(own_X))
            X[rows], targets[rows] = own_X, as_targets(encoded, plan.dtype)
            weights[rows] = _weighted(own_weights.astype(plan.dtype), encoded, plan.class_weights)
            start = rows.stop
        targets[n:] = targets[:1]
        data = Dataset(X, targets, weights, np.arange(n, dtype=np.int64))
        seed = plan.regularization.seed + min(filled, default=0)
        self.calculator = Calculator(plan, data, seed)
        return self.calculator.weight

    @answering
    def gradient(self, *arguments: Any) -> Any:
        """Call :meth:`Calculator.gradient`."""
        assert self.calculator is not None
        return self.calculator.gradient(*arguments)

    @answering
    def steps(self, *arguments: Any) -> Any:
        """Call :meth:`Calculator.steps`."""
        assert self.calculator is not None
        return self.calculator.steps(*arguments)


def _weighted(weights: np.ndarray, encoded: np.ndarray, tables: list[np.ndarray]) -> np.ndarray:
    """Return weights of rows times those of their classes."""
    if not tables:
        return weights
    exact = weights.astype(np.float64)
    for column, table in zip(encoded.T, tables, strict=True):
        exact = exact * table[column.astype(np.intp)]
    # Other shards may have rows that count.
    return as_weights("class_weight", exact, weights.dtype) if exact.any() else weights * 0
