"""Four optimisers in a narrow valley: twenty-five steps of each."""

import numpy as np
from figure_style import BLUE, GREY, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
H = np.array([0.05, 1.0])  # loss = (H_1 theta_1**2 + H_2 theta_2**2) / 2


def sgd(rate, momentum):
    """Return the path of gradient descent with momentum."""
    theta, v, path = np.array([-9.0, 1.5]), np.zeros(2), []
    for _ in range(26):
        path.append(theta)
        v = momentum * v - rate * H * theta
        theta = theta + v
    return np.array(path)


def adam(rate, beta_1, beta_2):
    """Return the path of Adam; with beta_1 = 0 it is RMSProp, with bias correction."""
    theta, m, v, path = np.array([-9.0, 1.5]), np.zeros(2), np.zeros(2), []
    for t in range(1, 27):
        path.append(theta)
        g = H * theta
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        theta = theta - rate * m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + 1e-8)
    return np.array(path)


paths = {
    "gradient descent, rate 1.7": sgd(1.7, 0),
    "momentum 0.8, rate 0.5": sgd(0.5, 0.8),
    "RMSProp, rate 0.5": adam(0.5, 0, 0.99),
    "Adam, rate 0.5": adam(0.5, 0.9, 0.99),
}
x, y = np.meshgrid(np.linspace(-10, 4, 100), np.linspace(-2, 2, 60))
fig, axes = plt.subplots(2, 2, figsize=(7.4, 3.8), sharex=True, sharey=True)
for ax, (name, path) in zip(axes.flat, paths.items(), strict=True):
    levels = 3 * np.logspace(-2.5, 0, 8)
    ax.contour(x, y, (H[0] * x**2 + H[1] * y**2) / 2, levels, colors=GREY, linewidths=0.5)
    ax.plot(*path.T, "o-", color=BLUE, markersize=3, linewidth=1)
    ax.plot(0, 0, "*", color=ORANGE, markersize=12)
    ax.set_title(name)
for ax in axes[1]:
    ax.set_xlabel(r"$\theta_1$")
for ax in axes[:, 0]:
    ax.set_ylabel(r"$\theta_2$")
