"""The heat maps are the results of the search, and the frame is around its best candidate."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pictures import cut_off, network, overlaps
from scipy.stats import loguniform
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import SearchDisplay

SIZES, RATES, ALPHAS = [3, (4, 3), 8], [0.1, 0.001, 0.01], [1e-4, 10.0]
GRID = {"hidden_layer_sizes": SIZES, "learning_rate_init": RATES, "alpha": ALPHAS}


@pytest.fixture(scope="module")
def search(small):
    grid = {f"mlpclassifier__{name}": values for name, values in GRID.items()}
    pipeline = make_pipeline(StandardScaler(), network())
    return GridSearchCV(pipeline, grid, cv=2).fit(*small)


def best_of(search, **values) -> tuple[float, float]:
    """Return the best score among the candidates with these values, and its fit time."""
    results = search.cv_results_
    matching = [
        i
        for i, candidate in enumerate(results["params"])
        if all(candidate[f"mlpclassifier__{name}"] == value for name, value in values.items())
    ]
    best = max(matching, key=lambda i: (results["mean_test_score"][i], i == search.best_index_))
    return results["mean_test_score"][best], results["mean_fit_time"][best]


def test_cells_are_the_best_over_other_parameters(search):
    display = SearchDisplay.from_estimator(search)
    # Numbers and tuples cannot be sorted: the sizes stay as they were given.
    rows, columns = SIZES, sorted(RATES)
    assert display.values == (rows, columns)
    expected = np.array(
        [
            [best_of(search, hidden_layer_sizes=r, learning_rate_init=c)[0] for c in columns]
            for r in rows
        ]
    )
    assert_array_equal(display.image_.get_array(), expected)
    # Among equal scores either time may be shown.
    times = search.cv_results_["mean_fit_time"]
    assert set(display.time_image_.get_array().reshape(-1)) <= set(times)
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["3", "(4, 3)", "8"]
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["0.001", "0.01", "0.1"]
    assert display.ax_.get_ylabel() == "hidden_layer_sizes"
    assert display.ax_.get_xlabel() == display.time_ax_.get_xlabel() == "learning_rate_init"
    assert display.time_ax_.get_title() == "Mean fit time (s)"
    assert display.figure_.axes[:2] == [display.ax_, display.time_ax_]


def test_the_title_names_the_other_parameters(search, small):
    display = SearchDisplay.from_estimator(search)
    assert display.best_over == ["mlpclassifier__alpha"]
    assert display.ax_.get_title() == "Mean test score,\nbest over alpha"
    rest = SearchDisplay.from_estimator(search, parameters=("alpha", "hidden_layer_sizes"))
    assert rest.ax_.get_title() == "Mean test score,\nbest over learning_rate_init"
    # A parameter with one value leaves no choice.
    grid = {"alpha": ALPHAS, "learning_rate_init": RATES, "momentum": [0.9]}
    two = SearchDisplay.from_estimator(GridSearchCV(network(), grid, cv=2).fit(*small))
    assert two.ax_.get_title() == "Mean test score"


def test_the_best_is_marked(search):
    display = SearchDisplay.from_estimator(search)
    row, column = display.best
    best = search.best_params_
    assert display.values[0][row] == best["mlpclassifier__hidden_layer_sizes"]
    assert display.values[1][column] == best["mlpclassifier__learning_rate_init"]
    assert display.scores[row, column] == search.best_score_
    assert display.fit_times[row, column] == search.cv_results_["mean_fit_time"][search.best_index_]
    for ax in (display.ax_, display.time_ax_):
        (frame,) = ax.patches
        assert frame.get_x() < column < frame.get_x() + frame.get_width()
        assert frame.get_y() < row < frame.get_y() + frame.get_height()


def test_cells_say_their_numbers(search):
    display = SearchDisplay.from_estimator(search)
    assert len(display.ax_.texts) == 9
    for text in display.ax_.texts:
        x, y = text.get_position()
        # Four significant digits of a score above 0.1.
        assert abs(float(text.get_text()) - display.scores[y, x]) <= 0.5e-4 + 1e-12
    assert overlaps(display.ax_.texts) == []
    assert cut_off(display.figure_) <= 1


@pytest.mark.parametrize(
    ("number", "n_digits", "text"),
    [
        (0.9, 4, "0.9000"), (0.09996, 2, "0.10"), (9.96, 2, "10"), (123.4, 2, "123"),
        (-3245.11, 4, "-3245"), (0.0, 4, "0"), (2.5e-7, 2, "2.5e-07"), (0.0312, 2, "0.031"),
    ],
)  # fmt: skip
def test_numbers_are_rounded(number, n_digits, text):
    display = SearchDisplay(
        np.array([[number]]), np.array([[number]]), parameters=("a", "b"), values=([1], [2])
    ).plot()
    ax = display.ax_ if n_digits == 4 else display.time_ax_
    assert [t.get_text() for t in ax.texts] == [text]


def test_numbers_stand_out_from_their_cells(search):
    """Contrast of WCAG 2.1 for large text, 3 to 1, in the worst cell."""

    def luminance(color):
        linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    shades = np.linspace(0, 1, 81).reshape(9, 9)
    nine = list(range(9))
    display = SearchDisplay(shades, shades, parameters=("a", "b"), values=(nine, nine)).plot()
    assert len(display.ax_.texts) == 81
    for text in display.ax_.texts:
        x, y = text.get_position()
        cell = luminance(np.array(display.image_.cmap(display.image_.norm(shades[y, x])))[:3])
        ink = 0.0 if text.get_color() == "black" else 1.0
        low, high = sorted((cell, ink))
        assert (high + 0.05) / (low + 0.05) >= 3


def test_parameters_can_be_chosen(search):
    display = SearchDisplay.from_estimator(search, parameters=("alpha", "hidden_layer_sizes"))
    assert display.parameters == ("mlpclassifier__alpha", "mlpclassifier__hidden_layer_sizes")
    for (i, alpha), (j, size) in product(enumerate(ALPHAS), enumerate(SIZES)):
        expected, _ = best_of(search, alpha=alpha, hidden_layer_sizes=size)
        assert display.scores[i, j] == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("alpha", "solver"), "varied no parameter 'solver'"),
        ("alpha", "two names are needed"),
        (("alpha",), "two names are needed"),
        (("alpha", "alpha"), "two different names are needed"),
    ],
)
def test_wrong_parameters_are_refused(search, names, message):
    with pytest.raises(ValueError, match=message):
        SearchDisplay.from_estimator(search, parameters=names)


def test_rates_are_on_the_horizontal_axis(small):
    grid = {"learning_rate_init": RATES, "activation": ["relu", "tanh"]}
    search = GridSearchCV(network(), grid, cv=2).fit(*small)
    display = SearchDisplay.from_estimator(search)
    assert display.parameters == ("activation", "learning_rate_init")
    assert display.values == (["relu", "tanh"], sorted(RATES))


def test_one_parameter_is_not_enough(small):
    grid = {"alpha": ALPHAS, "hidden_layer_sizes": [3]}
    search = GridSearchCV(network(), grid, cv=2).fit(*small)
    with pytest.raises(ValueError, match=r"varied \['alpha'\]: give parameters="):
        SearchDisplay.from_estimator(search)
    display = SearchDisplay.from_estimator(search, parameters=("hidden_layer_sizes", "alpha"))
    assert_array_equal(display.scores, [search.cv_results_["mean_test_score"]])
    assert cut_off(display.figure_) <= 1
    search = GridSearchCV(network(), {"alpha": ALPHAS}, cv=2).fit(*small)
    with pytest.raises(ValueError, match=r"varied \['alpha'\]: search over another parameter, too"):
        SearchDisplay.from_estimator(search)


def test_halving_shows_the_last_iteration_of_each_candidate(small):
    grid = {"hidden_layer_sizes": [3, 8], "learning_rate_init": [0.001, 0.1]}
    search = HalvingGridSearchCV(network(), grid, cv=2, min_resources=40, factor=2, random_state=0)
    search.fit(*small)
    results = search.cv_results_
    assert max(results["iter"]) > 0
    last = {}
    for i in np.argsort(results["iter"], kind="stable"):
        p = results["params"][i]
        last[p["hidden_layer_sizes"], p["learning_rate_init"]] = results["mean_test_score"][i]
    display = SearchDisplay.from_estimator(search)
    for (i, size), (j, rate) in product(enumerate([3, 8]), enumerate([0.001, 0.1])):
        assert display.scores[i, j] == last[size, rate]
    assert display.scores[display.best] == search.best_score_


def test_random_search_leaves_cells_empty(small):
    grid = {"hidden_layer_sizes": [3, 8], "learning_rate_init": RATES}
    search = RandomizedSearchCV(network(), grid, n_iter=4, cv=2, random_state=0).fit(*small)
    display = SearchDisplay.from_estimator(search)
    assert np.isfinite(display.scores).sum() == len(display.ax_.texts) == 4
    assert display.image_.get_array().mask.sum() == display.scores.size - 4


def test_too_many_values_are_refused(small):
    grid = {"hidden_layer_sizes": [3, 4], "learning_rate_init": loguniform(1e-3, 1)}
    how = {"tol": 10.0, "n_iter_no_change": 1, "solver": "sgd"}
    search = RandomizedSearchCV(network(**how), grid, n_iter=31, cv=2, random_state=0).fit(*small)
    with pytest.raises(ValueError, match=r"31 values of learning_rate_init, but .* up to 30"):
        SearchDisplay.from_estimator(search)


def test_grids_of_several_parts(small):
    """Candidates without one of the two parameters have no cell."""
    grid = [
        {"hidden_layer_sizes": [3, 8], "learning_rate_init": [0.01, 0.1]},
        {"solver": ["lbfgs"], "alpha": [1.0]},
    ]
    search = GridSearchCV(network(), grid, cv=2).fit(*small)
    display = SearchDisplay.from_estimator(search)
    scores = search.cv_results_["mean_test_score"]
    assert_array_equal(display.scores.reshape(-1), scores[:4])
    assert (display.best is None) == (search.best_index_ == 4)


def test_failed_fits_are_empty(small):
    grid = {"hidden_layer_sizes": [3, -1], "learning_rate_init": [0.01, 0.1]}
    search = GridSearchCV(network(), grid, cv=2)
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        search.fit(*small)
    display = SearchDisplay.from_estimator(search)
    assert_array_equal(np.isnan(display.scores), [[True, True], [False, False]])
    assert display.scores[display.best] == search.best_score_


def test_several_metrics(small):
    grid = {"hidden_layer_sizes": [3, 8], "learning_rate_init": [0.01, 0.1]}
    scoring = ["accuracy", "neg_log_loss"]
    search = GridSearchCV(network(), grid, cv=2, scoring=scoring, refit="accuracy").fit(*small)
    for metric in (None, "neg_log_loss"):
        display = SearchDisplay.from_estimator(search, metric=metric)
        scores = search.cv_results_[f"mean_test_{metric or 'accuracy'}"]
        assert_array_equal(display.scores.reshape(-1), scores)
        assert display.scores[display.best] == scores.max()
    assert display.ax_.get_title() == "Mean test neg log loss"
    with pytest.raises(ValueError, match=r"metric='f1' .* \['accuracy', 'neg_log_loss'\]"):
        SearchDisplay.from_estimator(search, metric="f1")
    search = GridSearchCV(network(), grid, cv=2, scoring=scoring, refit=False).fit(*small)
    with pytest.raises(ValueError, match=r"several scores: .* \['accuracy', 'neg_log_loss'\]"):
        SearchDisplay.from_estimator(search)


def test_searches_without_refit(small):
    grid = {"hidden_layer_sizes": [3, 8], "learning_rate_init": [0.01, 0.1]}
    search = GridSearchCV(network(), grid, cv=2, refit=False).fit(*small)
    display = SearchDisplay.from_estimator(search)
    assert display.scores[display.best] == search.best_score_


def test_axes_given(search):
    figure = SearchDisplay.from_estimator(search).figure_
    figure.clear()
    ax = figure.subplots()
    display = SearchDisplay.from_estimator(search, ax=ax)
    assert display.ax_ is ax
    assert display.time_ax_ is display.time_image_ is None
    with pytest.raises(ValueError, match="time_ax is given without ax"):
        display.plot(time_ax=ax)


@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 9), (12, 9), (2, 10), (13, 2)])
def test_numbers_have_room_in_their_cells(n_rows, n_columns):
    scores = -np.random.default_rng(0).uniform(0.1, 1, size=(n_rows, n_columns))
    values = ([(100,) * 4] * n_rows, np.logspace(-5, 0, n_columns).tolist())
    display = SearchDisplay(scores, -scores, parameters=("a", "b"), values=values).plot()
    display.figure_.canvas.draw()
    for ax in (display.ax_, display.time_ax_):
        assert bool(ax.texts) == (n_rows <= 12 and n_columns <= 9)
        assert overlaps(ax.texts) == []


def test_large_grids():
    """Their cells have no text, and their labels do not overlap."""
    rates = np.logspace(-5, 0, 20).tolist()
    scores = np.random.default_rng(0).normal(size=(25, 20))
    display = SearchDisplay(
        scores, scores, parameters=("hidden_layer_sizes", "rate"), values=(list(range(25)), rates)
    ).plot()
    assert cut_off(display.figure_) <= 1
    assert not display.ax_.texts
    assert overlaps(display.ax_.get_yticklabels()) == []


def test_other_estimators_are_refused(fitted):
    with pytest.raises(TypeError, match="MLPClassifier, which has no cv_results_"):
        SearchDisplay.from_estimator(fitted)
