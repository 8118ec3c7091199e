"""The base class of all losses, and one class for each inverse link.

This file defines what a loss is. A new loss does not belong here:

- A loss for class labels belongs in `classification.py`.
- A loss for numbers belongs in `regression.py`.
- Only an inverse link that several losses share belongs here.

A loss takes raw scores, which are the outputs of the last layer before the inverse link. It does
not take predictions, because its derivative with respect to raw scores is simpler, and because no
intermediate result overflows.

Unless a class says otherwise, the loss of a row is the sum over its outputs. Where a loss has a
kink, its derivative is taken to be 0, which is a subgradient.

Numba compiles `loss` and `link` for float32 and float64 arrays. In the subclasses they carry no
annotations, because their types are those of the arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from sknet._engine.functions import exp, flat, row
from sknet.parts import Part


class Loss(Part):
    """A function of raw scores and targets that training minimises.

    Attributes
    ----------
    public : str
        The value of the estimators' parameter ``loss`` that selects this loss. Losses for different
        kinds of targets may share this value.
    targets : {'codes', 'indicators', 'numbers'}
        The kind of targets. 'codes' is one column with the index of the class, counted from 0.
        'indicators' is a column of 0 and 1 for each output. 'numbers' is a column of numbers for
        each target.
    out_activation : str
        Name of the inverse link, which becomes the fitted attribute ``out_activation_``. Losses
        with the same name have the same `link`.
    has_probabilities : bool
        Whether the predictions of a classifier are probabilities. If False, the classifier has no
        ``predict_proba``. It is not used for losses of numbers.
    positive_targets : bool
        Whether negative targets are outside the domain of the loss. The regressor copies this value
        to scikit-learn's tag ``target_tags.positive_only``.
    """

    public: ClassVar[str]
    targets: ClassVar[str]
    out_activation: ClassVar[str]
    has_probabilities: ClassVar[bool] = True
    positive_targets: ClassVar[bool] = False

    @classmethod
    def find(cls, public: str, targets: str) -> type[Loss]:
        """Return the loss for a value of the parameter ``loss`` and a kind of targets.

        Parameters
        ----------
        public : str
            Value of the estimators' parameter ``loss``.
        targets : {'codes', 'indicators', 'numbers'}
            Kind of targets.

        Returns
        -------
        type
            Subclass of `Loss`.

        Raises
        ------
        ValueError
            If there is no such loss.

        Examples
        --------
        >>> from sknet.losses import Loss
        >>> Loss.find("log_loss", "indicators")
        <class 'sknet.losses.classification.BinaryLogLoss'>
        """
        for loss in cls.table.values():
            if loss.public == public and loss.targets == targets:
                return loss
        raise ValueError(
            f"loss={public!r} does not apply to targets that are {targets}. Choose one of "
            f"{cls.choices(targets)}. If the loss is your own, import the module that defines it "
            "first."
        )

    @classmethod
    def choices(cls, *targets: str) -> list[str]:
        """Return the values of the parameter ``loss`` for some kinds of targets.

        Parameters
        ----------
        *targets : {'codes', 'indicators', 'numbers'}
            Kinds of targets.

        Returns
        -------
        list of str
            The values without duplicates, in the order in which the losses are defined.
        """
        return list(dict.fromkeys(v.public for v in cls.table.values() if v.targets in targets))

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return the numbers that `loss` and `link` receive as `settings`.

        Parameters
        ----------
        hyperparameters : mapping of str to object
            Parameters of an estimator. The loss reads those that concern it.

        Returns
        -------
        list of float
            Empty if the loss has no hyperparameters.
        """
        return []

    @classmethod
    def quantiles(cls, settings: Sequence[float]) -> list[float]:
        """Return the quantiles that the outputs for one target predict.

        Parameters
        ----------
        settings : sequence of float
            What :meth:`settings` returned.

        Returns
        -------
        list of float
            Numbers in (0, 1), in the order of the outputs. The list is empty if the loss does not
            predict quantiles.
        """
        return []

    @classmethod
    def n_outputs(cls, n_targets: int, hyperparameters: Mapping[str, Any]) -> int:
        """Return the number of scores for a number of target columns.

        Parameters
        ----------
        n_targets : int
            Number of columns of targets. The targets are 'numbers'.
        hyperparameters : mapping of str to object
            Parameters of an estimator. The loss reads those that concern it.

        Returns
        -------
        int
            By default one score for each column of targets.
        """
        return n_targets

    @staticmethod
    def link(scores: np.ndarray, settings: np.ndarray) -> None:
        """Apply the inverse link.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_outputs)
            Raw scores, float32 or float64. Overwritten with the predictions: probabilities, means
            or quantiles.
        settings : ndarray of shape (n_settings,)
            What :meth:`settings` returned, in the dtype of `scores`.
        """
        raise NotImplementedError

    @staticmethod
    def loss(
        scores: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        settings: np.ndarray,
        delta: np.ndarray,
        values: np.ndarray,
    ) -> None:
        """Compute the weighted loss of each row and its derivative.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_outputs)
            Raw scores, float32 or float64.
        targets : ndarray of shape (n_samples, n_targets)
            Targets of the kind ``targets``, in the dtype of `scores`. Codes have one column. Other
            targets usually have one column for each score.
        weights : ndarray of shape (n_samples,)
            Sample weights, in the dtype of `scores`.
        settings : ndarray of shape (n_settings,)
            What :meth:`settings` returned, in the dtype of `scores`.
        delta : ndarray of shape (n_samples, n_outputs)
            Overwritten with the derivative of the weighted loss with respect to `scores`.
        values : ndarray of shape (n_samples,)
            Overwritten with the weighted loss of each row, in float64.
        """
        raise NotImplementedError

    @staticmethod
    def check_targets(y: np.ndarray) -> None:
        """Check that all targets are in the domain of the loss.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_targets)
            Targets.

        Raises
        ------
        ValueError
            If a target is outside the domain. By default every target is inside.
        """


