"""Keras 3, on JAX unless KERAS_BACKEND says otherwise: `fit`, silent, with its own batching."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # before the import, which reads it

import keras
import numpy as np
from _problems import ALPHA, LEARNING_RATE, Problem, Weights, initial_weights


def version() -> str:
    """Return the version and the backend."""
    return f"Keras {keras.__version__} on {keras.backend.backend()}"


class Trainer:
    """One compiled model, put back to fresh weights for each fit."""

    def __init__(self, problem: Problem, X: np.ndarray, y: np.ndarray, n_threads: int) -> None:
        if keras.backend.backend() == "torch":
            import torch

            torch.set_num_threads(n_threads)
        keras.backend.set_floatx(problem.dtype)
        self.problem, self.X, self.y = problem, X, y
        penalty = keras.regularizers.L2(0.5 * ALPHA / problem.batch)
        layers = [keras.Input((problem.units[0],))]
        for k, size in enumerate(problem.units[1:], start=2):
            activation = "linear" if k == len(problem.units) else "relu"
            layers.append(
                keras.layers.Dense(size, activation=activation, kernel_regularizer=penalty)
            )
        self.model = keras.Sequential(layers)
        self.model.compile(
            optimizer=keras.optimizers.Adam(LEARNING_RATE),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        optimizer = self.model.optimizer
        optimizer.build(self.model.trainable_variables)
        self.fresh = [np.array(variable) for variable in optimizer.variables]

    def train(self, epochs: int) -> None:
        """Train from fresh weights and a fresh optimiser."""
        pairs = zip(*initial_weights(self.problem), strict=True)
        self.model.set_weights([array for pair in pairs for array in pair])
        for variable, value in zip(self.model.optimizer.variables, self.fresh, strict=True):
            variable.assign(value)
        self.model.fit(
            self.X, self.y, batch_size=self.problem.batch, epochs=epochs, shuffle=True, verbose=0
        )

    def weights(self) -> Weights:
        """Return weights and biases."""
        arrays = self.model.get_weights()
        return arrays[::2], arrays[1::2]
