"""Comparison of results with those of scikit-learn's own MLP inside the same estimator."""

from __future__ import annotations

from numpy.testing import assert_allclose

# Sums in another order differ by roundings, which the steps of a fit make larger.
ATOL = 1e-8


def assert_same_search(ours, theirs):
    assert ours.best_params_ == theirs.best_params_
    for key in ("mean_test_score", "std_test_score", "rank_test_score"):
        assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], atol=ATOL)
