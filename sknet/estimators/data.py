"""Data as users give them, validated, weighted and split for training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.base import RegressorMixin, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, column_or_1d
from sklearn.utils.validation import validate_data

from sknet._engine.memory import Data, Unconverted, as_kernel_input, is_finite
from sknet._engine.sparse import check_sparse
from sknet.estimators.conversion import (
    check_finite,
    checked_sparse,
    is_single_frame,
    unconverted,
)
from sknet.estimators.data_errors import explained
from sknet.estimators.scorers import NegativeLoss, ScoreInTraining, TrainingScore
from sknet.estimators.targets import Targets
from sknet.estimators.weights import apply_class_weights, validate_weights

if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.contract import Dataset, Validation


class GivenData(NamedTuple):
    """Data as they come from the user."""

    X: Any
    y: Any
    sample_weight: Any


def is_plain(X: Any, dtype: Any, n_features: int | None, attributes: Mapping[str, Any]) -> bool:
    """Return whether `validate_data` would return X itself, provided that all of it is finite.

    Any other X goes through `validate_data`, which converts it, warns or raises an
    error.
    """
    return (
        type(X) in (np.ndarray, np.memmap)
        and X.dtype == dtype
        and X.ndim == 2
        and X.shape[0] > 0
        and X.shape[1] == n_features
        and X.flags.c_contiguous
        and X.flags.aligned
        and "feature_names_in_" not in attributes
    )


def is_plain_target(y: Any, n: int) -> bool:
    """Return whether y is what `validate_data` would return: n labels or finite numbers."""
    return (
        type(y) is np.ndarray
        and y.shape == (n,)
        and (y.dtype.kind in "iubU" or (y.dtype.kind == "f" and is_finite(y)))
    )


def validate(
    estimator: Any, X: Any, y: Any, dtype: Any, reset: bool, ending: str = ""
) -> tuple[Any, np.ndarray]:
    """Return X and y as arrays, or X in compressed rows, that agree with each other.

    Parameters
    ----------
    estimator : object
        Gets `n_features_in_` and feature names, or is compared with.
    X, y : array-like
    dtype : dtype or tuple of dtype
        What X may be; else it becomes the first.
    reset : bool
        Whether it is the first call.
    ending : str
        What the names of the arguments end in, for errors: "_val" for validation data.

    Raises
    ------
    ValueError
        As scikit-learn's `validate_data`, with an explanation.
    """
    n_features = None if reset else getattr(estimator, "n_features_in_", None)
    is_known = is_plain(X, dtype, n_features, vars(estimator)) and is_plain_target(y, len(X))
    if is_known and is_finite(X):
        return X, y
    if isinstance(dtype, tuple) and np.float32 in dtype and is_single_frame(X):
        dtype = np.float32
    if sp.issparse(y):
        check_sparse(y, "y")
    large = unconverted(X, dtype)
    # Sums of large finite numbers may overflow.
    with explained(X, y, ending), np.errstate(over="ignore", invalid="ignore"):
        X, y = validate_data(
            estimator,
            checked_sparse(X, dtype),
            y,
            accept_sparse="csr",
            dtype=dtype if large is None else None,
            order="C" if large is None else None,
            ensure_all_finite=large is None,
            multi_output=True,
            y_numeric=isinstance(estimator, RegressorMixin),
            reset=reset,
        )
        if large is not None:
            check_finite(estimator, large)
            X = large
        # Of objects, validate_data finds neither None, which is NaN as a number, nor infinity.
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and not is_finite(y):
            raise ValueError(
                "Input contains NaN" if np.isnan(y).any() else "Input y contains infinity."
            )
    if sp.issparse(y) and (y.shape[1] == 1 or not is_classifier(estimator)):
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def validate_for(
    estimator: Any,
    X: Any,
    network: Network,
    attributes: Mapping[str, Any],
    *,
    is_whole: bool = True,
) -> Any:
    """Return X as an array, or in compressed rows, of the features that a fitted network takes.

    Without `is_whole`, large arrays may also be returned as data that are converted some rows at a
    time.

    Raises
    ------
    ValueError
        If X has other features; and as scikit-learn's `validate_data`, with an
        explanation.
    """
    dtype, n_features = network.params.dtype, network.layout.units[0]
    if not (is_plain(X, dtype, n_features, attributes) and is_finite(X)):
        X = checked_sparse(X, dtype)
        large = None if is_whole else unconverted(X, dtype)
        # Sums of large finite numbers may overflow.
        with explained(X), np.errstate(over="ignore", invalid="ignore"):
            X = validate_data(
                estimator,
                X,
                accept_sparse="csr",
                dtype=dtype if large is None else None,
                order="C" if large is None else None,
                ensure_all_finite=large is None,
                reset=False,
            )
            if large is not None:
                check_finite(estimator, large)
                X = large
        if X.shape[1] != n_features:
            raise ValueError(
                f"X has {X.shape[1]} features, but the fitted network takes {n_features}. Give X "
                "with the columns of the training data."
            )
    return X


def as_targets(encoded: np.ndarray, dtype: Any) -> np.ndarray:
    """Return encoded targets in the dtype of X.

    Raises
    ------
    ValueError
        If that dtype cannot hold them.
    """
    if encoded.dtype.kind != "f" or encoded.dtype == dtype:
        return encoded.astype(dtype, copy=False, order="C")
    with np.errstate(over="ignore"):
        targets = encoded.astype(dtype, order="C")
    if not is_finite(targets):
        raise ValueError(
            f"y has values up to {np.abs(encoded).max():g}, but the largest number of {dtype}, the "
            f"dtype of X, is {np.finfo(dtype).max:g}. Scale y, or give X as float64."
        )
    return targets


def held_out_rows(
    rows: np.ndarray,
    strata: np.ndarray | None,
    fraction: float,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on, and those to validate on.

    Raises
    ------
    ValueError
        If the fraction leaves too few of either.
    """
    try:
        train, held_out = train_test_split(
            rows, random_state=random_state, test_size=fraction, stratify=strata
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} of {rows.size} samples cannot be set aside for "
            f"early_stopping: {error} Change 'validation_fraction', give more samples, or set "
            "early_stopping=False."
        ) from error
    if held_out.size < 2:
        raise ValueError(
            f"The validation set is too small: validation_fraction={fraction} of {rows.size} "
            f"samples gives {held_out.size}, but at least 2 are needed. Increase "
            "'validation_fraction' or the size of your dataset."
        )
    return train, held_out


