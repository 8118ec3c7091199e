"""Activation functions of the hidden layers.

To add an activation, define a named subclass of :class:`Activation` in this file. Its `forward` and
`backward` change a flat array in place. The array holds all units of a layer for all rows of a
minibatch. Numba compiles both for float32 and float64, so they carry no annotations. Constants must
have the dtype of the array, as ``a.dtype.type(1)``: a literal ``1.0`` promotes float32 to float64.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from sknet._engine.functions import exp, fma, tanh
from sknet.parts import Part


class Activation(Part):
    """An elementwise activation function f of a hidden layer, and its derivative.

    Attributes
    ----------
    glorot_factor : float
        'glorot_uniform' draws weights below ``sqrt(glorot_factor / (fan_in + fan_out))`` in size.
    weight_init : str
        Name of the initialiser that ``weight_init='auto'`` selects for the weights of the layer.
    needs_input : bool
        Whether `backward` reads the pre-activations `z`. Otherwise it needs only the activations.

    Examples
    --------
    >>> import numpy as np
    >>> from sknet.activations import ReLU
    >>> a = np.array([-1.0, 2.0])
    >>> ReLU.forward(a)
    >>> a
    array([0., 2.])
    """

    glorot_factor: ClassVar[float] = 6.0
    weight_init: ClassVar[str] = "glorot_uniform"
    needs_input: ClassVar[bool] = False

    @staticmethod
    def forward(a: np.ndarray) -> None:
        """Apply f to each element.

        Parameters
        ----------
        a : ndarray of shape (n,)
            The pre-activations z, float32 or float64. Overwritten with the activations f(z).
        """
        raise NotImplementedError

    @staticmethod
    def backward(z: np.ndarray, a: np.ndarray, delta: np.ndarray) -> None:
        """Multiply each element of `delta` by f'(z).

        Parameters
        ----------
        z : ndarray of shape (n,) or (0,)
            The pre-activations. Empty if ``needs_input`` is False.
        a : ndarray of shape (n,)
            The activations f(z).
        delta : ndarray of shape (n,)
            Derivative of the loss with respect to f(z). Overwritten with the derivative with
            respect to z.
        """
        raise NotImplementedError


class Identity(Activation, name="identity"):
    """Identity: f(z) = z, f'(z) = 1.

    Use it to fit a linear model, or to compress the inputs linearly in one layer of several.
    """

    @staticmethod
    def forward(a):
        """Leave `a` unchanged."""

    @staticmethod
    def backward(z, a, delta):
        """Leave `delta` unchanged."""


class Logistic(Activation, name="logistic"):
    """Logistic sigmoid: f(z) = 1 / (1 + exp(-z)), f'(z) = f(z) (1 - f(z)).

    Its activations are between 0 and 1. Where they are close to either, the derivative is almost 0,
    so networks of many layers learn slowly with it. As in scikit-learn, its ``glorot_factor`` is 2.
    """

    glorot_factor = 2.0

    @staticmethod
    def forward(a):
        """Overwrite `a` with 1 / (1 + exp(-a))."""
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
    """Hyperbolic tangent: f(z) = tanh(z), f'(z) = 1 - f(z)**2.

    Use it for smooth functions in networks of few layers. Its activations are between -1 and 1.
    """

    @staticmethod
    def forward(a):
        """Overwrite `a` with tanh(a)."""
        for i in range(a.size):
            a[i] = tanh(a[i])

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by 1 - a**2."""
        one = a.dtype.type(1)
        for i in range(delta.size):
            delta[i] *= one - a[i] * a[i]


class ReLU(Activation, name="relu"):
    """Rectified linear unit: f(z) = max(0, z), f'(z) = 1 if z > 0, else 0.

    This is the default, and it is fast. A unit whose z is negative for all samples stops learning.
    NaN stays NaN, so that a network that diverges does not go unnoticed.

    References
    ----------
    Nair, V., Hinton, G. E. (2010). Rectified linear units improve restricted Boltzmann machines.
    ICML, section 2.
    """

    @staticmethod
    def forward(a):
        """Overwrite `a` with max(0, a)."""
        zero = a.dtype.type(0)
        for i in range(a.size):
            a[i] = zero if a[i] < zero else a[i]

    @staticmethod
    def backward(z, a, delta):
        """Set `delta` to 0 where a is 0."""
        zero = a.dtype.type(0)
        for i in range(delta.size):
            delta[i] = zero if a[i] == zero else delta[i]


