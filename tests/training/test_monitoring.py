"""Validation data of one's own, scorers, curves, best weights, and scikit-learn's callbacks."""

from __future__ import annotations

import io
import re
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.neural_network
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.fixes import parse_version
from versions import HAS_CALLBACKS, SKLEARN, STOPS_EARLY_ON_STRINGS, needs_callbacks

from sknet import MLPClassifier, MLPRegressor
from sknet._training import observers
from sknet._training.observers import EpochLines
from sknet._training.records import EpochRecord, Records

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = ["adam", "sgd", "lbfgs"]


@pytest.fixture(scope="module")
def split(digits):
    X, X_val, y, y_val = train_test_split(*digits, test_size=0.3, random_state=0)
    return X, y, X_val, y_val


def classifier(**parameters):
    return MLPClassifier(**{"hidden_layer_sizes": (20,), "max_iter": 5, "random_state": 0,
                            **parameters})  # fmt: skip


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", SOLVERS)
def test_validation_data_are_scored_after_each_epoch(split, solver, dtype, sparse):
    """The last entry of each curve is what scikit-learn's metrics say of the fitted model."""
    X, y, X_val, y_val = split
    X, X_val = X.astype(dtype), X_val.astype(dtype)
    if sparse:
        X, X_val = sp.csr_array(X), sp.csr_array(X_val)
    weights = np.random.RandomState(0).gamma(2.0, size=len(y_val))
    model = classifier(solver=solver)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    n = model.n_iter_
    assert n == len(model.validation_scores_) == len(model.validation_loss_curve_) == 5
    score = model.score(X_val, y_val, weights)
    assert_allclose(
        model.validation_scores_[-1], score, rtol=1e-6 if dtype == np.float32 else 1e-12
    )
    loss = log_loss(y_val, model.predict_proba(X_val), sample_weight=weights)
    assert_allclose(
        model.validation_loss_curve_[-1], loss, rtol=1e-4 if dtype == np.float32 else 1e-9
    )
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_validation_data_change_nothing_else(split):
    X, y, X_val, y_val = split
    with_them = classifier().fit(X, y, X_val=X_val, y_val=y_val)
    assert_array_equal(with_them.coefs_[0], classifier().fit(X, y).coefs_[0])


def test_regression_with_validation_data(diabetes):
    X, X_val, y, y_val = train_test_split(*diabetes, random_state=0)
    model = MLPRegressor(hidden_layer_sizes=(9,), max_iter=30, random_state=0)
    model.fit(X, y / 100, X_val=X_val, y_val=y_val / 100)
    predicted = model.predict(X_val)
    assert_allclose(model.validation_scores_[-1], r2_score(y_val / 100, predicted), rtol=1e-12)
    expected = np.mean((predicted - y_val / 100) ** 2) / 2
    assert_allclose(model.validation_loss_curve_[-1], expected, rtol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_one_class_is_always_right(digits, solver):
    """The score is that of the predictions, which are the one class, as in scikit-learn."""
    # After a few small steps some raw scores are above 0, and some below.
    X, y = scale(digits[0][:40]), np.full(40, "only" if STOPS_EARLY_ON_STRINGS else 7)
    common = {"early_stopping": True, "max_iter": 3, "random_state": 0, "solver": solver}
    ours = MLPClassifier(**common).fit(X, y)
    theirs = sklearn.neural_network.MLPClassifier(**common).fit(X, y)
    assert ours.validation_scores_ == theirs.validation_scores_ == [1.0, 1.0, 1.0]
    for a, b in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-10)


