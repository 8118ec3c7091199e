"""Prediction of many rows, with programs that are kept ready for the next call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknet._engine.compilation import compile_kernel, kernel
from sknet._engine.functions import vector
from sknet._engine.memory import (
    CSR,
    Data,
    LayerBuffers,
    Unconverted,
    check_rows,
    is_finite,
    n_rows,
    read_only,
)
from sknet._engine.program import Program, execute, point_to
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
        X: Data,
        rows: np.ndarray = ALL_ROWS,
        *,
        link: bool = False,
        n_jobs: int | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return scores of rows of X.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features), CSR or Unconverted
            In the dtype of the network, or float32.
        rows : ndarray of int64 of shape (n_rows,), default=ALL_ROWS
            Indices of the rows, from 0 to n_samples - 1. Some of them are copied from X
            at a time.
        link : bool, default=False
            Whether to apply the inverse link.
        n_jobs : int or None, default=None
            Maximum number of threads, as joblib has it.
        out : ndarray of shape (n_rows, n_outputs), default=None
            Where to write the scores: C-contiguous, in the dtype of the network. None makes a new
            array.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            `out`, if it was given. In the dtype of the network.

        Raises
        ------
        ValueError
            If `out` is another kind of array.
        """
        if isinstance(X, Unconverted):
            return self._converted_scores(X, rows, link, n_jobs, out)
        return self._predict(X, rows, link, n_jobs, only_finite=False, out=out)[0]

    def _converted_scores(
        self,
        X: Unconverted,
        rows: np.ndarray,
        link: bool,
        n_jobs: int | None,
        out: np.ndarray | None,
    ) -> np.ndarray:
        """Return scores of rows of X, which are converted some at a time."""
        n, size = X.shape[0] if rows is ALL_ROWS else rows.size, X.rows_at_a_time
        if rows is not ALL_ROWS:
            check_rows(rows, X.shape[0])
        out = self._room_for_scores(n, out)
        for start in range(0, n, size):
            part = slice(start, start + size)
            some = X.rows(part if rows is ALL_ROWS else rows[part])
            self.scores(read_only(some), link=link, n_jobs=n_jobs, out=out[part])
        return out

    def _room_for_scores(self, n: int, out: np.ndarray | None) -> np.ndarray:
        """Return `out` if the kernel may write the scores of n rows to it, or a new array."""
        shape, dtype = (n, self.network.layout.units[-1]), self.network.params.dtype
        if out is None:
            return np.empty(shape, dtype)
        if out.shape != shape or out.dtype != dtype or not out.flags.carray:
            raise ValueError(
                f"out must be a C-contiguous, writeable array of shape {shape} and dtype {dtype}, "
                f"not one of shape {out.shape} and dtype {out.dtype}."
            )
        return out

    def scores_if_finite(
        self, X: np.ndarray, *, link: bool = False, n_jobs: int | None = None
    ) -> np.ndarray | None:
        """Return scores of all rows of dense data, or None if a number in X is not finite.

        The numbers are looked at just before they are multiplied. A pass over X of its own
        would take longer.

        Parameters
        ----------
        X, link, n_jobs
            As for `scores`.
        """
        out, is_whole = self._predict(X, ALL_ROWS, link, n_jobs, only_finite=True)
        if is_whole:
            return out
        # The sum of large finite numbers may overflow.
        return self.scores(X, link=link, n_jobs=n_jobs) if is_finite(X) else None

    def _predict(
        self,
        X: np.ndarray | CSR,
        rows: np.ndarray,
        link: bool,
        n_jobs: int | None,
        only_finite: bool,
        out: np.ndarray | None = None,
    ) -> tuple[np.ndarray, bool]:
        """Return scores, and whether they are complete.

        They are not if `only_finite` is set and a number in X is not finite, or if the sum
        of its numbers overflows.
        """
        n = n_rows(X)
        if rows is not ALL_ROWS:
            check_rows(rows, n)
            n, rows = rows.size, read_only(rows)
        scores = self._room_for_scores(n, out)
        numbers = X.data[:0] if isinstance(X, CSR) else X.reshape(-1)
        are_whole = []

        def prepare(places: slice) -> Callable[[slice], None]:
            forward_pass, idle = self._take(places.stop - places.start, link, X)

            def run(part: slice) -> None:
                is_whole = forward_pass.run(numbers, rows, part.start, scores[part], only_finite)
                are_whole.append(is_whole)
                if part.stop == places.stop:
                    if len(self._idle) > MAX_IDLE:
                        self._idle.clear()
                    idle.append(forward_pass)

            return run

        map_row_blocks(prepare, n, 2 * self.network.layout.n_weights, n_jobs, PREDICT_ROWS)
        return scores, all(are_whole)

    def _take(
        self, n: int, link: bool, X: np.ndarray | CSR
    ) -> tuple[_ForwardPass, list[_ForwardPass]]:
        """Return a forward pass over n rows that no other thread has, and where to put it back."""
        if isinstance(X, CSR):
            return _ForwardPass(self.network, n, link, X), []  # it has the addresses of this X
        key = min(n, PREDICT_ROWS), n % PREDICT_ROWS, link, X.dtype
        idle = self._idle.setdefault(key, [])
        try:
            return idle.pop(), idle
        except IndexError:
            return _ForwardPass(self.network, n, link, X), idle


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
            Whether to stop where the sum of the numbers so far is not finite.
        """
        return predict_rows(
            X, rows, out.reshape(-1), first, out.shape[0], only_finite, *self._arguments
        )


@kernel
def predict_rows(X, rows, out, first, n, only_finite, data, index, scores, instructions, ends):
    """Predict n rows of X, and return whether all of them were predicted.

    The program reads the rows where they are in X. If they are a choice of rows, or of another
    dtype than the network, they are copied into `data` first.
    """
    chunk = index.size
    fan_in, fan_out = data.size // chunk, scores.size // chunk
    is_copied = rows.size > 0 or X.itemsize != data.itemsize
    total = 0.0
    for start in range(0, n, chunk):
        m = min(chunk, n - start)
        section = 0 if m == chunk else 1
        for i in range(m):
            place = first + start + i
            index[i] = rows[place] if rows.size > 0 else place
        if rows.size == 0:
            source = vector(X, index[0] * fan_in, m * fan_in)
            for j in range(source.size):  # which also brings them into the cache
                total += float(source[j])  # a Python number gives no warning
            if only_finite and not abs(total) < np.inf:
                return False
        if is_copied:
            for i in range(m):
                source, to = vector(X, index[i] * fan_in, fan_in), vector(data, i * fan_in, fan_in)
                for j in range(fan_in):
                    to[j] = source[j]
        if fan_in > 0:  # else the data are sparse, and the program has their addresses
            if is_copied:
                point_to(instructions, ends[section], vector(data, 0, m * fan_in))
            else:
                point_to(instructions, ends[section], vector(X, index[0] * fan_in, m * fan_in))
        execute(instructions, ends[section], ends[section + 1], scores)
        part = vector(out, start * fan_out, m * fan_out)
        for i in range(part.size):
            part[i] = scores[i]
    return True
