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
from numpy.testing import assert_array_equal
from processes import run_script

from sknet import HiddenLayers, MLPClassifier, MLPRegressor
from sknet._engine import memory
from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.gemm import DEPTH_BLOCK
from sknet._engine.memory import is_finite
from sknet._engine.simd import VECTOR_BYTES
from sknet._training.trainer import MAX_KEPT_BYTES
from sknet.estimators import conversion

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

N, N_FEATURES, N_UNITS = 20_000, 200, 4
HELD_OUT = 0.5

# Numbers of 8 bytes: twelve for each row (order, permutation, weights, targets, scores, ...), the
# features and all buffers of the 512 rows that go through the network at a time, and fifty vectors
# of parameters (gradients, slots; L-BFGS keeps ten pairs). Two panels of a product, in training and
# in predictions. A MiB is for programs and other objects, which do not grow with the data.
NUMBERS = 12 * N + 512 * (N_FEATURES + 16 * N_UNITS) + 50 * N_FEATURES * N_UNITS
BESIDE_X = 8 * NUMBERS + 2 * DEPTH_BLOCK * 2 * VECTOR_BYTES + 2**20
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


@pytest.fixture
def some_rows_at_a_time(monkeypatch):
    """Convert small data some rows at a time, too: so many bytes of them."""
    n_bytes = 2**16
    monkeypatch.setattr(memory, "CONVERTED_BYTES", n_bytes)
    monkeypatch.setattr(conversion, "CONVERTED_WHOLE", 0)
    return n_bytes


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("form", [*CONVERTED, "big-endian float64"])
def test_large_data_are_converted_some_rows_at_a_time(form, estimator, X, y, some_rows_at_a_time):
    """Fits, L-BFGS's in float64 among them, and predictions.

    At least a microbatch is converted at a time. Its rows are taken together before that.
    """
    at_a_time = 2 * max(some_rows_at_a_time, 8 * 512 * N_FEATURES)
    assert BESIDE_X + at_a_time < SMALLEST_COPY
    convert, _ = {**CONVERTED, "big-endian float64": (lambda X: X.astype(">f8"), None)}[form]
    X = convert(X)
    for parameters in ({}, {"solver": "lbfgs"}, STOPPING):
        model = network(estimator, **parameters)
        assert peak_of_fit(model, X, y) < BESIDE_X + at_a_time
    assert peak(model.predict, X)[0] < BESIDE_X + at_a_time
    assert peak(model.score, X, y)[0] < BESIDE_X + at_a_time


def test_predictions_of_another_dtype_are_converted_some_rows_at_a_time(X, y, some_rows_at_a_time):
    for trained, given in ((np.float64, np.float32), (np.float32, np.float64)):
        model = network().fit(X[:2000].astype(trained), y[:2000])
        assert peak(model.predict, X.astype(given))[0] < BESIDE_X + 4 * some_rows_at_a_time


def test_targets_of_many_columns_are_not_copied(X):
    """An autoencoder learns X itself; what is scored is dense, too."""
    model = network(MLPRegressor)
    assert peak_of_fit(model, X, X) < BESIDE_X


VARIANTS = [
    {},
    {"solver": "lbfgs"},
    {"batch_size": 1300},  # several microbatches
    {"dropout": 0.2, "input_noise": 0.1, "shuffle": False, "n_jobs": 2},
    {"early_stopping": True},
    {"early_stopping": True, "scoring": "accuracy", "training_scoring": "accuracy"},
    {"training_scoring": "loss", "warm_start": True},
]


