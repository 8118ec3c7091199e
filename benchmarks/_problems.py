"""The fixed problems that all libraries train: relu, Adam, softmax, a number of epochs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

LEARNING_RATE = 1e-3
ALPHA = 1e-4  # scikit-learn's: half of it times the sum of squared weights, over the batch's size
SEED = 0

Weights = tuple[list[np.ndarray], list[np.ndarray]]


class Problem(NamedTuple):
    """A net to be trained on a data set in batches, the last and shorter one included.

    `units` are those of all layers. `epochs` has a number of epochs for each kind of
    measurement, the largest one last. Each starts from fresh weights.
    """

    data: str
    units: tuple[int, ...]
    batch: int
    dtype: str
    epochs: tuple[int, ...]

    @property
    def name(self) -> str:
        """What it is called in tables and by `--only`."""
        return f"{self.data} {'-'.join(map(str, self.units))}, batch {self.batch}, {self.dtype}"

    @property
    def hidden(self) -> tuple[int, ...]:
        """The units of the layers between input and output."""
        return self.units[1:-1]

    def flops(self, rows: int) -> int:
        """Return the floating-point operations of the products of one epoch.

        Forward, gradient of the weights, and back through every layer but the
        first; 2 for each multiply-add. Everything else an epoch does is not
        counted, so that a share of the peak is never flattered.
        """
        sizes = [a * b for a, b in pairwise(self.units)]
        return 2 * rows * (3 * sum(sizes) - sizes[0])


# Late epochs must be as fast as early ones. The wide net has too many operations to show it.
NETS = (
    ("digits", (64, 100, 10), 200, (2, 100)),
    ("digits", (64, 128, 64, 10), 32, (2, 100)),
    ("MNIST", (784, 128, 10), 128, (2, 10)),
    ("MNIST", (784, 1024, 1024, 10), 256, (2,)),
)
PROBLEMS = tuple(
    Problem(data, units, batch, dtype, epochs)
    for data, units, batch, epochs in NETS
    for dtype in ("float64", "float32")
)


def initial_weights(problem: Problem) -> Weights:
    """Return Glorot's uniform weights and biases, for libraries that do not draw their own so."""
    random_state = np.random.RandomState(SEED)
    coefs, intercepts = [], []
    for fan_in, fan_out in pairwise(problem.units):
        bound = np.sqrt(6 / (fan_in + fan_out))
        draw = random_state.uniform
        coefs.append(draw(-bound, bound, (fan_in, fan_out)).astype(problem.dtype))
        intercepts.append(draw(-bound, bound, fan_out).astype(problem.dtype))
    return coefs, intercepts


def permutations(rows: int, epochs: int) -> Iterator[np.ndarray]:
    """Yield the order of rows of each epoch."""
    random_state = np.random.RandomState(SEED)
    for _ in range(epochs):
        yield random_state.permutation(rows)


def accuracy(weights: Weights, X: np.ndarray, y: np.ndarray, chunk: int = 10000) -> float:
    """Return the share of rows that a relu net puts into their class."""
    coefs, intercepts = weights
    correct = 0
    for start in range(0, len(X), chunk):
        a = X[start : start + chunk]
        for k, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            a = a @ W + b
            if k < len(coefs) - 1:
                a = np.maximum(a, 0)
        correct += int((a.argmax(axis=1) == y[start : start + chunk]).sum())
    return correct / len(X)
