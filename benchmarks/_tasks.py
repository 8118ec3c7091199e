"""What against_sklearn.py measures: fits and predictions that both libraries do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from _data import Split, load_small_digits
from sklearn import neural_network
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

import sknet


class Task(NamedTuple):
    """Something that both libraries do.

    `run` takes the library, and `outcome` makes comparable what it returns.
    `run_seed` takes a seed as well, and whether the data are changed by one
    rounding unit; None where there is nothing to train.
    """

    name: str
    run: Callable[[ModuleType], Any]
    outcome: Callable[[Any], Any]
    run_seed: Callable[[ModuleType, int, bool], Any] | None = None


def fit(name: str, X: Any, y: Any, estimator: str = "MLPClassifier", **parameters: Any) -> Task:
    """Return the task of fitting a model."""
    outcome = "loss_" if parameters.get("solver") == "lbfgs" else "loss_curve_"

    def run(library: ModuleType, seed: int = 0, shaken: bool = False) -> Any:
        data = X * (1 + np.finfo(X.dtype).eps) if shaken else X
        return getattr(library, estimator)(random_state=seed, **parameters).fit(data, y)

    return Task(f"{name}, {X.dtype}", run, lambda model: getattr(model, outcome), run)


def digits_tasks() -> Iterator[Task]:
    """Yield fits on scikit-learn's digits, 1347 rows of 64 pixels."""
    X, _, y, _ = load_small_digits("plain", 0)
    fixed = {"max_iter": 50, "n_iter_no_change": 50}
    small = {"hidden_layer_sizes": (128, 64), "batch_size": 32}
    for data in (X, X.astype("float32")):
        yield fit("digits, all defaults", data, y)
        yield fit("digits, 50 epochs", data, y, **fixed)
        yield fit("digits, 50 epochs, tanh", data, y, activation="tanh", **fixed)
        yield fit("digits, 50 epochs, logistic", data, y, activation="logistic", **fixed)
        yield fit("digits, 50 epochs, sgd", data, y, solver="sgd", **fixed)
        yield fit("digits, 50 epochs, 64-128-64-10, batch 32", data, y, **small, **fixed)
    yield fit("digits, 100 iterations, lbfgs", X, y, solver="lbfgs", max_iter=100, tol=0)
    yield fit("digits, at most 50 epochs, early_stopping", X, y, max_iter=50, early_stopping=True)


def other_tasks() -> Iterator[Task]:
    """Yield a regression, and sparse data of the shape that texts have."""
    X, y = load_diabetes(return_X_y=True)
    parameters = {"max_iter": 100, "n_iter_no_change": 100}
    yield fit("diabetes (442 x 10), regressor, 100 epochs", scale(X), scale(y), "MLPRegressor",
              **parameters)  # fmt: skip
    rows, columns, density = 2000, 10000, 0.005
    random_state = np.random.RandomState(0)
    X = sp.random(rows, columns, density, format="csr", random_state=random_state)
    y = (X @ random_state.normal(size=(columns, 10))).argmax(axis=1)
    name = f"random CSR {rows} x {columns}, density {density}, 5 epochs"
    yield fit(name, X, y, max_iter=5)


def mnist_tasks(mnist: Split) -> Iterator[Task]:
    """Yield fits on MNIST."""
    for dtype in ("float64", "float32"):
        X = mnist.X_train.astype(dtype)
        parameters = {"hidden_layer_sizes": (128,), "batch_size": 128, "max_iter": 3}
        yield fit("MNIST, 3 epochs, 784-128-10, batch 128", X, mnist.y_train, **parameters)


def prediction_tasks() -> Iterator[Task]:
    """Yield predictions of the default model of digits."""
    X, _, y, _ = load_small_digits("plain", 0)
    models = {
        library.__name__: library.MLPClassifier(random_state=0, max_iter=50).fit(X, y)
        for library in (neural_network, sknet)
    }
    for n, title in ((1, "one row"), (100_000, "100000 rows")):
        rows = np.resize(X, (n, X.shape[1]))

        def run(library: ModuleType, rows: np.ndarray = rows) -> np.ndarray:
            return models[library.__name__].predict_proba(rows)

        yield Task(f"digits, predict_proba, {title}, float64", run, lambda result: result)


def stream_tasks() -> Iterator[Task]:
    """Yield streams of calls of `partial_fit`, whose rows come in small batches."""
    X, _, y, _ = load_small_digits("plain", 0)
    n_calls = 100
    for n in (32, 200):
        starts = [k * n % (len(X) - n) for k in range(n_calls)]
        for data in (X, X.astype("float32")):

            def run(
                library: ModuleType,
                seed: int = 0,
                shaken: bool = False,
                data: np.ndarray = data,
                n: int = n,
                starts: list[int] = starts,
            ) -> Any:
                rows = data * (1 + np.finfo(data.dtype).eps) if shaken else data
                model = library.MLPClassifier(random_state=seed)
                for start in starts:
                    batch = slice(start, start + n)
                    model.partial_fit(rows[batch], y[batch], classes=range(10))
                return model

            name = f"digits, {n_calls} calls of partial_fit, {n} rows each, {data.dtype}"
            yield Task(name, run, lambda model: model.loss_curve_, run)


def grid_task() -> Task:
    """Return a search over 16 candidates in 5 folds, one after the other."""
    X, _, y, _ = load_small_digits("plain", 0)
    grid = {
        "hidden_layer_sizes": [(50,), (100,)],
        "alpha": [1e-4, 1e-2],
        "learning_rate_init": [1e-3, 1e-2],
        "batch_size": [50, 200],
    }

    def run(library: ModuleType) -> GridSearchCV:
        return GridSearchCV(library.MLPClassifier(max_iter=20, random_state=0), grid).fit(X, y)

    name = "digits, GridSearchCV, 16 candidates x 5 folds of 20 epochs, float64"
    return Task(name, run, lambda search: search.cv_results_["mean_test_score"])
