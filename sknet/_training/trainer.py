"""The loop over epochs: Python owns epochs, kernels own batches."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknet._engine.threads import Team
from sknet._network.network import FLOPS, Network
from sknet._training.averaging import Averaging
from sknet._training.epoch import Data, Recipe, Training
from sknet._training.monitor import Monitor, Report, Tasks, Validation
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule


def run(
    model: Any,
    network: Network,
    optimizer: Optimizer,
    schedule: Schedule,
    recipe: Recipe,
    averaging: Averaging,
    monitor: Monitor,
    validation: Validation | None,
    data: Data,
    rows: np.ndarray,
    random_state: np.random.RandomState,
    tasks: Tasks | None,
) -> None:
    """Train until the monitor sees no more progress, or for ``max_iter`` epochs.

    Parameters
    ----------
    model : object
        Gives ``batch_size``, ``shuffle``, ``max_iter``, ``tol``,
        ``n_iter_no_change``, ``verbose`` and ``n_jobs``, and receives ``n_iter_``,
        ``loss_``, ``t_`` and the curves as training goes.
    network : Network
        Its parameters are overwritten.
    optimizer : Optimizer
        Its state goes on from where it is.
    schedule : Schedule
    recipe : Recipe
    averaging : Averaging
    monitor : Monitor
    validation : Validation or None
        What to record after each epoch.
    data : Data
    rows : ndarray of int64
        The rows of `data` to train on.
    random_state : RandomState
        Shuffles the rows before each epoch.
    tasks : Tasks or None
        Callbacks. None: one epoch only, for `partial_fit`.

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
    averaging.training_begins(network)
    training = Training(network, data, n, size, recipe, optimizer, averaging.mean)
    order = np.arange(n)
    model.n_iter_ = 0
    report = Report(model)
    try:
        with Team(model.n_jobs, FLOPS * size * network.layout.n_weights) as team:
            for _ in range(1 if tasks is None else model.max_iter):
                if tasks is not None:
                    tasks.epoch_begins()
                if model.shuffle:
                    # sklearn.utils.shuffle(order), its draws and its order, less its checks.
                    permutation = np.arange(n)
                    random_state.shuffle(permutation)
                    order = order[permutation]
                fractions = (optimizer.t + np.arange(n_steps)) / (n_steps * model.max_iter)
                rates = optimizer.learning_rate * schedule.factors(
                    np.minimum(fractions, np.nextafter(1, 0))
                )
                total = training.run(team, rows[order], rates)
                optimizer.t += n_steps
                model.n_iter_ += 1
                model.loss_ = float(total) / n
                model.t_ += n
                model.loss_curve_.append(model.loss_)
                model.learning_rate_curve_.append(float(rates.mean()))

                with averaging.in_place(network):
                    if validation is not None:
                        validation.record(model, network)
                    report.epoch(validation is not None)
                    monitor.epoch_ends(network)
                    is_stopped = tasks is not None and tasks.epoch_ends()
                optimizer.learning_rate = schedule.epoch_ends(optimizer.learning_rate, model.t_)
                if is_stopped:
                    break
                if model._no_improvement_count > model.n_iter_no_change:
                    rate, what_follows = schedule.plateau(optimizer.learning_rate)
                    report.plateau(monitor.quantity, what_follows)
                    if rate is None:
                        break
                    optimizer.learning_rate = rate
                    model._no_improvement_count = 0
                if model.n_iter_ == model.max_iter and tasks is not None:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({model.max_iter}) reached and "
                        "the optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=2,
                    )
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    finally:
        report.ends()
    averaging.training_ends(network)
    monitor.training_ends(network)
    if tasks is not None:
        tasks.training_ends()


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
