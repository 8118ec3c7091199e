"""Training by L-BFGS: the same loss and gradient, over all rows at once, handed to scipy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from sknet._network import FLOPS, Network
from sknet._team import Team
from sknet._training import Data, Training, epoch


def run(model: Any, network: Network, data: Data) -> None:
    """Minimise from the network's parameters on, and leave the result there.

    Parameters
    ----------
    model : object
        Gives ``alpha``, ``tol``, ``max_iter`` and ``max_fun``, and receives
        ``n_iter_`` and ``loss_``.
    network : Network
        In float64: the line search compares losses beyond float32's precision.
    data : Data

    Warns
    -----
    ConvergenceWarning
        Where scipy reports anything but convergence.
    """
    n = data.weights.size
    training = Training(network, data, n, n, float(model.alpha))
    arguments = training.arguments(np.arange(n), np.empty((1, 0)))

    def loss_and_grad(params: np.ndarray) -> tuple[float, np.ndarray]:
        network.params[:] = params
        total = team.run(epoch, training.seats, *arguments)
        return total / n, training.grad.copy()

    with Team(model.n_jobs, FLOPS * n * network.layout.n_weights) as team:
        result = minimize(
            loss_and_grad,
            network.params.copy(),
            method="L-BFGS-B",
            jac=True,
            options={"maxfun": model.max_fun, "maxiter": model.max_iter, "gtol": model.tol},
        )
    network.params[:] = result.x
    model.n_iter_ = min(result.nit, model.max_iter)
    model.loss_ = float(result.fun)
    if result.status != 0:
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
