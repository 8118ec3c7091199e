"""Activation functions of the hidden layers. A new one is one class here.

Each works on one flat array: all units of a layer for all rows of a batch.
Constants are made in the array's dtype: ``1`` or ``1.0`` beside a float32 would
turn the whole loop into float64.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sknet._functions import exp, tanh
from sknet._parts import Part


class Activation(Part):
    """A function applied to each unit of a hidden layer, and its slope.

    Attributes
    ----------
    glorot_factor : float
        Numerator of the bound from which the weights into such units are
        drawn: ``sqrt(glorot_factor / (fan_in + fan_out))``.
    weight_init : str
        How weights into such units are drawn for ``weight_init='auto'``.
    needs_input : bool
        Whether `backward` reads `z`. If not, `z` is empty there.
    """

    glorot_factor: ClassVar[float] = 6.0
    weight_init: ClassVar[str] = "glorot_uniform"
    needs_input: ClassVar[bool] = False

    @staticmethod
    def forward(a: np.ndarray) -> None:
        """Apply the function.

        Parameters
        ----------
        a : ndarray of shape (n,)
            The input z, overwritten by f(z).
        """
        raise NotImplementedError

    @staticmethod
    def backward(z: np.ndarray, a: np.ndarray, delta: np.ndarray) -> None:
        """Multiply by the slope.

        Parameters
        ----------
        z : ndarray of shape (n,) or (0,)
            The function's input, where the class has ``needs_input``.
        a : ndarray of shape (n,)
            The function's output f(z).
        delta : ndarray of shape (n,)
            Derivative of the loss by f(z), overwritten by that by z.
        """
        raise NotImplementedError


class Identity(Activation, name="identity"):
    """f(z) = z."""

    @staticmethod
    def forward(a):
        """Leave `a` as it is."""

    @staticmethod
    def backward(z, a, delta):
        """Leave `delta` as it is: f'(z) = 1."""


class Logistic(Activation, name="logistic"):
    """f(z) = 1 / (1 + exp(-z)), f'(z) = f(z) (1 - f(z)).

    Weights start in a bound with factor 2, as scikit-learn has it.
    """

    glorot_factor = 2.0

    @staticmethod
    def forward(a):
        """Overwrite `a` by 1 / (1 + exp(-a))."""
        one = a.dtype.type(1)
        for i in range(a.size):
            a[i] = one / (one + exp(-a[i]))

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by a (1 - a)."""
        one = a.dtype.type(1)
        for i in range(delta.size):
            delta[i] *= a[i] * (one - a[i])


class Tanh(Activation, name="tanh"):
    """f(z) = tanh(z), f'(z) = 1 - f(z)**2."""

    @staticmethod
    def forward(a):
        """Overwrite `a` by tanh(a)."""
        for i in range(a.size):
            a[i] = tanh(a[i])

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by 1 - a**2."""
        one = a.dtype.type(1)
        for i in range(delta.size):
            delta[i] *= one - a[i] * a[i]


class ReLU(Activation, name="relu"):
    """f(z) = max(0, z), f'(z) = 1 where z > 0 and 0 elsewhere.

    NaN stays NaN, so that a diverged network is seen as such.

    References
    ----------
    Nair, V., Hinton, G. E. (2010). Rectified linear units improve restricted
    Boltzmann machines. ICML, section 2.
    """

    @staticmethod
    def forward(a):
        """Overwrite `a` by max(0, a)."""
        zero = a.dtype.type(0)
        for i in range(a.size):
            a[i] = zero if a[i] < zero else a[i]

    @staticmethod
    def backward(z, a, delta):
        """Clear `delta` where a is 0."""
        zero = a.dtype.type(0)
        for i in range(delta.size):
            delta[i] = zero if a[i] == zero else delta[i]
