"""The best weights are the best of what is measured now, if anything can be measured."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neural_network import MLPClassifier as ReferenceClassifier
from sklearn.neural_network import MLPRegressor as ReferenceRegressor
from snapshots import assert_same_weights

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.UndefinedMetricWarning",
)

N = 120
COMMON = {"hidden_layer_sizes": (8,), "batch_size": 30, "random_state": 0}
SOLVERS = ["adam", "sgd", "lbfgs"]
OPTIONS = ["early_stopping", "restore_best"]


@pytest.fixture
def classes(digits):
    return digits[0][:N], digits[1][:N] % 3


@pytest.fixture
def numbers(diabetes):
    X, y = diabetes
    return X[:N], (y[:N] - y[:N].mean()) / y[:N].std()


class Scorer:
    """A scorer that gives the scores it is told to, and keeps the weights that it scored."""

    def __init__(self, *scores):
        self.scores, self.weights = list(scores), []

    def __call__(self, model, X, y, **options):
        self.weights.append([np.array(w) for w in (*model.coefs_, *model.intercepts_)])
        return self.scores[len(self.weights) - 1]


def nan_scorer(model, X, y, **options):
    return np.nan


def assert_weights(model, weights):
    for kept, expected in zip((*model.coefs_, *model.intercepts_), weights, strict=True):
        assert_array_equal(kept, expected)


# Scores that are not numbers.


def fit_and_note(model, *arguments, **validation):
    """Fit a model, and return what it says of its scores."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*arguments, **validation)
    return [
        w
        for w in caught
        if issubclass(w.category, UserWarning)
        and not issubclass(w.category, UndefinedMetricWarning | ConvergenceWarning)
        and re.search("scor", str(w.message))
    ]


def assert_last_weights(model, *arguments, **validation):
    """Compare the weights with those of a fit of as many epochs that keeps the last ones."""
    parameters = model.get_params() | {
        "early_stopping": False,
        "restore_best": False,
        "max_iter": model.n_iter_,
        "n_iter_no_change": np.inf,
    }
    plain = type(model)(**parameters).fit(*arguments, **validation)
    assert plain.n_iter_ == model.n_iter_
    assert_same_weights(model, plain)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("option", OPTIONS)
def test_scores_of_nan_keep_the_last_weights(option, solver, classes):
    X, y = classes
    model = MLPClassifier(**COMMON, solver=solver, max_iter=6, scoring=nan_scorer, **{option: True})
    told = fit_and_note(model, X, y, X_val=X, y_val=y)
    assert len(told) == 1
    assert_last_weights(model, X, y, X_val=X, y_val=y)
    assert len(model.validation_scores_) == model.n_iter_ > 0
    assert np.isnan(model.validation_scores_).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("option", OPTIONS)
def test_r2_of_one_row_keeps_the_last_weights(option, solver, numbers):
    """R2 compares with the mean of the targets, which one row alone is."""
    X, y = numbers
    model = MLPRegressor(**COMMON, solver=solver, max_iter=6, **{option: True})
    told = fit_and_note(model, X, y, X_val=X[:1], y_val=y[:1])
    assert len(told) == 1
    assert_last_weights(model, X, y, X_val=X[:1], y_val=y[:1])


@pytest.mark.parametrize("option", OPTIONS)
def test_roc_auc_of_one_class_keeps_the_last_weights(option, digits):
    X, y = digits[0][:N], digits[1][:N] % 2
    validation = {"X_val": X[y == 0], "y_val": y[y == 0]}
    model = MLPClassifier(**COMMON, max_iter=6, scoring="roc_auc", **{option: True})
    told = fit_and_note(model, X, y, **validation)
    assert len(told) == 1
    assert "roc_auc" in str(told[0].message)
    assert_last_weights(model, X, y, **validation)


