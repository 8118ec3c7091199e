"""Targets, which turn labels and numbers into what a loss takes, and scores into predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_is_fitted

from sknet.estimators.indicators import as_indicators, warn_of_one_hot
from sknet.estimators.labels import integer_binarizer
from sknet.losses import Loss
from sknet.metrics import d2_pinball_score

if TYPE_CHECKING:
    from sknet._network.network import Network


class ClassTargets:
    """Class labels, or an indicator matrix of several labels.

    Parameters
    ----------
    label_binarizer : LabelBinarizer
        Fitted to the classes.
    """

    score_name = "accuracy"

    def __init__(self, label_binarizer: LabelBinarizer) -> None:
        self.label_binarizer = label_binarizer
        self.classes = label_binarizer.classes_
        self.is_multilabel = label_binarizer.y_type_.startswith("multilabel")
        self.is_multiclass = label_binarizer.y_type_ == "multiclass"
        # What the losses call targets of this kind.
        self.kind = "codes" if self.is_multiclass else "indicators"

    @classmethod
    def of(cls, y: np.ndarray, classes: Any = None) -> Self:
        """Return targets of the classes in y, or of given classes."""
        is_indicator = type_of_target(y, input_name="y").startswith("multilabel")
        return cls(LabelBinarizer().fit(y if classes is None or is_indicator else classes))

    @staticmethod
    def check_kind(y: np.ndarray) -> None:
        """Raise ValueError unless y is a classification target that one network takes."""
        if _has_objects(y):
            raise ValueError(
                "Unknown label type: y has the dtype object, so all labels must be strings, but "
                f"they have the types {_names_of_types(y)}. Give {_of_one_type(y)}."
            )
        check_classification_targets(y)
        if y.ndim > 1 and type_of_target(y, input_name="y") == "multiclass-multioutput":
            raise ValueError(
                "y has several columns of class labels (multiclass-multioutput), which one network "
                "does not take. Give one column, or an indicator matrix of 0 and 1, or wrap the "
                "estimator in sklearn.multioutput.MultiOutputClassifier."
            )

    def encode(self, y: np.ndarray) -> np.ndarray | None:
        """Return what the loss takes, of shape (n_samples, n_targets).

        It is None if y has classes that the targets do not have, or is of
        another kind.
        """
        if self.is_multilabel:
            is_same_kind = type_of_target(y, input_name="y").startswith("multilabel")
            return as_indicators(y) if is_same_kind and y.shape[1] == len(self.classes) else None
        if y.ndim != 1 or _has_objects(y):
            return None
        codes = np.searchsorted(self.classes, y)
        found = self.classes.take(codes, mode="clip")  # none for what is above all classes
        return codes.reshape(-1, 1) if (found == y).all() else None

    def encode_again(self, y: np.ndarray, *, same_classes: bool) -> np.ndarray:
        """Return what the loss takes, for labels of a later call.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        same_classes : bool
            Whether y must have every class, as for a warm start.

        Raises
        ------
        ValueError
            If y is of another kind than before, or has other classes.
        """
        encoded = self.encode(y)
        if encoded is not None and not same_classes:
            return encoded
        self.check_kind(y)
        kind = type_of_target(y, input_name="y")
        if kind.startswith("multilabel") != self.is_multilabel or (
            self.is_multilabel and y.shape[1] != len(self.classes)
        ):
            raise ValueError(
                f"y of shape {y.shape} is of the kind {kind!r}, but the previous labels are of the "
                f"kind {self.label_binarizer.y_type_!r}, with the classes {self.classes}. Give "
                "labels of the same kind, or call fit with warm_start=False."
            )
        found = unique_labels(y)
        if same_classes and set(found) != set(self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes}, `y` has {found}"
            )
        unknown = np.setdiff1d(found, self.classes, assume_unique=True)
        if len(unknown):
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {unknown}. `self.classes_` has "
                f"{self.classes}. 'y' has {found}. Name all classes in the first call of "
                "partial_fit."
            )
        encoded = self.encode(y)
        assert encoded is not None
        return encoded

    def encode_validation(self, y: np.ndarray) -> np.ndarray:
        """Return what the loss takes, for validation data.

        Raises
        ------
        ValueError
            If they have classes that are not in the training data.
        """
        encoded = self.encode(y)
        if encoded is None and not self.is_multilabel and np.ndim(y) == 1:
            self.check_kind(y)
            unknown = np.setdiff1d(y, self.classes)
            raise ValueError(
                f"y_val has classes that are not in y: {unknown}. The classes of y are "
                f"{self.classes}."
            )
        return np.empty((0, 0)) if encoded is None else encoded

    def missing(self, targets: np.ndarray) -> np.ndarray:
        """Return the classes that have no samples. For multilabel targets there are none."""
        if self.is_multilabel:
            return self.classes[:0]
        return np.delete(self.classes, np.unique(targets).astype(np.intp))

    def as_scored(self, y: Any) -> Any:
        """Return labels as scorers compare them with predictions, which have only 0 and 1."""
        return as_indicators(y) if self.is_multilabel else y

    def decode(self, scores: np.ndarray) -> np.ndarray:
        """Return the most probable labels by raw scores."""
        if self.is_multiclass:  # what the binarizer does, too, in ten times as long for one row
            return self.classes.take(scores.argmax(axis=1), mode="clip")
        return self.label_binarizer.inverse_transform(scores, threshold=0)

    def score(
        self, network: Network, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> float:
        """Return the accuracy of raw scores.

        It compares codes, since decoding labels could take longer than an epoch.
        """
        if self.is_multiclass:
            correct = scores.argmax(axis=1) == targets[:, 0]
        elif len(self.classes) == 1:  # which `decode` returns whatever the scores are
            correct = np.ones(len(scores), bool)
        else:
            correct = ((scores > 0) == (targets > 0)).all(axis=1)
        return float(np.average(correct, weights=weights))

    def n_outputs(self, targets: np.ndarray, parameters: Mapping[str, Any]) -> int:
        """Return the number of units of the last layer."""
        return len(self.classes) if self.is_multiclass else targets.shape[1]

    def strata(self, targets: np.ndarray, fraction: float, *, is_scored: bool) -> np.ndarray | None:
        """Return the labels that the validation split is stratified by, or None.

        As in scikit-learn's code, the split is stratified for two classes only,
        although its documentation says "except multilabel". If `scoring` is given, it
        is stratified for more classes, too, since many scorers need every class.

        Parameters
        ----------
        targets : ndarray of shape (n_samples, n_targets)
        fraction : float
            Fraction of the samples that is held out.
        is_scored : bool
            Whether `scoring` is given.
        """
        is_binary = not self.is_multiclass and targets.shape[1] == 1
        is_needed = self.is_multiclass and is_scored
        codes = targets[:, 0].astype(np.intp)
        if is_binary or (is_needed and self._can_be_stratified(codes, fraction)):
            return self.classes[codes]
        return None

    def _can_be_stratified(self, codes: np.ndarray, fraction: float) -> bool:
        """Return whether each class has two samples, and each part has room for all classes."""
        counts = np.bincount(codes, minlength=len(self.classes))
        n_held_out = ceil(fraction * codes.size)
        has_room = counts.size <= min(n_held_out, codes.size - n_held_out)
        return has_room and bool(counts.min() >= 2)

    def class_weights(self, y: np.ndarray, given: Any) -> list[np.ndarray]:
        """Return the weights of classes, one table for each column of targets; [] for None.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        given : {'balanced'}, dict, list of dict or None
            The parameter `class_weight`.

        Raises
        ------
        ValueError
            If it does not match the labels, or if a weight is negative or not
            finite.
        """
        if given is None:
            return []
        if not self.is_multilabel:
            kinds, columns, classes = [given], [y], self.classes
        else:
            columns, classes = list(as_indicators(y).T), np.array([0, 1], np.int64)
            kinds = [given] * len(columns) if isinstance(given, str) else given
            if isinstance(kinds, dict) or len(kinds) != len(columns):
                raise ValueError(
                    f"class_weight={given} must be 'balanced', or a list with one dict for each "
                    f"of the {len(columns)} labels."
                )
        tables = []
        for kind, column in zip(kinds, columns, strict=True):
            # A label that all samples have, or none, gets the weight 1.
            present = np.isin(classes, column) if isinstance(kind, str) else slice(None)
            table = np.ones(len(classes))
            table[present] = compute_class_weight(kind, classes=classes[present], y=column)
            if not (np.isfinite(table).all() and table.min() >= 0):
                raise ValueError(f"class_weight={given} must have only finite weights >= 0.")
            tables.append(table)
        return tables


class NumericTargets:
    """Numbers in one or several columns.

    Parameters
    ----------
    loss : type
        The :class:`~sknet.losses.Loss`.
    settings : sequence of float
        The loss's parameters.
    """

    kind = "numbers"

    def __init__(self, loss: type[Loss], settings: Sequence[float]) -> None:
        self.loss, self.settings = loss, settings
        self.quantiles = loss.quantiles(list(settings))
        self.score_name = "D2 of the pinball loss" if self.quantiles else "R2"

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return what the loss takes, of shape (n_samples, n_targets).

        Raises
        ------
        ValueError
            If y does not hold numbers, or if a number is outside the domain of the
            loss.
        """
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"y must hold numbers, got {y.dtype}. For class labels use MLPClassifier."
            )
        self.loss.check_targets(y)
        return y.reshape(len(y), -1)

    encode_validation = encode

    def missing(self, targets: np.ndarray) -> np.ndarray:
        """Return no classes, since numbers have none."""
        return np.empty(0)

    def as_scored(self, y: Any) -> Any:
        """Return y, since scorers take numbers as they were given."""
        return y

    def decode(self, predicted: np.ndarray) -> np.ndarray:
        """Return predictions, as a vector if there is one output."""
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted

    def score(
        self, network: Network, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> float:
        """Return R2, or for quantiles the mean D2 of the pinball losses, of raw scores."""
        network.link(scores)
        if not np.isfinite(scores).all():
            return float("nan")
        return self.score_of_predictions(targets, scores, weights)

    def score_of_predictions(self, y: np.ndarray, predicted: np.ndarray, weights: Any) -> float:
        """Return R2, or for quantiles the mean D2 of the pinball losses, computed in float64.

        R2 is -inf, or NaN with weights of 0, where squares of large errors overflow.
        """
        y, predicted = (a.astype(np.float64, copy=False) for a in (y, predicted))
        if not self.quantiles:
            with np.errstate(over="ignore", invalid="ignore"):
                return float(r2_score(y, predicted, sample_weight=weights))
        return d2_pinball_score(y, predicted, quantile=self.quantiles, sample_weight=weights)

    def n_outputs(self, targets: np.ndarray, parameters: Mapping[str, Any]) -> int:
        """Return the number of units of the last layer."""
        return self.loss.n_outputs(targets.shape[1], parameters)

    def strata(self, targets: np.ndarray, fraction: float, *, is_scored: bool) -> np.ndarray | None:
        """Return None, since numbers are not stratified."""
        return None

    def class_weights(self, y: np.ndarray, given: Mapping[Any, float] | None) -> list[np.ndarray]:
        """Return [], since numbers have no classes."""
        return []


Targets = ClassTargets | NumericTargets


def _has_objects(y: Any) -> bool:
    """Return whether labels are Python objects other than strings, which NumPy cannot sort."""
    return y.dtype == object and not all(isinstance(label, str) for label in y.flat)


def _names_of_types(y: np.ndarray) -> str:
    return ", ".join(sorted({type(label).__name__ for label in y.flat}))


def _of_one_type(y: np.ndarray) -> str:
    """Return the code that makes labels of the dtype object usable."""
    if any(label is None for label in y.flat):
        return "the rows that have a label, without None"
    for dtype, kinds in (("bool", (bool, np.bool_)), ("int", Integral), ("float", Real)):
        if all(isinstance(label, kinds) for label in y.flat):
            return f"y.astype({dtype})"
    return "y.astype(str)"


def encode_labels(
    model: Any, y: np.ndarray, is_incremental: bool, classes: Any
) -> tuple[ClassTargets, np.ndarray]:
    """Return the targets of a classifier's call, and y as the loss takes it.

    The first call learns the classes and notes them on the model. A later one must
    have the same classes.

    Parameters
    ----------
    model : object
        The classifier in training.
    y : ndarray of shape (n_samples,) or (n_samples, n_labels)
    is_incremental : bool
        Whether it is for `partial_fit`.
    classes : array-like or None
        All classes, for the first call of `partial_fit`.
    """
    is_known, is_first_part = hasattr(model, "classes_"), False
    is_checked = is_known and _are_equal(classes, model.classes_)
    if is_incremental and not is_checked and _check_partial_fit_first_call(model, classes):
        ClassTargets.check_kind(y)
        model._label_binarizer = ClassTargets.of(y, classes).label_binarizer
        is_known = is_first_part = True
    if is_known and (model.warm_start or is_incremental):
        targets = fitted_targets(model, vars(model))
        is_warm_fit = model.warm_start and not is_incremental
        known = targets.encode_again(y, same_classes=is_warm_fit)
        if is_first_part:
            warn_of_one_hot(known)
        return targets, known
    binarizer = integer_binarizer(y)
    if binarizer is None:
        ClassTargets.check_kind(y)
    targets = ClassTargets(binarizer or LabelBinarizer().fit(y))
    model._label_binarizer, model.classes_ = targets.label_binarizer, targets.classes
    encoded = targets.encode(y)
    assert encoded is not None  # its own classes
    warn_of_one_hot(encoded)
    return targets, encoded


def _are_equal(classes: Any, known: Any) -> bool:
    """Return whether classes are certainly the known ones.

    scikit-learn then need not examine them, which takes longer than to train on a small batch.
    It may warn of more than 20 classes.
    """
    if type(classes) is not np.ndarray:
        if not (type(classes) in (list, tuple, range) and all(type(c) is int for c in classes)):
            return False
        classes = np.array(classes)
    is_usual = classes.dtype.kind in "iuU" and 0 < classes.size <= 20
    return is_usual and np.array_equal(classes, known)


def fitted_targets(model: Any, state: Mapping[str, Any]) -> ClassTargets:
    """Return the targets by a classifier's attributes, of which users may set the classes."""
    if "_label_binarizer" in state:
        return ClassTargets(state["_label_binarizer"])
    check_is_fitted(model, "classes_")
    return ClassTargets.of(state["classes_"])
