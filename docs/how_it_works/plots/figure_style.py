"""What all figures of these pages share: colours, fonts, a white background."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

# Okabe, M., Ito, K. (2008). Color universal design: hues that colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#595959"


def use_style() -> None:
    """Set sizes and colours for the figures that follow."""
    plt.rcParams.update(
        {
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }
    )


def show_digit(ax: Axes, pixels, title: str = "", **kwargs):
    """Draw 64 numbers as an image of 8 by 8, without ticks."""
    image = ax.imshow(pixels.reshape(8, 8), **{"cmap": "gray_r", **kwargs})
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return image