def chosen_rows(given: Any, validated: Any, rows: np.ndarray) -> Any:
    """Return rows of data as they were given, if they are a frame: its columns have names."""
    if hasattr(given, "columns"):
        return _safe_indexing(given, rows)
    return validated.rows(rows) if isinstance(validated, Unconverted) else validated[rows]


class ValidationMaker:
    """Makes validation data from those of the user, or from rows that are held out.

    It also makes the score of the training data.

    Parameters
    ----------
    model : object
        The estimator in training, which scorers are given.
    targets : ClassTargets or NumericTargets
    class_weights : list of ndarray
        As :meth:`ClassTargets.class_weights` returns them.
    show : callable
        Takes a network and makes it the one that `model` predicts with.
    """

    def __init__(
        self,
        model: Any,
        targets: Targets,
        class_weights: list[np.ndarray],
        show: Callable[[Network], None],
    ) -> None:
        self.model, self.targets, self.show = model, targets, show
        self.parameters: Mapping[str, Any] = vars(model)
        self.class_weights = class_weights
        self.has_scorer = self.parameters["scoring"] not in (None, "loss")

    def of_user(self, given: GivenData, dtype: Any, n_targets: int) -> Validation | None:
        """Return the validation data of the user, or None if there are none.

        Raises
        ------
        ValueError
            If X_val and y_val are not given together, or do not have the form of
            X and y.
        """
        if given.X is None:
            for name, value in (("y_val", given.y), ("sample_weight_val", given.sample_weight)):
                if value is not None:
                    raise ValueError(f"{name} was given without X_val. Give both, or neither.")
            return None
        if given.y is None:
            raise ValueError("X_val was given without y_val. Give both, or neither.")
        X, y = validate(self.model, given.X, given.y, dtype, False, "_val")
        encoded = self.targets.encode_validation(y)
        if encoded.shape != (X.shape[0], n_targets):
            raise ValueError(
                f"y_val has the shape {y.shape}, but y has {n_targets} targets for each sample. "
                "Give y_val in the form of y."
            )
        targets = as_targets(encoded, X.dtype)
        weights = apply_class_weights(
            validate_weights(given.sample_weight, X, "sample_weight_val"),
            encoded,
            self.class_weights,
            self.parameters.get("class_weight"),
        )
        rows = np.arange(len(targets), dtype=np.int64)
        return self._validation(
            as_kernel_input(X), rows, targets, weights, given, is_held_out=False
        )

    def of_rows(
        self, X: Any, y: np.ndarray, data: Dataset, given: GivenData, rows: np.ndarray
    ) -> Validation:
        """Return rows of the training data as validation data.

        Raises
        ------
        ValueError
            If all of them have the weight 0.
        """
        weights = data.weights[rows]
        if not weights.any():
            raise ValueError(
                "sample_weight is zero for all samples of the validation set, which leaves "
                "nothing to score. Increase 'validation_fraction', or leave out samples of "
                "weight 0."
            )
        if self.has_scorer:  # only a scorer needs a copy
            given = GivenData(chosen_rows(given.X, X, rows), y[rows], given.sample_weight)
        return self._validation(data.X, rows, data.targets[rows], weights, given, is_held_out=True)

    def _validation(
        self,
        X: Data,
        rows: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        given: GivenData,
        *,
        is_held_out: bool,
    ) -> Validation:
        """Return validation data with the score that ``scoring`` asks for.

        The network reads the rows of X where they are. Scorers take the data as they
        were given, with the names of their columns.
        """
        from sknet._training.contract import Validation

        scoring = self.parameters["scoring"]

        def own(network: Network, scores: np.ndarray) -> float:
            return self.targets.score(network, scores, targets, weights)

        score: Callable[[Network, np.ndarray], float] | None = own
        name = self.targets.score_name
        if scoring == "loss":
            score, name = None, "loss"
        elif self.has_scorer:
            score = ScoreInTraining(
                self.model,
                "scoring",
                self.show,
                given.X,
                self.targets.as_scored(given.y),
                self._weights_of(given, weights),
                lambda: self._whence(targets, is_held_out),
            )
            name = score.name
        return Validation(X, rows, targets, weights, score, name)

    def training_score(
        self, X: Any, y: np.ndarray, data: Dataset, given: GivenData
    ) -> list[TrainingScore]:
        """Return the observer that ``training_scoring`` asks for, in a list that may be empty.

        Parameters
        ----------
        X, y : ndarray, CSR matrix or Unconverted, ndarray
            The validated data.
        data : Dataset
            What training learns from. Its rows are scored, and rows held out are not.
        given : GivenData
            The data as they were given.
        """
        scoring, rows = self.parameters["training_scoring"], data.rows
        if scoring is None:
            return []
        if scoring == "loss":
            return [TrainingScore(NegativeLoss(data, self.parameters["n_jobs"]))]
        if rows.size < len(data.targets):
            X, y = chosen_rows(given.X, X, rows), y[rows]
        elif hasattr(given.X, "columns") or isinstance(X, Unconverted):
            X = given.X
        score = ScoreInTraining(
            self.model,
            "training_scoring",
            self.show,
            X,
            self.targets.as_scored(y),
            self._weights_of(given, data.weights[rows]),
            lambda: f"It was given the {rows.size} rows that the network learns from.",
        )
        return [TrainingScore(score)]

    def _weights_of(self, given: GivenData, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return weights as an argument of scorers, if the user gave any."""
        is_weighted = given.sample_weight is not None
        is_weighted = is_weighted or self.parameters.get("class_weight") is not None
        return {"sample_weight": weights} if is_weighted else {}

    def _whence(self, targets: np.ndarray, is_held_out: bool) -> str:
        """Return what to add to an error that a scorer raises on validation data."""
        missing = self.targets.missing(targets).tolist()
        without = f" They have no samples of the classes {missing}." if missing else ""
        fraction = f"validation_fraction={self.parameters['validation_fraction']}"
        if is_held_out:
            origin = f"that are held out of X ({fraction})"
            remedy = "Increase validation_fraction, or give X_val and y_val."
        else:
            origin = "of X_val"
            remedy = (
                "Change X_val and y_val. Or leave them out and set early_stopping=True, which "
                f"holds out rows of X ({fraction})."
            )
        return f"The scorer was given the {len(targets)} rows {origin}.{without} {remedy}"
