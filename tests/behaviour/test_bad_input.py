"""What cannot be learned from is refused with a message that says so, and harms nothing."""

from __future__ import annotations

import copy
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from factories import LBFGS_STOPS_EARLY, SMALL
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    make_constraint,
)

from sknet import MLPClassifier, MLPRegressor
from sknet.estimators.pickles import REBUILT

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

N = 60
ESTIMATORS = [MLPClassifier, MLPRegressor]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
both_ways = pytest.mark.parametrize("method", ["fit", "partial_fit"])


def data(estimator, digits, diabetes):
    X, y = digits if estimator is MLPClassifier else diabetes
    return X[:N].copy(), y[:N].copy()


@pytest.fixture(params=ESTIMATORS, ids=lambda e: e.__name__)
def case(request, digits, diabetes):
    """Return an estimator, not fitted, and its data."""
    return request.param(**SMALL), *data(request.param, digits, diabetes)


def train(model, method, X, y, *args):
    """Fit by either method; `partial_fit` is told the classes."""
    if method == "partial_fit" and isinstance(model, MLPClassifier):
        return model.partial_fit(X, y, *args, classes=range(10))
    return getattr(model, method)(X, y, *args)


def with_value(array, value):
    """Return a copy with another first number."""
    array = array.astype(float)
    array.flat[0] = value
    return array


# X and y.

BAD_DATA = {
    "X 1-D": (lambda X, y: (X[:, 0], y), "Expected 2D array, got 1D array"),
    "X scalar": (lambda X, y: (3.0, y), "Expected 2D array, got scalar"),
    "X 3-D": (lambda X, y: (X[:, :, np.newaxis], y), "Found array with dim 3"),
    "X of strings": (lambda X, y: (np.full(X.shape, "a"), y), "could not convert string"),
    "X of objects": (lambda X, y: (np.full(X.shape, "a", object), y), "could not convert string"),
    "X complex": (lambda X, y: (X + 1j, y), "Complex data not supported"),
    "X sparse complex": (lambda X, y: (sp.csr_array(X + 1j), y), "Complex data not supported"),
    "X NaN": (lambda X, y: (with_value(X, np.nan), y), "Input X contains NaN"),
    "X sparse NaN": (lambda X, y: (sp.csr_array(with_value(X, np.nan)), y), "contains NaN"),
    "X inf": (lambda X, y: (with_value(X, np.inf), y), "Input X contains infinity"),
    "X too large": (lambda X, y: (with_value(X, 1e39).astype("g") ** 9, y), "X contains infinity"),
    "no rows": (lambda X, y: (X[:0], y[:0]), r"0 sample\(s\) \(shape=\(0, \d+\)\)"),
    "no columns": (lambda X, y: (X[:, :0], y), r"0 feature\(s\) \(shape=\(60, 0\)\)"),
    "y short": (lambda X, y: (X, y[:-1]), r"inconsistent numbers of samples: \[60, 59\]"),
    "y 3-D": (lambda X, y: (X, y.reshape(N, 1, 1)), "Found array with dim 3"),
    "y None": (lambda X, y: (X, None), "y to be passed, but the target y is None"),
    "y without columns": (lambda X, y: (X, np.ones((N, 0))), r"0 feature\(s\) \(shape=\(60, 0\)\)"),
    "y NaN": (lambda X, y: (X, with_value(y, np.nan)), "Input y contains NaN"),
    "y inf": (lambda X, y: (X, with_value(y, np.inf)), "Input y contains infinity"),
    "y complex": (lambda X, y: (X, y + 1j), "Complex data not supported"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@both_ways
@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data(name, method, case):
    model, X, y = case
    make, message = BAD_DATA[name]
    with pytest.raises(ValueError, match=message):
        train(model, method, *make(X, y))
    assert not hasattr(model, "coefs_")


BAD_WEIGHTS = {
    "short": (np.ones(N - 1), r"sample_weight.shape == \(59,\), expected \(60,\)"),
    "2-D": (np.ones((N, 1)), "Sample weights must be 1D array or scalar"),
    "NaN": (with_value(np.ones(N), np.nan), "Input sample_weight contains NaN"),
    "inf": (with_value(np.ones(N), np.inf), "Input sample_weight contains infinity"),
    "negative": (
        with_value(np.ones(N), -0.5),
        r"sample_weight has negative values \(the least is -0.5\); weights must be >= 0",
    ),
    "all zero": (np.zeros(N), "Sample weights must contain at least one non-zero number"),
    "strings": (["a"] * N, "could not convert string to float: 'a'"),
    "scalar NaN": (np.nan, "sample_weight.*(NaN|nan)"),
    "scalar inf": (np.inf, "sample_weight.*inf"),
    "scalar negative": (-2, r"sample_weight has negative values \(the least is -2\)"),
    "scalar zero": (0, "Sample weights must contain at least one non-zero number"),
}


@both_ways
@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_bad_sample_weights(name, method, case):
    model, X, y = case
    weights, message = BAD_WEIGHTS[name]
    with pytest.raises(ValueError, match=message):
        train(model, method, X, y, weights)
    assert not hasattr(model, "coefs_")


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@every_estimator
@pytest.mark.parametrize("name", [name for name in BAD_DATA if name.startswith(("X", "no rows"))])
def test_bad_data_at_prediction(name, estimator, digits, diabetes):
    X, y = data(estimator, digits, diabetes)
    model = estimator(**SMALL).fit(X, y)
    make, message = BAD_DATA[name]
    methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    bad = make(X, y)[0]
    for method in methods if estimator is MLPClassifier else methods[:1]:
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(bad)


def test_objects_that_are_numbers_are_accepted(case):
    model, X, y = case
    assert_array_equal(model.fit(X.astype(object), y).predict(X.astype(object)), model.predict(X))


@every_estimator
def test_other_number_of_features(estimator, digits, diabetes):
    X, y = data(estimator, digits, diabetes)
    model = estimator(**SMALL).fit(X, y)
    n = X.shape[1]
    message = f"X has {n - 3} features, but {estimator.__name__} is expecting {n} features"
    with pytest.raises(ValueError, match=message):
        model.predict(X[:, 3:])
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X[:, 3:], y)
    with pytest.raises(ValueError, match=message):
        model.set_params(warm_start=True).fit(X[:, 3:], y)


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (MLPRegressor, "predict"),
        (MLPClassifier, "predict"),
        (MLPClassifier, "predict_proba"),
        (MLPClassifier, "predict_log_proba"),
        (MLPClassifier, "decision_function"),
    ],
)
def test_not_fitted(estimator, method):
    with pytest.raises(NotFittedError, match=f"This {estimator.__name__} instance is not fitted"):
        getattr(estimator(), method)([[1.0, 2.0]])


