"""How the loss, the score and the learning rate went from epoch to epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import is_classifier

from sknet.display._shared import COLORS, check_axes, pyplot, unwrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Panels below that of the loss, and their heights. Its own is the unit.
HEIGHTS = {"loss": 1.0, "score": 0.6, "learning rate": 0.4}
# Besides its colour, each estimator has a marker, on about this many of its epochs.
MARKERS = ("", "o", "s", "^", "D", "v")
N_MARKERS = 8


class LossCurveDisplay:
    """Plot of the loss, the score and the learning rate against the epoch.

    The training loss and the validation loss share one axis. Below it the score
    has an axis, if it was recorded, and the learning rate has one, if it ever
    changed. Solid lines are of the training data, and dashed lines of the
    validation data. A dotted line marks the best epoch, which is the one with the
    highest validation score.

    Create the display with :meth:`from_estimator`. To compare several networks,
    give the `ax_` of the first display as ``ax`` to the others.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_scores : array-like of shape (n_validated,), default=None
        Score on the validation data after each epoch. None if training had no
        validation data. A curve with fewer values than `loss_curve` is taken to
        belong to the last epochs, as it is when validation data came later.
    validation_loss_curve : array-like of shape (n_validated,), default=None
        Loss of the validation data after each epoch.
    training_scores : array-like of shape (n_scored,), default=None
        Score on the training data after each epoch.
    learning_rate_curve : array-like of shape (n_epochs,), default=None
        Mean learning rate of each epoch.
    name : str, default=None
        Name of the estimator in the legend. None, or '', shows no name.
    score_name : str, default=None
        Label of the axis of the scores. None is for "Score".

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the losses.
    score_ax_ : matplotlib Axes or None
        Axes with the scores. None if there are none.
    learning_rate_ax_ : matplotlib Axes or None
        Axes with the learning rate. None if it was not recorded, or if it was the
        same in all epochs.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    lines_ : dict of str to matplotlib Line2D
        The lines drawn, by "training_loss", "validation_loss", "training_score",
        "validation_score" and "learning_rate".
    best_epoch_ : int or None
        The epoch with the highest validation score, from 1. None without
        validation scores.

    See Also
    --------
    SearchDisplay : Heat map of the results of a search.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import LossCurveDisplay, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(early_stopping=True, max_iter=300, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> [ax.get_ylabel() for ax in display.figure_.axes]
    ['Loss', 'Accuracy']
    >>> display.best_epoch_ == clf.validation_scores_.index(max(clf.validation_scores_)) + 1
    True
    """

    def __init__(
        self,
        loss_curve: Sequence[float],
        validation_scores: Sequence[float] | None = None,
        *,
        validation_loss_curve: Sequence[float] | None = None,
        training_scores: Sequence[float] | None = None,
        learning_rate_curve: Sequence[float] | None = None,
        name: str | None = None,
        score_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.validation_loss_curve = validation_loss_curve
        self.training_scores = training_scores
        self.learning_rate_curve = learning_rate_curve
        self.name = name
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        score_name: str | None = None,
        ax: Axes | None = None,
        log_scale: bool = False,
        **line_kwargs: Any,
    ) -> Self:
        """Plot the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted multilayer perceptron of sknet or scikit-learn. It may be
            the last step of a pipeline, or the best estimator of a search.
        name : str, default=None
            Name of the estimator in the legend. None uses the name of its class.
        score_name : str, default=None
            Label of the axis of the scores. None names the estimator's own
            ``scoring``.
        ax : matplotlib Axes, default=None
            Axes to plot on, see :meth:`plot`. None creates a new figure.
        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.
        **line_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`, for all lines.

        Returns
        -------
        LossCurveDisplay
            The display, plotted.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator has no loss curve. scikit-learn's perceptrons have
            none with ``solver='lbfgs'``.
        """
        network, _ = unwrap(estimator)
        curves = {
            "validation_scores": getattr(network, "validation_scores_", None),
            "validation_loss_curve": getattr(network, "validation_loss_curve_", None),
            "training_scores": getattr(network, "training_scores_", None),
            "learning_rate_curve": getattr(network, "learning_rate_curve_", None),
        }
        if not getattr(network, "loss_curve_", None):
            raise ValueError(
                f"{network} has no loss_curve_ to plot. Of scikit-learn's solvers only 'adam' and "
                "'sgd' record one, and without_training_state() leaves it out. Give a network of "
                "sknet as it was fitted."
            )
        display = cls(
            network.loss_curve_,
            **curves,
            name=type(network).__name__ if name is None else name,
            score_name=_score_name(network) if score_name is None else score_name,
        )
        return display.plot(ax, log_scale=log_scale, **line_kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        name: str | None = None,
        log_scale: bool = False,
        **line_kwargs: Any,
    ) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot the losses on. None creates a new figure, with axes for
            all curves there are, except for a learning rate that never changes.
            If `ax` is the `ax_` of another display, its other axes are used, too.
            On any other axes only the losses are drawn. A curve that has no axes
            is left out.
        name : str, default=None
            Name of the estimator in the legend. None uses the name that the
            display was created with.
        log_scale : bool, default=False
            Whether the axis of the loss is logarithmic.
        **line_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`, for all lines.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the loss curve is empty, if another curve is longer, or if
            `log_scale` is True and a loss is not above zero.
        """
        curves = self._curves()
        if log_scale:
            losses = [*curves["training_loss"], *curves.get("validation_loss", [])]
            if np.nanmin(losses) <= 0:
                raise ValueError(
                    f"log_scale=True, but the lowest loss is {np.nanmin(losses):.4g}, and a "
                    "logarithmic axis shows numbers above zero only: use log_scale=False."
                )
        axes = self._new_axes(curves) if ax is None else _panels_with(check_axes(ax))
        self.ax_, self.figure_ = axes["loss"], axes["loss"].figure
        self.score_ax_, self.learning_rate_ax_ = axes.get("score"), axes.get("learning rate")

        name = self.name if name is None else name
        self._draw_lines(axes, curves, name, line_kwargs)
        self._label_axes(axes, log_scale)
        self._mark_best_epoch(axes, curves, name)
        handles, _ = self.ax_.get_legend_handles_labels()
        if len(handles) > 1 or name:
            self.ax_.legend(handles=handles)
        return self

    def _curves(self) -> dict[str, np.ndarray]:
        """Return the curves there are, those that began later filled up with NaN."""
        curves = {
            "training_loss": self.loss_curve,
            "validation_loss": self.validation_loss_curve,
            "training_score": self.training_scores,
            "validation_score": self.validation_scores,
            "learning_rate": self.learning_rate_curve,
        }
        arrays = {n: np.asarray(c, float) for n, c in curves.items() if c is not None and len(c)}
        n_epochs = len(self.loss_curve)
        if n_epochs == 0:
            raise ValueError("loss_curve is empty: there is no epoch to plot.")
        for name, curve in arrays.items():
            if len(curve) > n_epochs:
                raise ValueError(
                    f"The curve of the {name.replace('_', ' ')} has {len(curve)} epochs, but "
                    f"loss_curve has {n_epochs}: no curve may be longer."
                )
        fill = {name: np.full(n_epochs - len(curve), np.nan) for name, curve in arrays.items()}
        return {name: np.concatenate([fill[name], curve]) for name, curve in arrays.items()}

    def _new_axes(self, curves: dict[str, np.ndarray]) -> dict[str, Axes]:
        wanted = {_panel_of(name) for name, curve in curves.items() if _is_shown(name, curve)}
        panels = [panel for panel in HEIGHTS if panel in wanted]
        heights = [HEIGHTS[panel] for panel in panels]
        _, axes = pyplot().subplots(
            len(panels),
            squeeze=False,
            sharex=True,
            figsize=(6.4, 1.2 + 2.8 * sum(heights)),
            height_ratios=heights,
            layout="constrained",
        )
        for ax, panel in zip(axes[:, 0], panels, strict=True):
            ax.set_label(panel)
        return dict(zip(panels, axes[:, 0], strict=True))

    def _draw_lines(
        self,
        axes: dict[str, Axes],
        curves: dict[str, np.ndarray],
        name: str | None,
        line_kwargs: dict[str, Any],
    ) -> None:
        from matplotlib.cbook import normalize_kwargs
        from matplotlib.lines import Line2D

        epochs = np.arange(1, len(self.loss_curve) + 1, dtype=np.int64)
        n_before = sum(line.get_gid() == "training_loss" for line in self.ax_.lines)
        self.lines_ = {}
        for curve, values in curves.items():
            if _panel_of(curve) not in axes:
                continue
            is_validation = curve.startswith("validation")
            is_point = np.isfinite(values).sum() == 1  # no line would be seen
            style = {
                "color": COLORS[n_before % len(COLORS)],
                "marker": "o" if is_point else MARKERS[n_before % len(MARKERS)],
                "markersize": 5,
                "markevery": 1 if is_point else max(1, len(epochs) // N_MARKERS),
                "linestyle": "--" if is_validation else "-",
                "label": _label(name, "validation" if is_validation else "training"),
                **normalize_kwargs(line_kwargs, Line2D),
            }
            (line,) = axes[_panel_of(curve)].plot(epochs, values, **style)
            line.set_gid(curve)  # by which the next display counts those before it
            self.lines_[curve] = line

    def _label_axes(self, axes: dict[str, Axes], log_scale: bool) -> None:
        from matplotlib.ticker import MaxNLocator

        labels = {"loss": "Loss", "score": self.score_name or "Score"}
        for panel, ax in axes.items():
            ax.set_ylabel(labels.get(panel, "Learning rate"))
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            if panel == "learning rate":  # from 0, or a constant rate would seem to vary
                ax.set_ylim(bottom=0, auto=True)
        if log_scale:
            self.ax_.set_yscale("log")
        list(axes.values())[-1].set_xlabel("Epoch")

    def _mark_best_epoch(
        self, axes: dict[str, Axes], curves: dict[str, np.ndarray], name: str | None
    ) -> None:
        self.best_epoch_ = None
        scores = curves.get("validation_score", np.array([]))
        if not np.isfinite(scores).any():
            return
        self.best_epoch_ = int(np.nanargmax(np.where(np.isfinite(scores), scores, np.nan))) + 1
        label = _label(name, f"best epoch, {self.best_epoch_}")
        for panel, ax in axes.items():
            line = ax.axvline(
                self.best_epoch_,
                color=self.lines_["training_loss"].get_color(),
                linestyle=":",
                label=label if panel == "loss" else None,
            )
            line.set_gid("best_epoch")


def _panel_of(curve: str) -> str:
    """Return the panel of a curve: that of its quantity, whatever data it is of."""
    return "learning rate" if curve == "learning_rate" else curve.split("_")[1]


def _is_shown(name: str, curve: np.ndarray) -> bool:
    """Return whether a curve needs a panel. A learning rate that never changes needs none."""
    # The mean of equal rates may differ from them by rounding.
    return name != "learning_rate" or not np.allclose(curve, curve[-1], rtol=1e-9, atol=0)


def _panels_with(ax: Axes) -> dict[str, Axes]:
    """Return the axes of the display that has drawn its losses on `ax`, or else `ax` alone."""
    axes = {sibling.get_label(): sibling for sibling in ax.get_shared_x_axes().get_siblings(ax)}
    panels = {panel: axes[panel] for panel in HEIGHTS if panel in axes}
    return panels if panels.get("loss") is ax else {"loss": ax}


def _label(name: str | None, what: str) -> str:
    return f"{name}: {what}" if name else what.capitalize()


def _score_name(network: Any) -> str:
    """Return the name of the score that validation data have had."""
    scoring = getattr(network, "scoring", None)
    if scoring is None:
        return "Accuracy" if is_classifier(network) else "R²"
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
    negative = name == "loss" or name.startswith("neg_")
    name = name.removeprefix("neg_").replace("_", " ")
    return f"Negative {name}" if negative else name.capitalize()
