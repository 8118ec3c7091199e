"""A call that fails changes nothing, and malformed sparse data is refused, not read."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from factories import LBFGS_STOPS_EARLY, SMALL
from numpy.testing import assert_array_equal
from snapshots import assert_same_weights, assert_unchanged, snapshot
from versions import needs_callbacks

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

N = 60


class StopHereError(Exception):
    """What the user's own functions raise in these tests."""


class FailingScorer:
    """A scorer that works some times and then raises."""

    def __init__(self, n_good):
        self.n_good = n_good

    def __call__(self, model, X, y):
        self.n_good -= 1
        if self.n_good < 0:
            raise StopHereError
        return 0.5


class FailingCallback:
    """A callback that raises at the end of an epoch."""

    def __init__(self, n_good):
        self.n_good = n_good

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.n_good -= 1
        if self.n_good < 0:
            raise StopHereError

    def teardown(self, estimator, context):
        pass


def failing_rate(fraction):
    """Keep the rate for half of the training, and then raise."""
    if fraction >= 0.5:
        raise StopHereError
    return 1.0


def failing_initializer(fan_in, fan_out, random_state):
    """Draw weights of the hidden layer, and raise for the last one."""
    if fan_in == 8:
        raise StopHereError
    return random_state.normal(size=(fan_in, fan_out))


def bad_targets(model, X, y):
    y = y.astype(float)
    y[3] = np.nan
    return (X, y), {}


def short_targets(model, X, y):
    return (X, y[1:]), {}


def large_data(model, X, y):
    # Numbers as large as these overflow in the first epoch, whatever the solver.
    scale = np.finfo(X.dtype).max / 4
    model.set_params(learning_rate_init=1e10, activation="identity")
    return (scale * X, y), {}


def failing_scorer(model, X, y):
    n_good = 0 if model.max_iter == 1 else 2
    model.set_params(scoring=FailingScorer(n_good))
    return (X, y), {"X_val": X, "y_val": y}


def failing_callback(model, X, y):
    model.set_callbacks(FailingCallback(2))
    return (X, y), {}


def failing_schedule(model, X, y):
    model.set_params(learning_rate=failing_rate)
    return (X, y), {}


def failing_weight_init(model, X, y):
    model.set_params(weight_init=failing_initializer)
    return (X, y), {}


def early_stopping_without_rows(model, X, y):
    model.set_params(early_stopping=True, validation_fraction=0.001)
    return (X, y), {}


# What fails, and what is raised.
FAILURES = {
    "y with NaN": (bad_targets, ValueError),
    "y too short": (short_targets, ValueError),
    "divergence": (large_data, ValueError),
    "scorer": (failing_scorer, StopHereError),
    "callback": (failing_callback, StopHereError),
    "learning_rate": (failing_schedule, StopHereError),
    "weight_init": (failing_weight_init, StopHereError),
    "validation set": (early_stopping_without_rows, ValueError),
}
NOT_FOR = {
    "warm fit": {"weight_init"},  # no weights are drawn
    "partial_fit": {"weight_init", "callback", "validation set"},
    "first partial_fit": {"callback", "validation set"},
}
NOT_FOR_LBFGS = {"learning_rate"}


def cases(*calls):
    for call in calls:
        for name in FAILURES:
            for solver in ("adam", "sgd", "lbfgs"):
                if name in NOT_FOR.get(call, ()):
                    continue
                if solver == "lbfgs" and (name in NOT_FOR_LBFGS or "partial_fit" in call):
                    continue
                marks = [needs_callbacks] if name == "callback" else []
                yield pytest.param(call, name, solver, id=f"{call}, {name}, {solver}", marks=marks)


