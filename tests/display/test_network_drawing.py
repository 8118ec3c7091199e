"""Lines are weights and circles are units, in the colours and places that they should have."""

from __future__ import annotations

import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn.neural_network
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose, assert_array_equal
from pictures import cut_off, network, overlaps
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet import HiddenLayers, NetworkDisplay
from sknet.display._shared import NEGATIVE, POSITIVE


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, load_iris().target_names[y]


@pytest.fixture(scope="module")
def net(iris):
    how = {"hidden_layer_sizes": (8, 5), "activation": ("tanh", "leaky_relu")}
    return network(**how).fit(*iris)


def texts(display) -> list[str]:
    return [text.get_text() for text in display.ax_.texts]


def test_lines_are_weights(net):
    display = NetworkDisplay.from_estimator(net)
    assert [len(circles) for circles in display.circles_] == [4, 8, 5, 3]
    for W, lines, left, right in zip(
        net.coefs_, display.lines_, display.circles_, display.circles_[1:], strict=False
    ):
        weights = W.reshape(-1)
        colors = lines.get_colors()
        assert_allclose(colors[:, 3], np.abs(weights) / np.abs(weights).max(), rtol=1e-15)
        for color, weight, style in zip(colors, weights, lines.get_linestyles(), strict=True):
            assert tuple(color[:3]) == to_rgb(POSITIVE if weight > 0 else NEGATIVE)
            assert (style[1] is None) == (weight > 0)  # None is a line without gaps
        assert_array_equal(np.argsort(lines.get_linewidths()), np.argsort(np.abs(weights)))
        ends = [(a.center, b.center) for a in left for b in right]
        assert_array_equal(lines.get_segments(), ends)


def test_names(net, iris):
    display = NetworkDisplay.from_estimator(net)
    assert texts(display) == [
        "4 features\n", "x0", "x1", "x2", "x3", "8 units\ntanh", "5 units\nleaky_relu",
        "3 outputs\nsoftmax", "setosa", "versicolor", "virginica",
    ]  # fmt: skip
    names = load_iris().feature_names
    display = NetworkDisplay.from_estimator(net, feature_names=names, output_names=["a", "b", "c"])
    assert texts(display)[1:5] == names
    assert texts(display)[-3:] == ["a", "b", "c"]
    for drawn in (display, NetworkDisplay.from_estimator(net, iris[0][0])):
        assert cut_off(drawn.figure_) <= 1
        assert overlaps(drawn.ax_.texts) == []


def test_activations_are_those_that_were_fitted(iris):
    net = network().fit(*iris).set_params(activation=("tanh", "tanh"))
    assert "6 units\nrelu" in texts(NetworkDisplay.from_estimator(net))


def test_names_of_columns(iris):
    pd = pytest.importorskip("pandas", reason="needs pandas")
    frame = pd.DataFrame(iris[0], columns=["a", "b", "c", "d"])
    net = network().fit(frame, iris[1])
    for row in (frame.iloc[[0]], frame.iloc[0]):  # a frame of one row, and a series
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the names are not lost
            display = NetworkDisplay.from_estimator(net, row)
        assert texts(display)[1:5] == ["a", "b", "c", "d"]
        assert_array_equal(display.activations[0], iris[0][0])


def test_activations_are_colours(net, iris):
    X, _ = iris
    display = NetworkDisplay.from_estimator(net, X[60])
    hidden = HiddenLayers(FrozenEstimator(net), layer="all").fit(X).transform(X[60:61])[0]
    proba = net.predict_proba(X[60:61])[0]
    layers = [X[60], hidden[:8], hidden[8:], proba]
    for layer, circles, drawn in zip(layers, display.circles_, display.activations, strict=True):
        assert_allclose(drawn, layer, rtol=1e-12)
        assert layer.any()
        for value, circle in zip(layer / np.abs(layer).max(), circles, strict=True):
            hue = np.array(to_rgb(POSITIVE if value > 0 else NEGATIVE))
            expected = 1 + abs(value) * (hue - 1)  # on white
            assert_allclose(circle.get_facecolor()[:3], expected, atol=1e-12)
            assert circle.get_linestyle() == ("-" if value >= 0 else ":")
    names = [f"{c}  {p:.2f}" for c, p in zip(net.classes_, proba, strict=True)]
    assert texts(display)[-3:] == names


