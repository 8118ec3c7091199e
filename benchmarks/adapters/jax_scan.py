"""JAX at its best: a whole epoch in one jitted scan over the batches, its state donated."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _problems import ALPHA, LEARNING_RATE, Problem, Weights, initial_weights, permutations

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def version() -> str:
    """Return the version."""
    return f"JAX {jax.__version__}"


def loss(weights: Any, X: Any, y: Any) -> Any:
    """Return what scikit-learn minimises on a batch."""
    coefs, intercepts = weights
    a = X
    for W, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        a = jax.nn.relu(a @ W + b)
    scores = jax.nn.log_softmax(a @ coefs[-1] + intercepts[-1])
    entropy = -jnp.take_along_axis(scores, y[:, None], axis=1).mean()
    return entropy + 0.5 * ALPHA / len(X) * sum((W**2).sum() for W in coefs)


def step(state: Any, rows: Any, X: Any, y: Any) -> tuple[Any, None]:
    """Return the state after one batch, in the form that `scan` wants."""
    weights, m, v, t = state
    grad = jax.grad(loss)(weights, X[rows], y[rows])
    t = t + 1
    power = t.astype(X.dtype)
    rate = LEARNING_RATE * jnp.sqrt(1 - BETA_2**power) / (1 - BETA_1**power)
    m = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, grad)
    v = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, v, grad)
    weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, m, v)
    return (weights, m, v, t), None


@partial(jax.jit, static_argnames="batch", donate_argnames="state")
def epoch(state: Any, order: Any, X: Any, y: Any, batch: int) -> Any:
    """Return the state after one epoch; the last batch has a shape, so a step, of its own."""
    whole = len(order) // batch * batch
    state, _ = jax.lax.scan(
        lambda state, rows: step(state, rows, X, y), state, order[:whole].reshape(-1, batch)
    )
    return step(state, order[whole:], X, y)[0] if whole < len(order) else state


class Trainer:
    """Calls the jitted epoch; threads and float64 are set by environment before JAX starts."""

    def __init__(self, problem: Problem, X: np.ndarray, y: np.ndarray, n_threads: int) -> None:
        self.problem = problem
        self.X, self.y = jnp.asarray(X), jnp.asarray(y.astype(np.int32))

    def train(self, epochs: int) -> None:
        """Train from fresh weights."""
        weights = jax.tree.map(jnp.array, initial_weights(self.problem))
        m, v = (jax.tree.map(jnp.zeros_like, weights) for _ in range(2))
        state = weights, m, v, jnp.zeros((), jnp.int32)
        for order in permutations(len(self.X), epochs):
            rows = order.astype(np.int32)
            state = epoch(state, rows, self.X, self.y, batch=self.problem.batch)
        self.state = jax.block_until_ready(state)

    def weights(self) -> Weights:
        """Return weights and biases."""
        coefs, intercepts = self.state[0]
        return [np.asarray(W) for W in coefs], [np.asarray(b) for b in intercepts]
