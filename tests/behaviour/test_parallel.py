"""Our estimators in the parallel jobs of others."""

from __future__ import annotations

import pytest
from comparisons import assert_same_search
from factories import classifier
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_parallel_jobs_change_nothing(backend, digits):
    X, y = digits[0][:200], digits[1][:200]
    net = classifier(max_iter=5)
    grid = {"activation": ["tanh", "relu"], "early_stopping": [False, True]}
    alone = GridSearchCV(net, grid, cv=2).fit(X, y)
    p_alone = cross_val_predict(net, X, y, cv=4, method="predict_proba")
    with parallel_config(backend, n_jobs=2):
        together = GridSearchCV(net, grid, cv=2).fit(X, y)
        p_together = cross_val_predict(net, X, y, cv=4, method="predict_proba")
    assert_same_search(together, alone)
    assert_array_equal(together.predict_proba(X), alone.predict_proba(X))
    assert_array_equal(p_together, p_alone)


def test_threads_share_one_model_for_prediction(digits):
    X, y = digits[0][:400], digits[1][:400]
    net = classifier(max_iter=5).fit(X, y)
    expected = permutation_importance(net, X, y, n_repeats=2, random_state=0, n_jobs=1)
    with parallel_config("threading"):
        result = permutation_importance(net, X, y, n_repeats=2, random_state=0, n_jobs=2)
    assert_array_equal(result.importances, expected.importances)


def test_read_only_memory_maps_of_parallel_jobs(digits):
    # joblib hands large arrays to its workers as read-only memory maps.
    X, y = digits[0][:200], digits[1][:200]
    expected = cross_val_score(classifier(max_iter=5), X, y, cv=2)
    with parallel_config("loky", n_jobs=2, max_nbytes=1000, mmap_mode="r"):
        assert_array_equal(cross_val_score(classifier(max_iter=5), X, y, cv=2), expected)
