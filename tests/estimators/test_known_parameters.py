"""Names and valid values of parameters are found out once, and nothing invalid gets through."""

from __future__ import annotations

import numpy as np
import pytest
from factories import SMALL as OF_FACTORIES
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import InvalidParameterError

from sknet import MLPClassifier, MLPRegressor
from sknet.estimators import known_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {**OF_FACTORIES, "batch_size": 6}
X, y = np.eye(6), np.arange(6) % 3


@pytest.fixture(autouse=True)
def checks(monkeypatch):
    """Return the estimators that scikit-learn has checked, from none on."""
    monkeypatch.setattr(known_parameters, "_valid", set())
    checked, check = [], BaseEstimator._validate_params
    monkeypatch.setattr(
        BaseEstimator, "_validate_params", lambda self: (checked.append(self), check(self))
    )
    return checked


def n_checks(checks, *models):
    """Return how often scikit-learn checks parameters when the models are fitted."""
    checks.clear()
    for model in models:
        model.fit(X, y)
    return sum(isinstance(checked, MLPClassifier | MLPRegressor) for checked in checks)


def test_equal_parameters_are_checked_once(checks):
    model = MLPClassifier(**SMALL)
    assert n_checks(checks, model, model, clone(model), MLPClassifier(**SMALL)) == 1
    assert n_checks(checks, MLPClassifier(**{**SMALL, "alpha": 0.5})) == 1
    assert n_checks(checks, MLPRegressor(**SMALL)) == 1  # has other constraints


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("max_iter", 1, 1.0),
        ("shuffle", True, 1),
        ("activation", "tanh", "tan"),
        ("hidden_layer_sizes", (), "hidden_layer_sizes"),
        ("hidden_layer_sizes", (3,), (3.0,)),
        ("hidden_layer_sizes", (1,), (True,)),
        ("alpha", 0.0, np.nan),
    ],
)
def test_values_that_equal_valid_ones_are_checked(name, valid, invalid):
    model = MLPClassifier(**{**SMALL, name: valid}).fit(X, y)
    for _ in range(2):  # what failed once fails again
        with pytest.raises((InvalidParameterError, ValueError), match=name):
            model.set_params(**{name: invalid}).fit(X, y)


def test_objects_are_checked_each_time(checks):
    """Whether they are valid may change."""
    models = [MLPClassifier(**{**SMALL, "activation": ["relu"]}) for _ in range(2)]
    assert n_checks(checks, *models) == 2
    models = [MLPClassifier(**{**SMALL, "max_iter": np.int64(3)}) for _ in range(2)]
    assert n_checks(checks, *models) == 2


def test_few_sets_of_parameters_are_remembered(checks, monkeypatch):
    monkeypatch.setattr(known_parameters, "MOST_VALID", 2)
    models = [MLPClassifier(**{**SMALL, "alpha": alpha}) for alpha in (0.1, 0.2, 0.3)]
    assert n_checks(checks, *models) == 3
    assert len(known_parameters._valid) == 1
    assert n_checks(checks, models[2]) == 0


def test_subclasses_have_names_of_their_own():
    class Small(MLPClassifier):
        def __init__(self, alpha=0.1):
            super().__init__(alpha=alpha, max_iter=1)

    assert Small().get_params() == {"alpha": 0.1}
    assert len(MLPClassifier().get_params()) > len(Small().get_params())
    assert clone(Small(alpha=0.3)).fit(X, y).alpha == 0.3
