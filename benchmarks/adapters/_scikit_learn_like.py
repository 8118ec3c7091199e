"""Estimators with scikit-learn's parameters: one fit of as many epochs, as users call it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from _problems import ALPHA, LEARNING_RATE, SEED, Problem, Weights


class Trainer:
    """Calls `fit`; a subclass names the estimator.

    Parameters
    ----------
    problem : Problem
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    n_threads : int
    """

    def __init__(self, problem: Problem, X: np.ndarray, y: np.ndarray, n_threads: int) -> None:
        warnings.simplefilter("ignore")  # the epochs are given: none converges
        self.problem, self.X, self.y, self.n_threads = problem, X, y, n_threads

    def estimator(self, **parameters: Any) -> Any:
        """Return the estimator, unfitted."""
        raise NotImplementedError

    def train(self, epochs: int) -> None:
        """Fit anew."""
        self.model = self.estimator(
            hidden_layer_sizes=self.problem.hidden,
            batch_size=self.problem.batch,
            alpha=ALPHA,
            learning_rate_init=LEARNING_RATE,
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=SEED,
        ).fit(self.X, self.y)

    def weights(self) -> Weights:
        """Return weights and biases."""
        return self.model.coefs_, self.model.intercepts_
