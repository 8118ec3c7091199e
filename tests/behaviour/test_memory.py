"""What a call allocates beside its data, and what it leaves behind.

NumPy reports each array to `tracemalloc`, so the figures are those of arrays that were allocated,
not of pages. X is not among them, since it was there before the call.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tracemalloc
import weakref

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from factories import LBFGS_STOPS_EARLY
from processes import run_script

from sknet import HiddenLayers, MLPClassifier, MLPRegressor
from sknet._engine.memory import is_finite
from sknet._training.trainer import MAX_KEPT_BYTES

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

N, N_FEATURES, N_UNITS = 20_000, 200, 4
HELD_OUT = 0.5

# Numbers of 8 bytes: twelve for each row (order, permutation, weights, targets, scores, ...), the
# features and all buffers of the 512 rows that go through the network at a time, and fifty vectors
# of parameters (gradients, slots; L-BFGS keeps ten pairs). A MiB is for programs and other objects,
# which do not grow with the data.
BESIDE_X = 8 * (12 * N + 512 * (N_FEATURES + 16 * N_UNITS) + 50 * N_FEATURES * N_UNITS) + 2**20
SMALLEST_COPY = 4 * N * N_FEATURES * HELD_OUT  # of the rows that are held out, in float32
assert 1.5 * BESIDE_X < SMALLEST_COPY

STOPPING = {"early_stopping": True, "validation_fraction": HELD_OUT}
VALIDATIONS = {
    "no validation": {},
    "early stopping": STOPPING,
    "early stopping by loss": {**STOPPING, "scoring": "loss"},
}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).random((N, N_FEATURES), np.float32)


@pytest.fixture(scope="module")
def y():
    return np.arange(N) % 3


def network(estimator=MLPClassifier, **parameters):
    return estimator(hidden_layer_sizes=(N_UNITS,), max_iter=2, random_state=0, **parameters)


def peak(call, *arguments, **keywords):
    """Return the bytes at the peak of a call beyond those before it, and what it returns."""
    gc.collect()
    tracemalloc.start()
    try:
        result = call(*arguments, **keywords)
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def peak_of_fit(model, X, y, **keywords):
    """Return the bytes at the peak of a fit for which all is compiled."""
    model.fit(X[:2000], y[:2000], **keywords)
    return peak(model.fit, X, y, **keywords)[0]


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("validation", VALIDATIONS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_copies_no_rows_of_a_file(dtype, solver, validation, estimator, X, y, tmp_path):
    """Rows are held out by their numbers, and L-BFGS computes in float64 on float32 data."""
    np.save(tmp_path / "X.npy", X.astype(dtype))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = network(estimator, solver=solver, **VALIDATIONS[validation])
    assert peak_of_fit(model, X, y) < BESIDE_X


@pytest.mark.parametrize("validation", VALIDATIONS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_copies_no_sparse_rows(solver, validation, X, y):
    X = sp.csr_array(X * (X > 0.25))
    assert (X.data.nbytes + X.indices.nbytes) * HELD_OUT > BESIDE_X
    model = network(solver=solver, **VALIDATIONS[validation])
    assert peak_of_fit(model, X, y) < BESIDE_X


def test_scorers_are_given_one_copy_of_the_held_out_rows(X, y):
    """They take arrays. The copy is in the dtype of X, and is made once."""
    model = network(**STOPPING, scoring="accuracy")
    assert peak_of_fit(model, X, y) < BESIDE_X + X.nbytes * HELD_OUT


@pytest.mark.parametrize("warm_start", [False, True])
def test_validation_data_are_not_copied(warm_start, X, y):
    """A warm start takes a digest of them, to tell whether they are the same as before."""
    model = network(warm_start=warm_start)
    assert peak_of_fit(model, X, y, X_val=X, y_val=y) < BESIDE_X + 8 * 5 * N


CONVERTED = {
    "columns": (np.asfortranarray, np.float32),
    "every other row": (lambda X: np.repeat(X, 2, axis=0)[::2], np.float32),
    "big-endian": (lambda X: X.astype(">f4"), np.float64),
    "float16": (lambda X: X.astype(np.float16), np.float64),
    "int64": (lambda X: np.rint(9 * X).astype(np.int64), np.float64),
    "uint8": (lambda X: np.rint(9 * X).astype(np.uint8), np.float64),
    "bool": (lambda X: X > 0.5, np.float64),
}


@pytest.mark.parametrize("form", CONVERTED)
def test_what_must_be_converted_is_copied_once(form, X, y):
    convert, dtype = CONVERTED[form]
    converted = X.size * np.dtype(dtype).itemsize
    assert peak_of_fit(network(), convert(X), y) < converted + BESIDE_X


def test_sparse_integers_keep_their_indices(X, y):
    X = sp.csr_array(np.rint(9 * X).astype(np.int8))
    converted = 8 * X.nnz
    assert X.indices.nbytes > BESIDE_X
    assert peak_of_fit(network(), X, y) < converted + BESIDE_X


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("use", ["predict", "transform"])
def test_predictions_copy_nothing(use, container, X, y):
    X = container(X)
    model = network().fit(X[:2000], y[:2000])
    call = (
        model.predict if use == "predict" else HiddenLayers(model).fit(X[:2000], y[:2000]).transform
    )
    call(X[:2000])
    assert peak(call, X)[0] < BESIDE_X


def test_a_search_for_numbers_that_are_not_finite_makes_no_array():
    """The sum of the first one is infinite, that of the second one is not a number."""
    for values, expected in (([3e38, 3e38], True), ([np.inf, -np.inf], False), ([np.nan], False)):
        X = np.resize(np.array(values, np.float32), (1000, 1000))
        assert peak(is_finite, X) == (pytest.approx(0, abs=2**16), expected)


# What is left behind.


def scipy_keeps_functions():
    """Return whether SciPy's L-BFGS leaves its function in a cycle of references."""

    def function(x):
        return float(x @ x), 2 * x

    end = weakref.ref(function)
    gc.disable()
    try:
        scipy.optimize.minimize(function, np.ones(1), jac=True, method="L-BFGS-B")
        del function
        return end() is not None
    finally:
        gc.enable()