def data(estimator, digits, diabetes):
    X, y = digits if estimator is MLPClassifier else diabetes
    return X[:N].copy(), y[:N] % 3 if estimator is MLPClassifier else y[:N].copy()


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("call", "name", "solver"), [*cases("fit", "warm fit", "partial_fit")])
def test_a_failing_call_leaves_the_model(call, name, solver, dtype, estimator, digits, diabetes):
    """All attributes stay as they were, and so do all predictions, to the bit."""
    # Divergence failed before, and training that goes on, which wrote into the model's arrays.
    # The other cases guard against regressions.
    if (name, solver, dtype) == ("divergence", "lbfgs", np.float32):
        pytest.skip("L-BFGS works in float64, where the loss of such data is finite")
    X, y = data(estimator, digits, diabetes)
    X = X.astype(dtype)
    model = estimator(**SMALL, solver=solver, activation="identity").fit(X, y, X_val=X, y_val=y)
    if call == "partial_fit":
        model.set_params(max_iter=1).partial_fit(X, y, X_val=X, y_val=y)
    model.set_params(warm_start=call == "warm fit")
    make, error = FAILURES[name]
    arguments, validation = make(model, X, y)
    arrays = [*model.coefs_, *model.intercepts_]
    copies = [array.copy() for array in arrays]
    expected, before = model.predict(X), snapshot(model)
    train = model.partial_fit if call == "partial_fit" else model.fit
    with pytest.raises(error), np.errstate(all="ignore"):
        train(*arguments, **validation)
    # The arrays themselves may be in other hands.
    for array, copy in zip(arrays, copies, strict=True):
        assert_array_equal(array, copy)
    assert_unchanged(model, before)
    assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("call", "name", "solver"), [*cases("fit", "first partial_fit")])
def test_a_failing_first_call_leaves_a_new_estimator_new(
    call, name, solver, estimator, digits, diabetes
):
    # Only the cases of divergence failed before; the others guard against regressions.
    X, y = data(estimator, digits, diabetes)
    model = estimator(**SMALL, solver=solver, activation="identity")
    if call == "first partial_fit":
        model.set_params(max_iter=1)
    make, error = FAILURES[name]
    arguments, options = make(model, X, y)
    if call == "first partial_fit" and estimator is MLPClassifier:
        options = {**options, "classes": [0, 1, 2]}
    before = snapshot(model)
    train = model.fit if call == "fit" else model.partial_fit
    with pytest.raises(error), np.errstate(all="ignore"):
        train(*arguments, **options)
    assert_unchanged(model, before)


@pytest.mark.parametrize("call", ["fit", "warm fit", "partial_fit"])
def test_training_after_a_failing_call_is_that_without_it(call, digits):
    """Moments and counts of steps, which no attribute shows, are as before as well."""
    # A guard against regressions in all but divergence.
    X, y = digits[0][:N], digits[1][:N] % 3
    models = [MLPClassifier(**SMALL, activation="identity").fit(X, y) for _ in range(2)]
    for name in ("divergence", "scorer", "learning_rate", "y too short"):
        parameters = models[0].get_params()
        models[0].set_params(warm_start=call == "warm fit")
        make, error = FAILURES[name]
        arguments, validation = make(models[0], X, y)
        train = models[0].partial_fit if call == "partial_fit" else models[0].fit
        if call == "partial_fit" and name == "scorer":
            models[0].scoring.n_good = 0
        with pytest.raises(error), np.errstate(all="ignore"):
            train(*arguments, **validation)
        models[0].set_params(**parameters)
    for model in models:
        model.partial_fit(X, y)
    assert_same_weights(*models)
    assert models[0].loss_curve_ == models[1].loss_curve_
    assert models[0].t_ == models[1].t_


def test_predictions_of_large_numbers_do_not_warn(digits):
    """The sum of the data overflows float32, though each number and each score is finite."""
    X, y = digits[0][:N].astype(np.float32), digits[1][:N]
    model = MLPClassifier(**SMALL, activation="tanh").fit(X, y)
    # Powers of two change no digit, as long as no weight comes near the least exponent.
    scale = np.float32(2.0**119)
    signs = np.where(np.arange(64 * 8).reshape(64, 8) % 3 == 0, -0.75, 0.5).astype(np.float32)
    model.coefs_[0][:] = signs
    expected = model.predict_proba(X)
    model.coefs_[0][:] = signs / scale
    with np.errstate(over="ignore"):
        assert np.isfinite(scale * X).all()
        assert np.isinf((scale * X).sum())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = model.predict_proba(scale * X)
    assert_array_equal(result, expected)
