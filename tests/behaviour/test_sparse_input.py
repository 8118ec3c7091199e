"""Sparse data in every format: as their dense form, or an error before anything reads past them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp
from factories import SMALL
from numpy.testing import assert_allclose, assert_array_equal
from processes import run_script
from sklearn.frozen import FrozenEstimator
from snapshots import assert_same_weights

from sknet import HiddenLayers, MLPClassifier, MLPRegressor, input_gradients
from sknet._engine.memory import as_kernel_input
from sknet._engine.sparse import check_sparse

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Constructing a DIA matrix"),
]

FORMATS = ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]
CLASSES = [getattr(sp, f"{name}_{kind}") for name in FORMATS for kind in ("array", "matrix")]
every_class = pytest.mark.parametrize("container", CLASSES, ids=lambda c: c.__name__)


@pytest.fixture(scope="module")
def data(digits):
    """Return some digits, pixels in multiples of 1/16, and their classes."""
    return digits[0][:60], digits[1][:60]


def uses(model, X, y):
    """Return all calls that take X, and what each returns."""
    return {
        "predict_proba": lambda: model.predict_proba(X),
        "score": lambda: model.score(X, y),
        "HiddenLayers": lambda: HiddenLayers(FrozenEstimator(model)).fit(X).transform(X),
        "input_gradients": lambda: input_gradients(model, X, target=3, multiply_by_inputs=True),
        "X_val": lambda: MLPClassifier(**SMALL).fit(X, y, X_val=X, y_val=y).validation_loss_curve_,
        "partial_fit": lambda: MLPClassifier(**SMALL).partial_fit(X, y, None, range(10)).coefs_[0],
        "fit": lambda: MLPClassifier(**SMALL).fit(X, y).coefs_[0],
        "L-BFGS": lambda: MLPClassifier(**SMALL, solver="lbfgs").fit(X, y).coefs_[0],
    }


@every_class
def test_all_calls_take_every_format_as_its_dense_form(container, data):
    """The order of sums differs from that of dense rows, so results differ by roundings."""
    X, y = data
    model = MLPClassifier(**SMALL).fit(X, y)
    expected = uses(model, X, y)
    for name, call in uses(model, container(X), y).items():
        assert_allclose(call(), expected[name](), rtol=0, atol=1e-11, err_msg=name)


def repeated(X, name):
    """Return a matrix whose entries stand there in two parts, the second parts before the first."""
    X = sp.coo_array(X)
    rows, columns = (np.concatenate([index, index]) for index in (X.row, X.col))
    values, order = np.concatenate([0.75 * X.data, 0.25 * X.data]), np.argsort(rows)[::-1]
    if name == "coo":
        return sp.coo_array((values[order], (rows[order], columns[order])), X.shape)
    major, minor = (columns, rows) if name == "csc" else (rows, columns)
    n = X.shape[1 if name == "csc" else 0]
    order = np.lexsort((-minor, major))
    indptr = np.searchsorted(major[order], np.arange(n + 1))
    values = values[order]
    if name == "bsr":
        values = values.reshape(-1, 1, 1)
    return getattr(sp, f"{name}_array")((values, minor[order], indptr), shape=X.shape)


@pytest.mark.parametrize("name", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize("index_dtype", ["i4", "i8", ">i4", "u8"])
def test_entries_in_several_parts_and_in_any_order_are_added_up(name, index_dtype, data):
    X, y = data
    parts = repeated(X, name)
    assert_array_equal(parts.toarray(), X)
    assert parts.nnz == 2 * np.count_nonzero(X)
    if name == "coo":
        parts.row, parts.col = (index.astype(index_dtype) for index in (parts.row, parts.col))
    else:
        parts.indices = parts.indices.astype(index_dtype)
    model = MLPClassifier(**SMALL).fit(X, y)
    expected = uses(model, X, y)
    for use, call in uses(model, parts, y).items():
        assert_allclose(call(), expected[use](), rtol=0, atol=1e-11, err_msg=use)


def strided(array):
    """Return a view of equal values with a gap after each."""
    return np.repeat(array, 2)[::2]


@pytest.mark.parametrize("which", ["data", "indices", "indptr", "all three"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_data_in_strided_arrays(solver, dtype, which, data):
    """They give the model and the predictions of contiguous arrays, to the bit."""
    X, y = sp.csr_array(data[0].astype(dtype)), data[1]
    other = X.copy()
    for name in ("data", "indices", "indptr"):
        if which in (name, "all three"):
            setattr(other, name, strided(getattr(X, name)))
            assert not getattr(other, name).flags.c_contiguous
    models = [MLPClassifier(**SMALL, solver=solver).fit(form, y) for form in (X, other)]
    assert_same_weights(*models)
    assert_array_equal(models[0].predict_proba(other), models[1].predict_proba(X))
    models[0].set_params(solver="adam").partial_fit(other, y)
    models[1].set_params(solver="adam").partial_fit(X, y)
    assert_same_weights(*models)


# Arrays that contradict each other.

FAULTS = {
    "csr": [
        *("beyond", "far beyond", "below", "far below", "short"),
        *("unordered", "far row", "negative row", "end"),
    ],
    "coo": ["beyond", "far beyond", "below", "far below", "short", "row beyond", "row below"],
    "lil": ["beyond", "far beyond", "below", "far below", "long row", "long data"],
}
FAULTS["csc"] = FAULTS["bsr"] = FAULTS["csr"]

MALFORMED = """
import json, sys, warnings
import numpy as np
import scipy.sparse as sp
from sklearn.frozen import FrozenEstimator
from sknet import HiddenLayers, MLPClassifier, MLPRegressor, input_gradients

