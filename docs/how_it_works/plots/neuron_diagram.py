"""A single neuron as a diagram: inputs, weights, sum, activation."""

from figure_style import BLUE, GREY, ORANGE, use_style
from matplotlib import pyplot as plt

use_style()
fig, ax = plt.subplots(figsize=(7.4, 2.6))
ax.set(xlim=(-0.6, 10), ylim=(-1.75, 1.75), aspect="equal")
ax.axis("off")


def circle(x, y, text, color, radius=0.42):
    """Draw a circle with a text in it."""
    ax.add_patch(plt.Circle((x, y), radius, facecolor="white", edgecolor=color, linewidth=1.8))
    ax.text(x, y, text, ha="center", va="center", fontsize=12)


def arrow(start, stop, color):
    """Draw an arrow between two points."""
    ax.annotate("", stop, start, arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.6})


for y, name in [(1.3, "1"), (0.3, "2"), (-1.3, "d")]:
    circle(0, y, f"$x_{name}$", BLUE, 0.36)
    start, stop = (0.38, y * 0.97), (3.55, y * 0.17)
    arrow(start, stop, ORANGE)
    middle = (start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2
    ax.text(middle[0], middle[1] + 0.14, f"$w_{name}$", color=ORANGE, ha="center", fontsize=12)
ax.text(0, -0.48, "⋮", ha="center", va="center", fontsize=14)

circle(4.1, 0, "$z$", ORANGE, 0.52)
ax.text(4.1, 1.5, "bias $b$", color=ORANGE, ha="center", fontsize=11)
arrow((4.1, 1.4), (4.1, 0.56), ORANGE)
arrow((4.65, 0), (6.85, 0), GREY)
ax.text(5.75, 0.12, "$f$", color=GREY, ha="center", va="bottom", fontsize=12)
circle(7.4, 0, "$a$", BLUE, 0.52)
arrow((7.95, 0), (9.3, 0), BLUE)
ax.text(4.1, -0.95, "add up\nthe evidence", ha="center", va="top", fontsize=9.5, color=GREY)
ax.text(7.4, -0.95, "the answer,\nfrom 0 to 1", ha="center", va="top", fontsize=9.5, color=GREY)
