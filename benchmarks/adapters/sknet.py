"""sknet itself."""

from __future__ import annotations

from typing import Any

import sknet
from adapters import _scikit_learn_like


def version() -> str:
    """Return the version."""
    return f"sknet {sknet.__version__}"


class Trainer(_scikit_learn_like.Trainer):
    """As scikit-learn, with threads of its own."""

    def estimator(self, **parameters: Any) -> Any:
        """Return the estimator, unfitted."""
        if self.n_threads > 1:  # versions that `compare.py` runs may not have the parameter
            parameters["n_jobs"] = self.n_threads
        return sknet.MLPClassifier(**parameters)
