"""Steps with gradients that were computed elsewhere, such as on other machines."""

from __future__ import annotations

import numpy as np

from sknet._engine.barrier import new_barrier
from sknet._engine.kernels import KEEP, PENALTY, RATE, SCALE
from sknet._network.network import Network
from sknet._training.averaging import Averaging
from sknet._training.contract import Dataset, Regularization
from sknet._training.update import UpdateProgram
from sknet._training.workspace import ThreadProgram, Workspace
from sknet.optimizers import Optimizer


class StepRunner:
    """Adds penalties to a gradient, divides it by the sum of weights, and takes a step with it.

    Parameters
    ----------
    network : Network
        Its parameters are overwritten by every step.
    regularization : Regularization
    optimizer : Optimizer, default=None
        Its slots are overwritten. None takes no steps.
    averaging : Averaging, default=None
        Its mean is updated after every step.
    """

    def __init__(
        self,
        network: Network,
        regularization: Regularization,
        optimizer: Optimizer | None = None,
        averaging: Averaging | None = None,
    ) -> None:
        self.optimizer, self.averaging = optimizer, averaging
        dtype = network.params.dtype
        nothing = np.empty((0, network.layout.units[0]), dtype), np.empty((0, 1), dtype)
        data = Dataset(*nothing, np.empty(0, dtype), np.empty(0, np.int64))
        self.workspace = Workspace(network, data, 1, regularization, optimizer is not None)
        n_constants = 0 if optimizer is None else optimizer.constants(np.ones(1)).shape[1]
        self.thread = ThreadProgram(self.workspace, 0, 1, new_barrier(), [network], n_constants)
        UpdateProgram(
            self.thread, optimizer, None if averaging is None else averaging.mean
        ).append()
        self.table = self.thread.program.finish()

    @property
    def grad(self) -> np.ndarray:
        """The last gradient, with penalties, where no steps are taken."""
        return self.workspace.grad

    def step(self, value: float, grad: np.ndarray, weight: float, rate: float, t: int) -> float:
        """Take a step, and return the objective before it.

        Parameters
        ----------
        value : float
            Sum of weighted losses.
        grad : ndarray of shape (n_parameters,)
            Its gradient.
        weight : float
            Sum of weights, > 0.
        rate : float
            Learning rate.
        t : int
            Number of steps before this one.
        """
        scalars = self.thread.scalars
        scalars[SCALE], scalars[RATE] = 1 / weight, rate
        if self.averaging is not None:
            scalars[KEEP] = self.averaging.keep_factors(t, 1)[0]
        if self.optimizer is not None:
            self.optimizer.t = t
            self.thread.step_constants[:] = self.optimizer.constants(np.array([rate]))[0]
        self.workspace.grad[:] = grad
        self.table.run(self.thread.step_constants)
        return (value + float(scalars[PENALTY])) / weight
