"""Stochastic optimisers, which turn the gradient of a minibatch into a step of the parameters.

To add an optimiser, define a named subclass of :class:`Optimizer` in this file. If it has
hyperparameters, they are the fields of a dataclass. It has two methods:

- `constants` runs in Python, once per epoch. It computes the numbers that depend on the learning
  rate or on the number of the step, for all steps of the epoch at once.
- `step` is compiled by Numba for float32 and float64 arrays, and has no annotations in subclasses.
  It updates one block of the parameters.

An optimiser that squares gradients first clips them to `square_limit`. The square of a larger one
would be infinite, and so would its moving average. Every later step would then be zero.

An optimiser keeps its state in *slots*. A slot, such as a velocity, has a number per parameter.

In the formulas, theta are the parameters, g is their gradient, t is the number of the step, counted
from 1, and eta is the learning rate of the step.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np

from sknet._bias_correction import bias_correction
from sknet._engine.functions import square_limit
from sknet.parts import Part


@dataclass
class Optimizer(Part):
    """Update rule and state of a stochastic optimiser.

    Its dataclass fields are its hyperparameters. They are named like the estimators' parameters.

    Attributes
    ----------
    n_slots : int
        Number of slots, which is how many numbers it keeps for each parameter.
    decoupled_weight_decay : bool
        Whether the estimators' parameter ``weight_decay`` applies. If it does, each step first
        multiplies the weights by 1 - eta ``weight_decay``. The biases are not decayed.
    ignores_schedules : tuple of str
        Names of schedules that this optimiser treats as 'constant'.
    learning_rate_init : float
        Initial learning rate.
    learning_rate : float
        Current learning rate, which a schedule may change after each epoch.
    t : int
        Number of steps taken.
    slots : ndarray of shape (n_slots * n_parameters,)
        The slots, initially zero, in the dtype of the parameters. They are stored block by block.
        A block holds all slots of ``sknet._engine.memory.PARAM_BLOCK`` parameters, one by one.
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
        """Create an optimiser for a flat vector of parameters.

        Parameters
        ----------
        hyperparameters : mapping of str to object
            Parameters of an estimator. The optimiser reads those that concern it.
        like : ndarray of shape (n_parameters,)
            The vector that will be optimised. Only its size and dtype are read.

        Returns
        -------
        Optimizer
            An optimiser before its first step. Its slots are zero.

        Examples
        --------
        >>> import numpy as np
        >>> from sknet.optimizers import Optimizer
        >>> parameters = {"learning_rate_init": 0.1, "momentum": 0.9, "nesterovs_momentum": True}
        >>> Optimizer.get("sgd").start(parameters, np.zeros(3)).slots
        array([0., 0., 0.])
        """
        self = cls(**{name: hyperparameters[name] for name in cls._names()})
        self.learning_rate = float(self.learning_rate_init)
        self.slots = np.zeros(cls.n_slots * like.size, like.dtype)
        return self

    @classmethod
    def _names(cls) -> list[str]:
        return [f.name for f in fields(cls) if f.init]

    def with_hyperparameters(self, hyperparameters: Mapping[str, Any]) -> Self:
        """Return an optimiser that continues from this one's state with other hyperparameters.

        Parameters
        ----------
        hyperparameters : mapping of str to object
            Parameters of an estimator, as for `start`.

        Returns
        -------
        Optimizer
            This optimiser if no hyperparameter changes, otherwise a copy that shares its slots.
            The learning rate is reset only if ``learning_rate_init`` changes.
        """
        given = {name: hyperparameters[name] for name in self._names()}
        if all(getattr(self, name) == value for name, value in given.items()):
            return self
        changed = copy.copy(self)
        vars(changed).update(given)
        if changed.learning_rate_init != self.learning_rate_init:
            changed.learning_rate = float(changed.learning_rate_init)
        return changed

    def constants(self, rates: np.ndarray) -> np.ndarray:
        """Return what `step` needs for each of the next steps.

        Parameters
        ----------
        rates : ndarray of shape (n_steps,)
            Learning rate of each step, float64.

        Returns
        -------
        ndarray of shape (n_steps, n_constants)
            One row for each step, float64.
        """
        raise NotImplementedError

    @staticmethod
    def step(
        params: np.ndarray, grad: np.ndarray, slots: np.ndarray, constants: np.ndarray
    ) -> None:
        """Take one step with one block of parameters.

        All arrays have the dtype of the parameters, float32 or float64.

        Parameters
        ----------
        params : ndarray of shape (n,)
            Parameters, overwritten with the updated ones.
        grad : ndarray of shape (n,)
            Gradient of the minibatch's objective.
        slots : ndarray of shape (n_slots, n)
            Slots of the same parameters, overwritten with the updated ones.
        constants : ndarray of shape (n_constants,)
            What :meth:`constants` returned for this step.
        """
        raise NotImplementedError


