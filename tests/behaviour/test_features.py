"""Features selected, permuted and varied around our estimators."""

from __future__ import annotations

import numpy as np
import pytest
from comparisons import ATOL
from factories import BOTH, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_selection import RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import cross_val_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def first_layer_norms(net):
    return np.linalg.norm(net.coefs_[0], axis=1)


def test_recursive_elimination(wine):
    X, y = wine
    ours, theirs = (
        RFECV(
            classifier(library),
            step=3,
            cv=2,
            min_features_to_select=1,
            importance_getter=first_layer_norms,
        ).fit(X, y)
        for library in BOTH
    )
    assert_array_equal(ours.ranking_, theirs.ranking_)
    assert ours.estimator_.n_features_in_ == ours.support_.sum()
    assert ours.score(X, y) > 0.95
    # One feature alone does not tell three kinds of wine apart.
    assert ours.cv_results_["mean_test_score"][0] < ours.cv_results_["mean_test_score"].max() - 0.1


def test_select_from_model(wine):
    X, y = wine
    ours, theirs = (
        SelectFromModel(
            classifier(library, alpha=1.0), importance_getter=first_layer_norms, max_features=5
        ).fit(X, y)
        for library in BOTH
    )
    assert_array_equal(ours.get_support(), theirs.get_support())
    assert ours.transform(X).shape == (len(y), ours.get_support().sum())
    assert cross_val_score(classifier(), ours.transform(X), y, cv=3).mean() > 0.9


def test_select_from_model_partial_fit(wine):
    X, y = wine
    selector = SelectFromModel(classifier(), importance_getter=first_layer_norms)
    selector.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    assert selector.estimator_.t_ == 2 * len(y)


def test_sequential_selection(iris):
    X, y = iris
    selector = SequentialFeatureSelector(classifier(max_iter=20), n_features_to_select=1, cv=2)
    # Petals tell irises apart; sepals do not.
    assert selector.fit(X, y).get_support()[2:].any()


def test_permutation_importance(iris):
    X, y = iris
    ours, theirs = (
        permutation_importance(
            classifier(library, alpha=1.0).fit(X, y), X, y, n_repeats=3, random_state=0
        ).importances
        for library in BOTH
    )
    assert_allclose(ours, theirs, atol=ATOL)
    sepal, petal = ours.mean(axis=1)[:2], ours.mean(axis=1)[2:]
    assert petal.min() > sepal.max() + 0.05


def test_partial_dependence(progress):
    X, y = progress
    ours, theirs = (
        partial_dependence(regressor(library).fit(X, y), X, [2], grid_resolution=8)["average"][0]
        for library in BOTH
    )
    assert_allclose(ours, theirs, atol=ATOL)
    # The disease progresses faster with a greater body mass index.
    assert ours[-1] > ours[0] + 0.5


def test_partial_dependence_of_a_classifier(cancer):
    X, y = cancer
    net = classifier().fit(X, y)
    curves = [
        partial_dependence(net, X, [0], grid_resolution=5, response_method=method)["average"][0]
        for method in ("predict_proba", "decision_function")
    ]
    # Class 1 is benign; malignant cells have greater radii.
    for curve in curves:
        assert (np.diff(curve) < 0).all()
