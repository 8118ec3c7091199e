"""Initial weights and biases.

To add an initialiser, define a named subclass of :class:`Initializer` in this file.

If the weights of a layer are too large or too small, the activations and gradients grow or shrink
from layer to layer. The initialisers differ in the variance that prevents this, which depends on
the activation. ``weight_init='auto'`` takes the one that suits each layer's activation.

Normal distributions are not truncated. The biases are zero, except for 'glorot_uniform', which
draws them as scikit-learn does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknet.activations import Activation
from sknet.parts import Part


class Initializer(Part):
    """A distribution of the initial weights and biases of a layer."""

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights and biases of one layer.

        Parameters
        ----------
        random_state : RandomState
            Source of random numbers.
        fan_in, fan_out : int
            Number of inputs and of outputs of the layer, each >= 1.
        factor : float
            The ``glorot_factor`` of the layer's activation.

        Returns
        -------
        weights : ndarray of shape (fan_in, fan_out)
            Initial weights, float64.
        biases : ndarray of shape (fan_out,)
            Initial biases, float64.
        """
        raise NotImplementedError


def draw_layer(
    weight_init: str | Callable[..., Any],
    random_state: np.random.RandomState,
    fan_in: int,
    fan_out: int,
    activation: type[Activation],
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the weights and biases of a layer for a value of the parameter ``weight_init``.

    Parameters
    ----------
    weight_init : str or callable
        Name of an initialiser, 'auto' or a function. 'auto' stands for the ``weight_init`` of the
        activation. The function is called as ``f(fan_in, fan_out, random_state)``. It returns the
        weights, or a tuple of weights and biases. If it returns no biases, they are zero.
    random_state : RandomState
        Source of random numbers.
    fan_in, fan_out : int
        Number of inputs and of outputs of the layer, each >= 1.
    activation : type
        The :class:`~sknet.activations.Activation` of the layer.

    Returns
    -------
    weights : ndarray of shape (fan_in, fan_out)
        Initial weights, float64.
    biases : ndarray of shape (fan_out,)
        Initial biases, float64.

    Raises
    ------
    ValueError
        If no initialiser has the name, or if a function returns arrays of another shape or numbers
        that are not finite and real.

    Examples
    --------
    >>> import numpy as np
    >>> from sknet.activations import Activation
    >>> from sknet.initialization import draw_layer
    >>> random_state = np.random.RandomState(0)
    >>> weights, biases = draw_layer("he_normal", random_state, 3, 2, Activation.get("relu"))
    >>> weights.shape, biases
    ((3, 2), array([0., 0.]))
    """
    if callable(weight_init):
        drawn = weight_init(fan_in, fan_out, random_state)
        if not isinstance(drawn, tuple):
            drawn = drawn, np.zeros(fan_out)
        if len(drawn) != 2:
            raise ValueError(
                f"weight_init returned a tuple of length {len(drawn)}. Return weights of shape "
                f"{(fan_in, fan_out)}, or a tuple of such weights and biases of shape {(fan_out,)}."
            )
        return (
            _checked(drawn[0], "weights", (fan_in, fan_out)),
            _checked(drawn[1], "biases", (fan_out,)),
        )
    name = activation.weight_init if weight_init == "auto" else weight_init
    return Initializer.get(name).draw(random_state, fan_in, fan_out, activation.glorot_factor)


def _checked(drawn: Any, what: str, shape: tuple[int, ...]) -> np.ndarray:
    """Check and copy an array that a user's function returned. Training overwrites the copy."""
    wanted = f"Return finite real numbers of shape {shape} for this layer."
    try:
        array = np.array(drawn)
    except ValueError as error:
        raise ValueError(f"weight_init returned {what} that are not an array. {wanted}") from error
    if array.shape != shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"weight_init returned {what} of shape {array.shape} and dtype {array.dtype}. {wanted}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"weight_init returned {what} with NaN or infinity. {wanted}")
    return array.astype(np.float64, copy=False)


class GlorotUniform(Initializer, name="glorot_uniform"):
    """Uniform weights and biases with variance 2 / (fan_in + fan_out).

    Uniform in [-b, b), b = sqrt(factor / (fan_in + fan_out)).

    It suits 'tanh', 'softsign' and 'identity', which are close to linear near 0. For 'relu' and
    'logistic' it is what scikit-learn does. The factor is the activation's ``glorot_factor``. As in
    scikit-learn it is 6 in general and 2 for 'logistic', where the variance is thus a third of the
    above. The biases are drawn from the same distribution.

    References
    ----------
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training deep feedforward neural
    networks. AISTATS, equation 16 (factor 6).
    """

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights, then the biases, in the order of scikit-learn."""
        bound = np.sqrt(factor / (fan_in + fan_out))
        weights = random_state.uniform(-bound, bound, (fan_in, fan_out))
        return weights, random_state.uniform(-bound, bound, fan_out)


class GlorotNormal(Initializer, name="glorot_normal"):
    """Normal weights with variance 2 / (fan_in + fan_out).

    Normal with mean 0 and standard deviation s = sqrt(factor / 3 / (fan_in + fan_out)).

    The factor and the variance are those of :class:`GlorotUniform`. For 'logistic', the variance is
    a third of the above.

    References
    ----------
    Glorot, X., Bengio, Y. (2010). Understanding the difficulty of training deep feedforward neural
    networks. AISTATS, equation 12.
    """

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights; the biases are zero."""
        return _normal(random_state, fan_in, fan_out, factor / 3 / (fan_in + fan_out))


class HeUniform(Initializer, name="he_uniform"):
    """Uniform weights with variance 2 / fan_in.

    Uniform in [-b, b), b = sqrt(6 / fan_in).

    It suits 'relu' and similar activations, as :class:`HeNormal` does.

    References
    ----------
    He, K., Zhang, X., Ren, S., Sun, J. (2015). Delving deep into rectifiers: surpassing
    human-level performance on ImageNet classification. ICCV, arXiv:1502.01852, equation 10.
    """

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights; the biases are zero."""
        return _uniform(random_state, fan_in, fan_out, 2 / fan_in)


class HeNormal(Initializer, name="he_normal"):
    """Normal weights with variance 2 / fan_in.

    Normal with mean 0 and standard deviation s = sqrt(2 / fan_in).

    It suits 'relu' and similar activations, which set about half of the pre-activations to 0.
    The factor of 2 makes up for this.

    References
    ----------
    He, K., Zhang, X., Ren, S., Sun, J. (2015). Delving deep into rectifiers: surpassing
    human-level performance on ImageNet classification. ICCV, arXiv:1502.01852, equation 10.
    """

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights; the biases are zero."""
        return _normal(random_state, fan_in, fan_out, 2 / fan_in)


class LeCunUniform(Initializer, name="lecun_uniform"):
    """Uniform weights with variance 1 / fan_in.

    Uniform in [-b, b), b = sqrt(3 / fan_in).

    With inputs of mean 0 and variance 1, it gives pre-activations of variance 1.

    References
    ----------
    LeCun, Y., Bottou, L., Orr, G. B., Mueller, K.-R. (1998). Efficient backprop. In Neural
    networks: tricks of the trade, equation 16.
    """

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights; the biases are zero."""
        return _uniform(random_state, fan_in, fan_out, 1 / fan_in)


class LeCunNormal(Initializer, name="lecun_normal"):
    """Normal weights with variance 1 / fan_in.

    Normal with mean 0 and standard deviation s = sqrt(1 / fan_in).

    It suits 'selu', whose constants assume pre-activations of variance 1.

    References
    ----------
    LeCun, Y., Bottou, L., Orr, G. B., Mueller, K.-R. (1998). Efficient backprop. In Neural
    networks: tricks of the trade, equation 16.
    """

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights; the biases are zero."""
        return _normal(random_state, fan_in, fan_out, 1 / fan_in)


class Orthogonal(Initializer, name="orthogonal"):
    """Random weights with orthonormal columns, or orthonormal rows if fan_in < fan_out.

    W'W = I if fan_in >= fan_out, else W W' = I.

    In a network of many layers of equal width, such weights keep the norm of signals that pass
    through them. W is the factor Q of the QR decomposition of a matrix of normal numbers. The signs
    of its columns are chosen so that the diagonal of R is positive. Without this choice, W would
    not be uniformly distributed over all such matrices.

    References
    ----------
    Saxe, A. M., McClelland, J. L., Ganguli, S. (2014). Exact solutions to the nonlinear dynamics
    of learning in deep linear neural networks. ICLR, arXiv:1312.6120, section 3.

    Mezzadri, F. (2007). How to generate random matrices from the classical compact groups. Notices
    of the AMS 54(5), section 5.
    """

    @staticmethod
    def draw(
        random_state: np.random.RandomState, fan_in: int, fan_out: int, factor: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the weights; the biases are zero."""
        tall = random_state.normal(size=(max(fan_in, fan_out), min(fan_in, fan_out)))
        Q, R = np.linalg.qr(tall)
        Q *= np.sign(np.diag(R))
        return Q if fan_in >= fan_out else Q.T, np.zeros(fan_out)


def _normal(
    random_state: np.random.RandomState, fan_in: int, fan_out: int, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return normal weights with a given variance, and zero biases."""
    return random_state.normal(0, np.sqrt(variance), (fan_in, fan_out)), np.zeros(fan_out)


def _uniform(
    random_state: np.random.RandomState, fan_in: int, fan_out: int, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return uniform weights with a given variance, and zero biases."""
    bound = np.sqrt(3 * variance)
    return random_state.uniform(-bound, bound, (fan_in, fan_out)), np.zeros(fan_out)
