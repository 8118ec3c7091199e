"""What all displays say of estimators that they cannot draw, and of a missing matplotlib."""

from __future__ import annotations

import sys

import pytest
from matplotlib.figure import Figure
from pictures import network
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet import LossCurveDisplay, NetworkDisplay, SaliencyDisplay, SearchDisplay, WeightsDisplay

OF_NETWORKS = [LossCurveDisplay, NetworkDisplay, SaliencyDisplay, WeightsDisplay]


def draw(display, estimator, **arguments):
    row = {"X": [0.0] * 64} if display is SaliencyDisplay else {}
    return display.from_estimator(estimator, **row, **arguments)


def test_all_displays_are_public():
    for name in sknet.display.__all__:
        assert getattr(sknet, name) is getattr(sknet.display, name)
        assert name in sknet.__all__


@pytest.mark.parametrize("display", [*OF_NETWORKS, SearchDisplay])
def test_unfitted_estimator_is_refused(display):
    pipeline = make_pipeline(StandardScaler(), network())
    for estimator in (network(), pipeline, GridSearchCV(pipeline, {})):
        with pytest.raises(NotFittedError, match="fit"):
            draw(display, estimator)


@pytest.mark.parametrize("display", [*OF_NETWORKS, SearchDisplay])
def test_other_objects_are_refused(display):
    with pytest.raises(TypeError, match="not an estimator"):
        draw(display, 42)


@pytest.mark.parametrize("display", OF_NETWORKS)
def test_several_axes_are_refused(display, fitted):
    axes = Figure().subplots(2)
    with pytest.raises(TypeError, match="ax must be one matplotlib Axes or None, got ndarray"):
        draw(display, fitted, ax=axes)


@pytest.mark.parametrize("display", OF_NETWORKS)
def test_search_without_refit_is_refused(display, small):
    search = GridSearchCV(network(), {"alpha": [0.1]}, cv=2, refit=False).fit(*small)
    with pytest.raises(ValueError, match="refit=True"):
        draw(display, search)


@pytest.mark.parametrize("display", OF_NETWORKS)
def test_other_estimators_have_nothing_to_draw(display, small):
    with pytest.raises(ValueError, match=r"StandardScaler.* has no (coefs|loss_curve)_ to plot"):
        draw(display, StandardScaler().fit(small[0]))


@pytest.mark.parametrize("display", [*OF_NETWORKS, SearchDisplay])
def test_missing_matplotlib_names_the_extra(display, fitted, small, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    if display is SearchDisplay:
        grid = {"alpha": [0.1, 1], "learning_rate_init": [0.1, 0.2]}
        fitted = GridSearchCV(network(), grid, cv=2).fit(*small)
    with pytest.raises(ImportError, match=r"python -m pip install 'sknet-mlp\[plot\]'"):
        draw(display, fitted)