@pytest.mark.parametrize("validation", VALIDATIONS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_a_fit_does_not_keep_the_data(container, solver, validation, X, y):
    """Not even until the next garbage collection."""
    if solver == "lbfgs" and scipy_keeps_functions():
        pytest.skip("this SciPy keeps the function that it has minimised until a collection")
    own = container(X[:2000].copy())
    arrays = [own.data, own.indices] if sp.issparse(own) else [own]
    ends = [weakref.ref(array) for array in arrays]
    model = network(solver=solver, **VALIDATIONS[validation])
    gc.collect()
    gc.disable()
    try:
        model.fit(own, y[:2000]).predict(own)
        del own, arrays
        assert [end() for end in ends] == [None] * len(ends)
    finally:
        gc.enable()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("width", [100, 1])
def test_partial_fit_keeps_no_large_data(width, container):
    """Small data are copied into what the next call uses again. Other arrays count like X."""
    fitting = MAX_KEPT_BYTES // (width * 8 + 3 * 8)
    for n, is_kept in ((fitting // 2, container is np.asarray), (fitting + 1, False)):
        X = container(np.ones((n, width)))
        model = network(MLPRegressor, batch_size=n)
        arrays = [X.data, X.indices] if sp.issparse(X) else [X]
        ends = [weakref.ref(array) for array in arrays]
        model.partial_fit(X, np.zeros(n))
        del X, arrays
        assert [end() for end in ends] == [None] * len(ends)
        kept = [trainer.runner.data.nbytes for trainer in model._trainers]
        assert len(kept) == is_kept
        assert sum(kept) <= MAX_KEPT_BYTES


# Calls that are repeated. What one of them left would add up.

REPEATED = """
import gc, json, sys, tracemalloc, warnings
from pathlib import Path
import numpy as np
import scipy.sparse as sp
from sknet import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")
measure, n_fits, n_predictions = sys.argv[1], *map(int, sys.argv[2:])
X, y = np.random.default_rng(0).random((300, 100)), np.arange(300) % 3
forms = [X, X.astype(np.float32), sp.csr_array(X)]
variants = [{}, {"solver": "lbfgs"}, {"early_stopping": True}, {"n_jobs": 2}, {"ema_decay": 0.9}]
cases = [(form, variant) for variant in variants for form in forms]


def fit(k):
    form, variant = cases[k % len(cases)]
    estimator = MLPClassifier if k % 2 else MLPRegressor
    return estimator(hidden_layer_sizes=(64,), max_iter=2, random_state=0, **variant).fit(form, y)


models = [fit(0), fit(1)]


def predict(k):
    models[k % 2].predict(forms[k % 3][: 1 + k % 4])


def memory():
    gc.collect()
    if measure == "traced":
        return tracemalloc.get_traced_memory()[0]
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


growth = []
for call, n in ((fit, n_fits), (predict, n_predictions)):
    if measure == "traced":
        tracemalloc.start(1)
    for k in range(60):  # compile, and fill what is kept for the next call
        call(k)
    before = memory()
    for k in range(n):
        call(k)
    growth.append(memory() - before)
    tracemalloc.stop()
print(json.dumps(growth))
"""
N_VARIANTS = 15
# What a call would leave at least: the parameters in float32, or an array without an element.
FIT_BYTES, PREDICTION_BYTES = 4 * (100 * 64 + 64 * 1), sys.getsizeof(np.empty(0))


def test_repeated_calls_allocate_nothing_that_stays():
    n_fits, n_predictions = 150, 10_000
    growth = json.loads(run_script(REPEATED, "traced", n_fits, n_predictions))
    assert growth[0] < n_fits / N_VARIANTS * FIT_BYTES
    assert growth[1] < n_predictions / 12 * PREDICTION_BYTES  # of one of twelve kinds


@pytest.mark.skipif(
    not os.environ.get("SKNET_LONG"), reason="it takes minutes; SKNET_LONG=1 runs it"
)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the anonymous memory")
def test_a_thousand_fits_and_many_predictions_do_not_grow():
    """Anonymous memory also has what is allocated outside of Python, such as compiled code."""
    n_fits, n_predictions = 1000, 100_000
    growth = json.loads(run_script(REPEATED, "resident", n_fits, n_predictions, timeout=1800))
    assert growth[0] < n_fits / N_VARIANTS * FIT_BYTES
    assert growth[1] < n_predictions / 12 * PREDICTION_BYTES
