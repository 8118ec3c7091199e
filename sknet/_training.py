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

from typing import Any, NamedTuple

import numpy as np

from sknet._barrier import barrier, meet, share
from sknet._gemm import product
from sknet._jit import address, execute, frozen, kernel
from sknet._kernels import (
    ALPHA,
    N_STATE,
    NO_STEP,
    PENALTY,
    SCALE,
    VALUE,
    add,
    clear,
    csr_affine,
    csr_weight_gradient,
    gather,
    total,
    update,
)
from sknet._network import CSR, Blocks, Network, aligned, wide
from sknet._program import Program
from sknet.optimizers import STRETCH, Optimizer

# Rows of a batch that are taken at a time, so that their activations stay in the cache.
PIECE = 512

# Rows and columns are shared among threads by so many at a time.
GRAIN = 16

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
    alpha : float
        L2 penalty.
    optimizer : Optimizer, default=None
        None takes no steps.
    """

    def __init__(
        self,
        network: Network,
        data: Data,
        n_rows: int,
        batch_size: int,
        alpha: float,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.network, self.data, self.optimizer = network, data, optimizer
        self.batch_size, self.alpha = batch_size, alpha
        self.last_size = n_rows % batch_size
        units, dtype = network.layout.units, network.params.dtype
        n = min(batch_size, PIECE)
        # Layer 0 of what layers take is the data; it needs no place if it is sparse.
        is_sparse = isinstance(data.X, CSR)
        self.taken = wide(0 if is_sparse else n, units[0], dtype)[:, : units[0]]
        self.targets = aligned((n, data.targets.shape[1]), dtype)
        self.weights = aligned((n, 1), dtype)
        self.z = (
            Blocks(n, units[1:], dtype) if any(v.needs_input for v in network.activations) else None
        )
        self.a = Blocks(n, units[1:], dtype)
        self.delta = Blocks(n, units[1:], dtype)
        self.values = np.empty(n)
        self.ones, self.zeros = np.ones((1, n), dtype), np.zeros(max(units), dtype)
        size = network.params.size
        self.grad = aligned((size,), dtype)
        self.more = aligned((size if n < batch_size else 0,), dtype)
        self.squares = np.zeros(-(-size // STRETCH))
        self._teams: dict[int, list[_Seat]] = {}

    def seats(self, n_threads: int) -> list[tuple[Any, ...]]:
        """Return the last arguments of `epoch` for each of so many threads."""
        if n_threads not in self._teams:
            place = barrier()
            self._teams[n_threads] = [
                _Seat(self, thread, n_threads, place) for thread in range(n_threads)
            ]
        return [seat.arguments for seat in self._teams[n_threads]]

    def arguments(self, order: np.ndarray, constants: np.ndarray) -> tuple[Any, ...]:
        """Return its first ones, by the rows in their order and the constants of each step."""
        constants = constants.astype(self.network.params.dtype)
        return frozen(self.data.weights), order, self.batch_size, constants


class _Seat:
    """One thread's program, and what it tells and hears."""

    def __init__(self, training: Training, thread: int, n_threads: int, place: np.ndarray) -> None:
        self.of, self.network = training, training.network
        self.thread, self.n_threads, self.place = thread, n_threads, place
        dtype = self.network.params.dtype
        self.program = Program(dtype)
        n = min(training.batch_size, PIECE)
        self.scratch = self.network.scratch(n)
        self.index = np.empty(n, np.int64)
        optimizer = training.optimizer
        constants = 0 if optimizer is None else optimizer.constants(np.ones(1)).shape[1]
        self.now = np.empty(constants, dtype)
        self.state = np.zeros(N_STATE)
        self.state[ALPHA] = training.alpha

        self.before()
        size, last = training.batch_size, training.last_size
        whole = PIECE if max(size, last) >= PIECE else 0
        for m in (whole, size % PIECE, last % PIECE):
            for is_first in (True, False):
                if m > 0 and (is_first or size > PIECE):
                    self.piece(m, is_first)
                self.program.end_section()
        self.after()
        self.arguments = (*self.program.finish(), self.index, self.now, self.state)

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
            self.program.add("clear", clear, self.of.grad[:n][self.share(n, STRETCH)])
        self.program.end_section()

    def piece(self, m: int, is_first: bool) -> None:
        """Add m rows of a batch, by the numbers in `index`: their loss, and their gradient."""
        of, rows, every = self.of, self.share(m, GRAIN), slice(0, m)
        self.first_layer(rows)
        for source, out in ((of.data.targets, of.targets), (of.data.weights, of.weights)):
            source = frozen(source.reshape(len(source), -1))
            self.program.add("gather", gather, source, self.index[rows], out[rows])
        self.network.forward(self.program, of.z, of.a, rows, self.scratch)
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
            part = self.share(grad.size, STRETCH)
            part = slice(max(part.start, n_done), max(part.stop, n_done))
            self.program.add("add", add, of.more[part], of.grad[part])

    def first_layer(self, rows: slice) -> None:
        of, W, b = self.of, self.network.coefs[0], self.network.intercepts[0]
        index, out = self.index[rows], of.a.matrix(0, rows)
        if isinstance(of.data.X, CSR):
            self.program.add("csr_affine", csr_affine, *of.data.X, index, W, b, out)
        else:
            self.program.add("gather", gather, of.data.X, index, of.taken[rows])
            self.product(of.taken[rows], W, b, out)

    def backward(self, rows: slice) -> None:
        """Go from the last layer's delta to the first one's."""
        of = self.of
        for l in range(len(self.network.coefs) - 1, 0, -1):
            below, zeros = of.delta.matrix(l - 1, rows), of.zeros[: self.network.layout.units[l]]
            self.product(of.delta.matrix(l, rows), self.network.coefs[l].T, zeros, below)
            z = of.grad[:0] if of.z is None else of.z.flat(l - 1, rows)
            a, delta = of.a.flat(l - 1, rows), of.delta.flat(l - 1, rows)
            self.program.add("backward", self.network.activations[l - 1].backward, z, a, delta)

    def gradients(self, every: slice, grad: np.ndarray) -> None:
        """Overwrite this thread's share of the gradient, but add that by sparse data."""
        of = self.of
        coefs, intercepts = self.network.layout.split(grad)
        for l, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            delta = of.delta.matrix(l, every)
            if l == 0 and isinstance(of.data.X, CSR):
                columns = self.share(W.shape[1], GRAIN)
                out = of.grad[: W.size].reshape(W.shape)[:, columns]
                arguments = (*of.data.X, self.index[every], delta[:, columns], out)
                self.program.add("csr_weight_gradient", csr_weight_gradient, *arguments)
            else:
                taken = of.taken[every] if l == 0 else of.a.matrix(l - 1, every)
                units = self.share(W.shape[0], GRAIN)
                self.product(taken.T[units], delta, of.zeros[: W.shape[1]], W[units])
            if l % self.n_threads == self.thread:
                self.product(of.ones[:, every], delta, of.zeros[: b.size], b.reshape(1, -1))

    def after(self) -> None:
        """Take a step with this thread's share of the parameters."""
        of, params, optimizer = self.of, self.network.params, self.of.optimizer
        part = self.share(params.size, STRETCH)
        squares = of.squares[part.start // STRETCH : -(-part.stop // STRETCH)]
        n_slots, slots, step, scaled = 0, params[:0], NO_STEP, of.grad
        if optimizer is not None:
            n_slots, slots = optimizer.n_slots, optimizer.slots
            scaled = aligned((STRETCH,), params.dtype)
            step = address(optimizer.step, "step", params.dtype)
        settings = np.array([n_slots, max(0, self.network.layout.n_weights - part.start), step])
        arguments = (
            params[part],
            of.grad[part],
            scaled[part] if optimizer is None else scaled,
            slots[part.start * n_slots : part.stop * n_slots],
            self.now,
            self.state,
            squares,
            settings,
        )
        self.program.add("update", update, *arguments)
        self.meet()
        if self.thread == 0:
            self.program.add("sum", total, of.squares, result=self.state[PENALTY : PENALTY + 1])
        self.program.end_section()


@kernel
def epoch(weights, order, batch_size, constants, table, ends, index, now, state):
    """Pass once over the rows `order`, one step for each batch.

    Returns the sum over batches of rows times objective, (value + alpha / 2 sum
    W**2) / sum of weights, before the step, as scikit-learn has it: on the first
    seat. A batch whose weights are all zero says nothing: it is left out,
    without a step.
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
        state[SCALE] = 1 / weight_sum
        for i in range(now.size):
            now[i] = constants[step, i]
        execute(table, ends[BEFORE], ends[BEFORE + 1], now)
        value = 0.0
        for begin in range(0, n, PIECE):
            m = min(PIECE, n - begin)
            for i in range(m):
                index[i] = order[start + begin + i]
            section = WHOLE if m == PIECE else (REST if n == batch_size else LAST)
            section += 1 if begin > 0 else 0
            execute(table, ends[section], ends[section + 1], now)
            value += state[VALUE]
        execute(table, ends[AFTER], ends[AFTER + 1], now)
        result += n * (value + 0.5 * state[ALPHA] * state[PENALTY]) / weight_sum
    return result
