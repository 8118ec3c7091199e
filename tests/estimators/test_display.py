"""The displays show what is in the estimators, and say what is missing."""

from __future__ import annotations

import sys

import matplotlib.pyplot
import numpy as np
import pytest
import sklearn.neural_network
from matplotlib.figure import Figure
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet.display import LossCurveDisplay, WeightsDisplay

matplotlib.use("Agg")

CLASSIFIERS = [sknet.MLPClassifier, sklearn.neural_network.MLPClassifier]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture
def small(digits):
    X, y = digits
    return X[:100], y[:100]


def network(cls=sknet.MLPClassifier, **parameters):
    # Few units and a large tol, so that training ends soon and without a warning.
    parameters = {"tol": 0.1, "n_iter_no_change": 2, "random_state": 0, **parameters}
    return cls(hidden_layer_sizes=(6,), **parameters)


@pytest.fixture
def fitted(small):
    return network().fit(*small)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_loss_curve_is_that_of_the_estimator(cls, small):
    clf = network(cls).fit(*small)
    display = LossCurveDisplay.from_estimator(clf, name="net", color="red")
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, clf.n_iter_ + 1))
    np.testing.assert_array_equal(line.get_ydata(), clf.loss_curve_)
    assert line.get_color() == "red"
    assert display.validation_ax_ is None
    assert display.figure_ is display.ax_.figure
    assert [t.get_text() for t in display.ax_.get_legend().get_texts()] == ["net: training loss"]


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_validation_scores_have_an_axis_of_their_own(cls, small):
    clf = network(cls, early_stopping=True).fit(*small)
    display = LossCurveDisplay.from_estimator(clf)
    loss, scores = display.lines_
    np.testing.assert_array_equal(scores.get_ydata(), clf.validation_scores_)
    assert loss.axes is display.ax_
    assert scores.axes is display.validation_ax_ is not display.ax_
    assert scores.get_color() == loss.get_color()
    assert scores.get_linestyle() != loss.get_linestyle()


def test_several_estimators_share_axes_and_one_legend(small, fitted):
    first = LossCurveDisplay.from_estimator(fitted, name="a")
    stopped = network(early_stopping=True).fit(*small)
    second = LossCurveDisplay.from_estimator(stopped, name="b", ax=first.ax_)
    third = LossCurveDisplay.from_estimator(
        stopped, name="c", ax=first.ax_, validation_ax=second.validation_ax_
    )
    assert first.figure_.axes == [first.ax_, third.validation_ax_]
    assert first.ax_.get_legend() is None
    assert [t.get_text() for t in third.validation_ax_.get_legend().get_texts()] == [
        "a: training loss",
        "b: training loss",
        "c: training loss",
        "b: validation score",
        "c: validation score",
    ]


def test_plot_draws_anew_on_given_axes(fitted):
    display = LossCurveDisplay.from_estimator(fitted)
    ax = Figure().subplots()
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert len(ax.lines) == 1


def test_estimator_inside_others_is_found(small, diabetes):
    X, y = small
    pipeline = make_pipeline(StandardScaler(), network())
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1]}, cv=2).fit(X, y)
    chosen = search.best_estimator_[-1]
    display = LossCurveDisplay.from_estimator(search)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), chosen.loss_curve_)
    display = WeightsDisplay.from_estimator(make_pipeline(search).fit(X, y))
    assert len(display.images_) == 6

    regressor = TransformedTargetRegressor(network(sknet.MLPRegressor, tol=1000.0))
    regressor.fit(*diabetes)
    display = LossCurveDisplay.from_estimator(regressor)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), regressor.regressor_.loss_curve_)


@pytest.mark.parametrize("display", [LossCurveDisplay, WeightsDisplay])
def test_unfitted_estimator_is_refused(display):
    pipeline = make_pipeline(StandardScaler(), network())
    for estimator in (network(), pipeline, GridSearchCV(pipeline, {})):
        with pytest.raises(NotFittedError, match="fit"):
            display.from_estimator(estimator)


def test_search_without_refit_is_refused(small):
    search = GridSearchCV(network(), {"alpha": [0.1]}, cv=2, refit=False).fit(*small)
    with pytest.raises(ValueError, match="refit=True"):
        LossCurveDisplay.from_estimator(search)


def test_scikit_learns_lbfgs_has_no_loss_curve(small):
    clf = network(sklearn.neural_network.MLPClassifier, solver="lbfgs").fit(*small)
    with pytest.raises(ValueError, match="'adam' and 'sgd'"):
        LossCurveDisplay.from_estimator(clf)


def test_other_estimators_have_no_weights(small):
    with pytest.raises(ValueError, match=r"StandardScaler.* has no coefs_"):
        WeightsDisplay.from_estimator(StandardScaler().fit(small[0]))


def test_weights_are_those_of_the_first_layer(fitted):
    display = WeightsDisplay.from_estimator(fitted, n_units=5)
    assert len(display.images_) == 5
    limit = np.abs(fitted.coefs_[0][:, :5]).max()
    for k, image in enumerate(display.images_):
        np.testing.assert_array_equal(image.get_array(), fitted.coefs_[0][:, k].reshape(8, 8))
        assert image.get_clim() == (-limit, limit)


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


def test_image_shape_must_fit_the_features(fitted, diabetes):
    with pytest.raises(ValueError, match=r"64 features .* 8 x 9 .*height \* width = 64"):
        WeightsDisplay.from_estimator(fitted, image_shape=(8, 9))
    regressor = network(sknet.MLPRegressor, solver="lbfgs", max_iter=1000).fit(*diabetes)
    with pytest.raises(ValueError, match=r"10 features .* give image_shape"):
        WeightsDisplay.from_estimator(regressor)
    display = WeightsDisplay.from_estimator(regressor, image_shape=(2, 5))
    assert display.images_[0].get_array().shape == (2, 5)


def test_at_least_one_unit_is_shown(fitted):
    with pytest.raises(ValueError, match="n_units=0"):
        WeightsDisplay.from_estimator(fitted, n_units=0)


@pytest.mark.parametrize("display", [LossCurveDisplay, WeightsDisplay])
def test_missing_matplotlib_names_the_extra(display, fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"python -m pip install 'sknet-mlp\[plot\]'"):
        display.from_estimator(fitted)
