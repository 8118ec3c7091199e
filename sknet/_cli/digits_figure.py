"""The figure of the command ``digits``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sknet._cli.comparison import Result, agreement, speed, three_digits
from sknet._cli.images import Split
from sknet._cli.panels import (
    draw_confusions,
    draw_mistakes,
    draw_weights,
    mistakes_of,
    new_figure,
)
from sknet.display import LossCurveDisplay
from sknet.display._shared import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SKNET_COLOR, SKLEARN_COLOR = COLORS[:2]


def draw(sklearn_result: Result, sknet_result: Result, digits: Split) -> Figure:
    """Draw the times, the loss curves, and the mistakes and weights of sknet's network.

    Parameters
    ----------
    sklearn_result, sknet_result : Result
    digits : Split
        The images of the searches.

    Returns
    -------
    matplotlib Figure
    """
    faster = speed(sklearn_result.seconds, sknet_result.seconds)
    same = agreement(sklearn_result.predictions, sknet_result.predictions)
    figure, axes = new_figure(
        f"sknet: {faster}, {same}",
        [["time", "time"], ["loss", "confusions"], ["mistakes", "weights"]],
        height_ratios=[0.15, 1, 1],
    )
    mistakes = mistakes_of(
        digits.X_test, digits.y_test, sknet_result.predictions, sknet_result.confidences
    )
    _draw_times(axes["time"], sklearn_result, sknet_result, digits)
    _draw_losses(axes["loss"], sklearn_result, sknet_result)
    draw_confusions(axes["confusions"], mistakes, digits.y_test)
    draw_mistakes(axes["mistakes"], mistakes)
    draw_weights(axes["weights"], sknet_result.grid.best_estimator_[-1].coefs_[0])
    return figure


def _draw_times(ax: Axes, sklearn_result: Result, sknet_result: Result, digits: Split) -> None:
    results = (sknet_result, sklearn_result)  # the last bar is at the top
    seconds = [result.seconds for result in results]
    names = [result.name for result in results]
    bars = ax.barh(names, seconds, color=[SKNET_COLOR, SKLEARN_COLOR], height=0.7)
    ax.bar_label(bars, [f"{three_digits(value)} s" for value in seconds], padding=4)
    ax.margins(x=0.08)
    grid = sknet_result.grid
    size = f"{len(grid.cv_results_['params'])} candidates x {grid.n_splits_} folds"
    ax.set_title(f"Time of the grid search: {size}, {digits.X_train.dtype}")
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def _draw_losses(ax: Axes, sklearn_result: Result, sknet_result: Result) -> None:
    # scikit-learn's curve is wider and lies below, so that both are visible where they coincide.
    for result, style in (
        (sklearn_result, {"color": SKLEARN_COLOR, "linewidth": 6, "alpha": 0.6}),
        (sknet_result, {"color": SKNET_COLOR}),
    ):
        LossCurveDisplay.from_estimator(
            result.grid, name=result.name, ax=ax, log_scale=True, marker="", **style
        )
    ax.set_title("Training of the best networks")
