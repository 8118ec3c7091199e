"""Schedules compared with scikit-learn, closed forms in plain Python, and PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

from sknet import MLPClassifier
from sknet.schedules import Schedule, WithWarmup, schedule_for

HYPERPARAMETERS = {
    "learning_rate_init": 0.05,
    "power_t": 0.4,
    "max_iter": 30,
    "warmup_fraction": 0.0,
    "decay_rate": 0.8,
    "decay_epochs": 4,
}
SCIKIT_LEARN = ["constant", "invscaling", "adaptive"]
WITH_WARMUP = [name for name, part in Schedule.table.items() if issubclass(part, WithWarmup)]


def factors(name, fractions, **hyperparameters):
    schedule = schedule_for(name, {**HYPERPARAMETERS, **hyperparameters})
    return schedule.factors(np.asarray(fractions, dtype=float))


@pytest.mark.parametrize("name", SCIKIT_LEARN)
def test_scikit_learn(name, capsys):
    """Learning rates and messages after epochs and plateaus agree until training stops."""
    schedule = schedule_for(name, HYPERPARAMETERS)
    rate, power_t = HYPERPARAMETERS["learning_rate_init"], HYPERPARAMETERS["power_t"]
    reference = SGDOptimizer([np.zeros(1)], rate, name, power_t=power_t)
    for epoch in range(1, 200):
        assert_array_equal(schedule.factors(np.arange(3) / 3 + epoch - 1), 1)
        rate = schedule.epoch_ends(rate, 100 * epoch)
        reference.iteration_ends(100 * epoch)
        assert_allclose(rate, reference.learning_rate, rtol=1e-14)
        if epoch % 3 == 0:
            rate, message = schedule.plateau(rate)
            stopped = reference.trigger_stopping("A plateau.", verbose=True)
            assert capsys.readouterr().out == f"A plateau. {message}\n"
            assert stopped == (rate is None)
            if stopped:
                break
    else:
        pytest.fail("the schedule never stopped")


@pytest.mark.parametrize("name", [name for name in Schedule.table if name not in SCIKIT_LEARN])
def test_the_others_depend_on_the_fraction_only(name):
    """They do not change the learning rate after epochs, and a plateau stops training."""
    schedule = schedule_for(name, HYPERPARAMETERS)
    assert schedule.epoch_ends(0.3, 1000) == 0.3
    assert schedule.plateau(0.3) == (None, "Stopping.")


def one_cycle(f):
    if f < 0.3:
        return 0.04 + 0.96 * math.sin(math.pi / 2 * f / 0.3) ** 2
    return 4e-6 + (1 - 4e-6) * math.cos(math.pi / 2 * (f - 0.3) / 0.7) ** 2


CLOSED_FORMS = {
    "constant": lambda f: 1.0,
    "invscaling": lambda f: 1.0,
    "adaptive": lambda f: 1.0,
    "cosine": lambda f: math.cos(math.pi / 2 * f) ** 2,
    "exponential": lambda f: math.exp(30 * f * math.log(0.8)),
    "step": lambda f: 0.8 ** math.floor(30 * f / 4),
    "one_cycle": one_cycle,
    "coslog": lambda f: math.sin(math.pi * math.log(1 + 15 * f) / math.log(2)) ** 2,
}
FRACTIONS = [0.0, 0.01, 0.13, 0.299, 0.3, 0.31, 0.5, 0.77, 0.9999]


def test_each_is_compared():
    assert set(CLOSED_FORMS) == set(Schedule.table)


@pytest.mark.parametrize("name", Schedule.table)
def test_closed_form(name):
    """The tolerance is 1e-13 of the largest factor, 1, since sines have arguments up to 4 pi."""
    expected = [CLOSED_FORMS[name](f) for f in FRACTIONS]
    assert_allclose(factors(name, FRACTIONS), expected, rtol=0, atol=1e-13)


def test_landmarks():
    """Values at the start, the turning points and the end."""
    end = 1 - 1e-9
    assert_allclose(factors("cosine", [0, 0.5, end]), [1, 0.5, 0], atol=1e-14)
    assert_allclose(factors("one_cycle", [0, 0.3, end]), [1 / 25, 1, 4e-6], rtol=1e-10)
    turns = [0, 1 / 15, 3 / 15, 7 / 15]
    assert_allclose(factors("coslog", turns), 0, atol=1e-14)
    tops = [(2 ** (k + 0.5) - 1) / 15 for k in range(4)]
    assert_allclose(factors("coslog", tops), 1, rtol=1e-14)


@pytest.mark.parametrize("name", WITH_WARMUP)
def test_warmup(name):
    """The factor increases linearly, has no jump, and then follows the schedule."""
    w = 0.2
    assert_allclose(factors(name, [0, 0.05, 0.1, 0.2], warmup_fraction=w), [0, 0.25, 0.5, 1])
    before, after = factors(name, [w - 1e-9, w + 1e-9], warmup_fraction=w)
    # The steepest slope is that of the exponential, 30 log(0.8) = -6.7.
    assert abs(after - before) < 2e-9 * 10
    later = np.linspace(w, 0.999, 7)
    since = (later - w) / (1 - w) if name == "cosine" else later - w
    expected = [CLOSED_FORMS[name](f) for f in since]
    assert_allclose(factors(name, later, warmup_fraction=w), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", [name for name in Schedule.table if name not in WITH_WARMUP])
def test_schedules_without_warmup_ignore_it(name):
    without, with_warmup = (factors(name, FRACTIONS, warmup_fraction=w) for w in (0.0, 0.3))
    assert_array_equal(with_warmup, without)
    assert without[0] < 0.05


unit = st.floats(0, 1, exclude_max=True)


@given(
    name=st.sampled_from(list(Schedule.table)),
    fraction=unit,
    warmup_fraction=unit,
    max_iter=st.integers(1, 10**4),
    decay_rate=st.floats(0, 1, exclude_min=True),
    decay_epochs=st.integers(1, 100),
)
def test_factors_are_between_0_and_1(name, fraction, **hyperparameters):
    (factor,) = factors(name, [fraction], **hyperparameters)
    assert 0 <= factor <= 1 + 1e-15


@given(
    max_iter=st.integers(1, 1000),
    n_steps=st.integers(1, 100),
    decay_epochs=st.integers(1, 20),
    data=st.data(),
)
def test_step_falls_at_the_first_step_of_an_epoch(max_iter, n_steps, decay_epochs, data):
    """This holds for every rounding of the fraction of the training."""
    epoch = data.draw(st.integers(0, max_iter - 1))
    fractions = (np.arange(n_steps) / n_steps + epoch) / max_iter
    found = factors("step", fractions, max_iter=max_iter, decay_epochs=decay_epochs, decay_rate=0.9)
    assert_allclose(found, 0.9 ** (epoch // decay_epochs), rtol=1e-12)


def test_one_cycle_of_pytorch():
    """PyTorch's phases end one step earlier, so steps are compared at equal phases."""
    torch = pytest.importorskip("torch", reason="PyTorch is large: the extra is bench")
    n = 100
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, n, cycle_momentum=False)
    rates = []
    for _ in range(n):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    top = 0.3 * n - 1
    steps = np.arange(n)
    up, down = 0.3 * steps / top, 0.3 + 0.7 * (steps - top) / (n - 1 - top)
    fractions = np.where(steps <= top, up, down)
    assert_allclose(factors("one_cycle", fractions), rates, rtol=1e-9)


