"""The loop over epochs: Python owns epochs, kernels own batches."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknet._network import FLOPS, Network
from sknet._team import Team
from sknet._training import Data, Training, epoch
from sknet.monitoring import LossMonitor, ScoreMonitor
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule


def run(
    model: Any,
    network: Network,
    optimizer: Optimizer,
    schedule: Schedule,
    monitor: LossMonitor | ScoreMonitor,
    data: Data,
    rows: np.ndarray,
    random_state: np.random.RandomState,
    *,
    incremental: bool,
) -> None:
    """Train until the monitor sees no more progress, or for ``max_iter`` epochs.

    Parameters
    ----------
    model : object
        Gives ``batch_size``, ``shuffle``, ``alpha``, ``max_iter``, ``tol``,
        ``n_iter_no_change`` and ``verbose``, and receives ``n_iter_``,
        ``loss_``, ``loss_curve_`` and ``t_`` as training goes.
    network : Network
        Its parameters are overwritten.
    optimizer : Optimizer
        Its state goes on from where it is.
    schedule : Schedule
    monitor : LossMonitor or ScoreMonitor
    data : Data
    rows : ndarray of int64
        The rows of `data` to train on.
    random_state : RandomState
        Shuffles the rows before each epoch.
    incremental : bool
        One epoch only, for `partial_fit`.

    Warns
    -----
    ConvergenceWarning
        Where ``max_iter`` epochs were not enough.
    UserWarning
        Where the user interrupted training: the weights of the last whole
        epoch (the best ones with early stopping) are kept.
    """
    n = rows.size
    size = _batch_size(model.batch_size, n)
    n_steps = -(-n // size)
    training = Training(network, data, n, size, float(model.alpha), optimizer)
    order = np.arange(n)
    model.n_iter_ = 0
    try:
        with Team(model.n_jobs, FLOPS * size * network.layout.n_weights) as team:
            for _ in range(1 if incremental else model.max_iter):
                if model.shuffle:
                    # sklearn.utils.shuffle(order), its draws and its order, less its checks.
                    permutation = np.arange(n)
                    random_state.shuffle(permutation)
                    order = order[permutation]
                done = np.arange(n_steps) / n_steps + (0 if incremental else model.n_iter_)
                rates = optimizer.learning_rate * schedule.factors(done / model.max_iter)
                total = team.run(
                    epoch,
                    training.seats,
                    *training.arguments(rows[order], optimizer.constants(rates)),
                )
                optimizer.t += n_steps
                model.n_iter_ += 1
                model.loss_ = float(total) / n
                model.t_ += n
                model.loss_curve_.append(model.loss_)
                if model.verbose:
                    print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")

                monitor.epoch_ends(network)
                optimizer.learning_rate = schedule.epoch_ends(optimizer.learning_rate, model.t_)
                if model._no_improvement_count > model.n_iter_no_change:
                    rate, what_follows = schedule.plateau(optimizer.learning_rate)
                    if model.verbose:
                        print(
                            f"{monitor.quantity} did not improve more than tol={model.tol:f} for "
                            f"{model.n_iter_no_change} consecutive epochs. {what_follows}"
                        )
                    if rate is None:
                        break
                    optimizer.learning_rate = rate
                    model._no_improvement_count = 0
                if model.n_iter_ == model.max_iter and not incremental:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({model.max_iter}) reached and "
                        "the optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=2,
                    )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    monitor.training_ends(network)


def _batch_size(batch_size: int | str, n: int) -> int:
    if isinstance(batch_size, str):  # "auto"
        return min(200, n)
    if batch_size > n:
        warnings.warn(
            f"Got `batch_size` less than 1 or larger than sample size: batch_size={batch_size} "
            f"with {n} training samples. It is going to be clipped to {n}.",
            stacklevel=2,
        )
    return min(int(batch_size), n)
