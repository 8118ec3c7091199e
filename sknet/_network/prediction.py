"""Prediction: raw scores of many rows, with programs that are kept ready for the next call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sknet._engine.compilation import compile_kernel, kernel
from sknet._engine.functions import vector
from sknet._engine.memory import CSR, LayerBuffers, n_rows, read_only
from sknet._engine.program import Program, execute
from sknet._engine.threads import map_row_blocks
from sknet._network.network import Network

# Rows that go through the network at a time, so that their activations stay in the cache.
PREDICT_ROWS = 256

# Numbers of rows for which programs are kept.
MAX_IDLE = 8


class Predictor:
    """Computes the raw scores of a network, or what its loss's inverse link makes of them.

    Several threads may use it at once.

    Parameters
    ----------
    network : Network
        Its parameters are read at each call.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._idle: dict[tuple[int, int, bool], list[_ForwardPass]] = {}

    def scores(
        self, X: np.ndarray | CSR, *, link: bool = False, n_jobs: int | None = None
    ) -> np.ndarray:
        """Return scores of all rows of X.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features) or CSR
            In the dtype of the network.
        link : bool, default=False
            Whether to apply the inverse link.
        n_jobs : int or None, default=None
            Maximum number of threads, as joblib has it.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            In the dtype of the network.
        """
        layout = self.network.layout
        out = np.empty((n_rows(X), layout.units[-1]), self.network.params.dtype)

        def prepare(rows: slice) -> Callable[[slice], None]:
            if isinstance(X, CSR):
                return self._sparse(X, rows, link, out)
            return self._dense(X, rows, link, out)

        map_row_blocks(prepare, len(out), 2 * layout.n_weights, n_jobs, PREDICT_ROWS)
        return out

    def _sparse(self, X: CSR, rows: slice, link: bool, out: np.ndarray) -> Callable[[slice], None]:
        """Return what predicts parts of sparse rows. Its program has the addresses of X."""
        forward_pass = _ForwardPass(self.network, rows.stop - rows.start, link, X)
        no_rows = read_only(np.empty(0, out.dtype))
        return lambda part: forward_pass.run(no_rows, part.start, out[part])

    def _dense(
        self, X: np.ndarray, rows: slice, link: bool, out: np.ndarray
    ) -> Callable[[slice], None]:
        """Return what predicts parts of dense rows, with a program that is used again."""
        size = rows.stop - rows.start
        idle = self._idle.setdefault((min(size, PREDICT_ROWS), size % PREDICT_ROWS, link), [])
        try:
            forward_pass = idle.pop()  # now no other thread has it
        except IndexError:
            forward_pass = _ForwardPass(self.network, size, link)

        def run(part: slice) -> None:
            forward_pass.run(X[part].reshape(-1), 0, out[part])
            if part.stop == rows.stop:
                if len(self._idle) > MAX_IDLE:
                    self._idle.clear()
                idle.append(forward_pass)

        return run


class _ForwardPass:
    """The program of a forward pass over n rows, and its buffers.

    Parameters
    ----------
    network : Network
    n : int
        How many rows in all.
    link : bool
        Whether to apply the loss's inverse link.
    sparse : CSR, default=None
        The data, if sparse. Dense rows are given to `run`.
    """

    def __init__(self, network: Network, n: int, link: bool, sparse: CSR | None = None) -> None:
        units, dtype = network.layout.units, network.params.dtype
        program = Program(dtype)
        size = min(n, PREDICT_ROWS)
        data = np.empty(size * units[0] if sparse is None else 0, dtype)
        index = np.empty(size, np.int64)
        a = LayerBuffers(size, units[1:], dtype)
        last, scratch = len(units) - 2, network.scratch(size)
        for m in (size, n % size):  # whole chunks of rows, and the rest
            if m > 0:
                rows = slice(0, m)
                X = sparse if sparse is not None else data[: m * units[0]].reshape(m, units[0])
                network.first_layer(program, X, index[rows], None, a.matrix(0, rows), scratch)
                network.forward(program, None, a, rows, scratch)
                if link:
                    program.add(network.loss.link, a.matrix(last, rows), network.settings)
            program.end_section()
        table = program.finish()
        ends = table.phases[table.sections]  # of instructions: a chunk runs without a break
        self._program = program  # keeps alive what the instructions address
        self._arguments = data, index, a.flat(last, slice(None)), table.instructions, ends
        compile_kernel(predict_rows, (read_only(data), data, 0, n, *self._arguments))

    def run(self, X: np.ndarray, first: int, out: np.ndarray) -> None:
        """Overwrite `out` by scores.

        Parameters
        ----------
        X : ndarray of shape (n_rows * n_features,)
            Dense rows; empty for sparse ones.
        first : int
            Number of the first sparse row.
        out : ndarray of shape (n_rows, n_outputs)
            Overwritten.
        """
        predict_rows(X, out.reshape(-1), first, out.shape[0], *self._arguments)


@kernel
def predict_rows(X, out, first, n, data, index, scores, instructions, ends):
    """Predict n rows: each chunk of X is copied into `data`, its result copied from `scores`."""
    chunk = index.size
    fan_in, fan_out = data.size // chunk, scores.size // chunk
    for start in range(0, n, chunk):
        m = min(chunk, n - start)
        for i in range(m):
            index[i] = first + start + i
        part = vector(X, start * fan_in, m * fan_in)
        for i in range(part.size):
            data[i] = part[i]
        section = 0 if m == chunk else 1
        execute(instructions, ends[section], ends[section + 1], scores)
        part = vector(out, start * fan_out, m * fan_out)
        for i in range(part.size):
            part[i] = scores[i]
