"""What a worker computes with the rows of its shard: gradients and local steps."""

from __future__ import annotations

import numpy as np

from sknet._engine.threads import ThreadTeam
from sknet._training.averaging import Averaging
from sknet._training.contract import Dataset, Regularization
from sknet._training.epoch import EpochRunner
from sknet.dask.plan import Plan
from sknet.optimizers import Optimizer

# Minibatches of a shard differ in size. Their buffers have room for a multiple of so many rows.
ROOM = 32


class Calculator:
    """Computes gradients and takes steps with the rows of a shard.

    It keeps no state of the training. Each call gets the parameters and returns what it
    has computed from them, so a call can be repeated anywhere.

    Parameters
    ----------
    plan : Plan
    data : Dataset
        The rows of the shard, and one more row of weight 0, which fills up minibatches.
    seed : int
        Of dropout and noise.
    """

    def __init__(self, plan: Plan, data: Dataset, seed: int) -> None:
        self.plan, self.data, self.n = plan, data, data.rows.size
        self.regularization = plan.regularization._replace(seed=seed)
        self.weight = self._weight_of(data.rows)
        # Programs with the room that their minibatches have.
        self._gradients: tuple[int, EpochRunner] | None = None
        self._steps: tuple[int, EpochRunner] | None = None

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
        weight = self.weight if rows is None else self._weight_of(rows)
        if weight == 0:
            return 0.0, np.zeros_like(params), 0.0
        given = self.regularization
        random = Regularization(dropout=given.dropout, noise=given.noise, seed=given.seed)
        n = self.n if rows is None else rows.size
        self._gradients = self._with_room(self._gradients, n, random, None, is_exact=rows is None)
        room, runner = self._gradients
        order = self.data.rows if rows is None else self._filled(rows, np.array([n]), room)
        runner.network.params[:] = params
        runner.t = t
        loss = self._run(runner, order, np.zeros(1)) / order.size
        return loss * weight, runner.grad * params.dtype.type(weight), weight

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
        given = self.regularization
        own = given._replace(l2=given.l2 * share, l1=given.l1 * share)
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

    def _run(self, runner: EpochRunner, order: np.ndarray, rates: np.ndarray) -> float:
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
        """Return rows of minibatches with room for each, filled up by a row of weight 0."""
        order = np.full((counts.size, room), self.n, np.int64)
        order[np.arange(room, dtype=np.int64) < counts[:, None]] = rows
        return order.reshape(-1)


def split(state: np.ndarray, like: list[np.ndarray]) -> list[np.ndarray]:
    """Return views of a flat vector, of the sizes of other vectors."""
    return np.split(state, np.cumsum([part.size for part in like])[:-1])
