"""The loss of ten neurons that learn the digits by gradient descent, for four learning rates."""

import numpy as np
from figure_style import BLUE, GREEN, ORANGE, PINK, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

use_style()
X, y = load_digits(return_X_y=True)
X, _, y, _ = train_test_split(X / 16, y, random_state=0)
Y = np.eye(10)[y]
fig, ax = plt.subplots(figsize=(7.4, 3))
styles = [(0.01, BLUE, ":"), (0.1, GREEN, "--"), (1, ORANGE, "-"), (4, PINK, "-.")]
for rate, color, style in styles:
    W, b, losses = np.zeros((64, 10)), np.zeros(10), []
    for _ in range(100):
        z = X @ W + b
        log_p = z - z.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        losses.append(-(Y * log_p).sum(axis=1).mean())
        delta = (np.exp(log_p) - Y) / len(X)
        W -= rate * X.T @ delta
        b -= rate * delta.sum(axis=0)
    ax.plot(losses, color=color, linestyle=style, label=f"learning rate {rate}")
ax.axhline(np.log(10), color="black", linewidth=0.8)
ax.annotate(
    "log 10: nothing learned yet",
    (99, np.log(10)),
    (0, 4),
    ha="right",
    textcoords="offset points",
    fontsize=9,
)
ax.set(xlabel="step", ylabel="training loss", ylim=(0, 3))
ax.legend(fontsize=9, loc="upper left", bbox_to_anchor=(1, 0.95))