def test_large_errors_of_validation_data_do_not_warn(diabetes):
    """Predictions are finite numbers, of which the squares are not: R2 is -inf."""
    X, y = diabetes
    model = MLPRegressor(max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(X, y, X_val=1e200 * X, y_val=y)
        assert np.isfinite(model.predict(1e200 * X)).all()
        assert model.score(1e200 * X, y) == -np.inf
        assert np.isnan(model.score(1e200 * X, y, np.arange(len(y)) > 0))  # 0 times infinity
    assert model.validation_scores_ == [-np.inf, -np.inf]


def test_the_sum_of_large_losses_does_not_warn(diabetes):
    """Each loss is a finite number of float64, and their sum is not."""
    X, y = diabetes
    model = MLPRegressor(max_iter=2, random_state=0, loss="absolute_error", scoring="loss")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(X, y, X_val=X, y_val=np.full(len(y), 1e308))
    assert model.validation_loss_curve_ == [np.inf, np.inf]


@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_by_loss_keeps_the_best(split, solver):
    """It stops long before max_iter, and the weights are those of the least validation loss."""
    X, y, X_val, y_val = split
    rate = {"adam": 0.02, "sgd": 0.5, "lbfgs": 0.1}[solver]
    model = classifier(
        solver=solver, scoring="loss", early_stopping=True, max_iter=1000, learning_rate_init=rate,
        hidden_layer_sizes=(50,), alpha=0, tol=1e-6,
    ).fit(X, y, X_val=X_val, y_val=y_val)  # fmt: skip
    assert model.n_iter_ < 500
    best = min(model.validation_loss_curve_)
    assert model.best_validation_score_ == -best
    assert_allclose(log_loss(y_val, model.predict_proba(X_val)), best, rtol=1e-9)
    assert model.validation_loss_curve_[-1] > best


@pytest.mark.parametrize("restore_best", [None, True, False])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_which_weights_are_kept(split, early_stopping, restore_best):
    X, y, X_val, y_val = split
    model = classifier(
        early_stopping=early_stopping, restore_best=restore_best, learning_rate_init=0.05,
        max_iter=12, n_iter_no_change=100,
    ).fit(X, y, X_val=X_val, y_val=y_val)  # fmt: skip
    scores = model.validation_scores_
    assert max(scores) > scores[-1], "a run that says nothing"
    is_best = early_stopping if restore_best is None else restore_best
    assert model.score(X_val, y_val) == pytest.approx(max(scores) if is_best else scores[-1])


def test_best_weights_by_training_loss(split):
    X, y, *_ = split
    wild = {"learning_rate_init": 0.4, "alpha": 0, "tol": 0, "batch_size": 30}
    model = classifier(restore_best=True, max_iter=14, **wild).fit(X, y)
    assert min(model.loss_curve_) == model.best_loss_ < model.loss_curve_[-1]
    # A loss is that before its epoch's steps, batch by batch: the weights are those after.
    stopped = classifier(max_iter=1 + int(np.argmin(model.loss_curve_)), **wild).fit(X, y)
    assert_array_equal(model.coefs_[0], stopped.coefs_[0])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "scoring", ["balanced_accuracy", make_scorer(balanced_accuracy_score)], ids=["name", "callable"]
)
def test_any_scorer(split, scoring, solver):
    X, y, X_val, y_val = split
    model = classifier(scoring=scoring, solver=solver).fit(X, y, X_val=X_val, y_val=y_val)
    expected = balanced_accuracy_score(y_val, model.predict(X_val))
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)


def test_scorer_on_held_out_rows(digits):
    """Without validation data of one's own, early stopping sets rows aside for the scorer."""
    model = classifier(scoring="neg_log_loss", early_stopping=True, max_iter=3).fit(*digits)
    assert_allclose(model.validation_scores_, -np.array(model.validation_loss_curve_), rtol=1e-9)


def test_scorers_see_the_running_mean(split):
    X, y, X_val, y_val = split
    common = {"ema_decay": 0.9, "max_iter": 3}
    own, theirs = (
        classifier(**common, scoring=s).fit(X, y, X_val=X_val, y_val=y_val)
        for s in (None, "accuracy")
    )
    assert_allclose(own.validation_scores_, theirs.validation_scores_, rtol=1e-12)
    assert own.score(X_val, y_val) == pytest.approx(own.validation_scores_[-1])


def test_partial_fit_with_validation_data(split):
    X, y, X_val, y_val = split
    model = classifier()
    for _ in range(3):
        model.partial_fit(X, y, classes=range(10), X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == len(model.loss_curve_) == 3
    assert model.score(X_val, y_val) == pytest.approx(model.validation_scores_[-1])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"X_val": 0}, "X_val was given without y_val"),
        ({"y_val": 1}, "y_val was given without X_val"),
        ({"sample_weight_val": 1}, "sample_weight_val was given without X_val"),
        ({"X_val": 2, "y_val": 1}, "X_val has 63 features, but MLPClassifier is expecting 64"),
        ({"X_val": 0, "y_val": 3}, "y_val has classes that are not in y: \\[77\\]"),
        ({"X_val": 0, "y_val": 4}, "inconsistent numbers of samples"),
    ],
    ids=str,
)
def test_unfit_validation_data(split, arguments, told):
    X, y, X_val, y_val = split
    values = [X_val, y_val, X_val[:, 1:], np.where(y_val == 3, 77, y_val), y_val[1:]]
    model = classifier()
    with pytest.raises(ValueError, match=told):
        model.fit(X, y, **{name: values[k] for name, k in arguments.items()})
    assert not hasattr(model, "coefs_")


