"""The child process of `tabular.py`: one model, fitted to whatever fold of a table is asked for."""

from __future__ import annotations

import pickle
import sys
import warnings
from importlib.metadata import version
from time import process_time
from typing import Any

import _tabular_models as models
import _tabular_scores as scores
import numpy as np
import pandas as pd
from _tables import CLASSIFICATION, REGRESSION, folds, load
from _timing import one_thread
from _worker import serve
from sklearn.exceptions import ConvergenceWarning

DISTRIBUTIONS = {"lightgbm": "lightgbm", "realmlp": "pytabkit"}
# Rows of the tables that are fitted first, so that code is imported and compiled. With many
# rows, our networks have other activations and widths than with few.
FEW, MANY = 300, 1600


class Worker:
    """What can be asked for, by method name.

    Parameters
    ----------
    model : str
        Of `_tabular_models.MODELS`.
    """

    def __init__(self, model: str) -> None:
        self.name, self.model = model, models.MODELS[model]

    def start(self) -> dict[str, Any]:
        """Import the library, and fit small tables, in which it may compile."""
        try:
            with one_thread():
                for task in self.model.tasks:
                    for n_rows in (FEW, MANY) if self.name == models.OURS else (FEW,):
                        X, y = random_table(task, n_rows)
                        self.model.make(task, 0).fit(X, y).predict(X[:9])
        except ImportError as error:
            return {"missing": f"{type(error).__name__}: {error}"}
        name = DISTRIBUTIONS.get(self.name, "scikit-learn")
        return {"version": sknet_version() if "sknet" in self.name else f"{name} {version(name)}"}

    def measure(self, task: str, table: str, fold: int) -> dict[str, Any]:
        """Fit the model to the training rows of a fold, and return the figures of its test rows."""
        X, y = load(task, table)
        train, test = list(folds(task, y))[fold]
        model = self.model.make(task, fold)
        with one_thread():
            start = process_time()
            model.fit(X.iloc[train], y[train])
            fitted = process_time()
            if task == CLASSIFICATION:
                found = scores.of_classes(y[test], model.predict_proba(X.iloc[test]))
            else:
                found = scores.of_numbers(y[test], model.predict(X.iloc[test]), y[train])
            predicted = process_time()
        if task == REGRESSION and self.name == models.OURS:
            found |= scores.of_intervals(y[test], *models.interval(model, X.iloc[test]))
        return {
            **found,
            "cpu": fitted - start,
            "predict_cpu": predicted - fitted,
            "megabytes": len(pickle.dumps(model)) / 1e6,
        }


def random_table(task: str, n_rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return numbers, a category, and a target that depends on both."""
    random = np.random.default_rng(n_rows)
    X = pd.DataFrame(random.normal(size=(n_rows, 4)), columns=list("abcd"))
    X["e"] = pd.Categorical(random.choice(["u", "v", "w"], n_rows))
    y = X["a"] + X["b"] ** 2 + X["e"].cat.codes + random.normal(size=n_rows)
    if task == REGRESSION:
        return X, y.to_numpy()
    n_classes = 2 if n_rows == FEW else 3
    return X, pd.qcut(y, n_classes, labels=False).to_numpy()


def sknet_version() -> str:
    """Return the version of sknet, which need not be installed."""
    import sknet

    return f"sknet {sknet.__version__}"


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    serve(Worker(sys.argv[1]))
