"""Prediction of many rows, with programs that are kept ready for the next call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknet._engine.compilation import compile_kernel, kernel
from sknet._engine.functions import vector
from sknet._engine.memory import CSR, LayerBuffers, check_rows, is_finite, n_rows, read_only
from sknet._engine.program import Program, execute
from sknet._engine.threads import map_row_blocks
from sknet._network.network import Network

# Rows that go through the network at a time, so that their activations stay in the cache.
PREDICT_ROWS = 256

# Numbers of rows for which programs are kept.
MAX_IDLE = 8

# Stands for the numbers of all rows, which need not be written down.
ALL_ROWS = read_only(np.empty(0, np.int64))


class Predictor:
    """Computes the raw scores of a network, or its predictions after the inverse link.

    Several threads may use it at once.

    Parameters
    ----------
    network : Network
        Its parameters are read at each call.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._idle: dict[tuple[int, int, bool, Any], list[_ForwardPass]] = {}

    def scores(
        self,
        X: np.ndarray | CSR,
        rows: np.ndarray = ALL_ROWS,
        *,
        link: bool = False,
        n_jobs: int | None = None,
    ) -> np.ndarray:
        """Return scores of rows of X.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features) or CSR
            In the dtype of the network, or float32.
        rows : ndarray of int64 of shape (n_rows,), default=ALL_ROWS
            Indices of the rows, from 0 to n_samples - 1. Some of them are copied from X
            at a time.
        link : bool, default=False
            Whether to apply the inverse link.
        n_jobs : int or None, default=None
            Maximum number of threads, as joblib has it.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            In the dtype of the network.
        """
        n = n_rows(X)
        if rows is not ALL_ROWS:
            check_rows(rows, n)
            n, rows = rows.size, read_only(rows)
        out = self._empty(n)

        def prepare(places: slice) -> Callable[[slice], object]:
            if isinstance(X, CSR):
                return self._sparse(X, rows, places, link, out)
            return self._dense(X, rows, places, link, out)

        self._run(prepare, n, n_jobs)
        return out

    def scores_if_finite(
        self, X: np.ndarray, *, link: bool = False, n_jobs: int | None = None
    ) -> np.ndarray | None:
        """Return scores of all rows of dense data, or None if a number in X is not finite.

        The numbers are looked at while they are copied. A pass over X of its own would take
        longer.

        Parameters
        ----------
        X, link, n_jobs
            As for `scores`.
        """
        out, are_finite = self._empty(len(X)), []

        def prepare(places: slice) -> Callable[[slice], object]:
            run = self._dense(X, ALL_ROWS, places, link, out, only_finite=True)
            return lambda part: are_finite.append(run(part))

        self._run(prepare, len(X), n_jobs)
        if all(are_finite):
            return out
        # Sums of finite numbers may overflow.
        return self.scores(X, link=link, n_jobs=n_jobs) if is_finite(X) else None

    def _empty(self, n: int) -> np.ndarray:
        return np.empty((n, self.network.layout.units[-1]), self.network.params.dtype)

    def _run(
        self, prepare: Callable[[slice], Callable[[slice], object]], n: int, n_jobs: int | None
    ) -> None:
        map_row_blocks(prepare, n, 2 * self.network.layout.n_weights, n_jobs, PREDICT_ROWS)

    def _sparse(
        self, X: CSR, rows: np.ndarray, places: slice, link: bool, out: np.ndarray
    ) -> Callable[[slice], bool]:
        """Return a function that predicts parts of sparse rows, with a program for this X."""
        forward_pass = _ForwardPass(self.network, places.stop - places.start, link, X)
        no_numbers = X.data[:0]
        return lambda part: forward_pass.run(no_numbers, rows, part.start, out[part], False)

    def _dense(
        self,
        X: np.ndarray,
        rows: np.ndarray,
        places: slice,
        link: bool,
        out: np.ndarray,
        only_finite: bool = False,
    ) -> Callable[[slice], bool]:
        """Return a function that predicts parts of dense rows, with a program that is kept."""
        size, numbers = places.stop - places.start, X.reshape(-1)
        key = min(size, PREDICT_ROWS), size % PREDICT_ROWS, link, X.dtype
        idle = self._idle.setdefault(key, [])
        try:
            forward_pass = idle.pop()  # now no other thread has it
        except IndexError:
            forward_pass = _ForwardPass(self.network, size, link, X)

        def run(part: slice) -> bool:
            is_done = forward_pass.run(numbers, rows, part.start, out[part], only_finite)
            if part.stop == places.stop:
                if len(self._idle) > MAX_IDLE:
                    self._idle.clear()
                idle.append(forward_pass)
            return is_done

        return run