class LeakyReLU(Activation, name="leaky_relu"):
    """Leaky rectified linear unit: f(z) = z if z > 0, else 0.01 z; f'(z) = 1 if z > 0, else 0.01.

    Use it in place of 'relu' when many units are always 0: its units learn for every z.

    References
    ----------
    Maas, A. L., Hannun, A. Y., Ng, A. Y. (2013). Rectifier nonlinearities improve neural network
    acoustic models. ICML workshop on deep learning for audio, speech and language processing,
    section 2.
    """

    weight_init = "he_normal"

    @staticmethod
    def forward(a):
        """Overwrite `a` with max(0.01 a, a)."""
        zero, leak = a.dtype.type(0), a.dtype.type(0.01)
        for i in range(a.size):
            a[i] = leak * a[i] if a[i] < zero else a[i]

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by 0.01 where a <= 0, since a has the same sign as z."""
        zero, leak = a.dtype.type(0), a.dtype.type(0.01)
        for i in range(delta.size):
            delta[i] = delta[i] if a[i] > zero else leak * delta[i]


class ELU(Activation, name="elu"):
    """Exponential linear unit, with the paper's alpha set to 1.

    f(z) = z if z > 0, else exp(z) - 1; f'(z) = 1 if z > 0, else f(z) + 1.

    Use it for a function like ReLU whose derivative has no jump and is never 0.

    References
    ----------
    Clevert, D.-A., Unterthiner, T., Hochreiter, S. (2016). Fast and accurate deep network learning
    by exponential linear units (ELUs). ICLR, arXiv:1511.07289, section 3.
    """

    weight_init = "he_normal"

    @staticmethod
    def forward(a):
        """Where a < 0, overwrite `a` with exp(a) - 1, as 2 t / (1 - t) with t = tanh(a / 2)."""
        zero, half, one = a.dtype.type(0), a.dtype.type(0.5), a.dtype.type(1)
        for i in range(a.size):
            t = tanh(half * (a[i] if a[i] < zero else zero))  # exp(a) - 1 would cancel near 0
            a[i] = (t + t) / (one - t) if a[i] < zero else a[i]

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by a + 1 where a <= 0."""
        zero, one = a.dtype.type(0), a.dtype.type(1)
        for i in range(delta.size):
            delta[i] *= one if a[i] > zero else a[i] + one


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class SELU(Activation, name="selu"):
    """Scaled exponential linear unit.

    f(z) = s z if z > 0, else s alpha (exp(z) - 1);
    f'(z) = s if z > 0, else f(z) + s alpha; s = 1.0507..., alpha = 1.6732...

    The two constants are chosen so that pre-activations with mean 0 and variance 1 give
    activations with mean 0 and variance 1. Use it for many layers, with standardised inputs.

    References
    ----------
    Klambauer, G., Unterthiner, T., Mayr, A., Hochreiter, S. (2017). Self-normalizing neural
    networks. NeurIPS, arXiv:1706.02515, equation 2.
    """

    weight_init = "lecun_normal"

    @staticmethod
    def forward(a):
        """Overwrite `a` with s a or, where a < 0, with s alpha (exp(a) - 1), computed as in ELU."""
        zero, half, one = a.dtype.type(0), a.dtype.type(0.5), a.dtype.type(1)
        scale, bottom = a.dtype.type(SELU_SCALE), a.dtype.type(SELU_SCALE * SELU_ALPHA)
        for i in range(a.size):
            t = tanh(half * (a[i] if a[i] < zero else zero))
            a[i] = bottom * (t + t) / (one - t) if a[i] < zero else scale * a[i]

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by s, or by a + s alpha where a <= 0."""
        zero = a.dtype.type(0)
        scale, bottom = a.dtype.type(SELU_SCALE), a.dtype.type(SELU_SCALE * SELU_ALPHA)
        for i in range(delta.size):
            delta[i] *= scale if a[i] > zero else a[i] + bottom


GELU_SLOPE, GELU_CUBIC = 2 * math.sqrt(2 / math.pi), 0.044715  # 2 u = SLOPE (z + CUBIC z**3)


class GELU(Activation, name="gelu"):
    """Gaussian error linear unit, in the approximation that uses tanh.

    f(z) = z p, f'(z) = p + z p (1 - p) 2 u'(z),
    p = (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)),
    u = sqrt(2 / pi) (z + 0.044715 z**3).

    This smooth relative of ReLU is common in transformers. The exact function is z times the
    distribution function of the standard normal distribution. The approximation is the paper's own,
    and its error is below 5e-4. It needs no error function, for which processors have no vector
    instructions. PyTorch calls it ``GELU(approximate='tanh')``.

    References
    ----------
    Hendrycks, D., Gimpel, K. (2016). Gaussian error linear units (GELUs). arXiv:1606.08415,
    section 2.
    """

    weight_init = "he_normal"
    needs_input = True

    @staticmethod
    def forward(a):
        """Overwrite `a` with a / (1 + exp(-2 u))."""
        one, slope, cubic = a.dtype.type(1), a.dtype.type(GELU_SLOPE), a.dtype.type(GELU_CUBIC)
        for i in range(a.size):
            z = a[i]
            a[i] = z / (one + exp(-slope * z * (one + cubic * (z * z))))

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by p + z p (1 - p) 2 u'.

        p (1 - p) is w / (1 + w)**2 with w = exp(-2 |u|), since 1 - p would cancel. Where w is 0,
        u' may overflow, so that the second term is left out.
        """
        zero, one, three = a.dtype.type(0), a.dtype.type(1), a.dtype.type(3)
        slope, cubic = a.dtype.type(GELU_SLOPE), a.dtype.type(GELU_CUBIC)
        for i in range(delta.size):
            x = z[i]
            square = cubic * (x * x)
            w = exp(-slope * abs(x) * (one + square))
            q = one / (one + w)
            p = w * q if x < zero else q
            bent = w * q * q * (slope * x * (one + three * square))
            delta[i] *= p if w == zero else p + bent


