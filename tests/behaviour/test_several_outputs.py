"""One of our estimators for each output, as scikit-learn's meta-estimators fit them."""

from __future__ import annotations

import numpy as np
import pytest
from comparisons import ATOL
from factories import BOTH, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import train_test_split
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.tree import DecisionTreeClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def digit_labels(digits):
    """Return digits, and three labels: parity, size, and whether it has a loop."""
    X, digit = digits[0][:300], digits[1][:300]
    labels = np.column_stack([digit % 2 == 0, digit > 4, np.isin(digit, [0, 6, 8, 9])])
    return X, labels.astype(int)


@pytest.mark.parametrize(
    "meta",
    [MultiOutputClassifier, lambda net: ClassifierChain(net, order=[2, 0, 1])],
    ids=["MultiOutput", "Chain"],
)
def test_one_classifier_for_each_label(meta, digit_labels):
    X, X_test, y, y_test = train_test_split(*digit_labels, random_state=0)
    ours, theirs = (meta(classifier(library)).fit(X, y) for library in BOTH)
    assert (ours.predict(X_test) == y_test).mean() > 0.9
    assert_array_equal(ours.predict(X_test), theirs.predict(X_test))
    assert_allclose(ours.predict_proba(X_test), theirs.predict_proba(X_test), rtol=0, atol=ATOL)


def test_multi_output_partial_fit(digit_labels):
    X, y = digit_labels
    ours, theirs = (MultiOutputClassifier(classifier(library)) for library in BOTH)
    losses = []
    for start in (0, 100, 200, 0, 100, 200):
        batch = slice(start, start + 100)
        for model in (ours, theirs):
            model.partial_fit(X[batch], y[batch], classes=[[0, 1]] * 3)
        losses.append([net.loss_ for net in ours.estimators_])
    assert (np.array(losses[-1]) < np.array(losses[0])).all()
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=ATOL)


def test_multi_output_classes_of_different_numbers(digits):
    X, digit = digits[0][:300], digits[1][:300]
    y = np.column_stack([digit, digit % 3])
    model = MultiOutputClassifier(classifier()).fit(X, y)
    assert [len(c) for c in model.classes_] == [10, 3]
    assert (model.predict(X) == y).mean() > 0.95


@pytest.mark.parametrize("meta", [MultiOutputRegressor, RegressorChain])
def test_one_regressor_for_each_target(meta, progress):
    X, y = progress[0][:, 1:], np.column_stack([progress[1], progress[0][:, 0]])
    ours, theirs = (meta(regressor(library)).fit(X, y) for library in BOTH)
    assert ours.score(X, y) > 0.4
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=ATOL)


@pytest.mark.parametrize("value", [0, 1])
def test_a_label_that_all_samples_have_or_none(value, digit_labels):
    """One column of probability 1, as of scikit-learn's trees; scikit-learn's MLP has two.

    A chain cannot tell "never" from "always" by them: it reads the last class. It
    refuses one column, where two would give it the probability of the wrong label.
    """
    X, labels = digit_labels
    y = np.column_stack([labels[:, 0], np.full(len(X), value)])
    chain = ClassifierChain(classifier()).fit(X, y)
    assert_array_equal(chain.predict(X)[:, 1], y[:, 1])
    for net in (classifier(), DecisionTreeClassifier()):
        with pytest.raises(ValueError, match="need classifier with two classes"):
            ClassifierChain(net).fit(X, y).predict_proba(X)
    own = MultiOutputClassifier(classifier()).fit(X, y)
    tree = MultiOutputClassifier(DecisionTreeClassifier()).fit(X, y)
    assert_array_equal(own.predict_proba(X)[1], tree.predict_proba(X)[1])
    assert_array_equal(own.classes_[1], [value])
