"""The end of an epoch: against scikit-learn's count, and validation against plain NumPy."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier as Reference

from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._network.prediction import Predictor
from sknet._training.contract import EpochEnd, Regularization, TrainingConfig, Validation
from sknet._training.monitor import EarlyStopping, Validator, end_epoch, record
from sknet._training.records import EpochRecord, Records
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.schedules import schedule_for

NAN = np.nan
# Differences of these numbers are exact, so that a change of exactly tol turns up, too.
eighths = st.lists(st.integers(-9, 9).map(lambda n: n / 8), min_size=1, max_size=12)


def early_stopping(best_loss=None, best_score=None, **config):
    """Return the watch over training that has this configuration, without an epoch so far."""
    defaults = {
        "max_iter": 9, "n_epochs": 9, "batch_size": 2, "shuffle": False, "tol": 0.25,
        "watch": "score" if best_loss is None else "loss", "patience": 2, "keep_best": None,
        "schedule": schedule_for("constant", {"warmup_fraction": 0.0}),
        "regularization": Regularization(), "n_jobs": None, "max_fun": 9,
    }  # fmt: skip
    return EarlyStopping(TrainingConfig(**{**defaults, **config}), Records(best_loss, best_score))


def watch(watcher, losses, scores):
    """Let epochs end, and return the count after each. Parameters are the number of the epoch."""
    counts = []
    for loss, score in zip(losses, scores, strict=True):
        watcher.records.epochs.append(EpochRecord(loss, None, score, score))
        watcher.epoch_ends(SimpleNamespace(params=np.full(2, float(len(counts)))))
        assert watcher.records.n_watched == len(counts) + 1
        counts.append(watcher.records.n_stalled)
    return counts


def test_what_an_interrupted_training_has_kept_is_kept():
    params = np.ones(2)
    watcher = early_stopping(best_score=0.5)
    goes_on = EarlyStopping(watcher.config, watcher.records, EpochEnd(None, None, params, True))
    assert goes_on.best_params is params
    assert goes_on.has_scores
    assert (watcher.best_params, watcher.has_scores) == (None, False)


def scikit_learn(losses, scores, by_score, tol):
    """Return scikit-learn's count after each epoch, and its bests."""
    theirs = SimpleNamespace(
        best_loss_=np.inf, best_validation_score_=-np.inf, _no_improvement_count=0, tol=tol,
        loss_curve_=[], validation_scores_=[], coefs_=[], intercepts_=[], verbose=False,
    )  # fmt: skip
    update, counts = Reference._update_no_improvement_count, []
    data = [None] * (len(inspect.signature(update).parameters) - 2)
    for loss, score in zip(losses, scores, strict=True):
        theirs.loss_curve_.append(loss)
        theirs._score = lambda *_, score=score, **__: score
        update(theirs, by_score, *data)
        counts.append(theirs._no_improvement_count)
    return counts, theirs.best_validation_score_ if by_score else theirs.best_loss_


@given(eighths, st.sampled_from([0.0, 0.125, 0.25]))
def test_losses_are_counted_as_by_scikit_learn(losses, tol):
    watcher = early_stopping(best_loss=np.inf, keep_best="loss", tol=tol)
    counts = watch(watcher, losses, [None] * len(losses))
    assert (counts, watcher.records.best_loss) == scikit_learn(losses, losses, False, tol)
    assert_array_equal(watcher.best_params, np.full(2, np.argmin(losses)))
    assert watcher.records.best_score is None


@given(eighths, st.sampled_from([0.0, 0.125, 0.25]))
def test_scores_are_counted_as_by_scikit_learn(scores, tol):
    """The losses, which rise, play no part in it."""
    losses = np.arange(len(scores))
    watcher = early_stopping(best_score=-np.inf, keep_best="score", tol=tol)
    counts = watch(watcher, losses, scores)
    assert (counts, watcher.records.best_score) == scikit_learn(losses, scores, True, tol)
    assert_array_equal(watcher.best_params, np.full(2, np.argmax(scores)))
    assert watcher.records.best_loss is None


def test_the_other_quantity_is_noted_but_does_not_count():
    """The training loss is watched, and the best score chooses the weights."""
    watcher = early_stopping(best_loss=np.inf, best_score=-np.inf, keep_best="score")
    assert watch(watcher, [3.0, 2.0, 1.0, 1.0], [0.5, 0.75, 0.125, 0.875]) == [0, 0, 0, 1]
    assert (watcher.records.best_loss, watcher.records.best_score) == (1.0, 0.875)
    assert_array_equal(watcher.best_params, [3, 3])


