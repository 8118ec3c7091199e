"""Training by L-BFGS: the same loss and gradient, over all rows at once, handed to scipy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from sklearn.exceptions import ConvergenceWarning

from sknet._engine.threads import Team
from sknet._network.network import FLOPS, Network
from sknet._training.epoch import Data, Recipe, Training
from sknet._training.monitor import Monitor, Report, Tasks, Validation


def run(
    model: Any,
    network: Network,
    recipe: Recipe,
    monitor: Monitor,
    validation: Validation | None,
    data: Data,
    rows: np.ndarray,
    tasks: Tasks,
) -> None:
    """Minimise from the network's parameters on, and leave the result there.

    Parameters
    ----------
    model : object
        Gives ``tol``, ``max_iter``, ``max_fun``, ``verbose``, ``n_jobs`` and so on, and
        receives ``n_iter_``, ``loss_`` and the curves as training goes.
    network : Network
        In float64: the line search compares losses beyond float32's precision.
    recipe : Recipe
    monitor : Monitor
        Stops training where it sees no more progress, with ``early_stopping``; without
        that is left to ``tol``.
    validation : Validation or None
        What to record after each iteration.
    data : Data
    rows : ndarray of int64
        The rows of `data` to train on.
    tasks : Tasks
        Callbacks.

    Warns
    -----
    ConvergenceWarning
        Where scipy reports anything but convergence.
    """
    n = rows.size
    training = Training(network, data, n, n, recipe)
    report = Report(model)
    is_stopped = has_begun = False

    def loss_and_grad(params: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal has_begun
        if not has_begun and model.n_iter_ < model.max_iter:
            tasks.epoch_begins()
            has_begun = True
        network.params[:] = params
        total = training.run(team, rows, np.zeros(1))
        return total / n, training.grad.copy()

    def iteration_ends(intermediate_result: OptimizeResult) -> None:
        nonlocal is_stopped, has_begun
        network.params[:] = intermediate_result.x
        model.n_iter_ += 1
        model.loss_ = float(intermediate_result.fun)
        model.loss_curve_.append(model.loss_)
        if validation is not None:
            validation.record(model, network)
        report.epoch(validation is not None)
        is_stopped, has_begun = tasks.epoch_ends(), False
        monitor.epoch_ends(network)
        if model.early_stopping and model._no_improvement_count > model.n_iter_no_change:
            report.plateau(monitor.quantity, "Stopping.")
            is_stopped = True
        if is_stopped:
            raise StopIteration

    model.n_iter_ = 0
    try:
        with Team(model.n_jobs, FLOPS * n * network.layout.n_weights) as team:
            result = minimize(
                loss_and_grad,
                network.params.copy(),
                method="L-BFGS-B",
                jac=True,
                callback=iteration_ends,
                options={"maxfun": model.max_fun, "maxiter": model.max_iter, "gtol": model.tol},
            )
    finally:
        report.ends()
    network.params[:] = result.x
    model.n_iter_ = min(result.nit, model.max_iter)
    model.loss_ = float(result.fun)
    monitor.training_ends(network)
    if has_begun:  # a line search that came to nothing
        tasks.epoch_ends()
    tasks.training_ends()
    if result.status != 0 and not is_stopped:
        more = (
            f"\nIncrease the number of iterations to improve the convergence "
            f"(max_iter={model.max_iter})."
            if model.n_iter_ == model.max_iter
            else ""
        )
        warnings.warn(
            f"lbfgs failed to converge after {model.n_iter_} iteration(s) "
            f"(status={result.status}):\n{result.message}\n{more}\nYou might also want to scale "
            "the data, for instance with sklearn.preprocessing.StandardScaler.",
            ConvergenceWarning,
            stacklevel=2,
        )