@pytest.mark.parametrize("option", OPTIONS)
def test_scores_of_nan_in_a_warm_start_keep_the_last_weights(option, classes):
    X, y = classes
    model = MLPClassifier(**COMMON, max_iter=6, warm_start=True, **{option: True})
    model.fit(X, y, X_val=X, y_val=y)
    plain = MLPClassifier(**COMMON, max_iter=6, warm_start=True)
    plain.fit(X, y)
    for name in ("coefs_", "intercepts_"):
        setattr(plain, name, [w.copy() for w in getattr(model, name)])
    told = fit_and_note(model.set_params(scoring=nan_scorer), X, y, X_val=X, y_val=y)
    assert len(told) == 1
    plain.set_params(max_iter=model.n_iter_, n_iter_no_change=np.inf).fit(X, y)
    assert_same_weights(model, plain)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("best", [1, 3])
def test_one_finite_score_among_nan_is_the_best(best, option, solver, classes):
    # A guard against regressions.
    X, y = classes
    scores = [np.nan] * 6
    scores[best] = -5.0
    scorer = Scorer(*scores)
    model = MLPClassifier(**COMMON, solver=solver, max_iter=6, scoring=scorer, **{option: True})
    told = fit_and_note(model, X, y, X_val=X, y_val=y)
    assert not told
    assert_weights(model, scorer.weights[best])
    assert model.best_validation_score_ == -5.0


def test_nan_is_no_progress(classes):
    """Early stopping counts epochs with such scores as epochs without progress."""
    X, y = classes
    model = MLPClassifier(
        **COMMON, max_iter=50, scoring=nan_scorer, early_stopping=True, n_iter_no_change=4
    )
    fit_and_note(model, X, y, X_val=X, y_val=y)
    assert model.n_iter_ == 5


def test_no_warning_where_scores_are_finite(classes):
    # A guard against regressions.
    X, y = classes
    for option in OPTIONS:
        model = MLPClassifier(**COMMON, max_iter=3, **{option: True})
        assert not fit_and_note(model, X, y, X_val=X, y_val=y)
        assert not fit_and_note(model, X, y)


# A warm start that measures something else.

WARM = {**COMMON, "warm_start": True, "tol": 0.0}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("option", OPTIONS)
def test_a_warm_start_with_another_scoring_has_a_best_of_its_own(option, solver, classes):
    """The first scorer's 0.9 is no record for the second one, whose scores are negative."""
    X, y = classes
    first, second = Scorer(0.5, 0.9, 0.7), Scorer(-9.0, -3.0, -4.0, -5.0)
    model = MLPClassifier(**WARM, solver=solver, scoring=first, **{option: True})
    model.set_params(max_iter=3).fit(X, y, X_val=X, y_val=y)
    assert_weights(model, first.weights[1])
    model.set_params(max_iter=4, scoring=second).fit(X, y, X_val=X, y_val=y)
    assert model.n_iter_ == 4
    assert_weights(model, second.weights[1])
    assert model.best_validation_score_ == -3.0


