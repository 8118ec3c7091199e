"""The activations of hidden layers, and gradients of scores with respect to the input.

Rows are processed `PREDICT_ROWS` at a time. Apart from X and the result, the memory needed
therefore does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sknet._engine.gemm import NOTHING, product
from sknet._engine.memory import CSR, LayerBuffers, aligned, n_rows, padded
from sknet._engine.program import Program
from sknet._engine.threads import map_row_blocks
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._network.prediction import PREDICT_ROWS


class Trace:
    """A forward pass that keeps all activations, for some rows at a time.

    More calls may be appended to its `program` before `run`.

    Parameters
    ----------
    network : Network
    X : ndarray of shape (n_samples, n_features) or CSR
        Read-only, in the dtype of the network.
    size : int
        How many rows to take at a time.
    """

    def __init__(self, network: Network, X: np.ndarray | CSR, size: int) -> None:
        units, dtype = network.layout.units, network.params.dtype
        self.network, self.rows = network, slice(0, size)
        self.program = Program(dtype)
        self.index = np.zeros(size, np.int64)
        self.scratch = network.scratch(size)
        self.a = LayerBuffers(size, units[1:], dtype)
        self.z = LayerBuffers(size, units[1:], dtype) if network.needs_z else None
        inputs = None if isinstance(X, CSR) else padded(size, units[0], dtype)[:, : units[0]]
        first = self.a.matrix(0, self.rows)
        network.first_layer(self.program, X, self.index, inputs, first, self.scratch)
        network.forward(self.program, self.z, self.a, self.rows, self.scratch)

    def finish(self) -> None:
        """Make the program ready to run: nothing can be appended any more."""
        self.program.end_section()
        self._table = self.program.finish()

    def parts(self, rows: slice) -> Iterator[tuple[slice, slice]]:
        """Yield some rows of X in parts that `run` takes, each with its rows of the buffers."""
        for start in range(rows.start, rows.stop, self.index.size):
            stop = min(start + self.index.size, rows.stop)
            yield slice(start, stop), slice(0, stop - start)

    def run(self, part: slice, here: slice) -> None:
        """Run the program over a part of X.

        Rows of the buffers behind a shorter part still belong to an earlier
        part. They are computed once more, which changes nothing, since no row
        depends on another.
        """
        self.index[here] = np.arange(part.start, part.stop, dtype=np.int64)
        self._table.run(self.network.params)


def activations(
    network: Network, X: np.ndarray | CSR, layers: range, n_jobs: int | None = None
) -> np.ndarray:
    """Return the activations of hidden layers, side by side.

    Parameters
    ----------
    network : Network
    X : ndarray of shape (n_samples, n_features) or CSR
        As for :class:`Trace`.
    layers : range
        Indices of consecutive hidden layers. The first hidden layer has the index 0.
    n_jobs : int or None
        Maximum number of threads.

    Returns
    -------
    ndarray of shape (n_samples, n_units)
        In the dtype of the network.
    """
    # The network up to the last of these layers: nothing above it is computed.
    top = layers[-1]
    layout = Layout(network.layout.units[: top + 2])
    params = layout.join(network.coefs[: top + 1], network.intercepts[: top + 1])
    lower = Network(layout, params, network.activations[:top], network.loss)
    last_forward = network.activations[top].forward
    out = np.empty((n_rows(X), sum(layout.units[l + 1] for l in layers)), params.dtype)

    def prepare(rows: slice) -> Callable[[slice], None]:
        trace = Trace(lower, X, min(PREDICT_ROWS, rows.stop - rows.start))
        trace.program.add(last_forward, trace.a.flat(top, trace.rows))
        trace.finish()

        def fill(some: slice) -> None:
            for part, here in trace.parts(some):
                trace.run(part, here)
                matrices = [trace.a.matrix(l, here) for l in layers]
                np.concatenate(matrices, axis=1, out=out[part])

        return fill

    map_row_blocks(prepare, len(out), 2 * layout.n_weights, n_jobs, PREDICT_ROWS)
    return out


def input_gradients(
    network: Network,
    X: np.ndarray | CSR,
    outputs: np.ndarray,
    signs: np.ndarray,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Return, for each row, the derivative of one raw score with respect to that row.

    This is backpropagation from the scores to the input. The last delta is the sign for
    the chosen score, and 0 for the others::

        delta_l-1 = (delta_l W_l') f'(z_l-1),    d score / d x = delta_0 W_0'

    Parameters
    ----------
    network : Network
    X : ndarray of shape (n_samples, n_features) or CSR
        As for :class:`Trace`.
    outputs : ndarray of int of shape (n_samples,)
        Index of the chosen score of each row.
    signs : ndarray of shape (n_samples,)
        Factor of the derivative of each row, 1 or -1.
    n_jobs : int or None
        Maximum number of threads.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        In the dtype of the network.
    """
    units, dtype = network.layout.units, network.params.dtype
    last = len(network.coefs) - 1
    out = np.empty((n_rows(X), units[0]), dtype)

    def prepare(rows: slice) -> Callable[[slice], None]:
        trace = Trace(network, X, min(PREDICT_ROWS, rows.stop - rows.start))
        delta = LayerBuffers(trace.rows.stop, units[1:], dtype)
        gradient = aligned((trace.rows.stop, units[0]), dtype)
        network.backward(trace.program, trace.z, trace.a, delta, trace.rows, trace.scratch)
        W, zeros = network.coefs[0], np.zeros(units[0], dtype)
        first = delta.matrix(0, trace.rows)
        trace.program.add(product, first, W.T, zeros, NOTHING, trace.scratch, gradient)
        trace.finish()

        def fill(some: slice) -> None:
            for part, here in trace.parts(some):
                start = delta.matrix(last, trace.rows)
                start.fill(0)
                start[np.arange(here.stop, dtype=np.int64), outputs[part]] = signs[part]
                trace.run(part, here)
                out[part] = gradient[here]

        return fill

    map_row_blocks(prepare, len(out), 4 * network.layout.n_weights, n_jobs, PREDICT_ROWS)
    return out
