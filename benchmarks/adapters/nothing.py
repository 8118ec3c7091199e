"""Trains nothing: what the harness itself costs."""

from __future__ import annotations

import numpy as np
from _problems import Problem, Weights, initial_weights


def version() -> str:
    """Return nothing."""
    return ""


class Trainer:
    """Has the signature of all trainers."""

    def __init__(self, problem: Problem, X: np.ndarray, y: np.ndarray, n_threads: int) -> None:
        self.problem = problem

    def train(self, epochs: int) -> None:
        """Do nothing."""

    def weights(self) -> Weights:
        """Return the weights that nobody has trained."""
        return initial_weights(self.problem)
