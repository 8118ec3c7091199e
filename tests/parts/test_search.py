"""Sizes of hidden layers: parsing, and the distribution for hyperparameter searches."""

from __future__ import annotations

import copy
import pickle
import re
from itertools import pairwise

import numpy as np
import optuna
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV

from sknet import HiddenLayerSizes, MLPClassifier, MLPRegressor
from sknet.hidden_sizes import parse_hidden_layer_sizes

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# Parsing.


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("100-50", [100, 50]),
        ("100", [100]),
        (" 8 - 4 ", [8, 4]),
        ("", []),
        ("()", []),
        (np.str_("3-2-1"), [3, 2, 1]),
        (7, [7]),
        ((), []),
        (np.array([200, 3], np.uint8), [200, 3]),
    ],
)
def test_parse(text, sizes):
    found = parse_hidden_layer_sizes(text)
    assert found == sizes
    assert all(type(size) is int for size in found)


@pytest.mark.parametrize("text", ["100,50", "a", "10-", "-10", "1.5", "1_0", "+3", "²", "10--5"])
def test_unreadable(text):
    with pytest.raises(ValueError, match=f"hidden_layer_sizes={re.escape(repr(text))}.*'100-50'"):
        parse_hidden_layer_sizes(text)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=.* must be one integer >= 1"):
        MLPClassifier(hidden_layer_sizes=text).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("value", ["10-0", (10, 0), -1])
def test_below_one(value):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        parse_hidden_layer_sizes(value)


@pytest.mark.parametrize("value", [1.5, (True,), ["100"], None])
def test_no_integers(value):
    with pytest.raises(ValueError, match="hidden_layer_sizes must be integers"):
        parse_hidden_layer_sizes(value)


def test_string_means_the_same_as_a_tuple(diabetes):
    X, y = diabetes
    models = [
        MLPRegressor(hidden_layer_sizes=sizes, max_iter=3, random_state=0).fit(X, y)
        for sizes in ("9-5", (9, 5))
    ]
    assert_array_equal(*[model.predict(X) for model in models])
    assert clone(models[0]).hidden_layer_sizes == "9-5"


def test_strings_in_a_grid(diabetes):
    net = MLPRegressor(max_iter=3, random_state=0)
    search = GridSearchCV(net, {"hidden_layer_sizes": ["", "8", "8-4"]}, cv=2).fit(*diabetes)
    assert list(search.cv_results_["param_hidden_layer_sizes"]) == ["", "8", "8-4"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# The distribution.


def test_widths_are_log_uniform():
    """Frequencies in 20000 draws agree with the formula within five standard deviations."""
    low, high, n = 3, 9, 20_000
    drawn = HiddenLayerSizes(width=(low, high), depth=(1, 1)).rvs(n, random_state=0)
    widths = np.arange(low, high + 1)
    p = np.log((widths + 1) / widths) / np.log((high + 1) / low)
    assert_allclose(p.sum(), 1)
    counts = np.array([drawn.count((w,)) for w in widths])
    assert counts.sum() == n
    assert (np.abs(counts - n * p) < 5 * np.sqrt(n * p * (1 - p))).all()


def test_depths_are_uniform():
    n = 20_000
    drawn = HiddenLayerSizes(width=(4, 4), depth=(0, 3)).rvs(n, random_state=0)
    counts = np.array([drawn.count((4,) * depth) for depth in range(4)])
    assert counts.sum() == n
    assert (np.abs(counts - n / 4) < 5 * np.sqrt(n * 3 / 16)).all()


def test_funnel():
    for sizes in HiddenLayerSizes(width=(6, 100), depth=(3, 4), shape="funnel").rvs(200, 0):
        for before, after in pairwise(sizes):
            assert after == max(before // 2, 6)


def test_degenerate_ranges():
    assert HiddenLayerSizes(width=(1, 1), depth=(2, 2)).rvs() == (1, 1)
    assert HiddenLayerSizes(depth=(0, 0)).rvs() == ()


def test_reproducible():
    sizes = HiddenLayerSizes()
    assert sizes.rvs(5, random_state=3) == sizes.rvs(5, random_state=3)
    assert sizes.rvs(5, random_state=3) != sizes.rvs(5, random_state=4)
    random = np.random.RandomState(3)
    assert [sizes.rvs(random_state=random) for _ in range(5)] == sizes.rvs(5, random_state=3)
    assert all(type(n) is int for layers in sizes.rvs(5) for n in layers)


def test_copies_are_equal():
    sizes = HiddenLayerSizes(width=(3, 5), shape="funnel")
    for other in (copy.deepcopy(sizes), pickle.loads(pickle.dumps(sizes))):
        assert other == sizes
    assert "width=(3, 5)" in repr(sizes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("width", value) for value in [(0, 5), (5, 4), (5,), 5, (1.5, 3), (True, 5), "ab"]],
        *[("depth", value) for value in [(-1, 2), (2, 1), None]],
        ("shape", "pyramid"),
    ],
)
def test_bad_ranges(name, value):
    with pytest.raises(ValueError, match=f"{name}=.* must be"):
        HiddenLayerSizes(**{name: value})


def searches():
    net = MLPClassifier(max_iter=4, random_state=0)
    drawn = {"hidden_layer_sizes": HiddenLayerSizes(width=(4, 16), depth=(0, 2)), "alpha": [0, 1]}
    yield RandomizedSearchCV(net, drawn, n_iter=5, cv=2, random_state=0)
    yield HalvingRandomSearchCV(net, drawn, n_candidates=6, factor=3, cv=2, random_state=0)


@pytest.mark.parametrize("search", list(searches()), ids=lambda search: type(search).__name__)
def test_searches(digits, search):
    """Searches with the same seed, clones included, draw the same sizes; other seeds do not."""

    def tried(search):
        results = search.fit(*digits).cv_results_
        assert np.isfinite(results["mean_test_score"]).all()
        return list(results["param_hidden_layer_sizes"])

    first = tried(search)
    assert len(set(first)) > 2
    assert all(len(sizes) <= 2 and all(4 <= n <= 16 for n in sizes) for sizes in first)
    best = search.best_params_["hidden_layer_sizes"]
    assert tuple(W.shape[1] for W in search.best_estimator_.coefs_[:-1]) == best
    assert tried(clone(search)) == first
    assert tried(clone(search).set_params(random_state=1)) != first


class Trial:
    """A stand-in for an optuna trial, which records the calls of `suggest_int`."""

    def __init__(self, **values):
        self.values, self.calls = values, []

    def suggest_int(self, name, low, high, *, log=False):
        self.calls.append((name, low, high, log))
        return self.values[name]


def test_suggest():
    trial = Trial(net_width=40, net_depth=2)
    sizes = HiddenLayerSizes(width=(8, 64), depth=(1, 3), shape="funnel")
    assert sizes.suggest(trial, "net") == (40, 20)
    assert set(trial.calls) == {("net_depth", 1, 3, False), ("net_width", 8, 64, True)}


def test_optuna():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sizes = HiddenLayerSizes(width=(8, 64), depth=(1, 3))
    found = []

    def objective(trial):
        found.append(sizes.suggest(trial))
        return sum(found[-1])

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20)
    assert all(1 <= len(s) <= 3 and 8 <= s[0] <= 64 and len(set(s)) == 1 for s in found)
    assert len(set(found)) > 5
    assert set(study.best_params) == {"hidden_depth", "hidden_width"}
