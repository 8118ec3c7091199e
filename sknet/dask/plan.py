"""What travels between the process that fits and its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sknet.estimators.targets import Targets

if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.contract import Regularization
    from sknet.optimizers import Optimizer


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
    n_targets : int
        Columns of what the loss takes.
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
    n_targets: int
    class_weights: list[np.ndarray]
    regularization: Regularization
    optimizer: Optimizer | None
    ema_decay: float | None
    n_jobs: int | None
