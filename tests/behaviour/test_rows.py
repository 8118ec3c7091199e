"""The prediction of a row does not depend on the rows beside it, nor on the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from factories import classifier, regressor
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sknet._engine import threads
from sknet.activations import Activation

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# More than a chunk of rows that pass through the network at a time, and a remainder.
N_ROWS = 601


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", Activation.table)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_any_rows_at_any_place(name, dtype, data):
    rng = np.random.RandomState(data.draw(st.integers(0, 1000)))
    X = rng.normal(size=(N_ROWS, 7)).astype(dtype)
    net = classifier(activation=name, hidden_layer_sizes=(13, 5), max_iter=1)
    net.fit(X, rng.randint(3, size=N_ROWS))
    rows = np.array(data.draw(st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=40)))
    for method in (net.predict_proba, net.decision_function, net.predict):
        together = method(X)
        assert_array_equal(method(X[rows]), together[rows])
        assert_array_equal(method(X[rows][:1]), together[rows][:1])


@pytest.mark.parametrize(
    "net",
    [
        classifier(activation="softplus", loss="squared_error"),
        regressor(activation=["gelu", "mish"], hidden_layer_sizes=(9, 4)),
        regressor(loss="poisson"),
        regressor(loss="quantile", quantile=[0.1, 0.5, 0.9], non_crossing=True),
    ],
    ids=lambda net: f"{net.loss}",
)
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_any_number_of_threads(net, form, monkeypatch):
    monkeypatch.setattr(threads, "MIN_SHARED_FLOPS", 0)
    monkeypatch.setattr(threads, "cpu_count", lambda: 3)
    rng = np.random.RandomState(0)
    X = rng.normal(size=(N_ROWS, 7))
    net.fit(X, rng.randint(3, size=N_ROWS))
    alone = net.predict(form(X))
    assert_array_equal(net.set_params(n_jobs=3).predict(form(X)), alone)
    single = np.concatenate([net.predict(form(X)[i : i + 1]) for i in range(N_ROWS)])
    assert_array_equal(single, alone)
