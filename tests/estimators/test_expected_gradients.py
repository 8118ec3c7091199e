"""Expected gradients against plain NumPy, exact answers, their own standard errors, and shap."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import MLPClassifier, MLPRegressor, expected_gradients
from sknet import attribution as module

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N_FEATURES = 5


@pytest.fixture(scope="module")
def rows():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, N_FEATURES))
    return X, (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)


@pytest.fixture(scope="module")
def net(rows):
    """A smooth network, trained long enough for its scores to be curved."""
    return MLPClassifier(
        (8, 6), activation="tanh", learning_rate_init=0.02, max_iter=150, random_state=0
    ).fit(*rows)


def background_of(rows):
    return rows[0][::3]


# Against plain NumPy.


def plain(net, x, background, output, n_points):
    """Return the expected gradients of a tanh network for one row, by Gauss-Legendre quadrature."""
    places, weights = np.polynomial.legendre.leggauss(n_points)
    total = np.zeros(len(x))
    for b in background:
        a, slopes = b + (places[:, None] + 1) / 2 * (x - b), []
        for W, bias in zip(net.coefs_[:-1], net.intercepts_[:-1], strict=True):
            a = np.tanh(a @ W + bias)
            slopes.append(1 - a**2)
        delta = net.coefs_[-1][:, output]
        for W, slope in zip(net.coefs_[-2::-1], slopes[::-1], strict=True):
            delta = (slope * delta) @ W.T
        total += (x - b) * (weights / 2 @ delta)
    return total / len(background)


def test_plain_numpy(rows, net):
    """The quadrature is exact but for rounding: with half of its points it finds the same."""
    background, x = background_of(rows), rows[0][7]
    for target in range(3):
        expected = plain(net, x, background, target, 200)
        assert_allclose(plain(net, x, background, target, 100), expected, rtol=0, atol=1e-9)
        found = expected_gradients(net, x[None], background, target, n_samples=200, random_state=1)
        assert found.standard_error.max() < 1e-3 * abs(expected).max()
        assert_allclose(found.values[0], expected, rtol=0, atol=5 * found.standard_error.max())


def test_standard_errors_are_those_of_many_runs(rows, net):
    """The squared errors are, on average over seeds, the squares of the standard errors.

    The square of a normal number has a standard deviation of sqrt(2) times its mean, and the mean
    over the runs that of sqrt(2 / n_runs). Five of these are allowed, for the mean error, too.
    """
    background, X = background_of(rows), rows[0][:6]
    exact = np.array([plain(net, x, background, 1, 200) for x in X])
    n_runs, errors, variances = 200, [], []
    for seed in range(n_runs):
        found = expected_gradients(net, X, background, 1, n_samples=4, random_state=seed)
        gaps = found.values.sum(axis=1) - (found.scores - found.base_values)
        errors.append(np.column_stack([found.values - exact, gaps]))
        variances.append(np.column_stack([found.standard_error, found.sum_standard_error]) ** 2)
    variance = np.mean(variances, axis=0)
    ratios = np.mean(np.square(errors), axis=0) / variance
    assert_allclose(ratios, 1, rtol=0, atol=5 * np.sqrt(2 / n_runs))
    assert (abs(np.mean(errors, axis=0)) < 5 * np.sqrt(variance / n_runs)).all()  # no bias


def test_more_points_shrink_the_error_faster_than_random_ones(rows, net):
    """Of smooth scores with the power 3/2 of their number; random points have the power 1/2."""
    sizes = [
        expected_gradients(net, rows[0], background_of(rows), 0, n_samples=n, random_state=0)
        .standard_error.mean()
        for n in (8, 80)
    ]  # fmt: skip
    assert_allclose(np.log10(sizes[0] / sizes[1]), 1.5, rtol=0, atol=0.15)


# Where the answer is known.


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_linear_networks_are_exact(rows, sparse):
    """They are w (x - mean of the background), with no error but rounding."""
    X, y = rows
    net = MLPClassifier((), max_iter=20, random_state=0).fit(X, y)
    give = sp.csr_array if sparse else np.asarray
    background = background_of(rows)
    found = expected_gradients(net, give(X), give(background), 2, n_samples=2, random_state=0)
    expected = net.coefs_[0][:, 2] * (X - background.mean(axis=0))
    assert_allclose(found.values, expected, rtol=0, atol=1e-13)
    assert found.standard_error.max() < 1e-13
    assert found.sum_standard_error.max() < 1e-13
    assert_allclose(found.values.sum(axis=1), found.scores - found.base_values, atol=1e-12)


def test_one_logistic_unit():
    """A unit s(w x) has the contributions x_i w_i (s(w x) - s(0)) / (w x), compared with x = 0."""
    net = MLPRegressor(hidden_layer_sizes=(1,), activation="logistic", max_iter=1).fit(
        np.eye(3), np.arange(3)
    )
    w = np.array([0.5, -2.0, 1.5])
    net.coefs_ = [w[:, None], np.array([[3.0]])]
    net.intercepts_ = [np.zeros(1), np.zeros(1)]
    X = np.random.RandomState(0).normal(size=(40, 3))
    found = expected_gradients(net, X, np.zeros((1, 3)), n_samples=2000, random_state=0)
    z = X @ w
    expected = 3 * X * w * ((expit(z) - 0.5) / z)[:, None]
    assert (abs(found.values - expected) < 6 * found.standard_error + 1e-14).all()
    assert found.standard_error.max() < 1e-4


# What the sums are.


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_sums_for_each_kind_of_estimator(rows, activation):
    X, y = rows
    background = background_of(rows)
    settings = {"hidden_layer_sizes": (20,), "activation": activation, "random_state": 0}
    classifier = MLPClassifier(**settings).fit(X, y)
    binary = MLPClassifier(**settings).fit(X, np.where(y > 0, "yes", "no"))
    regressor = MLPRegressor(**settings).fit(X, X[:, 0] * X[:, 1])
    poisson = MLPRegressor(loss="poisson", **settings).fit(X, y)
    two = MLPRegressor(**settings).fit(X, X[:, :2] ** 2)
    own = classifier.predict(X)
    cases = [
        (classifier, 1, lambda X: classifier.decision_function(X)[:, 1]),
        (binary, "yes", binary.decision_function),
        (binary, "no", lambda X: -binary.decision_function(X)),
        (regressor, None, regressor.predict),
        (poisson, None, lambda X: np.log(poisson.predict(X))),
        (two, 1, lambda X: two.predict(X)[:, 1]),
    ]
    for estimator, target, score in cases:
        found = expected_gradients(estimator, X, background, target, random_state=0)
        expected = score(X) - score(background).mean()
        assert_allclose(found.scores, score(X), rtol=1e-12, atol=1e-12)
        assert_allclose(found.base_values, score(background).mean(), rtol=1e-12, atol=1e-12)
        gaps = found.values.sum(axis=1) - expected
        assert (abs(gaps) < 6 * found.sum_standard_error + 1e-12).all()
        assert found.sum_standard_error.max() < 0.05 * abs(expected).max()
    each = expected_gradients(classifier, X, background, random_state=0)
    for label in set(own):
        alone = expected_gradients(classifier, X[own == label], background, label, random_state=0)
        assert_allclose(each.values[own == label], alone.values, rtol=0, atol=1e-13)
        assert_array_equal(each.base_values[own == label], alone.base_values)


def test_parts_of_any_size_give_the_same(rows, net, monkeypatch):
    """The points are taken some at a time. Sums in another order differ by their rounding."""
    background = background_of(rows)
    expected = expected_gradients(net, rows[0], background, 1, random_state=0)
    for points in (1, 70, 10**6):
        monkeypatch.setattr(module, "POINTS", points)
        found = expected_gradients(net, rows[0], background, 1, random_state=0)
        for name in ("values", "standard_error", "sum_standard_error"):
            assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-14)


def test_a_row_has_the_same_contributions_beside_others(rows, net):
    background = background_of(rows)
    every = expected_gradients(net, rows[0], background, 1, random_state=0)
    alone = expected_gradients(net, rows[0][5:6], background, 1, random_state=0)
    assert_allclose(every.values[5:6], alone.values, rtol=0, atol=1e-13)


def test_float32(rows):
    """Gradients and scores have the precision of the network, the sums are made in float64."""
    X, y = rows[0].astype(np.float32), rows[1]
    net = MLPClassifier((8,), activation="tanh", random_state=0).fit(X, y)
    found = expected_gradients(net, X, X[::3], 0, n_samples=50, random_state=0)
    assert found.values.dtype == found.scores.dtype == np.float64
    gaps = found.values.sum(axis=1) - (found.scores - found.base_values)
    assert (abs(gaps) < 6 * found.sum_standard_error + 1e-5).all()


def test_a_scaler_before_the_network_changes_nothing(rows):
    """Contributions of features scaled one by one are those of the features themselves."""
    X, y = rows[0] * [1, 10, 100, 1e3, 1e4], rows[1]
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((8,), random_state=0)).fit(X, y)
    scaler, net = pipeline
    background = X[::3]
    scaled = expected_gradients(
        net, scaler.transform(X), scaler.transform(background), 1, random_state=0
    )
    folded = MLPClassifier((8,), max_iter=1).fit(X, y)
    folded.coefs_ = [net.coefs_[0] / scaler.scale_[:, None], net.coefs_[1]]
    shift = (scaler.mean_ / scaler.scale_) @ net.coefs_[0]
    folded.intercepts_ = [net.intercepts_[0] - shift, net.intercepts_[1]]
    raw = expected_gradients(folded, X, background, 1, random_state=0)  # the same points
    assert_allclose(raw.values, scaled.values, rtol=1e-9, atol=1e-9)


# Arguments.


def test_seeds(rows, net):
    background = background_of(rows)
    one, same, other = (
        expected_gradients(net, rows[0], background, 0, random_state=seed).values
        for seed in (0, np.random.RandomState(0), 1)
    )
    assert_array_equal(one, same)
    assert (one != other).any()


def test_frames_keep_the_names_of_their_columns(rows):
    X, y = rows
    frame = pd.DataFrame(X, columns=list("abcde"))
    net = FrozenEstimator(MLPClassifier((4,), max_iter=3).fit(frame, y))
    assert expected_gradients(net, frame, frame[:9], 0).feature_names == list("abcde")
    with pytest.raises(ValueError, match="feature names should match"):
        expected_gradients(net, frame, frame[list("edcba")], 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_samples": 3}, r"n_samples=3 is odd.* Give 4"),
        ({"n_samples": 0}, "'n_samples' parameter of expected_gradients must be an int"),
        ({"random_state": "x"}, "'random_state' parameter"),
        ({"target": 9}, r"target=9 is not a class of the network"),
        ({"background": np.ones((3, 4))}, "has 4 features"),
        ({"background": np.ones((0, N_FEATURES))}, "0 sample"),
        ({"background": np.full((1, N_FEATURES), np.nan)}, "contains NaN"),
    ],
)
def test_errors(arguments, message, rows, net):
    with pytest.raises(ValueError, match=message):
        expected_gradients(net, rows[0], **{"background": rows[0], **arguments})


def test_other_estimators(rows):
    with pytest.raises(TypeError, match="MLPClassifier or MLPRegressor"):
        expected_gradients(LogisticRegression().fit(*rows), rows[0], rows[0])
    with pytest.raises(NotFittedError):
        expected_gradients(MLPClassifier(), rows[0], rows[0])


# Beside shap.


def test_without_shap_the_error_names_the_extra(rows, net, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ImportError, match=r"'sknet-mlp\[shap\]'"):
        expected_gradients(net, rows[0], rows[0][:2], 0).to_shap()


def test_shap_finds_the_same_where_features_do_not_interact(rows):
    """If each hidden unit reads one feature, the score is a sum of functions of one feature each.

    Shapley values and expected gradients are then equal.
    """
    shap = pytest.importorskip("shap", reason="the extra 'shap' is not installed")
    X, y = rows
    net = MLPRegressor(
        hidden_layer_sizes=(2 * N_FEATURES,), activation="tanh", random_state=0, max_iter=1
    ).fit(X, y)
    first = np.kron(np.eye(N_FEATURES), [[1.0, -2.0]])
    net.coefs_ = [first, net.coefs_[1]]
    background = background_of(rows)
    found = expected_gradients(net, X[:5], background, n_samples=200, random_state=0)
    theirs = shap.KernelExplainer(net.predict, background).shap_values(X[:5], silent=True)
    # KernelExplainer solves for the Shapley values by least squares, over all 30 coalitions.
    assert_allclose(found.values, theirs, rtol=0, atol=5 * found.standard_error.max() + 1e-9)
    explanation = found.to_shap()
    assert isinstance(explanation, shap.Explanation)
    assert_array_equal(explanation.values, found.values)
    assert_array_equal(explanation.data, X[:5])
    assert_array_equal(explanation.base_values, found.base_values)
    assert shap.Explanation is type(explanation[0])  # plots take one row
