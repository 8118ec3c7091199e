"""Penalties, dropout, noise, clipping, averaging and class weights: what they say, on real data."""

from __future__ import annotations

from fractions import Fraction

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import Lasso
from sklearn.metrics import log_loss, recall_score
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier, MLPRegressor
from sknet._engine.functions import hash32
from sknet._training.averaging import Averaging

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PLAIN_SGD = {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": False, "max_iter": 1}


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def linear_step(X, y, W, b, weights=None):
    """Return loss gradients of a softmax regression over all rows, in plain NumPy."""
    weights = np.ones(len(y)) if weights is None else weights
    delta = (softmax(X @ W + b, axis=1) - np.eye(10)[y]) * weights[:, None] / weights.sum()
    return X.T @ delta, delta.sum(axis=0)


def first_weights(X, y, **parameters):
    """Return the weights that a linear net begins with: those of a step of no length."""
    net = MLPClassifier((), random_state=0, learning_rate_init=1e-300, **PLAIN_SGD)
    net.set_params(**parameters).fit(X, y)
    return net.coefs_[0].copy(), net.intercepts_[0].copy()


def one_step(X, y, rate=0.5, sample_weight=None, **parameters):
    parameters = {"alpha": 0.0, "batch_size": len(y), "random_state": 0} | parameters
    net = MLPClassifier((), learning_rate_init=rate, **PLAIN_SGD).set_params(**parameters)
    net.fit(X, y, sample_weight=sample_weight)
    return net.coefs_[0], net.intercepts_[0], net


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_elastic_net_step(data, l1_ratio):
    """Both penalties by the gradient, and weights stop at 0; biases are left alone."""
    X, y = data
    alpha, rate, n = 60.0, 0.5, len(y)
    W, b = first_weights(X, y)
    grad_W, grad_b = linear_step(X, y, W, b)
    penalty = alpha * (1 - l1_ratio) / 2 * (W**2).sum() + alpha * l1_ratio * np.abs(W).sum()
    loss = log_loss(y, softmax(X @ W + b, axis=1)) + penalty / n
    moved = W - rate * (grad_W + alpha * ((1 - l1_ratio) * W + l1_ratio * np.sign(W)) / n)
    expected = np.where(moved * W > 0, moved, 0)
    actual, actual_b, net = one_step(X, y, rate, alpha=alpha, l1_ratio=l1_ratio)
    assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)
    assert_allclose(actual_b, b - rate * grad_b, rtol=1e-12)
    assert_allclose(net.loss_, loss, rtol=1e-13)
    assert (actual == 0).any()


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_lasso_finds_the_minimum(data, solver):
    """Of a linear net's objective over all rows, as scikit-learn's coordinate descent has it.

    Zeros are the same but for those within 1e-3 of the threshold.
    """
    X, y = data[0][:, 20:28], data[1].astype(float)
    alpha = 0.05
    reference = Lasso(alpha=alpha, tol=1e-12).fit(X, y)
    parameters = {"solver": solver, "learning_rate_init": 0.3 if solver == "sgd" else 0.02}
    net = MLPRegressor(
        hidden_layer_sizes=(), alpha=alpha * len(y), l1_ratio=1.0, batch_size=len(y), tol=0,
        max_iter=20_000, n_iter_no_change=np.inf, random_state=0, **parameters,
    ).fit(X, y)  # fmt: skip
    assert_allclose(net.coefs_[0][:, 0], reference.coef_, atol=2e-3)
    assert_array_equal(net.coefs_[0][:, 0] == 0, reference.coef_ == 0)
    assert (reference.coef_ == 0).any()


def test_l1_zeroes_weights(data):
    """Among them those of pixels that are always blank; L2 of the same strength zeroes none."""
    shares = {}
    for l1_ratio in (0.0, 1.0):
        net = MLPClassifier((30,), random_state=0, alpha=0.2, l1_ratio=l1_ratio, max_iter=60)
        net.fit(*data)
        shares[l1_ratio] = np.mean(net.coefs_[0] == 0)
        assert net.score(*data) > 0.95
    assert shares[0.0] == 0
    assert shares[1.0] > 0.1


