"""Exclusive or: no line separates the classes in the input, one does in the hidden layer."""

import numpy as np
from figure_style import BLUE, GREY, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])
hidden = np.maximum(X @ np.ones((2, 2)) + np.array([0, -1]), 0)

fig, axes = plt.subplots(1, 2, figsize=(7, 3))
names = [["00"], ["01"], ["10"], ["11"]], [["00"], ["01 and 10"], [], ["11"]]
for ax, points, labels in zip(axes, (X, hidden), names, strict=True):
    for k, (color, marker) in enumerate([(BLUE, "o"), (ORANGE, "s")]):
        own = points[y == k]
        ax.scatter(*own.T, s=90, c=color, marker=marker, label=f"class {k}", zorder=3)
    for point, label in zip(points, labels, strict=True):
        ax.annotate("".join(label), point, (8, 6), textcoords="offset points")
axes[0].set(xlabel="$x_1$", ylabel="$x_2$", title="inputs", xlim=(-0.4, 1.5))
axes[1].set(xlabel="$a_1$", ylabel="$a_2$", title="hidden units", xlim=(-0.4, 2.5))
for ax in axes:
    ax.set(ylim=(-0.4, 1.5), xticks=range(3) if ax is axes[1] else range(2), yticks=range(2))
line = np.array([-0.4, 2.5])
axes[1].plot(line, (line - 0.5) / 2, color=GREY, linestyle="--", label="$a_1 - 2 a_2 = 0.5$")
axes[1].legend(loc="upper left")
