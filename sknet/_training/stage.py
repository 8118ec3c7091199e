"""The rows that training needs next, converted, of data that kernels do not take as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sknet._engine.kernels import BATCH_SIZE, END_READY, FIRST_READY, N_DONE, ROW
from sknet._engine.memory import Unconverted, aligned, read_only

# Rows of a minibatch that go through the network at a time, so that their activations stay in the
# cache.
MICROBATCH = 512


class Stage:
    """Some rows of the data in the order of the epoch, in the form that kernels take.

    The kernel over minibatches returns where the next microbatch is not among them, and goes on
    after `make_ready`. Kernels read the same numbers as if all data had been converted before, so
    results have the same bits.

    Parameters
    ----------
    data : Unconverted
    batch_size : int
        Rows of a minibatch.
    """

    def __init__(self, data: Unconverted, batch_size: int) -> None:
        self.data = data
        size = max(min(batch_size, MICROBATCH), data.rows_at_a_time)
        self._rows = aligned((min(size, data.shape[0]), data.shape[1]), data.dtype)
        self.X = read_only(self._rows)
        self.clear()

    def clear(self) -> None:
        """Forget all rows: another epoch has another order."""
        self._first = self._end = 0

    def make_ready(self, order: np.ndarray, counters: Sequence[np.ndarray]) -> None:
        """Convert the next rows, unless the next microbatch is ready, and note which ones are.

        Parameters
        ----------
        order : ndarray of int64 of shape (n_rows,)
            Numbers of the rows in the order of the epoch.
        counters : sequence of ndarray
            Those of each thread. All threads are at the same place.
        """
        own = counters[0]
        start = int(own[N_DONE] * own[BATCH_SIZE])
        end = min(start + int(own[BATCH_SIZE]), order.size)
        begin = start + int(own[ROW])
        if min(begin + MICROBATCH, end) > self._end:
            chosen = order[begin : begin + len(self._rows)]
            self.data.read(chosen, self._rows[: chosen.size])
            self._first, self._end = begin, begin + chosen.size
        for each in counters:
            each[FIRST_READY], each[END_READY] = self._first, self._end
