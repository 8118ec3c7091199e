"""Observers, which are called while training runs: their protocol, and reports in plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Protocol

from sknet._engine.compilation import seconds_compiling
from sknet._network.network import Network
from sknet._training.contract import TrainingState
from sknet._training.records import EpochRecord, Records

StateNow = Callable[[], TrainingState]


class Observer(Protocol):
    """An object that is called when epochs begin and end. A new kind of report is such a class."""

    def epoch_begins(self) -> None:
        """Act on the beginning of an epoch."""

    def epoch_ends(self, network: Network, records: Records, state: StateNow | None = None) -> bool:
        """Act on the end of an epoch, and return whether to stop training.

        Parameters
        ----------
        network : Network
            The network so far. Its parameters change later.
        records : Records
            The records. Their last epoch is the one that has ended.
        state : callable, default=None
            Returns what training would continue from if it were interrupted now. Its
            arrays change later. None for L-BFGS, which cannot be continued.
        """
        ...

    def plateau(self, message: str) -> None:
        """Act on a plateau. The message says what follows from it."""

    def training_ends(self, network: Network, records: Records) -> None:
        """Act on the end of training without an error. The network is the trained one."""

    def close(self) -> None:
        """Release what the observer holds, whether training ended with an error or not."""


class Stopwatch:
    """Measures how long epochs take, with the scores after them and without compilations."""

    def __init__(self) -> None:
        self._began = self.last = self.total = 0.0
        self.n_epochs = 0

    def starts(self) -> None:
        """Start to measure an epoch."""
        self._began = _seconds_of_work()

    def stops(self) -> None:
        """Note the seconds of the epoch in `last`, and add them to `total`."""
        self.last = _seconds_of_work() - self._began
        self.total += self.last
        self.n_epochs += 1

    @property
    def mean(self) -> float:
        """Mean seconds of the epochs that were measured."""
        return self.total / self.n_epochs


def _seconds_of_work() -> float:
    """Return the time on a clock that stands still while this thread compiles."""
    return perf_counter() - seconds_compiling()


def duration(seconds: float) -> str:
    """Return seconds as text that stays short.

    Examples
    --------
    >>> duration(0.0123), duration(2.5), duration(180)
    ('12.3 ms', '2.5 s', '180.0 s')
    """
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def values_of(epoch: EpochRecord, names: Sequence[str]) -> list[str]:
    """Return losses and scores of an epoch as texts, each after its name, without missing ones."""
    values = [(name.replace("_", " "), getattr(epoch, name)) for name in names]
    return [f"{name} {aligned(value)}" for name, value in values if value is not None]


def aligned(number: float) -> str:
    """Return a number as text whose digits stand below those of other epochs.

    Examples
    --------
    >>> aligned(1.95), aligned(0.356), aligned(0.0000356), aligned(12345.6)
    ('1.9500', '0.3560', '3.560e-05', '1.235e+04')
    """
    is_usual = number == 0 or 1e-3 <= abs(number) < 1e4
    return f"{number:.4f}" if is_usual else f"{number:.3e}"


class ConsoleReport:
    """Prints each epoch, in scikit-learn's words."""

    def epoch_begins(self) -> None:
        """Print nothing."""

    def epoch_ends(self, network: Network, records: Records, state: StateNow | None = None) -> bool:
        """Print loss and score."""
        print(f"Iteration {len(records.epochs)}, loss = {records.last.loss:.8f}")
        if records.last.training_score is not None:
            print(f"Training score: {records.last.training_score:f}")
        if records.last.validation_score is not None:
            print(f"Validation score: {records.last.validation_score:f}")
        return False

    def plateau(self, message: str) -> None:
        """Print the message."""
        print(message)

    def training_ends(self, network: Network, records: Records) -> None:
        """Print nothing."""

    def close(self) -> None:
        """Hold nothing."""


class EpochLines:
    """Prints one line for each epoch: how long it took, its losses and its scores.

    Parameters
    ----------
    n_epochs : int
        Maximum number of epochs.
    """

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs, self.stopwatch = n_epochs, Stopwatch()

    def epoch_begins(self) -> None:
        """Start the clock."""
        self.stopwatch.starts()

    def epoch_ends(self, network: Network, records: Records, state: StateNow | None = None) -> bool:
        """Print the line."""
        self.stopwatch.stops()
        width = len(str(self.n_epochs))
        number = f"Epoch {len(records.epochs):{width}}/{self.n_epochs}"
        names = ("loss", "training_score", "validation_loss", "validation_score")
        values = values_of(records.last, names)
        print(" - ".join([number, f"{duration(self.stopwatch.last):>8}", *values]))
        return False

    def plateau(self, message: str) -> None:
        """Print the message."""
        print(message)

    def training_ends(self, network: Network, records: Records) -> None:
        """Print nothing."""

    def close(self) -> None:
        """Hold nothing."""
