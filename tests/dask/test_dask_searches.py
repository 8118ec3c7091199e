"""Searches of scikit-learn whose fits run on Dask, through joblib."""

from __future__ import annotations

import joblib
import numpy as np
from comparisons import assert_same_search
from sklearn.model_selection import GridSearchCV

from sknet import MLPClassifier


def n_executed(client):
    """Return how many tasks the workers have run."""
    return sum(client.run(lambda dask_worker: dask_worker.state.executed_count).values())


def test_a_search_finds_the_same(client, digits):
    X, y = digits[0][:400], digits[1][:400]
    net = MLPClassifier((10,), max_iter=3, n_iter_no_change=np.inf, random_state=0)
    search = GridSearchCV(net, {"learning_rate_init": [0.003, 0.03]}, cv=2)
    alone = GridSearchCV(net, search.param_grid, cv=2).fit(X, y)
    n_before = n_executed(client)
    with joblib.parallel_config(backend="dask"):
        search.fit(X, y)
    assert_same_search(search, alone)
    assert n_executed(client) > n_before
