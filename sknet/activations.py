"""Activation functions of the hidden layers. A new one is one class here.

Each works on one flat array: all units of a layer for all rows of a batch.
Constants are made in the array's dtype: ``1`` or ``1.0`` beside a float32 would
turn the whole loop into float64.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from sknet._engine.functions import exp, tanh
from sknet.parts import Part


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


class LeakyReLU(Activation, name="leaky_relu"):
    """f(z) = z where z > 0 and 0.01 z elsewhere, f'(z) = 1 or 0.01.

    References
    ----------
    Maas, A. L., Hannun, A. Y., Ng, A. Y. (2013). Rectifier nonlinearities
    improve neural network acoustic models. ICML workshop on deep learning for
    audio, speech and language processing, section 2.
    """

    weight_init = "he_normal"

    @staticmethod
    def forward(a):
        """Overwrite `a` by max(0.01 a, a)."""
        zero, leak = a.dtype.type(0), a.dtype.type(0.01)
        for i in range(a.size):
            a[i] = leak * a[i] if a[i] < zero else a[i]

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by 0.01 where a is not above 0: a has the sign of z."""
        zero, leak = a.dtype.type(0), a.dtype.type(0.01)
        for i in range(delta.size):
            delta[i] = delta[i] if a[i] > zero else leak * delta[i]


class ELU(Activation, name="elu"):
    """f(z) = z where z > 0 and exp(z) - 1 elsewhere, f'(z) = 1 or f(z) + 1.

    The paper's alpha is 1.

    References
    ----------
    Clevert, D.-A., Unterthiner, T., Hochreiter, S. (2016). Fast and accurate
    deep network learning by exponential linear units (ELUs). ICLR,
    arXiv:1511.07289, section 3.
    """

    weight_init = "he_normal"

    @staticmethod
    def forward(a):
        """Overwrite `a` by exp(a) - 1 where it is negative.

        With t = tanh(a / 2) that is 2 t / (1 - t), which loses no digits
        where a is small.
        """
        zero, half, one = a.dtype.type(0), a.dtype.type(0.5), a.dtype.type(1)
        for i in range(a.size):
            t = tanh(half * (a[i] if a[i] < zero else zero))
            a[i] = (t + t) / (one - t) if a[i] < zero else a[i]

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by a + 1 where a is not above 0."""
        zero, one = a.dtype.type(0), a.dtype.type(1)
        for i in range(delta.size):
            delta[i] *= one if a[i] > zero else a[i] + one


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class SELU(Activation, name="selu"):
    """f(z) = s z where z > 0 and s alpha (exp(z) - 1) elsewhere, f'(z) = s or f(z) + s alpha.

    s = 1.0507..., alpha = 1.6732... keep mean 0 and variance 1 from layer to layer.

    References
    ----------
    Klambauer, G., Unterthiner, T., Mayr, A., Hochreiter, S. (2017).
    Self-normalizing neural networks. NeurIPS, arXiv:1706.02515, equation 2.
    """

    weight_init = "lecun_normal"

    @staticmethod
    def forward(a):
        """Overwrite `a` by s a, or where it is negative s alpha (exp(a) - 1), as ELU has it."""
        zero, half, one = a.dtype.type(0), a.dtype.type(0.5), a.dtype.type(1)
        scale, bottom = a.dtype.type(SELU_SCALE), a.dtype.type(SELU_SCALE * SELU_ALPHA)
        for i in range(a.size):
            t = tanh(half * (a[i] if a[i] < zero else zero))
            a[i] = bottom * (t + t) / (one - t) if a[i] < zero else scale * a[i]

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by s, or where a is not above 0 by a + s alpha."""
        zero = a.dtype.type(0)
        scale, bottom = a.dtype.type(SELU_SCALE), a.dtype.type(SELU_SCALE * SELU_ALPHA)
        for i in range(delta.size):
            delta[i] *= scale if a[i] > zero else a[i] + bottom


# Twice sqrt(2 / pi), and the weight of the cube.
GELU_SLOPE, GELU_CUBIC = 2 * math.sqrt(2 / math.pi), 0.044715