@pytest.mark.parametrize("rate", [np.nextafter(1e-6, 0), 1e-6, np.nextafter(1e-6, 1)])
def test_adaptive_stops_at_the_rate_where_scikit_learn_does(rate):
    reference = SGDOptimizer([np.zeros(1)], rate, "adaptive")
    is_stopped = reference.trigger_stopping("", verbose=False)
    next_rate, _ = schedule_for("adaptive", HYPERPARAMETERS).plateau(rate)
    assert next_rate == (None if is_stopped else reference.learning_rate)


def test_a_schedule_by_epochs_alone_leaves_the_steps():
    """That is what a new schedule inherits."""
    assert_array_equal(Schedule().factors(np.array([0, 0.5])), [1, 1])
    assert not Schedule.has_end


def test_a_function_may_rest():
    """A factor of 0 is allowed: a step that updates the optimiser's slots alone."""
    assert_array_equal(factors(lambda fraction: fraction, [0, 0.5]), [0, 0.5])


def test_function():
    received = []

    def learning_rate(fraction):
        received.append(fraction)
        return np.float32(1) if fraction == 0 else 1 - fraction

    assert factors(learning_rate, [0, 0.25, 0.75]).tolist() == [1.0, 0.75, 0.25]
    assert received == [0.0, 0.25, 0.75]
    assert {type(fraction) for fraction in received} == {float}
    schedule = schedule_for(learning_rate, HYPERPARAMETERS)
    assert schedule.has_end
    assert schedule.epoch_ends(0.3, 1000) == 0.3
    assert schedule.plateau(0.3) == (None, "Stopping.")


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, None, "1", 1j, np.ones(1)], ids=repr)
def test_function_of_bad_value(value):
    with pytest.raises(ValueError, match=r"learning_rate .* At 0\.25 it returned ") as caught:
        factors(lambda fraction: value if fraction > 0 else 1.0, [0, 0.25])
    assert repr(value) in str(caught.value)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("power_t", [1000, 1000.0])
def test_invscaling_with_a_power_that_overflows(power_t):
    """The rate is 0 after the first epoch: 13**-1000 is below all numbers."""
    X, y = np.eye(12), np.arange(12) % 3
    common = {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 3, "random_state": 0}
    model = MLPClassifier(**common, power_t=power_t).fit(X, y)
    assert model.learning_rate_curve_ == [0.001, 0.0, 0.0]
