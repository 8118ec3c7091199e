"""Gradients and steps of training, computed by shards on their workers."""

from __future__ import annotations

import copy
import operator
from collections import deque
from itertools import starmap
from typing import Any

import numpy as np

from sknet._engine.threads import ThreadTeam
from sknet._network.network import Network
from sknet._training.averaging import Averaging
from sknet._training.contract import Dataset, Regularization
from sknet._training.steps import StepRunner
from sknet.dask.calculator import split
from sknet.dask.plan import Plan
from sknet.dask.shards import Shards
from sknet.optimizers import Optimizer


class ShardedRunner:
    """Takes the place of :class:`~sknet._training.epoch.EpochRunner`, with shards on workers.

    Parameters, slots and mean live here. Shards are given them, and keep nothing, so
    what is here is always the last synchronised state.

    Parameters
    ----------
    shards : Shards
    sync_every : int
        Steps between two synchronisations. With 1, the gradients of the shards are
        summed. With more, each shard takes its own steps, and the states of all are
        averaged.
    plan : Plan
        Its network and optimiser are replaced by those below.
    network, data, batch_size, regularization, optimizer, averaging
        As for :class:`~sknet._training.epoch.EpochRunner`. Of the data, only the
        numbers of rows are there.
    """

    def __init__(
        self,
        shards: Shards,
        sync_every: int,
        plan: Plan,
        network: Network,
        data: Dataset,
        batch_size: int,
        regularization: Regularization,
        optimizer: Optimizer | None = None,
        averaging: Averaging | None = None,
    ) -> None:
        self.shards, self.sync_every = shards, sync_every
        self.network, self.data, self.batch_size = network, data, batch_size
        self.optimizer, self.averaging = optimizer, averaging
        self.step_flops = 0.0  # none on this machine
        self.n_steps, self.objective = 0, 0.0
        self._stepper = StepRunner(network, regularization, optimizer, averaging)
        self._parts = [network.params]
        if optimizer is not None:
            self._parts.append(optimizer.slots)
        if averaging is not None:
            self._parts.append(averaging.mean)
        weights = shards.prepare(plan._replace(network=network, optimizer=optimizer))
        if not any(weights):
            raise ValueError(
                "Sample weights must contain at least one non-zero number: sample_weight and "
                "class_weight leave a weight of zero for all rows."
            )

    @property
    def grad(self) -> np.ndarray:
        """The last gradient, with penalties, where no steps are taken."""
        return self._stepper.grad

    def restart(self, n_steps: int) -> None:
        """Count steps from a number of steps that are done."""
        self.n_steps = n_steps

    def run(self, team: ThreadTeam, order: np.ndarray, rates: np.ndarray) -> float:
        """Pass once over the data, and return the sum of rows times objective by minibatch."""
        self.objective = 0.0
        if self.optimizer is None:
            self._together(None, order.size, 0.0, 0)
            return self.objective
        first_step = self.optimizer.t
        for start in range(0, rates.size, self.sync_every):
            steps = slice(start, min(start + self.sync_every, rates.size))
            rows = order[steps.start * self.batch_size : steps.stop * self.batch_size]
            t = first_step + start
            if self.sync_every == 1:
                self._together(rows, rows.size, rates[start], t)
            else:
                self._apart(rows, rates[steps], t)
        return self.objective

    def _together(self, rows: np.ndarray | None, n: int, rate: float, t: int) -> None:
        """Sum the gradients of all shards, and take one step."""

        def arguments() -> list[tuple[Any, ...] | None]:
            if rows is None:
                return [(self.network.params, t, None)] * len(self.shards.placed)
            own = [numbers for _, numbers in self.shards.local_rows(rows)]
            return [(self.network.params, t, numbers) if numbers.size else None for numbers in own]

        values, grads, weights = zip(*self.shards.call("gradient", arguments), strict=True)
        total, objective = sum(weights), self.objective
        if total > 0:
            grad = grads[0] if len(grads) == 1 else sum(grads[1:], start=grads[0])
            objective += n * self._stepper.step(sum(values), grad, total, rate, t)
        vars(self).update(objective=objective, n_steps=self.n_steps + 1)

    def _apart(self, rows: np.ndarray, rates: np.ndarray, t: int) -> None:
        """Let each shard take steps with its own rows of the minibatches, and average the states.

        References
        ----------
        Stich, S. U. (2019). Local SGD converges fast and communicates little. ICLR.

        Lin, T., Stich, S. U., Patel, K. K., Jaggi, M. (2020). Don't use large
        mini-batches, use local SGD. ICLR.
        """
        assert self.optimizer is not None
        settings = copy.copy(self.optimizer)
        settings.slots, settings.t = self.optimizer.slots[:0], t
        state = np.concatenate(self._parts)
        minibatch = np.arange(rows.size, dtype=np.int64) // self.batch_size

        def arguments() -> list[tuple[Any, ...] | None]:
            total = sum(self.shards.weights)
            calls: list[tuple[Any, ...] | None] = []
            for (positions, numbers), weight in zip(
                self.shards.local_rows(rows), self.shards.weights, strict=True
            ):
                counts = np.bincount(minibatch[positions], minlength=rates.size)
                call = (state, settings, rates, numbers, counts, weight / total)
                calls.append(call if numbers.size else None)
            return calls

        losses, states, weights = zip(*self.shards.call("steps", arguments), strict=True)
        total, objective = sum(weights), self.objective
        if total > 0:
            shares = [weight / total for weight in weights]
            mean = np.zeros(state.size)
            for share, own in zip(shares, states, strict=True):
                mean += share * own
            state = mean.astype(state.dtype)
            objective += rows.size * float(np.dot(shares, losses))
        # All at once, so that an interrupt at any moment finds values that agree.
        changes = {"objective": objective, "n_steps": self.n_steps + rates.size}
        calls = [
            *(
                (np.copyto, *pair)
                for pair in zip(self._parts, split(state, self._parts), strict=True)
            ),
            (vars(self).update, changes),
        ]
        deque(starmap(operator.call, calls), maxlen=0)
