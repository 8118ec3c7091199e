"""One estimator in the hands of several threads: right answers or errors, and no crash."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from processes import run_script

from sknet import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

COMMON = """
import json, sys, threading, warnings
import numpy as np
from sknet import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")
n_jobs = int(sys.argv[1]) if len(sys.argv) > 1 else None
rng = np.random.default_rng(0)
sys.setswitchinterval(1e-4)  # threads take turns more often than usual


def run_all(*functions):
    "Call functions at the same time, and return what they raised."
    errors = []

    def call(function):
        try:
            function()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
"""

PREDICTIONS_DURING_FITS = (
    COMMON
    + """
N_FITS = 40


def data(n_features, labels):
    X = rng.normal(size=(300, n_features))
    return X, labels[X[:, : len(labels)].argmax(axis=1)]


# Widths, classes and hidden layers differ from one to the next.
LABELS = np.array(["one", "two", "three"])
models = [
    ({"hidden_layer_sizes": (7,)}, *data(20, LABELS)),
    ({"hidden_layer_sizes": (300, 50)}, *data(30, np.arange(6))),
    ({"hidden_layer_sizes": (50,), "activation": "tanh"}, *data(20, np.arange(4))),
    ({"hidden_layer_sizes": (), "loss": "squared_error"}, *data(30, LABELS[:2])),
]
inputs = [np.repeat(models[k][1], 4, axis=0) for k in (0, 1)]
shared = MLPClassifier(max_iter=3, random_state=0, n_jobs=n_jobs)
METHODS = ("predict_proba", "predict", "decision_function")
expected = {method: ([], []) for method in METHODS}
for parameters, X, y in models:
    # The parameters of the other models have no effect on this one.
    shared.set_params(activation="relu", loss="log_loss").set_params(**parameters).fit(X, y)
    k = 0 if X.shape[1] == 20 else 1
    for method in METHODS:
        expected[method][k].append(getattr(shared, method)(inputs[k]))
is_over = False
counts = dict.fromkeys(("right", "refused"), 0)


def refit():
    global is_over
    try:
        for k in range(N_FITS):
            parameters, X, y = models[k % len(models)]
            shared.set_params(activation="relu", loss="log_loss").set_params(**parameters)
            shared.fit(X, y)
    finally:
        is_over = True


def predict(method):
    k = 0
    while not is_over:
        k = 1 - k
        try:
            found = getattr(shared, method)(inputs[k])
        except ValueError:
            counts["refused"] += 1
            continue
        right = expected[method][k]
        assert any(
            found.shape == e.shape and found.dtype == e.dtype and np.array_equal(found, e)
            for e in right
        ), f"{method} returned {found.dtype} of shape {found.shape} that no model gives"
        counts["right"] += 1


errors = run_all(refit, *(lambda method=method: predict(method) for method in METHODS))
assert not errors, errors
print(json.dumps(counts))
"""
)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_predictions_while_another_thread_fits(n_jobs):
    """Each is that of the old model or of the new one, or says that the widths differ."""
    counts = json.loads(run_script(PREDICTIONS_DURING_FITS, n_jobs, timeout=200))
    assert counts["right"] > 0


CONCURRENT_FITS = (
    COMMON
    + """
def books(model):
    return [w.tobytes() for w in (*model.coefs_, *model.intercepts_)], list(model.loss_curve_)


classes = np.arange(5)
sys.setswitchinterval(1e-5)
# Short fits, so that the moments at which one begins or ends meet those of others.
X = rng.normal(size=(100, 300))
y = X[:, :5].argmax(axis=1)
narrow = X[:, :3].copy()
shared = MLPClassifier((60, 40), max_iter=2, random_state=0, batch_size=50, n_jobs=n_jobs)
narrow_books, wide_books = books(shared.fit(narrow, y)), books(shared.fit(X, y))


def fit_wide():
    for _ in range(100):
        shared.fit(X, y)


