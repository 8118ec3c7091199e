"""Indicator matrices of labels: what their values mean, and when they look like something else."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from sknet.estimators.user_warnings import warn_user


def as_indicators(y: Any) -> np.ndarray:
    """Return 1 where an indicator matrix has a label, and 0 elsewhere.

    As in scikit-learn, every value other than 0 stands for a label. Different values
    would therefore mean the same, so they are refused.

    Parameters
    ----------
    y : {array-like, sparse matrix} of shape (n_samples, n_labels)

    Raises
    ------
    ValueError
        If y has negative values, or several values that are not 0.
    """
    y = y.toarray() if sp.issparse(y) else np.asarray(y)
    is_present = y != 0
    given = y[is_present]
    if given.size and not 0 < given.min() == given.max():
        raise ValueError(
            f"y is an indicator matrix of the values {np.unique(y)}. It must have 0 where a label "
            "is absent, and one positive value where it is present. Give y == value, where value "
            "is the one that means that a label is present."
        )
    return is_present.astype(np.int64)


def warn_of_one_hot(targets: np.ndarray) -> None:
    """Warn once about classes that are encoded as columns and fitted as separate labels.

    Two columns and single rows give no warning, since ordinary labels are too likely to
    have exactly one 1 in each row there.

    Parameters
    ----------
    targets : ndarray of shape (n_samples, n_targets)
        As :meth:`ClassTargets.encode` returns them.
    """
    n_rows, n_columns = targets.shape
    if n_rows > 1 and n_columns > 2 and (targets.sum(axis=1) == 1).all():
        warn_user(
            f"y is one-hot: it has {n_columns} columns, and every row has exactly one 1. It is "
            f"fitted as {n_columns} labels that do not exclude each other (multilabel), as in "
            f"scikit-learn. If each sample belongs to one of {n_columns} classes, give "
            "y.argmax(axis=1).",
            is_repeated=False,
        )