def test_clipped_step(data):
    """One step of plain SGD is rate times the gradient, made no longer than asked."""
    X, y = data
    W, b = first_weights(X, y)
    grad_W, grad_b = linear_step(X, y, W, b)
    norm = np.sqrt((grad_W**2).sum() + (grad_b**2).sum())
    for clip in (norm / 3, norm * 3):
        factor = min(1, clip / norm)
        actual_W, actual_b, _ = one_step(X, y, gradient_clip_norm=clip)
        assert_allclose(actual_W, W - 0.5 * factor * grad_W, rtol=1e-12, atol=1e-14)
        assert_allclose(actual_b, b - 0.5 * factor * grad_b, rtol=1e-12, atol=1e-14)


def test_clipping_keeps_a_fit_that_would_diverge(data):
    X, y = data
    wild = {"solver": "sgd", "learning_rate_init": 10.0, "max_iter": 20, "random_state": 0}
    wild["activation"] = "identity"
    with pytest.raises(ValueError, match="non-finite"), np.errstate(all="ignore"):
        MLPRegressor("squared_error", (50, 50), **wild).fit(X, y)
    MLPRegressor("squared_error", (50, 50), **wild, gradient_clip_norm=1.0).fit(X, y)


def test_running_mean_of_parameters(data):
    """The fitted weights are the mean of those after each step, the last ones weighing most."""
    X, y = data
    decay, n_steps = 0.7, 4
    W, b = first_weights(X, y)
    weights = []
    for _ in range(n_steps):
        grad_W, grad_b = linear_step(X, y, W, b)
        W, b = W - 0.5 * grad_W, b - 0.5 * grad_b
        weights.append(W)
    factors = decay ** np.arange(n_steps)[::-1]
    expected = np.tensordot(factors / factors.sum(), weights, 1)
    actual, _, _ = one_step(X, y, max_iter=n_steps, ema_decay=decay)
    assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(("t", "n_steps"), [(0, 4), (3, 2), (5, 1), (5, 0)])
def test_share_of_the_mean_that_stays(t, n_steps, decay):
    """It is that of the weights before a step in all weights, here as fractions without errors.

    Each power and difference is off by u or less, where the differences are at least 1 - decay, and
    three more operations by 3 u.
    """
    shares = Averaging(decay, np.zeros(1), np.zeros(1)).keep_factors(t, n_steps)
    weights = [Fraction(decay) ** k for k in range(t + n_steps)]
    expected = [float(1 - 1 / sum(weights[:step])) for step in range(t + 1, t + n_steps + 1)]
    assert_allclose(shares, expected, rtol=(4 / (1 - decay) + 3) * 2**-53)


def test_averaging_goes_on_from_the_mean_alone():
    averaging = Averaging(0.9, np.arange(3.0), np.zeros(3))
    assert averaging.goes_on_from(np.arange(3.0)) is True
    assert averaging.goes_on_from(np.array([0, 1, 2 + 1e-15])) is False


def test_averaging_steadies_the_validation_loss(data):
    """Spread of the last 10 of 30 epochs, with a learning rate that makes steps noisy."""
    X, X_val, y, y_val = train_test_split(*data, random_state=0, test_size=0.3)
    spread, last = {}, {}
    for ema_decay in (None, 0.98):
        curves = []
        for seed in range(3):
            net = MLPClassifier(
                (50,), learning_rate_init=0.02, max_iter=30, random_state=seed, tol=0,
                ema_decay=ema_decay,
            )  # fmt: skip
            net.fit(X, y, X_val=X_val, y_val=y_val)
            curves.append(net.validation_loss_curve_[-10:])
        spread[ema_decay] = np.std(curves, axis=1).mean()
        last[ema_decay] = np.mean(curves)
    assert spread[0.98] < spread[None]
    assert last[0.98] < last[None]


