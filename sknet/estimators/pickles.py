"""Pickles and copies of estimators: what they hold, and what is checked when they are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sknet.optimizers import Optimizer

# What is rebuilt when needed. The first two hold addresses of compiled code, which no copy may
# carry away. The last one is there only while callbacks are called.
REBUILT = ("_cache", "_trainers", "_validated", "_run")

# What a pickle of a fitted estimator has. The first two are written by fitting only, not by users
# who set weights by hand.
FITTED = (
    "_fitted_loss", "_fitted_activations", "coefs_", "intercepts_", "loss_curve_",
    "learning_rate_curve_", "n_features_in_", "n_outputs_", "n_layers_", "out_activation_",
    "n_iter_", "t_", "loss_", "best_loss_", "validation_scores_", "validation_loss_curve_",
    "best_validation_score_",
)  # fmt: skip

CURVES = (
    "loss_curve_", "learning_rate_curve_", "validation_loss_curve_", "validation_scores_",
    "training_scores_",
)  # fmt: skip


def pickled(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's attributes with the state of training as plain values and arrays.

    A pickle therefore does not name a private module of the package.
    """
    state = {name: value for name, value in state.items() if name not in REBUILT}
    optimizer, averaging = state.get("_optimizer"), state.get("_averaging")
    if optimizer is not None:
        state["_optimizer"] = {"name": optimizer.name, **vars(optimizer)}
    if averaging is not None:
        state["_averaging"] = dict(vars(averaging))
    return state


def unpickled(estimator: str, state: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of an estimator from what `pickled` has returned.

    Raises
    ------
    ValueError
        If the pickle lacks an attribute of a fitted estimator, or needs an
        optimiser that is not defined.
    """
    if any(name in state for name in FITTED[:2]):
        missing = [name for name in required if name not in state]
        if missing:
            raise ValueError(
                f"The pickle of {estimator} lacks {', '.join(missing)}. It is damaged, or it was "
                "written by another version of sknet. Load it with that version, or fit a new "
                "model."
            )
    state = dict(state)
    optimizer, averaging = state.get("_optimizer"), state.get("_averaging")
    if optimizer is not None:
        part = Optimizer.get(optimizer["name"])
        state["_optimizer"] = part.__new__(part)
        vars(state["_optimizer"]).update(
            {name: value for name, value in optimizer.items() if name != "name"}
        )
    if averaging is not None:
        from sknet.estimators.engine import load_engine

        load_engine()
        from sknet._training.averaging import Averaging

        state["_averaging"] = Averaging(**averaging)
    # Epochs are appended to these lists, and those of a copy are no longer the original's.
    state |= {name: list(state[name]) for name in CURVES if state.get(name) is not None}
    return state
