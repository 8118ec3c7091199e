"""Scorers that score a network while it is in training: on validation data, on training data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sklearn.metrics import check_scoring

if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.contract import Dataset
    from sknet._training.observers import StateNow
    from sknet._training.records import Records


class ScoreInTraining:
    """Scores the network in training by a scorer, which is given an estimator and data.

    Parameters
    ----------
    model : object
        The estimator in training, which the scorer is given.
    parameter : str
        Name of the parameter that holds the scorer: 'scoring' or 'training_scoring'.
    show : callable
        Takes a network and makes it the one that `model` predicts with.
    X, y : object
        Data as the scorer takes them.
    options : dict
        Further arguments of the scorer: ``sample_weight``, or none.
    whence : callable
        Returns what to add to an error that the scorer raises.
    """

    def __init__(
        self,
        model: Any,
        parameter: str,
        show: Callable[[Network], None],
        X: Any,
        y: Any,
        options: dict[str, Any],
        whence: Callable[[], str],
    ) -> None:
        scoring = vars(model)[parameter]
        self.model, self.show, self.X, self.y, self.options = model, show, X, y, options
        self.scorer, self.name = check_scoring(model, scoring=scoring), f"{parameter}={scoring!r}"
        self.whence = whence

    def __call__(self, network: Network, scores: object = None) -> float:
        """Return the score of a network. The scorer predicts, and needs no raw scores.

        Raises
        ------
        Exception
            What the scorer raises, with a note on the data that it was given.
        """
        self.show(network)
        try:
            return float(self.scorer(self.model, self.X, self.y, **self.options))
        except Exception as error:
            note = f"The error comes from the scorer of {self.name}. {self.whence()}"
            if type(error) is ValueError:
                raise ValueError(f"{error}\n{note}") from error
            error.add_note(note)  # code of users may look for its own exception
            raise


class NegativeLoss:
    """Scores the network in training by the negative loss of the training rows, without penalties.

    Parameters
    ----------
    data : Dataset
    n_jobs : int or None
        Maximum number of threads, as joblib has it.
    """

    def __init__(self, data: Dataset, n_jobs: int | None) -> None:
        self.data, self.n_jobs = data, n_jobs

    def __call__(self, network: Network) -> float:
        """Return the score of a network."""
        from sknet._network.mean_loss import MeanLoss
        from sknet._network.prediction import Predictor

        X, targets, weights, rows = self.data
        # L-BFGS trains in float64, whatever X is.
        dtype = network.params.dtype
        targets, weights = (a[rows].astype(dtype, copy=False) for a in (targets, weights))
        mean_loss = MeanLoss(network, targets, weights)
        Predictor(network).scores(X, rows, n_jobs=self.n_jobs, out=mean_loss.scores)
        return -mean_loss()


class TrainingScore:
    """Records the score of the training data after each epoch.

    It is the first of all observers, so that the others find the score among the records.

    Parameters
    ----------
    score : callable
        Takes the network in training and returns its score.
    """

    def __init__(self, score: Callable[[Network], float]) -> None:
        self.score = score

    def epoch_begins(self) -> None:
        """Do nothing."""

    def epoch_ends(self, network: Network, records: Records, state: StateNow | None = None) -> bool:
        """Score the network, and let training continue."""
        records.epochs[-1] = records.last._replace(training_score=self.score(network))
        return False

    def plateau(self, message: str) -> None:
        """Do nothing."""

    def training_ends(self, network: Network, records: Records) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Hold nothing."""