@pytest.mark.parametrize("variant", range(len(VARIANTS)))
@pytest.mark.parametrize("form", CONVERTED)
def test_the_bits_are_those_of_data_that_were_converted_before(
    form, variant, X, y, some_rows_at_a_time, monkeypatch
):
    convert, dtype = CONVERTED[form]
    given, y = convert(X[:3000, :20]), y[:3000]
    ready = np.ascontiguousarray(given, dtype)
    found = []
    for rows in (given, ready):
        if variant == len(VARIANTS) - 1:  # goes on, with validation data
            model = network(**VARIANTS[variant]).fit(rows, y, X_val=rows, y_val=y)
            model.fit(rows, y, X_val=rows, y_val=y)
        else:
            model = network(**VARIANTS[variant]).fit(rows, y)
        found.append([*model.coefs_, model.predict_proba(rows), model.loss_curve_])
        found[-1] += [model.validation_scores_ or 0, getattr(model, "training_scores_", 0)]
    for one, other in zip(*found, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["columns", "float16"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_found_in_large_data(
    value, form, X, y, some_rows_at_a_time
):
    given = CONVERTED[form][0](X[:5000]).copy(order="K")
    model = network().fit(given, y[:5000])
    given[-1, -1] = value
    name = "NaN" if np.isnan(value) else "infinity"
    for call in (lambda: network().fit(given, y[:5000]), lambda: model.predict(given)):
        with pytest.raises(ValueError, match=f"Input X contains {name}"):
            call()


def test_large_data_are_checked_like_others(X, y, some_rows_at_a_time):
    given = np.asfortranarray(X[:5000])
    model = network().fit(given, y[:5000])
    assert model.n_features_in_ == N_FEATURES
    with pytest.raises(ValueError, match="X has 10 features, but MLPClassifier is expecting 200"):
        model.predict(given[:, :10])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(given, y[:4000])
    huge = np.asfortranarray(X[:5000].astype(np.float64) + 1e300)
    model.partial_fit(given, y[:5000])  # in float32, which cannot hold the next ones
    with pytest.raises(ValueError, match=r"Input X contains infinity or a value too large"):
        model.partial_fit(huge, y[:5000])


# More rows than memory.

CAPPED = """
import json, resource, sys, warnings
from pathlib import Path
import numpy as np
from numpy.lib.format import open_memmap
from sknet import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")
folder, cap = Path(sys.argv[1]), int(sys.argv[2])
n, n_features, dtype, order = int(sys.argv[3]), 400, sys.argv[4], sys.argv[5]


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


file = folder / "X.npy"
X = open_memmap(file, "w+", dtype, (n, n_features), fortran_order=order == "F")
block = np.random.default_rng(0).integers(0, 250, (1000, n_features)).astype(dtype)
for start in range(0, n, 1000):
    X[start : start + 1000] = np.roll(block, start // 1000, axis=0)
X.flush()
X = np.load(file, mmap_mode="r")
y = np.arange(n) % 3


def use(X, y):
    results = []
    for estimator in (MLPClassifier, MLPRegressor):
        model = estimator(hidden_layer_sizes=(4,), max_iter=1, early_stopping=True, random_state=0)
        model.fit(X, y, sample_weight=1.0 + y)
        results += [*model.coefs_, model.predict(X), np.array(model.score(X, y))]
    return results


use(X[:3000], y[:3000])  # compiles
before = status("VmData")
hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
resource.setrlimit(resource.RLIMIT_DATA, (before + cap, hard))
try:
    np.ones(2 * cap, np.uint8)
except MemoryError:
    pass
else:
    sys.exit("the cap does not hold")
capped = use(X, y)
resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
in_memory = use(np.array(X, order=order), y)
assert len(capped) == len(in_memory) > 0
same = all(a.tobytes() == b.tobytes() for a, b in zip(capped, in_memory))
print(json.dumps([X.nbytes, same]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to RLIMIT_DATA")
@pytest.mark.skipif(PYTHON_MODE, reason="plain Python would take minutes for so many rows")
@pytest.mark.parametrize(
    ("dtype", "order", "n"), [("f4", "C", 160_000), ("u1", "C", 160_000), (">f8", "F", 50_000)]
)
def test_a_file_larger_than_the_memory_that_is_allowed(dtype, order, n, tmp_path):
    """The bits are those of a fit in memory, and the system refuses what exceeds the cap.

    The file has up to 256 MB, and would have up to 512 MB in float64. Training and predictions take
    200 bytes for each row, and converting takes some MiB.
    """
    cap = 200 * n + 6 * memory.CONVERTED_BYTES
    n_bytes, is_same = json.loads(run_script(CAPPED, tmp_path, cap, n, dtype, order))
    assert n_bytes > cap
    assert n * 400 * 8 > 4 * cap  # which a copy in float64 would take
    assert is_same


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
