"""Training: an epoch over a data set, batch by batch, step by step.

All threads of a team run the same kernel, each a program of its own. Within a
batch they share its rows on the way forward and back, then the rows of W for
its gradient, then stretches of parameters for the step, and meet in between. No
sum depends on who took what, so that the result is the same to the last bit for
any number of threads.

Without an optimiser an epoch of one batch computes the objective over all rows,
and its gradient, for L-BFGS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sknet._engine.barrier import barrier, meet, share
from sknet._engine.compilation import address, execute, kernel, read_only
from sknet._engine.gemm import product
from sknet._engine.kernels import (
    BEGIN,
    CLIP,
    DECAY,
    KEEP,
    L1,
    L2,
    N_CLOCK,
    N_STATE,
    NO_STEP,
    NOW,
    PENALTY,
    RATE,
    SCALE,
    SQUARES,
    VALUE,
    add,
    add_l1_subgradient,
    add_noise,
    average,
    clear,
    clipped_step,
    copy,
    csr_affine,
    csr_weight_gradient,
    decay,
    drop,
    gather,
    project_to_orthant,
    squared_norms,
    total,
    update,
)
from sknet._engine.memory import PARAM_BLOCK
from sknet._engine.program import Program
from sknet._engine.threads import Team
from sknet._network.network import CSR, LayerBuffers, Network, aligned, padded
from sknet.optimizers import Optimizer

# Rows of a batch that are taken at a time, so that their activations stay in the cache.
MICROBATCH = 512

# Rows and columns are shared among threads by so many at a time.
ROW_BLOCK = 16

# Sections of a program: what comes before a batch, its pieces, the step. A piece is
# whole, or the rest of a batch, or the rest of the last batch; the gradient of the
# first of a batch is overwritten, those of further ones are added: `section` + 1.
BEFORE, WHOLE, REST, LAST, AFTER = 0, 1, 3, 5, 7


class Data(NamedTuple):
    """What training learns from, in the forms that kernels take.

    `X` is read-only; `targets` are what the loss takes, (n_samples, n_targets);
    `weights` are ones where the user gave none.
    """

    X: np.ndarray | CSR
    targets: np.ndarray
    weights: np.ndarray


def as_doubles(data: Any) -> Any:
    """Return `Data`, or validation data, with its arrays in float64."""

    def double(array: np.ndarray) -> np.ndarray:
        return array.astype(np.float64, copy=False)

    X = data.X
    X = X._replace(data=read_only(double(X.data))) if isinstance(X, CSR) else read_only(double(X))
    return data._replace(X=X, targets=double(data.targets), weights=double(data.weights))


class Recipe(NamedTuple):
    """What an estimator asks of training, besides a network, data and an optimiser.

    `l2` and `l1` are penalties, `decay` is decoupled weight decay, `clip` the
    longest gradient; `dropout` has a probability for each hidden layer, `noise` is
    the standard deviation added to X, and `seed` that of both. `ema_decay` is how
    much of a running mean of the parameters stays at each step.
    """

    l2: float = 0.0
    l1: float = 0.0
    decay: float = 0.0
    clip: float | None = None
    dropout: Sequence[float] = ()
    noise: float = 0.0
    ema_decay: float | None = None
    seed: int = 0


class Training:
    """Scratch for batches of one size, and the programs of those who work on them.

    Parameters
    ----------
    network : Network
        Its parameters are overwritten by every step.
    data : Data
    n_rows : int
        Rows of an epoch.
    batch_size : int
    recipe : Recipe
    optimizer : Optimizer, default=None
        None takes no steps.
    mean : ndarray of shape (n_parameters,), default=None
        A running mean of the parameters to keep.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        n_rows: int,
        batch_size: int,
        recipe: Recipe,
        optimizer: Optimizer | None = None,
        mean: np.ndarray | None = None,
    ) -> None:
        self.network, self.data, self.optimizer, self.mean = network, data, optimizer, mean
        self.batch_size, self.recipe = batch_size, recipe
        self.last_size = n_rows % batch_size
        units, dtype = network.layout.units, network.params.dtype
        n = min(batch_size, MICROBATCH)
        # Layer 0 of what layers take is the data; it needs no place if it is sparse.
        is_sparse = isinstance(data.X, CSR)
        self.taken = padded(0 if is_sparse else n, units[0], dtype)[:, : units[0]]
        self.targets = aligned((n, data.targets.shape[1]), dtype)
        self.weights = aligned((n, 1), dtype)
        needs_z = any(activation.needs_input for activation in network.activations)
        self.z = LayerBuffers(n, units[1:], dtype) if needs_z else None
        self.a = LayerBuffers(n, units[1:], dtype)
        # What slopes are taken of where units are dropped.
        self.undropped = LayerBuffers(n, units[1:], dtype) if any(recipe.dropout) else self.a
        self.delta = LayerBuffers(n, units[1:], dtype)
        self.values = np.empty(n)
        self.ones, self.zeros = np.ones((1, n), dtype), np.zeros(max(units), dtype)
        size = network.params.size
        self.grad = aligned((size,), dtype)
        self.more = aligned((size if n < batch_size else 0,), dtype)
        # The gradient with its penalty; of one stretch at a time unless it is needed whole.
        self.scaled = self.grad
        if optimizer is not None:
            self.scaled = aligned((size if recipe.clip is not None else 0,), dtype)
        # Weights before a step, where their sign matters.
        self.before = aligned((size if recipe.l1 > 0 else 0,), dtype)
        # L2 and L1 penalties, and squares of the gradient, of each stretch.
        n_stretches = -(-size // PARAM_BLOCK)
        self.penalties, self.squares = np.zeros(2 * n_stretches), np.zeros(n_stretches)
        self._teams: dict[int, list[tuple[Program, tuple[Any, ...]]]] = {}

    def seats(self, n_threads: int) -> list[tuple[Any, ...]]:
        """Return the last arguments of `epoch` for each of so many threads."""
        if n_threads not in self._teams:
            place = barrier()
            seats = (_Seat(self, thread, n_threads, place) for thread in range(n_threads))
            # Not the seats themselves: they hold this object, which would then outlive its use.
            self._teams[n_threads] = [(seat.program, seat.arguments) for seat in seats]
        return [arguments for _, arguments in self._teams[n_threads]]

    def run(self, team: Team, order: np.ndarray, rates: np.ndarray) -> float:
        """Pass once over the rows `order`, with a learning rate for each step.

        Returns the sum over batches of rows times objective.
        """
        optimizer, size = self.optimizer, self.batch_size
        if optimizer is None:
            constants, t = np.empty((rates.size, 0)), 0
        else:
            constants, t = optimizer.constants(rates), optimizer.t
        keeps = np.zeros(rates.size)
        # The mean of all parameters so far, the last ones weighing most: Kingma, D. P.,
        # Ba, J. (2015), section 3, of parameters instead of gradients.
        if self.mean is not None:
            keep, steps = self.recipe.ema_decay or 0.0, t + 1 + np.arange(rates.size)
            keeps = keep * (1 - keep ** (steps - 1)) / (1 - keep**steps)
        constants = constants.astype(self.network.params.dtype)
        result = 0.0
        for n_threads, part in team.rounds(rates.size):
            result += team.run(
                epoch,
                self.seats(n_threads),
                part.stop - part.start,
                read_only(self.data.weights),
                order[part.start * size : part.stop * size],
                size,
                t + part.start,
                rates[part],
                keeps[part],
                constants[part],
            )
        return result


class _Seat:
    """One thread's program, and what it tells and hears."""

    def __init__(self, training: Training, thread: int, n_threads: int, place: np.ndarray) -> None:
        self.of, self.network = training, training.network
        self.thread, self.n_threads, self.place = thread, n_threads, place
        dtype = self.network.params.dtype
        self.program = Program(dtype)
        n = min(training.batch_size, MICROBATCH)
        self.scratch = self.network.scratch(n)
        self.index = np.empty(n, np.int64)
        optimizer, recipe = training.optimizer, training.recipe
        constants = 0 if optimizer is None else optimizer.constants(np.ones(1)).shape[1]
        self.now = np.empty(constants, dtype)
        self.state = np.zeros(N_STATE)
        self.state[[L2, L1, DECAY, CLIP]] = recipe.l2, recipe.l1, recipe.decay, recipe.clip or 0
        self.clock = np.zeros(N_CLOCK, np.int64)

        self.before()
        size, last = training.batch_size, training.last_size
        whole = MICROBATCH if max(size, last) >= MICROBATCH else 0
        for m in (whole, size % MICROBATCH, last % MICROBATCH):
            for is_first in (True, False):
                if m > 0 and (is_first or size > MICROBATCH):
                    self.piece(m, is_first)
                self.program.end_section()
        self.after()
        self.arguments = (*self.program.finish(), self.index, self.now, self.state, self.clock)

    def share(self, n: int, grain: int) -> slice:
        return share(n, grain, self.thread, self.n_threads)

    def meet(self) -> None:
        if self.n_threads > 1:
            self.program.add("meet", meet, self.place, np.array([self.n_threads]))

    def product(self, A: np.ndarray, B: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
        self.program.add("product", product, A, B, bias, self.scratch, out)

    def before(self) -> None:
        """Clear the gradient that sparse rows add to."""
        if isinstance(self.of.data.X, CSR):
            n = self.network.coefs[0].size
            self.program.add("clear", clear, self.of.grad[:n][self.share(n, PARAM_BLOCK)])
        self.program.end_section()

    def piece(self, m: int, is_first: bool) -> None:
        """Add m rows of a batch, by the numbers in `index`: their loss, and their gradient."""
        of, rows, every = self.of, self.share(m, ROW_BLOCK), slice(0, m)
        self.first_layer(rows)
        for source, out in ((of.data.targets, of.targets), (of.data.weights, of.weights)):
            source = read_only(source.reshape(len(source), -1))
            self.program.add("gather", gather, source, self.index[rows], out[rows])

        def hidden(l: int) -> None:
            if of.undropped is not of.a:
                self.program.add("copy", copy, of.a.flat(l, rows), of.undropped.flat(l, rows))
                self.drop(l, of.a.matrix(l, rows), rows)

        self.network.forward(self.program, of.z, of.a, rows, self.scratch, hidden)
        last = len(self.network.coefs) - 1
        self.program.add(
            "loss",
            self.network.loss.loss,
            of.a.matrix(last, rows),
            of.targets[rows],
            of.weights[rows, 0],
            self.network.settings,
            of.delta.matrix(last, rows),
            of.values[rows],
        )
        self.backward(rows)
        self.meet()
        grad = of.grad if is_first else of.more
        self.gradients(every, grad)
        if self.thread == 0:
            result = self.state[VALUE : VALUE + 1]
            self.program.add("sum", total, of.values[every], result=result)
        self.meet()
        if not is_first:
            n_done = self.network.coefs[0].size if isinstance(of.data.X, CSR) else 0
            part = self.share(grad.size, PARAM_BLOCK)
            part = slice(max(part.start, n_done), max(part.stop, n_done))
            self.program.add("add", add, of.more[part], of.grad[part])

    def drop(self, l: int, a: np.ndarray, rows: slice) -> None:
        """Drop units of a hidden layer, or clear the derivatives by those."""
        rate = np.array([self.of.recipe.dropout[l]], a.dtype)
        if rate[0] > 0:
            self.program.add("drop", drop, a, rate, self.clock, self.random(l + 1, rows))

    def random(self, layer: int, rows: slice) -> np.ndarray:
        return np.array([self.of.recipe.seed, layer, rows.start])

    def first_layer(self, rows: slice) -> None:
        of, W, b = self.of, self.network.coefs[0], self.network.intercepts[0]
        index, out = self.index[rows], of.a.matrix(0, rows)
        if isinstance(of.data.X, CSR):
            self.program.add("csr_affine", csr_affine, *of.data.X, index, W, b, out)
        else:
            self.program.add("gather", gather, of.data.X, index, of.taken[rows])
            if of.recipe.noise > 0:
                deviation = np.array([of.recipe.noise], of.taken.dtype)
                arguments = of.taken[rows], deviation, self.clock, self.random(0, rows)
                self.program.add("add_noise", add_noise, *arguments)
            self.product(of.taken[rows], W, b, out)

    def backward(self, rows: slice) -> None:
        """Go from the last layer's delta to the first one's."""
        of = self.of
        for l in range(len(self.network.coefs) - 1, 0, -1):
            below, zeros = of.delta.matrix(l - 1, rows), of.zeros[: self.network.layout.units[l]]
            self.product(of.delta.matrix(l, rows), self.network.coefs[l].T, zeros, below)
            if of.undropped is not of.a:
                self.drop(l - 1, below, rows)
            z = of.grad[:0] if of.z is None else of.z.flat(l - 1, rows)
            a, delta = of.undropped.flat(l - 1, rows), of.delta.flat(l - 1, rows)
            self.program.add("backward", self.network.activations[l - 1].backward, z, a, delta)

    def gradients(self, every: slice, grad: np.ndarray) -> None:
        """Overwrite this thread's share of the gradient, but add that by sparse data."""
        of = self.of
        coefs, intercepts = self.network.layout.split(grad)
        for l, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            delta = of.delta.matrix(l, every)
            if l == 0 and isinstance(of.data.X, CSR):
                columns = self.share(W.shape[1], ROW_BLOCK)
                out = of.grad[: W.size].reshape(W.shape)[:, columns]
                arguments = (*of.data.X, self.index[every], delta[:, columns], out)
                self.program.add("csr_weight_gradient", csr_weight_gradient, *arguments)
            else:
                taken = of.taken[every] if l == 0 else of.a.matrix(l - 1, every)
                units = self.share(W.shape[0], ROW_BLOCK)
                self.product(taken.T[units], delta, of.zeros[: W.shape[1]], W[units])
            if l % self.n_threads == self.thread:
                self.product(of.ones[:, every], delta, of.zeros[: b.size], b.reshape(1, -1))

    def after(self) -> None:
        """Take a step with this thread's share of the parameters."""
        of, optimizer, recipe = self.of, self.of.optimizer, self.of.recipe
        part = self.share(self.network.params.size, PARAM_BLOCK)
        stretches = slice(part.start // PARAM_BLOCK, -(-part.stop // PARAM_BLOCK))
        n_stretches = of.squares.size
        params, grad = self.network.params[part], of.grad[part]
        n_slots, slots, step, add = 0, params[:0], NO_STEP, self.program.add
        if optimizer is not None:
            n_slots = optimizer.n_slots
            slots = optimizer.slots[part.start * n_slots : part.stop * n_slots]
            step = address(optimizer.step, "step", params.dtype)
        n_decayed = max(0, self.network.layout.n_weights - part.start)
        settings = np.array([n_slots, n_decayed, step])
        without_step = np.array([n_slots, n_decayed, NO_STEP])
        whole = of.scaled.size > 0
        scaled = of.scaled[part] if whole else aligned((PARAM_BLOCK,), params.dtype)

        if recipe.l1 > 0:
            before, magnitudes = of.before[part], of.penalties[n_stretches:][stretches]
            arguments = params, grad, before, self.state, magnitudes, settings
            add("add_l1_subgradient", add_l1_subgradient, *arguments)
        if recipe.decay > 0:
            add("decay", decay, params, self.state, settings)
        rest = scaled, slots, self.now, self.state, of.penalties[stretches]
        add("update", update, params, grad, *rest, without_step if whole else settings)
        if recipe.clip is not None and optimizer is not None:
            add("squared_norms", squared_norms, scaled, of.squares[stretches])
            self.meet()
            add("sum", total, of.squares, result=self.state[SQUARES : SQUARES + 1])
            step_arguments = params, scaled, slots, self.now, self.state, settings
            add("clipped_step", clipped_step, *step_arguments)
        if recipe.l1 > 0:
            add("project_to_orthant", project_to_orthant, params, grad, before, settings)
        if of.mean is not None:
            add("average", average, params, self.state, of.mean[part])
        self.meet()
        if self.thread == 0:
            add("sum", total, of.penalties, result=self.state[PENALTY : PENALTY + 1])
        self.program.end_section()


@kernel
def epoch(
    weights, order, batch_size, t, rates, keeps, constants, table, ends, index, now, state, clock
):  # fmt: skip
    """Pass once over the rows `order`, one step for each batch.

    Returns the sum over batches of rows times objective, (value + penalty) / sum of
    weights, before the step, as scikit-learn has it: on the first seat. A batch
    whose weights are all zero says nothing: it is left out, without a step.
    """
    result = 0.0
    for step in range(constants.shape[0]):
        start = step * batch_size
        n = min(batch_size, order.size - start)
        weight_sum = 0.0
        for i in range(start, start + n):
            weight_sum += weights[order[i]]
        if weight_sum == 0:
            continue
        state[SCALE], state[RATE], state[KEEP] = 1 / weight_sum, rates[step], keeps[step]
        clock[NOW] = t + step
        for i in range(now.size):
            now[i] = constants[step, i]
        execute(table, ends[BEFORE], ends[BEFORE + 1], now)
        value = 0.0
        for begin in range(0, n, MICROBATCH):
            m = min(MICROBATCH, n - begin)
            clock[BEGIN] = begin
            for i in range(m):
                index[i] = order[start + begin + i]
            section = WHOLE if m == MICROBATCH else (REST if n == batch_size else LAST)
            section += 1 if begin > 0 else 0
            execute(table, ends[section], ends[section + 1], now)
            value += state[VALUE]
        execute(table, ends[AFTER], ends[AFTER + 1], now)
        result += n * (value + state[PENALTY]) / weight_sum
    return result
