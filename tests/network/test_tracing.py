"""Hidden activations and gradients by the input of a network, with a part of one's own."""

from __future__ import annotations

import numpy as np
from gradients import assert_is_gradient
from numpy.testing import assert_allclose

from sknet._engine.memory import as_kernel_input
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._network.prediction import PREDICT_ROWS
from sknet._network.tracing import activations as hidden_activations
from sknet._network.tracing import input_gradients as network_gradients
from sknet.activations import Activation
from sknet.losses import Loss


class Swish(Activation):
    """f(z) = z / (1 + exp(-z)), whose slope is taken of z; not in the table."""

    needs_input = True

    @staticmethod
    def forward(a):
        one = a.dtype.type(1)
        for i in range(a.size):
            a[i] = a[i] / (one + np.exp(-a[i]))

    @staticmethod
    def backward(z, a, delta):
        one = a.dtype.type(1)
        for i in range(delta.size):
            p = one / (one + np.exp(-z[i]))
            delta[i] *= p * (one + z[i] * (one - p))


def test_activation_that_needs_its_input():
    """Three chunks of rows, the last one short."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(2 * PREDICT_ROWS + 13, 5)) * (rng.rand(2 * PREDICT_ROWS + 13, 5) < 0.7)
    layout = Layout([5, 64, 4, 2])  # a width of 64 is padded for the cache
    params = rng.normal(scale=0.5, size=layout.n_parameters)
    network = Network(layout, params, [Swish, Activation.table["tanh"]], Loss.table["log_loss"])

    def swish(z):
        return z / (1 + np.exp(-z))

    (W, V, U), (b, c, d) = network.coefs, network.intercepts
    hidden = hidden_activations(network, as_kernel_input(X), range(1))
    assert_allclose(hidden, swish(X @ W + b), rtol=1e-12, atol=1e-12)
    outputs = np.arange(len(X)) % 2
    found = network_gradients(network, as_kernel_input(X), outputs, np.ones(len(X)))

    def score(X):
        scores = np.tanh(swish(X @ W + b) @ V + c) @ U + d
        return scores[np.arange(len(X)), outputs]

    assert_is_gradient(found, score, X)
