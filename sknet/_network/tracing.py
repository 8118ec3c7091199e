"""Inside a network: what its hidden units put out, and how its scores hang on the input.

Symbols as in `_network.py`. Rows are taken `PREDICT_ROWS` at a time, so that what is needed
besides X and the result does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sknet._engine.gemm import product
from sknet._engine.kernels import csr_affine, gather
from sknet._engine.program import Program
from sknet._engine.threads import share_out
from sknet._network.network import (
    CSR,
    PREDICT_ROWS,
    LayerBuffers,
    Layout,
    Network,
    aligned,
    padded,
    run_program,
)


class Trace:
    """The way forward, to be gone on with, for a number of rows at a time.

    Parameters
    ----------
    network : Network
    X : ndarray of shape (n_samples, n_features) or CSR
        Read-only, in the dtype of the network.
    n_rows : int
        How many rows of it to take at a time.
    """

    def __init__(self, network: Network, X: np.ndarray | CSR, n_rows: int) -> None:
        units, dtype = network.layout.units, network.params.dtype
        self.network, self.every = network, slice(0, n_rows)
        self.program = Program(dtype)
        self.index = np.zeros(n_rows, np.int64)
        self.scratch = network.scratch(n_rows)
        self.a = LayerBuffers(n_rows, units[1:], dtype)
        asked = any(activation.needs_input for activation in network.activations)
        self.z = LayerBuffers(n_rows, units[1:], dtype) if asked else None
        W, b, first = network.coefs[0], network.intercepts[0], self.a.matrix(0, self.every)
        if isinstance(X, CSR):
            self.program.add("csr_affine", csr_affine, *X, self.index, W, b, first)
        else:
            taken = padded(n_rows, units[0], dtype)[:, : units[0]]
            self.program.add("gather", gather, X, self.index, taken)
            self.product(taken, W, b, first)
        network.forward(self.program, self.z, self.a, self.every, self.scratch)

    def product(self, A: np.ndarray, B: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
        """Append a product of matrices."""
        self.program.add("product", product, A, B, bias, self.scratch, out)

    def parts(self, rows: slice) -> Iterator[slice]:
        """Return some rows of X in parts that `run` takes."""
        self.program.end_section()
        self._table, self._ends = self.program.finish()
        for start in range(rows.start, rows.stop, self.index.size):
            yield slice(start, min(start + self.index.size, rows.stop))

    def run(self, part: slice) -> slice:
        """Carry the program out, and return the rows of buffers that belong to the part.

        Those behind a shorter part are of the one before: they are computed
        once more, and do no harm, since no row depends on another.
        """
        here = slice(0, part.stop - part.start)
        self.index[here] = np.arange(part.start, part.stop)
        run_program(self._table, self._ends[1], self.network.params)
        return here


def activations(
    network: Network, X: np.ndarray | CSR, layers: range, n_jobs: int | None = None
) -> np.ndarray:
    """Return what hidden layers put out, side by side, of shape (n_samples, n_units).

    Parameters
    ----------
    network : Network
    X : ndarray of shape (n_samples, n_features) or CSR
        As for :class:`Trace`.
    layers : range
        Which hidden layers, the first being 0; rising by 1.
    n_jobs : int or None
        Most threads.

    Returns
    -------
    ndarray of shape (n_samples, n_units)
        In the dtype of the network.
    """
    # The network up to the last of these layers: what is above it need not be computed.
    top = layers[-1]
    layout = Layout(network.layout.units[: top + 2])
    params = layout.join(network.coefs[: top + 1], network.intercepts[: top + 1])
    lower = Network(layout, params, network.activations[:top], network.loss)
    last_forward = network.activations[top].forward

    n = _count(X)
    out = np.empty((n, sum(layout.units[l + 1] for l in layers)), params.dtype)

    def fill(rows: slice) -> None:
        trace = Trace(lower, X, min(PREDICT_ROWS, rows.stop - rows.start))
        trace.program.add("forward", last_forward, trace.a.flat(top, trace.every))
        for part in trace.parts(rows):
            here = trace.run(part)
            np.concatenate([trace.a.matrix(l, here) for l in layers], axis=1, out=out[part])

    share_out(fill, n, 2 * layout.n_weights, n_jobs)
    return out


def input_gradients(
    network: Network,
    X: np.ndarray | CSR,
    outputs: np.ndarray,
    signs: np.ndarray,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Return the derivative of one raw score of each row by that row.

    Backpropagation from the scores to the input, with delta = sign at the
    score asked for and 0 at the others::

        delta_l-1 = (delta_l W_l') f'(z_l-1),    d score / d x = delta_0 W_0'

    Parameters
    ----------
    network : Network
    X : ndarray of shape (n_samples, n_features) or CSR
        As for :class:`Trace`.
    outputs : ndarray of int of shape (n_samples,)
        Which score.
    signs : ndarray of shape (n_samples,)
        What to multiply it by.
    n_jobs : int or None
        Most threads.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        In the dtype of the network.
    """
    units, dtype = network.layout.units, network.params.dtype
    n, last = _count(X), len(network.coefs) - 1
    out = np.empty((n, units[0]), dtype)

    def fill(rows: slice) -> None:
        trace = Trace(network, X, min(PREDICT_ROWS, rows.stop - rows.start))
        every, zeros = trace.every, np.zeros(max(units), dtype)
        delta = LayerBuffers(every.stop, units[1:], dtype)
        gradient = aligned((every.stop, units[0]), dtype)
        for l in range(last, 0, -1):
            below = delta.matrix(l - 1, every)
            trace.product(delta.matrix(l, every), network.coefs[l].T, zeros[: units[l]], below)
            z = zeros[:0] if trace.z is None else trace.z.flat(l - 1, every)
            a, d = trace.a.flat(l - 1, every), delta.flat(l - 1, every)
            trace.program.add("backward", network.activations[l - 1].backward, z, a, d)
        W = network.coefs[0]
        trace.product(delta.matrix(0, every), W.T, zeros[: units[0]], gradient)
        for part in trace.parts(rows):
            start = delta.matrix(last, every)
            start.fill(0)
            start[np.arange(part.stop - part.start), outputs[part]] = signs[part]
            out[part] = gradient[trace.run(part)]

    share_out(fill, n, 4 * network.layout.n_weights, n_jobs)
    return out


def _count(X: np.ndarray | CSR) -> int:
    return X.indptr.size - 1 if isinstance(X, CSR) else X.shape[0]