def test_a_warm_start_with_another_named_scoring_does_not_stop_at_once(classes):
    X, y = classes
    parameters = {**WARM, "learning_rate_init": 0.01, "n_iter_no_change": 3, "tol": 1e-4}
    model = MLPClassifier(**parameters, early_stopping=True, max_iter=500)
    model.fit(X, y, X_val=X, y_val=y)
    assert model.n_iter_ < 500, "it did not stop by itself"
    assert model.best_validation_score_ > 0.9
    model.set_params(scoring="neg_log_loss", max_iter=20, tol=0.0, learning_rate_init=1e-3)
    model.fit(X, y, X_val=X, y_val=y)
    # The loss on the training data goes on falling, and each epoch is the best so far.
    assert model.n_iter_ == 20
    scores = model.validation_scores_[-20:]
    assert model.best_validation_score_ == max(scores) < 0
    # The same formula on the same probabilities: what may differ is the order of a sum.
    expected = -log_loss(y, model.predict_proba(X))
    np.testing.assert_allclose(model.best_validation_score_, expected, rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_warm_start_with_another_validation_set_has_a_best_of_its_own(solver, classes):
    """No score on labels of chance comes near the record of the training data."""
    X, y = classes
    chance = np.random.default_rng(0).permutation(y)
    parameters = {**WARM, "learning_rate_init": 0.02, "early_stopping": True}
    model = MLPClassifier(**parameters, solver=solver, max_iter=60)
    model.fit(X, y, X_val=X, y_val=y)
    record = model.best_validation_score_
    assert record > 0.9
    model.set_params(max_iter=4).fit(X, y, X_val=X, y_val=chance)
    scores = model.validation_scores_[-model.n_iter_ :]
    assert model.n_iter_ > 1
    assert model.best_validation_score_ == max(scores) < record
    assert round(N * accuracy_score(chance, model.predict(X))) == round(N * max(scores))


@pytest.mark.parametrize("changed", ["X_val", "y_val", "sample_weight_val", "number of rows"])
def test_any_change_of_the_validation_data_begins_a_new_record(changed, classes):
    X, y = classes
    validation = {"X_val": X, "y_val": y, "sample_weight_val": np.ones(N)}
    other = dict(validation)
    if changed == "number of rows":
        other = {name: value[:50] for name, value in validation.items()}
    else:
        value = validation[changed].copy()
        value[7] = {"X_val": 0.25, "y_val": (y[7] + 1) % 3, "sample_weight_val": 2.0}[changed]
        other[changed] = value
    scorer = Scorer(0.9, 0.1, 0.2, 0.15)
    model = MLPClassifier(**WARM, scoring=scorer, restore_best=True, max_iter=1)
    model.fit(X, y, **validation)
    model.set_params(max_iter=3).fit(X, y, **other)
    assert model.best_validation_score_ == 0.2
    assert_weights(model, scorer.weights[2])


@pytest.mark.parametrize("option", OPTIONS)
def test_equal_validation_data_in_another_array_go_on(option, classes):
    # A guard against regressions: nothing that is measured has changed.
    X, y = classes
    scorer = Scorer(0.9, 0.1, 0.2, 0.15)
    model = MLPClassifier(**WARM, scoring=scorer, max_iter=1, **{option: True})
    model.fit(X, y, X_val=X, y_val=y)
    model.set_params(max_iter=3).fit(X.copy(), y.copy(), X_val=X.copy(), y_val=y.copy())
    assert model.best_validation_score_ == 0.9


@pytest.mark.parametrize("restore_best", [False, True])
def test_a_warm_start_with_another_loss_has_a_best_of_its_own(restore_best, numbers):
    """The record of squared errors is below any mean of absolute errors here."""
    X, y = numbers
    parameters = {**WARM, "n_iter_no_change": 2, "restore_best": restore_best}
    model = MLPRegressor(**parameters, max_iter=40).fit(X, y)
    record = model.best_loss_
    model.set_params(loss="absolute_error", max_iter=10, learning_rate_init=1e-5).fit(X, y)
    assert model.n_iter_ == 10, "it stopped by a stale record"
    losses = model.loss_curve_[-10:]
    assert min(losses) > record
    assert model.best_loss_ == min(losses)
    # The loss falls in each epoch, so that the best weights are the last ones.
    assert np.argmin(losses) == 9
    mean = np.abs(y - model.predict(X)).mean()
    assert mean < losses[-1] + 1e-6  # which has the penalty, and is the mean over the epoch


def test_a_warm_classifier_with_another_loss_has_a_best_of_its_own(classes):
    X, y = classes
    parameters = {**WARM, "n_iter_no_change": 2, "learning_rate_init": 1e-4}
    model = MLPClassifier(**parameters, loss="squared_error", max_iter=20).fit(X, y)
    record = model.best_loss_
    model.set_params(loss="log_loss", max_iter=10).fit(X, y)
    assert model.n_iter_ == 10, "it stopped by a stale record"
    assert min(model.loss_curve_[-10:]) > record
    assert model.best_loss_ == min(model.loss_curve_[-10:])


@pytest.mark.parametrize("option", OPTIONS)
def test_another_loss_begins_a_new_record_of_scores_by_the_loss(option, numbers):
    """With scoring='loss' another loss is another score."""
    X, y = numbers
    parameters = {**WARM, "scoring": "loss", "learning_rate_init": 1e-4, option: True}
    model = MLPRegressor(**parameters, max_iter=20)
    model.fit(X, y, X_val=X, y_val=y)
    record = model.best_validation_score_
    model.set_params(loss="absolute_error", max_iter=10).fit(X, y, X_val=X, y_val=y)
    scores = model.validation_scores_[-10:]
    assert max(scores) < record
    assert model.best_validation_score_ == max(scores)
    assert model.n_iter_ == 10


# What goes on as before.


def test_partial_fit_never_begins_a_record_anew(classes):
    # A guard against regressions.
    X, y = classes
    model = MLPClassifier(**COMMON)
    scorers = [Scorer(0.5), Scorer(0.9), Scorer(-3.0), Scorer(0.7)]
    for k, scorer in enumerate(scorers):
        X_val, y_val = X[k:], y[k:]
        model.set_params(scoring=scorer).partial_fit(
            X, y, classes=[0, 1, 2], X_val=X_val, y_val=y_val
        )
    assert model.validation_scores_ == [0.5, 0.9, -3.0, 0.7]
    assert model.best_validation_score_ == 0.9
    assert len(model.validation_loss_curve_) == len(model.loss_curve_) == 4


def test_partial_fit_with_another_loss_goes_on(numbers):
    # A guard against regressions.
    X, y = numbers
    model = MLPRegressor(**COMMON)
    for loss in ("squared_error", "squared_error", "absolute_error", "huber"):
        model.set_params(loss=loss).partial_fit(X, y)
    assert len(model.loss_curve_) == 4
    assert model.best_loss_ == min(model.loss_curve_)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_plain_warm_starts_carry_their_bests_as_in_scikit_learn(
    kind, solver, early_stopping, request
):
    # A guard against regressions: the same data, and then other data, five times over.
    X, y = request.getfixturevalue(kind)
    ours, theirs = {
        "classes": (MLPClassifier, ReferenceClassifier),
        "numbers": (MLPRegressor, ReferenceRegressor),
    }[kind]
    parameters = {
        **COMMON, "solver": solver, "early_stopping": early_stopping, "warm_start": True,
        "max_iter": 25, "n_iter_no_change": 3, "learning_rate_init": 0.01,
    }  # fmt: skip
    models = [ours(**parameters), theirs(**parameters)]
    order = np.random.default_rng(0).permutation(N)
    for rows in (slice(None), slice(None), order, slice(0, 100), slice(None)):
        for model in models:
            model.fit(X[rows], y[rows])
        mine, reference = models
        assert mine.n_iter_ == reference.n_iter_
        assert len(mine.loss_curve_) == len(reference.loss_curve_)
        # Two implementations add in another order: 1e-9 is far above their rounding.
        np.testing.assert_allclose(mine.loss_curve_, reference.loss_curve_, rtol=1e-9)
        if early_stopping:
            assert mine.best_loss_ is reference.best_loss_ is None
            np.testing.assert_allclose(
                mine.validation_scores_, reference.validation_scores_, rtol=1e-9
            )
            np.testing.assert_allclose(
                mine.best_validation_score_, reference.best_validation_score_, rtol=1e-9
            )
        else:
            np.testing.assert_allclose(mine.best_loss_, reference.best_loss_, rtol=1e-9)
        np.testing.assert_allclose(mine.coefs_[0], reference.coefs_[0], rtol=1e-7, atol=1e-9)