def test_averaging_goes_on_in_partial_fit(data):
    """Pieces of training by partial_fit leave what they leave at once."""
    X, y = data
    parameters = {"ema_decay": 0.9, "random_state": 0, "shuffle": False}
    whole = MLPClassifier((20,), max_iter=3, tol=0, **parameters).fit(X, y)
    pieces = MLPClassifier((20,), **parameters)
    for _ in range(3):
        pieces.partial_fit(X, y, classes=range(10))
    for a, b in zip(whole.coefs_, pieces.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_averaging_begins_anew_from_weights_set_by_hand(data):
    X, y = data
    net = MLPClassifier((9,), ema_decay=0.99, random_state=0, max_iter=20).fit(X, y)
    net.coefs_ = [np.zeros_like(W) for W in net.coefs_]
    before = [W.copy() for W in net.coefs_]
    net.set_params(learning_rate_init=1e-300).partial_fit(X, y)
    for W, expected in zip(net.coefs_, before, strict=True):
        assert_allclose(W, expected, atol=1e-3)


def test_averaging_of_a_model_in_a_mapped_file(data, tmp_path):
    X, y = data
    net = MLPClassifier((9,), ema_decay=0.9, random_state=0, max_iter=2).fit(X, y)
    joblib.dump(net, tmp_path / "net")
    loaded = joblib.load(tmp_path / "net", mmap_mode="r").partial_fit(X, y)
    assert_array_equal(loaded.coefs_[0], net.partial_fit(X, y).coefs_[0])


def test_hash32_is_one_to_one_and_even():
    """Mixing is by steps that can be undone, so no two numbers meet; bits are fair to 4 sigma."""
    values = np.array([hash32(int(x)) for x in range(2**14)])
    assert len(np.unique(values)) == len(values)
    bits = (values[:, None] >> np.arange(32)) & 1
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(len(values))


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_gradient_with_dropout(data, activation):
    """One step follows the gradient of the loss with the very units dropped that were.

    Which those were is read off two nets that differ in the weights behind: the
    gradient of the last W has a row of zeros for each unit dropped in every row, so
    the batch is of one row.
    """
    X, y = data[0][:1], data[1][:1]
    common = {"alpha": 0.0, "activation": activation, "random_state": 3, "dropout": 0.5}
    common |= {"hidden_layer_sizes": (12,), "batch_size": 1, "shuffle": False}
    net = MLPClassifier(learning_rate_init=0.5, **PLAIN_SGD).set_params(**common)
    start = MLPClassifier(learning_rate_init=1e-300, **PLAIN_SGD).set_params(**common)
    for model in (net, start):
        model.partial_fit(X, y, classes=range(10))
    (W1, W2), (b1, b2) = start.coefs_, start.intercepts_
    grad_W2 = (W2 - net.coefs_[1]) / 0.5
    kept = np.abs(grad_W2).max(axis=1) > 1e-12
    assert 0 < kept.sum() < 12
    f = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": lambda z: z,
         "logistic": lambda z: 1 / (1 + np.exp(-z))}[activation]  # fmt: skip

    def loss(W1):
        p = softmax((f(X @ W1 + b1) * kept / 0.5) @ W2 + b2, axis=1)
        return -np.log(p[0, y[0]])

    if activation == "relu":  # units that are off are not told from dropped ones: same gradient
        kept = (f(X @ W1 + b1)[0] > 0) & kept
    numeric = np.zeros_like(W1)
    for place in np.ndindex(W1.shape):
        for sign in (1, -1):
            moved = W1.copy()
            moved[place] += sign * 1e-6
            numeric[place] += sign * loss(moved) / 2e-6
    # Differences of losses near 1 lose 1e-16 / 1e-6.
    assert_allclose((W1 - net.coefs_[0]) / 0.5, numeric, atol=1e-8)


def test_dropout_is_fair_and_scaled(data):
    """The loss behind identity units has the mean that independent units give it, to 4 sigma."""
    X = np.ones((2000, 1))
    y = np.zeros(2000)
    net = MLPRegressor(
        hidden_layer_sizes=(5,), activation="identity", alpha=0.0, dropout=0.3, random_state=0,
        learning_rate_init=1e-300, batch_size=2000, **PLAIN_SGD,
    ).fit(X, y)  # fmt: skip
    # The loss is the mean of half the square of sum_k a_k w_k m_k / 0.7 + b, m_k of mean 0.7.
    a, w, b = net.coefs_[0][0] + net.intercepts_[0], net.coefs_[1][:, 0], net.intercepts_[1][0]
    mean, variance = a @ w + b, ((a * w) ** 2).sum() * 0.3 / 0.7
    expected = (mean**2 + variance) / 2
    spread = np.sqrt((4 * mean**2 * variance + 3 * variance**2) / 4 / 2000)
    assert abs(net.loss_ - expected) < 4 * spread
    assert variance > 0.01 * mean**2


