"""An epoch: a kernel that runs a program over minibatches, in calls that return often.

All threads run the same kernel, each with a program of its own. Python handles
signals (Ctrl-C) between two calls. A step changes the parameters as a whole or
not at all, so after each call they are those of the last whole step.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from sknet._engine.barrier import new_barrier
from sknet._engine.compilation import compile_kernel, kernel
from sknet._engine.kernels import (
    ABANDONED,
    ALL_READY,
    BATCH_SIZE,
    BATCH_VALUE,
    BATCH_WEIGHT,
    END_READY,
    FIRST_READY,
    FIRST_STEP,
    KEEP,
    N_DONE,
    N_LEFT,
    OBJECTIVE,
    PENALTY,
    PHASE,
    RATE,
    ROW,
    SCALE,
    STEP,
    VALUE,
)
from sknet._engine.memory import read_only
from sknet._engine.program import execute
from sknet._engine.threads import Pace, ThreadTeam
from sknet._network.network import TRAINING_FLOPS, Network
from sknet._training.averaging import Averaging
from sknet._training.contract import Dataset, Regularization
from sknet._training.gradient import (
    FULL,
    LAST_REMAINDER,
    N_SECTIONS,
    REMAINDER,
    UPDATE,
    GradientProgram,
)
from sknet._training.stage import MICROBATCH
from sknet._training.update import UpdateProgram
from sknet._training.workspace import ThreadProgram, Workspace, networks_for_threads
from sknet.optimizers import Optimizer


class EpochRunner:
    """Runs epochs over a data set. Without an optimiser it computes loss and gradient.

    Parameters
    ----------
    network : Network
        Its parameters are overwritten by every step.
    data : Dataset
    batch_size : int
        Rows of a minibatch.
    regularization : Regularization
    optimizer : Optimizer, default=None
        Its slots are overwritten. None takes no steps.
    averaging : Averaging, default=None
        Its mean is updated after every step.
    """

    def __init__(
        self,
        network: Network,
        data: Dataset,
        batch_size: int,
        regularization: Regularization,
        optimizer: Optimizer | None = None,
        averaging: Averaging | None = None,
    ) -> None:
        data.check(network)
        self.network, self.data = network, data
        self._weights = read_only(data.weights)
        self.optimizer, self.averaging = optimizer, averaging
        self.batch_size = batch_size
        self.step_flops = TRAINING_FLOPS * batch_size * network.layout.n_weights
        has_optimizer = optimizer is not None
        self.workspace = Workspace(network, data, batch_size, regularization, has_optimizer)
        self._n_constants = 0 if optimizer is None else optimizer.constants(np.ones(1)).shape[1]
        self._teams: dict[int, list[_Thread]] = {}
        # Steps before this epoch, and the thread whose counters have those of this epoch. It is
        # replaced as a whole, so that an interrupt at any moment finds a true count.
        self._progress: tuple[int, ThreadProgram | None] = (0, None)
        # Steps before the next epoch, for dropout and noise, where no optimiser counts them.
        self.t = 0

    def restart(self, n_steps: int) -> None:
        """Count steps from a number of steps that are done, for another call of training."""
        self._progress = (n_steps, None)
        self.workspace.restart()

    @property
    def grad(self) -> np.ndarray:
        """The gradient of the last minibatch, with penalties, where no steps are taken."""
        return self.workspace.grad

    @property
    def n_steps(self) -> int:
        """Steps made so far, at any moment, also when an epoch was interrupted."""
        n_before, thread = self._progress
        return n_before + (0 if thread is None else int(thread.counters[N_DONE]))

    @property
    def objective(self) -> float:
        """What `run` returns or, if it was interrupted, would have returned, of the last epoch."""
        _, thread = self._progress
        return 0.0 if thread is None else float(thread.scalars[OBJECTIVE])

    def run(self, team: ThreadTeam, order: np.ndarray, rates: np.ndarray) -> float:
        """Pass once over the data.

        Parameters
        ----------
        team : ThreadTeam
            Whose threads to use.
        order : ndarray of int64 of shape (n_rows,)
            Numbers of all rows that count, in the order in which to take them.
        rates : ndarray of shape (n_steps,)
            Learning rate of each step.

        Returns
        -------
        float
            Sum over minibatches of rows times objective. The objective is
            (value + penalty) / sum of weights, before the step, as in
            scikit-learn. A minibatch whose weights are all zero is left out.
        """
        first_step = self.t if self.optimizer is None else self.optimizer.t
        rates, constants = self._per_step(rates, first_step)
        self._progress = (self.n_steps, None)
        if self.workspace.stage is not None:
            self.workspace.stage.clear()
        objective, done = 0.0, 0
        for n_threads, steps in team.schedule_steps(len(constants)):
            threads = self._threads(n_threads)
            own = threads[0].program
            for thread in threads:
                thread.program.begin(first_step, done)
            own.scalars[OBJECTIVE] = objective
            self._progress = (self._progress[0], own)
            arguments = self._weights, order, rates, constants[: steps.stop]
            for thread in threads:
                thread.compile(arguments)
            start = perf_counter()
            self._steps(team, threads, arguments)
            team.record(n_threads, steps.stop - done, perf_counter() - start)
            objective, done = self.objective, steps.stop
        return objective

    def _steps(
        self,
        team: ThreadTeam,
        threads: Sequence[_Thread],
        arguments: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """Make the steps that are not done yet, in calls that return soon."""
        own, *others = threads
        counters, pace = own.program.counters, own.pace
        _, order, _, constants = arguments
        stage = self.workspace.stage
        while counters[N_DONE] < len(constants):
            if stage is not None:
                stage.make_ready(order, [thread.program.counters for thread in threads])
            budget = pace.units
            for thread in threads:
                thread.program.counters[N_LEFT] = budget
            start = perf_counter()
            if others:
                tasks = [partial(thread.run, arguments) for thread in others]
                team.run(partial(own.run, arguments), tasks, own.program.abandon)
            else:
                own.run(arguments)
            pace.record(budget - int(counters[N_LEFT]), perf_counter() - start)

    def _per_step(self, rates: np.ndarray, first_step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return learning rate and averaging factor, and the optimiser's constants, by step."""
        if self.optimizer is None:
            constants = np.empty((rates.size, 0))
        else:
            constants = self.optimizer.constants(rates)
        keeps: np.ndarray | float = 0.0
        if self.averaging is not None:
            keeps = self.averaging.keep_factors(first_step, rates.size)
        table = np.empty((2, rates.size))
        table[0], table[1] = rates, keeps
        return table, constants.astype(self.network.params.dtype)

    def _threads(self, n_threads: int) -> list[_Thread]:
        if n_threads not in self._teams:
            barrier, networks = new_barrier(), networks_for_threads(self.network, n_threads)
            programs = [
                ThreadProgram(
                    self.workspace, thread, n_threads, barrier, networks, self._n_constants
                )
                for thread in range(n_threads)
            ]
            mean = None if self.averaging is None else self.averaging.mean
            for program in programs:
                GradientProgram(program).append()
                UpdateProgram(program, self.optimizer, mean).append()
            threads = [_Thread(program, self.step_flops) for program in programs]
            self._teams[n_threads] = threads
        return self._teams[n_threads]


