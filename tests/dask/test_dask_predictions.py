"""Predictions and scores of collections beside those of arrays."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score

from sknet import MLPClassifier, MLPRegressor
from sknet.dask import DaskMLPClassifier, DaskMLPRegressor

da = pytest.importorskip("dask.array", reason="the extra 'dask' is not installed")
dask = pytest.importorskip("dask", reason="the extra 'dask' is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(kind, net, X, y):
    """Return an estimator as a fit on a cluster leaves it. Predictions need no cluster."""
    model = kind(net)
    model.estimator_ = clone(net).fit(X, y)
    return model


@pytest.fixture(scope="module")
def classifier(digits):
    return fitted(DaskMLPClassifier, MLPClassifier((5,), max_iter=5, random_state=0), *digits)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_blocks_are_predicted_one_by_one(classifier, digits, method):
    dX = da.from_array(digits[0], chunks=(500, 30))
    whole = getattr(classifier.to_local(), method)(digits[0])
    lazy = getattr(classifier, method)(dX)
    assert lazy.chunks[0] == dX.chunks[0]
    assert lazy.dtype == whole.dtype
    assert lazy.shape == whole.shape
    assert_array_equal(lazy.compute(), whole)
    assert_array_equal(getattr(classifier, method)(digits[0]), whole)


def test_predicting_computes_nothing_at_first(classifier, digits):
    def fail(block):
        raise AssertionError("computed")

    dX = da.from_array(digits[0], chunks=(500, -1)).map_blocks(fail, dtype=float, meta=digits[0])
    lazy = classifier.predict(dX)
    with pytest.raises(AssertionError, match="computed"):
        lazy.compute()


def test_accuracy(classifier, digits):
    X, y = digits
    weights = np.random.RandomState(0).rand(len(X))
    predicted = classifier.to_local().predict(X)
    given = [da.from_array(a, chunks=(400, *a.shape[1:])) for a in (X, y, weights)]
    assert classifier.score(*given[:2]) == accuracy_score(y, predicted)
    assert_allclose(
        classifier.score(*given), accuracy_score(y, predicted, sample_weight=weights), rtol=1e-14
    )
    assert classifier.score(X, y) == accuracy_score(y, predicted)


def test_accuracy_of_several_labels(digits):
    X, y = digits
    Y = np.column_stack([y % 2, y > 4])
    net = MLPClassifier((5,), max_iter=5, random_state=0)
    model = fitted(DaskMLPClassifier, net, X, Y)
    dX, dY = da.from_array(X, chunks=(400, -1)), da.from_array(Y, chunks=(400, -1))
    assert model.score(dX, dY) == model.to_local().score(X, Y)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_r2_of_sums(diabetes, n_targets):
    """Targets far from 0, whose squares would hide their variance."""
    X, y = diabetes
    Y = np.column_stack([y, y[::-1]])[:, :n_targets] + 1e7
    net = MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0)
    model = fitted(DaskMLPRegressor, net, X, (Y - 1e7).squeeze())
    model.estimator_.intercepts_[-1][:] += 1e7
    weights = np.random.RandomState(0).rand(len(X))
    weights[:100] = 0  # a whole block
    given = [da.from_array(a, chunks=(100, *a.shape[1:])) for a in (X, Y, weights)]
    predicted = model.to_local().predict(X)
    # The targets themselves have an error of eps * 1e7 beside their deviation of 77.
    assert_allclose(model.score(*given[:2]), r2_score(Y, predicted), rtol=1e-9)
    expected = r2_score(Y, predicted, sample_weight=weights)
    assert_allclose(model.score(*given), expected, rtol=1e-9)


def test_r2_of_constant_targets(diabetes):
    X, y = diabetes
    net = MLPRegressor(hidden_layer_sizes=(), max_iter=1, random_state=0)
    model = fitted(DaskMLPRegressor, net, X, y)
    dX, dy = da.from_array(X, chunks=(100, -1)), da.zeros(len(X), chunks=100)
    assert model.score(dX, dy) == r2_score(np.zeros(len(X)), model.predict(X)) == 0


def test_quantiles_need_all_targets(diabetes):
    X, y = diabetes
    net = MLPRegressor("quantile", (4,), quantile=[0.1, 0.9], max_iter=2, random_state=0)
    model = fitted(DaskMLPRegressor, net, X, y)
    dX, dy = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
    assert model.predict(dX).compute().shape == (len(X), 2)
    with pytest.raises(ValueError, match="score of loss='quantile'"):
        model.score(dX, dy)
    assert model.score(X, y) == model.to_local().score(X, y)


def test_what_it_is(classifier, digits):
    assert is_classifier(DaskMLPClassifier())
    assert is_regressor(DaskMLPRegressor())
    copy = pickle.loads(pickle.dumps(classifier))
    assert_array_equal(copy.predict(digits[0]), classifier.predict(digits[0]))
    assert clone(classifier).set_params(estimator__alpha=3.0).estimator.alpha == 3
    local = classifier.to_local()
    assert type(local) is MLPClassifier
    local.coefs_[0][:] = 0
    assert classifier.estimator_.coefs_[0].any()
    with pytest.raises(NotFittedError):
        DaskMLPClassifier().predict(digits[0])
    assert not hasattr(DaskMLPClassifier(MLPClassifier(loss="hinge")), "predict_proba")
    assert hasattr(DaskMLPClassifier(), "predict_proba")