def test_dropout_narrows_the_gap(data):
    """With 150 digits to learn from: the difference of log-loss between training and test."""
    X, X_test, y, y_test = train_test_split(*data, train_size=150, random_state=0)
    gaps = {}
    for dropout in (0.0, 0.5):
        results = []
        for seed in range(3):
            net = MLPClassifier(
                (200, 200), dropout=dropout, random_state=seed, max_iter=150, tol=0, alpha=0
            ).fit(X, y)
            results.append([log_loss(v, net.predict_proba(u)) for u, v in
                            ((X, y), (X_test, y_test))])  # fmt: skip
        train, test = np.mean(results, axis=0)
        gaps[dropout] = test - train
    assert gaps[0.5] < gaps[0.0]


@pytest.mark.parametrize("parameters", [{"dropout": [0.2, 0.5]}, {"input_noise": 0.3}], ids=str)
def test_random_bits_depend_on_the_seed_alone(data, parameters):
    common = {"hidden_layer_sizes": (20, 10), "max_iter": 2, **parameters}
    a, b, c = (MLPClassifier(**common, random_state=s).fit(*data) for s in (0, 0, 1))
    for u, v, w in zip(a.coefs_, b.coefs_, c.coefs_, strict=True):
        assert_array_equal(u, v)
        assert not np.array_equal(u, w)


def test_noise_has_its_deviation(data):
    """The penalty that noise is in the mean (Bishop 1995): variance times sum W**2 / 2."""
    X, y = np.zeros((5000, 4)), np.zeros(5000)
    net = MLPRegressor(
        hidden_layer_sizes=(), alpha=0.0, input_noise=2.0, random_state=0, batch_size=5000,
        learning_rate_init=1e-300, **PLAIN_SGD,
    ).fit(X, y)  # fmt: skip
    variance = 4.0 * (net.coefs_[0] ** 2).sum()
    expected = (variance + net.intercepts_[0][0] ** 2) / 2
    assert abs(net.loss_ - expected) < 4 * variance * np.sqrt(0.5 / 5000)


def test_balanced_weights_raise_minority_recall(data):
    """One digit against nine: the recall of the rare class, mean over splits."""
    X, y = data[0], (data[1] == 8).astype(int)
    recalls = {}
    for class_weight in (None, "balanced"):
        scores = []
        for seed in range(4):
            X_train, X_test, y_train, y_test = train_test_split(
                X, y, train_size=300, random_state=seed, stratify=y
            )
            net = MLPClassifier((20,), class_weight=class_weight, random_state=seed, max_iter=60)
            scores.append(recall_score(y_test, net.fit(X_train, y_train).predict(X_test)))
        recalls[class_weight] = np.mean(scores)
    assert recalls["balanced"] > recalls[None] + 0.05


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 1: 0.5}])
def test_class_weights_are_sample_weights(data, class_weight, solver):
    """And multiply those given."""
    X, y = data[0], (data[1] == 8).astype(int)
    own = np.random.RandomState(0).gamma(2.0, size=len(y))
    by_class = class_weight
    if class_weight == "balanced":
        by_class = dict(enumerate(len(y) / (2 * np.bincount(y))))
    expected = own * np.array([by_class[k] for k in y])
    common = {"hidden_layer_sizes": (9,), "max_iter": 5, "random_state": 0, "solver": solver}
    a = MLPClassifier(**common, class_weight=class_weight).fit(X, y, sample_weight=own)
    b = MLPClassifier(**common).fit(X, y, sample_weight=expected)
    assert_allclose(a.coefs_[0], b.coefs_[0], rtol=1e-12, atol=1e-15)


