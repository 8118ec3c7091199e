"""The gradient of a minibatch: from rows of the data to one flat vector."""

from __future__ import annotations

import numpy as np

from sknet._engine.compilation import start_address
from sknet._engine.gemm import NOTHING
from sknet._engine.kernels import (
    VALUE,
    add,
    add_noise,
    apply_dropout,
    clear,
    copy,
    csr_weight_gradient,
    gather,
    locate,
    total,
)
from sknet._engine.memory import CSR, PARAM_BLOCK, read_only
from sknet._training.stage import MICROBATCH
from sknet._training.workspace import ROW_BLOCK, ThreadProgram

# Sections of the program. A microbatch is full, or the remainder of a minibatch, or the remainder
# of the last minibatch. The first microbatch of a minibatch overwrites the gradient, later ones
# add to it: these have sections of their own, at one more.
FULL, REMAINDER, LAST_REMAINDER, UPDATE, N_SECTIONS = 0, 2, 4, 6, 7

# Data of so many bytes do not stay in the L2 cache between two epochs.
FAR_DATA = 2**20


class GradientProgram:
    """Appends what turns a minibatch into loss and gradient to a thread's program.

    Threads divide the rows of a microbatch in the forward and the backward pass,
    then the rows of each W for its gradient. No sum depends on which thread takes
    what, so the result has the same bits for any number of threads.

    The gradient in `workspace.grad` is that of the sum of weighted losses,
    without penalties. Such gradients of several data sets may be added.

    Parameters
    ----------
    thread : ThreadProgram
    """

    def __init__(self, thread: ThreadProgram) -> None:
        self.thread, self.program = thread, thread.program
        self.network, self.workspace = thread.network, thread.workspace
        self.X = self.workspace.X

    def append(self) -> None:
        """Append the sections before UPDATE."""
        size, last = self.workspace.batch_size, self.workspace.last_size
        full = MICROBATCH if max(size, last) >= MICROBATCH else 0
        for m in (full, size % MICROBATCH, last % MICROBATCH):
            for is_first in (True, False):
                if m > 0 and (is_first or size > MICROBATCH):
                    self._microbatch(m, is_first)
                self.program.end_section()

    def _microbatch(self, m: int, is_first: bool) -> None:
        """Append loss and gradient of m rows, whose numbers are in `index`."""
        w, thread, every = self.workspace, self.thread, slice(0, m)
        rows = thread.share(m, ROW_BLOCK)
        index = thread.index[rows]
        if is_first and isinstance(self.X, CSR):  # sparse rows add to the gradient
            n = self.network.coefs[0].size
            self.program.add(clear, w.grad[:n][thread.share(n, PARAM_BLOCK)])
        for source, out in ((w.data.targets, w.targets), (w.data.weights, w.weights)):
            columns = read_only(source.reshape(len(source), -1))
            self.program.add(gather, columns, index, out[rows])
        self._forward(rows, index if w.stage is None else thread.ready_index[rows])
        last = len(self.network.coefs) - 1
        self.program.add(
            self.network.loss.loss,
            w.a.matrix(last, rows),
            w.targets[rows],
            w.weights[rows, 0],
            self.network.settings,
            w.delta.matrix(last, rows),
            w.values[rows],
        )
        self._backward(rows)
        thread.meet()
        grad = w.grad if is_first else w.partial_grad
        self._parameter_gradients(every, grad)
        if thread.thread == 0:
            self.program.add(total, w.values[every], result=thread.scalars[VALUE : VALUE + 1])
        thread.meet()
        if not is_first:
            n_done = self.network.coefs[0].size if isinstance(self.X, CSR) else 0
            part = thread.share(grad.size, PARAM_BLOCK)
            part = slice(max(part.start, n_done), max(part.stop, n_done))
            self.program.add(add, w.partial_grad[part], w.grad[part])
            # No thread begins the update before all are here, wherever a call has begun.
            thread.meet()

    def _forward(self, rows: slice, index: np.ndarray) -> None:
        w, thread = self.workspace, self.thread

        def add_noise_to(inputs: np.ndarray) -> None:
            if w.regularization.noise > 0:
                deviation = np.array([w.regularization.noise], inputs.dtype)
                self.program.add(add_noise, inputs, deviation, thread.counters, self._seed(0, rows))

        def drop_units(l: int) -> None:
            if w.has_dropout:
                kept = w.activations_before_dropout.flat(l, rows)
                self.program.add(copy, w.a.flat(l, rows), kept)
                self._dropout(l, w.a.matrix(l, rows), rows)

        inputs = None if w.inputs is None else w.inputs[rows]
        z = w.a.matrix(0, rows)
        self.network.first_layer(
            self.program, self.X, index, inputs, z, thread.scratch, add_noise_to
        )
        self.network.forward(self.program, w.z, w.a, rows, thread.scratch, drop_units)

    def _backward(self, rows: slice) -> None:
        w, thread = self.workspace, self.thread

        def drop_derivatives(l: int, below: np.ndarray) -> None:
            if w.has_dropout:
                self._dropout(l, below, rows)

        a = w.activations_before_dropout
        self.network.backward(self.program, w.z, a, w.delta, rows, thread.scratch, drop_derivatives)

    def _dropout(self, l: int, a: np.ndarray, rows: slice) -> None:
        """Append the dropping of units of a hidden layer, or of the derivatives by them."""
        rate = np.array([self.workspace.regularization.dropout[l]], a.dtype)
        if rate[0] > 0:
            counters = self.thread.counters
            self.program.add(apply_dropout, a, rate, counters, self._seed(l + 1, rows))

    def _seed(self, layer: int, rows: slice) -> np.ndarray:
        return np.array([self.workspace.regularization.seed, layer, rows.start], np.int64)

    def _later(self, m: int) -> np.ndarray:
        """Append the search for the next microbatch's rows; return what fetches them."""
        X, rows = self.X, self.thread.share(m, ROW_BLOCK)
        if isinstance(X, CSR) or X.nbytes < FAR_DATA or self.workspace.stage is not None:
            return NOTHING
        settings = np.array([start_address(X), X.strides[0], X.shape[1] * X.itemsize], np.int64)
        later = np.zeros(rows.stop - rows.start + 1, np.int64)
        self.program.add(locate, self.thread.next_index[rows], settings, later)
        return later

    def _parameter_gradients(self, every: slice, grad: np.ndarray) -> None:
        """Append the gradient by this thread's share of the parameters.

        dloss/dW_l = A_l' delta_l, dloss/db_l = 1' delta_l. Dense data overwrite
        it; sparse data add to that by the first W.
        """
        w, thread = self.workspace, self.thread
        coefs, intercepts = self.network.layout.split(grad)
        for l, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            delta = w.delta.matrix(l, every)
            if l == 0 and isinstance(self.X, CSR):
                columns = thread.share(W.shape[1], ROW_BLOCK)
                out = w.grad[: W.size].reshape(W.shape)[:, columns]
                index = thread.index[every]
                self.program.add(csr_weight_gradient, *self.X.arrays, index, delta[:, columns], out)
            else:
                inputs = w.a.matrix(l - 1, every)
                if l == 0:
                    assert w.inputs is not None  # dense data
                    inputs = w.inputs[every]
                units = thread.share(W.shape[0], ROW_BLOCK)
                later = self._later(every.stop) if l == 0 else NOTHING
                thread.product(inputs.T[units], delta, w.zeros[: W.shape[1]], W[units], later)
            if l % thread.n_threads == thread.thread:
                thread.product(w.ones[:, every], delta, w.zeros[: b.size], b.reshape(1, -1))
            self.program.end_phase()
