"""What a few hidden units can draw: each ReLU adds one bend."""

import numpy as np
from figure_style import BLUE, GREY, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
x = np.linspace(0, 1, 401)
fig, axes = plt.subplots(1, 3, figsize=(7.4, 2.3), sharey=True)
for ax, units in zip(axes, (4, 8, 32), strict=True):
    knots = np.linspace(0, 1, units + 1)
    slopes = np.diff(np.sin(2 * np.pi * knots)) * units
    hidden = np.maximum(x[:, None] - knots[:-1], 0)
    network = hidden @ np.diff(slopes, prepend=0)
    ax.plot(x, np.sin(2 * np.pi * x), color=GREY, linestyle="--", label="target")
    ax.plot(x, network, color=BLUE, label="network")
    ax.plot(knots[:-1], np.sin(2 * np.pi * knots[:-1]), "o", color=ORANGE, ms=4, label="bends")
    ax.set(title=f"{units} hidden units", xlabel="x")
axes[0].legend(fontsize=9)