@pytest.mark.skipif(parse_version("1.6") > SKLEARN, reason="transform_input is from 1.6")
def test_in_a_pipeline(split):
    """Validation data go through the steps before, like X."""
    X, y, X_val, y_val = split
    with sklearn.config_context(enable_metadata_routing=True):
        net = classifier().set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), net, transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    assert pipeline.score(X_val, y_val) == pytest.approx(pipeline[-1].validation_scores_[-1])


@pytest.mark.parametrize(
    ("Y", "y_val"),
    [
        (np.zeros((30, 3)), np.zeros(30)),
        (np.zeros(30), np.zeros((30, 3))),
        (np.ones((30, 2), int), np.arange(30) % 2),
    ],
    ids=["one of three outputs", "three of one", "labels"],
)
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_validation_targets_of_another_form(Y, y_val, scoring):
    X = np.random.RandomState(0).normal(size=(30, 4))
    cls = MLPClassifier if Y.dtype == int else MLPRegressor
    model = cls(hidden_layer_sizes=(3,), scoring=scoring, max_iter=2)
    with pytest.raises(ValueError, match=r"y_val has the shape|Multilabel|multilabel"):
        model.fit(X, Y, X_val=X, y_val=y_val)


def test_scorers_get_the_weights(split):
    X, y, X_val, y_val = split
    weights = np.random.RandomState(0).gamma(2.0, size=len(y_val))
    own, theirs = (
        classifier(scoring=s).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
        for s in (None, "accuracy")
    )
    assert_allclose(own.validation_scores_, theirs.validation_scores_, rtol=1e-12)


@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_scorers_and_callbacks_get_the_names(split):
    X, y, X_val, y_val = (pd.DataFrame(v).add_prefix("p") if v.ndim == 2 else v for v in split)
    classifier(scoring="accuracy").fit(X, y, X_val=X_val, y_val=y_val)
    classifier(scoring="accuracy", early_stopping=True).fit(X, y)
    if HAS_CALLBACKS:
        classifier().set_callbacks(Recorder()).fit(X, y)


def test_watching_in_turn(split):
    """Training loss or validation score, with validation data or without, call by call."""
    X, y, X_val, y_val = split
    model = classifier(early_stopping=True, warm_start=True, max_iter=2).fit(X, y)
    model.set_params(early_stopping=False).fit(X, y, X_val=X_val, y_val=y_val)
    model.fit(X, y)
    model.set_params(early_stopping=True).fit(X, y, X_val=X_val, y_val=y_val)
    model.set_params(early_stopping=False).partial_fit(X, y, X_val=X_val, y_val=y_val)
    assert np.isfinite(model.loss_curve_).all()


def test_keeping_the_best_does_not_stop(split):
    """What stops is the training loss, unless early stopping is asked for."""
    X, y, X_val, y_val = split
    model = classifier(restore_best=True, max_iter=40, learning_rate_init=0.01, tol=1e-5)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.n_iter_ == 40
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.score(X_val, y_val) == pytest.approx(max(model.validation_scores_))


@pytest.mark.parametrize("incremental", [False, True])
def test_a_fit_that_fails_on_the_way_leaves_the_model(split, incremental):
    """Weights, curves and moments, although training writes to those very arrays."""
    X, y, X_val, y_val = split

    def scorer(estimator, X, y):
        if scorer.fails:
            raise RuntimeError("on purpose")
        return 0.0

    scorer.fails = False
    validation = {"X_val": X_val, "y_val": y_val}
    model = classifier(scoring=scorer, warm_start=True, ema_decay=0.5).fit(X, y, **validation)
    other = clone(model).fit(X, y, **validation)
    scorer.fails = True
    with pytest.raises(RuntimeError, match="on purpose"):
        (model.partial_fit if incremental else model.fit)(X, y, **validation)
    scorer.fails = False
    for fitted in (model, other):
        fitted.partial_fit(X, y, **validation)
    assert model.loss_curve_ == other.loss_curve_
    assert_array_equal(model.coefs_[0], other.coefs_[0])


def test_history(split):
    X, y, X_val, y_val = split
    model = classifier().fit(X, y, X_val=X_val, y_val=y_val)
    history = model.history_
    assert list(history) == [
        "epoch", "loss", "learning_rate", "validation_loss", "validation_score",
    ]  # fmt: skip
    assert history["loss"] == model.loss_curve_
    frame = history.as_frame()
    assert frame.shape == (5, 4)
    assert frame.index.tolist() == [1, 2, 3, 4, 5]
    assert frame["learning_rate"].tolist() == [0.001] * 5
    assert list(classifier().fit(X, y).history_) == ["epoch", "loss", "learning_rate"]
    assert list(classifier(solver="lbfgs").fit(X, y).history_) == ["epoch", "loss"]


