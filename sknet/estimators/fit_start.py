"""What a fit starts from: the network, the records, the optimiser and the observers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from sknet._engine.memory import parts_of
from sknet.activations import Activation
from sknet.estimators.callbacks import SklearnCallbacks
from sknet.estimators.data import GivenData
from sknet.estimators.fit_outcome import attributes_of_records, curves_with
from sknet.estimators.fitted_network import FlatParameters
from sknet.estimators.parameters import hidden_activations
from sknet.estimators.pickles import REBUILT
from sknet.estimators.runs import Run
from sknet.estimators.targets import Targets
from sknet.initialization import draw_layer
from sknet.losses import Loss
from sknet.optimizers import Optimizer

if TYPE_CHECKING:
    from sknet._network.layout import Layout
    from sknet._network.network import Network
    from sknet._training.contract import TrainingState, Validation
    from sknet._training.observers import Observer
    from sknet._training.records import Records

Curves = dict[str, list[float] | None]

# Stands for the validation data of a call that does not compare them with others.
UNKNOWN = "unknown"


def network_to_train(
    model: Any,
    targets: Targets,
    encoded: np.ndarray,
    X: Any,
    hidden: list[int],
    fitted: FlatParameters | None,
    random_state: np.random.RandomState,
) -> Network:
    """Return the network to train, and note on the model what it is made of.

    Parameters
    ----------
    model : object
        The estimator in training.
    targets : ClassTargets or NumericTargets
    encoded : ndarray of shape (n_samples, n_targets)
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    hidden : list of int
        Units of each hidden layer.
    fitted : FlatParameters or None
        Weights to continue from. None draws new ones.
    random_state : RandomState
        Source of random numbers for new weights.

    Raises
    ------
    ValueError
        If the weights to continue from have other widths or activations than those
        that the parameters ask for.
    """
    from sknet._network.layout import Layout
    from sknet._network.network import Network

    loss = Loss.find(model.loss, targets.kind)
    settings = loss.settings(vars(model))
    n_outputs = targets.n_outputs(encoded, vars(model))
    names = hidden_activations(model.activation, len(hidden))
    if fitted is None:
        layout = Layout((X.shape[1], *hidden, n_outputs))
        params = _draw(model, layout, names, X.dtype, random_state)
    else:
        layout, params = fitted
        _check_agreement(model, layout, hidden, names, n_outputs)
    model.n_layers_, model.n_outputs_ = len(layout.units), n_outputs
    model.out_activation_ = loss.out_activation
    model._fitted_loss, model._fitted_activations = (loss.name, settings), names
    parts = [Activation.get(name) for name in names]
    return Network(layout, params, parts, loss, settings)


def _draw(
    model: Any,
    layout: Layout,
    names: tuple[str, ...],
    dtype: Any,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Draw weights and biases. The output layer uses the initialiser of the last hidden layer."""
    parts = [Activation.get(name) for name in names]
    parts.append(parts[-1] if parts else Activation.get(hidden_activations(model.activation, 1)[0]))
    layers = [
        draw_layer(model.weight_init, random_state, *pair, activation)
        for pair, activation in zip(pairwise(layout.units), parts, strict=True)
    ]
    return layout.join(*zip(*layers, strict=True)).astype(dtype, copy=False)


def _check_agreement(
    model: Any, layout: Layout, hidden: list[int], names: tuple[str, ...], n_outputs: int
) -> None:
    """Raise ValueError if parameters contradict the weights to continue from."""
    remedy = "or call fit with warm_start=False"
    if list(layout.units[1:-1]) != hidden:
        raise ValueError(
            f"hidden_layer_sizes={model.hidden_layer_sizes!r}, but the weights to continue from "
            f"have hidden layers of {list(layout.units[1:-1])} units. Set hidden_layer_sizes to "
            f"these, {remedy}."
        )
    before = getattr(model, "_fitted_activations", names)
    if len(before) == len(names) and tuple(before) != names:
        raise ValueError(
            f"activation={model.activation!r}, but the weights to continue from were fitted with "
            f"{list(before)}. Set activation to these, {remedy}."
        )
    if n_outputs != layout.units[-1]:
        raise ValueError(
            f"y has {n_outputs} outputs, but the network fitted before has {layout.units[-1]}. "
            f"Give the same outputs, {remedy}."
        )


