"""The two passes of a network with one hidden layer, as a diagram."""

from figure_style import BLUE, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
fig, ax = plt.subplots(figsize=(9, 2.9))
ax.set(xlim=(-0.5, 10.5), ylim=(-1.75, 1.5))
ax.axis("off")
names = ["$X$", "$Z_1$", "$A_1$", "$Z_2$", "$P$", "$L$"]
forward = ["$X W_1 + b_1$", "$f(Z_1)$", "$A_1 W_2 + b_2$", "softmax", "$-\\log p_y$"]
for k, name in enumerate(names):
    ax.text(2 * k, 0, name, ha="center", va="center", fontsize=14,
            bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": "black"})  # fmt: skip


def arrow(start, stop, y, color, label):
    """Draw one step of a pass, with its formula."""
    ax.annotate("", (2 * stop, y), (2 * start, y), arrowprops={
        "arrowstyle": "-|>", "color": color, "linewidth": 1.6, "shrinkA": 8, "shrinkB": 8})  # fmt: skip
    above = 0.14 if y > 0 else -0.14
    ax.text(start + stop, y + above, label, ha="center", va="bottom" if y > 0 else "top",
            color=color, fontsize=10)  # fmt: skip


for k, label in enumerate(forward):
    arrow(k, k + 1, 0.55, BLUE, label)
arrow(5, 3, -0.55, ORANGE, "$\\Delta_2 = (P - Y) / n$")
arrow(3, 2, -0.55, ORANGE, "$\\Delta_2 W_2^\\top$")
arrow(2, 1, -0.55, ORANGE, "$\\odot\\, f'(Z_1)$")
for x, label in ((6, "$\\partial L/\\partial W_2 = A_1^\\top \\Delta_2$"),
                 (2, "$\\partial L/\\partial W_1 = X^\\top \\Delta_1$")):  # fmt: skip
    ax.annotate(label, (x, -0.45), (x, -1.5), ha="center", fontsize=11, color=ORANGE,
                arrowprops={"arrowstyle": "<|-", "color": ORANGE, "linewidth": 1.6})  # fmt: skip
ax.text(-0.3, 1.25, "forward pass: values", color=BLUE, fontsize=11)
ax.text(10.3, -1.5, "backward pass: derivatives", color=ORANGE, fontsize=11, ha="right")
