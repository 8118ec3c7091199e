"""A call of `fit` as plain values: what a checkpoint holds, and how a later call goes on."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sknet._engine.memory import CSR, Data, n_rows, parts_of
from sknet.estimators.fitted_network import flat_parameters
from sknet.estimators.labels import binarizer_of
from sknet.estimators.parameters import random_state_of
from sknet.estimators.pickles import INTERRUPTED, VERSION, pickled, requests_of

if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.contract import Dataset, TrainingState, Validation
    from sknet._training.observers import StateNow

# The attribute under which callbacks find the run of the estimator that they are called with.
RUN = "_run"

# Fitted attributes whose names do not end in an underscore.
PRIVATE = (
    "_fitted_loss",
    "_fitted_activations",
    "_measured",
    "_no_improvement_count",
    "_label_binarizer",
    "_optimizer",
    "_averaging",
)

# What begins anew. Its folder of checkpoints would be that of the interrupted run.
ANEW = "sklearn.base.clone(estimator).set_callbacks()"

# Parameters that may be changed before an interrupted run goes on: how long, and how it is run.
CHANGEABLE = ("max_iter", "n_jobs", "verbose")


class Run:
    """A call of `fit`, or of `partial_fit`, of one estimator.

    It goes on from the run that the estimator was restored from, if there is one.

    Parameters
    ----------
    estimator : object
        The estimator that the user fits.
    model : object
        The copy of it that is in training.
    is_incremental : bool
        Whether it is a call of `partial_fit`, which never goes on from an interrupted run.
    is_warm : bool
        Whether it starts from fitted weights.

    Attributes
    ----------
    random_state : RandomState
        The source of all random numbers of the run.
    state : callable or None
        Returns what training would continue from after the last epoch.
    """

    def __init__(self, estimator: Any, model: Any, *, is_incremental: bool, is_warm: bool) -> None:
        self.model, self.is_incremental = model, is_incremental
        self.state: StateNow | None = None
        self.interrupted = None if is_incremental else vars(estimator).get(INTERRUPTED)
        is_kept = is_incremental and is_warm
        if self.interrupted is None:
            self.random_state = random_state_of(model.random_state, is_kept=is_kept)
        else:
            _check_parameters(model, self.interrupted["parameters"])
            self.random_state = _generator_of(_state_of(self.interrupted["start"]))
            if isinstance(model.random_state, np.random.RandomState):
                # The user's own generator goes on, too.
                model.random_state.set_state(_state_of(self.random_state))
                self.random_state = model.random_state
        if not is_incremental:
            self.before = fitted_values(vars(model)) if is_warm else {}
            self.start = _state_of(self.random_state)

    @property
    def n_epochs(self) -> int:
        """Number of epochs that were done before this call goes on."""
        return 0 if self.interrupted is None else len(self.interrupted["epochs"]["loss"])

    @property
    def id(self) -> str:
        """What all checkpoints of a run have in common, also after it was interrupted."""
        if "_id" not in vars(self):
            self._id = uuid.uuid4().hex if self.interrupted is None else self.interrupted["id"]
        return self._id

    def takes(self, data: Dataset, validation: Validation | None) -> None:
        """Note the data, before rows are held out.

        Raises
        ------
        ValueError
            If an interrupted run had other data.
        """
        self._data = data, validation
        if self.interrupted is not None:
            _check_data(self.interrupted["data"], self.fingerprints())

    def fingerprints(self) -> dict[str, Any]:
        """Return shape, dtype and digest of each part of the data. They are computed once."""
        if "_fingerprints" not in vars(self):
            data, validation = self._data
            classes = np.asarray(vars(self.model).get("classes_", [])).astype(str)
            parts = {"X": (data.X,), "y": (data.targets, classes), "sample_weight": (data.weights,)}
            if validation is not None:
                X, _, targets, weights, *_ = validation
                parts |= {"X_val": (X,), "y_val": (targets,), "sample_weight_val": (weights,)}
            self._fingerprints = {name: _fingerprint(part) for name, part in parts.items()}
        return self._fingerprints

    def goes_on(
        self, network: Network, state: TrainingState, rows: np.ndarray
    ) -> tuple[Network, TrainingState]:
        """Return network and state to train from: those that are given, or the interrupted ones.

        Raises
        ------
        ValueError
            If the interrupted ones do not fit to the network or to the training rows.
        """
        saved = self.interrupted
        if saved is None:
            return network, state
        from sknet._training.averaging import Averaging
        from sknet._training.contract import EpochEnd, TrainingState
        from sknet._training.records import EpochRecord, Records

        like, optimizer = network.params, state.optimizer
        assert optimizer is not None  # only runs of stochastic solvers are saved
        n_slots = optimizer.n_slots
        sizes = {"params": 1, "last": 1, "best_params": 1, "slots": n_slots}
        for name, n in sizes.items():
            array = saved[name]
            if array is not None and (array.shape, array.dtype) != ((n * like.size,), like.dtype):
                raise ValueError(
                    f"The interrupted run has {name} of shape {array.shape} and dtype "
                    f"{array.dtype}, but the network has {like.size} parameters of {like.dtype}."
                )
        if not np.array_equal(np.sort(saved["rows"]), np.sort(rows)):
            raise ValueError(
                "The rows that the interrupted run learns from are not those that are drawn now. "
                "Resume it with the versions of NumPy and scikit-learn that it began with."
            )
        vars(optimizer).update(saved["optimizer"], slots=saved["slots"])
        averaging = state.averaging
        if averaging is not None:
            averaging = Averaging(averaging.decay, saved["params"], saved["last"])
        n_epochs, columns = self.n_epochs, saved["epochs"].values()
        columns = [[None] * n_epochs if column is None else column for column in columns]
        epochs = [EpochRecord(*values) for values in zip(*columns, strict=True)]
        records = Records(**saved["records"], epochs=epochs)
        best = saved["best_params"]
        end = EpochEnd(
            saved["rows"].astype(np.int64),
            _state_of(saved["generator"]),
            None if best is None else best.copy(),
            saved["has_scores"],
        )
        state = TrainingState(optimizer, averaging, records, saved["samples_seen"], end)
        return network.with_params(saved["params"]), state

    def image(self) -> dict[str, Any]:
        """Return the estimator and where its run stands, as plain values and arrays.

        The arrays are those of the run, which the next epoch changes. Before the first
        epoch it has the estimator alone.
        """
        parameters = self.model.get_params(deep=False)
        if isinstance(parameters["random_state"], np.random.RandomState):
            parameters["random_state"] = _generator_of(self.start)
        image: dict[str, Any] = {
            "class": type(self.model).__name__,
            "parameters": parameters,
            "fitted": fitted_values(vars(self.model)) | requests_of(vars(self.model)),
            "run": {"id": self.id, "before": self.before, "start": _generator_of(self.start)},
        }
        if self.state is not None:
            image["run"] |= {"data": self.fingerprints(), **_plain(self.state())}
        return image


def run_of(estimator: Any) -> Run:
    """Return the run of an estimator that is being fitted, for its callbacks.

    Raises
    ------
    TypeError
        If it is not an estimator of this package in a call of `fit` that can be saved.
    """
    try:
        run = vars(estimator)[RUN]
    except KeyError:
        raise TypeError(
            f"Only calls of fit of MLPClassifier and MLPRegressor can be saved, not those of "
            f"{type(estimator).__name__}. Remove the callback from it."
        ) from None
    assert isinstance(run, Run)
    return run


def attributes_to_start_from(attributes: dict[str, Any], is_incremental: bool) -> dict[str, Any]:
    """Return the attributes with which a call begins.

    They are the present ones, unless `fit` goes on with an interrupted run. In that case
    the fitted ones are those from before this run.
    """
    if INTERRUPTED not in attributes:
        return attributes
    saved = attributes[INTERRUPTED]
    names = {INTERRUPTED} if is_incremental else {INTERRUPTED, *_fitted_names(attributes)}
    kept = {name: value for name, value in attributes.items() if name not in names}
    return kept if is_incremental else kept | _objects_of(saved["before"])


def to_go_on(model: Any, run: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    """Return an estimator after noting on it the run with which its next call of `fit` goes on.

    Parameters
    ----------
    model : object
        The estimator as it was after an epoch.
    run : mapping of str to object
        Of the run's :meth:`Run.image`.
    parameters : mapping of str to object
        Of the same image.
    """
    params = flat_parameters(vars(model)).params.copy()  # whatever becomes of coefs_
    vars(model)[INTERRUPTED] = {**run, "parameters": parameters, "params": params}
    return model


def fitted_values(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fitted attributes as plain values, without the state of the optimiser."""
    names = _fitted_names(attributes)
    values = pickled(
        {name: attributes[name] for name in names if name not in ("_optimizer", "_averaging")}
    )
    del values[VERSION]
    return values