def fit_narrow():
    for _ in range(100):
        shared.fit(narrow, y)


def fit_in_parts():
    for _ in range(100):
        shared.partial_fit(X, y, classes=classes)


calls, right = {
    "fit": ((fit_wide,) * 3, [wide_books]),
    "fits of two widths": ((fit_wide, fit_narrow, fit_wide), [wide_books, narrow_books]),
    "partial_fit": ((fit_in_parts,) * 3, None),
    "fit and partial_fit": ((fit_wide, fit_in_parts, fit_narrow), None),
}[sys.argv[2]]
errors = run_all(*calls)
# A call may find a model of other widths, and refuse it. No other errors happen.
assert all(type(error) is ValueError for error in errors), errors
assert not errors or fit_narrow in calls, errors

# Every fit has the same seed, so that the last one has the bits of an undisturbed one.
assert right is None or books(shared) in right, "the weights are those of no single fit"
inputs = X if shared.n_features_in_ == 300 else narrow
p = shared.predict_proba(inputs)
assert p.shape == (100, 5)
assert np.isfinite(p).all()
assert [w.shape for w in shared.coefs_] == [(shared.n_features_in_, 60), (60, 40), (40, 5)]
assert [b.shape for b in shared.intercepts_] == [(60,), (40,), (5,)]
assert set(shared.predict(inputs)) <= set(classes)
shared.partial_fit(inputs, y)
assert books(shared.fit(X, y)) == wide_books
"""
)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "calls", ["fit", "fits of two widths", "partial_fit", "fit and partial_fit"]
)
def test_concurrent_fits_end_in_a_usable_model(calls, n_jobs):
    # Whether threads meet at a bad moment is chance: calls of `fit` did nearly always, the
    # cases with `partial_fit` are guards against regressions.
    run_script(CONCURRENT_FITS, n_jobs, calls, timeout=200)


WIDTH_SET_BY_HAND = (
    COMMON
    + """
n_columns = int(sys.argv[2])
for dtype in ("float64", "float32"):
    X = rng.normal(size=(1000, 64)).astype(dtype)
    others = rng.normal(size=(100_000, n_columns)).astype(dtype)
    for estimator, method in (
        (MLPClassifier, "predict"), (MLPClassifier, "predict_proba"),
        (MLPClassifier, "decision_function"), (MLPRegressor, "predict"),
    ):
        print(dtype, estimator.__name__, method, flush=True)
        model = estimator(hidden_layer_sizes=(30,), max_iter=1, random_state=0, n_jobs=n_jobs)
        model.fit(X, (X[:, 0] > 0).astype(int))
        expected = getattr(model, method)(X)
        model.n_features_in_ = n_columns
        try:
            result = getattr(model, method)(others)
        except ValueError as error:
            assert str(n_columns) in str(error) and "64" in str(error), error
        else:
            raise AssertionError(f"{method} returned {result}")
        model.n_features_in_ = 64
        assert np.array_equal(getattr(model, method)(X), expected)
"""
)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("n_columns", [4, 100])
def test_a_width_set_by_hand_is_not_believed(n_columns, n_jobs):
    """The rows go through the network of the weights, and the error names both widths."""
    run_script(WIDTH_SET_BY_HAND, n_jobs, n_columns)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_a_width_set_by_hand_is_not_believed_in_further_training(sparse, digits):
    X, y = digits
    model = MLPClassifier((8,), max_iter=1, random_state=0, warm_start=True).fit(X, y)
    expected = model.predict_proba(X)
    model.n_features_in_ = 4
    narrow = np.ascontiguousarray(X[:, :4])
    narrow = sp.csr_array(narrow) if sparse else narrow
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"(?s)(?<!\d)(4.*64|64.*4)(?!\d)"):
            train(narrow, y)
    model.n_features_in_ = 64
    assert_array_equal(model.predict_proba(X), expected)