@pytest.mark.parametrize("keep_best", [None, "loss", "score"])
def test_weights_are_kept_only_where_it_is_asked_for(keep_best):
    watcher = early_stopping(best_loss=np.inf, best_score=-np.inf, keep_best=keep_best)
    watch(watcher, [3.0, 2.0, 4.0], [0.5, 0.25, 0.125])
    kept = {"loss": [1, 1], "score": [0, 0], None: None}[keep_best]
    assert (watcher.best_params is None) == (kept is None)
    assert kept is None or watcher.best_params.tolist() == kept


def test_a_score_without_a_record_of_scores_is_left_alone():
    """Validation data may be given where only the loss is on record."""
    watcher = early_stopping(best_loss=np.inf)
    assert watch(watcher, [1.0], [0.5]) == [0]
    assert watcher.records.best_score is None


def test_the_best_weights_are_a_copy():
    watcher = early_stopping(best_loss=np.inf, keep_best="loss")
    watcher.records.epochs.append(EpochRecord(1.0, None, None, None))
    params = np.ones(2)
    watcher.epoch_ends(SimpleNamespace(params=params))
    params[:] = 7
    assert_array_equal(watcher.best_params, [1, 1])


def test_nan_is_no_progress_and_never_the_best():
    """scikit-learn, where a comparison with NaN is false, takes it for progress."""
    watcher = early_stopping(best_score=-np.inf, keep_best="score")
    assert watch(watcher, [1.0] * 4, [NAN, 0.5, NAN, NAN]) == [1, 0, 1, 2]
    assert watcher.records.best_score == 0.5
    assert_array_equal(watcher.best_params, [1, 1])
    watcher = early_stopping(best_loss=np.inf)
    assert watch(watcher, [1.0, NAN, NAN], [None] * 3) == [0, 1, 2]
    assert watcher.records.best_loss == 1.0


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_an_infinite_score_is_never_the_best(infinite):
    watcher = early_stopping(best_score=-np.inf, keep_best="score")
    watch(watcher, [1.0, 1.0], [infinite, 0.5])
    assert watcher.records.best_score == 0.5
    assert_array_equal(watcher.best_params, [1, 1])


def test_training_is_exhausted_after_more_than_its_patience():
    watcher, counts = early_stopping(best_loss=np.inf, patience=2), []
    for _ in range(5):
        watch_one_more(watcher)
        counts.append((watcher.records.n_stalled, watcher.is_exhausted))
    assert counts == [(0, False), (1, False), (2, False), (3, True), (4, True)]


def watch_one_more(watcher):
    watcher.records.epochs.append(EpochRecord(1.0, None, None, None))
    watcher.epoch_ends(SimpleNamespace(params=np.zeros(1)))


@pytest.mark.parametrize(
    ("config", "scores", "missing"),
    [
        ({"watch": "score"}, [NAN, np.inf], "recall"),
        ({"watch": "loss", "keep_best": "score"}, [NAN], "recall"),
        ({"watch": "score", "keep_best": "loss"}, [NAN], "recall"),
        ({"watch": "score"}, [0.5, NAN], ""),
        ({"watch": "score"}, [NAN, 0.5], ""),
        ({"watch": "score"}, [], ""),
        ({"watch": "loss", "keep_best": "loss"}, [NAN], ""),
        ({"watch": "loss", "keep_best": None}, [NAN], ""),
    ],
)
def test_which_score_is_missing(config, scores, missing):
    """That which was needed, if an epoch ended and none had a finite one."""
    watcher = early_stopping(best_loss=np.inf, best_score=-np.inf, **config)
    watch(watcher, [1.0] * len(scores), scores)
    assert watcher.missing_score(SimpleNamespace(name="recall")) == missing
    assert watcher.missing_score(None) == ""


@pytest.mark.parametrize(
    ("quantity", "words"), [("loss", "Training loss"), ("score", "Validation score")]
)
def test_scikit_learn_s_words_for_a_plateau(quantity, words):
    watcher = early_stopping(best_loss=np.inf, watch=quantity, tol=1e-4, patience=10)
    assert watcher.plateau_message("Stopping.") == (
        f"{words} did not improve more than tol=0.000100 for 10 consecutive epochs. Stopping."
    )


# The end of an epoch as a whole.


class Listener:
    """An observer that writes down what is on record when it is told."""

    def __init__(self, stops):
        self.stops, self.heard = stops, []

    def epoch_ends(self, network, records, state):
        self.heard.append((records.last, records.n_watched))
        return self.stops


def network_and_data(score=None):
    """Return a network, and validation data of some of the rows."""
    rng = np.random.RandomState(0)
    layout = Layout([4, 3, 2])
    params = rng.normal(size=layout.n_parameters)
    network = Network(layout, params, [Activation.table["tanh"]], Loss.table["squared_error"])
    X, rows = rng.normal(size=(9, 4)), np.array([8, 0, 3, 4, 6], np.int64)
    targets, weights = rng.normal(size=(5, 2)), rng.gamma(2.0, size=5)
    return network, Validation(X, rows, targets, weights, score, "a score")


