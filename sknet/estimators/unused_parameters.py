"""Warnings about parameters that have no effect because of the value of another parameter.

The table `RULES` has only parameters that scikit-learn does not have. Parameters of scikit-learn
give no warning where they have no effect, as in scikit-learn. Its grids therefore run without new
warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from sknet.estimators.known_parameters import defaults_of
from sknet.estimators.parameters import schedule
from sknet.estimators.user_warnings import warn_user
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule


class Call(NamedTuple):
    """What decides whether a parameter has an effect.

    Attributes
    ----------
    parameters : mapping of str to object
        An estimator's attributes.
    loss : type
        The :class:`~sknet.losses.Loss` that is minimised.
    n_hidden : int
        Number of hidden layers.
    has_validation_data : bool
        Whether the user gave validation data.
    is_incremental : bool
        Whether it is a call of `partial_fit`.
    """

    parameters: Mapping[str, Any]
    loss: type[Loss]
    n_hidden: int
    has_validation_data: bool
    is_incremental: bool


class Recorder(Mapping[str, Any]):
    """A mapping that notes which of its keys are read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def read_by(
    parameters: Mapping[str, Any], *readers: Callable[[Mapping[str, Any]], Any]
) -> set[str]:
    """Return the names of the parameters that functions of them read."""
    recorder = Recorder(parameters)
    with suppress(ValueError):  # of a part that is not the one in use
        for reader in readers:
            reader(recorder)
    return recorder.read


def read_by_loss(loss: type[Loss], parameters: Mapping[str, Any]) -> set[str]:
    """Return the names of the parameters that a loss reads."""
    return read_by(parameters, loss.settings, lambda recorder: loss.n_outputs(1, recorder))


def names_of(options: Iterable[str]) -> str:
    """Return names as a message lists them."""
    return " or ".join(map(repr, dict.fromkeys(options)))


# Each rule returns "", or what makes a parameter have no effect and what to do about it.


def _by_loss(name: str, call: Call) -> str:
    if name in read_by_loss(call.loss, call.parameters):
        return ""
    losses = [loss for loss in Loss.table.values() if loss.targets == call.loss.targets]
    users = names_of(v.public for v in losses if name in read_by_loss(v, call.parameters))
    return f"loss={call.parameters['loss']!r}. It applies to loss={users} only."


def _by_schedule(name: str, call: Call) -> str:
    if call.parameters["solver"] == "lbfgs":
        return f"solver='lbfgs', which has no learning rate. Choose one of {[*Optimizer.table]}."
    if name in read_by(call.parameters, schedule):
        return ""
    parts = Schedule.table.items()
    users = names_of(part for part, rate in parts if name in read_by(call.parameters, rate.start))
    chosen = call.parameters["learning_rate"]
    return f"learning_rate={chosen!r}. It applies to learning_rate={users} only."


def _by_solver(name: str, call: Call) -> str:
    users = [
        part for part, optimizer in Optimizer.table.items() if optimizer.decoupled_weight_decay
    ]
    solver = call.parameters["solver"]
    if solver in users:
        return ""
    return f"solver={solver!r}. It applies to solver={names_of(users)} only. All solvers use alpha."


def _by_alpha(name: str, call: Call) -> str:
    is_penalised = call.parameters["alpha"] > 0
    return "" if is_penalised else "alpha=0, which turns off both penalties. Set alpha > 0."


def _by_hidden_layers(name: str, call: Call) -> str:
    if call.n_hidden or np.ndim(call.parameters[name]) == 1:
        return ""
    sizes = call.parameters["hidden_layer_sizes"]
    return f"hidden_layer_sizes={sizes!r}, which has no units to drop. Add a hidden layer."


def _by_quantiles(name: str, call: Call) -> str:
    if other := _by_loss(name, call):
        return other
    quantile = call.parameters["quantile"]
    is_one = np.size(quantile) == 1
    return f"the single quantile={quantile!r}. Give several quantiles." if is_one else ""


def _by_validation(name: str, call: Call) -> str:
    if call.has_validation_data or call.parameters["early_stopping"]:
        return ""
    if call.is_incremental:
        return "X_val=None, since there are no validation data to score. Give X_val and y_val."
    return (
        "early_stopping=False and X_val=None, since there are no validation data to score. Give "
        "X_val and y_val, or set early_stopping=True."
    )


def _by_method(name: str, call: Call) -> str:
    return "partial_fit, which keeps the last weights. Call fit." if call.is_incremental else ""


RULES: dict[str, Callable[[str, Call], str]] = {
    "label_smoothing": _by_loss,
    "focal_gamma": _by_loss,
    "quantile": _by_loss,
    "non_crossing": _by_quantiles,
    "huber_delta": _by_loss,
    "l1_ratio": _by_alpha,
    "dropout": _by_hidden_layers,
    "weight_decay": _by_solver,
    "warmup_fraction": _by_schedule,
    "decay_rate": _by_schedule,
    "decay_epochs": _by_schedule,
    "scoring": _by_validation,
    "restore_best": _by_method,
}

# Values other than the default that change nothing, so that they need no warning.
NEUTRAL = {"weight_decay": 0, "decay_rate": 1, "restore_best": False}


def warn_of_unused(
    model: Any, n_hidden: int, has_validation_data: bool, is_incremental: bool
) -> None:
    """Warn about each parameter that was set and has no effect.

    Parameters
    ----------
    model : object
        The estimator in training. It knows its loss.
    n_hidden : int
        Number of hidden layers.
    has_validation_data : bool
        Whether the user gave validation data.
    is_incremental : bool
        Whether it is a call of `partial_fit`.
    """
    cls: Any = type(model)
    parameters, loss = vars(model), Loss.get(model._fitted_loss[0])
    call = Call(parameters, loss, n_hidden, has_validation_data, is_incremental)
    defaults = defaults_of(cls)
    for name, rule in RULES.items():
        if name not in parameters:
            continue
        value = parameters[name]
        if np.ndim(value) == 0 and value in (defaults.get(name), NEUTRAL.get(name)):
            continue
        if reason := rule(name, call):
            warn_user(f"{name}={value!r} has no effect with {reason}")
    if is_stopped_unlike_sklearn(call):
        warn_user(
            f"{cls.__name__} with early_stopping=True and solver='lbfgs' holds out validation data "
            "and stops early, whereas scikit-learn's estimator ignores early_stopping. Set "
            "early_stopping=False to train as scikit-learn does, or restore_best=True to stop "
            "early without this warning.",
            is_repeated=False,
        )


def is_stopped_unlike_sklearn(call: Call) -> bool:
    """Return whether L-BFGS stops early although the user may expect what scikit-learn does.

    Whoever gives validation data, `scoring` or `restore_best` does not expect it, since
    scikit-learn has none of them.
    """
    given = call.parameters
    says_so = call.has_validation_data or any(
        given[name] is not None for name in ("scoring", "restore_best")
    )
    return given["solver"] == "lbfgs" and given["early_stopping"] and not says_so
