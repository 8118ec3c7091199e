"""What training writes down of each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class EpochRecord(NamedTuple):
    """What one epoch, or one iteration of L-BFGS, came to.

    Attributes
    ----------
    loss : float
        Mean training loss, with penalties.
    learning_rate : float or None
        Mean over the epoch's steps; None for L-BFGS.
    validation_loss : float or None
        Mean loss of the validation data, without penalties. None without such
        data, NaN if training was interrupted before they were evaluated.
    validation_score : float or None
        Likewise.
    training_score : float or None
        Score of the training data after the epoch. None where nobody asked for it,
        NaN if training was interrupted before they were scored.
    """

    loss: float
    learning_rate: float | None
    validation_loss: float | None
    validation_score: float | None
    training_score: float | None = None


@dataclass
class Records:
    """The epochs of one call of training, and the bests so far.

    Attributes
    ----------
    best_loss : float or None
        Lowest training loss, earlier calls included. None where the validation
        score is watched instead, as in scikit-learn.
    best_score : float or None
        Highest validation score, earlier calls included.
    n_stalled : int
        Epochs in a row without progress.
    n_watched : int
        Epochs of this call that the bests and counts take into account.
    has_training_scores : bool
        Whether the training data are scored after each epoch.
    epochs : list of EpochRecord
        Those of this call.
    """

    best_loss: float | None
    best_score: float | None
    n_stalled: int = 0
    n_watched: int = 0
    has_training_scores: bool = False
    epochs: list[EpochRecord] = field(default_factory=list)

    @property
    def last(self) -> EpochRecord:
        """The last epoch."""
        return self.epochs[-1]

    def curve(self, name: str) -> list[float]:
        """Return one column of all epochs, without missing values."""
        return [v for v in (getattr(epoch, name) for epoch in self.epochs) if v is not None]


class History(dict[str, list[float]]):
    """What each epoch came to: columns by name, one entry for each epoch.

    Columns are "epoch", "loss", "learning_rate"; with validation data
    "validation_loss" and "validation_score"; with the parameter
    ``training_scoring`` "training_score". Columns that were not recorded for every
    epoch are left out.
    """

    def as_frame(self) -> Any:
        """Return the table as a :class:`pandas.DataFrame` with the epochs as index.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "History.as_frame needs pandas: pip install pandas. The history itself is a dict "
                "of lists."
            ) from error
        return pd.DataFrame(dict(self)).set_index("epoch")
