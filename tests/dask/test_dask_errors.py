"""What fits on Dask refuse, and what they say."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from processes import run_script

from sknet import MLPClassifier, MLPRegressor
from sknet.dask import DaskMLPClassifier, DaskMLPRegressor

da = pytest.importorskip("dask.array", reason="the extra 'dask' is not installed")

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2


def collections(X=X, y=Y):
    return da.from_array(X, chunks=(5, -1)), da.from_array(y, chunks=5)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (DaskMLPClassifier(sync_every=0), "'sync_every' parameter"),
        (DaskMLPClassifier(timeout=0), "'timeout' parameter"),
        (DaskMLPClassifier(MLPRegressor()), "must be a sknet.MLPClassifier"),
        (DaskMLPRegressor(MLPRegressor(alpha=-1)), "'alpha' parameter"),
        (DaskMLPClassifier(MLPClassifier(early_stopping=True)), "needs X_val and y_val"),
        (DaskMLPClassifier(MLPClassifier(warm_start=True)), "warm_start=True is not for Dask"),
        (DaskMLPClassifier(MLPClassifier(training_scoring="loss")), "training_scoring='loss'"),
        (
            DaskMLPClassifier(MLPClassifier(solver="lbfgs", dropout=0.5)),
            "dropout=0.5 is not for solver='lbfgs'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parameters(client, model, match):
    with pytest.raises(ValueError, match=match):
        model.fit(*collections())


def with_nan():
    bad = X.copy()
    bad[7, 1] = np.nan
    return bad


def unknown(y):
    """Return y with partitions whose sizes Dask does not know."""
    return y[y >= 0]


@pytest.mark.parametrize(
    ("kind", "data", "match"),
    [
        (DaskMLPClassifier, lambda: collections(with_nan()), "NaN"),
        (DaskMLPClassifier, lambda: collections(y=Y + 0.5), "Unknown label type"),
        (DaskMLPClassifier, lambda: collections(y=Y[:9]), "X has 10 rows, but y has 9"),
        (DaskMLPClassifier, lambda: collections(X[:0], Y[:0]), "X has no rows"),
        (DaskMLPRegressor, lambda: collections(y=Y.astype(str)), "must hold numbers"),
        (
            DaskMLPClassifier,
            lambda: (collections()[0], unknown(da.from_array(Y, chunks=10))),
            "X has 2 partitions, but y has",
        ),
    ],
)
def test_data(client, kind, data, match):
    dX, dy = data()
    with pytest.raises((ValueError, TypeError), match=match):
        kind().fit(dX, dy)


def test_negative_weights_and_none_that_count(client):
    weights = np.ones(10)
    weights[9] = -1
    with pytest.raises(ValueError, match="sample_weight has negative values"):
        DaskMLPClassifier().fit(*collections(), da.from_array(weights, chunks=5))
    with pytest.raises(ValueError, match="at least one non-zero number"):
        DaskMLPClassifier().fit(*collections(), da.zeros(10, chunks=5))


def test_sparse_partitions(client):
    sparse = collections()[0].map_blocks(sp.csr_array, dtype=float)
    with pytest.raises(TypeError, match="sparse matrices"):
        DaskMLPClassifier().fit(sparse, collections()[1])


def test_arrays_are_for_the_plain_estimators(client):
    with pytest.raises(TypeError, match=r"X is of the type ndarray.*dask.array.from_array"):
        DaskMLPClassifier().fit(X, Y)


def test_divergence_is_an_error(client):
    net = MLPRegressor(solver="sgd", learning_rate_init=1e200, random_state=0)
    with pytest.raises(ValueError, match="diverged"):
        DaskMLPRegressor(net, sync_every=1).fit(*collections(X * 1e100, Y.astype(float)))


@pytest.mark.parametrize("missing", ["dask", "distributed"])
def test_without_dask(monkeypatch, missing):
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"python -m pip install 'sknet-mlp\[dask\]'"):
        DaskMLPClassifier().fit(X, Y)


SCRIPT = """
from sknet.dask import DaskMLPClassifier
try:
    DaskMLPClassifier().fit([[0], [1]], [0, 1])
except ValueError as error:
    print(error)
"""


def test_without_a_client():
    assert "fit needs the client of a Dask cluster" in run_script(SCRIPT)