# Labels.


@both_ways
def test_classifier_refuses_numbers_to_predict(method, digits):
    X, y = digits[0][:N], digits[1][:N] + 0.5
    with pytest.raises(ValueError, match=r"Unknown label type: continuous.*regression target"):
        train(MLPClassifier(**SMALL), method, X, y)


@both_ways
def test_classifier_refuses_several_columns_of_classes(method, digits):
    X, y = digits[0][:N], digits[1][:N]
    message = "y has several columns of class labels.*MultiOutputClassifier"
    with pytest.raises(ValueError, match=message):
        train(MLPClassifier(**SMALL), method, X, np.column_stack([y, y]))


@both_ways
@pytest.mark.parametrize("dtype", [str, object])
def test_regressor_refuses_strings(dtype, method, diabetes):
    X, y = diabetes[0][:N], np.array(["low", "high"] * (N // 2), dtype=dtype)
    with pytest.raises(ValueError, match=r"y must hold numbers|could not convert string"):
        train(MLPRegressor(**SMALL), method, X, y)


def test_regressor_names_y_where_it_refuses_strings(diabetes):
    # numpy's message speaks of a string only, and a frame has many columns of those.
    X, y = diabetes[0][:N], np.array(["low", "high"] * (N // 2))
    with pytest.raises(ValueError, match=r"\by\b"):
        MLPRegressor(**SMALL).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("label", [7, "only"])
def test_one_class(solver, label, digits):
    X, y = digits[0][:N], np.full(N, label)
    model = MLPClassifier(solver=solver, **SMALL).fit(X, y)
    assert_array_equal(model.classes_, [label])
    assert_array_equal(model.predict(X), y)
    assert_array_equal(model.predict_proba(X), np.ones((N, 1)))
    assert_array_equal(model.predict_log_proba(X), np.zeros((N, 1)))
    assert model.score(X, y) == 1


def test_one_class_in_partial_fit(digits):
    X, y = digits[0][:N], np.full(N, 7)
    model = MLPClassifier(**SMALL).partial_fit(X, y, classes=[7]).partial_fit(X, y)
    assert_array_equal(model.predict(X), y)
    assert_array_equal(model.predict_proba(X), np.ones((N, 1)))


# partial_fit.


def test_first_partial_fit_without_classes(digits):
    model = MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        model.partial_fit(digits[0][:N], digits[1][:N])
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("first", [True, False])
def test_unseen_classes_are_named(first, digits):
    X, y = digits[0][:N], digits[1][:N]
    model = MLPClassifier(**SMALL)
    if not first:
        model.partial_fit(X, y % 8, classes=range(8))
    message = r"`y` has classes not in `self.classes_`: \[8 9\].*\[0 1 2 3 4 5 6 7\]"
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y, classes=range(8))


def test_other_classes_in_a_later_partial_fit(digits):
    X, y = digits[0][:N], digits[1][:N]
    model = MLPClassifier(**SMALL).partial_fit(X, y, classes=range(10))
    message = r"`classes=.*11.*` is not the same as on last call to partial_fit"
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y, classes=range(11))


@every_estimator
def test_no_partial_fit_with_lbfgs(estimator):
    model = estimator(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
        model.partial_fit([[1.0]], [1])
    reason = r"only available for stochastic optimizers \(sgd, adam.*solver='lbfgs'"
    assert re.search(reason, str(error.value.__cause__))
    assert hasattr(model.set_params(solver="sgd"), "partial_fit")


def test_no_early_stopping_in_partial_fit(case):
    model, X, y = case
    model.set_params(early_stopping=True)
    message = r"partial_fit does not support early_stopping=True.*Set early_stopping=False"
    with pytest.raises(ValueError, match=message):
        train(model, "partial_fit", X, y)
    assert not hasattr(model, "coefs_")


# Other targets than before.


def test_warm_start_with_other_classes(digits):
    X, y = digits[0][:N], digits[1][:N]
    model = MLPClassifier(warm_start=True, **SMALL).fit(X, y)
    message = r"warm_start .*same classes.*got \[0 1 2 3 4 5 6 7 8 9\], `y` has \[0 1 2\]"
    with pytest.raises(ValueError, match=message):
        model.fit(X, y % 3)


@pytest.mark.parametrize("how", ["warm start", "partial_fit"])
def test_other_number_of_outputs(how, diabetes):
    X, y = diabetes[0][:N], diabetes[1][:N]
    model = MLPRegressor(warm_start=how == "warm start", **SMALL).fit(X, y)
    again = model.fit if how == "warm start" else model.partial_fit
    with pytest.raises(ValueError, match="y has 2 outputs, but the network fitted before has 1"):
        again(X, np.column_stack([y, y]))


LABEL_KINDS = {
    "binary": lambda y: (y > 4).astype(int),
    "two labels": lambda y: np.column_stack([y > 4, y % 2]).astype(int),
    "three labels": lambda y: np.column_stack([y > 4, y % 2, y == 0]).astype(int),
}


@pytest.mark.parametrize("how", ["warm start", "partial_fit"])
@pytest.mark.parametrize("before", LABEL_KINDS)
@pytest.mark.parametrize("after", LABEL_KINDS)
def test_other_kind_of_labels(how, before, after, digits):
    X, y = digits[0][:N], digits[1][:N]
    model = MLPClassifier(warm_start=how == "warm start", **SMALL).fit(X, LABEL_KINDS[before](y))
    again = model.fit if how == "warm start" else model.partial_fit
    if before == after:
        again(X, LABEL_KINDS[after](y))
        return
    # Two labels have the classes 0 and 1, like a binary y: only their shape tells them apart.
    with pytest.raises(ValueError, match=r"\by\b.*(outputs|classes|label|multilabel)"):
        again(X, LABEL_KINDS[after](y))


# Poisson.


@both_ways
def test_poisson_refuses_negative_targets(method, diabetes):
    X, y = diabetes[0][:N], with_value(diabetes[1][:N], -3)
    message = r"y has negative values \(the least is -3\).*'poisson': all y >= 0"
    with pytest.raises(ValueError, match=message):
        getattr(MLPRegressor(loss="poisson", **SMALL), method)(X, y)


def test_poisson_accepts_zeros(diabetes):
    X, y = diabetes[0][:N], with_value(diabetes[1][:N], 0)
    assert (MLPRegressor(loss="poisson", **SMALL).fit(X, y).predict(X) > 0).all()


# Parameters.


def bad_values(name, constraints):
    """Return values of the wrong type and values out of range, for a parameter's constraints."""
    values = [object(), [1, 2], "nosuch", 0.5, -1, 2.5, None, 1j]
    for constraint in map(make_constraint, constraints):
        if isinstance(constraint, Interval):
            below, above = constraint.left, constraint.right
            values += [np.nan, -np.inf, -1e300]
            if below is not None:
                values += [below - 1, below, below - 1e-9]
            if above is not None:
                values += [above + 1, above, above + 1e-9]
    if name == "hidden_layer_sizes":
        values.remove([1, 2])
    allowed = [make_constraint(c) for c in constraints]
    return [v for v in values if not any(c.is_satisfied_by(v) for c in allowed)]


BAD_PARAMETERS = [
    pytest.param(estimator, name, value, id=f"{estimator.__name__}-{name}-{value!r:.20}")
    for estimator in ESTIMATORS
    for name, constraints in estimator._parameter_constraints.items()
    for value in bad_values(name, constraints)
]


@pytest.mark.parametrize(("estimator", "name", "value"), BAD_PARAMETERS)
def test_bad_parameters_are_named_with_what_is_allowed(estimator, name, value, digits, diabetes):
    model = estimator(**{**SMALL, name: value})
    start = re.escape(f"The '{name}' parameter of {estimator.__name__} must be ")
    end = re.escape(f"Got {value!r} instead.")
    if name == "learning_rate" and isinstance(value, float) and value > 0:
        end += re.escape(f" Did you mean learning_rate_init={value!r}?")
    if name == "loss" and value == [1, 2]:
        end += re.escape(f" Did you mean hidden_layer_sizes={value!r}?")
    with pytest.raises(InvalidParameterError, match=f"^{start}.*{end}$") as error:
        model.fit(*data(estimator, digits, diabetes))
    message = str(error.value)
    for constraint in map(make_constraint, estimator._parameter_constraints[name]):
        if isinstance(constraint, StrOptions):
            assert all(f"'{option}'" in message for option in constraint.options)
        elif isinstance(constraint, (Interval, Options)):
            assert str(constraint) in message
    assert not hasattr(model, "coefs_")


def test_every_parameter_has_bad_values():
    for estimator in ESTIMATORS:
        tried = {p.values[1] for p in BAD_PARAMETERS if p.values[0] is estimator}
        assert tried == set(estimator().get_params())


@pytest.mark.parametrize(
    "sizes",
    [
        [0],
        (5, -1),
        [10.0],
        (5, 2.5),
        ["a"],
        "10.5",
        ((3,), 4),
        [[3, 4]],
        np.array([[3, 4]]),
        [None],
        [True],
        0,
        -3,
        2.5,
        None,
    ],
    ids=str,
)
@both_ways
def test_bad_layer_sizes(sizes, method, case):
    model, X, y = case
    model.set_params(hidden_layer_sizes=sizes)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes.*must") as error:
        train(model, method, X, y)
    message = str(error.value)
    got = sizes if not hasattr(sizes, "__iter__") or isinstance(sizes, str) else list(sizes)
    assert repr(got) in message
    assert re.search(r"int in the range \[1, inf\)|integer >= 1", message)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("size", [2.5, "a", True, None])
def test_bad_layer_sizes_are_not_said_to_be_negative(size, diabetes):
    model = MLPRegressor(**{**SMALL, "hidden_layer_sizes": [size]})
    with pytest.raises(ValueError, match="integer") as error:
        model.fit(*data(MLPRegressor, None, diabetes))
    assert "must be > 0" not in str(error.value)


@both_ways
def test_batches_larger_than_the_data(method, case):
    model, X, y = case
    model.set_params(batch_size=N + 1)
    with pytest.warns(UserWarning, match=rf"batch_size={N + 1} with {N} .*clipped to {N}"):
        train(model, method, X, y)
    whole = train(type(model)(**{**SMALL, "batch_size": N}), method, X, y)
    assert_array_equal(model.coefs_[0], whole.coefs_[0])


# Early stopping.


SPLITS = {
    # What the targets are made of, the fraction, and the number of samples.
    "no fraction": (MLPRegressor, lambda y: y, 0.0, N),
    "one sample held out": (MLPRegressor, lambda y: y, 0.001, N),
    "none left to train on": (MLPRegressor, lambda y: y, 0.999, N),
    "one sample in all": (MLPRegressor, lambda y: y, 0.1, 1),
    "one sample of ten classes": (MLPClassifier, lambda y: y, 0.01, N),
    "one sample of each class": (MLPClassifier, lambda y: y, 0.1, 10),
    # Two classes are stratified: each needs a sample on either side.
    "one sample of two classes": (MLPClassifier, lambda y: y > 4, 0.1, 10),
    "one member of a class": (MLPClassifier, lambda y: np.arange(len(y)) == 3, 0.3, N),
}


@pytest.mark.parametrize("name", SPLITS)
def test_impossible_validation_sets(name, digits, diabetes):
    estimator, make, fraction, n = SPLITS[name]
    X, y = data(estimator, digits, diabetes)
    model = estimator(early_stopping=True, validation_fraction=fraction, **SMALL)
    message = rf"validation_fraction={fraction} of {n} samples"
    with pytest.raises(ValueError, match=message) as error:
        model.set_params(batch_size="auto").fit(X[:n], make(y[:n]))
    assert re.search("(Increase|Change) 'validation_fraction'", str(error.value))


@every_estimator
def test_no_weight_in_the_validation_set(estimator, digits, diabetes):
    # A score over nothing is no number to stop by.
    X, y = data(estimator, digits, diabetes)
    weights = np.zeros(N)
    weights[0] = 1  # with this seed a sample to train on
    model = estimator(early_stopping=True, **SMALL)
    with pytest.raises(ValueError, match=r"sample_weight.*validation"):
        model.fit(X, y, weights)


# Divergence.


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_divergence_is_an_error(method, dtype, diabetes):
    X, y = (1000 * diabetes[0][:N]).astype(dtype), diabetes[1][:N]
    model = MLPRegressor(
        activation="identity", solver="sgd", learning_rate_init=10, **{**SMALL, "max_iter": 50}
    )
    message = r"non-finite parameter weights.*StandardScaler.*decrease learning_rate_init=10"

    def train_for_long():
        for _ in range(50):
            getattr(model, method)(X, y)

    with pytest.raises(ValueError, match=message):
        train_for_long()


def test_overflow_in_a_classifier_is_an_error(digits):
    X, y = 1e300 * digits[0][:N], digits[1][:N]
    model = MLPClassifier(activation="identity", learning_rate_init=1e10, **SMALL)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(X, y)


# Weights set by hand.

WRONG_WEIGHTS = {
    # attribute, which array, its shape; what the network asks for instead
    "too few inputs": ("coefs_", 0, (60, 8), r"coefs_\[0\].*\(60, 8\).*\(64, 8\)"),
    "too many inputs": ("coefs_", 0, (70, 8), r"coefs_\[0\].*\(70, 8\).*\(64, 8\)"),
    "no chain": ("coefs_", 1, (7, 10), r"coefs_\[1\].*\(7, 10\).*\(8, 10\)"),
    "wider layer": ("coefs_", 0, (64, 9), r"coefs_\[.\].*\(\d+, \d+\).*\(\d+, \d+\)"),
    "other outputs": ("coefs_", 1, (8, 11), r"(coefs_|intercepts_)\[1\].*\(.*11.*\).*\(.*10.*\)"),
    "transposed": ("coefs_", 1, (10, 8), r"coefs_\[1\].*\(10, 8\).*\(8, 10\)"),
    "flat": ("coefs_", 1, (80,), r"coefs_\[1\].*\(80,\).*\(8, "),
    "3-D": ("coefs_", 0, (64, 8, 1), r"coefs_\[.\].*\(64, 8, 1\)|coefs_\[.\].*\(8, 10\)"),
    "scalar": ("coefs_", 0, (), "coefs_"),
    "short bias": ("intercepts_", 0, (7,), r"intercepts_\[0\].*\(7,\).*\(8,\)"),
    "long bias": ("intercepts_", 1, (11,), r"intercepts_\[1\].*\(11,\).*\(10,\)"),
    "column of biases": ("intercepts_", 1, (10, 1), r"intercepts_\[1\].*\(10, 1\).*\(10,\)"),
}


def uses(model, X, y):
    """Return the calls that go through the network."""
    return {
        "predict": lambda: model.predict(X),
        "predict_proba": lambda: model.predict_proba(X),
        "partial_fit": lambda: model.partial_fit(X, y),
        "warm fit": lambda: model.set_params(warm_start=True).fit(X, y),
        "warm lbfgs": lambda: model.set_params(warm_start=True, solver="lbfgs").fit(X, y),
    }


every_use = pytest.mark.parametrize("use", list(uses(None, None, None)))


@every_use
@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_weights_of_wrong_shape(name, use, digits):
    # Compiled kernels check no bounds: what goes unnoticed here, overwrites other memory.
    attribute, i, shape, message = WRONG_WEIGHTS[name]
    X, y = digits[0][:N], digits[1][:N]
    model = MLPClassifier(**SMALL).fit(X, y)
    getattr(model, attribute)[i] = np.full(shape, 0.1)
    with pytest.raises(ValueError, match=message):
        uses(model, X, y)[use]()


@every_use
@pytest.mark.parametrize("attribute", ["coefs_", "intercepts_"])
@pytest.mark.parametrize("change", [list.pop, lambda arrays: arrays.append(np.ones(10))])
def test_wrong_number_of_weight_arrays(change, attribute, use, digits):
    X, y = digits[0][:N], digits[1][:N]
    model = MLPClassifier(**SMALL).fit(X, y)
    change(getattr(model, attribute))
    with pytest.raises(ValueError, match=r"coefs_|intercepts_"):
        uses(model, X, y)[use]()


# Nothing of the user's is modified.

LAYOUTS = {
    "C": lambda X: X.copy(),
    "F": np.asfortranarray,
    "CSR": sp.csr_array,
    "CSC": sp.csc_matrix,
    "unsorted CSR": lambda X: unsorted(sp.csr_array(X)),
}


def unsorted(X):
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        X.indices[start:stop] = X.indices[start:stop][::-1]
        X.data[start:stop] = X.data[start:stop][::-1]
    X.has_sorted_indices = False
    return X


def contents(value):
    if sp.issparse(value):
        return [value.data.copy(), value.indices.copy(), value.indptr.copy()]
    return [np.array(value)]


@every_estimator
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_users_arrays_are_left_alone(estimator, layout, dtype, solver, digits, diabetes):
    X, y = data(estimator, digits, diabetes)
    X, weights = LAYOUTS[layout](X.astype(dtype)), np.linspace(0, 2, N).astype(dtype)
    if estimator is MLPRegressor:
        y = np.column_stack([y, y]).astype(dtype)
    before = [part for value in (X, y, weights) for part in contents(value)]
    model = estimator(solver=solver, early_stopping=True, **SMALL)
    model.fit(X, y, weights)
    if solver != "lbfgs":
        model.set_params(early_stopping=False).partial_fit(X, y, weights)
    model.predict(X)
    model.score(X, y, weights)
    if estimator is MLPClassifier:
        model.predict_proba(X)
    after = [part for value in (X, y, weights) for part in contents(value)]
    for a, b in zip(after, before, strict=True):
        assert_array_equal(a, b)


def test_users_poisson_targets_are_left_alone(diabetes):
    X, y = diabetes[0][:N].copy(), diabetes[1][:N].reshape(-1, 1).repeat(2, axis=1)
    kept = X.copy(), y.copy()
    model = MLPRegressor(loss="poisson", early_stopping=True, **SMALL).fit(X, y)
    model.score(X, y)
    assert_array_equal(X, kept[0])
    assert_array_equal(y, kept[1])


# A failing fit leaves the fitted model as it was.


def fitted_state(model):
    """Return a copy of what fitting has learnt; `REBUILT` is no more than memory."""
    leave_out = {*model.get_params(), *REBUILT}
    return copy.deepcopy({k: v for k, v in vars(model).items() if k not in leave_out})


def assert_unchanged(model, state):
    now = fitted_state(model)
    assert now.keys() == state.keys()
    for name, value in state.items():
        mine = now[name]
        if hasattr(value, "__dict__"):  # the optimiser, the label binarizer
            value, mine = vars(value), vars(mine)
        np.testing.assert_equal(mine, value, err_msg=name)


FAILURES = {
    "X NaN": (lambda X, y: (with_value(X, np.nan), y), {}),
    "X NaN and narrow": (lambda X, y: (with_value(X[:, 2:], np.nan), y), {}),
    "X of other names": (
        lambda X, y: (pd.DataFrame(with_value(X, np.nan)).add_prefix("x"), y),
        {},
    ),
    "X narrow, y short": (lambda X, y: (X[:, 2:], y[1:]), {}),
    "X narrow, y 3-D": (lambda X, y: (X[:, 2:], y.reshape(N, 1, 1)), {}),
    "X narrow, y complex": (lambda X, y: (X[:, 2:], y + 1j), {}),
    "X narrow, weights negative": (lambda X, y: (X[:, 2:], y, -np.ones(N)), {}),
    "y of other classes, weights short": (lambda X, y: (X, y // 3, np.ones(N - 1)), {}),
    "y NaN": (lambda X, y: (X, with_value(y, np.nan)), {}),
    "alpha": (lambda X, y: (X, y // 3), {"alpha": -1}),
    "random_state": (lambda X, y: (X, y // 3), {"random_state": "seed"}),
    "layer sizes": (lambda X, y: (X[:, 2:], y // 3), {"hidden_layer_sizes": [5, 0]}),
    "validation fraction": (
        lambda X, y: (X[:, 2:], y // 3),
        {"early_stopping": True, "validation_fraction": 0.001},
    ),
}


@pytest.mark.filterwarnings("ignore:X has feature names")
@every_estimator
@pytest.mark.parametrize(
    ("solver", "name"),
    [(solver, name) for name in FAILURES for solver in ("adam", "lbfgs")],
)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_failing_fit_leaves_the_model(estimator, name, solver, warm_start, digits, diabetes):
    X, y = data(estimator, digits, diabetes)
    model = estimator(solver=solver, warm_start=warm_start, **SMALL).fit(X, y)
    state, predictions = fitted_state(model), model.predict(X)
    make, parameters = FAILURES[name]
    with pytest.raises(ValueError):
        model.set_params(**parameters).fit(*make(X, y))
    assert_unchanged(model, state)
    assert_array_equal(model.predict(X), predictions)


@pytest.mark.filterwarnings("ignore:X has feature names")
@every_estimator
# scikit-learn validates the parameters in the first call of partial_fit only.
@pytest.mark.parametrize("name", [name for name in FAILURES if name != "alpha"])
def test_a_failing_partial_fit_leaves_the_model(estimator, name, digits, diabetes):
    X, y = data(estimator, digits, diabetes)
    model = train(estimator(**SMALL), "partial_fit", X, y)
    state, predictions = fitted_state(model), model.predict(X)
    make, parameters = FAILURES[name]
    with pytest.raises(ValueError):
        model.set_params(**parameters).partial_fit(*make(X, y))
    assert_unchanged(model, state)
    assert_array_equal(model.predict(X), predictions)


@pytest.mark.parametrize("how", ["warm start", "partial_fit"])
@pytest.mark.parametrize(
    ("estimator", "change"),
    [
        (MLPClassifier, lambda y: y + 1),
        (MLPClassifier, lambda y: np.column_stack([y > 4, y % 2])),
        (MLPRegressor, lambda y: np.column_stack([y, y])),
    ],
    ids=["classes", "labels", "outputs"],
)
def test_other_targets_leave_the_model(estimator, change, how, digits, diabetes):
    X, y = data(estimator, digits, diabetes)
    model = estimator(warm_start=how == "warm start", **SMALL).fit(X, y)
    state, predictions = fitted_state(model), model.predict(X)
    again = model.fit if how == "warm start" else model.partial_fit
    with pytest.raises(ValueError):
        again(X, change(y))
    assert_unchanged(model, state)
    assert_array_equal(model.predict(X), predictions)
    again(X, y)


def test_a_failing_first_partial_fit_leaves_a_new_model(digits):
    X, y = digits[0][:N], digits[1][:N]
    model = MLPClassifier(**SMALL)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(with_value(X, np.nan), y, classes=range(10))
    # Other classes are no contradiction: nothing has been learned yet.
    model.partial_fit(X, y % 3, classes=[0, 1, 2])
    assert_array_equal(model.classes_, [0, 1, 2])
