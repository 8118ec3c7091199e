"""`training_scoring`: the training data are scored after each epoch, and nothing else changes."""

from __future__ import annotations

import pickle
import signal
import traceback

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from factories import SMALL, classifier, regressor
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score
from snapshots import assert_same_weights, assert_unchanged, snapshot
from versions import needs_callbacks

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SCORED = {**SMALL, "training_scoring": "accuracy"}
N = 120


@pytest.fixture(scope="module")
def data(digits):
    return digits[0][:N], digits[1][:N] % 3


class Rows:
    """A scorer that keeps what it is given. The first column of X has the number of each row."""

    def __init__(self):
        self.calls = []

    def __call__(self, model, X, y, **options):
        self.calls.append((np.asarray(X)[:, 0].astype(int), np.asarray(y), options))
        return float(len(self.calls))


def numbered(y):
    """Return data whose first column has the number of each row."""
    X = np.random.default_rng(0).normal(size=(len(y), 4))
    X[:, 0] = np.arange(len(y))
    return X


# What it scores.


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_each_epoch_has_the_accuracy_of_its_weights(solver, data):
    """That of a fit that ends there."""
    X, y = data
    model = MLPClassifier(**SCORED, solver=solver).fit(X, y)
    scores = []
    for n in range(1, 4):
        shorter = MLPClassifier(**{**SMALL, "max_iter": n}, solver=solver).fit(X, y)
        scores.append(accuracy_score(y, shorter.predict(X)))
    # The mean of zeros and ones is exact but for its division.
    assert_allclose(model.training_scores_, scores, rtol=1e-15)
    assert model.history_["training_score"] == model.training_scores_


