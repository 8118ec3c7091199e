"""The weights of the first layer as images."""

from __future__ import annotations

from math import ceil, sqrt
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import check_scalar

from sknet.display._shared import axes_or_new, perceptron, shape_of_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class WeightsDisplay:
    """Plot of the weights of the first layer, with one image for each unit.

    Yellow pixels raise the input of the unit, blue ones lower it, and grey ones do
    neither. In print without colours these are light, dark and in between. All
    images share one colour scale, which is symmetric about zero.

    The units come in the order of the Euclidean norms of their weights, the
    largest first: a unit with small weights has learned little.

    Create the display with :meth:`from_estimator`.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_units)
        Weights of the first layer.
    image_shape : tuple of int, default=None
        Height and width of an image. The features are its pixels, row by row.
        None is for square images.
    n_units : int, default=None
        Number of units to show, >= 1. None shows all units.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the images.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    images_ : list of matplotlib AxesImage
        One image for each unit shown.
    units_ : ndarray of int of shape (n_shown,)
        Indices of the units shown, in the order of the images.
    colorbar_ : matplotlib Colorbar or None
        The colour bar. None with ``colorbar=False``.

    See Also
    --------
    NetworkDisplay : Drawing of all layers.
    SaliencyDisplay : Which pixels of one image matter to its score.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknet import MLPClassifier, WeightsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MLPClassifier(hidden_layer_sizes=(20,), max_iter=300, random_state=0).fit(X, y)
    >>> display = WeightsDisplay.from_estimator(clf, image_shape=(8, 8), n_units=16)
    >>> len(display.images_)
    16
    """

    def __init__(
        self,
        weights: np.ndarray,
        *,
        image_shape: tuple[int, int] | None = None,
        n_units: int | None = None,
    ) -> None:
        self.weights = weights
        self.image_shape = image_shape
        self.n_units = n_units

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        n_units: int | None = None,
        ax: Axes | None = None,
        colorbar: bool = True,
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
            Number of units to show, >= 1: those with the largest weights. None
            shows all units.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`, for instance ``cmap``.

        Returns
        -------
        WeightsDisplay
            The display, plotted.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        TypeError
            If `n_units` is no integer.
        ValueError
            If the estimator has no weights, if `n_units` is below 1, or if the
            number of features is not the number of pixels of an image.
        """
        network, _ = perceptron(estimator)
        display = cls(network.coefs_[0], image_shape=image_shape, n_units=n_units)
        return display.plot(ax, colorbar=colorbar, **image_kwargs)

    def plot(self, ax: Axes | None = None, *, colorbar: bool = True, **image_kwargs: Any) -> Self:
        """Plot the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`, for instance ``cmap``.

        Returns
        -------
        WeightsDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `n_units` is no integer.
        ValueError
            If `n_units` is below 1, or if the number of features is not the
            number of pixels of an image.
        """
        weights = np.asarray(self.weights)
        height, width = shape_of_image(weights.shape[0], self.image_shape)
        if self.n_units is not None:
            check_scalar(self.n_units, "n_units", Integral, min_val=1)
        norms = np.linalg.norm(weights, axis=0)
        self.units_ = np.argsort(-norms, kind="stable")[: self.n_units]
        n_shown = len(self.units_)
        n_columns = ceil(sqrt(n_shown * height / width))
        n_rows = ceil(n_shown / n_columns)
        gap = max(1, max(height, width) / 8)
        right, bottom = n_columns * (width + gap) - gap, n_rows * (height + gap) - gap

        # A figure as wide as high for square images, with room for the title and the colour bar.
        side = 6.0 / max(right, bottom)
        self.ax_ = axes_or_new(ax, (max(3.0, side * right) + 1, max(2.0, side * bottom) + 0.5))
        self.figure_ = self.ax_.figure
        limit = np.abs(weights[:, self.units_]).max() or 1.0
        style = {"cmap": "cividis", "vmin": -limit, "vmax": limit, **image_kwargs}
        self.images_ = []
        for k, unit in enumerate(self.units_):
            x, y = k % n_columns * (width + gap), k // n_columns * (height + gap)
            image = weights[:, unit].reshape(height, width)
            extent = (x, x + width, y + height, y)
            self.images_.append(self.ax_.imshow(image, extent=extent, **style))
        # Each call of imshow has set the limits to those of its own image.
        self.ax_.set(xlim=(0, right), ylim=(bottom, 0))
        self.ax_.set_axis_off()
        n_units = weights.shape[1]
        which = "" if n_shown == n_units else f"{n_shown} of "
        self.ax_.set_title(f"Weights of {which}{n_units} unit{'' if n_units == 1 else 's'}")
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(
                self.images_[0], ax=self.ax_, label="Weight", fraction=0.046, pad=0.04
            )
        return self
