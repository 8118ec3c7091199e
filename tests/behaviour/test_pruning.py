"""Trials of optuna that a callback gives up after some epochs."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from factories import LEARNING
from optuna.trial import TrialState
from snapshots import assert_same_weights, assert_unchanged, snapshot
from versions import needs_callbacks

from sknet import MLPClassifier

pytestmark = needs_callbacks

N_STARTUP, N_WARMUP, N_EPOCHS = 3, 2, 12


class Prune:
    """Reports the score of each epoch to a trial, and ends the fit of one that is given up."""

    def __init__(self, trial):
        self.trial = trial

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.trial.report(estimator.validation_scores_[-1], step=context.task_id)
            if self.trial.should_prune():
                raise optuna.TrialPruned

    def teardown(self, estimator, context):
        pass


def net_of(trial):
    rate = trial.suggest_float("learning_rate_init", 1e-5, 1e-1, log=True)
    parameters = {"max_iter": N_EPOCHS, "n_iter_no_change": np.inf, "learning_rate_init": rate}
    return MLPClassifier(**{**LEARNING, **parameters})


@pytest.fixture(scope="module")
def halves(digits):
    X, y = digits
    return {"X": X[:400], "y": y[:400], "X_val": X[400:700], "y_val": y[400:700]}


@pytest.fixture(scope="module")
def study(halves):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=N_STARTUP, n_warmup_steps=N_WARMUP),
    )
    study.optimize(
        lambda trial: (
            net_of(trial).set_callbacks(Prune(trial)).fit(**halves).validation_scores_[-1]
        ),
        n_trials=12,
    )
    return study


def test_poor_trials_are_pruned_by_the_rule_of_the_median(study):
    """A trial ends at the first epoch at which its best score is below the others' median."""
    pruned = study.get_trials(states=[TrialState.PRUNED])
    complete = study.get_trials(states=[TrialState.COMPLETE])
    assert len(pruned) >= 2
    assert len(complete) >= N_STARTUP
    assert len(pruned) + len(complete) == 12
    for trial in study.trials:
        earlier = [other.intermediate_values for other in complete if other.number < trial.number]
        scores = list(trial.intermediate_values.values())
        is_below = [
            len(earlier) >= N_STARTUP
            and epoch >= N_WARMUP
            and max(scores[: epoch + 1]) < np.median([others[epoch] for others in earlier])
            for epoch in range(len(scores))
        ]
        if trial in pruned:
            assert is_below.index(True) == len(scores) - 1
        else:
            assert not any(is_below)
            assert len(scores) == N_EPOCHS


def test_scores_are_those_of_a_fit_that_is_not_watched(study, halves):
    for trial in study.trials:
        scores = list(trial.intermediate_values.values())
        net = net_of(optuna.trial.FixedTrial(trial.params)).fit(**halves)
        assert net.validation_scores_[: len(scores)] == scores


def test_a_pruned_fit_leaves_the_estimator_as_it_was(study, halves):
    class Doomed(optuna.trial.FixedTrial):
        def should_prune(self):
            return True

    trial = Doomed({"learning_rate_init": 0.01})
    net = net_of(trial).fit(**halves).set_callbacks(Prune(trial))
    before = snapshot(net)
    with pytest.raises(optuna.TrialPruned):
        net.fit(**halves)
    assert_unchanged(net, before)
    assert_same_weights(net.set_callbacks().fit(**halves), net_of(trial).fit(**halves))
