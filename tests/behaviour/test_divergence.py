"""Training that overflows ends at once, with an error that says what to do about it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from factories import LBFGS_STOPS_EARLY
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from snapshots import assert_same_weights, assert_unchanged, snapshot

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::RuntimeWarning", LBFGS_STOPS_EARLY
)

N = 60
MAX_ITER = 100
ESTIMATORS = [MLPClassifier, MLPRegressor]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])
COMMON = {"hidden_layer_sizes": (8,), "batch_size": 20, "random_state": 0}
# Steps so large overflow in one epoch or in a few.
WILD = {**COMMON, "activation": "identity", "solver": "sgd", "learning_rate_init": 1e10,
        "max_iter": MAX_ITER, "n_iter_no_change": np.inf}  # fmt: skip
TELLS_WHAT_TO_DO = r"(?s)(?=.*learning_rate_init)(?=.*([Ss]cal|preprocess))"


def data(estimator, digits, diabetes, dtype=np.float64):
    X, y = digits if estimator is MLPClassifier else diabetes
    y = y[:N] % 3 if estimator is MLPClassifier else y[:N]
    return (1000 * X[:N]).astype(dtype), y.copy()


class Epochs:
    """A schedule of a constant rate that counts the epochs whose rates it is asked for."""

    def __init__(self, max_iter=MAX_ITER):
        self.max_iter = max_iter
        self.seen = set()

    def __call__(self, fraction):
        self.seen.add(int(fraction * self.max_iter + 1e-9))
        return 1.0

    @property
    def count(self):
        return len(self.seen)


class Watcher:
    """A scorer that notes after each epoch whether the weights are finite, and copies them."""

    def __init__(self):
        self.is_finite, self.weights, self.scores = [], [], []

    def __call__(self, model, X, y, **options):
        arrays = [np.array(w) for w in (*model.coefs_, *model.intercepts_)]
        self.is_finite.append(all(np.isfinite(w).all() for w in arrays))
        self.weights.append(arrays)
        self.scores.append(len(self.scores) if self.is_finite[-1] else np.nan)
        return self.scores[-1]


class RunsAway:
    """A schedule that is constant for part of the training, and then much too high."""

    def __init__(self, until):
        self.until = until

    def __call__(self, fraction):
        return 1.0 if fraction < self.until else 1e200


# The error.


@every_estimator
@both_dtypes
@pytest.mark.parametrize("warm_start", [False, True])
def test_divergence_names_the_rate_and_scaling(warm_start, dtype, estimator, digits, diabetes):
    # A guard against regressions: there was such an error, if late.
    X, y = data(estimator, digits, diabetes, dtype)
    with pytest.raises(ValueError, match=TELLS_WHAT_TO_DO):
        estimator(**WILD, warm_start=warm_start).fit(X, y)


@every_estimator
@both_dtypes
def test_divergence_ends_in_its_epoch(dtype, estimator, digits, diabetes):
    X, y = data(estimator, digits, diabetes, dtype)
    epochs, watcher = Epochs(), Watcher()
    model = estimator(**WILD, learning_rate=epochs, scoring=watcher)
    with pytest.raises(ValueError, match=TELLS_WHAT_TO_DO):
        model.fit(X, y, X_val=X, y_val=y)
    # All epochs but the last one ended with finite weights.
    assert all(watcher.is_finite[:-1])
    assert epochs.count <= len(watcher.is_finite) + 1
    assert epochs.count < MAX_ITER


@every_estimator
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_divergence_without_a_scorer_ends_early(solver, estimator, digits, diabetes):
    """The rate is the usual one until it runs away, in the third epoch of a hundred."""
    X, y = data(estimator, digits, diabetes)
    epochs, runs_away = Epochs(), RunsAway(2 / MAX_ITER)
    parameters = {**WILD, "solver": solver, "learning_rate_init": 1e-7}

    def rate(fraction):
        return epochs(fraction) * runs_away(fraction)

    with pytest.raises(ValueError, match=TELLS_WHAT_TO_DO):
        estimator(**parameters, learning_rate=rate).fit(X / 1000, y)
    # A factor of 1e200 in each step overflows in its second step.
    assert epochs.count <= 4


def test_an_infinite_loss_ends_training_even_if_weights_are_finite(diabetes):
    """The sum of absolute errors overflows, while its derivatives are signs."""
    X, y = diabetes[0][:N], np.full(N, 1e307)
    epochs = Epochs()
    model = MLPRegressor("absolute_error", **COMMON, max_iter=MAX_ITER, learning_rate=epochs)
    with pytest.raises(ValueError, match=TELLS_WHAT_TO_DO):
        model.fit(X, y)
    assert epochs.count == 1


@every_estimator
@both_dtypes
@pytest.mark.parametrize("how", ["held out", "X_val"])
@pytest.mark.parametrize("option", ["early_stopping", "restore_best"])
def test_divergence_in_the_first_epoch_with_best_weights(
    option, how, dtype, estimator, digits, diabetes
):
    """No epoch has weights to keep, and those drawn at random are no model."""
    X, y = data(estimator, digits, diabetes, dtype)
    X = np.repeat(X, 20, axis=0)
    y = np.repeat(y, 20)
    epochs = Epochs()
    model = estimator(**{**WILD, "batch_size": 2}, **{option: True}, learning_rate=epochs)
    validation = {"X_val": X, "y_val": y} if how == "X_val" else {}
    before = snapshot(model)
    with pytest.raises(ValueError, match=TELLS_WHAT_TO_DO):
        model.fit(X, y, **validation)
    assert epochs.count == 1
    assert_unchanged(model, before)


@every_estimator
@both_dtypes
def test_divergence_in_partial_fit(dtype, estimator, digits, diabetes):
    X, y = data(estimator, digits, diabetes, dtype)
    classes = {"classes": [0, 1, 2]} if estimator is MLPClassifier else {}
    model = estimator(**{**WILD, "learning_rate_init": 1e-9})
    model.partial_fit(X, y, **classes).partial_fit(X, y)
    expected, before = model.predict(X), snapshot(model)
    model.set_params(learning_rate=lambda fraction: 1e30, batch_size=2)
    wild = snapshot(model)
    with pytest.raises(ValueError, match=TELLS_WHAT_TO_DO):
        model.partial_fit(X, y)
    assert_unchanged(model, wild)
    model.set_params(learning_rate="constant", batch_size=20)
    assert_unchanged(model, before)
    assert_array_equal(model.predict(X), expected)
    model.partial_fit(X, y)


@pytest.mark.parametrize("loss", ["poisson", "gamma", "squared_error"])
@pytest.mark.parametrize("option", [{}, {"restore_best": True}, {"early_stopping": True}], ids=str)
def test_divergence_with_lbfgs(option, loss, diabetes):
    """The exponential of a large score overflows in the first evaluation of the loss."""
    X, y = diabetes[0][:N] * (1e200 if loss == "squared_error" else 1e5), diabetes[1][:N]
    model = MLPRegressor(loss, (8,), "identity", solver="lbfgs", random_state=0, **option)
    before = snapshot(model)
    with pytest.raises(ValueError, match=r"[Ss]cal|preprocess"):
        model.fit(X, y)
    assert_unchanged(model, before)


@pytest.mark.parametrize("option", [{}, {"early_stopping": True}], ids=str)
def test_divergence_of_lbfgs_leaves_the_model(option, diabetes):
    X, y = diabetes[0][:N], diabetes[1][:N]
    model = MLPRegressor("poisson", (8,), "identity", solver="lbfgs", random_state=0, max_iter=5)
    model.fit(X, y).set_params(**option)
    expected, before = model.predict(X), snapshot(model)
    with pytest.raises(ValueError, match=r"[Ss]cal|preprocess"):
        model.fit(1e5 * X, y)
    assert_unchanged(model, before)
    assert_array_equal(model.predict(X), expected)


# Best weights of the same call are kept.


def names_the_rate(caught):
    return [w for w in caught if "learning_rate_init" in str(w.message)]


@every_estimator
@both_dtypes
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("option", ["early_stopping", "restore_best"])
def test_divergence_keeps_the_best_weights_by_score(
    option, solver, dtype, estimator, digits, diabetes
):
    X, y = data(estimator, digits, diabetes, dtype)
    X = X / 1000
    watcher = Watcher()
    model = estimator(
        **{**WILD, "solver": solver, "learning_rate_init": 1e-5, "max_iter": 10},
        learning_rate=RunsAway(0.5),
        scoring=watcher,
        **{option: True},
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert model.fit(X, y, X_val=X, y_val=y) is model
    told = names_the_rate(caught)
    assert len(told) == 1
    assert issubclass(told[0].category, UserWarning)
    best = watcher.weights[int(np.nanargmax(watcher.scores))]
    assert all(np.isfinite(w).all() for w in best)
    for kept, expected in zip((*model.coefs_, *model.intercepts_), best, strict=True):
        assert_array_equal(kept, expected)
    assert 5 <= model.n_iter_ < 10
    assert model.n_iter_ == len(model.loss_curve_)
    assert np.isfinite(model.predict(X)).all()
    assert model.best_validation_score_ == np.nanmax(watcher.scores)


@every_estimator
@both_dtypes
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_divergence_keeps_the_best_weights_by_training_loss(
    solver, dtype, estimator, digits, diabetes
):
    X, y = data(estimator, digits, diabetes, dtype)
    X = X / 1000
    parameters = {**WILD, "solver": solver, "learning_rate_init": 1e-5, "restore_best": True}
    model = estimator(**{**parameters, "max_iter": 10}, learning_rate=RunsAway(0.5))
    with pytest.warns(UserWarning, match="learning_rate_init"):
        model.fit(X, y)
    # The loss falls in each of the five epochs of small steps.
    tame = estimator(**{**parameters, "max_iter": 5}).fit(X, y)
    assert tame.best_loss_ == tame.loss_
    assert_same_weights(model, tame)
    assert model.best_loss_ == tame.best_loss_


@pytest.mark.parametrize("option", ["early_stopping", "restore_best"])
def test_best_weights_of_an_earlier_call_do_not_save_a_diverging_one(option, digits):
    """A warm start that diverges in its first epoch is an error, and leaves the model."""
    X, y = digits[0][:N], digits[1][:N] % 3
    model = MLPClassifier(**{**WILD, "learning_rate_init": 1e-3, "max_iter": 5})
    model.set_params(warm_start=True, **{option: True}).fit(X, y, X_val=X, y_val=y)
    model.set_params(learning_rate=lambda fraction: 1e200)
    expected, before = model.predict_proba(X), snapshot(model)
    with pytest.raises(ValueError, match=TELLS_WHAT_TO_DO):
        model.fit(X, y, X_val=X, y_val=y)
    assert_unchanged(model, before)
    assert_array_equal(model.predict_proba(X), expected)


# Numbers that float32 cannot hold.


def float32_error(*names):
    """Return a pattern of an error that names all of these and float32, and not the rate."""
    ahead = "".join(rf"(?=.*{name})" for name in (*names, "float32"))
    return rf"(?s)^(?!.*learning_rate_init){ahead}"


@every_estimator
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(
    "weight",
    [
        pytest.param(1e-46, id="1e-46, which is 0"),
        pytest.param(1e-42, id="1e-42, which has few digits"),
        pytest.param(1e-36, id="1e-36, whose derivatives have few digits"),
        pytest.param(1e34, id="1e34, whose sum is almost infinite"),
        pytest.param(1e38, id="1e38, whose sum is infinite"),
        pytest.param(1e39, id="1e39, which is infinite"),
    ],
)
def test_sample_weights_beyond_float32(weight, solver, call, estimator, digits, diabetes):
    # With 1e39 a guard against regressions: scikit-learn's own check refuses it.
    X, y = data(estimator, digits, diabetes, np.float32)
    X /= 1000
    if (call, solver) == ("partial_fit", "lbfgs"):
        pytest.skip("not for partial_fit")
    model = estimator(**COMMON, solver=solver, max_iter=3)
    options = {"classes": [0, 1, 2]} if (call, estimator) == ("partial_fit", MLPClassifier) else {}
    before = snapshot(model)
    with pytest.raises(ValueError, match=float32_error("sample_weight")):
        getattr(model, call)(X, y, np.full(N, weight), **options)
    assert_unchanged(model, before)


@every_estimator
def test_sample_weights_that_vanish_beside_others(estimator, digits, diabetes):
    # A guard against regressions: a weight of almost 0 beside others is no error.
    X, y = data(estimator, digits, diabetes, np.float32)
    weights = np.where(np.arange(N) % 4 == 0, 1e-46, 1.0)
    weights[1::4] = 1e-36
    models = [estimator(**COMMON, max_iter=3) for _ in range(2)]
    models[0].fit(X / 1000, y, weights)
    models[1].fit(X / 1000, y, np.round(weights))
    assert_same_weights(*models)


@every_estimator
@pytest.mark.parametrize("weight", [1e-46, 1e-42, 1e38])
def test_the_same_sample_weights_in_float64(weight, estimator, digits, diabetes):
    # A guard against regressions: float64 holds them, and equal weights have no effect.
    X, y = data(estimator, digits, diabetes)
    models = [estimator(**COMMON, alpha=0, max_iter=3) for _ in range(2)]
    models[0].fit(X / 1000, y, np.full(N, weight))
    models[1].fit(X / 1000, y)
    # Adam's epsilon of 1e-8 is on the scale of gradients, which are means.
    for a, b in zip(models[0].coefs_, models[1].coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weight", [1e-39, 1e-36, 1e34, 1e39])
def test_class_weights_beyond_float32(weight, digits):
    X, y = data(MLPClassifier, digits, None, np.float32)
    model = MLPClassifier(**COMMON, class_weight={0: weight, 1: weight, 2: weight})
    before = snapshot(model)
    with pytest.raises(ValueError, match=float32_error("class_weight")):
        model.fit(X / 1000, y)
    assert_unchanged(model, before)


@pytest.mark.parametrize("options", [{}, {"gradient_clip_norm": 1.0}], ids=str)
@pytest.mark.parametrize(
    "loss", [{"loss": "squared_error"}, {"loss": "huber", "huber_delta": 1e30}], ids=str
)
@pytest.mark.parametrize("solver", ["adam", "amsgrad", "nadam", "rmsprop"])
def test_squares_beyond_float32(solver, loss, options, diabetes):
    """Where targets are 1e25, training is that in float64: it neither diverges nor stands still."""
    X, y = diabetes[0][:N], 1e23 * diabetes[1][:N]
    parameters = {**COMMON, **options, **loss, "solver": solver, "max_iter": 3}
    start = MLPRegressor(**{**parameters, "learning_rate_init": 1e-30}).fit(X, y)
    exact, ours = (
        MLPRegressor(**parameters).fit(X.astype(dtype), y) for dtype in (np.float64, np.float32)
    )
    np.testing.assert_allclose(ours.loss_, exact.loss_, rtol=1e-5)
    # A gradient of more than 1e19 counts as 1e19, so steps are not those of float64 to the digit.
    steps = [model.intercepts_[1] - start.intercepts_[1] for model in (exact, ours)]
    np.testing.assert_allclose(steps[1], steps[0], rtol=0.5)


def test_scores_beyond_float32(diabetes):
    """The scores are those in float64: beside such targets all predictions are about 0."""
    X, y = diabetes[0][:N], 1e23 * diabetes[1][:N]
    scores = []
    for dtype in (np.float64, np.float32):
        model = MLPRegressor(**COMMON, early_stopping=True, max_iter=3)
        model.fit(X.astype(dtype), y.astype(dtype))
        scores.append([*model.validation_scores_, model.score(X.astype(dtype), y.astype(dtype))])
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-5)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("form", ["one", "all", "negative", "two columns"])
def test_targets_beyond_float32(form, solver, call, diabetes):
    if (call, solver) == ("partial_fit", "lbfgs"):
        pytest.skip("not for partial_fit")
    X, y = diabetes[0][:N].astype(np.float32), diabetes[1][:N].copy()
    if form == "all":
        y[:] = 1e39
    else:
        y[3] = -1e39 if form == "negative" else 1e39
    if form == "two columns":
        y = np.column_stack([diabetes[1][:N], y])
    model = MLPRegressor(**COMMON, solver=solver, max_iter=3)
    before = snapshot(model)
    with pytest.raises(ValueError, match=float32_error(r"\by\b")):
        getattr(model, call)(X, y)
    assert_unchanged(model, before)


def test_validation_targets_beyond_float32(diabetes):
    X, y = diabetes[0][:N].astype(np.float32), diabetes[1][:N]
    model = MLPRegressor(**COMMON, max_iter=3)
    with pytest.raises(ValueError, match=float32_error(r"\by(_val)?\b")):
        model.fit(X, y, X_val=X, y_val=np.full(N, 1e39))


def test_targets_beyond_float32_in_a_model_of_float32(diabetes):
    """A model of float32 goes on in float32, also where X is given in float64."""
    X, y = diabetes[0][:N], diabetes[1][:N]
    model = MLPRegressor(**COMMON, max_iter=3, warm_start=True).fit(X.astype(np.float32), y)
    before = snapshot(model)
    for train in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=float32_error(r"\by\b")):
            train(X, np.full(N, 1e39))
    assert_unchanged(model, before)


def test_no_warning_of_divergence_where_there_is_none(digits):
    # A guard against regressions.
    X, y = digits[0][:N], digits[1][:N] % 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        for option in ({}, {"restore_best": True}, {"early_stopping": True}):
            MLPClassifier(**COMMON, **option, max_iter=3).fit(X, y)
