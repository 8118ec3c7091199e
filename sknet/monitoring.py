"""Watching training: whether it still improves, and which weights were the best so far.

The fitted attributes themselves hold the state (``best_loss_``,
``best_validation_score_``, ``validation_scores_``), so that a warm start and
`partial_fit` go on where the call before stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknet._network import Network


class LossMonitor:
    """Counts the epochs in a row whose training loss was not `tol` below the best.

    Parameters
    ----------
    model : object
        Holds ``loss_curve_``, ``best_loss_``, ``_no_improvement_count``.
    """

    quantity = "Training loss"

    def __init__(self, model: Any) -> None:
        self.model = model

    def epoch_ends(self, network: Network) -> None:
        """Take note of the last loss."""
        model = self.model
        loss = model.loss_curve_[-1]
        stalled = loss > model.best_loss_ - model.tol
        model._no_improvement_count = model._no_improvement_count + 1 if stalled else 0
        if loss < model.best_loss_:
            model.best_loss_ = loss

    def training_ends(self, network: Network) -> None:
        """Leave the last weights in place."""


class ScoreMonitor:
    """Counts the epochs in a row whose validation score was not `tol` above the best.

    Parameters
    ----------
    model : object
        Holds ``validation_scores_``, ``best_validation_score_``,
        ``_no_improvement_count``.
    score : callable of Network
        Returns the validation score, the higher the better; may be NaN.
    best_params : ndarray of shape (n_parameters,) or None
        What to restore if no epoch improves on the best score; None: nothing.
    """

    quantity = "Validation score"

    def __init__(
        self, model: Any, score: Callable[[Network], float], best_params: np.ndarray | None
    ) -> None:
        self.model = model
        self.score = score
        self.best_params = best_params

    def epoch_ends(self, network: Network) -> None:
        """Score, take note, and copy the weights if they are the best yet."""
        model = self.model
        score = self.score(network)
        model.validation_scores_.append(score)
        if model.verbose:
            print(f"Validation score: {score:f}")
        stalled = score < model.best_validation_score_ + model.tol
        model._no_improvement_count = model._no_improvement_count + 1 if stalled else 0
        if score > model.best_validation_score_:
            model.best_validation_score_ = score
            self.best_params = network.params.copy()

    def training_ends(self, network: Network) -> None:
        """Put the best weights back."""
        if self.best_params is not None:
            network.params[:] = self.best_params
