"""What several displays need: the network inside an estimator, new axes, colours."""

from __future__ import annotations

from math import isqrt
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The palette of Okabe, M. and Ito, K. (2008), Color universal design, which people who cannot tell
# red from green can tell apart. Its black and its yellow are left out: they would not show on dark
# or on white pages.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
NEGATIVE, POSITIVE = "#0072B2", "#D55E00"


def pyplot() -> Any:
    """Return matplotlib.pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Plots need matplotlib, which is not installed. Install it with: "
            "python -m pip install 'sknet-mlp[plot]'"
        ) from error
    return plt


def axes_or_new(ax: Axes | None, figsize: tuple[float, float] | None = None) -> Axes:
    """Return the axes given, or the axes of a new figure that makes room for all labels."""
    plt = pyplot()
    if ax is None:
        return plt.subplots(figsize=figsize, layout="constrained")[1]
    return check_axes(ax)


def check_axes(ax: Any) -> Axes:
    """Return the axes, or raise if they are something else, such as several axes."""
    if not hasattr(ax, "get_figure"):
        raise TypeError(f"ax must be one matplotlib Axes or None, got {type(ax).__name__}.")
    return ax


def unwrap(estimator: Any) -> tuple[Any, list[Pipeline]]:
    """Return the last fitted estimator inside others, and the steps that come before it.

    Parameters
    ----------
    estimator : estimator
        It may be a pipeline, a search, a regressor with a transformed target, a
        frozen estimator, or one of these in another.

    Returns
    -------
    last : estimator
        The estimator itself if it is none of these.
    before : list of Pipeline
        Fitted pipelines that transform X in turn, from the outermost to the innermost.
    """
    before = []
    while True:
        check_is_fitted(estimator)
        if isinstance(estimator, Pipeline):
            if len(estimator) > 1:
                before.append(estimator[:-1])
            estimator = estimator[-1]
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "regressor_"):
            estimator = estimator.regressor_
        elif hasattr(estimator, "best_params_"):
            raise ValueError(
                f"{type(estimator).__name__} has kept no fitted estimator: fit it with refit=True."
            )
        else:
            return estimator, before


def perceptron(estimator: Any) -> tuple[Any, list[Pipeline]]:
    """Return the network inside an estimator as `unwrap` does, or raise if it is none."""
    network, before = unwrap(estimator)
    if not hasattr(network, "coefs_"):
        raise ValueError(
            f"{network} has no coefs_ to plot: give a multilayer perceptron of sknet or "
            "scikit-learn, or a pipeline or search that ends in one."
        )
    return network, before


def shape_of_image(n_features: int, image_shape: tuple[int, int] | None) -> tuple[int, int]:
    """Return the height and width of images, or raise if the features do not fill them."""
    try:
        height, width = map(index, image_shape or (isqrt(n_features), isqrt(n_features)))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"image_shape={image_shape!r}, but two integers are needed: (height, width)."
        ) from error
    if height < 1 or width < 1 or height * width != n_features:
        raise ValueError(
            f"{n_features} features do not fill an image of {height} x {width} pixels: give "
            f"image_shape=(height, width) with height * width = {n_features}."
        )
    return height, width


def one_row(X: Any, n_features: int) -> Any:
    """Return one sample as a matrix or data frame of one row, without a change of its numbers."""
    if hasattr(X, "index") and hasattr(X, "to_frame"):  # a row of a data frame, as frame.iloc[0]
        X = X.to_frame().T
    X = X.toarray() if sp.issparse(X) else X
    row = X if hasattr(X, "columns") else np.atleast_2d(np.asarray(X))
    if row.shape != (1, n_features):
        raise ValueError(
            f"X has the shape {np.shape(X)}, but one sample of {n_features} features is drawn: "
            f"give an array of shape ({n_features},) or (1, {n_features})."
        )
    return row