@dataclass
class SGD(Optimizer, name="sgd"):
    """Stochastic gradient descent with classical or Nesterov momentum.

    v_t = mu v_(t-1) - eta g_t,
    theta_t = theta_(t-1) + v_t (classical),
    theta_t = theta_(t-1) + mu v_t - eta g_t (Nesterov).

    mu is ``momentum``, and ``nesterovs_momentum`` selects the second rule. With a well chosen eta
    and schedule, SGD may generalise better than Adam. In PyTorch, eta is not part of v but
    multiplies v in the step. The two definitions differ when eta changes.

    References
    ----------
    Sutskever, I., Martens, J., Dahl, G., Hinton, G. (2013). On the importance of initialization
    and momentum in deep learning. ICML, equations 1 to 4, in the form of Bengio,
    Boulanger-Lewandowski and Pascanu (2012), arXiv:1212.0901, equation 7.
    """

    n_slots = 1
    momentum: float
    nesterovs_momentum: bool

    def constants(self, rates: np.ndarray) -> np.ndarray:
        """Return eta, mu, and the coefficients of v_(t-1) and -g_t in the step of theta."""
        mu = np.full(rates.size, self.momentum)
        # Both rules are linear in v_(t-1) and g_t, so that `step` needs one loop for both.
        ahead = (mu * mu, rates * (1 + mu)) if self.nesterovs_momentum else (mu, rates)
        return np.column_stack([rates, mu, *ahead])

    @staticmethod
    def step(params, grad, slots, constants):
        """Update `params` and `slots`."""
        eta, mu, along, down = constants[0], constants[1], constants[2], constants[3]
        velocity = slots[0]
        for i in range(params.size):
            params[i] += along * velocity[i] - down * grad[i]
            velocity[i] = mu * velocity[i] - eta * grad[i]


@dataclass
class Adam(Optimizer, name="adam"):
    """Adam: steps from exponential moving averages of the gradient and its square.

    m_t = b1 m_(t-1) + (1 - b1) g_t, v_t = b2 v_(t-1) + (1 - b2) g_t**2,
    eta_t = eta sqrt(1 - b2**t) / (1 - b1**t),
    theta_t = theta_(t-1) - eta_t m_t / (sqrt(v_t) + epsilon).

    b1 and b2 are ``beta_1`` and ``beta_2``. This is the default, which works for many problems with
    little tuning. As in scikit-learn, epsilon is added before the bias correction of v (the paper's
    efficient form). PyTorch and optax add epsilon after the correction. An epsilon of theirs has
    the effect of epsilon times sqrt(1 - b2**t) here.

    As in scikit-learn, the schedules 'invscaling' and 'adaptive' have no effect.

    References
    ----------
    Kingma, D. P., Ba, J. (2015). Adam: a method for stochastic optimization. arXiv:1412.6980,
    algorithm 1 and the last paragraph of section 2.
    """

    n_slots = 2
    # scikit-learn's Adam ignores these two. The variants below, not in scikit-learn, ignore none.
    ignores_schedules: ClassVar[tuple[str, ...]] = ("invscaling", "adaptive")
    beta_1: float
    beta_2: float
    epsilon: float

    def constants(self, rates: np.ndarray) -> np.ndarray:
        """Return b1, 1 - b1, b2, 1 - b2, eta_t and epsilon for each step."""
        b1, b2, t, n = self.beta_1, self.beta_2, self.t, rates.size
        table = np.empty((n, 6))
        table[:] = b1, 1 - b1, b2, 1 - b2, 0, self.epsilon
        table[:, 4] = rates * np.sqrt(bias_correction(b2, t, n)) / bias_correction(b1, t, n)
        return table

    @staticmethod
    def step(params, grad, slots, constants):
        """Update `params` and `slots`."""
        keep_m, new_m, keep_v, new_v = constants[0], constants[1], constants[2], constants[3]
        eta, epsilon = constants[4], constants[5]
        m, v, limit = slots[0], slots[1], square_limit(params)
        for i in range(params.size):
            g = min(max(grad[i], -limit), limit)
            first = keep_m * m[i] + new_m * g
            second = keep_v * v[i] + new_v * (g * g)
            m[i] = first
            v[i] = second
            params[i] -= eta * first / (np.sqrt(second) + epsilon)