class WithSoftmax(Loss):
    """Base class of losses for one class among several, with softmax as inverse link.

    p_k = exp(z_k) / sum_j exp(z_j).

    Here and in :class:`LogLoss`, a loop over the whole matrix computes the exponentials. A loop
    over one row would often be shorter than a vector register.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning, equation 4.104.
    """

    targets = "codes"
    out_activation = "softmax"

    @staticmethod
    def link(scores, settings):
        """Overwrite each row with its softmax."""
        for i in range(scores.shape[0]):
            z = row(scores, i)
            top = z[0]
            for k in range(z.size):
                top = max(top, z[k])
            for k in range(z.size):
                z[k] -= top
        every = flat(scores)
        for i in range(every.size):
            every[i] = exp(every[i])
        for i in range(scores.shape[0]):
            p = row(scores, i)
            total = p[0] - p[0]
            for k in range(p.size):
                total += p[k]
            for k in range(p.size):
                p[k] /= total


class WithLogistic(Loss):
    """Base class of losses for independent binary outputs, with the logistic function as link.

    p = 1 / (1 + exp(-z)).
    """

    targets = "indicators"
    out_activation = "logistic"

    @staticmethod
    def link(scores, settings):
        """Overwrite each score z with 1 / (1 + exp(-z))."""
        one = scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z = row(scores, i)
            for k in range(z.size):
                z[k] = one / (one + exp(-z[k]))


class WithIdentity(Loss):
    """Base class of losses whose predictions are the raw scores themselves."""

    out_activation = "identity"

    @staticmethod
    def link(scores, settings):
        """Leave `scores` unchanged."""


class WithExp(Loss):
    """Base class of losses that predict a positive mean, with the exponential as inverse link.

    mu = exp(z).
    """

    targets = "numbers"
    out_activation = "exp"

    @staticmethod
    def link(scores, settings):
        """Overwrite each score z with exp(z)."""
        for i in range(scores.shape[0]):
            z = row(scores, i)
            for k in range(z.size):
                z[k] = exp(z[k])
