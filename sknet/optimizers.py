"""Optimisers: how a gradient becomes a step. A new one is one class here.

An optimiser has two halves. Its kernel, `step`, sees flat arrays only: the
parameters, their gradient, the optimiser's own *slots* (one row of moments
each) and the *constants* of this step. Its Python half computes the constants
for all steps of an epoch at once.

Slots are stored for a stretch of parameters at a time, so that `step` finds
those of its stretch in one piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np

from sknet.parts import Part


@dataclass
class Optimizer(Part):
    """State and rule of a stochastic optimiser.

    Its fields are its hyperparameters, named as the estimators name them.

    Attributes
    ----------
    n_slots : int
        How many numbers it keeps for each parameter.
    decoupled_weight_decay : bool
        Whether weights shrink by ``weight_decay`` times the rate at each step,
        beside the gradient's step. Biases do not.
    ignores_schedules : tuple of str
        Names of schedules without effect on this optimiser: the learning rate is that of the
        schedule 'constant' instead.
    learning_rate : float
        Step size in force. Schedules change it between epochs.
    t : int
        Steps taken.
    slots : ndarray of shape (n_slots * n_parameters,)
        What it keeps, zero at first: for each PARAM_BLOCK of parameters one slot
        after the other.
    """

    n_slots: ClassVar[int]
    decoupled_weight_decay: ClassVar[bool] = False
    ignores_schedules: ClassVar[tuple[str, ...]] = ()
    learning_rate_init: float
    learning_rate: float = field(init=False)
    t: int = field(init=False, default=0)
    slots: np.ndarray = field(init=False, repr=False)

    @classmethod
    def start(cls, hyperparameters: Mapping[str, Any], like: np.ndarray) -> Self:
        """Make an optimiser for a flat vector of parameters.

        Parameters
        ----------
        hyperparameters : mapping of str to object
            Parameters of an estimator, of which the optimiser takes its own.
        like : ndarray of shape (n_parameters,)
            The vector it is for.
        """
        names = [f.name for f in fields(cls) if f.init]
        self = cls(**{name: hyperparameters[name] for name in names})
        self.learning_rate = float(self.learning_rate_init)
        self.slots = np.zeros(cls.n_slots * like.size, like.dtype)
        return self

    def constants(self, rates: np.ndarray) -> np.ndarray:
        """Return what `step` needs for each of the next steps.

        Parameters
        ----------
        rates : ndarray of shape (n_steps,)
            Learning rate of each step.

        Returns
        -------
        ndarray of shape (n_steps, n_constants)
        """
        raise NotImplementedError

    @staticmethod
    def step(
        params: np.ndarray, grad: np.ndarray, slots: np.ndarray, constants: np.ndarray
    ) -> None:
        """Take one step, for a stretch of parameters.

        Parameters
        ----------
        params : ndarray of shape (n,)
            Overwritten by the new parameters.
        grad : ndarray of shape (n,)
            Gradient of the batch's loss.
        slots : ndarray of shape (n_slots, n)
            Overwritten by the new state.
        constants : ndarray of shape (n_constants,)
            This step's row of what :meth:`constants` returned.
        """
        raise NotImplementedError


@dataclass
class SGD(Optimizer, name="sgd"):
    """Gradient descent with momentum, plain or Nesterov's.

    v_t = mu v_(t-1) - eta g_t. Plain: theta_t = theta_(t-1) + v_t. Nesterov:
    theta_t = theta_(t-1) + mu v_t - eta g_t. mu is ``momentum``, eta the
    learning rate. PyTorch keeps eta outside v; the two differ where eta changes.

    References
    ----------
    Sutskever, I., Martens, J., Dahl, G., Hinton, G. (2013). On the importance
    of initialization and momentum in deep learning. ICML, equations 1 to 4, in
    the form of Bengio, Boulanger-Lewandowski and Pascanu (2012),
    arXiv:1212.0901, equation 7.
    """

    n_slots = 1
    momentum: float
    nesterovs_momentum: bool

    def constants(self, rates):
        """Return eta, mu, and the weights of the old velocity and of the gradient in the step."""
        mu = np.full(rates.size, self.momentum)
        # mu v_t - eta g_t written out by v_(t-1) and g_t is one pass for both kinds.
        ahead = (mu * mu, rates * (1 + mu)) if self.nesterovs_momentum else (mu, rates)
        return np.column_stack([rates, mu, *ahead])

    @staticmethod
    def step(params, grad, slots, constants):
        """Take one step."""
        eta, mu, along, down = constants[0], constants[1], constants[2], constants[3]
        velocity = slots[0]
        for i in range(params.size):
            params[i] += along * velocity[i] - down * grad[i]
            velocity[i] = mu * velocity[i] - eta * grad[i]


@dataclass
class Adam(Optimizer, name="adam"):
    """Adam: steps scaled by running moments of the gradient.

    m_t = b1 m_(t-1) + (1 - b1) g_t, v_t = b2 v_(t-1) + (1 - b2) g_t**2,
    theta_t = theta_(t-1) - eta_t m_t / (sqrt(v_t) + epsilon),
    eta_t = eta sqrt(1 - b2**t) / (1 - b1**t). b1, b2 are ``beta_1``, ``beta_2``.

    This is the paper's efficient order of computation, in which epsilon
    stands before the bias correction of v; scikit-learn has the same. PyTorch
    and optax correct v first, which makes their epsilon larger by a factor of
    1 / sqrt(1 - b2**t).

    References
    ----------
    Kingma, D. P., Ba, J. (2015). Adam: a method for stochastic optimization.
    arXiv:1412.6980, algorithm 1 and the last paragraph of section 2.
    """

    n_slots = 2
    # scikit-learn's Adam ignores these two, which are the schedules that it has for SGD. Its
    # variants below are not in scikit-learn and follow all schedules.
    ignores_schedules: ClassVar[tuple[str, ...]] = ("invscaling", "adaptive")
    beta_1: float
    beta_2: float
    epsilon: float

    def constants(self, rates):
        """Return b1, 1 - b1, b2, 1 - b2, eta_t and epsilon for each step."""
        t = self.t + 1 + np.arange(rates.size)
        table = np.empty((rates.size, 6))
        table[:, 0:2] = self.beta_1, 1 - self.beta_1
        table[:, 2:4] = self.beta_2, 1 - self.beta_2
        table[:, 4] = rates * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        table[:, 5] = self.epsilon
        return table

    @staticmethod
    def step(params, grad, slots, constants):
        """Take one step."""
        keep_m, new_m, keep_v, new_v = constants[0], constants[1], constants[2], constants[3]
        eta, epsilon = constants[4], constants[5]
        m, v = slots[0], slots[1]
        for i in range(params.size):
            g = grad[i]
            first = keep_m * m[i] + new_m * g
            second = keep_v * v[i] + new_v * (g * g)
            m[i] = first
            v[i] = second
            params[i] -= eta * first / (np.sqrt(second) + epsilon)


class AdamW(Adam, name="adamw"):
    """Adam with weight decay of its own, which no moment sees.

    theta_t = (1 - eta ``weight_decay``) theta_(t-1) - Adam's step, the first
    factor for weights only. eta is the schedule's rate without Adam's bias
    correction. As in PyTorch eta includes ``learning_rate_init``, which the
    paper keeps out of the decay. The penalty ``alpha`` is a matter of the
    gradient and acts beside it: 0 is the paper's method.

    References
    ----------
    Loshchilov, I., Hutter, F. (2019). Decoupled weight decay regularization.
    ICLR, arXiv:1711.05101, algorithm 2.
    """

    decoupled_weight_decay = True
    ignores_schedules = ()


class AMSGrad(Adam, name="amsgrad"):
    """Adam with the greatest v so far in place of v: the scale of steps never forgets.

    u_t = max(u_(t-1), v_t), theta_t = theta_(t-1) - eta_t m_t / (sqrt(u_t) +
    epsilon); m_t, v_t and eta_t are Adam's.

    The paper corrects no bias. Here, as in PyTorch, m and u are corrected by
    Adam's factors, after the maximum; epsilon stands where Adam has it.

    References
    ----------
    Reddi, S. J., Kale, S., Kumar, S. (2018). On the convergence of Adam and
    beyond. ICLR, arXiv:1904.09237, algorithm 2.
    """

    n_slots = 3
    ignores_schedules = ()

    @staticmethod
    def step(params, grad, slots, constants):
        """Take one step."""
        keep_m, new_m, keep_v, new_v = constants[0], constants[1], constants[2], constants[3]
        eta, epsilon = constants[4], constants[5]
        m, v, u = slots[0], slots[1], slots[2]
        for i in range(params.size):
            g = grad[i]
            first = keep_m * m[i] + new_m * g
            second = keep_v * v[i] + new_v * (g * g)
            greatest = u[i] if u[i] > second else second
            m[i] = first
            v[i] = second
            u[i] = greatest
            params[i] -= eta * first / (np.sqrt(greatest) + epsilon)


class NAdam(Adam, name="nadam"):
    """Adam with Nesterov's momentum: steps look ahead along m.

    With Adam's m_t and v_t, mu_t = b1 (1 - 0.96**(t / 250) / 2) and
    M_t = mu_1 mu_2 ... mu_t:
    n_t = mu_(t+1) m_t / (1 - M_(t+1)) + (1 - mu_t) g_t / (1 - M_t),
    theta_t = theta_(t-1) - eta sqrt(1 - b2**t) n_t / (sqrt(v_t) + epsilon).

    As in PyTorch and Keras, m_t decays by b1 where the paper has mu_t. epsilon
    stands where Adam has it.

    References
    ----------
    Dozat, T. (2016). Incorporating Nesterov momentum into Adam. ICLR workshop,
    https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
    """

    ignores_schedules = ()

    def constants(self, rates):
        """Return b1, 1 - b1, b2, 1 - b2, the weights of m_t and g_t, and epsilon for each step."""
        t = self.t + 1 + np.arange(rates.size)
        mu, next_mu = self._mu(t), self._mu(t + 1)
        # M_t <= b1**t: beyond some hundred steps it changes 1 - M_t no more.
        matters = self.beta_1**self.t > np.finfo(float).epsneg / 2
        product = np.cumprod(mu) * (self._mu(1 + np.arange(self.t)).prod() if matters else 0)
        eta = rates * np.sqrt(1 - self.beta_2**t)
        ahead = eta * next_mu / (1 - product * next_mu)
        down = eta * (1 - mu) / (1 - product)
        adam = super().constants(rates)
        return np.column_stack([adam[:, :4], ahead, down, adam[:, 5]])

    def _mu(self, t: np.ndarray) -> np.ndarray:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (t / 250))

    @staticmethod
    def step(params, grad, slots, constants):
        """Take one step."""
        keep_m, new_m, keep_v, new_v = constants[0], constants[1], constants[2], constants[3]
        ahead, down, epsilon = constants[4], constants[5], constants[6]
        m, v = slots[0], slots[1]
        for i in range(params.size):
            g = grad[i]
            first = keep_m * m[i] + new_m * g
            second = keep_v * v[i] + new_v * (g * g)
            m[i] = first
            v[i] = second
            params[i] -= (ahead * first + down * g) / (np.sqrt(second) + epsilon)


@dataclass
class RMSprop(Optimizer, name="rmsprop"):
    """The gradient divided by a running root of its mean square.

    v_t = b2 v_(t-1) + (1 - b2) g_t**2,
    theta_t = theta_(t-1) - eta g_t / (sqrt(v_t) + epsilon); b2 is ``beta_2``.

    The source has b2 = 0.9, PyTorch 0.99. v starts at 0 and its bias is not
    corrected: the first step is eta / sqrt(1 - b2) long, which for b2 = 0.999
    is 32 eta.

    References
    ----------
    Tieleman, T., Hinton, G. (2012). Lecture 6.5: divide the gradient by a
    running average of its recent magnitude. Coursera, Neural networks for
    machine learning.
    """

    n_slots = 1
    beta_2: float
    epsilon: float

    def constants(self, rates):
        """Return b2, 1 - b2, eta and epsilon for each step."""
        table = np.empty((rates.size, 4))
        table[:, 0:2] = self.beta_2, 1 - self.beta_2
        table[:, 2] = rates
        table[:, 3] = self.epsilon
        return table

    @staticmethod
    def step(params, grad, slots, constants):
        """Take one step."""
        keep, new, eta, epsilon = constants[0], constants[1], constants[2], constants[3]
        v = slots[0]
        for i in range(params.size):
            g = grad[i]
            second = keep * v[i] + new * (g * g)
            v[i] = second
            params[i] -= eta * g / (np.sqrt(second) + epsilon)


@dataclass
class Lion(Optimizer, name="lion"):
    """Steps of equal length for all parameters, by the sign of a moment.

    c_t = b1 m_(t-1) + (1 - b1) g_t,
    theta_t = (1 - eta ``weight_decay``) theta_(t-1) - eta sign(c_t), the first
    factor for weights only, m_t = b2 m_(t-1) + (1 - b2) g_t. b1, b2 are
    ``beta_1``, ``beta_2``.

    The paper has b2 = 0.99, and rates 3 to 10 times smaller than Adam's.

    References
    ----------
    Chen, X., Liang, C., Huang, D., et al. (2023). Symbolic discovery of
    optimization algorithms. NeurIPS, arXiv:2302.06675, algorithm 2 and section 5.
    """

    n_slots = 1
    decoupled_weight_decay = True
    beta_1: float
    beta_2: float

    def constants(self, rates):
        """Return b1, 1 - b1, b2, 1 - b2 and eta for each step."""
        table = np.empty((rates.size, 5))
        table[:, 0:2] = self.beta_1, 1 - self.beta_1
        table[:, 2:4] = self.beta_2, 1 - self.beta_2
        table[:, 4] = rates
        return table

    @staticmethod
    def step(params, grad, slots, constants):
        """Take one step."""
        keep_c, new_c, keep_m, new_m = constants[0], constants[1], constants[2], constants[3]
        eta = constants[4]
        zero, one = params.dtype.type(0), params.dtype.type(1)
        m = slots[0]
        for i in range(params.size):
            g = grad[i]
            c = keep_c * m[i] + new_c * g
            moment = keep_m * m[i] + new_m * g
            # The sign of c: 0 and NaN are their own.
            sign = one if c > zero else (-one if c < zero else c)
            m[i] = moment
            params[i] -= eta * sign
