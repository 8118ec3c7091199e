"""What training writes down of each epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from sknet._training.shown_columns import ShownColumns


class EpochRecord(NamedTuple):
    """What one epoch, or one iteration of L-BFGS, came to.

    Attributes
    ----------
    loss : float
        Mean training loss, with penalties.
    learning_rate : float or None
        Mean over the epoch's steps. None for L-BFGS.
    validation_loss : float or None
        Mean loss of the validation data, without penalties. None without such
        data. NaN if training was interrupted before they were evaluated.
    validation_score : float or None
        Score of the validation data. None and NaN as for the loss.
    training_score : float or None
        Score of the training data after the epoch. None without ``training_scoring``.
        NaN if training was interrupted before they were scored.
    """

    loss: float
    learning_rate: float | None
    validation_loss: float | None
    validation_score: float | None
    training_score: float | None = None


@dataclass
class Records:
    """The epochs of one call of training, and the best values so far.

    Attributes
    ----------
    best_loss : float or None
        Lowest training loss, earlier calls included. None if the validation score
        decides when to stop, as in scikit-learn.
    best_score : float or None
        Highest validation score, earlier calls included.
    n_stalled : int
        Epochs in a row without progress.
    n_watched : int
        Epochs of this call that the best values and counts take into account.
    has_training_scores : bool
        Whether the training data are scored after each epoch.
    epochs : list of EpochRecord
        The epochs of this call.
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


# What Keras calls columns of a history.
COLUMN_SYNONYMS = {
    "val_loss": "validation_loss",
    "val_accuracy": "validation_score",
    "val_score": "validation_score",
    "accuracy": "training_score",
    "lr": "learning_rate",
}

# What each fit needs for a column that not every history has.
NEEDS = {
    "validation_loss": "validation data",
    "validation_score": "validation data",
    "training_score": "the parameter training_scoring",
    "learning_rate": "a solver other than 'lbfgs'",
}


class History(ShownColumns):
    """The curves of all fits as a table: a dict of columns, with one entry for each epoch.

    The columns are "epoch", "loss" and "learning_rate". Validation data add
    "validation_loss" and "validation_score", and the parameter ``training_scoring``
    adds "training_score". A column that was not recorded for every epoch is left
    out.

    Consoles and notebooks show a history as a table with rounded numbers. Of a long
    history, they show only the first and the last epochs.
    """

    index = "epoch"

    def __missing__(self, name: object) -> list[float]:
        """Raise KeyError with the columns that there are, and the one that was probably meant."""
        column = COLUMN_SYNONYMS.get(str(name), str(name))
        known = [*self, *(other for other, column in COLUMN_SYNONYMS.items() if column in self)]
        close = get_close_matches(str(name), known, n=1, cutoff=0.7)
        if column in NEEDS and column not in self:
            advice = f" Each fit needs {NEEDS[column]} for {column!r}."
        else:
            meant = [COLUMN_SYNONYMS.get(other, other) for other in close]
            advice = "".join(f" Did you mean {other!r}?" for other in meant)
        raise KeyError(f"The history has no column {name!r}, only {list(self)}.{advice}")

    def _title(self) -> str:
        n_epochs = max(map(len, self.values()), default=0)
        return f"History of {n_epochs:,} epoch{'' if n_epochs == 1 else 's'}"
