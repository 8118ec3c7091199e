"""How weights are drawn before training. A new way is one class here.

Normal draws are not truncated. Biases start at zero, except where scikit-learn draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknet.activations import Activation
from sknet.parts import Part


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

    Parameters
    ----------
    weight_init : str or callable
        Name of an initialiser; 'auto', the one of the activation; or a
        function of `fan_in`, `fan_out` and `random_state` that returns the
        weights, or a tuple of weights and biases. Its biases are zero if it
        gives none.
    random_state : RandomState
        Where the draws come from.
    fan_in, fan_out : int
        Units before and after the layer.
    activation : type
        The :class:`~sknet.activations.Activation` of the layer.

    Returns
    -------
    weights : ndarray of shape (fan_in, fan_out)
    biases : ndarray of shape (fan_out,)

    Raises
    ------
    ValueError
        If a callable returns anything else, or numbers that are not finite.
    """
    if callable(weight_init):
        drawn = weight_init(fan_in, fan_out, random_state)
        if not isinstance(drawn, tuple):
            drawn = drawn, np.zeros(fan_out)
        if len(drawn) != 2:
            raise ValueError(
                f"weight_init returned a tuple of {len(drawn)}; return weights of shape "
                f"{(fan_in, fan_out)}, or a tuple of these and biases of shape {(fan_out,)}."
            )
        return (
            _checked(drawn[0], "weights", (fan_in, fan_out)),
            _checked(drawn[1], "biases", (fan_out,)),
        )
    name = activation.weight_init if weight_init == "auto" else weight_init
    return Initializer.get(name).draw(random_state, fan_in, fan_out, activation.glorot_factor)


def _checked(drawn: Any, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a copy of what a user's function has drawn: training overwrites it."""
    wanted = f"return finite real numbers of shape {shape} for this layer."
    try:
        array = np.array(drawn)
    except ValueError as error:
        raise ValueError(f"weight_init returned {what} that are no array; {wanted}") from error
    if array.shape != shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"weight_init returned {what} of shape {array.shape} and dtype {array.dtype}; {wanted}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"weight_init returned {what} with NaN or infinity; {wanted}")
    return array.astype(np.float64, copy=False)


class GlorotUniform(Initializer, name="glorot_uniform"):
    """Uniform in (-b, b) with b = sqrt(factor / (fan_in + fan_out)), biases included.

    The factor is 6, and 2 for 'logistic', as scikit-learn has it.

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


class GlorotNormal(Initializer, name="glorot_normal"):
    """Normal with standard deviation s = sqrt(factor / 3 / (fan_in + fan_out)).

    The factor is that of 'glorot_uniform', and so is the variance: 2 / (fan_in + fan_out) but
    for 'logistic'.

    References
    ----------
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training
    deep feedforward neural networks. AISTATS, equation 12.
    """

    @staticmethod
    def draw(random_state, fan_in, fan_out, factor):
        """Draw weights."""
        return _normal(random_state, fan_in, fan_out, factor / 3 / (fan_in + fan_out))


class HeUniform(Initializer, name="he_uniform"):
    """Uniform in (-b, b) with b = sqrt(6 / fan_in): variance 2 / fan_in.

    References
    ----------
    He, K., Zhang, X., Ren, S., Sun, J. (2015). Delving deep into rectifiers:
    surpassing human-level performance on ImageNet classification. ICCV,
    arXiv:1502.01852, equation 10.
    """

    @staticmethod
    def draw(random_state, fan_in, fan_out, factor):
        """Draw weights."""
        return _uniform(random_state, fan_in, fan_out, 2 / fan_in)


class HeNormal(Initializer, name="he_normal"):
    """Normal with standard deviation s = sqrt(2 / fan_in).

    References
    ----------
    He, K., Zhang, X., Ren, S., Sun, J. (2015). Delving deep into rectifiers:
    surpassing human-level performance on ImageNet classification. ICCV,
    arXiv:1502.01852, equation 10.
    """

    @staticmethod
    def draw(random_state, fan_in, fan_out, factor):
        """Draw weights."""
        return _normal(random_state, fan_in, fan_out, 2 / fan_in)


class LeCunUniform(Initializer, name="lecun_uniform"):
    """Uniform in (-b, b) with b = sqrt(3 / fan_in): variance 1 / fan_in.

    References
    ----------
    LeCun, Y., Bottou, L., Orr, G. B., Mueller, K.-R. (1998). Efficient
    backprop. In Neural networks: tricks of the trade, equation 16.
    """

    @staticmethod
    def draw(random_state, fan_in, fan_out, factor):
        """Draw weights."""
        return _uniform(random_state, fan_in, fan_out, 1 / fan_in)


class LeCunNormal(Initializer, name="lecun_normal"):
    """Normal with standard deviation s = sqrt(1 / fan_in).

    References
    ----------
    LeCun, Y., Bottou, L., Orr, G. B., Mueller, K.-R. (1998). Efficient
    backprop. In Neural networks: tricks of the trade, equation 16.
    """

    @staticmethod
    def draw(random_state, fan_in, fan_out, factor):
        """Draw weights."""
        return _normal(random_state, fan_in, fan_out, 1 / fan_in)


class Orthogonal(Initializer, name="orthogonal"):
    """Uniform among the matrices with W'W = I or, where fan_in < fan_out, W W' = I.

    W is Q of the decomposition Q R of a matrix of normal numbers, its columns
    turned so that the diagonal of R is positive: without that, W would not be
    uniform.

    References
    ----------
    Saxe, A. M., McClelland, J. L., Ganguli, S. (2014). Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks. ICLR,
    arXiv:1312.6120, section 3. Mezzadri, F. (2007). How to generate random
    matrices from the classical compact groups. Notices of the AMS 54(5),
    section 5.
    """

    @staticmethod
    def draw(random_state, fan_in, fan_out, factor):
        """Draw weights."""
        tall = random_state.normal(size=(max(fan_in, fan_out), min(fan_in, fan_out)))
        Q, R = np.linalg.qr(tall)
        Q *= np.sign(np.diag(R))
        return Q if fan_in >= fan_out else Q.T, np.zeros(fan_out)


def _normal(
    random_state: np.random.RandomState, fan_in: int, fan_out: int, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return normal weights of a variance, and zero biases."""
    return random_state.normal(0, np.sqrt(variance), (fan_in, fan_out)), np.zeros(fan_out)


def _uniform(
    random_state: np.random.RandomState, fan_in: int, fan_out: int, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return uniform weights of a variance, and zero biases."""
    bound = np.sqrt(3 * variance)
    return random_state.uniform(-bound, bound, (fan_in, fan_out)), np.zeros(fan_out)
