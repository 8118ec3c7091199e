"""How well the gradient of a few rows stands for the gradient of all rows."""

import numpy as np
from figure_style import BLUE, GREY, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

use_style()
X, y = load_digits(return_X_y=True)
X, Y, rng = X / 16, np.eye(10)[y], np.random.RandomState(0)
delta = 0.1 - Y  # of ten neurons whose weights are zero: every class has the probability 0.1
whole = X.T @ delta / len(X)
sizes = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
errors = []
for size in sizes:
    draws = [rng.choice(len(X), size) for _ in range(100)]
    parts = np.array([X[rows].T @ delta[rows] / size for rows in draws])
    errors.append(np.sqrt(((parts - whole) ** 2).sum(axis=(1, 2)).mean() / (whole**2).sum()))
fig, ax = plt.subplots(figsize=(5.5, 3))
ax.loglog(sizes, errors, "o", color=BLUE, label="mean of 100 draws")
ax.loglog(sizes, errors[0] / np.sqrt(sizes), "--", color=GREY, label=r"$1 / \sqrt{m}$")
ax.set(xlabel="rows in the minibatch, m", ylabel="relative error of the gradient")
ax.set_xticks(sizes[::2], sizes[::2])
ax.set_yticks([0.5, 1, 2, 4, 8], [0.5, 1, 2, 4, 8])
ax.minorticks_off()
ax.legend()
