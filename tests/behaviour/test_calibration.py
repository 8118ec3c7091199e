"""Calibrated probabilities of our classifier, in scikit-learn's ways."""

from __future__ import annotations

import pytest
from factories import classifier
from numpy.testing import assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils.fixes import parse_version
from versions import SKLEARN

from sknet import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def overconfident(X, y):
    """Return a net that has learned the training data by heart."""
    return MLPClassifier((50,), solver="lbfgs", alpha=0, max_iter=200, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def noisy_digits(digits):
    """Return digits of which only every other column of pixels is seen, in three parts."""
    X, y = digits[0][:900, ::6], digits[1][:900]
    return [(X[i : i + 300], y[i : i + 300]) for i in (0, 300, 600)]


METHODS = [
    "sigmoid",
    "isotonic",
    pytest.param(
        "temperature",
        marks=pytest.mark.skipif(
            parse_version("1.8") > SKLEARN, reason="temperature scaling is new in 1.8"
        ),
    ),
]


@pytest.mark.parametrize("method", METHODS)
def test_calibration_of_a_frozen_net(method, noisy_digits):
    (X, y), (X_held, y_held), (X_test, y_test) = noisy_digits
    net = overconfident(X, y)
    weights = [w.copy() for w in net.coefs_]
    model = CalibratedClassifierCV(FrozenEstimator(net), method=method).fit(X_held, y_held)
    before, after = (log_loss(y_test, m.predict_proba(X_test)) for m in (net, model))
    assert after < 0.8 * before
    for w, kept in zip(net.coefs_, weights, strict=True):
        assert_array_equal(w, kept)
    if method == "temperature":  # divides all scores by one number
        assert_array_equal(model.predict(X_test), net.predict(X_test))


@pytest.mark.parametrize("method", METHODS)
def test_calibration_by_cross_validation(method, cancer):
    X, X_test, y, y_test = train_test_split(*cancer, random_state=0)
    model = CalibratedClassifierCV(classifier(), method=method, cv=3).fit(X, y)
    assert model.score(X_test, y_test) > 0.9
    assert log_loss(y_test, model.predict_proba(X_test)) < 0.3


@pytest.mark.parametrize("method", METHODS)
def test_calibration_goes_by_raw_scores(method, cancer, monkeypatch):
    # Probabilities of 0 and 1 say nothing any more; raw scores still do.
    X, y = cancer
    net = classifier().fit(X, y)
    monkeypatch.delattr(MLPClassifier, "predict_proba")
    model = CalibratedClassifierCV(FrozenEstimator(net), method=method).fit(X, y)
    assert model.score(X, y) > 0.93


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_folds_that_are_not_stratified(method, ensemble, cancer):
    X, y = cancer
    model = CalibratedClassifierCV(classifier(), method=method, cv=KFold(3), ensemble=ensemble)
    assert model.fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("net", [classifier(), LogisticRegression()], ids=["net", "logistic"])
def test_folds_that_lack_a_class(net, iris):
    """Scores of two classes are one column, which cannot be told apart among three classes.

    scikit-learn says so of every classifier with a `decision_function`, and how to help it.
    """
    X, y = iris
    model = CalibratedClassifierCV(net, cv=KFold(3), ensemble=False)
    message = "Only 2 class/es in training fold, but 3 in overall dataset.*stratified folds"
    with (
        pytest.warns(RuntimeWarning, match="Number of classes in training fold"),
        pytest.raises(ValueError, match=message),
    ):
        model.fit(X, y)
    assert CalibratedClassifierCV(net, cv=3, ensemble=False).fit(X, y).score(X, y) > 0.7
