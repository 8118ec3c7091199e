"""The end of an epoch: record it, validate, check for progress, keep the best weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from sknet._network.mean_loss import MeanLoss
from sknet._network.network import Network
from sknet._network.prediction import Predictor
from sknet._training.contract import EpochEnd, TrainingConfig, Validation
from sknet._training.observers import Observer, StateNow
from sknet._training.records import EpochRecord, Records


class EarlyStopping:
    """Counts epochs in a row without progress, and keeps the weights of the best one.

    Progress is a training loss at least ``tol`` below the best one, or a
    validation score at least ``tol`` above the best one. A score of NaN is not
    progress.

    Parameters
    ----------
    config : TrainingConfig
    records : Records
        The best values and counts so far, which are updated.
    after : EpochEnd, default=None
        The epoch after which an interrupted training goes on.
    """

    def __init__(
        self, config: TrainingConfig, records: Records, after: EpochEnd | None = None
    ) -> None:
        self.config, self.records = config, records
        self.best_params = None if after is None else after.best_params
        self.has_scores = after is not None and after.has_scores

    def epoch_ends(self, network: Network) -> None:
        """Check the last epoch for progress, and keep its weights if it is the best."""
        records, config = self.records, self.config
        last, is_better = records.last, {"loss": False, "score": False}
        is_stalled = False
        if records.best_loss is not None:
            is_stalled = not last.loss <= records.best_loss - config.tol
            is_better["loss"] = last.loss < records.best_loss
        score = last.validation_score
        if score is not None and records.best_score is not None:
            is_better["score"] = isfinite(score) and score > records.best_score
            self.has_scores = self.has_scores or bool(np.isfinite(score))
            if config.watch == "score":
                is_stalled = not score >= records.best_score + config.tol
        if config.keep_best is not None and is_better[config.keep_best]:
            self.best_params = network.params.copy()
        # All at once, so that an interrupt finds values that agree.
        vars(records).update(
            best_loss=last.loss if is_better["loss"] else records.best_loss,
            best_score=score if is_better["score"] else records.best_score,
            n_stalled=records.n_stalled + 1 if is_stalled else 0,
            n_watched=len(records.epochs),
        )

    def missing_score(self, validation: Validation | None) -> str:
        """Return the name of the score that was needed, if no epoch had a finite one, else ""."""
        is_needed = "score" in (self.config.watch, self.config.keep_best)
        is_missing = is_needed and self.records.epochs and not self.has_scores
        return validation.name if validation is not None and is_missing else ""

    @property
    def is_exhausted(self) -> bool:
        """Whether there was no progress for longer than the patience."""
        return self.records.n_stalled > self.config.patience

    def plateau_message(self, consequence: str) -> str:
        """Return the message about the plateau, in scikit-learn's words."""
        quantity = "Validation score" if self.config.watch == "score" else "Training loss"
        return (
            f"{quantity} did not improve more than tol={self.config.tol:f} for "
            f"{self.config.patience} consecutive epochs. {consequence}"
        )


class Validator:
    """Evaluates the network in training on validation data.

    Parameters
    ----------
    predictor : Predictor
        The predictor of the network in training.
    validation : Validation
    n_jobs : int or None
        Maximum number of threads, as joblib has it.
    """

    def __init__(
        self, predictor: Predictor, validation: Validation, n_jobs: int | None = None
    ) -> None:
        self.predictor, self.validation, self.n_jobs = predictor, validation, n_jobs
        self._mean_loss = MeanLoss(predictor.network, validation.targets, validation.weights)

    def evaluate(self) -> tuple[float, float]:
        """Return loss and score of the network as it is now."""
        X, rows, _, _, score, _ = self.validation
        scores = self._mean_loss.scores
        self.predictor.scores(X, rows, n_jobs=self.n_jobs, out=scores)
        loss = self._mean_loss()
        # The score may overwrite the raw scores.
        return loss, -loss if score is None else score(self.predictor.network, scores)


def end_epoch(
    network: Network,
    early_stopping: EarlyStopping,
    validator: Validator | None,
    observers: Sequence[Observer],
    loss: float,
    learning_rate: float | None,
    state: StateNow | None = None,
) -> bool:
    """End an epoch of any solver, and return whether an observer stops training.

    It records the epoch, evaluates the validation data, checks for progress, keeps the
    best weights, and calls the observers, in this order.

    Parameters
    ----------
    network : Network
        The network in training.
    early_stopping : EarlyStopping
        Holds the records.
    validator : Validator or None
        Evaluates this network, if there are validation data.
    observers : sequence of Observer
    loss : float
        Mean training loss of the epoch.
    learning_rate : float or None
        Mean over the epoch's steps.
    state : callable, default=None
        Returns what training continues from after this epoch. None for L-BFGS, which
        cannot be continued.
    """
    records = early_stopping.records
    record(records, validator is not None, loss, learning_rate)
    if validator is not None:
        validation_loss, score = validator.evaluate()
        records.epochs[-1] = records.last._replace(
            validation_loss=validation_loss, validation_score=score
        )
    early_stopping.epoch_ends(network)
    stops = [observer.epoch_ends(network, records, state) for observer in observers]
    return any(stops)


def record(records: Records, is_validated: bool, loss: float, learning_rate: float | None) -> None:
    """Add an epoch to the records. Its validation values are NaN until it is scored."""
    unknown = np.nan if is_validated else None
    unscored = np.nan if records.has_training_scores else None
    records.epochs.append(EpochRecord(loss, learning_rate, unknown, unknown, unscored))
