"""Pickles and copies of estimators: what they hold, and what is checked when they are loaded."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from sklearn.utils.validation import check_is_fitted

from sknet.estimators.known_parameters import defaults_of
from sknet.estimators.labels import binarizer_of
from sknet.estimators.user_warnings import warn_user
from sknet.exceptions import InconsistentVersionWarning
from sknet.optimizers import Optimizer

if TYPE_CHECKING:
    from sknet._network.network import Network

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

# What only a further call of `fit` or `partial_fit` reads.
TRAINING_STATE = ("_optimizer", "_averaging", "_measured", "_no_improvement_count")

# Under which an estimator has the run of a checkpoint, with which its next fit goes on.
INTERRUPTED = "_interrupted"

# Under which scikit-learn keeps callbacks on an estimator.
CALLBACKS = "_skl_callbacks"

# Where scikit-learn keeps what `set_fit_request` and its like have asked for. The object has a
# reference to the estimator that was asked, which may be an earlier copy with all of its state.
REQUESTS = "_metadata_request"

# Where a pickle has the version of sknet that wrote it.
VERSION = "_sknet_version"


class Pickles:
    """Gives an estimator its pickles and copies, and a copy that can only predict."""

    _pickled_attributes: ClassVar[tuple[str, ...]] = FITTED

    if TYPE_CHECKING:

        def _network(self) -> Network: ...
        def _show(self, network: Network) -> None: ...

    def without_training_state(self) -> Self:
        """Return a copy of the fitted estimator that keeps only what it predicts with.

        The copy has the same parameters and gives the same predictions, to the bit. It lacks the
        optimiser's moving averages, the average of ``ema_decay`` and the curves of the epochs, so
        its pickle is hardly larger than its weights. After 'adam', that is a third of the size.
        The curves and ``history_`` are empty, and callbacks are left out.

        The copy can be trained further. `partial_fit` then starts with a new optimiser.

        Returns
        -------
        object
            A new estimator of the same class. It shares no arrays with this one.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.

        Examples
        --------
        >>> import pickle
        >>> from sklearn.datasets import load_digits
        >>> from sknet import MLPClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> model = MLPClassifier(random_state=0).fit(X, y)
        >>> small = model.without_training_state()
        >>> bool((small.predict_proba(X) == model.predict_proba(X)).all())
        True
        >>> len(pickle.dumps(model)) / len(pickle.dumps(small)) > 2.5
        True
        """
        check_is_fitted(self, "coefs_")
        left_out = (*TRAINING_STATE, INTERRUPTED, CALLBACKS)
        state = {k: v for k, v in self.__getstate__().items() if k not in left_out}
        state |= {name: [] for name in CURVES if state.get(name) is not None}
        copied = object.__new__(type(self))
        copied.__setstate__(copy.deepcopy(state))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes as plain values, without what is rebuilt."""
        state = super().__getstate__()
        assert isinstance(state, dict)
        return pickled(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle or a copy.

        Raises
        ------
        ValueError
            If it lacks an attribute, or needs a part that is not defined.

        Warns
        -----
        InconsistentVersionWarning
            If another version of sknet wrote it.
        """
        restored = unpickled(type(self), state, self._pickled_attributes)
        requests = restored.pop(REQUESTS, None)
        super().__setstate__(restored)  # type: ignore[misc]
        if requests is not None:
            _set_requests(self, requests)
        if hasattr(self, "coefs_"):
            self._show(self._network())


def pickled(state: dict[str, Any]) -> dict[str, Any]:
    """Return an estimator's attributes with the state of training as plain values and arrays.

    A pickle therefore does not name a private module of the package, nor a class of another one.
    """
    from sknet import __version__

    state = {name: value for name, value in state.items() if name not in REBUILT}
    optimizer, averaging = state.get("_optimizer"), state.get("_averaging")
    if optimizer is not None:
        state["_optimizer"] = {"name": optimizer.name, **vars(optimizer)}
    if averaging is not None:
        state["_averaging"] = dict(vars(averaging))
    if (binarizer := state.get("_label_binarizer")) is not None:
        state["_label_binarizer"] = {
            "classes": binarizer.classes_,
            "y_type": binarizer.y_type_,
            "sparse_input": binarizer.sparse_input_,
        }
    return state | requests_of(state) | {VERSION: __version__}


def requests_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a pickle about requests for metadata, if any were set.

    Its value has, for each method, what each of its parameters is asked for by: a bool, None, or
    another name.
    """
    if REQUESTS not in state:
        return {}
    asked = {
        method: dict(request.requests)
        for method, request in vars(state[REQUESTS]).items()
        if method != "owner" and request.requests
    }
    return {REQUESTS: asked}


def _set_requests(estimator: Any, asked: Mapping[str, Mapping[str, Any]]) -> None:
    """Set the requests for metadata that `requests_of` has returned."""
    request = estimator.get_metadata_routing()  # as the class has it: none are set yet
    for method, parameters in asked.items():
        for name, alias in parameters.items():
            getattr(request, method).add_request(param=name, alias=alias)
    vars(estimator)[REQUESTS] = request


def unpickled(cls: type, state: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of an estimator from what `pickled` has returned.

    Parameters that the pickle does not have get their defaults: they came with a later version.

    Raises
    ------
    ValueError
        If the pickle lacks an attribute of a fitted estimator, or needs an
        optimiser that is not defined.

    Warns
    -----
    InconsistentVersionWarning
        If another version of sknet wrote it.
    """
    state = dict(state)
    _check_version(cls, state.pop(VERSION, None))
    if any(name in state for name in FITTED[:2]):
        missing = [name for name in required if name not in state]
        if missing:
            raise ValueError(
                f"The pickle of {cls.__name__} lacks {', '.join(missing)}. It is damaged, or it "
                "was written by another version of sknet. Load it with that version, or fit a new "
                "model."
            )
    constraints: dict[str, Any] = cls._parameter_constraints  # type: ignore[attr-defined]
    if not constraints.keys() <= state.keys():
        defaults = defaults_of(cls)
        state = {name: defaults[name] for name in constraints if name in defaults} | state
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
    if state.get("_label_binarizer") is not None:
        state["_label_binarizer"] = binarizer_of(**state["_label_binarizer"])
    # Epochs are appended to these lists, and those of a copy are no longer the original's.
    state |= {name: list(state[name]) for name in CURVES if state.get(name) is not None}
    return state


def _check_version(cls: type, original: str | None) -> None:
    """Warn if a pickle was written by another version than this one."""
    from sknet import __version__

    if original != __version__:
        warn_user(
            InconsistentVersionWarning(
                estimator_name=cls.__name__,
                current_sknet_version=__version__,
                original_sknet_version=original,
            )
        )
