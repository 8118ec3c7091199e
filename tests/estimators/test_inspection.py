"""Hidden layers against plain NumPy, gradients against central differences of public scores."""

from __future__ import annotations

import pickle
import tracemalloc
import warnings

import naive
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.neural_network
from gradients import assert_is_gradient
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknet import HiddenLayers, MLPClassifier, MLPRegressor, input_gradients
from sknet._engine import threads
from sknet._engine.compilation import PYTHON_MODE
from sknet._network.prediction import PREDICT_ROWS
from sknet.activations import Activation

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NOT_RUN_BY_CHECK_ESTIMATOR = [
    "check_dataframe_column_names_consistency",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_n_features_in_after_fitting",
    "check_param_validation",
    "check_readonly_memmap_input",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]

SMALL = {"hidden_layer_sizes": (7, 4), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Return three chunks of rows, the last one short, and three classes."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(2 * PREDICT_ROWS + 13, 5)) * (rng.rand(2 * PREDICT_ROWS + 13, 5) < 0.7)
    return X, rng.randint(3, size=len(X))


@pytest.fixture(scope="module")
def net(rows) -> MLPClassifier:
    return MLPClassifier(activation="tanh", **SMALL).fit(*rows)


def plain_hidden(net, X, names=None):
    """Return what each hidden layer puts out, in plain NumPy."""
    names = names or [net.activation] * (len(net.coefs_) - 1)
    layers = []
    for W, b, name in zip(net.coefs_[:-1], net.intercepts_[:-1], names, strict=True):
        X = naive.ACTIVATIONS[name](X @ W + b)
        layers.append(X)
    return layers


# Hidden layers.


@parametrize_with_checks(
    [
        # Seeded here: the checks set a random_state of an estimator itself, not of one inside.
        HiddenLayers(MLPClassifier(max_iter=20, random_state=0)),
        HiddenLayers(MLPRegressor(max_iter=20, random_state=0), layer="all"),
    ]
)
def test_scikit_learns_checks(estimator, check):
    """None is expected to fail; arrays of other libraries are skipped unless SciPy is set to them.

    That is SCIPY_ARRAY_API, without which scikit-learn itself takes none.
    """
    check(estimator)


# Checks of frames mix frames with arrays.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("check", NOT_RUN_BY_CHECK_ESTIMATOR)
def test_checks_not_run_by_check_estimator(check):
    hidden = HiddenLayers(MLPClassifier(max_iter=5, random_state=0))
    getattr(estimator_checks, check)("HiddenLayers", hidden)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("activation", Activation.table)
def test_hidden_layers(rows, activation, sparse):
    """Each layer equals plain NumPy's to 1e-12, a few hundred roundings of terms of order 1."""
    X, y = rows
    net = MLPClassifier(activation=activation, **SMALL).fit(X, y)
    expected = plain_hidden(net, X)
    given = sp.csr_array(X) if sparse else X
    for layer in (0, 1, -1, -2):
        found = HiddenLayers(FrozenEstimator(net), layer=layer).fit(X).transform(given)
        assert_allclose(found, expected[layer], rtol=1e-12, atol=1e-12)
    every = HiddenLayers(FrozenEstimator(net), layer="all").fit(X).transform(given)
    assert_allclose(every, np.hstack(expected), rtol=1e-12, atol=1e-12)


def test_activations_per_layer(rows):
    X, y = rows
    net = MLPClassifier(**{**SMALL, "activation": ("logistic", "tanh")}).fit(X, y)
    found = HiddenLayers(FrozenEstimator(net), layer="all").fit_transform(X, y)
    expected = plain_hidden(net, X, ["logistic", "tanh"])
    assert_allclose(found, np.hstack(expected), rtol=1e-12, atol=1e-12)


def test_last_layer_upon_hidden_ones_gives_the_scores(rows, net):
    X, _ = rows
    hidden = HiddenLayers(FrozenEstimator(net)).fit(X).transform(X)
    scores = hidden @ net.coefs_[-1] + net.intercepts_[-1]
    assert_allclose(scores, net.decision_function(X), rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(PYTHON_MODE, reason="plain Python multiplies by BLAS, which promises no bits")
def test_a_row_alone_gives_the_same_bits(rows, net):
    X, _ = rows
    hidden = HiddenLayers(FrozenEstimator(net)).fit(X)
    assert_array_equal(hidden.transform(X)[-3:], hidden.transform(X[-3:]))


@pytest.mark.skipif(PYTHON_MODE, reason="plain Python multiplies by BLAS, which promises no bits")
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_threads_give_the_same_bits(rows, net, monkeypatch, sparse):
    monkeypatch.setattr(threads, "MIN_SHARED_FLOPS", 0)
    monkeypatch.setattr(threads, "cpu_count", lambda: 3)
    X = sp.csr_array(rows[0]) if sparse else rows[0]
    several = clone(net).fit(*rows).set_params(n_jobs=3)
    one, many = (HiddenLayers(FrozenEstimator(v)).fit(X).transform(X) for v in (net, several))
    assert_array_equal(one, many)
    assert_array_equal(input_gradients(net, X), input_gradients(several, X))


def test_fit_leaves_the_estimator_alone(rows):
    X, y = rows
    net = MLPClassifier(**SMALL)
    hidden = HiddenLayers(net).fit(X, y)
    assert not hasattr(net, "coefs_")
    expected = plain_hidden(clone(net).fit(X, y), X)[-1]
    assert_allclose(hidden.transform(X), expected, rtol=1e-12, atol=1e-12)


def test_frozen_network_is_not_fitted(rows, net):
    X, y = rows
    before = [W.copy() for W in net.coefs_]
    hidden = HiddenLayers(FrozenEstimator(net)).fit(X[:50], y[:50])
    for W, kept, same in zip(net.coefs_, before, hidden.estimator_.coefs_, strict=True):
        assert_array_equal(W, kept)
        assert_array_equal(W, same)


def test_regressor_in_a_pipeline_and_a_search(diabetes):
    X, y = diabetes
    hidden = HiddenLayers(MLPRegressor(hidden_layer_sizes=(6, 3), max_iter=5, random_state=0))
    model = make_pipeline(StandardScaler(), hidden)
    assert model.fit_transform(X, y).shape == (len(X), 3)
    search = GridSearchCV(
        make_pipeline(hidden, Ridge()), {"hiddenlayers__layer": [0, 1, "all"]}, cv=2
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_float32(rows):
    X, y = rows
    hidden = HiddenLayers(MLPClassifier(**SMALL)).fit(X.astype(np.float32), y)
    found = hidden.transform(X)
    assert found.dtype == np.float32
    expected = plain_hidden(hidden.estimator_, X.astype(np.float32))[-1]
    assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_pickle(rows):
    X, y = rows
    hidden = HiddenLayers(MLPClassifier(**SMALL)).fit(X, y)
    again = pickle.loads(pickle.dumps(hidden))
    assert_array_equal(again.transform(X), hidden.transform(X))


def test_names(rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=list("abcde"))
    hidden = HiddenLayers(MLPClassifier(**SMALL), layer="all").fit(frame, y)
    assert_array_equal(hidden.feature_names_in_, list("abcde"))
    expected = [f"hidden0_{j}" for j in range(7)] + [f"hidden1_{j}" for j in range(4)]
    assert_array_equal(hidden.get_feature_names_out(), expected)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        hidden.get_feature_names_out(list("edcba"))
    with pytest.raises(ValueError, match="feature names should match"):
        hidden.transform(frame[list("edcba")])
    hidden.fit(X, y)
    assert not hasattr(hidden, "feature_names_in_")
    assert hidden.n_features_in_ == 5


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(rows, library):
    X, y = rows
    union = make_union(StandardScaler(), HiddenLayers(MLPClassifier(**SMALL), layer=0))
    frame = union.set_output(transform=library).fit(X, y).transform(X)
    assert list(frame.columns)[-1] == "hiddenlayers__hidden0_6"
    assert frame.shape == (len(X), 12)


def test_sample_weights_reach_the_network(rows):
    X, y = rows
    weights = np.random.RandomState(1).gamma(2.0, size=len(X))
    net = MLPClassifier(**SMALL)
    expected = clone(net).fit(X, y, sample_weight=weights).coefs_[0]
    found = HiddenLayers(net).fit(X, y, sample_weight=weights).estimator_.coefs_[0]
    assert_array_equal(found, expected)
    assert not np.array_equal(found, clone(net).fit(X, y).coefs_[0])
    with sklearn.config_context(enable_metadata_routing=True):
        asked = HiddenLayers(clone(net).set_fit_request(sample_weight=True))
        model = make_pipeline(asked, LogisticRegression().set_fit_request(sample_weight=False))
        model.fit(X, y, sample_weight=weights)
        assert_array_equal(model[0].estimator_.coefs_[0], expected)
        with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set"):
            HiddenLayers(clone(net)).fit(X, y, sample_weight=weights)


@pytest.mark.parametrize("layer", [2, -3])
def test_no_such_layer(rows, layer):
    hidden = HiddenLayers(MLPClassifier(**SMALL), layer=layer)
    with pytest.raises(ValueError, match=rf"layer={layer}, .*2 hidden layers.* -2 to 1"):
        hidden.fit(*rows)
    assert not hasattr(hidden, "estimator_")


def test_no_hidden_layers(rows):
    with pytest.raises(ValueError, match="no hidden layers"):
        HiddenLayers(MLPClassifier(hidden_layer_sizes=(), max_iter=1)).fit(*rows)


@pytest.mark.parametrize(
    "other",
    [
        sklearn.neural_network.MLPClassifier(),
        make_pipeline(StandardScaler(), MLPClassifier()),
        FrozenEstimator(LogisticRegression()),
    ],
    ids=["scikit-learn's", "pipeline", "read_only"],
)
def test_other_estimators(rows, other):
    with pytest.raises(TypeError, match="MLPClassifier or MLPRegressor"):
        HiddenLayers(other).fit(*rows)
    with pytest.raises(TypeError, match="MLPClassifier or MLPRegressor"):
        input_gradients(other, rows[0])


def test_not_fitted(rows):
    with pytest.raises(NotFittedError):
        HiddenLayers(MLPClassifier()).transform(rows[0])
    with pytest.raises(NotFittedError):
        HiddenLayers(MLPClassifier()).get_feature_names_out()
    with pytest.raises(NotFittedError):
        input_gradients(MLPClassifier(), rows[0])


# Gradients.


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("activation", Activation.table)
def test_gradient_of_each_class(rows, activation, sparse):
    X, y = rows
    net = MLPClassifier(activation=activation, **SMALL).fit(X, y)
    for target in range(3):
        found = input_gradients(net, sp.csr_array(X) if sparse else X, target)
        assert_is_gradient(found, lambda X, k=target: net.decision_function(X)[:, k], X)


@pytest.mark.parametrize("sizes", [(), (6,), (4, 5, 3)])
def test_gradient_of_any_depth(rows, sizes):
    X, y = rows
    net = MLPClassifier(**{**SMALL, "hidden_layer_sizes": sizes, "activation": "tanh"}).fit(X, y)
    found = input_gradients(net, X, 1)
    assert_is_gradient(found, lambda X: net.decision_function(X)[:, 1], X)


def test_gradient_of_a_linear_network_is_its_weights(rows):
    X, y = rows
    net = MLPClassifier(**{**SMALL, "hidden_layer_sizes": ()}).fit(X, y)
    assert_array_equal(input_gradients(net, X, 2), np.tile(net.coefs_[0][:, 2], (len(X), 1)))


def test_gradient_of_the_predicted_class(rows, net):
    X, y = rows
    named = MLPClassifier(activation="tanh", **SMALL).fit(X, np.array(["x", "a", "m"])[y])
    classes = named.predict(X)
    assert len(set(classes)) > 1
    found = input_gradients(named, X)
    for label in set(classes):
        expected = input_gradients(named, X, label)
        assert_array_equal(found[classes == label], expected[classes == label])


def test_gradient_of_two_classes(rows):
    X, y = rows
    net = MLPClassifier(activation="tanh", **SMALL).fit(X, np.where(y > 0, "yes", "no"))
    gradient = input_gradients(net, X, "yes")
    assert_is_gradient(gradient, net.decision_function, X)
    assert_array_equal(input_gradients(net, X, "no"), -gradient)
    net.intercepts_[-1] -= np.median(net.decision_function(X))
    is_yes = net.predict(X) == "yes"
    assert 0 < is_yes.sum() < len(X)
    signs = np.where(is_yes, 1, -1)[:, None]
    assert_array_equal(input_gradients(net, X), signs * gradient)


def test_gradient_of_a_regressor(diabetes):
    X, y = diabetes
    net = MLPRegressor(activation="tanh", **SMALL).fit(X, y)
    assert_is_gradient(input_gradients(net, X), net.predict, X)


def test_gradient_of_several_outputs(diabetes):
    X, y = diabetes
    net = MLPRegressor(activation="tanh", **SMALL).fit(X, np.c_[y, X[:, 0]])
    for k in range(2):
        found = input_gradients(net, X, k)
        assert_is_gradient(found, lambda X, k=k: net.predict(X)[:, k], X)


def test_gradient_before_the_link(diabetes):
    X, y = diabetes
    net = MLPRegressor("poisson", activation="tanh", **SMALL).fit(X, y)
    assert_is_gradient(input_gradients(net, X), lambda X: np.log(net.predict(X)), X)


def test_gradient_of_labels(rows):
    X, y = rows
    net = MLPClassifier(activation="tanh", **SMALL).fit(X, np.c_[y == 0, y != 1, y > 5].astype(int))
    found = input_gradients(net, X, 1)
    assert_is_gradient(found, lambda X: net.decision_function(X)[:, 1], X)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_multiply_by_inputs(rows, net, sparse):
    X, _ = rows
    given = sp.csr_array(X) if sparse else X
    found = input_gradients(net, given, 1, multiply_by_inputs=True)
    assert_array_equal(found, X * input_gradients(net, given, 1))


def test_gradient_times_input_adds_up_in_a_linear_network(diabetes):
    X, y = diabetes
    net = MLPRegressor(**{**SMALL, "hidden_layer_sizes": ()}).fit(X, y)
    parts = input_gradients(net, X, multiply_by_inputs=True)
    assert_allclose(parts.sum(axis=1) + net.intercepts_[0], net.predict(X), rtol=1e-12)


def test_gradient_in_float32(rows):
    """Rounding of float32, 6e-8, over some tens of terms."""
    X, y = rows
    net = MLPClassifier(activation="tanh", **SMALL).fit(X.astype(np.float32), y)
    found = input_gradients(net, X, 0)
    assert found.dtype == np.float32
    net.coefs_ = [W.astype(np.float64) for W in net.coefs_]
    net.intercepts_ = [b.astype(np.float64) for b in net.intercepts_]
    expected = input_gradients(net, X, 0)
    assert expected.dtype == np.float64
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)


def test_names_of_features_are_checked_and_not_warned_about(rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=list("abcde"))
    net = MLPClassifier(**SMALL).fit(frame, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = input_gradients(FrozenEstimator(net), frame)
    assert found.shape == X.shape
    with pytest.raises(ValueError, match="feature names should match"):
        input_gradients(net, frame[list("edcba")], 0)


@pytest.mark.parametrize(
    "form", [np.asarray, list, pd.Series, lambda y: pd.Series(y, list("z" * len(y)))]
)
@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b", "c"], ["x", "y"]])
def test_a_target_for_each_row(rows, form, labels):
    """Each row is that of the gradient by its own class alone."""
    X, y = rows
    y = np.array(labels)[y % len(labels)]
    net = MLPClassifier(**SMALL).fit(X, y)
    found = input_gradients(net, X, form(y))
    for label in labels:
        assert_array_equal(found[y == label], input_gradients(net, X, label)[y == label])
    assert_array_equal(input_gradients(net, X, net.predict(X)), input_gradients(net, X))


def test_an_output_for_each_row(diabetes):
    X, y = diabetes
    net = MLPRegressor(**SMALL).fit(X, np.c_[y, -y])
    outputs = np.arange(len(X)) % 2
    found = input_gradients(net, X, outputs)
    for output in (0, 1):
        here = outputs == output
        assert_array_equal(found[here], input_gradients(net, X, output)[here])


@pytest.mark.parametrize("target", [[0], [0, 1], [[0]], np.zeros((3, 1), int)])
def test_targets_of_other_rows(rows, net, target):
    message = rf"target has the shape \({np.shape(target)[0]},.*X has {len(rows[0])} rows"
    with pytest.raises(ValueError, match=message):
        input_gradients(net, rows[0], target)


@pytest.mark.parametrize("target", [3, "a", 0.5, 3 * [0] + [7], [0, None, "a", 1]])
def test_no_such_class(rows, net, target):
    X = rows[0][:4]
    with pytest.raises(ValueError, match=r"not a class of the network. Give one of \[0, 1, 2\]"):
        input_gradients(net, X, target)


@pytest.mark.parametrize("target", [None, 2, -1, "a", 0.0, 441 * [0] + [2], 442 * [0.0]])
def test_no_such_output(diabetes, target):
    X, y = diabetes
    net = MLPRegressor(**SMALL).fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match=r"has 2 outputs\. Give the index of an .* 0 to 1\."):
        input_gradients(net, X, target)


def test_memory_does_not_grow_with_the_rows_of_sparse_data():
    """Besides the result, 40 MB, no more than buffers of a chunk and a network are taken."""
    X = sp.csr_array(sp.random(10_000, 500, density=0.01, random_state=0))
    net = MLPClassifier(hidden_layer_sizes=(20,), max_iter=1, random_state=0)
    net.fit(X, np.arange(10_000) % 3)
    input_gradients(net, X[:5], 1)
    tracemalloc.start()
    try:
        result = input_gradients(net, X, 1, multiply_by_inputs=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.nbytes == 40_000_000
    assert peak < result.nbytes + 16_000_000
