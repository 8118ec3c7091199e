"""An optimiser in one class: AdaGrad."""

from dataclasses import dataclass

import numpy as np

from sknet.optimizers import Optimizer


@dataclass
class AdaGrad(Optimizer, name="adagrad"):
    """AdaGrad: each parameter has a rate of its own, which falls as its gradients add up.

    s_t = s_(t-1) + g_t**2, theta_t = theta_(t-1) - eta g_t / (sqrt(s_t) + epsilon).

    References
    ----------
    Duchi, J., Hazan, E., Singer, Y. (2011). Adaptive subgradient methods for online learning and
    stochastic optimization. JMLR 12, 2121-2159, figure 1 (with diagonal matrices).
    """

    n_slots = 1
    epsilon: float

    def constants(self, rates):
        """Return eta and epsilon for each step."""
        return np.column_stack([rates, np.full(rates.size, self.epsilon)])

    @staticmethod
    def step(params, grad, slots, constants):
        """Update `params`, and the sums of squares in `slots`."""
        eta, epsilon = constants[0], constants[1]
        squares = slots[0]
        for i in range(params.size):
            squares[i] += grad[i] * grad[i]
            params[i] -= eta * grad[i] / (np.sqrt(squares[i]) + epsilon)