class AdamW(Adam, name="adamw"):
    """Adam with decoupled weight decay, which is not part of the moving averages.

    theta_t = (1 - eta lambda) theta_(t-1) - eta_t m_t / (sqrt(v_t) + epsilon).

    lambda is ``weight_decay``. It decays weights but not biases. m_t, v_t and eta_t are those of
    :class:`Adam`. Use it to regularise all weights at the same rate. As in PyTorch, eta in the
    decay includes ``learning_rate_init``, whereas in the paper only the schedule's factor counts.
    The penalty ``alpha`` is part of the gradient and acts as well. It is 0 in the paper.

    References
    ----------
    Loshchilov, I., Hutter, F. (2019). Decoupled weight decay regularization. ICLR,
    arXiv:1711.05101, algorithm 2.
    """

    decoupled_weight_decay = True
    ignores_schedules = ()


class AMSGrad(Adam, name="amsgrad"):
    """Adam with the maximum of all previous v in place of v.

    u_t = max(u_(t-1), v_t),
    theta_t = theta_(t-1) - eta_t m_t / (sqrt(u_t) + epsilon).

    m_t, v_t and eta_t are those of :class:`Adam`. Use it if Adam becomes unstable late in training:
    u never decreases. The paper has no bias correction. As in PyTorch, m and u are corrected here,
    u after the maximum. As in :class:`Adam`, epsilon is added before the correction of u.

    References
    ----------
    Reddi, S. J., Kale, S., Kumar, S. (2018). On the convergence of Adam and beyond. ICLR,
    arXiv:1904.09237, algorithm 2.
    """

    n_slots = 3
    ignores_schedules = ()

    @staticmethod
    def step(params, grad, slots, constants):
        """Update `params` and `slots`."""
        keep_m, new_m, keep_v, new_v = constants[0], constants[1], constants[2], constants[3]
        eta, epsilon = constants[4], constants[5]
        m, v, u, limit = slots[0], slots[1], slots[2], square_limit(params)
        for i in range(params.size):
            g = min(max(grad[i], -limit), limit)
            first = keep_m * m[i] + new_m * g
            second = keep_v * v[i] + new_v * (g * g)
            greatest = u[i] if u[i] > second else second
            m[i] = first
            v[i] = second
            u[i] = greatest
            params[i] -= eta * first / (np.sqrt(greatest) + epsilon)


class NAdam(Adam, name="nadam"):
    """Adam with Nesterov momentum.

    mu_t = b1 (1 - 0.96**(t / 250) / 2), M_t = mu_1 mu_2 ... mu_t,
    n_t = mu_(t+1) m_t / (1 - M_(t+1)) + (1 - mu_t) g_t / (1 - M_t),
    theta_t = theta_(t-1) - eta sqrt(1 - b2**t) n_t / (sqrt(v_t) + epsilon).

    m_t and v_t are those of :class:`Adam`, but the step looks ahead. It may need fewer steps.
    As in PyTorch and Keras, m_t decays by b1, whereas in the paper it decays by mu_t. epsilon is
    added before the bias correction of v, as in :class:`Adam`.

    References
    ----------
    Dozat, T. (2016). Incorporating Nesterov momentum into Adam. ICLR workshop,
    https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
    """

    ignores_schedules = ()

    def constants(self, rates: np.ndarray) -> np.ndarray:
        """Return b1, 1 - b1, b2, 1 - b2, the factors of m_t and g_t, and epsilon for each step."""
        t = self.t + 1 + np.arange(rates.size, dtype=np.int64)
        mu, next_mu = self._mu(t), self._mu(t + 1)
        # Since M_t <= b1**t, 1 - M_t is rounded to 1 after some hundred steps.
        matters = self.beta_1**self.t > np.finfo(float).epsneg / 2
        earlier = self._mu(1 + np.arange(self.t, dtype=np.int64)).prod() if matters else 0
        product = earlier * np.cumprod(mu)
        eta = rates * np.sqrt(bias_correction(self.beta_2, self.t, rates.size))
        ahead = eta * next_mu / (1 - product * next_mu)
        down = eta * (1 - mu) / (1 - product)
        adam = super().constants(rates)
        return np.column_stack([adam[:, :4], ahead, down, adam[:, 5]])

    def _mu(self, t: np.ndarray) -> np.ndarray:
        return self.beta_1 * (1 - 0.5 * 0.96 ** (t / 250))

    @staticmethod
    def step(params, grad, slots, constants):
        """Update `params` and `slots`."""
        keep_m, new_m, keep_v, new_v = constants[0], constants[1], constants[2], constants[3]
        ahead, down, epsilon = constants[4], constants[5], constants[6]
        m, v, limit = slots[0], slots[1], square_limit(params)
        for i in range(params.size):
            g = min(max(grad[i], -limit), limit)
            first = keep_m * m[i] + new_m * g
            second = keep_v * v[i] + new_v * (g * g)
            m[i] = first
            v[i] = second
            params[i] -= (ahead * first + down * g) / (np.sqrt(second) + epsilon)


