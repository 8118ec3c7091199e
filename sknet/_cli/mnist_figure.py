"""The figure of the command ``mnist``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sknet._cli.images import Split
from sknet._cli.panels import (
    draw_confusions,
    draw_mistakes,
    draw_weights,
    mistakes_of,
    new_figure,
)
from sknet.display._shared import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Result(NamedTuple):
    """A trained network: its curves, and what it says of the test images.

    The weights are those of the first layer. The confidence of a prediction is the
    probability that the network gives it.
    """

    name: str
    weights: np.ndarray
    training_accuracies: Sequence[float]
    test_accuracies: Sequence[float]
    predictions: np.ndarray
    confidences: np.ndarray


def draw(results: Sequence[Result], images: Split) -> Figure:
    """Draw the accuracies of all networks, and the mistakes and weights of the best one.

    Parameters
    ----------
    results : sequence of Result
    images : Split

    Returns
    -------
    matplotlib Figure
    """
    best = max(results, key=lambda result: result.test_accuracies[-1])
    n = len(images.y_test)
    figure, axes = new_figure(
        f"{best.name} reads {best.test_accuracies[-1]:.2%} of {n:,} test images right",
        [["accuracy", "confusions"], ["mistakes", "weights"]],
    )
    _draw_accuracies(axes["accuracy"], results)
    mistakes = mistakes_of(images.X_test, images.y_test, best.predictions, best.confidences)
    draw_confusions(axes["confusions"], mistakes, images.y_test)
    draw_mistakes(axes["mistakes"], mistakes)
    draw_weights(axes["weights"], best.weights)
    return figure


def _draw_accuracies(ax: Axes, results: Sequence[Result]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for result, color in zip(results, cycle(COLORS), strict=False):
        epochs = range(1, len(result.test_accuracies) + 1)
        for data, accuracies, style in (
            ("test", result.test_accuracies, "o-"),
            ("training", result.training_accuracies, "--"),
        ):
            ax.plot(epochs, accuracies, style, color=color, label=f"{result.name}, {data} images")
    ax.legend(loc="lower right")
    ax.set(title="Accuracy after each epoch", xlabel="Epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
