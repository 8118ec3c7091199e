"""Labels that certainly are class labels, so that nothing about them has to be found out."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer


def integer_binarizer(y: Any) -> LabelBinarizer | None:
    """Return what ``LabelBinarizer().fit(y)`` returns if y is a vector of integers or bools.

    It is None for any other y, which scikit-learn has to examine. That takes about as long as an
    epoch. It is also None if there is more than one class for two samples, since scikit-learn may
    then warn that y looks like the target of a regression.

    Parameters
    ----------
    y : array-like
    """
    if not (type(y) is np.ndarray and y.ndim == 1 and y.size and y.dtype.kind in "iub"):
        return None
    classes = np.unique(y)
    if classes.size > max(2, y.size // 2):
        return None
    return binarizer_of(classes, "binary" if classes.size <= 2 else "multiclass", False)


def binarizer_of(classes: Any, y_type: str, sparse_input: bool) -> LabelBinarizer:
    """Return a fitted binarizer.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels. For an indicator matrix, these are the numbers of its columns.
    y_type : {'binary', 'multiclass', 'multilabel-indicator'}
        What scikit-learn calls labels of this kind.
    sparse_input : bool
        Whether the labels were a sparse matrix.
    """
    binarizer = LabelBinarizer()
    binarizer.y_type_, binarizer.sparse_input_, binarizer.classes_ = y_type, sparse_input, classes
    return binarizer