class _Thread:
    """A thread's finished program, ready to run. It keeps alive all that the program addresses."""

    def __init__(self, program: ThreadProgram, step_flops: float) -> None:
        self.program = program
        table = program.program.finish()
        workspace = program.workspace
        self.pace = Pace(step_flops * workspace.size / workspace.batch_size / table.phases.size)
        # In one array, since each argument of the kernel takes time to compile.
        positions = np.concatenate([table.sections, table.phases])
        self.arguments = (
            table.instructions, positions, program.indices, program.step_constants, program.scalars,
            program.counters,
        )  # fmt: skip
        self._is_compiled = False

    def compile(self, arguments: tuple[Any, ...]) -> None:
        """Compile the kernel, if no other program has needed it before."""
        if not self._is_compiled:
            compile_kernel(run_steps, (*arguments, *self.arguments))
            self._is_compiled = True

    def run(self, arguments: tuple[Any, ...]) -> None:
        """Call the kernel."""
        run_steps(*arguments, *self.arguments)


@kernel
def run_steps(
    weights, order, rates, constants, instructions, positions, index, step_constants, scalars,
    counters,
):  # fmt: skip
    """Make the next steps of an epoch, until as many phases have run as `counters` allow.

    `positions` has where sections begin among phases, and behind these where phases
    begin among instructions. A call continues where the one before has returned. It also returns
    where the next rows are not ready.
    """
    batch_size, step, begin = counters[BATCH_SIZE], counters[N_DONE], counters[ROW]
    phase, n_left = counters[PHASE], counters[N_LEFT]
    while step < constants.shape[0]:
        start = step * batch_size
        n = min(batch_size, order.size - start)
        if begin == 0 and phase == 0:
            weight_sum = 0.0
            for i in range(start, start + n):
                weight_sum += weights[order[i]]
            if weight_sum == 0:
                step += 1
                counters[N_DONE] = step
                continue
            scalars[BATCH_WEIGHT], scalars[SCALE] = weight_sum, 1 / weight_sum
            scalars[RATE], scalars[KEEP] = rates[0, step], rates[1, step]
            scalars[BATCH_VALUE] = 0.0
            counters[STEP] = counters[FIRST_STEP] + step
            for i in range(step_constants.size):
                step_constants[i] = constants[step, i]
        is_update = False
        while not is_update:
            is_update = begin >= n
            m = min(MICROBATCH, n - begin)
            if is_update:
                section = UPDATE
            else:
                remainder = REMAINDER if n == batch_size else LAST_REMAINDER
                section = FULL if m == MICROBATCH else remainder
                section += 1 if begin > 0 else 0
            counters[ROW] = begin
            first_ready, after = counters[FIRST_READY], start + begin + m
            if first_ready != ALL_READY and not is_update and after > counters[END_READY]:
                counters[PHASE] = 0
                counters[N_LEFT] = n_left
                return
            if phase == 0:
                size = index.size // 3
                for i in range(m):
                    index[i] = order[start + begin + i]
                    index[2 * size + i] = start + begin + i - first_ready
                for i in range(min(size, order.size - after)):
                    index[size + i] = order[after + i]
            first = positions[section] + phase
            n_phases = positions[section + 1] - first
            # The phases of an update differ between threads. They are not counted, and not parted.
            allowed = n_phases if is_update else min(n_phases, n_left)
            for p in range(N_SECTIONS + 1 + first, N_SECTIONS + 1 + first + allowed):
                execute(instructions, positions[p], positions[p + 1], step_constants)
                if scalars[ABANDONED] != 0:
                    return
            if allowed < n_phases:
                counters[PHASE] = phase + allowed
                counters[N_LEFT] = 0
                return
            n_left -= 0 if is_update else allowed
            if not is_update:
                scalars[BATCH_VALUE] += scalars[VALUE]
            begin += m
            phase = 0
        value = scalars[BATCH_VALUE] + scalars[PENALTY]
        scalars[OBJECTIVE] += n * value / scalars[BATCH_WEIGHT]
        begin = 0
        step += 1
        counters[ROW] = 0
        counters[N_DONE] = step
    counters[PHASE] = 0
    counters[N_LEFT] = n_left
