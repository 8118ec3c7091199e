"""The two passes of a network with one hidden layer, as a diagram."""

from figure_style import BLUE, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
fig, ax = plt.subplots(figsize=(7.4, 2.6))
ax.set(xlim=(-0.5, 10.5), ylim=(-2.0, 1.5))
ax.axis("off")


def arrow(start, stop, color):
    """Draw an arrow between two points."""
    ax.annotate("", stop, start, arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.6})


outline = {"boxstyle": "round,pad=0.4", "facecolor": "white"}
for k, name in enumerate(["$X$", "$Z_1$", "$A_1$", "$Z_2$", "$P$", "$L$"]):
    ax.text(2 * k, 0, name, ha="center", va="center", fontsize=14, bbox=outline)

ax.text(-0.3, 1.25, "forward pass: values", color=BLUE, fontsize=11)
steps = ["$X W_1 + b_1$", "$f(Z_1)$", "$A_1 W_2 + b_2$", "softmax", r"$-\log p_y$"]
for k, formula in enumerate(steps):
    arrow((2 * k + 0.2, 0.55), (2 * k + 1.8, 0.55), BLUE)
    ax.text(2 * k + 1, 0.69, formula, ha="center", va="bottom", color=BLUE)

ax.text(10.3, -1.85, "backward pass: derivatives", color=ORANGE, fontsize=11, ha="right")
for start, stop, formula in [
    (10, 6, r"$\Delta_2 = (P - Y) / n$"),
    (6, 4, r"$\Delta_2 W_2^\top$"),
    (4, 2, r"$\odot\, f'(Z_1)$"),
]:
    arrow((start - 0.2, -0.55), (stop + 0.2, -0.55), ORANGE)
    ax.text((start + stop) / 2, -0.69, formula, ha="center", va="top", color=ORANGE)
for x, formula in [
    (6, r"$\partial L/\partial W_2 = A_1^\top \Delta_2$"),
    (2, r"$\partial L/\partial W_1 = X^\top \Delta_1$"),
]:
    arrow((x, -0.45), (x, -1.15), ORANGE)
    ax.text(x, -1.4, formula, ha="center", color=ORANGE, fontsize=11)
