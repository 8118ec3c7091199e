"""The rows that one worker holds, and what it computes with them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import clone, is_classifier

from sknet.estimators.data import as_targets, validate
from sknet.estimators.engine import load_engine
from sknet.estimators.targets import ClassTargets, Targets
from sknet.estimators.weights import as_weights, validate_weights

if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.contract import Regularization
    from sknet._training.epoch import EpochRunner
    from sknet.optimizers import Optimizer

# Minibatches of a shard differ in size. Their buffers have room for a multiple of so many rows.
ROOM = 32


class PartitionFacts(NamedTuple):
    """What is known of one partition without its rows.

    Attributes
    ----------
    number : int
        Position of the partition in the collection.
    n_rows, n_features : int
    feature_names : list of str or None
        None if the columns have no names.
    dtype : dtype or None
        Of X. None if there are no rows.
    labels : ndarray or None
        A few rows that stand for y: each class once, or for numbers the lowest and
        the highest value of each column. None if there are no rows.
    counts : ndarray or None
        How often each class occurs, where y is a vector of classes.
    """

    number: int
    n_rows: int
    n_features: int = 0
    feature_names: list[str] | None = None
    dtype: Any = None
    labels: np.ndarray | None = None
    counts: np.ndarray | None = None


class Plan(NamedTuple):
    """What a shard needs to know to compute gradients and steps.

    Attributes
    ----------
    network : Network
        Its parameters are replaced in each call.
    dtype : dtype
        Of X in all shards.
    targets : ClassTargets or NumericTargets
    class_weights : list of ndarray
        As :meth:`ClassTargets.class_weights` returns them.
    regularization : Regularization
    optimizer : Optimizer or None
        For local steps.
    ema_decay : float or None
        For local steps.
    n_jobs : int or None
    """

    network: Network
    dtype: Any
    targets: Targets
    class_weights: list[np.ndarray]
    regularization: Regularization
    optimizer: Optimizer | None
    ema_decay: float | None
    n_jobs: int | None


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

    A shard keeps no state of the training: each call gets the parameters and returns
    what it has computed from them. A call can therefore be repeated anywhere.

    Parameters
    ----------
    estimator : object
        The estimator that is fitted, which says what data are valid.
    partitions : mapping of int to tuple
        X, y and sample weights (or None) of each partition, by its number.
    """

    def __init__(self, estimator: Any, partitions: Mapping[int, tuple[Any, Any, Any]]) -> None:
        self.estimator, self.partitions = clone(estimator), dict(sorted(partitions.items()))

    @answering
    def examine(self) -> list[PartitionFacts]:
        """Validate all partitions, and return what is known of each."""
        facts = []
        for number, (X, y, sample_weight) in self.partitions.items():
            if len(X) == 0:
                facts.append(PartitionFacts(number, 0))
                self.partitions[number] = X, y, None
                continue
            self.estimator.__dict__.pop("feature_names_in_", None)
            X, y = validate(self.estimator, X, y, (np.float64, np.float32), reset=True)
            is_zero = sample_weight is not None and not np.any(sample_weight)
            # Other shards may have rows that count.
            weights = np.zeros(len(X), X.dtype) if is_zero else validate_weights(sample_weight, X)
            self.partitions[number] = X, y, weights
            names = vars(self.estimator).get("feature_names_in_")
            facts.append(
                PartitionFacts(
                    number,
                    len(X),
                    X.shape[1],
                    None if names is None else names.tolist(),
                    X.dtype,
                    *self._labels(y),
                )
            )
        return facts

    def _labels(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if not is_classifier(self.estimator):
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

        if hasattr(self, "plan"):  # the call is repeated, since another worker was lost
            return self.weight
        self.places: dict[int, slice] = {}
        n = 0
        for number, (X, *_) in self.partitions.items():
            self.places[number] = slice(n, n + len(X))
            n += len(X)
        dtype = plan.network.params.dtype
        n_features, n_targets = plan.network.layout.units[0], 1
        X = np.zeros((n + 1, n_features), plan.dtype)  # the last row fills up minibatches
        targets, weights = np.zeros((n + 1, n_targets), dtype), np.zeros(n + 1, dtype)
        for number, place in self.places.items():
            own_X, own_y, own_weights = self.partitions.pop(number)
            if len(own_X) == 0:
                continue
            encoded = plan.targets.encode(own_y)
            assert encoded is not None  # all classes are known
            if encoded.shape[1] != targets.shape[1]:
                targets = np.zeros((n + 1, encoded.shape[1]), dtype)
            X[place] = own_X
            targets[place] = as_targets(encoded, plan.dtype)
            weights[place] = self._weighted(
                own_weights.astype(plan.dtype), encoded, plan.class_weights
            )
        if n > 0:
            targets[n] = targets[0]
        self.n, self.data = n, Dataset(X, targets, weights, np.arange(n, dtype=np.int64))
        self.weight = float(weights.sum(dtype=np.float64))
        self._gradients: tuple[int, EpochRunner] | None = None
        self._steps: tuple[int, EpochRunner] | None = None
        self.plan = plan
        return self.weight

    @staticmethod
    def _weighted(weights: np.ndarray, encoded: np.ndarray, tables: list[np.ndarray]) -> np.ndarray:
        """Return weights of rows times those of their classes."""
        if not tables:
            return weights
        exact = weights.astype(np.float64)
        for column, table in zip(encoded.T, tables, strict=True):
            exact = exact * table[column.astype(np.intp)]
        # Other shards may have rows that count.
        return as_weights("class_weight", exact, weights.dtype) if exact.any() else weights * 0

    @answering
    def gradient(
        self, params: np.ndarray, t: int, rows: np.ndarray | None
    ) -> tuple[float, np.ndarray, float]:
        """Return the sum of weighted losses, its gradient without penalties, and the weights' sum.

        Parameters
        ----------
        params : ndarray of shape (n_parameters,)
        t : int
            Number of steps before this one, on which dropout and noise depend.
        rows : ndarray of int64 of shape (n_rows,) or None
            Numbers of rows. None means all.
        """
        from sknet._training.contract import Regularization

        weight = self.weight if rows is None else self._weight_of(rows)
        if weight == 0:
            return 0.0, np.zeros_like(params), 0.0
        given = self.plan.regularization
        random = Regularization(dropout=given.dropout, noise=given.noise, seed=self._seed)
        n = self.n if rows is None else rows.size
        self._gradients = self._with_room(self._gradients, n, random, None, is_exact=rows is None)
        room, runner = self._gradients
        order = self.data.rows if rows is None else self._filled(rows, np.array([n]), room)
        runner.network.params[:] = params
        runner.t = t
        loss = self._run(runner, order, np.zeros(1)) / order.size
        return loss * weight, runner.grad * params.dtype.type(weight), weight

    @answering
    def steps(
        self,
        state: np.ndarray,
        optimizer: Optimizer,
        rates: np.ndarray,
        rows: np.ndarray,
        counts: np.ndarray,
        share: float,
    ) -> tuple[float, np.ndarray, float]:
        """Take local steps, and return the mean objective, the new state, and the weights' sum.

        Parameters
        ----------
        state : ndarray of shape (n_numbers,)
            Parameters, slots of the optimiser and, with ``ema_decay``, the mean.
        optimizer : Optimizer
            Without its slots.
        rates : ndarray of shape (n_steps,)
            Learning rate of each step.
        rows : ndarray of int64 of shape (n_rows,)
            Numbers of the rows of all minibatches, one after the other.
        counts : ndarray of int64 of shape (n_steps,)
            How many of these rows each minibatch has.
        share : float
            Share of this shard in the sum of all weights. The gradient of a local
            minibatch gets this share of the penalties.
        """
        weight = self._weight_of(rows)
        if weight == 0:
            return 0.0, state, 0.0
        given = self.plan.regularization
        own = given._replace(l2=given.l2 * share, l1=given.l1 * share, seed=self._seed)
        self._steps = self._with_room(self._steps, int(counts.max()), own, self.plan.optimizer)
        room, runner = self._steps
        assert runner.optimizer is not None
        slots = runner.optimizer.slots
        vars(runner.optimizer).update(vars(optimizer), slots=slots)
        parts = [runner.network.params, slots]
        if runner.averaging is not None:
            parts.append(runner.averaging.mean)
        for part, values in zip(parts, split(state, parts), strict=True):
            part[:] = values
        order = self._filled(rows, counts, room)
        n_with_rows = np.count_nonzero(counts)
        loss = self._run(runner, order, rates) / (room * n_with_rows)
        return loss, np.concatenate(parts), weight

    def _weight_of(self, rows: np.ndarray) -> float:
        return float(self.data.weights[rows].sum(dtype=np.float64))

    @property
    def _seed(self) -> int:
        """The seed of this shard's dropout and noise."""
        return self.plan.regularization.seed + min(self.places)

    def _run(self, runner: EpochRunner, order: np.ndarray, rates: np.ndarray) -> float:
        from sknet._engine.threads import ThreadTeam

        with ThreadTeam(self.plan.n_jobs, runner.step_flops) as team:
            return runner.run(team, order, rates)

    def _with_room(
        self,
        known: tuple[int, EpochRunner] | None,
        n: int,
        regularization: Regularization,
        optimizer: Optimizer | None,
        *,
        is_exact: bool = False,
    ) -> tuple[int, EpochRunner]:
        """Return a runner whose minibatches have room for n rows, if possible the known one."""
        from sknet._training.averaging import Averaging
        from sknet._training.epoch import EpochRunner

        if known is not None and known[0] >= n:
            return known
        room = n if is_exact else -(-n // ROOM) * ROOM
        params = self.plan.network.params.copy()
        averaging = None
        if optimizer is not None:
            slots = optimizer.slots.copy()
            optimizer = object.__new__(type(optimizer))
            vars(optimizer).update(vars(self.plan.optimizer), slots=slots)
            if self.plan.ema_decay is not None:
                averaging = Averaging(self.plan.ema_decay, params.copy(), params)
        # The numbers of rows say how many the last minibatch has: all have the same room.
        data = self.data._replace(rows=np.zeros(room, np.int64))
        network = self.plan.network.with_params(params)
        return room, EpochRunner(network, data, room, regularization, optimizer, averaging)

    def _filled(self, rows: np.ndarray, counts: np.ndarray, room: int) -> np.ndarray:
        """Return rows of minibatches with room for each, filled up by the row that counts nothing."""
        order = np.full((counts.size, room), self.n, np.int64)
        order[np.arange(room, dtype=np.int64) < counts[:, None]] = rows
        return order.reshape(-1)


def split(state: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    """Return views of a flat vector, of the sizes of other vectors."""
    return np.split(state, np.cumsum([part.size for part in like])[:-1])
