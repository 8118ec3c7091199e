"""What an interrupted run must be, so that a checkpoint of strangers can be trusted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from sknet._training.records import EpochRecord, Records
from sknet.exceptions import ModelFileError
from sknet.export.fitted_checks import (
    FLOATS,
    check_names,
    check_optimizer,
    is_count,
    is_curve,
    is_float,
    is_vector,
    or_none,
)


def check_run(model: Any, run: Any, n_parameters: int) -> None:
    """Check the run of a checkpoint, as `Run.image` returns it.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        An estimator with the parameters of the run.
    run : object
    n_parameters : int
        Number of weights and biases.

    Raises
    ------
    ModelFileError
        If a part of it is missing, unknown, or not what training writes down.
    """
    if not isinstance(run, dict):
        raise ModelFileError("The run is not an interrupted one.")
    check_names("parts of an interrupted run", run, {*SIMPLE, "slots"})
    for name, is_valid in SIMPLE.items():
        if not is_valid(run[name]):
            raise ModelFileError(f"The part {name!r} is not that of an interrupted run.")
    for name in ("last", "best_params"):
        if run[name] is not None and run[name].size != n_parameters:
            raise ModelFileError(f"The part {name!r} does not have the size of the network.")
    optimizer = {**run["optimizer"], "name": model.solver, "slots": run["slots"]}
    check_optimizer(model, optimizer, n_parameters)


def _is_float_vector(value: Any) -> bool:
    return is_vector(value, "f") and value.dtype in FLOATS


def _are_fingerprints(data: Any) -> bool:
    """Return whether a value has the shape, dtype and digest of each part of the data."""
    return isinstance(data, dict) and all(
        isinstance(part, dict)
        and part.keys() == {"shape", "dtype", "digest"}
        and isinstance(part["shape"], list)
        and all(map(is_count, part["shape"]))
        and isinstance(part["dtype"], str)
        and bool(re.fullmatch(r"[<>|][biuf][0-9]{1,2}", part["dtype"]))
        and isinstance(part["digest"], str)
        for part in data.values()
    )


def _are_epochs(epochs: Any) -> bool:
    """Return whether a value has curves of one length, and None for those that are not there."""
    if not isinstance(epochs, dict) or epochs.keys() != set(EpochRecord._fields):
        return False
    curves = [curve for curve in epochs.values() if curve is not None]
    return all(map(is_curve, [epochs["loss"], *curves])) and len(set(map(len, curves))) == 1


def _are_records(records: Any) -> bool:
    """Return whether a value has the best values and the counts of epochs."""
    return (
        isinstance(records, dict)
        and records.keys() == {field.name for field in fields(Records)} - {"epochs"}
        and all(or_none(is_float)(records[name]) for name in ("best_loss", "best_score"))
        and all(is_count(records[name]) for name in ("n_stalled", "n_watched"))
        and isinstance(records["has_training_scores"], bool)
    )


def _is_a(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


SIMPLE: Mapping[str, Callable[[Any], bool]] = {
    "id": _is_a(str),
    "before": _is_a(dict),
    "start": _is_a(np.random.RandomState),
    "generator": _is_a(np.random.RandomState),
    "data": _are_fingerprints,
    "epochs": _are_epochs,
    "records": _are_records,
    "optimizer": _is_a(dict),
    "last": or_none(_is_float_vector),
    "best_params": or_none(_is_float_vector),
    "samples_seen": is_count,
    "rows": lambda value: is_vector(value, "i"),
    "has_scores": _is_a(bool),
}
