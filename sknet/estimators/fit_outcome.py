"""What a fit leaves: fitted attributes, warnings, or the error of a divergence."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isnan
from typing import TYPE_CHECKING, Any

from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning

from sknet.estimators.parameters import schedule

if TYPE_CHECKING:
    from sknet._training.contract import Outcome
    from sknet._training.records import Records

# The curves among the fitted attributes, and what training's records call them.
COLUMNS = {
    "loss_curve_": "loss",
    "learning_rate_curve_": "learning_rate",
    "validation_loss_curve_": "validation_loss",
    "validation_scores_": "validation_score",
    "training_scores_": "training_score",
}


def curves_with(
    curves: Mapping[str, list[float] | None], records: Records
) -> dict[str, list[float] | None]:
    """Return curves with the epochs of a call appended, as new lists."""
    return {
        name: None if curve is None else curve + records.curve(COLUMNS[name])
        for name, curve in curves.items()
    }


def additions_to(
    curves: Mapping[str, list[float] | None], records: Records
) -> list[tuple[Any, ...]]:
    """Return the calls that append the epochs of a fit to its curves."""
    return [
        (list.extend, curve, records.curve(COLUMNS[name]))
        for name, curve in curves.items()
        if curve is not None
    ]


def attributes_of_records(records: Records) -> dict[str, Any]:
    """Return the fitted attributes that count epochs or hold best values."""
    return {
        "n_iter_": len(records.epochs),
        "best_loss_": records.best_loss,
        "best_validation_score_": records.best_score,
        "_no_improvement_count": records.n_stalled,
    }


def attributes_of(outcome: Outcome) -> dict[str, Any]:
    """Return the fitted attributes of an outcome, except weights and curves."""
    state, records = outcome.state, outcome.state.records
    attributes = attributes_of_records(records)
    attributes["t_"] = state.samples_seen
    if not isnan(outcome.loss):  # else no epoch has ended
        attributes["loss_"] = outcome.loss
    if state.optimizer is not None:  # as in scikit-learn L-BFGS leaves the moments of others
        attributes |= {"_optimizer": state.optimizer, "_averaging": state.averaging}
    if outcome.stopped_by == "divergence":  # their numbers have diverged, too
        attributes |= {"_optimizer": None, "_averaging": None}
    return attributes


def has_chosen_length(model: Any) -> bool:
    """Return whether the user decided for how many epochs a stochastic solver trains."""
    return model.n_iter_no_change == inf or schedule(vars(model)).has_end


def notices_of(
    model: Any, outcome: Outcome, is_incremental: bool
) -> list[tuple[str, type[Warning]]]:
    """Return the warnings to give once the estimator has taken over the outcome.

    Raises
    ------
    ValueError
        If training diverged, and no weights of an earlier epoch are kept.
    """
    notices: list[tuple[str, type[Warning]]] = []
    n_epochs = len(outcome.state.records.epochs)
    if outcome.stopped_by == "divergence":
        what = (
            f"Solver produced non-finite parameter weights or loss in epoch {n_epochs + 1}: "
            "training diverged."
        )
        scale = "Scale the features, for example with sklearn.preprocessing.StandardScaler"
        scale += ", and y" if is_regressor(model) else ""
        rate = f"or decrease learning_rate_init={model.learning_rate_init}"
        if model.solver == "lbfgs":
            rate = "or choose solver='adam' with a small learning_rate_init"
        if not outcome.has_best:
            raise ValueError(f"{what} {scale}, {rate}.")
        notices.append(
            (
                f"{what} The weights of the best epoch before that are kept. {scale}, {rate}.",
                UserWarning,
            )
        )
    elif outcome.stopped_by == "interrupt":
        notices.append(("Training interrupted by user.", UserWarning))
    elif outcome.stopped_by == "n_epochs" and not (is_incremental or has_chosen_length(model)):
        notices.append(
            (
                f"Stochastic Optimizer: Maximum iterations ({model.max_iter}) reached and the "
                "optimization hasn't converged yet. Increase max_iter. To train for "
                f"{model.max_iter} epochs whether it converges or not, set "
                "n_iter_no_change=numpy.inf.",
                ConvergenceWarning,
            )
        )
    elif outcome.message:
        advice = ""
        if outcome.limit:
            what = {"max_iter": "iterations", "max_fun": "evaluations of the loss"}[outcome.limit]
            advice = (
                f"\nIncrease the number of {what} to improve the convergence "
                f"({outcome.limit}={vars(model)[outcome.limit]})."
            )
        notices.append(
            (
                f"lbfgs failed to converge after {n_epochs} iteration(s) {outcome.message}\n"
                f"{advice}\nYou might also want to scale the data, for example with "
                "sklearn.preprocessing.StandardScaler.",
                ConvergenceWarning,
            )
        )
    if outcome.missing_score:
        notices.append(
            (
                f"The validation score, {outcome.missing_score}, was not a finite number in any "
                "epoch. There is therefore no best epoch, and the last weights are kept. Check the "
                "validation data: some scores need at least two samples or two classes.",
                UserWarning,
            )
        )
    return notices
