"""A fit whose rows are in shards: from what is known of the partitions to a fitted estimator."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from sknet.dask.plan import PartitionFacts, Plan
from sknet.dask.shards import Shards
from sknet.estimators.data import GivenData, ValidationMaker
from sknet.estimators.engine import load_engine
from sknet.estimators.fit_outcome import additions_to, notices_of
from sknet.estimators.fit_start import (
    network_to_train,
    observers_of,
    records_to_go_on,
    state_to_go_on,
)
from sknet.estimators.parameters import (
    check_together,
    plain_numbers,
    random_state_of,
    training_config,
)
from sknet.estimators.targets import Targets
from sknet.estimators.unused_parameters import warn_of_unused
from sknet.estimators.user_warnings import warn_user
from sknet.hidden_sizes import parse_hidden_layer_sizes

# With sync_every='auto', shards compute together where each has so many floating-point operations
# in a step, which take some ten round trips of a few milliseconds. Otherwise they take so many
# steps apart.
TOGETHER_FLOPS, STEPS_APART = 1e9, 16


class Facts:
    """What is known of all rows.

    Parameters
    ----------
    parts : list of PartitionFacts

    Raises
    ------
    ValueError
        If there are no rows, or if partitions contradict each other.
    """

    def __init__(self, parts: list[PartitionFacts]) -> None:
        parts = [part for part in parts if part.n_rows > 0]
        if not parts:
            raise ValueError("X has no rows. Give at least one.")
        first = parts[0]
        for part in parts:
            if part.n_features != first.n_features or part.feature_names != first.feature_names:
                raise ValueError(
                    f"Partition {part.number} of X has the {part.n_features} features "
                    f"{part.feature_names or ''}, but partition {first.number} has the "
                    f"{first.n_features} features {first.feature_names or ''}. All partitions must "
                    "have the same columns."
                )
        self.n_rows = sum(part.n_rows for part in parts)
        self.n_features, self.feature_names = first.n_features, first.feature_names
        self.dtype = np.result_type(*(part.dtype for part in parts))
        labels = [part.labels for part in parts if part.labels is not None]
        if len({array.ndim for array in labels}) > 1:
            raise ValueError("y has one column in some partitions and several in others.")
        # A few rows that stand for y.
        self.labels, self.counts = np.concatenate(labels), None
        if first.counts is not None:
            counts = np.concatenate([part.counts for part in parts if part.counts is not None])
            self.labels, codes = np.unique(self.labels, return_inverse=True)
            self.counts = np.bincount(codes, weights=counts)
            # scikit-learn would take a class for each row for numbers.
            self.labels = np.repeat(self.labels, 3)

    def class_weights(self, targets: Targets, given: Any) -> list[np.ndarray]:
        """Return the weights of classes, one table for each column of targets; [] for None."""
        if given != "balanced":
            return targets.class_weights(self.labels, given)
        if self.counts is None:
            raise ValueError(
                "class_weight='balanced' is not for indicator matrices of several labels on Dask. "
                "Give a list with one dict for each label."
            )
        return [self.n_rows / (self.counts.size * self.counts)]


def check_supported(model: Any, X_val: Any) -> None:
    """Raise ValueError for parameters that a fit on shards does not take."""
    if model.early_stopping and X_val is None:
        raise ValueError(
            "early_stopping=True needs X_val and y_val here: no rows are held out of a Dask "
            "collection. Give arrays that fit into the memory of this process."
        )
    remedies = {
        "warm_start": (model.warm_start, "Each fit starts from new weights. Set it to False."),
        "training_scoring": (
            model.training_scoring is not None,
            "The rows are not in this process. Give X_val and y_val to score them.",
        ),
    }
    for name, (is_set, remedy) in remedies.items():
        if is_set:
            raise ValueError(f"{name}={getattr(model, name)!r} is not for Dask. {remedy}")
    if getattr(model, "_skl_callbacks", None):
        raise ValueError(
            "The estimator has callbacks of scikit-learn, which are not called on Dask. Remove "
            "them, or set verbose=True to watch the fit."
        )


def steps_apart(sync_every: Any, batch_size: int, n_weights: int, n_shards: int) -> int:
    """Return how many steps shards take between two synchronisations."""
    from sknet._network.network import TRAINING_FLOPS

    if sync_every != "auto":
        return int(sync_every)
    is_large = TRAINING_FLOPS * batch_size * n_weights >= TOGETHER_FLOPS * n_shards
    return 1 if is_large or n_shards == 1 else STEPS_APART


def fit_on_shards(model: Any, shards: Shards, sync_every: Any, validation: GivenData) -> None:
    """Fit an estimator of sknet to the rows of shards.

    It takes the steps of :meth:`BaseMLP.fit`, with what is known of the rows in place of
    the rows.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        Not fitted yet, with valid parameters.
    shards : Shards
    sync_every : int or 'auto'
    validation : GivenData
        Validation data in the memory of this process.
    """
    load_engine()
    from sknet._training.contract import Dataset
    from sknet._training.trainer import train
    from sknet.dask.runner import ShardedRunner

    check_supported(model, validation.X)
    facts = Facts(shards.load())
    model.n_features_in_ = facts.n_features
    if facts.feature_names is not None:
        model.feature_names_in_ = np.array(facts.feature_names, dtype=object)
    hidden = parse_hidden_layer_sizes(model.hidden_layer_sizes)
    random_state = random_state_of(model.random_state, is_kept=False)
    targets, encoded = model._encode(facts.labels, is_incremental=False, classes=None)
    class_weights = facts.class_weights(targets, getattr(model, "class_weight", None))
    rows = np.arange(facts.n_rows, dtype=np.int64)
    X = np.empty((0, facts.n_features), facts.dtype)
    data = Dataset(X, encoded[:0].astype(X.dtype), np.empty(0, X.dtype), rows)
    network = network_to_train(model, targets, encoded, X, hidden, None, random_state)
    check_together(vars(model), len(hidden), is_sparse=False)
    model._show(network)
    maker = ValidationMaker(model, targets, class_weights, model._show)
    scored = maker.of_user(validation, X.dtype, encoded.shape[1])
    warn_of_unused(model, len(hidden), scored is not None, False)
    records, curves = records_to_go_on(model, True, False, scored)
    plain = plain_numbers(vars(model))
    config = training_config(plain, rows.size, len(hidden), scored is not None, False, random_state)
    state = state_to_go_on(plain, network.params, records, False)
    observers = observers_of(model, model, validation, curves, None, rows.size)
    every = steps_apart(sync_every, config.batch_size, network.layout.n_weights, len(shards.placed))
    plan = Plan(
        network=network,
        dtype=X.dtype,
        targets=targets,
        n_targets=encoded.shape[1],
        class_weights=class_weights,
        regularization=config.regularization,
        optimizer=None,
        ema_decay=plain["ema_decay"],
        n_jobs=plain["n_jobs"],
    )
    make_runner = partial(ShardedRunner, shards, every, plan)
    outcome = train(
        network, data, scored, config, state, observers, random_state, make_runner=make_runner
    )
    notices = notices_of(model, outcome, is_incremental=False)
    model._adopt(outcome, curves)
    for function, *arguments in additions_to(curves, outcome.state.records):
        function(*arguments)
    for message, category in notices:
        warn_user(message, category)
