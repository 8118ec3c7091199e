"""Cross-validation and its curves are those of scikit-learn's own MLP."""

from __future__ import annotations

import pytest
from comparisons import ATOL
from factories import BOTH, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.model_selection import (
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_cross_val_predict(method, wine):
    X, y = wine
    ours, theirs = (
        cross_val_predict(classifier(library), X, y, cv=3, method=method) for library in BOTH
    )
    assert_allclose(ours, theirs, atol=1e-6)
    assert ((ours if method == "predict" else ours.argmax(axis=1)) == y).mean() > 0.93


def test_cross_val_predict_decision_function(wine, cancer):
    X, y = wine
    scores = cross_val_predict(classifier(), X, y, cv=3, method="decision_function")
    p = cross_val_predict(classifier(), X, y, cv=3, method="predict_proba")
    assert_allclose(softmax(scores, axis=1), p, atol=1e-12)
    X, y = cancer
    score = cross_val_predict(classifier(), X, y, cv=3, method="decision_function")
    assert score.shape == y.shape
    assert ((score > 0) == y).mean() > 0.93


def test_cross_validate_with_several_scorers(wine, progress):
    scorers = ["accuracy", "roc_auc_ovr", "neg_log_loss", "f1_macro"]
    ours, theirs = (
        cross_validate(classifier(library), *wine, cv=3, scoring=scorers, return_train_score=True)
        for library in BOTH
    )
    for name in scorers:
        for part in ("test", "train"):
            assert_allclose(ours[f"{part}_{name}"], theirs[f"{part}_{name}"], atol=ATOL)
    assert ours["test_accuracy"].min() > 0.9
    assert ours["test_roc_auc_ovr"].min() > 0.98
    assert ours["test_neg_log_loss"].min() > -0.3
    scorers = ["r2", "neg_mean_absolute_error", "explained_variance"]
    ours, theirs = (
        cross_validate(regressor(library), *progress, cv=3, scoring=scorers) for library in BOTH
    )
    for name in scorers:
        assert_allclose(ours[f"test_{name}"], theirs[f"test_{name}"], atol=ATOL)


def test_validation_curve(cancer):
    X, y = cancer
    ours, theirs = (
        validation_curve(
            classifier(library), X, y, param_name="max_iter", param_range=[1, 20], cv=2
        )
        for library in BOTH
    )
    assert_allclose(ours, theirs, atol=ATOL)
    train_scores = ours[0]
    assert (train_scores[1] > train_scores[0]).all()


@pytest.mark.parametrize("incremental", [True, False])
def test_learning_curve(incremental, digits):
    X, y = digits[0][:400], digits[1][:400]
    results = [
        learning_curve(
            classifier(library, batch_size=5),
            X,
            y,
            train_sizes=[20, 80, 200],
            cv=2,
            exploit_incremental_learning=incremental,
            shuffle=True,
            random_state=0,
        )[:3]
        for library in BOTH
    ]
    (sizes, _, ours), (_, _, theirs) = results
    assert_array_equal(sizes, [20, 80, 200])
    assert_allclose(ours, theirs, atol=ATOL)
    assert (ours[2] > ours[0] + 0.1).all()
    # Incrementally there is one pass over the data, otherwise there are thirty.
    assert ours[2].min() > (0.3 if incremental else 0.7)
