"""Training by L-BFGS, in which SciPy minimises the same loss over all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from sknet._engine.memory import is_finite
from sknet._engine.threads import ThreadTeam
from sknet._network.network import Network
from sknet._network.prediction import Predictor
from sknet._training.contract import (
    Dataset,
    Limit,
    MakeRunner,
    Outcome,
    StoppedBy,
    TrainingConfig,
    TrainingState,
    Validation,
)
from sknet._training.epoch import EpochRunner
from sknet._training.monitor import EarlyStopping, Validator, end_epoch, record
from sknet._training.observers import Observer

AnyData = TypeVar("AnyData", Dataset, Validation)


def minimise(
    network: Network,
    data: Dataset,
    validation: Validation | None,
    config: TrainingConfig,
    state: TrainingState,
    observers: Sequence[Observer],
    make_runner: MakeRunner = EpochRunner,
) -> Outcome:
    """Minimise the loss, starting from the network's parameters.

    It computes in float64, since its line search compares losses that are too
    close for float32. X may stay float32: kernels convert the rows that they work
    on. Arguments and result are those of
    :func:`~sknet._training.trainer.train`. An iteration counts as an epoch.

    References
    ----------
    Zhu, C., Byrd, R. H., Lu, P., Nocedal, J. (1997). Algorithm 778: L-BFGS-B.
    ACM Transactions on Mathematical Software 23.
    """
    n, data = data.rows.size, _with_exact_targets(data)
    validation = None if validation is None else _with_exact_targets(validation)
    params = network.params.astype(np.float64)
    trial, current = network.with_params(params.copy()), network.with_params(params)
    runner = make_runner(trial, data, n, config.regularization)
    early_stopping, validator = EarlyStopping(config, state.records), None
    epochs = state.records.epochs
    stopped_by: StoppedBy | None = None
    is_iterating = False
    # The last accepted iteration: its number, loss and parameters. It is replaced as a whole, so
    # that an interrupt at any moment finds values that agree.
    accepted: tuple[int, float, np.ndarray] = (0, np.nan, params)

    def loss_and_grad(params: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal is_iterating
        if not is_iterating and len(epochs) < config.max_iter:
            for observer in observers:
                observer.epoch_begins()
            is_iterating = True
        trial.params[:] = params
        loss = runner.run(team, data.rows, np.zeros(1)) / n
        # Later the line search goes back to where the loss was finite.
        if not epochs and not (np.isfinite(loss) and np.isfinite(runner.grad).all()):
            raise _DivergedError
        return loss, runner.grad.copy()

    def iteration_ends(intermediate_result: OptimizeResult) -> None:
        nonlocal is_iterating, stopped_by, accepted
        if not np.isfinite(intermediate_result.fun):
            raise _DivergedError
        loss = float(intermediate_result.fun)
        accepted = len(epochs) + 1, loss, intermediate_result.x.copy()
        current.params[:] = intermediate_result.x
        try:
            is_stopped = end_epoch(current, early_stopping, validator, observers, loss, None)
        except StopIteration as error:  # by which SciPy would end the training in silence
            raise RuntimeError("A scorer or a callback raised StopIteration.") from error
        is_iterating = False
        if is_stopped:
            stopped_by = "callback"
        elif config.watch == "score" and early_stopping.is_exhausted:
            for observer in observers:
                observer.plateau(early_stopping.plateau_message("Stopping."))
            stopped_by = "patience"
        if stopped_by is not None:
            raise StopIteration

    loss, message = np.nan, ""
    limit: Limit = ""
    try:
        if validation is not None:
            validator = Validator(Predictor(current), validation, config.n_jobs)
        with ThreadTeam(config.n_jobs, runner.step_flops) as team:
            result = minimize(
                loss_and_grad,
                params.copy(),
                method="L-BFGS-B",
                jac=True,
                callback=iteration_ends,
                options={"maxfun": config.max_fun, "maxiter": config.max_iter, "gtol": config.tol},
            )
        current.params[:] = result.x
        loss = float(result.fun)
        if not (np.isfinite(loss) and is_finite(current.params)):
            raise _DivergedError
        if result.status != 0 and stopped_by is None:
            message = f"(status={result.status}):\n{result.message}"
            if result.status == 1:
                limit = "max_iter" if len(epochs) >= config.max_iter else "max_fun"
        stopped_by = stopped_by or "solver"
    except _DivergedError:
        stopped_by = "divergence"
    except KeyboardInterrupt:
        number, loss, current.params[:] = accepted
        if number == 0:
            raise
        stopped_by = "interrupt"
        if number > len(epochs):
            record(state.records, validation is not None, loss, None)
    finally:
        for observer in observers:
            observer.close()

    best = early_stopping.best_params
    fitted = (current.params if best is None else best).astype(network.params.dtype)
    if not is_finite(fitted):
        stopped_by, best = "divergence", None  # beyond float32
    state = TrainingState(None, None, state.records, state.samples_seen)
    return Outcome(
        network.with_params(fitted),
        state,
        stopped_by,
        loss,
        best is not None,
        early_stopping.missing_score(validation),
        message,
        limit,
    )


def _with_exact_targets(data: AnyData) -> AnyData:
    """Return data with targets and weights in float64."""
    targets, weights = (a.astype(np.float64, copy=False) for a in (data.targets, data.weights))
    return data._replace(targets=targets, weights=weights)


class _DivergedError(Exception):
    """The loss or its gradient is no longer finite."""
