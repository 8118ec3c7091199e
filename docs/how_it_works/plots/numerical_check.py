"""The error of a numerical derivative, by the size of the step, for two formulas."""

import numpy as np
from figure_style import BLUE, ORANGE, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

use_style()
X, y = load_digits(return_X_y=True)
X, Y = X[:50] / 16, np.eye(10)[y[:50]]
rng = np.random.RandomState(0)
W1, W2 = rng.normal(0, 0.2, (64, 16)), rng.normal(0, 0.4, (16, 10))


def loss_and_gradient(W1):
    """Return the cross-entropy of a tanh network without biases, and its gradient by W1."""
    A1 = np.tanh(X @ W1)
    Z2 = A1 @ W2
    Z2 -= Z2.max(axis=1, keepdims=True)
    log_P = Z2 - np.log(np.exp(Z2).sum(axis=1, keepdims=True))
    delta2 = (np.exp(log_P) - Y) / len(X)
    return -(Y * log_P).sum() / len(X), X.T @ (delta2 @ W2.T * (1 - A1**2))


loss, gradient = loss_and_gradient(W1)
direction = rng.normal(size=W1.shape)
exact = (gradient * direction).sum()
steps = np.logspace(-12, 0, 49)
ahead = np.array([loss_and_gradient(W1 + h * direction)[0] for h in steps])
behind = np.array([loss_and_gradient(W1 - h * direction)[0] for h in steps])
fig, ax = plt.subplots(figsize=(6.5, 3.3))
one_sided, central = (ahead - loss) / steps, (ahead - behind) / (2 * steps)
ax.loglog(steps, np.abs(one_sided / exact - 1), "^--", color=ORANGE, ms=4, label="one-sided")
ax.loglog(steps, np.abs(central / exact - 1), "o-", color=BLUE, ms=4, label="central")
ax.text(3e-12, 2e-8, "rounding", fontsize=9)
ax.text(3e-3, 2e-8, "curvature", fontsize=9)
ax.set(xlabel="step h", ylabel="relative error of the derivative")
ax.legend(loc="upper center")
