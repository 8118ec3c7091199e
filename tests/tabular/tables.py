"""Small tables with numbers, categories and missing values, and ensembles that fit them fast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import sknet

SMALL = {"n_members": 3, "max_iter": 6, "random_state": 0}


def classifier(**parameters: Any) -> sknet.TabularMLPClassifier:
    """Return an ensemble of three nets that are trained for six epochs."""
    return sknet.TabularMLPClassifier(**(SMALL | parameters))


def regressor(**parameters: Any) -> sknet.TabularMLPRegressor:
    """Return an ensemble of three nets that are trained for six epochs."""
    return sknet.TabularMLPRegressor(**(SMALL | parameters))


def table(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a frame with two numbers and a category, some of them missing, and three classes.

    The number of the class follows from the columns, so that something can be learnt.
    """
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    town = rng.choice(np.array(["Bonn", "Köln", "Ulm"], object), n)
    y = (a + (town == "Ulm") > 0).astype(int) + (b > 0.5)
    a[::11], town[5::13] = np.nan, None
    return pd.DataFrame({"a": a, "b": b, "town": pd.Categorical(town)}), y