class SiLU(Activation, name="silu"):
    """Sigmoid linear unit, also called swish: a smooth relative of ReLU, simpler than 'gelu'.

    f(z) = z p, f'(z) = p + z p (1 - p), p = 1 / (1 + exp(-z)).

    References
    ----------
    Elfwing, S., Uchibe, E., Doya, K. (2018). Sigmoid-weighted linear units for neural network
    function approximation in reinforcement learning. Neural Networks 107, arXiv:1702.03118,
    section 2.
    """

    weight_init = "he_normal"
    needs_input = True

    @staticmethod
    def forward(a):
        """Overwrite `a` with a / (1 + exp(-a))."""
        one = a.dtype.type(1)
        for i in range(a.size):
            a[i] = a[i] / (one + exp(-a[i]))

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by p + z p (1 - p), where p (1 - p) is w / (1 + w)**2."""
        zero, one = a.dtype.type(0), a.dtype.type(1)
        for i in range(delta.size):
            x = z[i]
            w = exp(-abs(x))  # 1 - p would cancel where p is close to 1
            q = one / (one + w)
            p = w * q if x < zero else q
            delta[i] *= p + x * w * q * q


class Mish(Activation, name="mish"):
    """Mish, a smooth relative of ReLU like 'gelu' and 'silu'.

    f(z) = z t, f'(z) = t + z p (1 - t**2); t = tanh(log(1 + exp(z))), p = 1 / (1 + exp(-z)).

    References
    ----------
    Misra, D. (2020). Mish: a self regularized non-monotonic activation function. BMVC,
    arXiv:1908.08681, section 2.
    """

    weight_init = "he_normal"
    needs_input = True

    @staticmethod
    def forward(a):
        """Overwrite `a` with a n / (n + r), where n = exp(2 a) + 2 exp(a) and r = 2.

        Where a > 0, both n and r are divided by exp(2 a) to avoid overflow. All terms are
        positive, so that no sum suffers from cancellation.
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
        """Multiply `delta` by t + z p (1 - t) (1 + t), with 1 - t = r / (n + r)."""
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
    """Softplus: f(z) = log(1 + exp(z)), f'(z) = 1 - exp(-f(z)).

    Use it for a smooth form of ReLU that is always positive and never decreases.

    References
    ----------
    Dugas, C., Bengio, Y., Belisle, F., Nadeau, C., Garcia, R. (2001). Incorporating second-order
    functional knowledge for better option pricing. NIPS 13, section 2.
    """

    weight_init = "he_normal"

    @staticmethod
    def forward(a):
        """Overwrite `a` with max(0, a) + log(1 + w), where w = exp(-|a|) cannot overflow.

        log(1 + w) = 2 (s + s**3 / 3 + s**5 / 5 + ...) with s = w / (2 + w) <= 1/3 (Abramowitz and
        Stegun 1964, Handbook of mathematical functions, 4.1.27). The remainder after 16 terms is
        below epsilon / 10 of float64. The C library's logarithm would prevent vectorisation.
        """
        zero, one, two = a.dtype.type(0), a.dtype.type(1), a.dtype.type(2)
        for i in range(a.size):
            w = exp(-abs(a[i]))
            s = w / (two + w)
            series = zero
            for k in range(15, -1, -1):
                series = fma(series, s * s, one / a.dtype.type(2 * k + 1))
            a[i] = (zero if a[i] < zero else a[i]) + two * s * series

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by 1 - exp(-a), as 2 t / (1 + t) with t = tanh(a / 2)."""
        half, one = a.dtype.type(0.5), a.dtype.type(1)
        for i in range(delta.size):
            t = tanh(half * a[i])  # 1 - exp(-a) would cancel near 0
            delta[i] *= (t + t) / (one + t)


class Softsign(Activation, name="softsign"):
    """Softsign: f(z) = z / (1 + abs(z)), f'(z) = (1 - abs(f(z)))**2.

    Use it in place of 'tanh' to let units approach their bounds -1 and 1 more slowly.

    References
    ----------
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training deep feedforward neural
    networks. AISTATS, section 3.3.
    """

    @staticmethod
    def forward(a):
        """Overwrite `a` with a / (1 + |a|)."""
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
