"""Buffers of a minibatch, and one thread's program over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sknet._engine.barrier import abandon, meet, thread_slice
from sknet._engine.gemm import NOTHING, product
from sknet._engine.input_scale import N_ROWS, SCALES
from sknet._engine.kernels import (
    ABANDONED,
    ALL_READY,
    BATCH_SIZE,
    CLIP,
    DECAY,
    FIRST_READY,
    FIRST_STEP,
    L1,
    L2,
    N_COUNTERS,
    N_DONE,
    N_SCALARS,
    PHASE,
    ROW,
)
from sknet._engine.memory import CSR, PARAM_BLOCK, LayerBuffers, Unconverted, aligned, padded
from sknet._engine.program import Program
from sknet._network.network import Network
from sknet._training.contract import Dataset, Regularization
from sknet._training.stage import MICROBATCH, Stage

# Rows and columns are divided among threads in blocks of so many.
ROW_BLOCK = 8

# Of parameters that take at most so many bytes, each thread has a copy of its own. A core that
# changes a number in its cache has to wait if another core has read it since, some 60 ns for each
# cache line. It need not wait if it overwrites a number without having read it.
COPY_PARAMS_UNTIL = 2**20


class Workspace:
    """What all threads read and write while they work on a minibatch.

    Parameters
    ----------
    network : Network
        Its parameters are overwritten by every step.
    data : Dataset
    batch_size : int
        Rows of a minibatch.
    regularization : Regularization
    has_optimizer : bool
        Whether steps are taken. If not, the gradient is left in `grad`.
    """

    def __init__(
        self,
        network: Network,
        data: Dataset,
        batch_size: int,
        regularization: Regularization,
        has_optimizer: bool,
    ) -> None:
        self.network, self.data, self.regularization = network, data, regularization
        # What the program reads: the data, or those of its rows that are ready.
        self.stage: Stage | None = None
        self.X: np.ndarray | CSR
        if isinstance(data.X, Unconverted):
            self.stage = Stage(data.X, batch_size)
            self.X = self.stage.X
        else:
            self.X = data.X
        self.batch_size, self.last_size = batch_size, data.rows.size % batch_size
        units, dtype = network.layout.units, network.params.dtype
        n = self.size = min(batch_size, MICROBATCH)
        self.inputs = None if isinstance(data.X, CSR) else padded(n, units[0], dtype)[:, : units[0]]
        self.targets = aligned((n, data.targets.shape[1]), dtype)
        self.weights = aligned((n, 1), dtype)
        self.z = LayerBuffers(n, units[1:], dtype) if network.needs_z else None
        self.a = LayerBuffers(n, units[1:], dtype)
        # Slopes are taken of the activations before dropout.
        self.has_dropout = any(regularization.dropout)
        self.activations_before_dropout = (
            LayerBuffers(n, units[1:], dtype) if self.has_dropout else self.a
        )
        self.delta = LayerBuffers(n, units[1:], dtype)
        self.values = np.empty(n)
        self.ones, self.zeros = np.ones((1, n), dtype), np.zeros(max(units), dtype)
        size = network.params.size
        self.grad = aligned((size,), dtype)
        self.partial_grad = aligned((size if n < batch_size else 0,), dtype)
        # The gradient with its penalty: all of it where it is needed at once, else nothing here
        # and a block for each thread.
        self.scaled_grad = self.grad
        if has_optimizer:
            is_whole = regularization.clip is not None
            self.scaled_grad = aligned((size if is_whole else 0,), dtype)
        # Weights before a step, whose sign the L1 penalty keeps.
        self.previous_params = aligned((size if regularization.l1 > 0 else 0,), dtype)
        # L2 and L1 penalties, and squares of the gradient, of each block of parameters.
        self.n_blocks = -(-size // PARAM_BLOCK)
        self.penalties = np.zeros(2 * self.n_blocks)
        self.squares = np.zeros(self.n_blocks)
        # V and s of the first layer's weights diag(s) V, where scales of the inputs are learned.
        shape = network.layout.shapes[0] if regularization.scale_rate > 0 else (0, units[1])
        self.unscaled = np.empty(shape, dtype)
        self.scales = np.empty((N_ROWS, shape[0]), dtype)
        self.restart()

    def restart(self) -> None:
        """Let the learned scales of the inputs begin at 1, for another call of training."""
        self.unscaled[:] = self.network.coefs[0][: len(self.unscaled)]
        self.scales[:] = 0
        self.scales[SCALES] = 1


def networks_for_threads(network: Network, n_threads: int) -> list[Network]:
    """Return a network for each thread, whose parameters are its own copy if they are few."""
    params, others = network.params, n_threads - 1
    if params.nbytes > COPY_PARAMS_UNTIL:
        return [network] * n_threads
    copies = [aligned(params.shape, params.dtype) for _ in range(others)]
    return [network, *(network.with_params(copy) for copy in copies)]


class ThreadProgram:
    """One thread's share of the work on a minibatch, as a program.

    Parameters
    ----------
    workspace : Workspace
    thread, n_threads : int
        Number of this thread, and of all.
    barrier : ndarray of int64
        Where the threads meet.
    networks : list of Network
        For each thread one with the parameters that it reads, its own copy or those of
        all. The first one is that of the workspace.
    n_constants : int
        How many constants a step of the optimiser takes.
    """

    def __init__(
        self,
        workspace: Workspace,
        thread: int,
        n_threads: int,
        barrier: np.ndarray,
        networks: Sequence[Network],
        n_constants: int,
    ) -> None:
        self.workspace, self.network = workspace, networks[thread]
        self.other_networks = [n for n in networks if n is not self.network]
        self.thread, self.n_threads, self.barrier = thread, n_threads, barrier
        dtype = self.network.params.dtype
        self.program = Program(dtype)
        self.scratch = self.network.scratch(workspace.size, for_gradients=True)
        # Rows of this microbatch and of the next one, and where the rows of this one are ready.
        self.indices = np.zeros(3 * workspace.size, np.int64)
        self.index, self.next_index, self.ready_index = np.split(self.indices, 3)
        self.step_constants = np.empty(n_constants, dtype)
        self.scalars = np.zeros(N_SCALARS)
        r = workspace.regularization
        self.scalars[[L2, L1, DECAY, CLIP]] = r.l2, r.l1, r.decay, r.clip or 0
        self.counters = np.zeros(N_COUNTERS, np.int64)
        self.counters[FIRST_READY] = ALL_READY

    def begin(self, first_step: int, n_done: int) -> None:
        """Begin an epoch, or continue it after some of its steps."""
        counters = self.counters
        counters[FIRST_STEP], counters[BATCH_SIZE] = first_step, self.workspace.batch_size
        counters[N_DONE], counters[ROW], counters[PHASE] = n_done, 0, 0
        if self.network is not self.workspace.network:
            self.network.params[:] = self.workspace.network.params

    def share(self, n: int, block: int) -> slice:
        """Return this thread's part of n rows, cut at multiples of `block`."""
        return thread_slice(n, block, self.thread, self.n_threads)

    def product(
        self,
        A: np.ndarray,
        B: np.ndarray,
        bias: np.ndarray,
        out: np.ndarray,
        later: np.ndarray = NOTHING,
    ) -> None:
        """Append a product of matrices."""
        self.program.add(product, A, B, bias, later, self.scratch, out)

    def meet(self) -> None:
        """Append a meeting of all threads, which ends a phase."""
        if self.n_threads > 1:
            is_abandoned = self.scalars[ABANDONED : ABANDONED + 1]
            n_threads = np.array([self.n_threads], np.int64)
            self.program.add(meet, self.barrier, n_threads, result=is_abandoned)
        self.program.end_phase()

    def abandon(self) -> None:
        """Release all threads from their meetings: this one will not come."""
        abandon(self.barrier)
