"""Searches for hyperparameters give what they give with scikit-learn's own MLP."""

from __future__ import annotations

import pytest
from comparisons import assert_same_search
from factories import BOTH, classifier, regressor
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_grid_search_through_a_pipeline(wine):
    X, y = wine
    grid = {
        "net__hidden_layer_sizes": [(1,), (4, 4)],
        "net__activation": ["tanh", "relu"],
        "net__alpha": [1e-4, 100.0],
    }
    ours, theirs = (
        GridSearchCV(
            Pipeline([("scale", StandardScaler()), ("net", classifier(library))]), grid, cv=2
        ).fit(X, y)
        for library in BOTH
    )
    assert_same_search(ours, theirs)
    assert ours.best_score_ > 0.93
    # A penalty so strong, or a single unit, is too little: the search must tell them apart.
    assert ours.best_params_["net__alpha"] == 1e-4
    assert ours.cv_results_["mean_test_score"].min() < 0.7


def test_grid_search_over_solvers_of_the_regressor(progress):
    X, y = progress
    grid = {"solver": ["adam", "sgd"], "learning_rate_init": [1e-5, 0.01], "early_stopping": [True]}
    ours, theirs = (GridSearchCV(regressor(library), grid, cv=2).fit(X, y) for library in BOTH)
    assert_same_search(ours, theirs)
    assert ours.best_params_["learning_rate_init"] == 0.01
    assert ours.best_score_ > 0.3


def test_randomized_search(wine):
    X, y = wine
    distributions = {"learning_rate_init": loguniform(1e-5, 0.1), "alpha": loguniform(1e-5, 1)}
    ours, theirs = (
        RandomizedSearchCV(classifier(library), distributions, n_iter=4, cv=2, random_state=0)
        for library in BOTH
    )
    assert_same_search(ours.fit(X, y), theirs.fit(X, y))
    assert ours.best_score_ > 0.9


@pytest.mark.parametrize(
    ("resource", "most", "first"), [("n_samples", "auto", 40), ("max_iter", 32, 2)]
)
def test_halving_search(resource, most, first, wine):
    X, y = wine
    grid = {"learning_rate_init": [1e-5, 1e-4, 0.003, 0.01]}
    ours, theirs = (
        HalvingGridSearchCV(
            classifier(library, batch_size=16),
            grid,
            cv=2,
            factor=4,
            resource=resource,
            min_resources=first,
            max_resources=most,
            random_state=0,
        ).fit(X, y)
        for library in BOTH
    )
    assert_same_search(ours, theirs)
    assert ours.n_resources_[0] == first
    assert ours.n_resources_[1] == 4 * first
    assert ours.best_params_["learning_rate_init"] >= 0.003
