"""Panels of the figures of ``digits`` and ``mnist``: the mistakes of a network, and its weights."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import ceil, isqrt, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sknet.display import WeightsDisplay
from sknet.display._shared import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_IMAGES, N_UNITS = 16, 36
# A bar must have this part of the length of the longest one for a digit to fit in.
LEAST_WRITABLE = 0.03
MISTAKE_COLOR = COLORS[3]  # the first two are for networks


class Mistakes(NamedTuple):
    """Images that were misread, those with the highest confidence first."""

    images: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray


def mistakes_of(
    X: np.ndarray, y: np.ndarray, predictions: np.ndarray, confidences: np.ndarray
) -> Mistakes:
    """Return the images whose prediction is wrong.

    Parameters
    ----------
    X : ndarray of shape (n_images, n_pixels)
        Square images.
    y, predictions : ndarray of shape (n_images,)
        True and predicted labels.
    confidences : ndarray of shape (n_images,)
        Predicted probabilities of the predicted labels.

    Returns
    -------
    Mistakes
    """
    wrong = np.flatnonzero(predictions != y)
    wrong = wrong[np.argsort(-confidences[wrong], kind="stable")]
    return Mistakes(X[wrong], y[wrong], predictions[wrong], confidences[wrong])


def new_figure(headline: str, rows: list[Any], **grid: Any) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with a headline, and its axes by name.

    Parameters
    ----------
    headline : str
    rows : list of lists of str
        Names of the panels, row by row.
    **grid : dict
        Passed to :meth:`matplotlib.figure.Figure.subplot_mosaic`.

    Returns
    -------
    figure : matplotlib Figure
    axes : dict of str to matplotlib Axes
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12)
    figure = Figure(figsize=(10, 10), layout=layout)
    figure.suptitle(headline, fontsize=17, fontweight="bold")
    axes = figure.subplot_mosaic(rows, **grid)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_confusions(ax: Axes, mistakes: Mistakes, y: np.ndarray) -> None:
    """Draw what each digit was misread as: the digits with most mistakes first.

    Within the bar of a digit, the most frequent confusion comes first, too.

    Parameters
    ----------
    ax : matplotlib Axes
    mistakes : Mistakes
    y : ndarray of shape (n_images,)
        True labels of all images, misread or not.
    """
    ax.set(title="What the digits were misread as", ylabel="True digit", xticks=[])
    ax.spines["bottom"].set_visible(False)
    read_as: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for label, prediction in zip(mistakes.labels, mistakes.predictions, strict=True):
        read_as[int(label)][int(prediction)] += 1
    # Of digits that were misread equally often, the one with the most frequent confusion is first.
    rows = sorted(
        read_as.items(), key=lambda item: (item[1].total(), max(item[1].values())), reverse=True
    )
    longest = rows[0][1].total() if rows else 0
    for row, (label, counts) in enumerate(rows):
        start = 0
        for prediction, n in counts.most_common():
            ax.barh(row, n, left=start, color=MISTAKE_COLOR, edgecolor="white", height=0.75)
            if n >= LEAST_WRITABLE * longest:
                middle = start + n / 2
                ax.text(
                    middle, row, f"{prediction}", color="black", size=9, ha="center", va="center"
                )
            start += n
        ax.text(start, row, f"  {start:,} of {np.count_nonzero(y == label):,}", va="center")
    ax.set_yticks(range(len(rows)), [str(label) for label, _ in rows])
    ax.tick_params("y", length=0)
    # A few mistakes make short bars, and a few bars are as thin as many.
    ax.set(xlim=(0, 1.25 * max(longest, 5)), ylim=(max(len(rows), 8) - 0.5, -0.5))


def draw_mistakes(ax: Axes, mistakes: Mistakes) -> None:
    """Draw the images that were misread with the highest confidence.

    Parameters
    ----------
    ax : matplotlib Axes
    mistakes : Mistakes
    """
    n = len(mistakes.images)
    shown = min(n, N_IMAGES)
    title = f"The {shown} most confident of {n:,} mistakes" if n > shown else f"All {n} mistakes"
    ax.set_title("No mistakes" if n == 0 else "The only mistake" if n == 1 else title)
    ax.set_axis_off()
    side = isqrt(mistakes.images.shape[1])
    n_columns = max(1, ceil(sqrt(shown)))
    width, height = 1 / n_columns, 1 / max(1, ceil(shown / n_columns))
    for k in range(shown):
        row, column = divmod(k, n_columns)
        # The space above an image is for two lines of text.
        box = ax.inset_axes((column * width, 1 - (row + 1) * height, width, height - 0.105))
        box.imshow(mistakes.images[k].reshape(side, side), cmap="gray_r")
        text = f"{mistakes.labels[k]} read as {mistakes.predictions[k]}"
        box.set_title(f"{text}\n{percent(mistakes.confidences[k])} sure", fontsize=8.5, pad=3)
        box.set(xticks=[], yticks=[])


def percent(confidence: float) -> str:
    """Return a probability in percent. A network that is wrong was never 100% sure.

    Parameters
    ----------
    confidence : float
        Probability in [0, 1].

    Returns
    -------
    str

    Examples
    --------
    >>> percent(0.814), percent(0.9998)
    ('81%', '>99%')
    """
    return ">99%" if confidence >= 0.995 else f"{confidence:.0%}"


def draw_weights(ax: Axes, weights: np.ndarray) -> None:
    """Draw the weights of the hidden units that have the largest ones.

    Parameters
    ----------
    ax : matplotlib Axes
    weights : ndarray of shape (n_pixels, n_units)
        Weights of the first layer.
    """
    display = WeightsDisplay(weights, n_units=N_UNITS).plot(ax)
    shown, n_units = len(display.images_), weights.shape[1]
    units = "hidden unit" if shown == 1 else f"{shown} hidden units"
    ax.set_title(
        f"The {units} with the largest weights" if shown < n_units else f"Weights of the {units}"
    )
