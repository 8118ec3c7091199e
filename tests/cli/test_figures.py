"""What the figures of ``digits`` and ``mnist`` say, read off their artists."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import Pipeline

from sknet import MLPClassifier
from sknet._cli import digits_figure, mnist_figure
from sknet._cli.comparison import Result
from sknet._cli.images import Split
from sknet._cli.panels import draw_confusions, draw_mistakes, draw_weights, mistakes_of
from sknet.display._shared import COLORS

LABELS = np.array([3, 3, 3, 8, 8, 9, 1, 1])
READ = np.array([5, 5, 8, 1, 1, 9, 7, 2])
SURE = np.array([0.6, 0.9, 0.3, 0.81, 0.4, 0.99, 0.9996, 0.5])
IMAGES = np.arange(8 * 16.0).reshape(8, 16)


def texts(ax):
    return [text.get_text().strip() for text in ax.texts]


def test_mistakes_are_in_the_order_of_confidence():
    mistakes = mistakes_of(IMAGES, LABELS, READ, SURE)
    assert mistakes.confidences.tolist() == [0.9996, 0.9, 0.81, 0.6, 0.5, 0.4, 0.3]
    assert mistakes.labels.tolist() == [1, 3, 8, 3, 1, 8, 3]
    assert mistakes.predictions.tolist() == [7, 5, 1, 5, 2, 1, 8]
    assert mistakes.images[:, 0].tolist() == [96, 16, 48, 0, 112, 64, 32]


def test_each_misread_image_has_its_confidence():
    ax = Figure().subplots()
    draw_mistakes(ax, mistakes_of(IMAGES, LABELS, READ, SURE))
    assert ax.get_title() == "All 7 mistakes"
    assert [box.get_title() for box in ax.child_axes[:3]] == [
        "1 read as 7\n>99% sure",
        "3 read as 5\n90% sure",
        "8 read as 1\n81% sure",
    ]
    np.testing.assert_array_equal(ax.child_axes[1].images[0].get_array(), IMAGES[1].reshape(4, 4))


@pytest.mark.parametrize(
    ("n", "title"),
    [(0, "No mistakes"), (1, "The only mistake"), (40, "The 16 most confident of 40 mistakes")],
)
def test_title_of_the_misread_images(n, title):
    ax = Figure().subplots()
    draw_mistakes(ax, mistakes_of(np.zeros((n, 4)), np.zeros(n), np.ones(n), np.ones(n)))
    assert ax.get_title() == title
    assert len(ax.child_axes) == min(n, 16)


def test_worst_confusions_come_first():
    """Three 3s were misread; 8 and 1 twice each, of which 8 was read as the same digit."""
    ax = Figure().subplots()
    draw_confusions(ax, mistakes_of(IMAGES, LABELS, READ, SURE), LABELS)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["3", "8", "1"]
    bars = [
        (bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width()) for bar in ax.patches
    ]
    np.testing.assert_allclose(bars, [(0, 0, 2), (0, 2, 1), (1, 0, 2), (2, 0, 1), (2, 1, 1)])
    expected = ["5", "8", "3 of 3", "1", "2 of 2", "7", "2", "2 of 2"]
    assert texts(ax) == expected
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first row is at the top


def test_confusions_without_mistakes_are_empty():
    ax = Figure().subplots()
    draw_confusions(ax, mistakes_of(IMAGES, LABELS, LABELS, SURE), LABELS)
    assert texts(ax) == []


@pytest.mark.parametrize(
    ("n_units", "title"),
    [
        (50, "The 36 hidden units with the largest weights"),
        (20, "Weights of the 20 hidden units"),
        (1, "Weights of the hidden unit"),
    ],
)
def test_units_with_the_largest_weights_are_drawn(n_units, title):
    weights = np.random.default_rng(0).normal(size=(16, n_units))
    ax = Figure().subplots()
    draw_weights(ax, weights)
    assert ax.get_title() == title
    norms = np.sqrt((weights**2).sum(axis=0))
    shown = [np.sqrt((np.asarray(image.get_array()) ** 2).sum()) for image in ax.images]
    np.testing.assert_allclose(shown, np.sort(norms)[::-1][:36])


def result(name, network, seconds, predictions):
    X, y = np.random.default_rng(0).normal(size=(40, 64)), np.arange(40) % 2
    network.set_params(hidden_layer_sizes=(5,), max_iter=4, random_state=0)
    grid = GridSearchCV(Pipeline([("network", network)]), {"network__alpha": [0, 1]}, cv=2)
    return Result(name, grid.fit(X, y), seconds, predictions, np.full(len(predictions), 0.8))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("seconds", "sklearn_reads", "headline"),
    [
        ((0.14, 0.05), [3, 8, 5, 5], "sknet: 2.8 times as fast, the same 4 predictions"),
        ((2.0, 3.0), [3, 8, 5, 0], "sknet: 1.5 times as slow, 1 of 4 predictions differs"),
        ((1234.5, 1230), [3, 8, 1, 0], "sknet: about as fast, 2 of 4 predictions differ"),
    ],
)
def test_digits_figure_says_what_was_measured(seconds, sklearn_reads, headline):
    reads = np.array([3, 8, 5, 5])
    X, y = np.zeros((4, 64)), np.array([3, 3, 5, 9])
    figure = digits_figure.draw(
        result("scikit-learn", SklearnMLPClassifier(), seconds[0], np.array(sklearn_reads)),
        result("sknet", MLPClassifier(), seconds[1], reads),
        Split(X, X, y, y),
    )
    assert figure.get_suptitle() == headline
    times, losses, _, mistakes, _ = figure.axes[:5]
    assert times.get_title() == "Time of the grid search: 2 candidates x 2 folds, float64"
    written = {"0.14": ["0.0500 s", "0.140 s"], "2.0": ["3.00 s", "2.00 s"]}
    assert texts(times) == written.get(str(seconds[0]), ["1230 s", "1234 s"])
    assert [line.get_color() for line in losses.lines] == [COLORS[1], COLORS[0]]
    figure.draw_without_rendering()
    ticks = losses.get_xticks()
    np.testing.assert_array_equal(ticks, np.round(ticks))
    assert mistakes.get_title() == "All 2 mistakes"


def test_mnist_figure_shows_the_best_network():
    X, y = np.zeros((4, 16)), np.array([3, 3, 5, 9])
    weak = mnist_figure.Result("16-1-10", np.ones((16, 1)), [0.1, 0.3], [0.5, 0.25], y, y / 10)
    good = mnist_figure.Result(
        "16-2-10", np.ones((16, 2)), [0.2, 0.4], [0.1, 0.75], np.array([3, 8, 5, 9]), y / 10
    )
    figure = mnist_figure.draw([weak, good], Split(X, X, y, y))
    assert figure.get_suptitle() == "16-2-10 reads 75.00% of 4 test images right"
    accuracy, confusions, mistakes, weights = figure.axes[:4]
    curves = {line.get_label(): list(line.get_ydata()) for line in accuracy.lines}
    assert curves == {
        "16-1-10, test images": [0.5, 0.25],
        "16-1-10, training images": [0.1, 0.3],
        "16-2-10, test images": [0.1, 0.75],
        "16-2-10, training images": [0.2, 0.4],
    }
    colors = [line.get_color() for line in accuracy.lines]
    assert colors == [COLORS[0], COLORS[0], COLORS[1], COLORS[1]]
    assert texts(confusions) == ["8", "1 of 2"]
    assert mistakes.get_title() == "The only mistake"
    assert len(weights.images) == 2
