"""Losses, each fused with its link. A new one is one class here.

A loss works on raw scores (the last layer before any output activation): on
raw scores its derivative is simple and nothing overflows.

Values are summed over outputs, unless a class says otherwise, and where a loss
has a kink its derivative there is taken as 0, which is a subgradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from sknet._engine.functions import exp, flat, row
from sknet.parts import Part


class Loss(Part):
    """What training minimises, as a function of raw scores and targets.

    Attributes
    ----------
    public : str
        The value of the estimators' parameter ``loss`` that asks for it.
    targets : str
        What it takes: "codes" of classes, in one column; "indicators" 0 and 1,
        or "numbers", a column for each output.
    out_activation : str
        Name of the inverse link, scikit-learn's where it has one. Losses of
        the same name have the same link.
    has_probabilities : bool
        Whether the predictions of a classifier are probabilities. If False, the classifier has no
        ``predict_proba``. Not used for losses of numbers.
    positive_targets : bool
        Whether negative targets are outside the domain of the loss. The regressor copies it to
        scikit-learn's tag ``target_tags.positive_only``.
    """

    public: ClassVar[str]
    targets: ClassVar[str]
    out_activation: ClassVar[str]
    has_probabilities: ClassVar[bool] = True
    positive_targets: ClassVar[bool] = False

    @classmethod
    def find(cls, public: str, targets: str) -> type[Loss]:
        """Return the loss that a user's word means for targets of a kind."""
        for loss in cls.table.values():
            if loss.public == public and loss.targets == targets:
                return loss
        raise ValueError(
            f"loss={public!r} does not apply to targets that are {targets}. Choose one of "
            f"{cls.choices(targets)}. A loss of your own must be defined before it is used: import "
            "the module that defines it first."
        )

    @classmethod
    def choices(cls, *targets: str) -> list[str]:
        """Return the words that users may ask with, for targets of such kinds."""
        return list(dict.fromkeys(v.public for v in cls.table.values() if v.targets in targets))

    @classmethod
    def settings(cls, hyperparameters: Mapping[str, Any]) -> list[float]:
        """Return what `loss` and `link` get as their `settings`: none, unless it has parameters."""
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
            In (0, 1) and in the order of the outputs. Empty if the loss does not predict
            quantiles.
        """
        return []

    @classmethod
    def n_outputs(cls, n_targets: int, hyperparameters: Mapping[str, Any]) -> int:
        """Return how many scores it takes for so many columns of numbers: as many."""
        return n_targets

    @staticmethod
    def link(scores: np.ndarray, settings: np.ndarray) -> None:
        """Apply the inverse link.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_outputs)
            Raw scores, overwritten by predictions: probabilities or means.
        settings : ndarray of shape (n_settings,)
            The loss's parameters.
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
        """Take the weighted loss of each row, and its derivative.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_outputs)
            Raw scores.
        targets : ndarray of shape (n_samples, n_targets)
            Targets, of the class's kind: a single column of codes, else
            usually as many columns as there are scores.
        weights : ndarray of shape (n_samples,)
            Sample weights.
        settings : ndarray of shape (n_settings,)
            The loss's parameters.
        delta : ndarray of shape (n_samples, n_outputs)
            Overwritten by the derivative of the weighted loss by `scores`.
        values : ndarray of shape (n_samples,)
            Overwritten by the weighted loss; float64.
        """
        raise NotImplementedError

    @staticmethod
    def check_targets(y: np.ndarray) -> None:
        """Raise ValueError where `y` is outside the loss's domain."""


class WithSoftmax(Loss):
    """A loss of one class among several, with the softmax as inverse link.

    p_k = exp(z_k) / sum_j exp(z_j). The exponentials are taken over all rows as
    one vector, here and in :class:`LogLoss`: a row is often shorter than a
    vector register.

    References
    ----------
    Bishop, C. M. (2006). Pattern recognition and machine learning,
    equation 4.104.
    """

    targets = "codes"
    out_activation = "softmax"

    @staticmethod
    def link(scores, settings):
        """Overwrite each row by its softmax."""
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
    """A loss of independent yes/no outputs, with the logistic as inverse link.

    p = 1 / (1 + exp(-z)).
    """

    targets = "indicators"
    out_activation = "logistic"

    @staticmethod
    def link(scores, settings):
        """Overwrite each score by its logistic."""
        one = scores.dtype.type(1)
        for i in range(scores.shape[0]):
            z = row(scores, i)
            for k in range(z.size):
                z[k] = one / (one + exp(-z[k]))


class WithIdentity(Loss):
    """A loss of the scores themselves."""

    out_activation = "identity"

    @staticmethod
    def link(scores, settings):
        """Leave `scores` as they are."""


class WithExp(Loss):
    """A loss of positive means, with the exponential as inverse link: mu = exp(z)."""

    targets = "numbers"
    out_activation = "exp"

    @staticmethod
    def link(scores, settings):
        """Overwrite each score by its exponential."""
        for i in range(scores.shape[0]):
            z = row(scores, i)
            for k in range(z.size):
                z[k] = exp(z[k])
