"""The models of `tabular.py`, each with its defaults, ready to be fitted to a DataFrame.

A model imports its library when it is made, so that a library that is not installed costs
no more than its own line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from _tables import CLASSIFICATION, REGRESSION, TASKS
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

COVERAGE = 0.9  # asked of prediction intervals
OURS, REFERENCE, BOOSTED = "sknet", "sklearn-mlp", ("hist", "lightgbm")


class Model(NamedTuple):
    """A model as the tables name it.

    Attributes
    ----------
    title : str
    tasks : tuple of str
        What it can do.
    make : callable
        Takes the task and a seed, and returns an estimator.
    """

    title: str
    tasks: tuple[str, ...]
    make: Callable[[str, int], Any]


def preprocessed(model: Any) -> Any:
    """Return a pipeline: medians for missing numbers, standardised numbers, one-hot categories.

    A missing category is a level of its own. A level that the training rows do not have is zeros.
    """
    return make_pipeline(
        make_column_transformer(
            (
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
                make_column_selector(dtype_exclude="category"),
            ),
            (
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                make_column_selector(dtype_include="category"),
            ),
        ),
        model,
    )


def sklearn_mlp(task: str, seed: int) -> Any:
    """Return scikit-learn's MLP. Of regression, the target is standardised."""
    if task == CLASSIFICATION:
        return preprocessed(MLPClassifier(random_state=seed))
    return TransformedTargetRegressor(sklearn_mlp_raw(task, seed), transformer=StandardScaler())


def sklearn_mlp_raw(task: str, seed: int) -> Any:
    """Return scikit-learn's MLP for the target as it is."""
    return preprocessed(MLPRegressor(random_state=seed))


def sknet_mlp_raw(task: str, seed: int) -> Any:
    """Return sknet's MLP for the target as it is."""
    import sknet

    return preprocessed(sknet.MLPRegressor(random_state=seed))


def hist(task: str, seed: int) -> Any:
    """Return scikit-learn's boosted trees."""
    if task == CLASSIFICATION:
        return HistGradientBoostingClassifier(random_state=seed)
    return HistGradientBoostingRegressor(random_state=seed)


def lightgbm(task: str, seed: int) -> Any:
    """Return LightGBM's boosted trees."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMClassifier if task == CLASSIFICATION else LGBMRegressor
    return kind(random_state=seed, n_jobs=1, verbose=-1)


def realmlp(task: str, seed: int) -> Any:
    """Return RealMLP-TD-S. It takes categories as they are, but no missing numbers: medians."""
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    kind = RealMLP_TD_S_Classifier if task == CLASSIFICATION else RealMLP_TD_S_Regressor
    numbers = make_column_selector(dtype_exclude="category")
    imputer = make_column_transformer(
        (SimpleImputer(strategy="median"), numbers),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return make_pipeline(imputer, kind(device="cpu", n_threads=1, random_state=seed))


def ours(task: str, seed: int) -> Any:
    """Return sknet's estimators for tables."""
    from sknet.tabular import TabularMLPClassifier, TabularMLPRegressor

    kind = TabularMLPClassifier if task == CLASSIFICATION else TabularMLPRegressor
    return kind(random_state=seed, n_jobs=1)


MODELS = {
    OURS: Model("sknet's tabular MLP", TASKS, ours),
    REFERENCE: Model("scikit-learn's MLP", TASKS, sklearn_mlp),
    "sklearn-mlp-raw": Model("scikit-learn's MLP, raw target", (REGRESSION,), sklearn_mlp_raw),
    "sknet-mlp-raw": Model("sknet.MLPRegressor, raw target", (REGRESSION,), sknet_mlp_raw),
    "hist": Model("HistGradientBoosting", TASKS, hist),
    "lightgbm": Model("LightGBM", TASKS, lightgbm),
    "realmlp": Model("RealMLP-TD-S", TASKS, realmlp),
}


def names(task: str) -> list[str]:
    """Return the models that can do a task, ours first."""
    return [name for name, model in MODELS.items() if task in model.tasks]


def interval(model: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the prediction intervals of our regressor."""
    low, high = model.predict_interval(X, coverage=COVERAGE).T
    return low, high
