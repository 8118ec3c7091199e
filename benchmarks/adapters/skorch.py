"""skorch: PyTorch behind scikit-learn's interface, without callbacks and validation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import skorch
import torch
from _problems import ALPHA, LEARNING_RATE, SEED, Problem, Weights
from torch import nn


def version() -> str:
    """Return the versions of both."""
    return f"skorch {skorch.__version__}"


def net(units: tuple[int, ...], dtype: str) -> nn.Sequential:
    """Return the layers, weights drawn as PyTorch does."""
    layers: list[nn.Module] = []
    for pair in pairwise(units):
        layers += [nn.Linear(*pair, dtype=getattr(torch, dtype)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Trainer:
    """One fit of all epochs, as users call it."""

    def __init__(self, problem: Problem, X: np.ndarray, y: np.ndarray, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        self.problem, self.X, self.y = problem, X, y.astype(np.int64)

    def train(self, epochs: int) -> None:
        """Fit anew."""
        torch.manual_seed(SEED)
        self.model = skorch.NeuralNetClassifier(
            net,
            module__units=self.problem.units,
            module__dtype=self.problem.dtype,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            optimizer__weight_decay=ALPHA / self.problem.batch,
            optimizer__fused=True,
            lr=LEARNING_RATE,
            batch_size=self.problem.batch,
            max_epochs=epochs,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks="disable",
            verbose=0,
        ).fit(self.X, self.y)

    def weights(self) -> Weights:
        """Return weights and biases."""
        layers = [layer for layer in self.model.module_ if isinstance(layer, nn.Linear)]
        return (
            [layer.weight.detach().numpy().T for layer in layers],
            [layer.bias.detach().numpy() for layer in layers],
        )