def records_to_go_on(
    model: Any, is_first: bool, is_incremental: bool, validation: Validation | None
) -> tuple[Records, Curves]:
    """Return the best values so far, and the curves to which this call's epochs are appended.

    Both are new in the first call. They are also new in a warm start whose loss, score
    or validation set is another one than in the call before. Otherwise they continue,
    as in scikit-learn.
    """
    from sknet._training.records import Records

    state = vars(model)
    is_validated = validation is not None or model.early_stopping
    measured = {
        "loss": model._fitted_loss,
        "scoring": model.scoring,
        "training_scoring": model.training_scoring,
        "data": UNKNOWN if is_incremental else _digest(validation),
    }
    before = state.get("_measured", measured)
    has_changed = {
        name: not is_incremental and UNKNOWN not in (before[name], now) and before[name] != now
        for name, now in measured.items()
    }
    if not is_incremental or "_measured" not in state:
        model._measured = measured
    restarts_loss = is_first or has_changed["loss"]
    restarts_scores = restarts_loss or has_changed["scoring"] or has_changed["data"]
    if is_validated and state.get("validation_scores_") is None:
        restarts_scores = True  # the first call with validation data

    curves: Curves = {
        name: [] if restarts_loss else state.get(name, [])
        for name in ("loss_curve_", "learning_rate_curve_")
    }
    for name in ("validation_loss_curve_", "validation_scores_"):
        fresh: list[float] | None = [] if is_validated else None
        curves[name] = fresh if restarts_scores else state.get(name)
    is_scored, name = model.training_scoring is not None, "training_scores_"
    if restarts_loss or has_changed["training_scoring"]:
        state.pop(name, None)
    if is_scored or name in state:
        curves[name] = state.get(name, [])
    best_loss = None if restarts_loss else state.get("best_loss_")
    best_score = None if restarts_scores else state.get("best_validation_score_")
    # If the best value starts again, so does the count of epochs without progress.
    is_new = best_score is None if model.early_stopping else best_loss is None
    if model.early_stopping:
        best_loss = None  # as in scikit-learn
    elif best_loss is None:
        best_loss = np.inf
    if is_validated and best_score is None:
        best_score = -np.inf
    n_stalled = 0 if is_new else state.get("_no_improvement_count", 0)
    records = Records(best_loss, best_score, n_stalled, has_training_scores=is_scored)
    # Scorers and callbacks see these values while the first epoch runs.
    state |= attributes_of_records(records) | curves
    state["t_"] = 0 if is_first else state.get("t_", 0)
    state.setdefault("loss_", np.nan)
    return records, curves


def _digest(validation: Validation | None) -> str | None:
    """Return a digest that identifies a validation set. None stands for held-out rows."""
    if validation is None:
        return None
    digest = hashlib.blake2b(digest_size=16)
    X, _, *others = validation[:4]
    for array in chain(parts_of(X), others):
        digest.update(np.ascontiguousarray(array).reshape(-1).data)
    return digest.hexdigest()


def state_to_go_on(
    state: Mapping[str, Any], params: np.ndarray, records: Records, is_incremental: bool
) -> TrainingState:
    """Return what training continues from. `partial_fit` uses the optimiser of the call before.

    Parameters
    ----------
    state : mapping of str to object
        The model's attributes, as `plain_numbers` returns them.
    params : ndarray of shape (n_parameters,)
        The weights and biases to continue from.
    records : Records
    is_incremental : bool
        Whether it is for `partial_fit`.
    """
    from sknet._training.averaging import Averaging
    from sknet._training.contract import TrainingState

    if state["solver"] == "lbfgs":
        return TrainingState(None, None, records, state.get("t_", 0))
    optimizer = optimizer_to_go_on(state, params) if is_incremental else None
    if optimizer is None:
        optimizer = Optimizer.get(state["solver"]).start(state, params)
    averaging, decay = None, state["ema_decay"]
    if decay is not None:
        averaging = state.get("_averaging") if is_incremental else None
        if averaging is None or averaging.mean.size != params.size:
            averaging = Averaging(decay, params, params)
        averaging = Averaging(decay, averaging.mean, averaging.last)
    return TrainingState(optimizer, averaging, records, state.get("t_", 0))


def optimizer_to_go_on(state: Mapping[str, Any], params: np.ndarray) -> Optimizer | None:
    """Return the optimiser of the last call with the present hyperparameters.

    It is None if there is none, or if it is not the one to go on with: weights of other sizes may
    have been set by hand, and the solver may have been changed. `state` is that of `plain_numbers`.
    """
    optimizer, part = state.get("_optimizer"), Optimizer.table.get(state["solver"])
    if optimizer is None or type(optimizer) is not part:
        return None
    if optimizer.slots.size != part.n_slots * params.size:
        return None
    return optimizer.with_hyperparameters(state)


def observers_of(
    estimator: Any,
    model: Any,
    given: GivenData,
    curves: Curves,
    run: Run | None,
    n_rows: int,
) -> list[Observer]:
    """Return the observers: those of an ensemble, a report or bar, and scikit-learn's callbacks."""
    from sknet._training.observers import ConsoleReport, EpochLines

    before, seen = vars(estimator).copy(), model.t_
    changed: set[str] = set()  # names: a value may come back to what it was

    def attributes(network: Network, records: Records) -> dict[str, Any]:
        """Return what training has changed. The copy that scorers are given is changed, too."""
        model._show(network)
        vars(model).update(attributes_of_records(records), **curves_with(curves, records))
        if records.epochs:
            model.loss_ = records.last.loss
        if model.solver != "lbfgs":
            model.t_ = seen + n_rows * len(records.epochs)
        for name, value in vars(model).items():
            if name not in REBUILT and (name not in before or before[name] is not value):
                changed.add(name)
        return {name: vars(model)[name] for name in changed}

    observers: list[Observer] = [*getattr(model, "_added_observers", ())]
    is_incremental = run is not None and run.is_incremental
    n_epochs = 1 if is_incremental else int(model.max_iter)
    if model.verbose == "progress":
        from sknet._training.progress import ProgressBar

        observers.append(ProgressBar(n_epochs))
    elif model.verbose and int(model.verbose) > 1:
        observers.append(EpochLines(n_epochs))
    elif model.verbose:
        observers.append(ConsoleReport())
    # Callbacks of scikit-learn may cost more than a small epoch.
    if not is_incremental and getattr(estimator, "_skl_callbacks", None):
        observers.append(SklearnCallbacks(estimator, given, run, attributes))
    return observers