def test_wide_layers_show_their_largest_units(fitted, small):
    display = NetworkDisplay.from_estimator(fitted, small[0][0], max_units=5)
    W, V = fitted.coefs_
    norms = [np.linalg.norm(W, axis=1), np.linalg.norm(V, axis=1), np.linalg.norm(V, axis=0)]
    for units, norm, circles in zip(display.units_, norms, display.circles_, strict=True):
        assert len(units) == len(circles) == 5
        assert_array_equal(units, np.sort(units))
        assert min(norm[units]) >= max(np.delete(norm, units))
        heights = np.array([circle.center[1] for circle in circles])
        gaps = -np.diff(heights)
        assert_array_equal(gaps, [1, 1, 2.5, 1])  # room for the dots
    assert len(display.ax_.lines) == 3
    shown = W[np.ix_(display.units_[0], display.units_[1])].reshape(-1)
    alphas = display.lines_[0].get_colors()[:, 3]
    assert_allclose(alphas, np.abs(shown) / np.abs(shown).max(), rtol=1e-15)


def test_digits_are_legible(digits):
    X, y = digits
    net = network(hidden_layer_sizes=(100,), max_iter=3, n_iter_no_change=np.inf).fit(X, y)
    display = NetworkDisplay.from_estimator(net, X[0])
    assert [len(circles) for circles in display.circles_] == [12, 12, 10]
    assert cut_off(display.figure_) <= 1
    assert overlaps(display.ax_.texts) == []
    for circles in display.circles_:
        boxes = [circle.get_window_extent() for circle in circles]
        assert all(not a.overlaps(b) for a, b in pairwise(boxes))
        assert min(box.width for box in boxes) > 10  # pixels
    assert [text.split()[0] for text in texts(display)[-10:]] == list("0123456789")


def test_pipelines_draw_what_the_network_is_given(iris):
    X, y = iris
    model = make_pipeline(StandardScaler(), network()).fit(X, y)
    display = NetworkDisplay.from_estimator(model, X[0])
    assert_array_equal(display.activations[0], model[:-1].transform(X[:1])[0])
    assert_array_equal(display.activations[-1], model.predict_proba(X[:1])[0])


def test_two_classes_have_one_output(iris):
    X, y = iris[0][:100], iris[1][:100]
    net = network().fit(X, y)
    display = NetworkDisplay.from_estimator(net, X[0])
    assert_array_equal(display.activations[-1], net.predict_proba(X[:1])[0, 1:])
    assert texts(display)[-1].startswith("versicolor ")


def test_classes_without_probabilities_have_scores(iris):
    net = network(loss="hinge").fit(*iris)
    display = NetworkDisplay.from_estimator(net, iris[0][0])
    assert_array_equal(display.activations[-1], net.decision_function(iris[0][:1])[0])


def test_regressors_and_no_hidden_layer(diabetes):
    X, y = diabetes
    net = network(sknet.MLPRegressor, hidden_layer_sizes=(), tol=1e4).fit(X, y)
    display = NetworkDisplay.from_estimator(net, X[0])
    assert len(display.lines_) == 1
    assert texts(display)[-2:] == ["1 output\nidentity", f"y0  {net.predict(X[:1])[0]:.4g}"]


def test_several_labels(iris):
    X, y = iris
    net = network().fit(X, np.stack([y == "setosa", y == "virginica"], axis=1).astype(int))
    display = NetworkDisplay.from_estimator(net, X[0])
    assert_array_equal(display.activations[-1], net.predict_proba(X[:1])[0])


def test_scikit_learns_network_is_drawn(iris):
    net = network(sklearn.neural_network.MLPClassifier).fit(*iris)
    display = NetworkDisplay.from_estimator(net)
    assert [len(circles) for circles in display.circles_] == [4, 6, 3]
    with pytest.raises(TypeError, match="must be sknet's"):
        NetworkDisplay.from_estimator(net, iris[0][0])


def test_dark_pages(net, iris):
    """Empty units have the colour of the page, and outlines that of the text."""
    with plt.style.context("dark_background"):
        display = NetworkDisplay.from_estimator(net)
    circle = display.circles_[0][0]
    assert circle.get_facecolor()[:3] == (0, 0, 0)
    assert circle.get_edgecolor()[:3] == (1, 1, 1)


def test_bad_input_is_refused(net):
    with pytest.raises(ValueError, match=r"X has the shape \(3,\), but one sample of 4"):
        NetworkDisplay.from_estimator(net, [1, 2, 3])
    with pytest.raises(ValueError, match="max_units == 1, must be >= 2"):
        NetworkDisplay.from_estimator(net, max_units=1)
    with pytest.raises(ValueError, match="feature_names has 2 names, but the network has 4"):
        NetworkDisplay.from_estimator(net, feature_names=["a", "b"])
