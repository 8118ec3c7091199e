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

from sknet._parts import Part

# Parameters that are stepped at a time: with their slots they stay in the L1 cache. No
# power of two: processors take addresses 4096 bytes apart for the same at first sight,
# and would have each slot wait for the one before.
STRETCH = 960


@dataclass
class Optimizer(Part):
    """State and rule of a stochastic optimiser.

    Its fields are its hyperparameters, named as the estimators name them.

    Attributes
    ----------
    n_slots : int
        How many numbers it keeps for each parameter.
    decouples : bool
        Whether weights shrink by ``weight_decay`` times the rate at each step,
        beside the gradient's step. Biases do not.
    learning_rate : float
        Step size in force. Schedules change it between epochs.
    t : int
        Steps taken.
    slots : ndarray of shape (n_slots * n_parameters,)
        What it keeps, zero at first: for each STRETCH of parameters one slot
        after the other.
    """

    n_slots: ClassVar[int]
    decouples: ClassVar[bool] = False
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