def expected_scores(network, data):
    return naive.scores(network.coefs, network.intercepts, data.X[data.rows], "tanh")


def expected_loss(network, data):
    losses = naive.LOSSES["squared_error"](expected_scores(network, data), data.targets)
    return np.average(losses, weights=data.weights)


@pytest.mark.parametrize("stops", [(), (False, False), (True, False), (False, True)])
@pytest.mark.parametrize("score", [None, lambda network, scores: scores.sum()])
def test_an_epoch_is_validated_watched_and_told(score, stops):
    """Every observer hears of it, and has the validated epoch before it."""
    network, data = network_and_data(score)
    watcher = early_stopping(best_score=-np.inf)
    watcher.records.epochs.append(EpochRecord(9.0, 0.1, 9.0, -9.0))
    observers = [Listener(s) for s in stops]
    is_stopped = end_epoch(
        network, watcher, Validator(Predictor(network), data), observers, 0.5, 0.01
    )
    assert is_stopped is any(stops)
    assert watcher.records.epochs[0] == EpochRecord(9.0, 0.1, 9.0, -9.0)
    loss, rate, validation_loss, validation_score, training_score = watcher.records.epochs[1]
    assert (loss, rate, training_score) == (0.5, 0.01, None)
    # Some hundred operations on numbers of order 1.
    assert_allclose(validation_loss, expected_loss(network, data), rtol=1e-13)
    if score is None:
        assert validation_score == -validation_loss
    else:
        assert_allclose(validation_score, expected_scores(network, data).sum(), rtol=1e-12)
    assert watcher.records.best_score == validation_score
    assert [o.heard for o in observers] == [[(watcher.records.last, 2)]] * len(stops)


def overwritten_sum(network, scores):
    """Return the sum of raw scores, which are gone then."""
    total = scores.sum()
    scores.fill(np.nan)
    return total


@pytest.mark.parametrize("score", [None, overwritten_sum])
def test_each_epoch_is_validated_with_its_own_weights(score):
    """Buffers and programs are those of the epochs before, whatever became of the scores."""
    network, data = network_and_data(score)
    validator = Validator(Predictor(network), data)
    for _ in range(3):
        validation_loss, validation_score = validator.evaluate()
        # Some hundred operations on numbers of order 1.
        assert_allclose(validation_loss, expected_loss(network, data), rtol=1e-13)
        expected = -validation_loss if score is None else expected_scores(network, data).sum()
        assert_allclose(validation_score, expected, rtol=1e-12)
        network.params *= 0.5


def test_wrong_class_codes_of_validation_data_are_refused():
    """Kernels would index scores by them."""
    _, data = network_and_data()
    layout = Layout([4, 3])
    network = Network(layout, np.zeros(layout.n_parameters), [], Loss.table["log_loss"])
    codes = np.array([[0.0], [1], [2], [3], [0]])
    with pytest.raises(ValueError, match=r"class codes in y go from 0 to 3, .* 3 outputs"):
        Validator(Predictor(network), data._replace(targets=codes))


def test_an_epoch_without_validation_data():
    network, _ = network_and_data()
    watcher = early_stopping(best_loss=np.inf)
    assert end_epoch(network, watcher, None, [], 0.5, None) is False
    assert watcher.records.epochs == [EpochRecord(0.5, None, None, None)]
    assert watcher.records.best_loss == 0.5


def test_an_epoch_whose_scorer_is_interrupted_is_on_record():
    """Its validation values are NaN, and it does not count as watched."""

    def interrupted(network, scores):
        raise KeyboardInterrupt

    network, data = network_and_data(interrupted)
    watcher, listener = early_stopping(best_score=-np.inf), Listener(False)
    with pytest.raises(KeyboardInterrupt):
        end_epoch(network, watcher, Validator(Predictor(network), data), [listener], 0.5, 0.01)
    (epoch,) = watcher.records.epochs
    assert_array_equal(epoch[:4], (0.5, 0.01, NAN, NAN))
    assert (watcher.records.n_watched, listener.heard) == (0, [])


def test_what_is_unknown_of_an_epoch():
    """NaN where there are data to score, and nothing where there are none."""
    records = Records(None, None)
    record(records, False, 1.0, 0.1)
    records.has_training_scores = True
    record(records, False, 3.0, 0.3)
    record(records, True, 2.0, 0.2)
    assert records.epochs[0] == (1.0, 0.1, None, None, None)
    assert records.epochs[1][:4] == (3.0, 0.3, None, None)
    assert np.isnan(records.epochs[1].training_score)
    assert_array_equal(records.epochs[2], (2.0, 0.2, NAN, NAN, NAN))
