"""The curves drawn are those of the estimator, each on the axis of its quantity."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.neural_network
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal
from pictures import cut_off, network
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import balanced_accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknet
from sknet import LossCurveDisplay

CLASSIFIERS = [sknet.MLPClassifier, sklearn.neural_network.MLPClassifier]


def legend_of(display) -> list[str]:
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_loss_curve_is_that_of_the_estimator(cls, small):
    clf = network(cls).fit(*small)
    display = LossCurveDisplay.from_estimator(clf, name="net", color="red")
    line = display.lines_["training_loss"]
    assert_array_equal(line.get_xdata(), np.arange(1, clf.n_iter_ + 1))
    assert_array_equal(line.get_ydata(), clf.loss_curve_)
    assert line.axes is display.ax_
    assert line.get_color() == "red"
    assert display.score_ax_ is display.best_epoch_ is None
    assert display.figure_ is display.ax_.figure
    assert legend_of(display) == ["net: training"]


def test_each_quantity_has_its_axis(small, stopped):
    stopped.training_scores_ = np.linspace(0, 1, stopped.n_iter_).tolist()
    try:
        display = LossCurveDisplay.from_estimator(stopped)
    finally:
        del stopped.training_scores_
    expected = {
        "training_loss": (display.ax_, stopped.loss_curve_),
        "validation_loss": (display.ax_, stopped.validation_loss_curve_),
        "training_score": (display.score_ax_, np.linspace(0, 1, stopped.n_iter_)),
        "validation_score": (display.score_ax_, stopped.validation_scores_),
        "learning_rate": (display.learning_rate_ax_, stopped.learning_rate_curve_),
    }
    assert display.lines_.keys() == expected.keys()
    for name, (ax, values) in expected.items():
        line = display.lines_[name]
        assert line.axes is ax
        assert_array_equal(line.get_ydata(), values)
        assert line.get_linestyle() == ("--" if "validation" in name else "-")
    below = [display.ax_, display.score_ax_, display.learning_rate_ax_]
    assert display.figure_.axes == below
    tops = [ax.get_position().y1 for ax in below]
    assert tops == sorted(tops, reverse=True)
    assert len({ax.get_xlim() for ax in below}) == 1
    assert [ax.get_ylabel() for ax in below] == ["Loss", "Accuracy", "Learning rate"]
    assert [ax.get_xlabel() for ax in below] == ["", "", "Epoch"]


def test_scikit_learns_scores_are_drawn(small):
    clf = network(CLASSIFIERS[1], early_stopping=True).fit(*small)
    display = LossCurveDisplay.from_estimator(clf)
    assert_array_equal(display.lines_["validation_score"].get_ydata(), clf.validation_scores_)
    assert display.best_epoch_ == 1 + np.argmax(clf.validation_scores_)
    assert display.learning_rate_ax_ is None
    assert display.score_ax_.get_xlabel() == "Epoch"


def test_best_epoch_is_marked_on_each_axis(stopped):
    display = LossCurveDisplay.from_estimator(stopped)
    scores = stopped.validation_scores_
    assert display.best_epoch_ == 1 + scores.index(max(scores))
    for ax in display.figure_.axes:
        (mark,) = (line for line in ax.lines if line.get_gid() == "best_epoch")
        assert_array_equal(mark.get_xdata(), [display.best_epoch_] * 2)
    assert legend_of(display)[-1] == f"MLPClassifier: best epoch, {display.best_epoch_}"


@pytest.mark.parametrize(
    ("scores", "best"), [([0.2, 0.9, 0.9], 2), ([np.nan, 0.1, np.inf], 2), ([np.nan] * 3, None)]
)
def test_best_epoch_is_the_first_with_the_highest_finite_score(scores, best):
    assert LossCurveDisplay([3.0, 2.0, 1.0], scores).plot().best_epoch_ == best


def test_validation_that_came_later_belongs_to_the_last_epochs(small):
    """As after a warm start with validation data, which the first fit had not."""
    X, y = small
    how = {"tol": 0, "n_iter_no_change": np.inf, "max_iter": 3, "warm_start": True}
    net = network(**how).fit(X, y)
    net.fit(X, y, X_val=X, y_val=y)
    display = LossCurveDisplay.from_estimator(net)
    assert_array_equal(display.lines_["training_loss"].get_ydata(), net.loss_curve_)
    for name, curve in (
        ("validation_loss", net.validation_loss_curve_),
        ("validation_score", net.validation_scores_),
    ):
        line = display.lines_[name]
        assert_array_equal(line.get_xdata(), np.arange(1, 7))
        assert_array_equal(line.get_ydata(), [np.nan] * 3 + curve)
    assert display.best_epoch_ == 4 + np.argmax(net.validation_scores_)


def test_a_single_epoch_is_seen():
    lines = LossCurveDisplay([3.0, 2.0, 1.0], [0.5]).plot().lines_
    assert lines["training_loss"].get_marker() == ""
    assert lines["validation_score"].get_marker() == "o"
    assert lines["validation_score"].get_markevery() == 1


def test_short_names_of_styles(fitted):
    line = LossCurveDisplay.from_estimator(fitted, c="red", lw=3, ls=":").lines_["training_loss"]
    assert (line.get_color(), line.get_linewidth(), line.get_linestyle()) == ("red", 3, ":")


def test_log_scale(stopped):
    display = LossCurveDisplay.from_estimator(stopped, log_scale=True)
    assert display.ax_.get_yscale() == "log"
    assert display.score_ax_.get_yscale() == "linear"
    assert LossCurveDisplay.from_estimator(stopped).ax_.get_yscale() == "linear"
    with pytest.raises(ValueError, match=r"lowest loss is -1, .* use log_scale=False"):
        LossCurveDisplay([2.0, -1.0]).plot(log_scale=True)


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 7, 200])
def test_epochs_are_whole(n_epochs):
    display = LossCurveDisplay(np.arange(n_epochs), learning_rate_curve=np.arange(n_epochs)).plot()
    for ax in display.figure_.axes:
        ticks = ax.get_xticks()
        assert_array_equal(ticks, np.round(ticks))
    assert display.lines_["training_loss"].get_marker() == ("o" if n_epochs == 1 else "")


def test_learning_rate_is_drawn_from_zero():
    small = LossCurveDisplay([2.0, 1.0], learning_rate_curve=[0.001, 0.00101]).plot()
    assert small.learning_rate_ax_.get_ylim()[0] == 0
    larger = LossCurveDisplay([2.0, 1.0], learning_rate_curve=[0.2, 0.3]).plot(ax=small.ax_)
    bottom, top = larger.learning_rate_ax_.get_ylim()
    assert bottom == 0
    assert top > 0.3


def test_several_estimators_share_axes_and_have_their_own_hues(small, fitted, stopped):
    first = LossCurveDisplay.from_estimator(stopped, name="a")
    others = [
        LossCurveDisplay.from_estimator(net, name=name, ax=first.ax_)
        for net, name in ((fitted, "b"), (stopped, "c"))
    ]
    axes = [first.ax_, first.score_ax_, first.learning_rate_ax_]
    assert first.figure_.axes == axes
    displays = [first, *others]
    for display in displays:
        assert [display.ax_, display.score_ax_, display.learning_rate_ax_] == axes
        assert len({line.get_color() for line in display.lines_.values()}) == 1
    looks = [
        (to_rgba(d.lines_["training_loss"].get_color()), d.lines_["training_loss"].get_marker())
        for d in displays
    ]
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 3
    best = f"best epoch, {first.best_epoch_}"
    assert legend_of(first) == [
        *("a: training", "a: validation", f"a: {best}", "b: training"),
        *("c: training", "c: validation", f"c: {best}"),
    ]
    assert cut_off(first.figure_) <= 1


def test_other_axes_get_the_losses_alone(stopped):
    display = LossCurveDisplay.from_estimator(stopped)
    ax, other = Figure().subplots(1, 2, sharex=True)
    assert display.plot(ax) is display
    assert display.ax_ is ax
    assert display.lines_.keys() == {"training_loss", "validation_loss"}
    assert display.score_ax_ is display.learning_rate_ax_ is None
    assert len(other.lines) == 0


def test_estimator_inside_others_is_found(small, diabetes):
    X, y = small
    pipeline = make_pipeline(StandardScaler(), network())
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1]}, cv=2).fit(X, y)
    chosen = search.best_estimator_[-1]
    display = LossCurveDisplay.from_estimator(search)
    assert_array_equal(display.lines_["training_loss"].get_ydata(), chosen.loss_curve_)

    regressor = TransformedTargetRegressor(network(sknet.MLPRegressor, tol=1000.0))
    regressor.fit(*diabetes)
    display = LossCurveDisplay.from_estimator(regressor)
    curve = regressor.regressor_.loss_curve_
    assert_array_equal(display.lines_["training_loss"].get_ydata(), curve)


@pytest.mark.parametrize(
    ("scoring", "name"),
    [
        ("balanced_accuracy", "Balanced accuracy"),
        ("neg_log_loss", "Negative log loss"),
        ("loss", "Negative loss"),
        (make_scorer(balanced_accuracy_score), "Score"),
    ],
)
def test_the_score_is_named(small, scoring, name):
    net = network(early_stopping=True, scoring=scoring).fit(*small)
    assert LossCurveDisplay.from_estimator(net).score_ax_.get_ylabel() == name
    display = LossCurveDisplay.from_estimator(net, score_name="Mine")
    assert display.score_ax_.get_ylabel() == "Mine"


def test_nothing_is_cut_off(stopped):
    assert cut_off(LossCurveDisplay.from_estimator(stopped).figure_) <= 1
    large = LossCurveDisplay([1e9, 2e9], [-1e-9, 3e-9], learning_rate_curve=[1e-7, 1e-8])
    assert cut_off(large.plot(name="a long name of an estimator").figure_) <= 1


def test_cut_off_can_fail():
    """As the label on the right side of the former display was."""
    figure = Figure()
    figure.add_axes((0, 0, 0.99, 1)).twinx().set_ylabel("Validation score")
    assert cut_off(figure) > 10


def test_bad_curves_are_refused():
    with pytest.raises(ValueError, match="loss_curve is empty"):
        LossCurveDisplay([]).plot()
    with pytest.raises(ValueError, match="validation score has 3 epochs, but loss_curve has 2"):
        LossCurveDisplay([1, 2], [1, 2, 3]).plot()


def test_scikit_learns_lbfgs_has_no_loss_curve(small):
    clf = network(CLASSIFIERS[1], solver="lbfgs").fit(*small)
    with pytest.raises(ValueError, match="'adam' and 'sgd'"):
        LossCurveDisplay.from_estimator(clf)


@pytest.mark.parametrize("n_epochs", [1, 3])
def test_a_learning_rate_that_never_changes_has_no_panel(n_epochs):
    """The means of equal rates may differ by rounding."""
    rates = [0.001, 0.0010000000000000005, 0.001][:n_epochs]
    display = LossCurveDisplay(np.arange(n_epochs), learning_rate_curve=rates).plot()
    assert display.learning_rate_ax_ is None
    assert display.figure_.axes == [display.ax_]
    assert display.ax_.get_xlabel() == "Epoch"


def test_beside_a_rate_that_changes_a_constant_one_is_drawn(stopped, fitted):
    first = LossCurveDisplay.from_estimator(stopped)
    second = LossCurveDisplay.from_estimator(fitted, ax=first.ax_)
    assert second.lines_["learning_rate"].axes is first.learning_rate_ax_


def test_lbfgs_has_no_learning_rate(small):
    display = LossCurveDisplay.from_estimator(network(solver="lbfgs").fit(*small))
    assert display.lines_.keys() == {"training_loss"}
    assert display.figure_.axes == [display.ax_]