def test_history_without_pandas(split, monkeypatch):
    history = classifier(max_iter=1).fit(*split[:2]).history_
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        history.as_frame()


def test_loss_curve_of_lbfgs_falls(split):
    model = classifier(solver="lbfgs", max_iter=30).fit(*split[:2])
    assert len(model.loss_curve_) == model.n_iter_
    assert (np.diff(model.loss_curve_) < 0).all()
    assert model.loss_curve_[-1] == pytest.approx(model.loss_, rel=1e-12)


def test_bar(split, capsys):
    """A bar with the loss and the score, and nothing of the plain text."""
    X, y, X_val, y_val = split
    classifier(verbose="progress").fit(X, y, X_val=X_val, y_val=y_val)
    out = capsys.readouterr().out
    assert "5/5" in out
    assert "loss" in out
    assert "validation score" in out
    assert "Iteration" not in out


def test_bar_of_few_bits(split, capsys):
    """The bar multiplies the number of epochs, which 8 bits cannot hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        classifier(verbose="progress", max_iter=np.int8(3)).fit(*split[:2])
    assert "3/3" in capsys.readouterr().out


def test_bar_without_rich(split, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"pip install 'sknet-mlp\[progress\]'"):
        classifier(verbose="progress").fit(*split[:2])


class Recorder:
    """A callback that writes down what it hears, and stops after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.heard, self.scores = [], []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.heard.append(f"{context.task_name} ends")
        self.scores.append(fitted_estimator.score(X, y))
        self.last = fitted_estimator
        return self.heard.count("epoch ends") == self.stop_after

    def teardown(self, estimator, context):
        self.heard.append("teardown")


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_callbacks_hear_of_every_epoch(split, solver):
    X, y, *_ = split
    callback = Recorder()
    model = classifier(solver=solver, max_iter=3).set_callbacks(callback).fit(X, y)
    epochs = ["epoch begins", "epoch ends"] * 3
    assert callback.heard == ["setup", "fit begins", *epochs, "fit ends", "teardown"]
    assert callback.scores[-1] == model.score(X, y)
    assert callback.scores[0] != callback.scores[2]
    copies = [callback.last.coefs_[0], model.coefs_[0]]
    assert_array_equal(*copies)
    assert not np.shares_memory(*copies)


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_callback_stops_training(split, solver, recwarn):
    X, y, *_ = split
    model = classifier(solver=solver, max_iter=50).set_callbacks(Recorder(stop_after=2)).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert not recwarn.list


@needs_callbacks
def test_callbacks_are_torn_down_when_a_fit_fails(split):
    X, y, *_ = split
    callback = Recorder()
    model = classifier(solver="sgd", learning_rate_init=1e300).set_callbacks(callback)
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        model.fit(X, y)
    assert callback.heard[-1] == "teardown"
    assert not hasattr(model, "_callback_fit_ctx")


@needs_callbacks
def test_scoring_monitor(split):
    from sklearn.callback import ScoringMonitor

    X, y, *_ = split
    monitor = ScoringMonitor(scoring="accuracy")
    model = classifier().set_callbacks(monitor).fit(X, y)
    scores = [line["accuracy"] for line in monitor.get_logs().data if line["task_name"] == "epoch"]
    assert len(scores) == model.n_iter_
    assert scores[-1] == model.score(X, y)


@needs_callbacks
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_nested_bars_under_a_grid_search(split, backend, capsys):
    from sklearn.callback import ProgressBar

    X, y, *_ = split
    search = GridSearchCV(classifier(max_iter=3), {"alpha": [0.1, 1.0]}, cv=2, n_jobs=2)
    search.set_callbacks(ProgressBar())
    with joblib.parallel_config(backend=backend):
        search.fit(X, y)
    out = capsys.readouterr().out
    assert "GridSearchCV" in out
    assert "MLPClassifier" in out


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_callbacks_do_not_touch_training(split, n_jobs):
    """A copy that predicts shares no moments: training goes on as without it."""
    X, y, *_ = split
    models = [classifier(n_jobs=n_jobs, max_iter=8, hidden_layer_sizes=(400,)) for _ in range(2)]
    models[0].set_callbacks(Recorder())
    for model in models:
        model.fit(X, y).set_callbacks() if hasattr(model, "set_callbacks") else None
        model.partial_fit(X, y)
    assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])


