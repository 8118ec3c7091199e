"""The images are the weights of the units, in the order of their norms."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.neural_network
from numpy.testing import assert_array_equal
from pictures import cut_off, network
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet import WeightsDisplay

CLASSIFIERS = [sknet.MLPClassifier, sklearn.neural_network.MLPClassifier]


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_weights_are_those_of_the_largest_units(cls, small):
    clf = network(cls).fit(*small)
    display = WeightsDisplay.from_estimator(clf, n_units=5)
    W = clf.coefs_[0]
    norms = np.sqrt((W**2).sum(axis=0))
    assert len(display.images_) == len(display.units_) == 5
    assert_array_equal(norms[display.units_], sorted(norms, reverse=True)[:5])
    limit = np.abs(W[:, display.units_]).max()
    for unit, image in zip(display.units_, display.images_, strict=True):
        assert_array_equal(image.get_array(), W[:, unit].reshape(8, 8))
        assert image.get_clim() == (-limit, limit)


def test_colour_bar(fitted):
    display = WeightsDisplay.from_estimator(fitted)
    limit = np.abs(fitted.coefs_[0]).max()
    assert (display.colorbar_.vmin, display.colorbar_.vmax) == (-limit, limit)
    assert display.colorbar_.ax in display.figure_.axes
    display = WeightsDisplay.from_estimator(fitted, colorbar=False)
    assert display.colorbar_ is None
    assert display.figure_.axes == [display.ax_]


def test_positive_weights_are_lighter_in_greyscale(fitted):
    """Without colours, too, signs can be told apart: the map has no light in its middle."""
    cmap = WeightsDisplay.from_estimator(fitted).images_[0].get_cmap()
    # Luma of ITU-R BT.601, with which pictures are turned grey.
    luma = cmap(np.linspace(0, 1, 101))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(luma) > 0).all()


@pytest.mark.parametrize(("shape", "n_units"), [((8, 8), 5), ((4, 16), 6), ((32, 2), 1)])
def test_images_are_in_sight_and_apart(fitted, shape, n_units):
    display = WeightsDisplay.from_estimator(fitted, image_shape=shape, n_units=n_units)
    (x0, x1), (y1, y0) = display.ax_.get_xlim(), display.ax_.get_ylim()
    frames = [image.get_extent() for image in display.images_]
    for left, right, bottom, top in frames:
        assert x0 <= left < right <= x1
        assert y0 <= top < bottom <= y1
        assert (bottom - top, right - left) == shape
    corners = {(left, top) for left, _, _, top in frames}
    assert len(corners) == n_units
    assert cut_off(display.figure_) <= 1


@pytest.mark.parametrize(("side", "n_units"), [(28, 128), (8, 36), (8, 1), (1, 3)])
def test_figure_is_filled(side, n_units):
    """Images take up most of their axes, however many they are, and titles have room."""
    weights = np.random.default_rng(0).normal(size=(side * side, n_units))
    display = WeightsDisplay(weights).plot()
    assert cut_off(display.figure_) <= 1
    if n_units == 128:
        (x0, x1), (y1, y0) = display.ax_.get_xlim(), display.ax_.get_ylim()
        area = n_units * side * side / ((x1 - x0) * (y1 - y0))
        assert area > 0.7
        box = display.ax_.get_window_extent()
        assert box.width * box.height > 0.6 * np.prod(display.figure_.bbox.size)


@pytest.mark.parametrize(
    ("n_units", "title"),
    [(5, "Weights of 5 of 6 units"), (None, "Weights of 6 units"), (99, "Weights of 6 units")],
)
def test_title(fitted, n_units, title):
    display = WeightsDisplay.from_estimator(fitted, n_units=n_units)
    assert display.ax_.get_title() == title


def test_equal_weights(small):
    display = WeightsDisplay(np.zeros((4, 3))).plot()
    assert_array_equal(display.units_, [0, 1, 2])
    assert display.images_[0].get_clim() == (-1, 1)


def test_estimator_inside_others_is_found(small):
    pipeline = make_pipeline(StandardScaler(), network())
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1]}, cv=2)
    display = WeightsDisplay.from_estimator(make_pipeline(search).fit(*small))
    assert len(display.images_) == 6


def test_image_shape_must_fit_the_features(fitted, diabetes):
    with pytest.raises(ValueError, match=r"64 features .* 8 x 9 .*height \* width = 64"):
        WeightsDisplay.from_estimator(fitted, image_shape=(8, 9))
    with pytest.raises(ValueError, match=r"64 features .* -8 x -8"):
        WeightsDisplay.from_estimator(fitted, image_shape=(-8, -8))
    regressor = network(sknet.MLPRegressor, solver="lbfgs", max_iter=1000).fit(*diabetes)
    with pytest.raises(ValueError, match=r"10 features .* give image_shape"):
        WeightsDisplay.from_estimator(regressor)
    display = WeightsDisplay.from_estimator(regressor, image_shape=(2, 5))
    assert display.images_[0].get_array().shape == (2, 5)


@pytest.mark.parametrize("shape", [8, (8,), (8, 8, 1), (8.0, 8.0), "ab"])
def test_image_shape_must_be_two_integers(fitted, shape):
    with pytest.raises(ValueError, match="two integers are needed"):
        WeightsDisplay.from_estimator(fitted, image_shape=shape)


def test_at_least_one_unit_is_shown(fitted):
    with pytest.raises(ValueError, match="n_units == 0, must be >= 1"):
        WeightsDisplay.from_estimator(fitted, n_units=0)
    with pytest.raises(TypeError, match="n_units must be an instance of"):
        WeightsDisplay.from_estimator(fitted, n_units=2.5)
