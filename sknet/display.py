"""Plots of fitted networks: the loss curve, and the weights of the first layer.

The classes follow scikit-learn's convention for displays. They read only public
fitted attributes, so they plot scikit-learn's own perceptrons, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isqrt, sqrt
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LossCurveDisplay:
    """Plot of the training loss and the validation score against the epoch.

    Create it with :meth:`from_estimator`.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_scores : array-like of shape (n_epochs,), default=None
        Score on the validation data after each epoch. None if training had no
        validation data.
    name : str, default=None
        Name of the estimator in the legend. None shows no name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the loss.
    validation_ax_ : matplotlib Axes or None
        Axes with the validation scores. Its scale is on the right side. None if
        there are no validation scores.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    lines_ : list of matplotlib Line2D
        The line of the loss and, if there are any, that of the validation scores.

    See Also
    --------
    WeightsDisplay : Plot of the weights of the first layer.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import MLPClassifier
    >>> from sknet.display import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(early_stopping=True, max_iter=300, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> display.ax_.get_ylabel(), display.validation_ax_.get_ylabel()
    ('Training loss', 'Validation score')
    """

    def __init__(
        self,
        loss_curve: Sequence[float],
        validation_scores: Sequence[float] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        validation_ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Plot the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted multilayer perceptron of sknet or scikit-learn. It may be
            the last step of a pipeline, or the best estimator of a search.
        name : str, default=None
            Name of the estimator in the legend. None uses the name of its class.
        ax : matplotlib Axes, default=None
            Axes to plot the loss on. None creates new axes.
        validation_ax : matplotlib Axes, default=None
            Axes to plot the validation scores on. None creates new axes, which
            share the x-axis of the loss.
        **line_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

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
        network = _last_estimator(estimator)
        if not getattr(network, "loss_curve_", None):
            raise ValueError(
                f"{network} has no loss_curve_ to plot: of scikit-learn's solvers only 'adam' and "
                "'sgd' record one. Fit with one of those, or with sknet's estimator."
            )
        display = cls(
            network.loss_curve_,
            getattr(network, "validation_scores_", None),
            name=type(network).__name__ if name is None else name,
        )
        return display.plot(ax, validation_ax=validation_ax, **line_kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        name: str | None = None,
        validation_ax: Axes | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Plot the loss curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot the loss on. None creates new axes.
        name : str, default=None
            Name of the estimator in the legend. None uses the name that the
            display was created with.
        validation_ax : matplotlib Axes, default=None
            Axes to plot the validation scores on. None creates new axes, which
            share the x-axis of the loss. To compare several estimators, pass
            the `ax_` and `validation_ax_` of the first display to the others.
        **line_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        LossCurveDisplay
            The display itself.
        """
        self.ax_ = _new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        self.validation_ax_ = validation_ax
        name = self.name if name is None else name
        prefix = "" if name is None else f"{name}: "
        epochs = np.arange(1, len(self.loss_curve) + 1, dtype=np.int64)
        style = {"label": f"{prefix}training loss", **line_kwargs}
        self.lines_ = self.ax_.plot(epochs, self.loss_curve, **style)
        self.ax_.set(xlabel="Epoch", ylabel="Training loss")
        if self.validation_scores is not None:
            right = self.ax_.twinx() if validation_ax is None else validation_ax
            style = {"color": self.lines_[0].get_color(), "linestyle": "--", **line_kwargs}
            style["label"] = f"{prefix}validation score"
            self.lines_ += right.plot(epochs, self.validation_scores, **style)
            right.set_ylabel("Validation score")
            self.validation_ax_ = right
        self._draw_legend()
        return self

    def _draw_legend(self) -> None:
        # One legend shows the lines of both axes. It belongs to the axes that are drawn last, since
        # lines that are drawn later would cover it.
        axes = [self.ax_] if self.validation_ax_ is None else [self.ax_, self.validation_ax_]
        handles = [line for ax in axes for line in ax.get_legend_handles_labels()[0]]
        for ax in axes:
            if legend := ax.get_legend():
                legend.remove()
        axes[-1].legend(handles=handles, loc="center right" if len(axes) > 1 else "upper right")


class WeightsDisplay:
    """Plot of the weights of the first layer, with one image for each unit.

    The images are in the order of the units. They share one colour scale, which
    is symmetric about zero. Create the display with :meth:`from_estimator`.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
        Weights of the first layer.
    image_shape : tuple of int, default=None
        Height and width of an image. The features are its pixels, row by row.
        None is for square images.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    images_ : list of matplotlib AxesImage
        One image for each unit.

    See Also
    --------
    LossCurveDisplay : Plot of the training loss and the validation score.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknet import MLPClassifier
    >>> from sknet.display import WeightsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MLPClassifier(hidden_layer_sizes=(20,), max_iter=300, random_state=0).fit(X, y)
    >>> display = WeightsDisplay.from_estimator(clf, image_shape=(8, 8), n_units=16)
    >>> len(display.images_)
    16
    """

    def __init__(self, weights: np.ndarray, *, image_shape: tuple[int, int] | None = None) -> None:
        self.weights = weights
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        n_units: int | None = None,
        ax: Axes | None = None,
        **image_kwargs: Any,
    ) -> Self:
        """Plot the weights of the first layer of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted multilayer perceptron of sknet or scikit-learn. It may be
            the last step of a pipeline, or the best estimator of a search.
        image_shape : tuple of int, default=None
            Height and width of an image. The features are its pixels, row by
            row. None is for square images.
        n_units : int, default=None
            Number of units to show, >= 1, starting with the first. None shows
            all units.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates new axes.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        WeightsDisplay
            The display, plotted.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator has no weights, if `n_units` is below 1, or if the
            number of features is not the number of pixels of an image.
        """
        network = _last_estimator(estimator)
        if not hasattr(network, "coefs_"):
            raise ValueError(f"{network} has no coefs_ to plot: give a multilayer perceptron.")
        if n_units is not None and n_units < 1:
            raise ValueError(f"n_units={n_units}, but at least one unit must be shown.")
        display = cls(network.coefs_[0][:, :n_units], image_shape=image_shape)
        return display.plot(ax, **image_kwargs)

    def plot(self, ax: Axes | None = None, **image_kwargs: Any) -> Self:
        """Plot the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates new axes.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        WeightsDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the number of features is not the number of pixels of an image.
        """
        n_features, n_units = self.weights.shape
        height, width = self.image_shape or (isqrt(n_features), isqrt(n_features))
        if height * width != n_features:
            raise ValueError(
                f"{n_features} features do not fill an image of {height} x {width} pixels: give "
                f"image_shape=(height, width) with height * width = {n_features}."
            )
        self.ax_ = _new_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        limit = np.abs(self.weights).max()
        style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, **image_kwargs}
        n_columns = ceil(sqrt(n_units * height / width))
        gap = max(height, width) / 8
        self.images_ = []
        for k, column in enumerate(self.weights.T):
            left, top = (k % n_columns) * (width + gap), (k // n_columns) * (height + gap)
            extent = (left, left + width, top + height, top)
            image = column.reshape(height, width)
            self.images_.append(self.ax_.imshow(image, extent=extent, **style))
        n_rows = ceil(n_units / n_columns)
        # Each call of imshow has set the limits to those of its own image.
        self.ax_.set_xlim(-gap, min(n_units, n_columns) * (width + gap))
        self.ax_.set_ylim(n_rows * (height + gap), -gap)
        self.ax_.set_axis_off()
        return self


def _last_estimator(estimator: Any) -> Any:
    """Return the last fitted estimator of pipelines, searches and target transformers."""
    while True:
        check_is_fitted(estimator)
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "regressor_"):
            estimator = estimator.regressor_
        elif hasattr(estimator, "best_params_"):
            raise ValueError(
                f"{type(estimator).__name__} has kept no fitted estimator: fit it with refit=True."
            )
        else:
            return estimator


def _new_axes() -> Axes:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is not installed. Install it with: "
            "python -m pip install 'sknet-mlp[plot]'"
        ) from error
    return plt.subplots()[1]
