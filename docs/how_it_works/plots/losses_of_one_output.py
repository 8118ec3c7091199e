"""Cross-entropy and squared error of one output, and their derivatives by the score."""

import numpy as np
from figure_style import BLUE, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
z = np.linspace(-8, 8, 401)
p = 1 / (1 + np.exp(-z))
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3))
axes[0].plot(z, -np.log(p), color=BLUE, label=r"cross-entropy $-\log p$")
axes[0].plot(
    z, (p - 1) ** 2 / 2, color=ORANGE, linestyle="--", label=r"squared error $(p - 1)^2/2$"
)
axes[0].set(title="loss where the target is 1", xlabel="score z")
axes[1].plot(z, p - 1, color=BLUE, label="$p - 1$")
axes[1].plot(
    z, (p - 1) * p * (1 - p), color=ORANGE, linestyle="--", label="$(p - 1)\\,p\\,(1 - p)$"
)
axes[1].set(title="derivative of the loss by z", xlabel="score z")
axes[1].annotate(
    "certain and wrong:\nno slope, no learning",
    (-6, 0),
    (-7.8, -0.35),
    fontsize=9,
    arrowprops={"arrowstyle": "->"},
    va="center",
)
for ax in axes:
    ax.legend()
