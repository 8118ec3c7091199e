"""Losses compared with numerical gradients and with scikit-learn's metrics and linear models."""

from __future__ import annotations

import itertools
import re
from typing import Any, NamedTuple

import exact
import naive
import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn import linear_model, metrics
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier, MLPRegressor
from sknet._engine.program import Program, run_program
from sknet.losses import Loss


class Case(NamedTuple):
    """A loss with its hyperparameters, and the number of its target columns or classes."""

    name: str
    hyperparameters: dict[str, Any]
    width: int = 3

    @property
    def part(self):
        return Loss.table[self.name]

    @property
    def settings(self):
        return self.part.settings(self.hyperparameters)

    @property
    def n_outputs(self):
        return self.part.n_outputs(self.width, self.hyperparameters)

    def __str__(self):
        return "-".join([self.name, *map(str, self.hyperparameters.values())])


TAUS = [0.1, 0.5, 0.9]
CASES = [
    *(
        Case(name, {"label_smoothing": s})
        for s in (0.0, 0.1)
        for name in ("log_loss", "binary_log_loss")
    ),
    *(Case(name, {"focal_gamma": g}) for g in (0, 0.5, 2) for name in ("focal", "binary_focal")),
    Case("brier", {}),
    Case("binary_brier", {}),
    Case("hinge", {}),
    Case("binary_hinge", {}),
    Case("squared_error", {}, width=1),  # test_network.py has several outputs
    Case("absolute_error", {}),
    Case("huber", {"huber_delta": 0.8}),
    Case("quantile", {"quantile": 0.3, "non_crossing": False}),
    Case("quantile", {"quantile": [0.9, 0.1, 0.5], "non_crossing": False}, width=2),
    Case("quantile", {"quantile": TAUS, "non_crossing": True}, width=2),
    Case("poisson", {}),
    Case("gamma", {}),
    Case("log_cosh", {}),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_loss_has_a_case():
    assert {case.name for case in CASES} == set(Loss.table) == set(naive.LOSSES)


def batch(case, n=40, seed=0):
    """Return scores, targets and weights."""
    rng = np.random.RandomState(seed)
    scores = rng.normal(scale=2.0, size=(n, case.n_outputs))
    y = {
        "codes": rng.randint(0, case.width, size=(n, 1)),
        "indicators": rng.randint(0, 2, size=(n, case.width)),
        "numbers": rng.normal(scale=2.0, size=(n, case.width)),
    }[case.part.targets].astype(float)
    if case.name == "poisson":
        y = rng.poisson(2.0, size=y.shape).astype(float)
    elif case.name == "gamma":
        y = np.exp(y)
    return scores, y, rng.gamma(2.0, size=n)


def run(case, scores, y, weights):
    """Return values and derivatives of the compiled loss, and predictions of the link."""
    settings = np.array(case.settings, scores.dtype)
    delta, values = np.full_like(scores, np.nan), np.full(len(scores), np.nan)
    linked = scores.copy()
    program = Program(scores.dtype)
    program.add(case.part.loss, scores, y, weights, settings, delta, values)
    program.add(case.part.link, linked, settings)
    run_program(program.finish().instructions, 2, scores)
    return values, delta, linked


@every_case
def test_gradient(case):
    """Derivatives agree with central differences of the values.

    With a step of 1e-5, the relative truncation error is of order 1e-10 and the relative rounding
    error of order 1e-15 / 1e-5 = 1e-10. No score of the batch is that close to a kink.
    """
    scores, y, weights = batch(case)
    _, delta, _ = run(case, scores, y, weights)
    numeric = np.empty_like(delta)
    for k in range(case.n_outputs):
        ends = []
        for step in (1e-5, -1e-5):
            moved = scores.copy()
            moved[:, k] += step
            ends.append(run(case, moved, y, weights)[0])
        numeric[:, k] = (ends[0] - ends[1]) / 2e-5
    assert np.linalg.norm(delta - numeric) < 1e-6 * np.linalg.norm(numeric)


@every_case
def test_values(case):
    """A few operations on numbers below 100 have less than a hundred rounding errors."""
    scores, y, weights = batch(case)
    expected = weights * naive.LOSSES[case.name](scores, y, *case.settings)
    assert_allclose(run(case, scores, y, weights)[0], expected, rtol=1e-13, atol=1e-13)


@every_case
def test_float32(case):
    """Values and derivatives in float32 agree with those in float64 to 50 rounding errors."""
    batch_32 = [a.astype(np.float32) for a in batch(case)]
    results = run(case, *batch_32)
    for ours, theirs in zip(results, run(case, *(a.astype(float) for a in batch_32)), strict=True):
        bound = 50 * np.finfo(np.float32).eps
        assert_allclose(ours, theirs, rtol=bound, atol=bound * np.abs(theirs).max())


def per_column(metric, **parameters):
    """Return the sum over columns of a metric of one target."""

    def total(y, p, weights):
        columns = zip(y.T, p.T, strict=True)
        return sum(metric(*c, sample_weight=weights, **parameters) for c in columns)

    return total


def log_loss_of_smoothed_labels(y, p, weights):
    """Repeat each sample with each class, weighted by the share of the class in the target."""
    n, n_classes = p.shape
    shares = 0.9 * np.eye(n_classes)[y[:, 0].astype(int)] + 0.1 / n_classes
    classes = np.tile(np.arange(n_classes), n)
    shares = (weights[:, None] * shares).ravel()
    return metrics.log_loss(classes, np.repeat(p, n_classes, axis=0), sample_weight=shares)


METRICS = {
    "log_loss-0.0": lambda y, p, w: metrics.log_loss(y[:, 0], p, sample_weight=w),
    "log_loss-0.1": log_loss_of_smoothed_labels,
    "binary_log_loss-0.0": per_column(metrics.log_loss),
    "focal-0": lambda y, p, w: metrics.log_loss(y[:, 0], p, sample_weight=w),
    "binary_focal-0": per_column(metrics.log_loss),
    "brier": lambda y, p, w: per_column(metrics.brier_score_loss)(
        np.eye(p.shape[1])[y[:, 0].astype(int)], p, w
    ),
    "binary_brier": per_column(metrics.brier_score_loss),
    "hinge": lambda y, p, w: metrics.hinge_loss(y[:, 0], p, sample_weight=w),
    "binary_hinge": per_column(metrics.hinge_loss),
    "squared_error": lambda y, p, w: metrics.mean_squared_error(y, p, sample_weight=w) / 2,
    "absolute_error": per_column(metrics.mean_absolute_error),
    "quantile-0.3-False": per_column(metrics.mean_pinball_loss, alpha=0.3),
    "quantile-[0.1, 0.5, 0.9]-True": lambda y, p, w: sum(
        per_column(metrics.mean_pinball_loss, alpha=tau)(y, p[:, k::3], w)
        for k, tau in enumerate(TAUS)
    ),
    "poisson": lambda y, p, w: per_column(metrics.mean_poisson_deviance)(y, p, w) / 2,
    "gamma": lambda y, p, w: per_column(metrics.mean_gamma_deviance)(y, p, w) / 2,
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    """The weighted mean of the values is scikit-learn's metric of the predictions."""
    case = next(case for case in CASES if str(case) == name)
    scores, y, weights = batch(case)
    values, _, linked = run(case, scores, y, weights)
    expected = METRICS[name](y, linked, weights)
    assert_allclose(values.sum() / weights.sum(), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_case
def test_extreme_scores(case, dtype):
    """Losses stay finite where the link saturates, and NaN affects its own row only."""
    top = 50.0 if case.part.out_activation == "exp" else 1000.0
    scores = np.array(list(itertools.product([top, 0.0, -top], repeat=case.n_outputs)), dtype)
    n = len(scores)
    wide = 1 if case.part.targets == "codes" else case.width
    y = np.full((n, wide), 1 if case.name == "gamma" else 0, dtype)
    weights = np.ones(n, dtype)
    with np.errstate(all="ignore"):
        for result in run(case, scores, y, weights):
            assert np.isfinite(result).all()
        for k in range(case.n_outputs):
            broken = scores.copy()
            broken[n // 2, k] = np.nan
            values, delta, linked = run(case, broken, y, weights)
            for result in (values, delta, linked):
                seen = np.isnan(result.reshape(n, -1)).any(axis=1)
                assert_array_equal(np.flatnonzero(seen), [n // 2])


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_where_nearly_certain(gamma):
    """For small q = 1 - p, the loss is q**(1 + gamma) and its derivative 1 + gamma times that.

    The relative error of this approximation is of order q = 1e-17.
    """
    for name, scores, n_others in (("focal", [[40.0, 0, 0]], 2), ("binary_focal", [[-40.0]], 1)):
        case = Case(name, {"focal_gamma": gamma})
        values, delta, _ = run(case, np.array(scores), np.zeros((1, 1)), np.ones(1))
        expected = (n_others * np.exp(-40.0)) ** (1 + gamma)
        slope = -delta[0, 0] if name == "focal" else delta[0, 0]
        assert_allclose([values[0], slope], [expected, (1 + gamma) * expected], rtol=1e-13)


def test_squared_error_of_several_outputs():
    """The value is the mean over outputs, the derivative that of their sum, as in scikit-learn."""
    case = Case("squared_error", {})
    scores, y, weights = batch(case)
    values, delta, _ = run(case, scores, y, weights)
    mean = [metrics.mean_squared_error(*columns) for columns in zip(y, scores, strict=True)]
    assert_allclose(values, weights * mean / 2, rtol=1e-13)
    assert_array_equal(delta, weights[:, None] * (scores - y))


def test_log_cosh_of_errors_above_1():
    """The formula for small errors would not do: 1 - tanh(e)**2 cancels.

    For e from 1.5 to 2, the sum and the difference have rounding errors of at most eps and eps / 2,
    the rounded logarithms of eps / 4 in all. The loss is at least 1.5 - log(2) = 0.8, and at least
    1.3 where the sum is above 2.
    """
    e = np.random.RandomState(0).uniform(1.5, 2, size=(1000, 1))
    zeros, ones = np.zeros_like(e), np.ones(len(e))
    values = run(Case("log_cosh", {}), e, zeros, ones)[0]
    with mp.workprec(100):
        expected = [exact.LOSSES["log_cosh"]([mpf(x)], [mpf(0)]) for x in e.ravel()]
        errors = [abs(value / x - 1) for value, x in zip(values.tolist(), expected, strict=True)]
    assert max(errors) < 2 * np.finfo(float).eps


@pytest.mark.parametrize(
    ("name", "scores", "y"),
    [
        ("hinge", [3.0, 2.0, 0.0], [0.0]),
        ("binary_hinge", [1.0, -1.0], [1.0, 0.0]),
        ("absolute_error", [2.0, 3.0], [2.0, 3.0]),
        ("quantile", [2.0, 3.0], [2.0, 3.0]),
    ],
)
def test_kinks(name, scores, y):
    """At a kink the derivative is 0."""
    case = Case(name, {"quantile": 0.3, "non_crossing": False})
    values, delta, _ = run(case, np.array([scores]), np.array([y]), np.ones(1))
    assert_array_equal(values, [0])
    assert_array_equal(delta, np.zeros((1, len(scores))))


@pytest.mark.parametrize("code", range(3))
def test_hinge_with_equal_scores(code):
    """The derivative belongs to the first of several classes with the greatest score."""
    scores = np.array(list(itertools.product([0.0, 1, 3], repeat=3)))
    n, others = len(scores), scores.copy()
    others[:, code] = -np.inf
    rivals = others.argmax(axis=1)  # the first of equal ones
    margins = np.maximum(0, 1 + others.max(axis=1) - scores[:, code])
    expected = (np.eye(3)[rivals] - np.eye(3)[code]) * (margins > 0)[:, None]
    y = np.full((n, 1), float(code))
    values, delta, _ = run(Case("hinge", {}), scores, y, np.full(n, 3.0))
    assert_array_equal(values, 3 * margins)
    assert_array_equal(delta, 3 * expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("log_loss", [[1000.0, 0, -1000]]),
        ("binary_log_loss", [[1000.0]]),
        ("binary_log_loss", [[-1000.0]]),
        ("binary_log_loss", [[np.inf]]),
        ("binary_log_loss", [[-np.inf]]),
    ],
)
def test_clipped_probabilities(name, scores, dtype):
    """Both ends are those of scikit-learn's metric: eps and 1 - eps of the dtype."""
    case, one = Case(name, {"label_smoothing": 0.0}), np.ones(1, dtype)
    for code in range(3 if name == "log_loss" else 2):
        y = np.full((1, 1), code, dtype)
        with np.errstate(over="ignore"):
            values, _, linked = run(case, np.array(scores, dtype), y, one)
        p = linked if name == "log_loss" else np.hstack([1 - linked, linked])
        expected = metrics.log_loss([code], p, labels=range(p.shape[1]))
        assert_allclose(values, [expected], rtol=2 * np.finfo(dtype).eps)


def test_quantiles_in_order():
    """The quantiles of a target are adjacent columns, and they increase if non-crossing."""
    case = Case("quantile", {"quantile": TAUS, "non_crossing": True}, width=2)
    scores, y, weights = batch(case)
    linked = run(case, scores, y, weights)[2].reshape(-1, 2, 3)
    assert_allclose(linked, naive.quantiles(scores, *case.settings), rtol=1e-13, atol=1e-13)
    assert (np.diff(linked, axis=2) > 0).all()


def test_names():
    """Links with the same name are equal, and losses of classes suit both kinds of targets."""
    links: dict[str, set] = {}
    for part in Loss.table.values():
        links.setdefault(part.out_activation, set()).add(part.link)
    assert all(len(same) == 1 for same in links.values())
    assert Loss.choices("codes") == Loss.choices("indicators")
    assert set(Loss.choices("codes")) == {"log_loss", "focal", "squared_error", "hinge"}
    assert len(Loss.choices("numbers")) == sum(p.targets == "numbers" for p in Loss.table.values())


def test_attributes():
    """The hinge losses have no probabilities, and two losses have no negative targets."""
    parts = Loss.table.values()
    without = {part.name for part in parts if not part.has_probabilities}
    assert without == {"hinge", "binary_hinge"}
    assert {part.name for part in parts if part.positive_targets} == {"poisson", "gamma"}


@every_case
def test_quantiles(case):
    """Only the quantile loss predicts quantiles, in the order of its parameter."""
    quantiles = case.part.quantiles(case.settings)
    if case.name != "quantile":
        assert quantiles == []
    else:
        assert quantiles == np.atleast_1d(case.hyperparameters["quantile"]).tolist()
        assert case.n_outputs == case.width * len(quantiles)


def test_a_loss_for_other_targets_is_refused():
    with pytest.raises(ValueError, match=r"loss='hinge' does not apply .*numbers.*'poisson'"):
        Loss.find("hinge", "numbers")


@pytest.mark.parametrize(
    ("quantile", "non_crossing", "message"),
    [
        (0.0, False, "must be a number between 0 and 1"),
        ([0.5, 1.0], False, "must be a number between 0 and 1"),
        ([0.5, np.nan], False, "must be a number between 0 and 1"),
        ([], False, "must be a number between 0 and 1"),
        ([[0.1, 0.5]], False, "must be a number between 0 and 1"),
        (["low"], False, "must be a number between 0 and 1"),
        ([[0.1], 0.5], False, "must be a number between 0 and 1"),
        ([0.5, 0.1], True, "must increase"),
        ([0.5, 0.5], True, "must increase"),
    ],
)
def test_wrong_quantiles(quantile, non_crossing, message):
    hyperparameters = {"quantile": quantile, "non_crossing": non_crossing}
    for function in (
        lambda: Loss.table["quantile"].settings(hyperparameters),
        lambda: Loss.table["quantile"].n_outputs(2, hyperparameters),
    ):
        with pytest.raises(ValueError, match=message):
            function()


@pytest.mark.parametrize(("loss", "y"), [("gamma", [1.0, 0.0, 2.0]), ("poisson", [1.0, -1.0, 2.0])])
def test_wrong_targets(loss, y):
    with pytest.raises(ValueError, match=rf"the least is .*{min(y):g}.*the loss '{loss}': all y >"):
        MLPRegressor(loss=loss).fit(np.eye(3), y)


@pytest.mark.parametrize(("loss", "least"), [("gamma", 5e-324), ("poisson", 0.0)])
def test_least_targets(loss, least):
    """All of the domain is accepted, down to its edge."""
    Loss.table[loss].check_targets(np.array([[1.0], [least], [1e300]]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("loss", "least", "advised"),
    [
        ("gamma", 0.0, {"poisson", "squared_error"}),
        ("gamma", -1.0, {"squared_error"}),
        ("poisson", -1.0, {"squared_error"}),
    ],
)
def test_losses_that_are_advised_take_the_targets(loss, least, advised):
    X, y = np.eye(3), np.array([1.0, least, 2.0])
    with pytest.raises(ValueError, match=r"StandardScaler\(with_mean=False\)") as caught:
        MLPRegressor(loss=loss, max_iter=1).fit(X, y)
    assert set(re.findall(r"loss='(\w+)'", str(caught.value))) == advised
    for other in advised:
        MLPRegressor(loss=other, max_iter=1).fit(X, y)


# Linear models. The objective is (sum_i w_i loss_i + alpha / 2 sum W**2) / sum_i w_i.

ALPHA = 200.0  # at least a fifth of the sum of weights, so that the minimum is well-conditioned
GRADIENT = 1e-7
# The distance to the minimum is at most the norm of the gradient divided by the curvature. For 256
# weights, this is sqrt(256) 1e-7 / 0.2 = 8e-6.
COEF_ATOL = 1e-5


def linear(estimator, X, y, weights=None, **parameters):
    """Return a linear model: a network without hidden layers, trained to its minimum."""
    model = estimator(
        hidden_layer_sizes=(), solver="lbfgs", tol=GRADIENT, warm_start=True, random_state=0,
        **parameters,
    )  # fmt: skip
    # L-BFGS stops when a step reduces the loss by less than 2e-9. It is restarted until it takes
    # no step at all.
    for _ in range(100):
        if model.fit(X, y, sample_weight=weights).n_iter_ == 0:
            return model
    raise AssertionError(f"L-BFGS found no minimum; the last loss was {model.loss_}")


@pytest.fixture(scope="module")
def numbers(diabetes):
    """Return the diabetes data with positive targets of order 1, and sample weights."""
    X, y = diabetes
    return X, y / 100, np.random.RandomState(0).gamma(2.0, size=len(y))


@pytest.mark.parametrize("n_class", [2, 4])
def test_logistic_regression(digits, n_class):
    X, y = digits[0][digits[1] < n_class][:300], digits[1][digits[1] < n_class][:300]
    weights = np.random.RandomState(0).gamma(2.0, size=len(y))
    ours = linear(MLPClassifier, X, y, weights, alpha=ALPHA)
    theirs = linear_model.LogisticRegression(C=1 / ALPHA, tol=1e-8, max_iter=5000)
    theirs.fit(X, y, sample_weight=weights)
    assert_allclose(ours.coefs_[0].T, theirs.coef_, atol=COEF_ATOL)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=COEF_ATOL)


REGRESSIONS = {
    "squared_error": lambda alpha, total: linear_model.Ridge(alpha, solver="cholesky"),
    "poisson": lambda alpha, total: linear_model.PoissonRegressor(
        alpha=alpha / total, tol=1e-10, max_iter=5000
    ),
    "gamma": lambda alpha, total: linear_model.GammaRegressor(
        alpha=alpha / total, tol=1e-10, max_iter=5000
    ),
}


@pytest.mark.parametrize("loss", REGRESSIONS)
def test_regression(numbers, loss):
    X, y, weights = numbers
    ours = linear(MLPRegressor, X, y, weights, loss=loss, alpha=ALPHA)
    theirs = REGRESSIONS[loss](ALPHA, weights.sum()).fit(X, y, sample_weight=weights)
    assert_allclose(ours.coefs_[0][:, 0], theirs.coef_, atol=COEF_ATOL)
    assert_allclose(ours.intercepts_[0], theirs.intercept_, atol=COEF_ATOL)


@pytest.mark.parametrize(
    ("loss", "hyperparameters"), [("huber", {"huber_delta": 0.3}), ("log_cosh", {})]
)
def test_robust_regression(numbers, loss, hyperparameters):
    """scipy minimises the same objective in NumPy, with numerical derivatives."""
    X, y, weights = numbers
    ours = linear(MLPRegressor, X, y, weights, loss=loss, alpha=ALPHA, **hyperparameters)
    settings = Loss.table[loss].settings(hyperparameters)

    def objective(params):
        W, b = params[:-1, None], params[-1:]
        arguments = (weights, "identity", loss, settings, ALPHA)
        return naive.objective([W], [b], X, y[:, None], *arguments)

    theirs = minimize(objective, np.zeros(X.shape[1] + 1), options={"gtol": 1e-7})
    assert_allclose(ours.coefs_[0][:, 0], theirs.x[:-1], atol=COEF_ATOL)
    assert_allclose(ours.intercepts_[0], theirs.x[-1:], atol=COEF_ATOL)
    assert_allclose(ours.loss_, theirs.fun, rtol=1e-9)


ADAM = {
    "solver": "adam", "learning_rate_init": 0.01, "max_iter": 1500, "n_iter_no_change": 1500,
    "batch_size": 442, "alpha": 0.0,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("parameters", "tau"),
    [
        ({"loss": "absolute_error"}, 0.5),
        ({"loss": "quantile", "quantile": 0.2}, 0.2),
    ],
    ids=["absolute_error", "quantile"],
)
def test_quantile_regression(numbers, parameters, tau):
    """Adam comes within 0.1 % of the minimum that a linear programme finds."""
    X, y, _ = numbers
    ours = MLPRegressor(hidden_layer_sizes=(), random_state=0, **ADAM, **parameters).fit(X, y)
    theirs = linear_model.QuantileRegressor(quantile=tau, alpha=0.0).fit(X, y)
    least = metrics.mean_pinball_loss(y, theirs.predict(X), alpha=tau)
    reached = metrics.mean_pinball_loss(y, ours.predict(X), alpha=tau)
    assert least * (1 - 1e-9) <= reached <= least * 1.001


def test_hinge_separates(digits):
    """If classes can be separated with margins of 1, the hinge loss becomes 0."""
    X, y = digits[0][digits[1] < 4], digits[1][digits[1] < 4]
    model = linear(MLPClassifier, X, y, loss="hinge", alpha=0.0)
    assert model.loss_ == 0
    assert metrics.hinge_loss(y, model.decision_function(X)) == 0


# Acceptance tests: the losses achieve their purpose.


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("non_crossing", [False, True])
def test_coverage(diabetes, non_crossing):
    """The share of test targets below each quantile is tau, within three standard deviations."""
    X, y = diabetes
    X_train, X_test, y_train, y_test = train_test_split(X, y / 100, test_size=0.4, random_state=0)
    model = MLPRegressor(
        loss="quantile", quantile=TAUS, non_crossing=non_crossing, hidden_layer_sizes=(10,),
        alpha=10.0, learning_rate_init=0.01, random_state=0,
    )  # fmt: skip
    predicted = model.fit(X_train, y_train).predict(X_test)
    assert predicted.shape == (len(y_test), 3)
    if non_crossing:
        assert (np.diff(predicted, axis=1) >= 0).all()
    covered = (y_test[:, None] <= predicted).mean(axis=0)
    taus = np.array(TAUS)
    sigma = np.sqrt(taus * (1 - taus) / len(y_test))
    assert (np.abs(covered - taus) <= 3 * sigma).all(), covered


def calibration_error(p, y, n_bins=15):
    """Return the expected calibration error: the mean gap between confidence and accuracy.

    Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
    networks. ICML, equation 3.
    """
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, confidence - correct, minlength=n_bins)
    return np.abs(gaps).sum() / len(y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("wrong", "smoothing", "helps"), [(0.2, 0.05, True), (0.0, 0.1, False)], ids=["wrong", "right"]
)
@pytest.mark.parametrize("seed", range(3))
def test_label_smoothing_and_calibration(digits, seed, wrong, smoothing, helps):
    """The docstring of LogLoss describes this for networks that reproduce their training data.

    With wrong labels, smoothing reduces overconfidence. With correct labels there is little
    overconfidence, and smoothing makes the network underconfident.
    """
    X, X_test, y, y_test = train_test_split(
        *digits, train_size=300, random_state=seed, stratify=digits[1]
    )
    rng = np.random.RandomState(seed)
    y = np.where(rng.rand(len(y)) < wrong, rng.randint(0, 10, size=len(y)), y)
    errors = []
    for s in (0.0, smoothing):
        model = MLPClassifier(
            alpha=0.0, learning_rate_init=0.01, max_iter=300, n_iter_no_change=300,
            label_smoothing=s, random_state=seed,
        )  # fmt: skip
        model.fit(X, y)
        assert model.score(X, y) > 0.99
        errors.append(calibration_error(model.predict_proba(X_test), y_test))
    assert (errors[1] < errors[0] / 1.5) if helps else (errors[1] > errors[0] * 1.5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_case
def test_a_row_does_not_depend_on_the_others(case, dtype):
    """Value, derivatives and prediction have the same bits in every batch, at every place of it."""
    arrays = [np.asarray(a, dtype) for a in batch(case)]
    together = run(case, *arrays)
    for n in (1, 2, 5, 16):
        for start in range(len(arrays[0]) - n + 1):
            rows = slice(start, start + n)
            for part, whole in zip(run(case, *(a[rows] for a in arrays)), together, strict=True):
                assert_array_equal(part, whole[rows])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["log_loss", "focal", "brier"])
@pytest.mark.parametrize("scores", [[np.inf, 0, 0], [0, np.inf, 0], [0, -np.inf, np.inf]])
def test_an_infinite_score_is_no_good_prediction(name, scores, dtype):
    """Softmax of it is infinity minus infinity. A finite loss would hide the divergence."""
    case = Case(name, {"label_smoothing": 0.0, "focal_gamma": 2.0})
    arrays = np.array([scores]), np.zeros((1, 1)), np.ones(1)
    values, delta, _ = run(case, *(a.astype(dtype) for a in arrays))
    assert np.isnan(values).all()
    assert np.isnan(delta).any()
