"""PyTorch as a careful user writes it: data in one tensor, no DataLoader, fused Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _problems import ALPHA, LEARNING_RATE, Problem, Weights, initial_weights, permutations


def version() -> str:
    """Return the version."""
    return f"PyTorch {torch.__version__}"


def loss(X: Any, y: Any, coefs: list[Any], intercepts: list[Any]) -> Any:
    """Return the mean cross-entropy of a batch."""
    a = X
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        a = F.linear(a, W, b).relu_()
    return F.cross_entropy(F.linear(a, coefs[-1], intercepts[-1]), y)


class Trainer:
    """A loop over batches of rows gathered by index.

    The penalty on weights is Adam's `weight_decay`, which PyTorch adds to the
    gradient: the same as scikit-learn's but for the last, shorter batch.
    """

    loss: Callable[..., Any] = staticmethod(loss)

    def __init__(self, problem: Problem, X: np.ndarray, y: np.ndarray, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        self.problem = problem
        self.X = torch.from_numpy(X)
        self.y = torch.from_numpy(y.astype(np.int64))

    def train(self, epochs: int) -> None:
        """Train from fresh weights."""
        coefs, intercepts = initial_weights(self.problem)
        # nn.Linear's layout, (fan_out, fan_in)
        self.coefs = [torch.tensor(W.T.copy(), requires_grad=True) for W in coefs]
        self.intercepts = [torch.tensor(b, requires_grad=True) for b in intercepts]
        decay = ALPHA / self.problem.batch
        optimizer = torch.optim.Adam(
            [{"params": self.coefs, "weight_decay": decay}, {"params": self.intercepts}],
            lr=LEARNING_RATE,
            fused=True,
        )
        for order in permutations(len(self.X), epochs):
            for rows in torch.from_numpy(order).split(self.problem.batch):
                batch = self.X.index_select(0, rows), self.y.index_select(0, rows)
                optimizer.zero_grad(set_to_none=True)
                self.loss(*batch, self.coefs, self.intercepts).backward()
                optimizer.step()

    def weights(self) -> Weights:
        """Return weights and biases."""
        return (
            [W.detach().numpy().T for W in self.coefs],
            [b.detach().numpy() for b in self.intercepts],
        )