def _objects_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fitted attributes from what `fitted_values` has returned."""
    attributes = {name: values[name] for name in _fitted_names(values)}
    # Epochs are appended to these lists, and not to those of a copy.
    attributes |= {name: list(v) for name, v in attributes.items() if isinstance(v, list)}
    if "_label_binarizer" in attributes:
        attributes["_label_binarizer"] = binarizer_of(**attributes["_label_binarizer"])
    return attributes


def _fitted_names(attributes: Mapping[str, Any]) -> list[str]:
    names = [name for name in attributes if name.endswith("_") and not name.startswith("_")]
    return names + [name for name in PRIVATE if name in attributes]


def _plain(state: TrainingState) -> dict[str, Any]:
    """Return where training stands as plain values and arrays."""
    from sknet._training.records import EpochRecord

    optimizer, records, end = state.optimizer, state.records, state.epoch_end
    assert optimizer is not None
    assert end is not None
    numbers = {name: value for name, value in vars(optimizer).items() if name != "slots"}
    counts = {name: value for name, value in vars(records).items() if name != "epochs"}
    # Half the bytes, where they are enough.
    dtype = np.int32 if end.rows.max(initial=0) < 2**31 else np.int64
    return {
        "last": None if state.averaging is None else state.averaging.last,
        "optimizer": numbers,
        "slots": optimizer.slots,
        "records": counts,
        "epochs": {name: records.curve(name) or None for name in EpochRecord._fields},
        "samples_seen": state.samples_seen,
        "rows": end.rows.astype(dtype),
        "generator": _generator_of(end.generator),
        "best_params": end.best_params,
        "has_scores": end.has_scores,
    }


def _state_of(generator: np.random.RandomState) -> dict[str, Any]:
    return generator.get_state(legacy=False)


def _generator_of(state: Mapping[str, Any]) -> np.random.RandomState:
    """Return a new generator in a state."""
    bits = getattr(np.random, state["bit_generator"])
    generator = np.random.RandomState(bits())
    generator.set_state(dict(state))
    return generator


def _check_parameters(model: Any, saved: Mapping[str, Any]) -> None:
    """Raise ValueError if a parameter was changed on which the rest of a run depends."""
    for name, value in model.get_params(deep=False).items():
        if name not in (*CHANGEABLE, "random_state") and not _are_equal(value, saved[name]):
            raise ValueError(
                f"{name}={value!r}, but the interrupted run has {name}={saved[name]!r}. Set it "
                f"back to go on with that run. To begin anew, fit {ANEW}. Only "
                f"{', '.join(CHANGEABLE)} may be changed."
            )


def _are_equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)


def _fingerprint(arrays: Sequence[Data]) -> dict[str, Any]:
    digest, first = hashlib.blake2b(digest_size=16), arrays[0]
    for array in arrays:
        for part in parts_of(array):
            digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    if isinstance(first, CSR):
        shape, dtype = [n_rows(first), first.n_features], first.data.dtype
    else:
        shape, dtype = list(first.shape), np.dtype(first.dtype)
    return {"shape": shape, "dtype": dtype.str, "digest": digest.hexdigest()}


def _check_data(saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ValueError unless the data are those that an interrupted run had."""
    remedy = f"Give the data of that run to go on with it. To begin anew, fit {ANEW}."
    for name in dict.fromkeys((*saved, *now)):
        if name not in now or name not in saved:
            had = "had it" if name in saved else "had none"
            given = "is missing" if name in saved else "is given"
            raise ValueError(f"{name} {given}, but the interrupted run {had}. {remedy}")
        for what, verb in (("shape", "has the shape"), ("dtype", "has the dtype")):
            a, b = now[name][what], saved[name][what]
            if a != b:
                raise ValueError(
                    f"{name} {verb} {_shown(a)}, but that of the interrupted run {verb} "
                    f"{_shown(b)}. {remedy}"
                )
        if now[name]["digest"] != saved[name]["digest"]:
            raise ValueError(f"{name} has other values than in the interrupted run. {remedy}")


def _shown(value: Any) -> str:
    return str(tuple(value)) if isinstance(value, list) else str(np.dtype(value))