def test_of_numbers(data):
    X, y = data[0], data[1] / 2.0
    model = MLPRegressor(**SMALL, training_scoring="r2").fit(X, y)
    assert_allclose(model.training_scores_[-1], r2_score(y, model.predict(X)), rtol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_loss_is_without_penalties(solver, dtype, data):
    """It is the negative log-loss of scikit-learn, of all rows after the epoch."""
    X, y = data[0].astype(dtype), data[1]
    weights = np.random.default_rng(0).gamma(2.0, size=N)
    model = MLPClassifier(**SMALL, alpha=1.0, solver=solver, training_scoring="loss")
    model.fit(X, y, weights)
    p = model.predict_proba(X).astype(np.float64)
    expected = -log_loss(y, p / p.sum(axis=1, keepdims=True), sample_weight=weights)
    # Some hundred operations on numbers of order 1; L-BFGS computes the loss in float64, and
    # rounds its weights afterwards.
    assert_allclose(model.training_scores_[-1], expected, rtol=1e5 * np.finfo(dtype).eps)
    assert len(model.training_scores_) == model.n_iter_


def test_a_scorer_gets_what_is_trained_on_and_no_row_that_is_held_out():
    y = np.arange(50) % 2
    X, weights, training, held_out = numbered(y), np.arange(1.0, 51), Rows(), Rows()
    model = MLPClassifier(**SMALL, early_stopping=True, scoring=held_out, training_scoring=training)
    model.fit(X, y, weights)
    assert len(training.calls) == len(held_out.calls) == 3
    assert model.training_scores_ == [1.0, 2.0, 3.0]
    rows, labels, options = training.calls[0]
    assert sorted([*rows, *held_out.calls[0][0]]) == list(range(50))
    assert len(rows) == 45
    assert (labels == y[rows]).all()
    assert (options["sample_weight"] == weights[rows]).all()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_without_weights_a_scorer_gets_none(solver):
    y, scorer = np.arange(50) % 2, Rows()
    MLPClassifier(**SMALL, solver=solver, training_scoring=scorer).fit(numbered(y), y)
    assert scorer.calls[0][2] == {}
    MLPClassifier(**SMALL, class_weight={1: 3.0}, training_scoring=scorer).fit(numbered(y), y)
    assert (scorer.calls[-1][2]["sample_weight"] == np.where(y == 1, 3, 1)).all()


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_scorer_gets_the_columns_of_a_frame(early_stopping):
    seen = []

    def scorer(model, X, y):
        seen.append((list(X.columns), len(X)))
        return 0.0

    y = np.arange(50) % 2
    frame = pd.DataFrame(numbered(y), columns=list("abcd"))
    MLPClassifier(**SMALL, early_stopping=early_stopping, training_scoring=scorer).fit(frame, y)
    assert seen == [(list("abcd"), 45 if early_stopping else 50)] * 3


def test_several_labels_and_labels_in_words(data):
    X, y = data
    words = np.array(["zero", "one", "two"])[y]
    model = MLPClassifier(**SCORED).fit(X, words)
    assert_allclose(model.training_scores_[-1], accuracy_score(words, model.predict(X)))
    labels = np.stack([y > 0, y > 1], axis=1).astype(int)
    model = MLPClassifier(**SMALL, training_scoring="f1_macro").fit(X, labels)
    expected = f1_score(labels, model.predict(X), average="macro")
    assert_allclose(model.training_scores_[-1], expected)


# What it must not change.


def memory_mapped(X, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


FORMS = {
    "array": lambda X, path: X,
    "float32": lambda X, path: X.astype(np.float32),
    "list": lambda X, path: X.tolist(),
    "columns first": lambda X, path: np.asfortranarray(X),
    "csr": lambda X, path: sp.csr_array(X),
    "csc": lambda X, path: sp.csc_matrix(X),
    "memmap": memory_mapped,
}
SETTINGS = {
    "adam": {},
    "early stopping": {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 2},
    "lbfgs": {"solver": "lbfgs"},
    "dropout and a mean of weights": {"dropout": 0.5, "ema_decay": 0.9, "restore_best": True},
    "a generator": {"random_state": 7},
    "threads": {"n_jobs": 2},
}


@pytest.mark.parametrize("scoring", ["accuracy", "loss"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_model_has_the_same_bits(setting, form, scoring, data, tmp_path):
    X, y = FORMS[form](data[0], tmp_path), data[1]
    models = []
    for given in (None, scoring):
        model = MLPClassifier(**{**SMALL, **SETTINGS[setting], "training_scoring": given})
        if setting == "a generator":
            model.set_params(random_state=np.random.RandomState(7))
        models.append(model.fit(X, y))
        if setting == "a generator":
            models.append(model.random_state.randint(2**31))
    plain, scored = models[0], models[len(models) // 2]
    if setting == "a generator":  # which has drawn the same numbers
        assert models[1] == models[3]
    assert_same_weights(plain, scored)
    assert plain.loss_curve_ == scored.loss_curve_
    assert len(scored.training_scores_) == scored.n_iter_
    assert not hasattr(plain, "training_scores_")
    assert "training_score" not in plain.history_


def test_parts_have_the_same_bits(data):
    X, y = data
    plain, scored = (MLPClassifier(**SMALL, training_scoring=s) for s in (None, "accuracy"))
    for model in (plain, scored):
        for part in np.array_split(np.arange(N), 3):
            model.partial_fit(X[part], y[part], classes=[0, 1, 2])
    assert_same_weights(plain, scored)
    # Each is the accuracy of the part that was trained on.
    assert_allclose(scored.training_scores_[-1], scored.score(X[part], y[part]))
    assert len(scored.training_scores_) == len(scored.loss_curve_) == 3


# How the curve goes on.


def test_a_warm_start_goes_on_unless_something_else_is_measured(data):
    model = MLPClassifier(**SCORED, warm_start=True).fit(*data).fit(*data)
    assert len(model.training_scores_) == len(model.loss_curve_) == 6
    model.set_params(training_scoring="loss").fit(*data)
    assert len(model.training_scores_) == 3
    assert max(model.training_scores_) < 0
    assert "training_score" not in model.history_  # it is not known of all nine epochs
    model.set_params(training_scoring=None).fit(*data)
    assert not hasattr(model, "training_scores_")


def test_a_new_fit_forgets_the_curve(data):
    model = MLPClassifier(**SCORED).fit(*data)
    first = model.training_scores_
    model.fit(*data)
    assert model.training_scores_ == first
    assert model.training_scores_ is not first
    model.set_params(training_scoring=None).fit(*data)
    assert not hasattr(model, "training_scores_")


def test_a_part_that_is_not_scored_keeps_the_curve(data):
    model = MLPClassifier(**SCORED).partial_fit(*data, classes=[0, 1, 2])
    model.set_params(training_scoring=None).partial_fit(*data)
    assert len(model.training_scores_) == 1
    assert "training_score" not in model.history_


def test_pickles_and_clones(data):
    model = MLPClassifier(**SCORED).fit(*data)
    copy = pickle.loads(pickle.dumps(model))
    assert copy.training_scores_ == model.training_scores_
    copy.partial_fit(*data)
    assert (len(copy.training_scores_), len(model.training_scores_)) == (4, 3)
    assert clone(model).fit(*data).training_scores_ == model.training_scores_


def test_an_epoch_that_is_interrupted_while_it_is_scored_has_no_score(data):
    """Its weights are whole, so it counts, and the curve stays as long as the others."""

    def scorer(model, X, y):
        scorer.n_calls += 1
        if scorer.n_calls == 2:
            signal.raise_signal(signal.SIGINT)
        return 0.5

    for solver in ("adam", "lbfgs"):
        scorer.n_calls = 0
        model = MLPClassifier(**SMALL, solver=solver, training_scoring=scorer)
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.fit(*data)
        assert model.n_iter_ == 2
        np.testing.assert_array_equal(model.training_scores_, [0.5, np.nan])


@needs_callbacks
def test_callbacks_see_the_score_of_the_epoch_that_has_ended(data):
    seen = []

    class Watcher:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **kwargs):
            pass

        def on_fit_task_end(self, estimator, context, **kwargs):
            if context.task_name == "epoch":
                seen.append(list(estimator.training_scores_))
            return False

    model = MLPClassifier(**SCORED).set_callbacks(Watcher()).fit(*data)
    assert seen == [model.training_scores_[: k + 1] for k in range(3)]


# Errors.


@pytest.mark.parametrize("incremental", [False, True])
def test_an_error_of_the_scorer_leaves_the_model_and_says_where_it_comes_from(incremental, data):
    X, y = data
    model = MLPClassifier(**SCORED).fit(X, y)
    before = snapshot(model.set_params(training_scoring="roc_auc"))
    with pytest.raises(ValueError, match="multi_class") as caught:
        (model.partial_fit if incremental else model.fit)(X, y)
    assert "training_scoring='roc_auc'" in str(caught.value)
    assert f"the {N} rows that the network learns from" in str(caught.value)
    assert_unchanged(model, before)


def test_an_error_of_one_s_own_keeps_its_type(data):
    def scorer(model, X, y):
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        MLPClassifier(**SMALL, training_scoring=scorer).fit(*data)
    assert caught.value.args == ("mine",)
    assert "training_scoring=<function" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("value", ["acuracy", 3])
def test_what_is_no_scorer_is_refused(make, value, data):
    with pytest.raises(ValueError, match="'training_scoring' parameter of MLP"):
        make(training_scoring=value).fit(*data)
