"""Whatever form the same numbers and labels come in, the model is the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 90
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "batch_size": 32, "random_state": 0}


def classifier(**parameters):
    return MLPClassifier(**{**SMALL, **parameters})


def regressor(**parameters):
    return MLPRegressor(**{**SMALL, **parameters})


def assert_same_model(a, b, atol=0.0):
    """Assert equal losses and weights, by default to the last bit."""
    assert_allclose(a.loss_, b.loss_, rtol=0, atol=atol)
    for ours, theirs in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert ours.dtype == theirs.dtype
        assert_allclose(ours, theirs, rtol=0, atol=atol)


@pytest.fixture(scope="module")
def small(digits):
    # Pixels are multiples of 1/16: exact in every floating-point format below.
    return digits[0][:N], digits[1][:N]


@pytest.fixture(scope="module")
def reference(small):
    return classifier().fit(*small)


# Dense X.


def as_memmap(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


def as_read_only(X, folder):
    X = X.copy()
    X.flags.writeable = False
    return X


DENSE = {
    "C": lambda X, folder: X.copy(),
    "F": lambda X, folder: np.asfortranarray(X),
    "read-only": as_read_only,
    "read-only F": lambda X, folder: as_read_only(X.T, folder).T,
    "read-only memmap": as_memmap,
    "list of lists": lambda X, folder: X.tolist(),
    "tuple of arrays": lambda X, folder: tuple(X),
    "pandas": lambda X, folder: pd.DataFrame(X),
    "polars": lambda X, folder: pl.DataFrame(X),
    "every other column": lambda X, folder: np.repeat(X, 2, axis=1)[:, ::2],
    "every other row": lambda X, folder: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda X, folder: X[::-1].copy()[::-1],
    "big-endian": lambda X, folder: X.astype(">f8"),
    "object": lambda X, folder: X.astype(object),
    "float16": lambda X, folder: X.astype(np.float16),
    "long double": lambda X, folder: X.astype(np.longdouble),
}


@pytest.mark.parametrize("form", DENSE)
def test_dense_forms_give_the_same_model(form, small, reference, tmp_path):
    X, y = small
    same = DENSE[form](X, tmp_path)
    model = classifier().fit(same, y)
    assert_same_model(model, reference)
    assert_array_equal(model.predict_proba(same), reference.predict_proba(X))
    assert_array_equal(model.decision_function(same), reference.decision_function(X))


@pytest.mark.parametrize("form", ["F", "read-only memmap", "list of lists", "every other column"])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_dense_forms_with_other_solvers(form, solver, small, tmp_path):
    X, y = small
    model = classifier(solver=solver).fit(DENSE[form](X, tmp_path), y)
    assert_same_model(model, classifier(solver=solver).fit(X, y))


@pytest.mark.parametrize("form", ["F", "read-only memmap", "backwards"])
def test_dense_forms_in_float32(form, small, tmp_path):
    X, y = small[0].astype(np.float32), small[1]
    model = classifier().fit(DENSE[form](X, tmp_path), y)
    assert model.coefs_[0].dtype == np.float32
    assert_same_model(model, classifier().fit(X, y))


@pytest.mark.parametrize("form", ["F", "read-only memmap", "pandas", "object", "big-endian"])
def test_dense_forms_in_partial_fit(form, small, tmp_path):
    X, y = small
    model, expected = classifier(), classifier()
    for _ in range(2):
        model.partial_fit(DENSE[form](X, tmp_path), y, classes=range(10))
        expected.partial_fit(X, y, classes=range(10))
    assert_same_model(model, expected)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint16, np.bool_, ">i4"])
def test_whole_numbers_are_taken_as_float64(dtype, small):
    X = (small[0] > 0.5).astype(dtype)
    model = classifier().fit(X, small[1])
    assert_same_model(model, classifier().fit(X.astype(np.float64), small[1]))
    assert_array_equal(model.predict(X), model.predict(X.astype(np.float64)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64])
def test_prediction_takes_any_dtype(dtype, small, reference):
    X = np.rint(small[0]).astype(dtype)
    assert_array_equal(reference.predict_proba(X), reference.predict_proba(X.astype(np.float64)))


# Sparse X.


def with_index_dtype(X, dtype):
    # The constructors choose int32 by themselves; only assignment keeps int64.
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


def unsorted(X):
    """Turn each row's (CSR) or column's (CSC) entries around."""
    X = X.copy()
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:stop] = X.indices[start:stop][::-1]
        X.data[start:stop] = X.data[start:stop][::-1]
    X.has_sorted_indices = False
    return X


def with_duplicates(X):
    """Split each entry in two unequal shares of it."""
    return type(X)(
        (np.repeat(X.data, 2) * np.tile([0.25, 0.75], X.nnz), np.repeat(X.indices, 2), 2 * X.indptr)
    )


def with_explicit_zeros(X):
    dense = X.toarray()
    dense[dense == 0] = -1
    X = type(X)(dense)
    X.data[X.data < 0] = 0
    return X


CLASSES = [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.csc_array]
compressed = pytest.mark.parametrize("sparse", CLASSES, ids=lambda c: c.__name__)


@pytest.fixture(scope="module")
def sparse_reference(small):
    return classifier().fit(sp.csr_array(small[0]), small[1])


def test_sparse_and_dense_give_the_same_model(reference, sparse_reference):
    assert_same_model(sparse_reference, reference, atol=1e-12)


@compressed
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_index_dtypes_and_classes(sparse, dtype, small, sparse_reference):
    X = with_index_dtype(sparse(small[0]), dtype)
    assert X.indices.dtype == dtype
    model = classifier().fit(X, small[1])
    assert_same_model(model, sparse_reference)
    expected = sparse_reference.predict_proba(sp.csr_array(small[0]))
    assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("name", ["coo_array", "lil_matrix", "dok_array", "bsr_matrix"])
def test_other_sparse_formats_are_converted(name, small, sparse_reference):
    assert_same_model(
        classifier().fit(getattr(sp, name)(small[0]), small[1]), sparse_reference, atol=1e-12
    )


@compressed
def test_explicit_zeros_change_nothing(sparse, small, sparse_reference):
    X = with_explicit_zeros(sparse(small[0]))
    assert X.nnz == X.shape[0] * X.shape[1]
    assert_same_model(classifier().fit(X, small[1]), sparse_reference)


@compressed
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("change", [unsorted, with_duplicates])
def test_entries_in_any_order_and_in_parts(change, sparse, solver, small):
    # Another order of the same sums: equal up to rounding, not to the last bit.
    X = change(sparse(small[0]))
    assert not X.has_canonical_format
    model = classifier(solver=solver).fit(X, small[1])
    canonical = sparse(small[0])
    assert_same_model(model, classifier(solver=solver).fit(canonical, small[1]), atol=1e-12)
    assert_allclose(model.predict_proba(X), model.predict_proba(canonical), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
def test_sparse_dtypes(dtype, small):
    X = sp.csr_array((small[0] > 0.5).astype(dtype))
    kept = np.float32 if dtype == np.float32 else np.float64
    model = classifier().fit(X, small[1])
    assert model.coefs_[0].dtype == kept
    assert_same_model(model, classifier().fit(X.astype(kept), small[1]))


def test_rows_without_entries(small):
    X = small[0].copy()
    X[::3] = 0
    assert_same_model(
        classifier().fit(sp.csr_array(X), small[1]), classifier().fit(X, small[1]), atol=1e-12
    )


# y.

LABELS = {
    "str": np.array(list("abcdefghij")),
    "object": np.array(["k0", "k1", "k22", "k3", "k4", "k5", "k6", "k7", "k8", "k9"], object),
    "negative": np.arange(10) - 7,
    "int8": np.arange(10, dtype=np.int8),
    "big-endian": np.arange(10, dtype=">i8"),
    "whole floats": np.arange(10) * 2.0,
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("n_classes", [2, 10])
def test_labels_change_nothing_but_their_names(kind, n_classes, small):
    X, code = small[0], small[1] * n_classes // 10
    names = LABELS[kind][:n_classes]
    expected = classifier().fit(X, code)
    model = classifier().fit(X, names[code])
    assert_array_equal(model.classes_, names)
    assert_same_model(model, expected)
    assert_array_equal(model.predict(X), names[expected.predict(X)])
    assert model.predict(X).dtype == model.classes_.dtype
    assert model.score(X, names[code]) == expected.score(X, code)


def test_boolean_labels(small):
    X, y = small[0], small[1] > 4
    model = classifier().fit(X, y)
    assert_array_equal(model.classes_, [False, True])
    assert model.predict(X).dtype == bool
    assert_same_model(model, classifier().fit(X, y.astype(int)))


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "pandas Series": pd.Series,
    "pandas Categorical": pd.Categorical,
    "categorical Series": lambda y: pd.Series(pd.Categorical(y)),
    "polars Series": pl.Series,
    "strided": lambda y: np.repeat(y, 2)[::2],
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", ["str", "negative"])
def test_containers_of_labels(container, kind, small):
    X, y = small[0], LABELS[kind][small[1]]
    model = classifier().fit(X, CONTAINERS[container](y))
    assert_array_equal(model.classes_, LABELS[kind])
    assert_same_model(model, classifier().fit(X, y))


TARGETS = {
    "list": np.ndarray.tolist,
    "int": lambda y: y.astype(int),
    "float32": lambda y: y.astype(np.float32),
    "big-endian": lambda y: y.astype(">f8"),
    "object": lambda y: y.astype(object),
    "F": np.asfortranarray,
    "strided": lambda y: np.repeat(y, 2, axis=0)[::2],
    "pandas": lambda y: pd.Series(y) if y.ndim == 1 else pd.DataFrame(y),
    "polars": lambda y: pl.Series(y) if y.ndim == 1 else pl.DataFrame(y),
}


@pytest.mark.parametrize("form", TARGETS)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_forms_of_numeric_targets(form, n_outputs, diabetes):
    X, y = diabetes[0][:N], diabetes[1][:N]
    y = y if n_outputs == 1 else np.column_stack([y, np.rint(100 * X[:, 2])])
    model = regressor().fit(X, TARGETS[form](y))
    assert_same_model(model, regressor().fit(X, y))
    assert model.predict(X).shape == y.shape


@pytest.mark.parametrize("form", ["list", "int", "float32", "big-endian", "strided", "pandas"])
def test_forms_of_sample_weights(form, small):
    X, y = small
    weights = 1.0 + y % 3
    model = classifier().fit(X, y, TARGETS[form](weights))
    assert_same_model(model, classifier().fit(X, y, weights))


def test_one_number_as_sample_weight_is_the_weight_of_all(small):
    X, y = small
    assert_same_model(classifier().fit(X, y, 2), classifier().fit(X, y, np.full(N, 2.0)))


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_array])
def test_sparse_labels_equal_dense_ones(container, small):
    X, y = small
    labels = np.column_stack([y % 2, y > 4, y == 0]).astype(int)
    model = classifier().fit(X, container(labels))
    assert_same_model(model, classifier().fit(X, labels))


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.csc_array])
def test_sparse_targets_equal_dense_ones(container, diabetes):
    X, y = diabetes[0][:N], np.column_stack([diabetes[1][:N], diabetes[0][:N, 2]])
    assert_same_model(regressor().fit(X, container(y)), regressor().fit(X, y))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_column_of_targets_warns_as_in_scikit_learn(name, method, small):
    X, y = small
    y = y % 2
    classes = {"classes": [0, 1]} if (name, method) == ("MLPClassifier", "partial_fit") else {}
    ours = classifier() if name == "MLPClassifier" else regressor()
    theirs = getattr(sklearn.neural_network, name)(**SMALL)
    for model in (ours, theirs):
        with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
            getattr(model, method)(X, y[:, np.newaxis], **classes)
    flat = classifier() if name == "MLPClassifier" else regressor()
    assert_same_model(ours, getattr(flat, method)(X, y, **classes))
    assert ours.predict(X).shape == (N,)


# Parameters.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", np.array([100, 100], np.int8)),
        ("hidden_layer_sizes", [np.uint8(200)]),
        ("hidden_layer_sizes", range(8, 10)),
        ("hidden_layer_sizes", np.int16(9)),
        ("batch_size", np.uint8(32)),
        ("max_iter", np.int8(4)),
        ("alpha", np.float32(0.5)),
        ("learning_rate_init", np.float32(1 / 256)),
        ("n_iter_no_change", np.int16(1)),
        ("tol", np.float16(0.25)),
        ("shuffle", np.bool_(False)),
        ("random_state", np.int32(3)),
    ],
)
def test_numpy_numbers_as_parameters(name, value, small):
    # int8: sums of layer sizes must not wrap around.
    plain = [int(size) for size in value] if name.endswith("sizes") and np.ndim(value) else value
    plain = value.item() if isinstance(value, np.generic) else plain
    model = classifier(**{name: value}).fit(*small)
    assert_same_model(model, classifier(**{name: plain}).fit(*small))


# Prediction.


@pytest.mark.parametrize("container", [np.array, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_row_is_predicted_as_in_a_batch(container, dtype, digits):
    # More rows than prediction takes through the network at a time.
    X, y = digits[0][:400].astype(dtype), digits[1][:400]
    model = classifier(hidden_layer_sizes=(17, 5)).fit(X, y)
    X = container(X)
    atol = 100 * np.finfo(dtype).eps
    for row in (0, 255, 256, 399):
        for method in (model.predict_proba, model.decision_function):
            assert_allclose(method(X[[row]])[0], method(X)[row], rtol=0, atol=atol)
        assert model.predict(X[[row]])[0] == model.predict(X)[row]


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_no_rows_raise_as_in_scikit_learn(method, small, reference):
    theirs = sklearn.neural_network.MLPClassifier(**SMALL).fit(*small)
    messages = []
    for model in (reference, theirs):
        with pytest.raises(ValueError, match=r"0 sample\(s\) \(shape=\(0, 64\)\)") as error:
            getattr(model, method)(small[0][:0])
        messages.append(str(error.value))
    assert messages[0] == messages[1]


# Random state.


def test_same_seed_same_model(small, reference):
    assert_same_model(classifier().fit(*small), reference)
    assert_same_model(classifier(random_state=np.random.RandomState(0)).fit(*small), reference)


def test_other_seed_other_model(small, reference):
    model = classifier(random_state=1).fit(*small)
    assert abs(model.coefs_[0] - reference.coefs_[0]).max() > 0.01


def test_no_seed_no_repetition(small):
    a, b = (classifier(random_state=None).fit(*small) for _ in range(2))
    assert abs(a.coefs_[0] - b.coefs_[0]).max() > 0.01


def test_no_seed_is_numpy_s_global_one(small, reference):
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        assert_same_model(classifier(random_state=None).fit(*small), reference)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def test_a_generator_goes_on_from_fit_to_fit_as_in_scikit_learn(small):
    ours = classifier(random_state=np.random.RandomState(0))
    theirs = sklearn.neural_network.MLPClassifier(
        **{**SMALL, "random_state": np.random.RandomState(0)}
    )
    for _ in range(2):
        first = ours.fit(*small).coefs_[0].copy()
        assert_same_model(ours, theirs.fit(*small), atol=1e-10)
    assert abs(ours.fit(*small).coefs_[0] - first).max() > 0.01


# Interruption.


def interrupted_at_epoch(n):
    """Return a schedule that interrupts a fit at the beginning of its n-th epoch."""
    epochs = []

    def factor(fraction):
        if fraction not in epochs:  # one minibatch, one step in an epoch
            epochs.append(fraction)
        if len(epochs) == n:
            raise KeyboardInterrupt
        return 1.0

    return factor


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_interruption_keeps_the_epochs_before(sparse, small):
    X, y = (sp.csr_array(small[0]) if sparse else small[0]), small[1]
    two_epochs = classifier(max_iter=2, batch_size=len(y)).fit(X, y)
    interrupted = classifier(max_iter=50, batch_size=len(y), learning_rate=interrupted_at_epoch(3))
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model = interrupted.fit(X, y)
    assert model.n_iter_ == 2
    assert model.loss_curve_ == two_epochs.loss_curve_
    assert_same_model(model, two_epochs)
    assert_array_equal(model.predict(X), two_epochs.predict(X))


def interrupting_scorer(at):
    """Return a scorer that computes accuracy, and interrupts its call number `at`."""
    scores = []

    def scorer(model, X, y):
        scores.append(model.score(X, y))
        if len(scores) == at:
            raise KeyboardInterrupt
        return scores[-1]

    return scorer


def test_interruption_by_a_scorer_keeps_the_whole_steps(small):
    """The epoch whose validation was interrupted counts; its score is not known."""
    scored = classifier(max_iter=50, scoring=interrupting_scorer(at=3))
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model = scored.fit(*small, X_val=small[0], y_val=small[1])
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 3
    assert np.isfinite(model.validation_scores_).tolist() == [True, True, False]
    assert model.t_ == 3 * len(small[1])
    for ours, theirs in zip(model.coefs_, classifier(max_iter=3).fit(*small).coefs_, strict=True):
        assert_array_equal(ours, theirs)


def test_interruption_with_early_stopping_restores_the_best_epoch(small):
    # Steps so large that the second and third epochs are worse than the first.
    parameters = {"early_stopping": True, "validation_fraction": 0.5}
    parameters |= {"learning_rate_init": 0.2, "random_state": 3}
    best = classifier(max_iter=1, scoring="accuracy", **parameters).fit(*small)
    scored = classifier(max_iter=50, scoring=interrupting_scorer(at=4), **parameters)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model = scored.fit(*small)
    assert model.n_iter_ == 4
    assert model.validation_scores_[0] > model.validation_scores_[1]
    assert model.best_validation_score_ == model.validation_scores_[0]
    assert_array_equal(model.decision_function(small[0]), best.decision_function(small[0]))


def test_an_interrupted_model_can_go_on(small):
    model = classifier(
        max_iter=50,
        warm_start=True,
        batch_size=len(small[1]),
        learning_rate=interrupted_at_epoch(3),
    )
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(*small)
    loss = model.loss_
    assert model.set_params(max_iter=20, learning_rate="constant").fit(*small).loss_ < loss


# Large numbers.


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e38), (np.float64, 1.7e308)])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, sp.csr_array])
def test_large_finite_numbers_raise_no_warnings(dtype, size, layout, small):
    """Their sum overflows, also to infinity minus infinity, and says nothing of them."""
    X, y = small
    large = (size * np.sign(X - 0.5)).astype(dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        assert np.isnan(large.sum()) or np.isinf(abs(large).sum())
    tiny = classifier(max_iter=1).fit(X.astype(dtype), y)
    tiny.predict(layout(large))
    with pytest.raises(ValueError, match="non-finite parameter weights or loss in epoch 1"):
        regressor(max_iter=1).fit(layout(large), X[:, 0])


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_numbers_beyond_the_dtype_of_the_weights_raise_no_warnings(small):
    X, y = small
    model = classifier(max_iter=1).fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match=r"too large for dtype\('float32'\)"):
        model.predict(X * 1e300)
