"""Which pixels of an image speak for a class, and which against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing

from sknet.attribution import expected_gradients
from sknet.display._shared import (
    NEGATIVE,
    POSITIVE,
    axes_or_new,
    one_row,
    perceptron,
    shape_of_image,
)
from sknet.inspection import input_gradients

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.pipeline import Pipeline

# Points on the line from each row of the background to the image.
N_POINTS = 20
# Of a larger background this many rows are used, at equal distances.
MOST_BACKGROUND = 200
# Pixels with this share of the largest saliency have a sign.
MARKED = 0.25


class SaliencyDisplay:
    """Plot of the pixels of one image that matter to a score of a network.

    The image is grey. Over it lie colours: orange pixels raise the score, blue
    ones lower it, and the stronger the colour, the more so. The pixels that matter
    most have a plus or a minus. The score is the one before the softmax or other
    link, as in :func:`sknet.input_gradients`.

    Create the display with :meth:`from_estimator`.

    Parameters
    ----------
    image : ndarray of shape (height, width)
        The image.
    saliency : ndarray of shape (height, width)
        What each pixel adds to the score, or the gradient of the score by it.
    title : str, default=None
        Title of the plot. None draws none.
    label : str, default="Saliency"
        Label of the colour bar.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the image.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    image_ : matplotlib AxesImage
        The image, in grey.
    saliency_image_ : matplotlib AxesImage
        The colours over it, of shape (height, width, 4). The last channel, the
        opacity, is the size of the saliency relative to its largest.
    signs_ : list of matplotlib PathCollection
        The plus signs and the minus signs.
    colorbar_ : matplotlib Colorbar or None
        The colour bar. None with ``colorbar=False``.

    See Also
    --------
    sknet.input_gradients : The gradients as an array.
    sknet.expected_gradients : The contributions of many rows, and how exact they are.
    WeightsDisplay : The weights of the first layer as images.

    References
    ----------
    .. [1] Erion, G., Janizek, J. D., Sturmfels, P., Lundberg, S. M., Lee, S.-I.
       (2021). Improving performance of deep learning models with axiomatic
       attribution priors and expected gradients. Nature Machine Intelligence 3,
       section "Expected gradients".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknet import MLPClassifier, SaliencyDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier(max_iter=300, random_state=0).fit(X, y)
    >>> display = SaliencyDisplay.from_estimator(net, X[0], image_shape=(8, 8), background=X)
    >>> display.ax_.get_title()
    'Score of class 0'
    """

    def __init__(
        self,
        image: np.ndarray,
        saliency: np.ndarray,
        *,
        title: str | None = None,
        label: str = "Saliency",
    ) -> None:
        self.image = image
        self.saliency = saliency
        self.title = title
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        image_shape: tuple[int, int] | None = None,
        target: Any = None,
        background: Any = None,
        ax: Axes | None = None,
        colorbar: bool = True,
        **image_kwargs: Any,
    ) -> Self:
        """Plot the saliency of one image.

        Without a background, the saliency is the gradient d score / d x: how the
        score reacts to a small change of each pixel. With one, it is the
        expected gradient, the mean over rows x' of the background of

            (x - x') * integral of d score / d x at x' + a (x - x') over a from 0 to 1.

        The expected gradients of all pixels add up to the score of the image
        minus the mean score of the background. They are in units of the score,
        and show what the image has that others have not.

        Parameters
        ----------
        estimator : estimator
            A fitted network of sknet. It may be the last step of a pipeline, or
            the best estimator of a search, if each feature keeps its place on
            the way to the network, as with scalers. The gradients are then those
            by the features that the network is given.
        X : array-like of shape (n_features,) or (1, n_features)
            The image, its pixels row by row.
        image_shape : tuple of int, default=None
            Height and width of the image. None is for square images.
        target : label or int, default=None
            The score: one of `classes_`, or the index of the output for
            multilabel targets and for regressors. None uses the predicted class,
            or the only output of a network.
        background : array-like of shape (n_rows, n_features), default=None
            Typical images to compare with, such as the training data. At most
            200 of them are used, at equal distances. None plots plain gradients.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow` for the grey image, for
            instance ``vmax``.

        Returns
        -------
        SaliencyDisplay
            The display, plotted.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        TypeError
            If the network is not one of sknet.
        ValueError
            If X is not one row with the features of the network, if they do not
            fill the image, if there is no such target, or if a step of a
            pipeline does not keep the features in their places.
        """
        network, before = perceptron(estimator)
        row = one_row(X, estimator.n_features_in_)
        shape = shape_of_image(estimator.n_features_in_, image_shape)
        inputs = _through(before, row)
        if target is None and is_classifier(network) and hasattr(network, "classes_"):
            target = _predicted_class(network, inputs)
        if background is None:
            label, saliency = "Gradient of the score", input_gradients(network, inputs, target)
        else:
            rows = _through(before, _thinned(background, estimator.n_features_in_))
            label = "Contribution to the score"
            saliency = expected_gradients(
                network, inputs, rows, target, n_samples=N_POINTS, random_state=0
            ).values
        display = cls(
            np.asarray(row, dtype=float).reshape(shape),
            saliency.reshape(shape),
            title=f"Score of {'class' if is_classifier(network) else 'output'} "
            f"{0 if target is None else target}",
            label=label,
        )
        return display.plot(ax, colorbar=colorbar, **image_kwargs)

    def plot(self, ax: Axes | None = None, *, colorbar: bool = True, **image_kwargs: Any) -> Self:
        """Plot the image and the saliency.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow` for the grey image, for
            instance ``vmax``.

        Returns
        -------
        SaliencyDisplay
            The display itself.
        """
        self.ax_ = axes_or_new(ax, (4.6, 4.0))  # raises if there is no matplotlib
        self.figure_ = self.ax_.figure
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba

        image, saliency = np.asarray(self.image), np.asarray(self.saliency)
        limit = np.abs(saliency).max() or 1.0
        # Twice the range makes the darkest pixel a middle grey, on which both colours are seen.
        low, high = image.min(), image.max()
        grey = {"cmap": "gray_r", "vmin": low, "vmax": 2 * high - low or 1.0, **image_kwargs}
        self.image_ = self.ax_.imshow(image, **grey)
        colors = np.where(saliency[..., None] > 0, to_rgba(POSITIVE), to_rgba(NEGATIVE))
        colors[..., 3] = np.abs(saliency) / limit
        self.saliency_image_ = self.ax_.imshow(colors)
        self.signs_ = []
        for sign, marker in ((1, "+"), (-1, "_")):
            rows, columns = np.nonzero(sign * saliency >= MARKED * limit)
            self.signs_.append(self.ax_.scatter(columns, rows, s=20, c="black", marker=marker))
        self.ax_.set(xticks=[], yticks=[])
        if self.title is not None:
            self.ax_.set_title(self.title)
        self.colorbar_ = None
        if colorbar:
            scale = LinearSegmentedColormap.from_list("saliency", [NEGATIVE, "white", POSITIVE])
            self.colorbar_ = self.figure_.colorbar(
                ScalarMappable(Normalize(-limit, limit), scale),
                ax=self.ax_,
                label=self.label,
                fraction=0.046,
                pad=0.04,
            )
        return self


def _through(before: list[Pipeline], X: Any) -> Any:
    """Return X as the network is given it, if each feature stays where it is."""
    for steps in before:
        names = getattr(steps, "feature_names_in_", None)
        if names is None:
            names = [f"x{j}" for j in range(steps.n_features_in_)]
        try:
            stays = list(steps.get_feature_names_out()) == list(names)
        except (AttributeError, ValueError):  # a step that does not say
            stays = False
        if not stays:
            raise ValueError(
                f"The steps {list(steps.named_steps)} do not keep each feature in its place, or "
                "do not say so by get_feature_names_out, so that the gradients cannot be drawn "
                "over the pixels: give the network alone, and X as that takes it."
            )
        X = steps.transform(X)
        X = X.toarray() if sp.issparse(X) else X
    return X


def _thinned(background: Any, n_features: int) -> Any:
    """Return at most `MOST_BACKGROUND` rows, at equal distances."""
    shape = np.shape(background)
    if len(shape) != 2 or shape[0] < 1 or shape[1] != n_features:
        raise ValueError(
            f"background has the shape {shape}, but at least one row of {n_features} features is "
            "needed."
        )
    rows = np.unique(np.linspace(0, shape[0] - 1, MOST_BACKGROUND).astype(np.int64))
    chosen = _safe_indexing(background, rows)
    return chosen.toarray() if sp.issparse(chosen) else chosen


def _predicted_class(network: Any, inputs: Any) -> Any:
    """Return the class predicted for one row; None if there may be several at once."""
    predicted = network.predict(inputs)
    return predicted[0] if np.ndim(predicted) == 1 else None
