"""The loss of rows that are not learned from, such as validation data."""

from __future__ import annotations

import numpy as np

from sknet._engine.program import Program
from sknet._network.network import Network
from sknet._network.prediction import PREDICT_ROWS


class MeanLoss:
    """Computes the weighted mean of the loss, without penalties, of scores of the same rows.

    Its program and its buffers serve all epochs. One thread at a time may use it.

    Parameters
    ----------
    network : Network
        Its loss and settings are used. Its parameters are not read.
    targets : ndarray of shape (n_rows, n_targets)
    weights : ndarray of shape (n_rows,)

    Attributes
    ----------
    scores : ndarray of shape (n_rows, n_outputs)
        Raw scores, to be written before each call.

    Raises
    ------
    ValueError
        If a class code in the targets is no output's number.
    """

    def __init__(self, network: Network, targets: np.ndarray, weights: np.ndarray) -> None:
        network.check_targets(targets)
        n, dtype = len(targets), network.params.dtype
        self.scores = np.empty((n, network.layout.units[-1]), dtype)
        self._losses = np.empty(n)
        self._sum_of_weights = weights.sum(dtype=np.float64)
        self._program = Program(dtype)  # keeps alive what the instructions address
        # The derivatives are not needed. Few rows at a time need little memory for them.
        delta = np.empty_like(self.scores[:PREDICT_ROWS])
        for start in range(0, n, PREDICT_ROWS):
            rows = slice(start, start + PREDICT_ROWS)
            scores = self.scores[rows]
            self._program.add(
                network.loss.loss,
                scores,
                targets[rows],
                weights[rows],
                network.settings,
                delta[: len(scores)],
                self._losses[rows],
            )
        self._program.end_section()
        self._table = self._program.finish()

    def __call__(self) -> float:
        """Return the mean loss of the scores."""
        self._table.run(self.scores)
        with np.errstate(over="ignore"):  # of finite losses
            return float(self._losses.sum() / self._sum_of_weights)