def test_class_weights_in_parts(data):
    """A part need not have every class that weighs."""
    X, y = data
    net = MLPClassifier((9,), class_weight={1: 5.0}, random_state=0)
    net.partial_fit(X[y != 1], y[y != 1], classes=range(10))
    net.fit(X, y, X_val=X[y != 1], y_val=y[y != 1])


@pytest.mark.parametrize("weights", [{0: -1.0, 1: 1.0}, {0: np.nan}, {0: 0.0, 1: 0.0}], ids=str)
def test_class_weights_are_checked(data, weights):
    with pytest.raises(ValueError, match="class_weight="):
        MLPClassifier((3,), class_weight=weights).fit(data[0], data[1] % 2)


def test_balanced_weights_are_refused_in_parts(data):
    net = MLPClassifier(class_weight="balanced")
    assert not hasattr(net, "partial_fit")
    with pytest.raises(AttributeError) as error:
        net.partial_fit(*data, classes=range(10))
    assert "'balanced' is not for partial_fit" in str(error.value.__cause__)


def test_class_weights_of_labels(data):
    """For an indicator matrix the weights of a row's labels multiply, as in scikit-learn."""
    X, Y = data[0], np.column_stack([data[1] % 2, data[1] > 6]).astype(int)
    weight = [{0: 1, 1: 2.0}, {0: 1, 1: 3.0}]
    expected = (1 + Y[:, 0]) * (1 + 2 * Y[:, 1])
    common = {"hidden_layer_sizes": (9,), "max_iter": 3, "random_state": 0}
    a = MLPClassifier(**common, class_weight=weight).fit(X, Y)
    b = MLPClassifier(**common).fit(X, Y, sample_weight=expected)
    assert_allclose(a.coefs_[0], b.coefs_[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (
            {"dropout": [0.5]},
            r"dropout=\[0.5\] must be a number in \[0, 1\), or one number for each of .*2",
        ),
        ({"dropout": [0.5, 1.0]}, r"dropout=\[0.5, 1.0\] must be"),
        ({"activation": ["relu"]}, r"activation=\['relu'\] must be one name, or one name for .*2"),
        ({"activation": ["relu", "no"]}, r"activation=.*logistic"),
        ({"solver": "lbfgs", "dropout": 0.5}, "dropout=0.5 is not for solver='lbfgs'"),
        ({"solver": "lbfgs", "l1_ratio": 0.5}, "l1_ratio=0.5 is not for solver='lbfgs'"),
        ({"solver": "lbfgs", "ema_decay": 0.5}, "ema_decay=0.5 is not for solver='lbfgs'"),
        ({"solver": "lbfgs", "input_noise": 0.5}, "input_noise=0.5 is not for solver='lbfgs'"),
        ({"solver": "lbfgs", "gradient_clip_norm": 1}, "gradient_clip_norm=1 is not for"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_told(data, parameters, told):
    net = MLPClassifier((5, 4), **parameters)
    with pytest.raises(ValueError, match=told):
        net.fit(*data)
    assert not hasattr(net, "coefs_")


def test_no_noise_on_sparse_data(data):
    with pytest.raises(ValueError, match=r"input_noise=0\.1 would make sparse X dense"):
        MLPClassifier(input_noise=0.1).fit(sp.csr_array(data[0]), data[1])


def test_activations_by_layer(data):
    """A list of names is a function for each layer; the same name for all is that name."""
    X, y = data
    common = {"hidden_layer_sizes": (9, 7), "max_iter": 3, "random_state": 0}
    same = MLPClassifier(activation=["tanh", "tanh"], **common).fit(X, y)
    one = MLPClassifier(activation="tanh", **common).fit(X, y)
    assert_array_equal(same.coefs_[0], one.coefs_[0])
    mixed = MLPClassifier(activation=["tanh", "relu"], **common).fit(X, y)
    a = np.maximum(np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0]) @ mixed.coefs_[1]
                   + mixed.intercepts_[1], 0)  # fmt: skip
    expected = a @ mixed.coefs_[2] + mixed.intercepts_[2]
    assert_allclose(mixed.decision_function(X), expected, rtol=1e-10, atol=1e-12)