class _ForwardPass:
    """The program of a forward pass over n rows, and its buffers.

    Parameters
    ----------
    network : Network
    n : int
        Number of rows.
    link : bool
        Whether to apply the loss's inverse link.
    X : ndarray or CSR
        The data. If they are dense, only their dtype is read, since `run` is given the
        data.
    """

    def __init__(self, network: Network, n: int, link: bool, X: np.ndarray | CSR) -> None:
        units, dtype = network.layout.units, network.params.dtype
        program = Program(dtype)
        size = min(n, PREDICT_ROWS)
        is_sparse = isinstance(X, CSR)
        data = np.empty(0 if is_sparse else size * units[0], dtype)
        index = np.empty(size, np.int64)
        a = LayerBuffers(size, units[1:], dtype)
        last, scratch = len(units) - 2, network.scratch(size)
        for m in (size, n % size):  # whole chunks of rows, and the rest
            if m > 0:
                rows = slice(0, m)
                inputs = X if is_sparse else data[: m * units[0]].reshape(m, units[0])
                network.first_layer(program, inputs, index[rows], None, a.matrix(0, rows), scratch)
                network.forward(program, None, a, rows, scratch)
                if link:
                    program.add(network.loss.link, a.matrix(last, rows), network.settings)
            program.end_section()
        table = program.finish()
        ends = table.phases[table.sections]  # of instructions: a chunk runs without a break
        self._program = program  # keeps alive what the instructions address
        self._arguments = data, index, a.flat(last, slice(None)), table.instructions, ends
        numbers = read_only(np.empty(0, (X.data if isinstance(X, CSR) else X).dtype))
        compile_kernel(predict_rows, (numbers, ALL_ROWS, data, 0, n, False, *self._arguments))

    def run(
        self, X: np.ndarray, rows: np.ndarray, first: int, out: np.ndarray, only_finite: bool
    ) -> bool:
        """Overwrite `out` with scores, and return whether it is complete.

        Parameters
        ----------
        X : ndarray of shape (n_samples * n_features,)
            All dense data, read-only; empty for sparse data.
        rows : ndarray of int64
            Numbers of the rows, read-only, or ALL_ROWS.
        first : int
            Position in `rows` of the first row to predict.
        out : ndarray of shape (n_rows, n_outputs)
            Overwritten.
        only_finite : bool
            Whether to stop where the sum of the numbers in X so far is not finite.
        """
        return predict_rows(
            X, rows, out.reshape(-1), first, out.shape[0], only_finite, *self._arguments
        )


@kernel
def predict_rows(X, rows, out, first, n, only_finite, data, index, scores, instructions, ends):
    """Predict n rows: some rows of X are copied into `data`, their result copied from `scores`."""
    chunk = index.size
    fan_in, fan_out = data.size // chunk, scores.size // chunk
    total = 0.0
    for start in range(0, n, chunk):
        m = min(chunk, n - start)
        for i in range(m):
            place = first + start + i
            index[i] = rows[place] if rows.size > 0 else place
        # Rows in the order of X are copied as one long row.
        n_copies, length = (m, fan_in) if rows.size > 0 else (1, m * fan_in)
        for i in range(n_copies):
            source, to = vector(X, index[i] * fan_in, length), vector(data, i * length, length)
            for j in range(length):
                to[j] = source[j]
                total += float(source[j])  # in Python without a warning
        if only_finite and not abs(total) < np.inf:
            return False
        section = 0 if m == chunk else 1
        execute(instructions, ends[section], ends[section + 1], scores)
        part = vector(out, start * fan_out, m * fan_out)
        for i in range(part.size):
            part[i] = scores[i]
    return True
