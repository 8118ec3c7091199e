"""`scoring`: the rows that a scorer is given, and what is said if it fails on them."""

from __future__ import annotations

import traceback

import numpy as np
import pytest
import sklearn.neural_network
from factories import SMALL, classifier
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from snapshots import assert_same_weights, assert_unchanged, snapshot

from sknet import MLPClassifier, MLPRegressor
from sknet.estimators.targets import ClassTargets

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SCORED = {**SMALL, "early_stopping": True, "validation_fraction": 0.2, "max_iter": 2}


@pytest.fixture(scope="module")
def few(digits):
    """Return some nine digits of each class: a fifth of them often lacks one, unless stratified."""
    return digits[0][:90], digits[1][:90]


class Labels:
    """A scorer that keeps the labels that it is given."""

    def __call__(self, model, X, y, **options):
        self.y = y
        return 0.0


@pytest.mark.parametrize("scoring", ["roc_auc_ovr", "neg_log_loss", "loss"])
@pytest.mark.parametrize("seed", range(20))
def test_scorers_get_every_class(seed, scoring, few):
    model = MLPClassifier(**{**SCORED, "random_state": seed}, scoring=scoring).fit(*few)
    assert np.isfinite(model.validation_scores_).all()


@pytest.mark.parametrize("seed", range(3))
def test_held_out_rows_have_the_shares_of_the_classes(seed, few):
    scorer = Labels()
    MLPClassifier(**{**SCORED, "random_state": seed}, scoring=scorer).fit(*few)
    shares = np.bincount(few[1]) * 0.2
    # Each class has its share, rounded one way or the other, so that the sum is that of the split.
    assert (np.abs(np.bincount(scorer.y, minlength=10) - shares) < 1).all()
    assert len(scorer.y) == 18


@pytest.mark.parametrize("seed", range(5))
def test_without_scoring_the_split_is_scikit_learn_s(seed, few):
    """Accuracies of 18 rows that are equal in each epoch are those of the same rows."""
    ours, theirs = (
        cls(**{**SCORED, "random_state": seed, "max_iter": 30, "learning_rate_init": 0.01}).fit(
            *few
        )
        for cls in (MLPClassifier, sklearn.neural_network.MLPClassifier)
    )
    assert ours.validation_scores_ == theirs.validation_scores_
    assert len(set(ours.validation_scores_)) > 3


@given(
    counts=st.lists(st.integers(1, 9), min_size=3, max_size=6),
    fraction=st.floats(0.01, 0.99),
)
@settings(max_examples=300, deadline=None)
def test_what_can_be_stratified_is_stratified(counts, fraction):
    """scikit-learn's own split decides."""
    codes = np.repeat(np.arange(len(counts)), counts)
    try:
        train_test_split(codes, test_size=fraction, stratify=codes, random_state=0)
    except ValueError:
        expected = False
    else:
        expected = True
    strata = ClassTargets.of(codes).strata(codes.reshape(-1, 1), fraction, is_scored=True)
    assert (strata is not None) == expected


UNSTRATIFIED = {
    "a class of one": (
        MLPClassifier, lambda y: np.where(np.arange(90) == 5, 10, y), 0.2, "f1_macro",
    ),
    "too few rows": (MLPClassifier, lambda y: y, 0.1, "f1_macro"),
    "several labels": (
        MLPClassifier, lambda y: np.stack([y % 2, y // 2 % 2], axis=1), 0.2, "f1_macro",
    ),
    "numbers": (MLPRegressor, lambda y: y / 9, 0.2, "neg_mean_absolute_error"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("name", UNSTRATIFIED)
def test_where_stratifying_is_impossible_the_split_is_that_without_scoring(name, few):
    estimator, targets, fraction, scoring = UNSTRATIFIED[name]
    parameters = {**SCORED, "validation_fraction": fraction, "restore_best": False}
    models = [
        estimator(**parameters, scoring=given_scoring).fit(few[0], targets(few[1]))
        for given_scoring in (None, scoring)
    ]
    assert_same_weights(*models)


# Scorers that fail.


class OwnError(Exception):
    """An exception that only the user's code knows."""


def failing_scorer(model, X, y, **options):
    raise OwnError("of my own")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_an_error_on_held_out_rows_says_what_to_change(solver, few):
    X, y = few
    names = np.array(["zero", "one", "two", *map(str, range(3, 10))])[y]
    parameters = {**SCORED, "validation_fraction": 0.1, "restore_best": True}
    model = MLPClassifier(**parameters, solver=solver)
    model.fit(X, names)
    before = snapshot(model.set_params(scoring="neg_log_loss"))
    with pytest.raises(ValueError, match="different number of classes") as caught:
        model.fit(X, names)
    text = str(caught.value)
    for part in ("scoring='neg_log_loss'", "9 rows", "validation_fraction=0.1", "X_val"):
        assert part in text
    assert "no samples of the classes ['" in text
    assert_unchanged(model, before)


def test_an_error_on_validation_data_says_what_to_change(few):
    X, y = few
    model = MLPClassifier(**SMALL, scoring="roc_auc_ovr")
    with pytest.raises(ValueError, match="Number of classes") as caught:
        model.fit(X, y, X_val=X[y < 8], y_val=y[y < 8])
    text = str(caught.value)
    for part in ("scoring='roc_auc_ovr'", "of X_val", "[8, 9]", "validation_fraction=0.1"):
        assert part in text


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_an_error_of_one_s_own_keeps_its_type_and_its_text(estimator, few):
    with pytest.raises(OwnError) as caught:
        estimator(**SCORED, scoring=failing_scorer).fit(*few)
    assert caught.value.args == ("of my own",)
    told = "".join(traceback.format_exception(caught.value))
    assert "scoring=<function failing_scorer" in told
    assert "validation_fraction=0.2" in told
    assert "X_val" in told


@pytest.mark.parametrize("score", [None, "high", np.zeros(3)], ids=repr)
def test_a_scorer_that_returns_no_number_is_named(score, few):
    model = MLPClassifier(**SCORED, scoring=lambda model, X, y, **options: score)
    with pytest.raises((TypeError, ValueError)) as caught:
        model.fit(*few)
    assert "scoring=<function" in "".join(traceback.format_exception(caught.value))


def test_a_network_without_probabilities_names_the_scorer(few):
    model = MLPClassifier(**SCORED, loss="hinge", scoring="neg_log_loss")
    with pytest.raises(AttributeError, match="predict_proba") as caught:
        model.fit(*few)
    assert "scoring='neg_log_loss'" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_scorer_that_stops_an_iteration_ends_no_training_in_silence(solver, digits):
    X, y = digits[0][:100], digits[1][:100] % 2

    def score(model, X, y):
        return next(iter([]))

    with pytest.raises((RuntimeError, StopIteration)):
        classifier(solver=solver, early_stopping=True, scoring=score).fit(X, y)