class GELU(Activation, name="gelu"):
    """f(z) = z (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (z + 0.044715 z**3).

    With p = (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)), f'(z) = p + z p (1 - p) 2 u'(z).

    This is the paper's approximation of z times the normal distribution
    function, within 5e-4 of it: it needs no error function, which
    processors' vectors do not have. PyTorch calls it approximate='tanh'.

    References
    ----------
    Hendrycks, D., Gimpel, K. (2016). Gaussian error linear units (GELUs).
    arXiv:1606.08415, section 2.
    """

    weight_init = "he_normal"
    needs_input = True

    @staticmethod
    def forward(a):
        """Overwrite `a` by a / (1 + exp(-2 u))."""
        one, slope, cubic = a.dtype.type(1), a.dtype.type(GELU_SLOPE), a.dtype.type(GELU_CUBIC)
        for i in range(a.size):
            z = a[i]
            a[i] = z / (one + exp(-slope * z * (one + cubic * (z * z))))

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by p + z p (1 - p) 2 u'.

        With w = exp(-2 |u|), p (1 - p) = w / (1 + w)**2, which loses no digits.
        """
        zero, one, three = a.dtype.type(0), a.dtype.type(1), a.dtype.type(3)
        slope, cubic = a.dtype.type(GELU_SLOPE), a.dtype.type(GELU_CUBIC)
        for i in range(delta.size):
            x = z[i]
            square = cubic * (x * x)
            w = exp(-slope * abs(x) * (one + square))
            q = one / (one + w)
            p = w * q if x < zero else q
            delta[i] *= p + w * q * q * (slope * x * (one + three * square))


class SiLU(Activation, name="silu"):
    """f(z) = z p with p = 1 / (1 + exp(-z)), f'(z) = p + z p (1 - p). Also called swish.

    References
    ----------
    Elfwing, S., Uchibe, E., Doya, K. (2018). Sigmoid-weighted linear units for
    neural network function approximation in reinforcement learning. Neural
    Networks 107, arXiv:1702.03118, section 2.
    """

    weight_init = "he_normal"
    needs_input = True

    @staticmethod
    def forward(a):
        """Overwrite `a` by a / (1 + exp(-a))."""
        one = a.dtype.type(1)
        for i in range(a.size):
            a[i] = a[i] / (one + exp(-a[i]))

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by p + z p (1 - p).

        With w = exp(-|z|), p (1 - p) = w / (1 + w)**2, which loses no digits.
        """
        zero, one = a.dtype.type(0), a.dtype.type(1)
        for i in range(delta.size):
            x = z[i]
            w = exp(-abs(x))
            q = one / (one + w)
            p = w * q if x < zero else q
            delta[i] *= p + x * w * q * q


class Mish(Activation, name="mish"):
    """f(z) = z tanh(log(1 + exp(z))).

    With p = 1 / (1 + exp(-z)) and t = tanh(log(1 + exp(z))),
    f'(z) = t + z p (1 - t**2).

    References
    ----------
    Misra, D. (2020). Mish: a self regularized non-monotonic activation
    function. BMVC, arXiv:1908.08681, section 2.
    """

    weight_init = "he_normal"
    needs_input = True

    @staticmethod
    def forward(a):
        """Overwrite `a` by a n / (n + r) with n = exp(2 a) + 2 exp(a) and r = 2.

        Where a is positive both are divided by exp(2 a), so that nothing
        overflows. Sums of positive terms lose no digits.
        """
        zero, one, two = a.dtype.type(0), a.dtype.type(1), a.dtype.type(2)
        for i in range(a.size):
            z = a[i]
            w = exp(-abs(z))
            n = w * (w + two) if z < zero else one + two * w
            r = two if z < zero else two * w * w
            a[i] = z * n / (n + r)

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by t + z p (1 - t) (1 + t), where 1 - t = r / (n + r)."""
        zero, one, two = a.dtype.type(0), a.dtype.type(1), a.dtype.type(2)
        for i in range(delta.size):
            x = z[i]
            w = exp(-abs(x))
            n = w * (w + two) if x < zero else one + two * w
            r = two if x < zero else two * w * w
            p = (w if x < zero else one) / (one + w)
            t = n / (n + r)
            delta[i] *= t + x * p * (r / (n + r)) * (one + t)


class Softplus(Activation, name="softplus"):
    """f(z) = log(1 + exp(z)), f'(z) = 1 - exp(-f(z)).

    References
    ----------
    Dugas, C., Bengio, Y., Belisle, F., Nadeau, C., Garcia, R. (2001).
    Incorporating second-order functional knowledge for better option pricing.
    NIPS 13, section 2.
    """

    weight_init = "he_normal"

    @staticmethod
    def forward(a):
        """Overwrite `a` by max(0, a) + log(1 + w) with w = exp(-|a|), of which nothing overflows.

        log(1 + w) = 2 (s + s**3 / 3 + s**5 / 5 + ...) with s = w / (2 + w), which is at
        most 1/3: after 16 terms the rest is below a tenth of float64's resolution
        (Abramowitz and Stegun 1964, Handbook of mathematical functions, 4.1.27). A
        logarithm of the C library would keep the loop from using vectors.
        """
        zero, one, two = a.dtype.type(0), a.dtype.type(1), a.dtype.type(2)
        for i in range(a.size):
            w = exp(-abs(a[i]))
            s = w / (two + w)
            series = zero
            for k in range(15, -1, -1):
                series = series * (s * s) + one / a.dtype.type(2 * k + 1)
            a[i] = (zero if a[i] < zero else a[i]) + two * s * series

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by 1 - exp(-a).

        With t = tanh(a / 2) that is 2 t / (1 + t), which loses no digits
        where a is small.
        """
        half, one = a.dtype.type(0.5), a.dtype.type(1)
        for i in range(delta.size):
            t = tanh(half * a[i])
            delta[i] *= (t + t) / (one + t)


class Softsign(Activation, name="softsign"):
    """f(z) = z / (1 + |z|), f'(z) = (1 - |f(z)|)**2.

    References
    ----------
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training
    deep feedforward neural networks. AISTATS, section 3.3.
    """

    @staticmethod
    def forward(a):
        """Overwrite `a` by a / (1 + |a|)."""
        one = a.dtype.type(1)
        for i in range(a.size):
            a[i] = a[i] / (one + abs(a[i]))

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by (1 - |a|)**2."""
        one = a.dtype.type(1)
        for i in range(delta.size):
            rest = one - abs(a[i])
            delta[i] *= rest * rest
