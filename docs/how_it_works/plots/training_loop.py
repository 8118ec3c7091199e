"""The map of the pages: what training a network is made of."""

from figure_style import BLUE, GREEN, GREY, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
fig, ax = plt.subplots(figsize=(7.4, 3.1))
ax.set(xlim=(-1.6, 12), ylim=(-3.1, 0.9))
ax.axis("off")
boxes = [
    (0, 0, "a few images", "(page 7)", BLUE),
    (5, 0, "forward pass:\nneurons, layers, activations", "(pages 1 to 3)", BLUE),
    (10, 0, "loss: how wrong\nare the answers?", "(page 4)", BLUE),
    (10, -2.2, "backpropagation: which\nweight is to blame?", "(page 6)", ORANGE),
    (5, -2.2, "optimiser: change\nthe weights a little", "(pages 5 and 7)", ORANGE),
    (0, -2.2, "held-out images:\nhas it understood?", "(page 8)", GREEN),
]
for x, y, text, pages, color in boxes:
    outline = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": color}
    ax.text(
        x,
        y,
        f"{text}\n{pages}",
        ha="center",
        va="center",
        fontsize=9.5,
        bbox={**outline, "linewidth": 1.8},
    )
for start, stop, color in [
    ((1.05, 0), (2.95, 0), BLUE),
    ((7.05, 0), (8.6, 0), BLUE),
    ((10, -0.65), (10, -1.55), ORANGE),
    ((8.25, -2.2), (6.45, -2.2), ORANGE),
    ((4.2, -1.55), (0.6, -0.45), GREY),
    ((3.55, -2.2), (1.4, -2.2), GREEN),
]:
    ax.annotate("", stop, start, arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.6})
ax.text(2.0, -1.25, "and again", ha="right", color=GREY, fontsize=9)
ax.text(2.45, -2.05, "at the end", ha="center", color=GREEN, fontsize=9)
ax.text(9.85, -1.15, "gradient", ha="right", color=ORANGE, fontsize=9)
