"""Who is told of training while it runs: the protocol of observers, and plain text."""

from __future__ import annotations

from typing import Protocol

from sknet._network.network import Network
from sknet._training.records import Records


class Observer(Protocol):
    """Is told when epochs begin and end. A new kind of report is one such class."""

    def epoch_begins(self) -> None:
        """Take note that an epoch begins."""

    def epoch_ends(self, network: Network, records: Records) -> bool:
        """Take note that an epoch has ended, and return whether to stop training.

        Parameters
        ----------
        network : Network
            The network so far. Its parameters change later.
        records : Records
            The last of its epochs is the one that has ended.
        """
        ...

    def plateau(self, message: str) -> None:
        """Take note that there was no progress for a while, and of what follows."""

    def training_ends(self, network: Network, records: Records) -> None:
        """Take note that training has ended without an error, with the network it has come to."""

    def close(self) -> None:
        """Release what the observer holds, whether training ended with an error or not."""


class ConsoleReport:
    """Prints each epoch, in scikit-learn's words."""

    def epoch_begins(self) -> None:
        """Print nothing."""

    def epoch_ends(self, network: Network, records: Records) -> bool:
        """Print loss and score."""
        print(f"Iteration {len(records.epochs)}, loss = {records.last.loss:.8f}")
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
