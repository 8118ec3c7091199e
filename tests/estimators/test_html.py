"""What notebooks are given: well-formed drawings before scikit-learn's own display."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import estimator_html_repr
from versions import needs_parameter_tables

from sknet import HiddenLayers, MLPClassifier, MLPRegressor
from sknet.estimators.html import MOST_POINTS, layers_svg, network_html

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def net(digits) -> MLPClassifier:
    how = {"hidden_layer_sizes": (20, 5), "max_iter": 7, "random_state": 0}
    return MLPClassifier(activation="tanh", **how).fit(*digits)


def without_numbers(text: str) -> str:
    """Return HTML without the numbers of ids, which count up from display to display."""
    return re.sub(r"sk-(container|estimator)-id-\d+", "", text)


def drawings(net) -> list[ET.Element]:
    """Return the parsed drawings: XML is stricter than HTML."""
    return ET.fromstring(network_html(net)).findall(f"{SVG}svg")


def texts(svg: ET.Element) -> list[str | None]:
    return [element.text for element in svg.iter(f"{SVG}text")]


def test_layers(net):
    layers, _ = drawings(net)
    assert len(layers.findall(f"{SVG}rect")) == 4
    assert len(layers.findall(f"{SVG}path")) == 3
    n = 64 * 20 + 20 + 20 * 5 + 5 + 5 * 10 + 10
    assert texts(layers) == [
        f"MLPClassifier, {n:,} parameters, float64",
        *["64 features", "20 units", "tanh", "5 units", "tanh", "10 outputs", "softmax"],
    ]


def test_activations_per_layer_and_a_single_output(diabetes):
    how = {"hidden_layer_sizes": (1, 3), "activation": ("tanh", "relu"), "max_iter": 2}
    net = MLPRegressor(**how).fit(*diabetes)
    expected = ["10 features", "1 unit", "tanh", "3 units", "relu", "1 output", "identity"]
    assert texts(drawings(net)[0])[1:] == expected


def test_loss_curve(net):
    _, loss = drawings(net)
    points = loss.find(f"{SVG}polyline").get("points").split()
    x, y = np.array([point.split(",") for point in points], float).T
    assert len(x) == 7
    # Equal steps to the right, and heights that are the losses, upside down, to a tenth of a pixel.
    assert np.ptp(np.diff(x)) <= 0.2
    curve = np.array(net.loss_curve_)
    scaled = (curve.max() - curve) / np.ptp(curve)
    assert np.abs((y - y.min()) / np.ptp(y) - scaled).max() < 0.2 / np.ptp(y)
    assert {"Epoch", "Training loss", "1", "7"} <= set(texts(loss))
    assert f"{curve.max():.3g}" in texts(loss)


def test_long_curves_are_thinned_out(net):
    net.loss_curve_ = list(1 / np.arange(1, 5001))
    points = drawings(net)[1].find(f"{SVG}polyline").get("points").split()
    assert MOST_POINTS / 2 < len(points) <= MOST_POINTS + 1
    assert points[-1].startswith("344.0,")
    assert "5000" in texts(drawings(net)[1])


@pytest.mark.parametrize("curve", [[], [1.0], [1.0, np.inf], [np.nan, 1.0]])
def test_no_curve(net, curve):
    net.loss_curve_ = curve
    assert len(drawings(net)) == 1


def test_constant_curve(net):
    net.loss_curve_ = [0.5, 0.5, 0.5]
    assert "nan" not in ET.tostring(drawings(net)[1], "unicode")


def test_lbfgs_has_a_curve(digits):
    net = MLPClassifier(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=2).fit(*digits)
    assert len(drawings(net)) == 2


def test_accessible(net):
    """Each drawing is one image to screen readers, named, and drawn in the text's colour."""
    for svg in drawings(net):
        assert svg.get("role") == "img"
        title, says = svg.find(f"{SVG}title").text, svg.find(f"{SVG}desc").text
        assert svg.get("aria-label") == f"{title}: {says}"
        colours = {e.get(kind) for e in svg.iter() for kind in ("fill", "stroke")}
        assert colours <= {"currentColor", "none", None}
    assert "64 features, then 20 units (tanh), then 5 units (tanh), then 10" in network_html(net)


def test_nothing_from_outside_and_no_ids(net):
    text = network_html(net).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|url\(|href|src=|<script|<style|\bid=", text)


def test_escaped(net):
    svg = layers_svg("<i>", [3, 2, 1], ['<b>"x"</b>&', "identity"])
    assert "<b>" not in svg
    assert "<i>" not in svg
    assert texts(ET.fromstring(svg))[3] == '<b>"x"</b>&'


@pytest.mark.parametrize("activation", [("tanh",), 3, None])
def test_parameters_changed_since(net, activation):
    """A display never fails, whatever the parameters have been set to."""
    net.set_params(activation=activation, hidden_layer_sizes="nonsense", loss="nonsense")
    assert "20 units" in net._repr_mimebundle_()["text/html"]


def test_weights_set_by_hand(net):
    net.coefs_ = [W.tolist() for W in net.coefs_]
    assert "20 units" in network_html(net)


def test_scikit_learns_display_stays(net):
    """It comes after the drawings, whole, with its badge and its table of parameters."""
    theirs = without_numbers(estimator_html_repr(net)).replace(network_html(net), "")
    assert "Fitted" in theirs or "is fitted" in theirs
    for text in (net._repr_html_(), net._repr_mimebundle_()["text/html"]):
        assert without_numbers(text) == network_html(net) + theirs
    assert net._repr_mimebundle_()["text/plain"] == repr(net)


def test_unfitted():
    net = MLPClassifier()
    assert network_html(net) == ""
    assert without_numbers(net._repr_html_()) == without_numbers(estimator_html_repr(net))


def test_display_as_text(net):
    with sklearn.config_context(display="text"):
        assert not hasattr(net, "_repr_html_")
        assert set(net._repr_mimebundle_()) == {"text/plain"}


@needs_parameter_tables
def test_inside_other_estimators(net, digits):
    """Their displays show the drawings once, with the parameters of the fitted network."""
    pipeline = make_pipeline(StandardScaler(), net)
    drawings = network_html(net)
    for model in (pipeline, HiddenLayers(FrozenEstimator(net)).fit(*digits)):
        text = model._repr_html_()
        assert text.count(drawings) == 1
        assert text.index("MLPClassifier") < text.index(drawings)
    search = GridSearchCV(make_pipeline(MinMaxScaler(), net), {"mlpclassifier__max_iter": [2]})
    chosen = search.fit(*digits).best_estimator_[-1]
    assert search._repr_html_().count(network_html(chosen)) == 1


def test_inside_other_estimators_unfitted():
    model = make_pipeline(StandardScaler(), MLPClassifier())
    assert "MLPClassifier" in model._repr_html_()
    assert 'role="img"' not in model._repr_html_()


@pytest.mark.parametrize("params", [None, object()])
def test_other_tables_of_parameters_stay(net, params, monkeypatch):
    """As those of a later scikit-learn may be, which makes them in a way unknown here."""
    monkeypatch.setattr(BaseEstimator, "_get_params_html", lambda self: params, raising=False)
    assert net._get_params_html() is params
