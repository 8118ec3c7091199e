"""A fitted network as a file that runs no code when it is loaded, and that later versions read."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

import sknet
from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.estimators.engine import load_engine
from sknet.estimators.known_parameters import defaults_of
from sknet.estimators.pickles import CALLBACKS, INTERRUPTED, TRAINING_STATE, VERSION
from sknet.exceptions import ModelFileError
from sknet.export.fitted_checks import check_fitted
from sknet.export.plain_values import Decoder, Encoder
from sknet.export.tensor_file import Content, parse_json, read, write
from sknet.optimizers import Optimizer

CLASSES: dict[str, Any] = {cls.__name__: cls for cls in (MLPClassifier, MLPRegressor)}

# What an estimator has besides its model: scikit-learn's callbacks, and a run to go on with.
BESIDE = (CALLBACKS, INTERRUPTED)


def save(model: Any, path: str | os.PathLike[str], *, training_state: bool = False) -> None:
    """Save a fitted network as a file that is safe to load.

    The file holds parameters, weights, classes, names of features, curves, and what
    `set_fit_request` and its like have asked for. It does not hold callbacks. It has the format of
    `safetensors <https://huggingface.co/docs/safetensors>`_, so other programs can read its arrays.
    `load` gives back an estimator with the same attributes, whose predictions have the same bits.

    An existing file is replaced in one step. If saving fails for any reason, such as a full disk or
    a killed process, the file is what it was before.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        A fitted estimator. It is not changed. For a pipeline, save its steps, or use pickle or
        skops.
    path : str or path-like
        Where to save it, for instance ``"model.safetensors"``.
    training_state : bool, default=False
        Whether to save what only further training needs: the state of the optimiser, the average
        of ``ema_decay``, and the progress that patience counts from. With True, training after
        `load` goes on with the same bits, and the file is about three times as large after 'adam'.
        With False, `partial_fit` starts with a new optimiser.

    Raises
    ------
    TypeError
        If the model is of another class, which may be a subclass.
    NotFittedError
        If the model is not fitted.
    ValueError
        If a parameter is invalid, or has a value that a file without code cannot hold, such as a
        function. The message names it.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Load what was saved.

    Examples
    --------
    >>> import os, tempfile
    >>> import sknet
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = sknet.MLPClassifier(random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> sknet.save(model, path)
    >>> loaded = sknet.load(path)
    >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    name = type(model).__name__
    if type(model) is not CLASSES.get(name):
        instead = (
            "Save its to_local(), which is one."
            if hasattr(model, "to_local")
            else "Use pickle or skops for other estimators, for subclasses and for pipelines."
        )
        raise TypeError(
            "sknet.save takes an MLPClassifier or MLPRegressor of sknet, got "
            f"{type(model)}. {instead}"
        )
    state = model.__getstate__()
    if "_fitted_loss" not in state:
        raise NotFittedError(f"This {name} is not fitted. Call fit before you save it.")
    model._validate_params()
    names = model.get_params().keys()
    parameters = {key: state[key] for key in names}
    left_out = {*names, *BESIDE, VERSION}
    attributes = {key: v for key, v in state.items() if key not in left_out}
    network = model._network()  # weights may have been set by hand, in any form
    attributes |= {"coefs_": list(network.coefs), "intercepts_": list(network.intercepts)}
    attributes = _without_stale_state(attributes, network.params.size, training_state)
    encoder = Encoder()
    encoded = {key: encoder.encode(value, key) for key, value in parameters.items()}
    try:
        check_fitted(model, attributes)
    except ModelFileError as error:
        raise ValueError(f"This {name} cannot be saved. {error}") from None
    text = json.dumps(
        {
            "class": name,
            "parameters": encoded,
            "attributes": {key: encoder.encode(v, key) for key, v in attributes.items()},
        },
        separators=(",", ":"),
        allow_nan=False,
    )
    write(path, Content(text, encoder.arrays), sknet.__version__)


def load(path: str | os.PathLike[str]) -> Any:
    """Load a network that `save` has saved.

    Loading runs no code of the file, whoever wrote it. Sizes, names, types and the checksum are
    checked before anything is built from them.

    Parameters
    ----------
    path : str or path-like
        A file that `save` of this or an earlier version has written. Parameters that came later
        get their defaults.

    Returns
    -------
    MLPClassifier or MLPRegressor
        The fitted estimator.

    Raises
    ------
    ModelFileError
        If the file is damaged, is something else, has something that this version does not know, or
        needs an activation, a loss or an optimiser that is not defined.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Save a fitted network.
    """
    try:
        return _model_of(read(path))
    except ModelFileError as error:
        raise ModelFileError(f"Cannot load {os.fspath(path)!r}. {error}") from None


def _model_of(content: Content) -> Any:
    """Return the estimator that a file describes."""
    document = parse_json(content.text)
    if not isinstance(document, dict) or document.keys() != {"class", "parameters", "attributes"}:
        raise ModelFileError("The file does not describe a model.")
    name, parameters, attributes = (document[k] for k in ("class", "parameters", "attributes"))
    cls = CLASSES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ModelFileError(f"The file has a model of the unknown class {str(name)[:40]!r}.")
    if not isinstance(parameters, dict) or not isinstance(attributes, dict):
        raise ModelFileError("The file does not describe a model.")
    decoder = Decoder(content.arrays)
    parameters = {key: decoder.decode(value) for key, value in parameters.items()}
    attributes = {key: decoder.decode(value) for key, value in attributes.items()}
    _refuse_unknown("parameters", parameters.keys() - defaults_of(cls).keys())
    load_engine()
    model = cls(**parameters)
    try:
        model._validate_params()
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"The file has an invalid parameter. {str(error)[:500]}") from None
    check_fitted(model, attributes)
    _refuse_unknown("arrays", content.arrays.keys() - decoder.used)
    model.__setstate__({**vars(model), **attributes, VERSION: sknet.__version__})
    return model


def _refuse_unknown(what: str, names: set[str]) -> None:
    if names:
        shown = ", ".join(sorted(repr(name[:40]) for name in names)[:5])
        raise ModelFileError(
            f"The file has {what} that this version of sknet does not know: {shown}. Load it with "
            "the version that wrote it."
        )


def _without_stale_state(
    attributes: dict[str, Any], n_parameters: int, training_state: bool
) -> dict[str, Any]:
    """Return attributes with the state of training that a further call would use, or without it."""
    if not training_state:
        return {name: v for name, v in attributes.items() if name not in TRAINING_STATE}
    optimizer, averaging = attributes.get("_optimizer"), attributes.get("_averaging")
    if optimizer is not None:
        n_slots = Optimizer.get(optimizer["name"]).n_slots
        if np.size(optimizer["slots"]) != n_slots * n_parameters:
            attributes = attributes | {"_optimizer": None}
    if averaging is not None and averaging["mean"].size != n_parameters:
        attributes = attributes | {"_averaging": None}
    return attributes
