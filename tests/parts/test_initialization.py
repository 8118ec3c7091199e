"""Initial weights: the distributions of the initialisers, and functions of users."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.stats import kstest
from sklearn.datasets import load_iris

from sknet import MLPClassifier
from sknet.activations import Activation
from sknet.initialization import Initializer, draw_layer

FAN_IN, FAN_OUT = 300, 200
VARIANCES = {
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "he_uniform": 2 / FAN_IN,
    "he_normal": 2 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "lecun_normal": 1 / FAN_IN,
}


def draw(weight_init, fan_in=FAN_IN, fan_out=FAN_OUT, activation="relu", seed=0):
    random_state = np.random.RandomState(seed)
    return draw_layer(weight_init, random_state, fan_in, fan_out, Activation.table[activation])


def distribution(name, deviation):
    """Return the name and the parameters of scipy's distribution with mean 0."""
    if name.endswith("normal"):
        return "norm", (0, deviation)
    bound = np.sqrt(3) * deviation
    return "uniform", (-bound, 2 * bound)


def test_every_initializer_is_tested():
    assert set(Initializer.table) == {*VARIANCES, "orthogonal"}


@pytest.mark.parametrize("name", VARIANCES)
def test_distribution(name):
    """Mean and variance agree within five standard errors, and a Kolmogorov-Smirnov test passes."""
    weights, biases = draw(name)
    assert weights.shape == (FAN_IN, FAN_OUT)
    assert biases.shape == (FAN_OUT,)
    n, variance = weights.size, VARIANCES[name]
    kurtosis = 3 if name.endswith("normal") else 9 / 5
    assert abs(weights.mean()) < 5 * np.sqrt(variance / n)
    assert abs(np.mean(weights**2) / variance - 1) < 5 * np.sqrt((kurtosis - 1) / n)
    family, arguments = distribution(name, np.sqrt(variance))
    expected = getattr(stats, family)(*arguments).cdf
    assert kstest(weights.ravel(), expected).pvalue > 1e-4
    if name != "glorot_uniform":
        assert_array_equal(biases, 0)


@pytest.mark.parametrize("name", ["glorot_uniform", "glorot_normal"])
def test_logistic_has_a_third_of_the_variance(name):
    """Its factor is 2 instead of 6, so the same draws are multiplied by sqrt(1 / 3).

    The rounding error of -b + 2 b u is that of numbers below 2 b = 0.22.
    """
    ours, others = draw(name, activation="logistic")[0], draw(name)[0]
    assert_allclose(ours, others * np.sqrt(1 / 3), rtol=1e-15, atol=np.finfo(float).eps)


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (5, 5), (1, 4), (4, 1)])
def test_orthogonal(shape):
    """W'W is the identity up to rounding errors of at most 7**2 terms."""
    W, biases = draw("orthogonal", *shape)
    assert W.shape == shape
    product = W.T @ W if shape[0] >= shape[1] else W @ W.T
    assert_allclose(product, np.eye(min(shape)), atol=100 * np.finfo(float).eps)
    assert_array_equal(biases, 0)


def test_orthogonal_is_uniform():
    """By Archimedes' theorem, each entry of a uniform orthogonal 3 x 3 matrix is uniform."""
    matrices = np.array([draw("orthogonal", 3, 3, seed=seed)[0] for seed in range(2000)])
    for i in range(3):
        for j in range(3):
            assert kstest(matrices[:, i, j], "uniform", (-1, 2)).pvalue > 1e-4


@pytest.mark.parametrize("activation", Activation.table)
def test_auto(activation):
    """'auto' selects the activation's initialiser, which is scikit-learn's for its activations."""
    name = Activation.table[activation].weight_init
    for auto, named in zip(
        draw("auto", activation=activation), draw(name, activation=activation), strict=True
    ):
        assert_array_equal(auto, named)
    if activation in ("identity", "logistic", "tanh", "relu"):
        assert name == "glorot_uniform"


def test_callable():
    """The function is called for each layer in order, with the random state of the fit."""
    calls = []

    def weight_init(fan_in, fan_out, random_state):
        weights = random_state.normal(size=(fan_in, fan_out))
        calls.append((fan_in, fan_out, weights))
        return weights if fan_in == 4 else (weights.tolist(), [1, 2, 3])

    # With steps too small to change a number, the initial weights remain.
    model = MLPClassifier(
        (5,),
        weight_init=weight_init,
        solver="sgd",
        learning_rate_init=1e-200,
        max_iter=1,
        random_state=3,
    )
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(*load_iris(return_X_y=True))
    expected = np.random.RandomState(3)
    for (fan_in, fan_out, weights), shape, W in zip(
        calls, [(4, 5), (5, 3)], model.coefs_, strict=True
    ):
        assert (fan_in, fan_out) == shape
        assert_array_equal(weights, expected.normal(size=shape))
        assert_array_equal(W, weights)
    assert_allclose(model.intercepts_[0], 0, atol=1e-190)
    assert_array_equal(model.intercepts_[1], [1, 2, 3])


def test_weights_of_another_model_are_copied():
    """Training must not overwrite the weights of a model that a function returns."""
    X, y = load_iris(return_X_y=True)
    first = MLPClassifier((5,), solver="lbfgs", max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match="lbfgs failed to converge"):
        first.fit(X, y)
    before = [v.copy() for v in (*first.coefs_, *first.intercepts_)]
    layers = zip(first.coefs_, first.intercepts_, strict=True)
    second = MLPClassifier((5,), weight_init=lambda *_: next(layers), max_iter=1)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        second.fit(X, y)
    for kept, now in zip(before, (*first.coefs_, *first.intercepts_), strict=True):
        assert_array_equal(kept, now)
    assert not np.array_equal(second.coefs_[0], before[0])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((5, 4)), r"weights of shape \(5, 4\) and dtype float64\. .* shape \(4, 5\)"),
        (None, r"weights of shape \(\) and dtype object\. .* shape \(4, 5\)"),
        ([[1, 2], [3]], r"weights that are not an array\. .* shape \(4, 5\)"),
        (np.zeros((4, 5), complex), r"dtype complex128\. Return finite real numbers"),
        (np.full((4, 5), np.nan), r"weights with NaN or infinity\. .* shape \(4, 5\)"),
        ((np.zeros((4, 5)), np.zeros(4)), r"biases of shape \(4,\) .* of shape \(5,\)"),
        ((np.zeros((4, 5)), [np.inf] * 5), r"biases with NaN or infinity\. .* shape \(5,\)"),
        ((np.zeros((4, 5)),), r"a tuple of length 1\. Return weights of shape \(4, 5\), or"),
    ],
)
def test_callable_that_returns_something_else(returned, message):
    model = MLPClassifier((5,), weight_init=lambda fan_in, fan_out, random_state: returned)
    with pytest.raises(ValueError, match=f"^weight_init returned .*{message}"):
        model.fit(*load_iris(return_X_y=True))
