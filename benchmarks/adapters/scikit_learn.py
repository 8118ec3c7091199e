"""scikit-learn's own MLP; its threads are those of NumPy's BLAS."""

from __future__ import annotations

from typing import Any

import sklearn
from sklearn.neural_network import MLPClassifier

from adapters import _scikit_learn_like


def version() -> str:
    """Return the version."""
    return f"scikit-learn {sklearn.__version__}"


class Trainer(_scikit_learn_like.Trainer):
    """One fit of all epochs."""

    def estimator(self, **parameters: Any) -> Any:
        """Return the estimator, unfitted."""
        return MLPClassifier(**parameters)
