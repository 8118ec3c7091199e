"""The parameters of the estimators: which values are allowed, and what training makes of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions

from sknet.activations import Activation
from sknet.estimators.suggestions import value_meant
from sknet.estimators.user_warnings import warn_user
from sknet.initialization import Initializer
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule, schedule_for

if TYPE_CHECKING:
    from sknet._training.contract import Regularization, TrainingConfig


class RegisteredNames(StrOptions):
    """The strings that a function returns at each check, since users may add parts."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names
        self.type = str
        self.deprecated: set[str] = set()
        self.hidden = False

    @property
    def options(self) -> list[str]:
        """The strings that are allowed at present."""
        return sorted(self.names())


# What is allowed for the parameters of both estimators, and for those of one of them.
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", str, Interval(Integral, 1, None, closed="left")],
    "activation": [RegisteredNames(lambda: Activation.table), list, tuple],
    "solver": [RegisteredNames(lambda: [*Optimizer.table, "lbfgs"])],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [RegisteredNames(lambda: Schedule.table), callable],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose", StrOptions({"progress"})],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "n_jobs": [
        None,
        Interval(Integral, 1, None, closed="left"),
        Interval(Integral, None, -1, closed="right"),
    ],
    "weight_init": [RegisteredNames(lambda: ["auto", *Initializer.table]), callable],
    "l1_ratio": [Interval(Real, 0, 1, closed="both")],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "input_noise": [Interval(Real, 0, None, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "gradient_clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "ema_decay": [Interval(Real, 0, 1, closed="left"), None],
    "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
    "decay_rate": [Interval(Real, 0, 1, closed="right")],
    "decay_epochs": [Interval(Integral, 1, None, closed="left")],
    "scoring": [RegisteredNames(lambda: ["loss", *get_scorer_names()]), callable, None],
    "restore_best": ["boolean", None],
    "training_scoring": [RegisteredNames(lambda: ["loss", *get_scorer_names()]), callable, None],
}
FOR_LABELS: dict[str, list[Any]] = {
    "loss": [RegisteredNames(lambda: Loss.choices("codes", "indicators"))],
    "class_weight": [StrOptions({"balanced"}), dict, list, None],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "focal_gamma": [Interval(Real, 0, None, closed="left")],
}
FOR_NUMBERS: dict[str, list[Any]] = {
    "loss": [RegisteredNames(lambda: Loss.choices("numbers"))],
    "quantile": [Interval(Real, 0, 1, closed="neither"), list, tuple, np.ndarray],
    "non_crossing": ["boolean"],
    "huber_delta": [Interval(Real, 0, None, closed="neither")],
}


def plain_numbers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with NumPy's scalars as Python's numbers.

    Python's numbers do not overflow, as ``np.int8(100)`` would when it is multiplied.
    They do not turn arrays into dtypes that kernels do not know, either.
    """
    changed = [name for name, value in parameters.items() if isinstance(value, np.generic)]
    return {**parameters, **{name: _plain(parameters[name]) for name in changed}}


def _plain(scalar: np.generic) -> Any:
    # np.longdouble is no number of Python's, so its item() returns itself.
    return float(scalar) if isinstance(scalar, np.floating) else scalar.item()


def hidden_activations(activation: Any, n_hidden: int) -> tuple[str, ...]:
    """Return the name of each hidden layer's activation.

    Raises
    ------
    ValueError
        If a list has another length than the hidden layers, or an unknown name.
    """
    if isinstance(activation, str):
        return (activation,) * n_hidden
    names = tuple(activation)
    is_known = (isinstance(name, str) and name in Activation.table for name in names)
    if len(names) != n_hidden or not all(is_known):
        unknown = [name for name in names if name not in list(Activation.table)]
        suggestion = value_meant("activation", unknown[0], Activation.table) if unknown else ""
        raise ValueError(
            f"activation={activation!r} must be one name, or one name for each of the {n_hidden} "
            f"hidden layers, out of {sorted(Activation.table)}.{suggestion}"
        )
    return names


def dropout_rates(dropout: Any, n_hidden: int) -> list[float]:
    """Return the dropout probability of each hidden layer.

    Raises
    ------
    ValueError
        If a list has another length than the hidden layers, or a value outside
        [0, 1).
    """
    if isinstance(dropout, Real):
        return [float(dropout)] * n_hidden
    rates: list[Any] = list(dropout)
    if len(rates) != n_hidden or not all(isinstance(p, Real) and 0 <= float(p) < 1 for p in rates):
        raise ValueError(
            f"dropout={dropout!r} must be a number in [0, 1), or one number for each of the "
            f"{n_hidden} hidden layers."
        )
    return [float(p) for p in rates]


def check_together(parameters: Mapping[str, Any], n_hidden: int, is_sparse: bool) -> None:
    """Raise ValueError if parameters contradict each other, or do not allow sparse data."""
    rates, noise = dropout_rates(parameters["dropout"], n_hidden), parameters["input_noise"]
    if is_sparse and noise > 0:
        raise ValueError(
            f"input_noise={noise} would make sparse X dense. Set input_noise=0, or give X as an "
            "array."
        )
    if parameters["solver"] == "lbfgs":
        is_given = {
            "l1_ratio": parameters["l1_ratio"] > 0,
            "dropout": any(rates),
            "input_noise": noise > 0,
            "gradient_clip_norm": parameters["gradient_clip_norm"] is not None,
            "ema_decay": parameters["ema_decay"] is not None,
        }
        for name in (name for name, given in is_given.items() if given):
            raise ValueError(
                f"{name}={parameters[name]!r} is not for solver='lbfgs', whose line search needs "
                f"one smooth objective. Choose one of {sorted(Optimizer.table)}."
            )


def training_config(
    parameters: Mapping[str, Any],
    n_rows: int,
    n_hidden: int,
    has_validation: bool,
    is_incremental: bool,
    random_state: np.random.RandomState,
) -> TrainingConfig:
    """Return the parameters of an estimator that training needs.

    Parameters
    ----------
    parameters : mapping of str to object
        An estimator's attributes, as `plain_numbers` returns them. They are read as
        attributes rather than by `get_params`, since subclasses may have other signatures.
    n_rows : int
        Rows to train on.
    n_hidden : int
        Number of hidden layers.
    has_validation : bool
        Whether there are validation data.
    is_incremental : bool
        Whether it is for `partial_fit`, which trains for one epoch and keeps the last
        weights.
    random_state : RandomState
        Source of the seed of dropout and noise.
    """
    from sknet._training.contract import TrainingConfig

    early_stopping, restore_best = parameters["early_stopping"], parameters["restore_best"]
    restores = early_stopping if restore_best is None else restore_best
    return TrainingConfig(
        max_iter=parameters["max_iter"],
        n_epochs=1 if is_incremental else parameters["max_iter"],
        batch_size=batch_size(parameters, n_rows),
        shuffle=parameters["shuffle"],
        tol=parameters["tol"],
        watch="score" if early_stopping else "loss",
        patience=parameters["n_iter_no_change"],
        keep_best=("score" if has_validation else "loss")
        if restores and not is_incremental
        else None,
        schedule=schedule(parameters),
        regularization=regularization(parameters, n_hidden, random_state),
        n_jobs=parameters["n_jobs"],
        max_fun=parameters["max_fun"],
    )


def batch_size(parameters: Mapping[str, Any], n_rows: int) -> int:
    """Return the number of rows in a minibatch, which is at most the number of rows."""
    given = parameters["batch_size"]
    if isinstance(given, str):  # "auto"
        return min(200, n_rows)
    if given > n_rows and parameters["solver"] != "lbfgs":
        warn_user(
            f"Got `batch_size` less than 1 or larger than sample size: batch_size={given} with "
            f"{n_rows} training samples. It is going to be clipped to {n_rows}."
        )
    return min(int(given), n_rows)


_generators = threading.local()


def random_state_of(seed: Any, *, is_kept: bool) -> np.random.RandomState:
    """Return the source of random numbers that `random_state` asks for.

    Making a generator takes longer than a step. With `is_kept`, an int therefore seeds a
    generator that each thread keeps. This is for later calls of `partial_fit`, which draw
    no numbers once they have called code of users. That code might call `partial_fit` of
    another estimator, which draws from the same generator.
    """
    if not is_kept or not isinstance(seed, Integral):
        return check_random_state(seed)
    if not hasattr(_generators, "kept"):
        _generators.kept = np.random.RandomState(0)
    _generators.kept.seed(seed)
    return _generators.kept


def schedule(parameters: Mapping[str, Any]) -> Schedule:
    """Return the schedule of the learning rate that the solver follows."""
    name = parameters["learning_rate"]
    optimizer = Optimizer.table.get(parameters["solver"])
    if optimizer is not None and name in optimizer.ignores_schedules:
        name = "constant"
    return schedule_for(name, parameters)


def regularization(
    parameters: Mapping[str, Any], n_hidden: int, random_state: np.random.RandomState
) -> Regularization:
    """Return the measures against overfitting that the parameters ask for."""
    from sknet._training.contract import Regularization

    rates, noise = dropout_rates(parameters["dropout"], n_hidden), float(parameters["input_noise"])
    alpha, l1_ratio = parameters["alpha"], parameters["l1_ratio"]
    optimizer = Optimizer.table.get(parameters["solver"])
    has_decay = optimizer is not None and optimizer.decoupled_weight_decay
    is_random = any(rates) or noise > 0
    return Regularization(
        l2=float(alpha * (1 - l1_ratio)),
        l1=float(alpha * l1_ratio),
        decay=float(parameters["weight_decay"]) if has_decay else 0.0,
        clip=parameters["gradient_clip_norm"],
        dropout=tuple(rates),
        noise=noise,
        seed=int(random_state.randint(2**31 - 1)) if is_random else 0,
        scale_rate=parameters.get("_scale_rate", 0.0),  # which tabular estimators set
    )
