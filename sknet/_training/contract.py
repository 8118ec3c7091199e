"""What goes into training, and what comes out of it: plain values, no estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from sknet._engine.memory import CSR, Data, check_rows, n_rows
from sknet._engine.threads import ThreadTeam
from sknet._network.network import Network
from sknet._training.averaging import Averaging
from sknet._training.records import Records
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

Quantity = Literal["loss", "score"]
StoppedBy = Literal["patience", "n_epochs", "callback", "interrupt", "divergence", "solver"]
Limit = Literal["", "max_iter", "max_fun"]


class Regularization(NamedTuple):
    """The measures against overfitting other than early stopping, and scales of the inputs.

    Attributes
    ----------
    l2, l1 : float
        Strengths of the penalties, which are ``l2 / 2`` times the sum of squared
        weights, and ``l1`` times the sum of absolute weights.
    decay : float
        Decoupled weight decay. Each step multiplies the weights by
        1 - rate * decay.
    clip : float or None
        Largest norm of a gradient.
    dropout : sequence of float
        Probability of dropping a unit, for each hidden layer.
    noise : float
        Standard deviation of the noise that is added to X.
    seed : int
        Seed of dropout and noise.
    scale_rate : float
        Learning rate of a learned scale of each input, as a multiple of that of the weights. 0
        means no scales. They begin at 1, in trainings that begin anew, and take the steps of Adam.
        One thread trains then, by 'adam' or 'adamw', without penalties and without clipping.
    """

    l2: float = 0.0
    l1: float = 0.0
    decay: float = 0.0
    clip: float | None = None
    dropout: Sequence[float] = ()
    noise: float = 0.0
    seed: int = 0
    scale_rate: float = 0.0


class TrainingConfig(NamedTuple):
    """The parameters of training, checked, in the forms that training takes.

    Attributes
    ----------
    max_iter : int
        Number of epochs that a learning-rate schedule spans; for L-BFGS the
        maximum number of iterations.
    n_epochs : int
        Maximum number of epochs of this call: 1 for `partial_fit`.
    batch_size : int
        Rows of a minibatch.
    shuffle : bool
        Whether rows are shuffled before each epoch.
    tol : float
        Least change that counts as progress; for L-BFGS the largest component
        of the gradient at which it stops.
    watch : {'loss', 'score'}
        What must make progress: training loss or validation score.
    patience : float
        Training stops after more than so many epochs in a row without progress.
    keep_best : {'loss', 'score'} or None
        By what the best epoch is chosen, whose weights are kept. None keeps the
        last weights.
    schedule : Schedule
        Of the learning rate.
    regularization : Regularization
    n_jobs : int or None
        Maximum number of threads, as joblib has it.
    max_fun : int
        Maximum number of evaluations of the loss by L-BFGS.
    """

    max_iter: int
    n_epochs: int
    batch_size: int
    shuffle: bool
    tol: float
    watch: Quantity
    patience: float
    keep_best: Quantity | None
    schedule: Schedule
    regularization: Regularization
    n_jobs: int | None
    max_fun: int


class Dataset(NamedTuple):
    """What a network learns from.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), CSR or Unconverted
        Read-only, in the dtype of the network, or float32.
    targets : ndarray of shape (n_samples, n_targets)
        What the loss takes.
    weights : ndarray of shape (n_samples,)
        Sample weights.
    rows : ndarray of int64 of shape (n_rows,)
        Numbers of the rows that count.
    """

    X: Data
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray

    def check(self, network: Network) -> None:
        """Raise ValueError unless kernels can take the rows for this network's."""
        n = n_rows(self.X)
        n_features = self.X.n_features if isinstance(self.X, CSR) else self.X.shape[1]
        if n_features != network.layout.units[0]:
            raise ValueError(
                f"X has {n_features} features, but the network takes {network.layout.units[0]}."
            )
        if len(self.targets) != n or len(self.weights) != n:
            raise ValueError(
                f"X has {n} rows, but there are {len(self.targets)} targets and "
                f"{len(self.weights)} weights."
            )
        check_rows(self.rows, n)
        network.check_targets(self.targets)

    def copy(self) -> Dataset:
        """Return a copy of a dense data set."""
        assert isinstance(self.X, np.ndarray)
        return Dataset(self.X.copy(), *(array.copy() for array in self[1:]))

    def load(self, other: Dataset) -> None:
        """Copy another dense data set of the same shapes into this one."""
        assert isinstance(self.X, np.ndarray)
        assert isinstance(other.X, np.ndarray)
        np.copyto(self.X, other.X)
        for own, given in zip(self[1:], other[1:], strict=True):
            np.copyto(own, given)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        parts = self.X.arrays if isinstance(self.X, CSR) else (self.X,)
        return sum(array.nbytes for array in (*parts, *self[1:]))


