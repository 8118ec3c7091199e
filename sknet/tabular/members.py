"""Members of an ensemble: an encoder and a net that were fitted on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.tabular.columns import Table
from sknet.tabular.configurations import Configuration
from sknet.tabular.encoding import Encoder

if TYPE_CHECKING:
    from sknet._training.observers import Observer


class Samples(NamedTuple):
    """Rows of a table with their targets and weights.

    Attributes
    ----------
    table : Table
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Classes by number, or numbers in float64.
    weights : ndarray of float64 of shape (n_samples,)
    """

    table: Table
    targets: np.ndarray
    weights: np.ndarray

    def rows(self, rows: np.ndarray) -> Samples:
        """Return some of the rows."""
        return Samples(self.table.rows(rows), self.targets[rows], self.weights[rows])


class Standardization(NamedTuple):
    """Mean and standard deviation of numbers to predict, by column.

    Attributes
    ----------
    mean, deviation : ndarray of float64 of shape (n_outputs,)
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, samples: Samples) -> Standardization:
        """Return the weighted mean and standard deviation. A constant column has the deviation 1.

        Parameters
        ----------
        samples : Samples
        """
        y, weights = samples.targets, samples.weights
        mean = np.average(y, axis=0, weights=weights)
        deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights))
        return cls(mean, np.where(deviation > 0, deviation, 1.0))

    def apply(self, y: np.ndarray) -> np.ndarray:
        """Return numbers with the mean 0 and the variance 1."""
        return (y - self.mean) / self.deviation

    def undo(self, y: np.ndarray) -> np.ndarray:
        """Return standardised numbers in their own units."""
        return y * self.deviation + self.mean


@dataclass(frozen=True)
class Member:
    """One member of an ensemble.

    Attributes
    ----------
    configuration : Configuration
        What it has drawn at random.
    encoder : Encoder
        Turns a table into what the net takes.
    network : MLPClassifier or MLPRegressor
        The net, with the weights of its best epoch. Its history has all epochs.
    standardization : Standardization or None
        How the numbers to predict were scaled for the net. None for classes.
    seconds : float
        How long it took to fit.
    """

    configuration: Configuration
    encoder: Encoder
    network: MLPClassifier | MLPRegressor
    standardization: Standardization | None
    seconds: float

    def scores(self, table: Table) -> np.ndarray:
        """Return raw scores of classes in float32, or predicted numbers in float64.

        Parameters
        ----------
        table : Table

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
        """
        X = _encoded(self.encoder, self.configuration, table)
        if self.standardization is None:
            return self.network.decision_function(X).reshape(table.n_rows, -1)
        predicted = self.network.predict(X).reshape(table.n_rows, -1)
        return self.standardization.undo(predicted.astype(np.float64))

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept, from 1 on."""
        return int(np.argmin(self.validation_losses)) + 1

    @property
    def validation_losses(self) -> list[float]:
        """The loss of the net for the rows that it was not trained on, by epoch."""
        return self.network.validation_loss_curve_ or []


def fit_member(
    net_of: Callable[[Configuration, int], MLPClassifier | MLPRegressor],
    configuration: Configuration,
    seed: int,
    training: Samples,
    validation: Samples,
    observers: Sequence[Observer],
) -> Member:
    """Fit a member.

    Parameters
    ----------
    net_of : callable
        Takes a configuration and a seed, and returns a net that is not fitted yet.
    configuration : Configuration
    seed : int
        Seed of the initial weights, of dropout, and of the order of rows.
    training : Samples
        What encoder and net are fitted on.
    validation : Samples
        By which the best epoch is chosen.
    observers : sequence of Observer
        They are told of each epoch.
    """
    began = perf_counter()
    encoder = Encoder(configuration.encoding, n_bins=configuration.n_bins).fit(training.table)
    net = net_of(configuration, seed)
    standardization = Standardization.of(training) if isinstance(net, MLPRegressor) else None

    def taken(samples: Samples) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return X, y and weights as the net takes them."""
        y = samples.targets
        if standardization is not None:
            y = standardization.apply(y).astype(np.float32)
            y = y[:, 0] if y.shape[1] == 1 else y
        return _encoded(encoder, configuration, samples.table), y, samples.weights

    X_val, y_val, weights_val = taken(validation)
    net._added_observers = observers
    net.fit(*taken(training), X_val=X_val, y_val=y_val, sample_weight_val=weights_val)
    # What only further training would need: observers, and the moments of the optimiser, which
    # take twice the memory of the weights.
    del net._added_observers
    net._optimizer = None
    return Member(configuration, encoder, net, standardization, perf_counter() - began)


def _encoded(encoder: Encoder, configuration: Configuration, table: Table) -> Any:
    X = encoder.transform(table, dtype=np.float32)
    X *= np.float32(configuration.input_scale)
    return X