@needs_callbacks
def test_every_epoch_of_lbfgs_that_begins_ends(split):
    callback = Recorder()
    X, y, *_ = split
    model = classifier(solver="lbfgs", max_iter=500, tol=1e-2, alpha=1.0).set_callbacks(callback)
    model.fit(X, y)
    assert model.n_iter_ < 500, "it did not converge"
    assert callback.heard.count("epoch begins") == callback.heard.count("epoch ends")


@needs_callbacks
def test_callbacks_are_shared_by_clones(split):
    callback = Recorder()
    model = clone(classifier().set_callbacks(callback))
    model.fit(*split[:2])
    assert "fit ends" in callback.heard


def test_verbose_text_with_validation_data(split, capsys):
    X, y, X_val, y_val = split
    model = classifier(verbose=True, max_iter=2).fit(X, y, X_val=X_val, y_val=y_val)
    lines = io.StringIO(capsys.readouterr().out).read().splitlines()
    assert lines == [
        line
        for k in range(2)
        for line in (
            f"Iteration {k + 1}, loss = {model.loss_curve_[k]:.8f}",
            f"Validation score: {model.validation_scores_[k]:f}",
        )
    ]


TIME = r" *\d+\.\d m?s"


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_lines_of_epochs(solver, split, capsys):
    """`verbose=2` prints a line for each epoch, with its time and its values."""
    X, y, X_val, y_val = split
    model = classifier(verbose=2, max_iter=3, solver=solver, training_scoring="accuracy")
    model.fit(X, y, X_val=X_val, y_val=y_val)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for k, line in enumerate(lines):
        number, seconds, *values = line.split(" - ")
        assert number == f"Epoch {k + 1}/3"
        assert re.fullmatch(TIME, seconds)
        assert values == [
            f"loss {model.loss_curve_[k]:.4f}",
            f"training score {model.training_scores_[k]:.4f}",
            f"validation loss {model.validation_loss_curve_[k]:.4f}",
            f"validation score {model.validation_scores_[k]:.4f}",
        ]


def test_the_time_of_an_epoch_leaves_out_compilations(monkeypatch):
    now, compiled = 10.0, 3.0
    monkeypatch.setattr(observers, "perf_counter", lambda: now)
    monkeypatch.setattr(observers, "seconds_compiling", lambda: compiled)
    watch = observers.Stopwatch()
    watch.starts()
    now, compiled = 25.0, 16.0
    watch.stops()
    assert watch.last == watch.total == 2.0


def test_lines_of_epochs_are_aligned(capsys):
    """Their values end in zeros, and have one digit or two before the unit of time."""
    lines, records = EpochLines(100), Records(None, None)
    losses = [2.0, 1.95, 0.356, 0.0, 1e-9, 1.5e7]
    for seconds, loss in zip([0.002, 0.0123, 0.5, 2.0, 10.0, 100.0], losses, strict=True):
        lines.stopwatch.stops = lambda: None
        lines.stopwatch.last = seconds
        records.epochs.append(EpochRecord(loss, None, None, None))
        lines.epoch_ends(None, records)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch   1/100 -   2.0 ms - loss 2.0000",
        "Epoch   2/100 -  12.3 ms - loss 1.9500",
        "Epoch   3/100 - 500.0 ms - loss 0.3560",
        "Epoch   4/100 -    2.0 s - loss 0.0000",
        "Epoch   5/100 -   10.0 s - loss 1.000e-09",
        "Epoch   6/100 -  100.0 s - loss 1.500e+07",
    ]


def test_lines_of_what_is_known(split, capsys):
    X, y, *_ = split
    model = classifier(verbose=2, max_iter=200, n_iter_no_change=1, tol=10.0).fit(X, y)
    *lines, plateau = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_ < 200
    for k, line in enumerate(lines):
        start = re.escape(f"Epoch {k + 1:3}/200 - ")
        assert re.fullmatch(f"{start}{TIME} - loss {model.loss_curve_[k]:.4f}", line)
    assert plateau.startswith("Training loss did not improve")
    model.partial_fit(X, y)
    assert re.match(f"Epoch 1/1 - {TIME} - loss ", capsys.readouterr().out)


@pytest.mark.parametrize("verbose", [True, 1, np.True_])
def test_the_training_score_in_scikit_learn_s_lines(verbose, split, capsys):
    X, y, *_ = split
    model = classifier(verbose=verbose, max_iter=2, training_scoring="accuracy").fit(X, y)
    assert capsys.readouterr().out.splitlines() == [
        line
        for k in range(2)
        for line in (
            f"Iteration {k + 1}, loss = {model.loss_curve_[k]:.8f}",
            f"Training score: {model.training_scores_[k]:f}",
        )
    ]