@dataclass
class RMSprop(Optimizer, name="rmsprop"):
    """RMSprop: steps along the gradient divided by its root mean square.

    v_t = b2 v_(t-1) + (1 - b2) g_t**2,
    theta_t = theta_(t-1) - eta g_t / (sqrt(v_t) + epsilon).

    b2 is ``beta_2``. The source recommends 0.9, and PyTorch's default is 0.99. v starts at 0 and
    has no bias correction. The first step therefore changes each parameter by eta / sqrt(1 - b2),
    which is 32 eta with the default of 0.999. Set ``beta_2=0.9`` to use it as its authors did.

    References
    ----------
    Tieleman, T., Hinton, G. (2012). Lecture 6.5: divide the gradient by a running average of its
    recent magnitude. Coursera, Neural networks for machine learning.
    """

    n_slots = 1
    beta_2: float
    epsilon: float

    def constants(self, rates: np.ndarray) -> np.ndarray:
        """Return b2, 1 - b2, eta and epsilon for each step."""
        table = np.empty((rates.size, 4))
        table[:, 0:2] = self.beta_2, 1 - self.beta_2
        table[:, 2] = rates
        table[:, 3] = self.epsilon
        return table

    @staticmethod
    def step(params, grad, slots, constants):
        """Update `params` and `slots`."""
        keep, new, eta, epsilon = constants[0], constants[1], constants[2], constants[3]
        v, limit = slots[0], square_limit(params)
        for i in range(params.size):
            g = min(max(grad[i], -limit), limit)
            second = keep * v[i] + new * (g * g)
            v[i] = second
            params[i] -= eta * g / (np.sqrt(second) + epsilon)


@dataclass
class Lion(Optimizer, name="lion"):
    """Lion: steps in the direction of the sign of a moving average of the gradient.

    c_t = b1 m_(t-1) + (1 - b1) g_t, m_t = b2 m_(t-1) + (1 - b2) g_t,
    theta_t = (1 - eta lambda) theta_(t-1) - eta sign(c_t).

    b1 and b2 are ``beta_1`` and ``beta_2``, and lambda is ``weight_decay``. It decays weights but
    not biases. All parameters change by the same amount, eta. The paper uses a b2 of 0.99, and
    learning rates 3 to 10 times smaller than for Adam. Lion keeps one slot where Adam keeps two.

    References
    ----------
    Chen, X., Liang, C., Huang, D., et al. (2023). Symbolic discovery of optimization algorithms.
    NeurIPS, arXiv:2302.06675, algorithm 2 and section 5.
    """

    n_slots = 1
    decoupled_weight_decay = True
    beta_1: float
    beta_2: float

    def constants(self, rates: np.ndarray) -> np.ndarray:
        """Return b1, 1 - b1, b2, 1 - b2 and eta for each step."""
        table = np.empty((rates.size, 5))
        table[:, 0:2] = self.beta_1, 1 - self.beta_1
        table[:, 2:4] = self.beta_2, 1 - self.beta_2
        table[:, 4] = rates
        return table

    @staticmethod
    def step(params, grad, slots, constants):
        """Update `params` and `slots`."""
        keep_c, new_c, keep_m, new_m = constants[0], constants[1], constants[2], constants[3]
        eta = constants[4]
        zero, one = params.dtype.type(0), params.dtype.type(1)
        m = slots[0]
        for i in range(params.size):
            g = grad[i]
            c = keep_c * m[i] + new_c * g
            moment = keep_m * m[i] + new_m * g
            # The sign of c. If c is 0 or NaN, it is c.
            sign = one if c > zero else (-one if c < zero else c)
            m[i] = moment
            params[i] -= eta * sign