warnings.simplefilter("ignore")
name, faults = sys.argv[1], json.loads(sys.argv[2])
rng = np.random.default_rng(0)
y = np.arange(200) % 2


def dense(dtype):
    X = rng.integers(1, 9, size=(200, 30)) * (rng.random((200, 30)) < 0.3)
    return X.astype(dtype)


def malformed(values, kind, fault):
    X = getattr(sp, f"{name}_{kind}")(values)
    n = 200 if name == "csc" else 30
    n //= X.blocksize[1] if name == "bsr" else 1
    column = {"beyond": n, "far beyond": 10**8, "below": -1, "far below": -(10**8)}.get(fault)
    if kind == "matrix" and name in ("csr", "csc", "bsr"):
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    if name == "lil":
        if column is not None:
            X.rows[3][-1] = column
        else:
            {"long row": X.rows, "long data": X.data}[fault][3].append(1)
    elif fault == "short":
        X.data = X.data[:-3].copy()
    elif name == "coo":
        if column is not None:
            X.col[5] = column
        else:
            X.row[5] = {"row beyond": 200, "row below": -(10**8)}[fault]
    elif column is not None:
        X.indices[5] = column
    elif fault == "unordered":
        X.indptr[5], X.indptr[6] = X.indptr[7], X.indptr[4]
    elif fault == "far row":
        X.indptr[5] = 2**30
    elif fault == "negative row":
        X.indptr[5] = -(2**20)
    elif fault == "end":
        X.indptr[-1] = 2**30
    return X


results = []
options = {"hidden_layer_sizes": (8,), "max_iter": 2, "random_state": 0}
X = sp.csr_array(dense(np.float64))
model = MLPClassifier(**options).fit(X, y)
expected = model.predict_proba(X)
for fault in faults:
    calls = {
        "fit": lambda: MLPClassifier(**options).fit(bad, y),
        "L-BFGS": lambda: MLPRegressor(**options, solver="lbfgs").fit(bad, y),
        "partial_fit": lambda: model.partial_fit(bad, y),
        "X_val": lambda: model.fit(X, y, X_val=bad, y_val=y),
        "predict": lambda: model.predict(bad),
        "score": lambda: model.score(bad, y),
        "HiddenLayers": lambda: HiddenLayers(FrozenEstimator(model)).fit(X).transform(bad),
        "input_gradients": lambda: input_gradients(model, bad, target=1),
        "times input": lambda: input_gradients(model, bad, multiply_by_inputs=True),
        "Y": lambda: MLPClassifier(**options).fit(X, bad),
    }
    # Whole numbers are converted by SciPy, after a look for duplicates.
    for dtype, kind in ((np.float64, "array"), (np.float32, "matrix"), (np.int64, "array")):
        for call_name, call in calls.items():
            print(fault, dtype.__name__, call_name, file=sys.stderr, flush=True)
            bad = malformed(dense(dtype), kind, fault)
            try:
                call()
            except ValueError as error:
                results.append([fault, call_name, str(error)])
            else:
                raise AssertionError("it was taken")
assert np.array_equal(model.predict_proba(X), expected)
print(json.dumps(results))
"""


@pytest.mark.parametrize("name", FAULTS)
def test_arrays_that_contradict_each_other_are_refused(name):
    """No call crashes or takes them, and the message names the array at fault."""
    results = json.loads(run_script(MALFORMED, name, json.dumps(FAULTS[name])))
    assert len(results) == 10 * 3 * len(FAULTS[name])
    for fault, call, message in results:
        given = "y" if call == "Y" else "X"
        assert f"{given}." in message or f"sparse {given}" in message, (fault, call, message)


@pytest.mark.parametrize("name", ["csr", "csc", "bsr"])
def test_indices_that_are_no_integers_are_refused(name, data):
    X = getattr(sp, f"{name}_array")(data[0])
    X.indices = X.indices.astype(float)
    with pytest.raises(ValueError, match=r"X\.indices has the dtype float64.*numpy\.int32"):
        MLPClassifier(**SMALL).fit(X, data[1])


def test_64_bit_indices_that_do_not_fit_are_refused(data):
    """Their lowest 32 bits would be right."""
    X = sp.csr_array(data[0])
    X.indices = X.indices.astype(np.int64) + 2**32
    with pytest.raises(ValueError, match=r"from 4294967\d{3} to 4294967\d{3}, but X has 64"):
        MLPClassifier(**SMALL).fit(X, data[1])


def test_the_largest_number_of_columns():
    """Column numbers are 32 bits in kernels, so the last column that they reach is 2**31 - 1."""
    entries = np.ones(1), np.array([2**31 - 1]), np.array([0, 1])
    csr = as_kernel_input(sp.csr_array(entries, shape=(1, 2**31)))
    assert csr.indices.tolist() == [2**31 - 1]
    with pytest.raises(ValueError, match="2147483649 columns, more than the 2147483648"):
        as_kernel_input(sp.csr_array(entries, shape=(1, 2**31 + 1)))
    with pytest.raises(ValueError, match="2147483649 columns, more than the 2147483648"):
        MLPRegressor(**SMALL).fit(sp.csr_array(entries, shape=(1, 2**31 + 1)), [1.0])


@every_class
def test_sound_matrices_pass(container, data):
    for X in (data[0], np.zeros((3, 5)), np.zeros((0, 5)), np.zeros((3, 0))):
        check_sparse(container(X))
