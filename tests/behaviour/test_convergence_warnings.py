"""A ConvergenceWarning comes where there is something to change, and says what and where."""

from __future__ import annotations

import inspect
import re
import warnings

import numpy as np
import pytest
from factories import SMALL
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import MLPClassifier, MLPRegressor
from sknet.schedules import Schedule


def convergence_warnings(call):
    """Return the ConvergenceWarnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [w for w in caught if issubclass(w.category, ConvergenceWarning)]


CHOSEN = {
    "n_iter_no_change": {"n_iter_no_change": np.inf},
    "cosine": {"learning_rate": "cosine"},
    "one_cycle": {"learning_rate": "one_cycle"},
    "coslog": {"learning_rate": "coslog"},
    "function": {"learning_rate": lambda done: 1 - done},
}
NOT_CHOSEN = {
    "defaults": {},
    "warm-up": {"warmup_fraction": 0.5},
    "exponential": {"learning_rate": "exponential"},
    "step": {"learning_rate": "step"},
    "invscaling": {"learning_rate": "invscaling", "solver": "sgd"},
    "adaptive": {"learning_rate": "adaptive", "solver": "sgd"},
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("name", CHOSEN)
def test_a_length_that_the_user_chose_is_no_failure(name, early_stopping, progress):
    model = MLPRegressor(**SMALL, **CHOSEN[name], early_stopping=early_stopping)
    assert convergence_warnings(lambda: model.fit(*progress)) == []
    assert model.n_iter_ == model.max_iter


@pytest.mark.parametrize("name", NOT_CHOSEN)
def test_training_that_is_cut_short_is_told(name, progress):
    model = MLPRegressor(**SMALL, **NOT_CHOSEN[name])
    (warning,) = convergence_warnings(lambda: model.fit(*progress))
    assert "Maximum iterations (3) reached" in str(warning.message)
    assert "Increase max_iter" in str(warning.message)
    assert "n_iter_no_change=numpy.inf" in str(warning.message)


def test_schedules_with_an_end_are_those_that_depend_on_the_length():
    """Ten epochs of a hundred have other rates than ten epochs of twenty."""
    common = {"learning_rate_init": 1.0, "power_t": 0.5, "warmup_fraction": 0.0, "decay_rate": 0.9}
    for name, part in Schedule.table.items():
        rates = []
        for max_iter in (20, 100):
            schedule = part.start({**common, "decay_epochs": 3, "max_iter": max_iter})
            rates.append(schedule.factors(np.arange(10) / max_iter))
        assert part.has_end == (not np.allclose(*rates)), name


@pytest.mark.parametrize(
    "choice", [{"n_iter_no_change": np.inf}, {"learning_rate": "cosine"}], ids=str
)
def test_lbfgs_has_no_length_to_choose(choice, progress):
    """It follows no schedule, and its patience counts for validation scores only."""
    model = MLPRegressor(**SMALL, **choice, solver="lbfgs")
    (warning,) = convergence_warnings(lambda: model.fit(*progress))
    assert "(max_iter=3)" in str(warning.message)


@pytest.mark.parametrize("limit", ["max_iter", "max_fun"])
def test_lbfgs_names_the_limit_that_it_reached(limit, progress):
    limits = {"max_iter": 1000, "max_fun": 1000} | {limit: 4}
    model = MLPRegressor(**{**SMALL, **limits}, solver="lbfgs")
    (warning,) = convergence_warnings(lambda: model.fit(*progress))
    assert re.findall(r"max_\w+=\d+", str(warning.message)) == [f"{limit}=4"]


NET = MLPRegressor(**SMALL)
CALLS = {
    "fit": NET.fit,
    "pipeline": make_pipeline(StandardScaler(), NET).fit,
    "transformed target": TransformedTargetRegressor(NET).fit,
    "search": GridSearchCV(NET, {"alpha": [0.1, 1.0]}, cv=2).fit,
    "cross-validation": lambda X, y: cross_val_score(NET, X, y, cv=2),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_line_is_the_user_s(name, progress):
    call = CALLS[name]

    def users_code():
        call(*progress)

    found = convergence_warnings(users_code)
    lines, first = inspect.getsourcelines(users_code if name != "cross-validation" else call)
    assert found
    for warning in found:
        assert warning.filename == __file__
        assert first <= warning.lineno < first + len(lines)


def test_classifiers_warn_as_regressors_do(wine):
    (warning,) = convergence_warnings(lambda: MLPClassifier(**SMALL).fit(*wine))
    assert warning.filename == __file__
    ended = MLPClassifier(**SMALL, learning_rate="one_cycle")
    assert convergence_warnings(lambda: ended.fit(*wine)) == []
