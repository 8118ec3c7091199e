"""Comparison of models and results with those of scikit-learn's own MLP."""

from __future__ import annotations

from typing import Any

from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier

# The project's promise in float64, after 50 epochs.
LOSS_RTOL, WEIGHT_ATOL = 1e-12, 1e-10
# L-BFGS amplifies rounding much faster.
LBFGS_RTOL, LBFGS_ATOL = 1e-8, 1e-7

# Sums in another order differ by roundings, which the steps of a fit make larger.
ATOL = 1e-8


def assert_same_search(ours, theirs):
    assert ours.best_params_ == theirs.best_params_
    for key in ("mean_test_score", "std_test_score", "rank_test_score"):
        assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], atol=ATOL)


def assert_same_model(ours: Any, theirs: Any) -> None:
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    if is_classifier(ours):
        assert_array_equal(ours.classes_, theirs.classes_)
    is_lbfgs = ours.solver == "lbfgs"
    rtol, atol = (LBFGS_RTOL, LBFGS_ATOL) if is_lbfgs else (LOSS_RTOL, WEIGHT_ATOL)
    assert_allclose(ours.loss_, theirs.loss_, rtol=rtol)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert a.dtype == b.dtype
            assert_allclose(a, b, rtol=0, atol=atol, err_msg=name)
    if is_lbfgs:
        return
    assert len(ours.loss_curve_) == len(theirs.loss_curve_)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=LOSS_RTOL)
    for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
        expected = getattr(theirs, name)
        if expected is None:
            assert getattr(ours, name) is None, name
        else:
            assert_allclose(getattr(ours, name), expected, rtol=LOSS_RTOL, err_msg=name)


def assert_same_predictions(ours: Any, theirs: Any, X: Any) -> None:
    if is_classifier(ours):
        assert_array_equal(ours.predict(X), theirs.predict(X))
        assert ours.predict(X).dtype == theirs.predict(X).dtype
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-10)
        assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-7)
    else:
        assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9, atol=1e-9)