class Validation(NamedTuple):
    """Data that training does not learn from, and how a network is scored on them.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), CSR or Unconverted
        Read-only, in the dtype of the network, or float32. It may have other rows,
        too: those held out stay among the training data.
    rows : ndarray of int64 of shape (n_rows,)
        Numbers of the rows that count.
    targets : ndarray of shape (n_rows, n_targets)
        What the loss takes, for these rows alone.
    weights : ndarray of shape (n_rows,)
        Sample weights, for these rows alone.
    score : callable or None
        Takes the network and its raw scores of these rows, and returns a score,
        the higher the better; it may be NaN. It may overwrite the raw scores, but must not
        keep them: the next epoch writes to the same array. None scores by the negative loss.
    name : str
        What the score is called in messages.
    """

    X: Data
    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    score: Callable[[Network, np.ndarray], float] | None
    name: str


class EpochEnd(NamedTuple):
    """What the next epoch of the same call depends on, besides weights, optimiser and records.

    Attributes
    ----------
    rows : ndarray of int64 of shape (n_rows,)
        Numbers of the rows, in the order in which the last epoch took them. Shuffling
        starts from this order.
    generator : dict
        State of the random numbers, as ``RandomState.get_state(legacy=False)`` returns it.
    best_params : ndarray of shape (n_parameters,) or None
        The weights of the best epoch so far, if they are kept.
    has_scores : bool
        Whether an epoch of this call had a finite validation score.
    """

    rows: np.ndarray
    generator: dict[str, Any]
    best_params: np.ndarray | None
    has_scores: bool


@dataclass
class TrainingState:
    """What training continues from, in a later call or in this one after an interruption.

    Training works on copies of its arrays.

    Attributes
    ----------
    optimizer : Optimizer or None
        None for L-BFGS.
    averaging : Averaging or None
        None if parameters are not averaged.
    records : Records
        The curves of this call. Best values and counts include earlier calls.
    samples_seen : int
        Training samples seen in all calls. While a call runs, in those before it.
    epoch_end : EpochEnd or None
        None between two calls. Otherwise training continues after the last epoch on
        record, as if there had been no interruption.
    """

    optimizer: Optimizer | None
    averaging: Averaging | None
    records: Records
    samples_seen: int = 0
    epoch_end: EpochEnd | None = None


class Outcome(NamedTuple):
    """The result of a call of training.

    Attributes
    ----------
    network : Network
        The trained network.
    state : TrainingState
        What a later call continues from.
    stopped_by : str
        Why training ended: 'patience', 'n_epochs', 'callback', 'interrupt',
        'divergence' (loss or weights became non-finite) or 'solver'.
    loss : float
        The last training loss.
    has_best : bool
        Whether the network has the weights of the best epoch of this call.
    missing_score : str
        If no epoch of this call had a finite validation score, the name of this
        score. It is "" if one was finite, or if none was needed to choose the best
        weights or to stop training.
    message : str
        Why L-BFGS failed to converge, or "" if it did not fail.
    limit : {'', 'max_iter', 'max_fun'}
        Which of its limits L-BFGS has reached.
    """

    network: Network
    state: TrainingState
    stopped_by: StoppedBy
    loss: float
    has_best: bool = False
    missing_score: str = ""
    message: str = ""
    limit: Limit = ""


class Runner(Protocol):
    """What computes gradients and takes steps for training, on this machine or on others."""

    data: Dataset
    batch_size: int

    @property
    def step_flops(self) -> float:
        """Floating-point operations of a step on this machine."""
        ...

    @property
    def grad(self) -> np.ndarray:
        """The gradient of the last minibatch, with penalties, where no steps are taken."""
        ...

    @property
    def n_steps(self) -> int:
        """Steps made so far, at any moment, also when an epoch was interrupted."""
        ...

    @property
    def objective(self) -> float:
        """What `run` returns or, if it was interrupted, would have returned."""
        ...

    def restart(self, n_steps: int) -> None:
        """Count steps from a number of steps that are done, for another call of training."""

    def run(self, team: ThreadTeam, order: np.ndarray, rates: np.ndarray) -> float:
        """Pass once over the data, and return the sum of rows times objective by minibatch."""
        ...


# Takes network, data, batch_size, regularization, optimizer and averaging.
MakeRunner = Callable[..., Runner]
