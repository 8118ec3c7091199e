"""Gradient descent on the squared error of two weights, with three learning rates."""

import numpy as np
from figure_style import BLUE, GREY, ORANGE, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_diabetes

use_style()
data = load_diabetes()
X = data.data[:, [2, 3]]  # body mass index and blood pressure
X, y = X / X.std(axis=0), (data.target - data.target.mean()) / data.target.std()
H = X.T @ X / len(X)
best = np.linalg.solve(H, X.T @ y / len(X))


def loss(w):
    """Return half the mean squared error of weights of shape (..., 2)."""
    return ((w @ X.T - y) ** 2).mean(axis=-1) / 2


grid = np.stack(np.meshgrid(np.linspace(-0.9, 1.7, 80), np.linspace(-1.2, 1.4, 80)), axis=-1)
fig, axes = plt.subplots(1, 3, figsize=(7.4, 2.8), sharey=True)
for ax, rate in zip(axes, (0.1, 0.7, 1.5), strict=True):
    path = [np.array([-0.7, 1.1])]
    for _ in range(15):
        path.append(path[-1] - rate * X.T @ (X @ path[-1] - y) / len(X))
    ax.contour(grid[..., 0], grid[..., 1], loss(grid), levels=12, colors=GREY, linewidths=0.5)
    ax.plot(*np.array(path).T, "o-", color=BLUE, markersize=4, label="steps")
    ax.plot(*best, "*", color=ORANGE, markersize=12, label="minimum")
    ax.set(title=f"learning rate {rate}", xlabel="weight of body mass index")
    ax.set(xlim=(-0.9, 1.7), ylim=(-1.2, 1.4))
axes[0].set_ylabel("weight of blood pressure")
axes[0].legend(loc="lower left", frameon=True, framealpha=1)
