"""Parameters are cloned, set and compared with scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
from comparisons import ATOL
from factories import BOTH, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_clone_and_set_params(estimator):
    values = {
        "hidden_layer_sizes": [3, 2],
        "activation": "tanh",
        "solver": "sgd",
        "alpha": 0.25,
        "n_iter_no_change": np.inf,
        "random_state": 5,
    }
    model = estimator(**values)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(alpha=1.0) is copy
    assert (model.alpha, copy.alpha) == (0.25, 1.0)
    assert copy.hidden_layer_sizes is not model.hidden_layer_sizes
    with pytest.raises(ValueError, match="Invalid parameter 'units' for estimator MLP"):
        model.set_params(units=3)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults_are_scikit_learn_s(name):
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]()
    theirs = getattr(sklearn.neural_network, name)()
    shared = theirs.get_params().items()
    assert {k: v for k, v in ours.get_params().items() if k in theirs.get_params()} == dict(shared)


def test_a_clone_fits_the_same_model(wine):
    X, y = wine
    model = classifier().fit(X, y)
    again = clone(model).fit(X, y)
    assert again.loss_curve_ == model.loss_curve_
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_set_params_does_not_change_a_fitted_regressor_s_predictions(progress):
    X, y = progress
    ours, theirs = (regressor(library).fit(X, y) for library in BOTH)
    before = ours.predict(X)
    if "loss" in theirs.get_params():
        theirs.set_params(loss="poisson")
    ours.set_params(loss="poisson", alpha=7, solver="lbfgs", max_iter=1)
    assert_array_equal(ours.predict(X), before)
    assert_allclose(ours.predict(X), theirs.predict(X), atol=ATOL)
