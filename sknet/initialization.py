"""How weights are drawn before training. A new way is one class here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknet._parts import Part
from sknet.activations import Activation


class Initializer(Part):
    """A distribution of first weights."""

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights and biases of one layer.

        Parameters
        ----------
        random_state : RandomState
            Where the draws come from.
        fan_in, fan_out : int
            Units before and after the layer.
        factor : float
            The activation's ``glorot_factor``.

        Returns
        -------
        weights : ndarray of shape (fan_in, fan_out)
        biases : ndarray of shape (fan_out,)
        """
        raise NotImplementedError


def draw_layer(
    weight_init: str | Callable[..., Any],
    random_state: np.random.RandomState,
    fan_in: int,
    fan_out: int,
    activation: type[Activation],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw weights and biases in the way a user asked for.

    'auto' is the way of the activation of the layer.
    """
    name = activation.weight_init if weight_init == "auto" else weight_init
    if callable(name):
        raise NotImplementedError
    return Initializer.table[name].draw(random_state, fan_in, fan_out, activation.glorot_factor)


class GlorotUniform(Initializer, name="glorot_uniform"):
    """Uniform in (-b, b) with b = sqrt(factor / (fan_in + fan_out)), biases included.

    References
    ----------
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training
    deep feedforward neural networks. AISTATS, equation 16 (factor 6).
    """

    @staticmethod
    def draw(random_state, fan_in, fan_out, factor):
        """Draw weights, then biases, in scikit-learn's order."""
        bound = np.sqrt(factor / (fan_in + fan_out))
        weights = random_state.uniform(-bound, bound, (fan_in, fan_out))
        return weights, random_state.uniform(-bound, bound, fan_out)
