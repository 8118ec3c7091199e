"""Optimisers compared step by step with scikit-learn, the papers' algorithms, and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from sknet import MLPClassifier
from sknet._bias_correction import bias_correction
from sknet._engine.compilation import kernel
from sknet.optimizers import Optimizer

HYPERPARAMETERS = {
    "learning_rate_init": 0.05,
    "momentum": 0.8,
    "nesterovs_momentum": True,
    "beta_1": 0.9,
    "beta_2": 0.99,
    "epsilon": 1e-6,
}
WEIGHT_DECAY = 0.1
N_STEPS, PER_EPOCH, N_PARAMETERS = 15, 5, 31


def problem():
    """Return parameters, decreasing gradients, and learning rates that differ between steps.

    The first parameter has a gradient of zero, as the weights of an input have that is always zero.
    """
    rng = np.random.RandomState(0)
    grads = rng.normal(size=(N_STEPS, N_PARAMETERS)) * np.geomspace(1, 0.01, N_STEPS)[:, None]
    grads[:, 0] = 0
    return rng.normal(size=N_PARAMETERS), grads, rng.uniform(0.01, 0.1, size=N_STEPS)


def walk(name, params, grads, rates, hyperparameters=HYPERPARAMETERS):
    """Return the parameters after all steps, which are taken epoch by epoch as in training."""
    params = params.copy()
    optimizer = Optimizer.table[name].start(hyperparameters, params)
    slots = optimizer.slots.reshape(optimizer.n_slots, -1)
    for epoch in range(0, len(grads), PER_EPOCH):
        part = slice(epoch, epoch + PER_EPOCH)
        constants = optimizer.constants(rates[part])
        for grad, rate, row in zip(grads[part], rates[part], constants, strict=True):
            if optimizer.decoupled_weight_decay:
                params *= 1 - rate * WEIGHT_DECAY
            optimizer.step(params, grad, slots, row)
        optimizer.t += len(constants)
    return params


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_scikit_learn(name, nesterov):
    h = {**HYPERPARAMETERS, "nesterovs_momentum": nesterov}
    params, grads, _ = problem()
    theirs = params.copy()
    rate = h["learning_rate_init"]
    reference = {
        "adam": AdamOptimizer([theirs], rate, h["beta_1"], h["beta_2"], h["epsilon"]),
        "sgd": SGDOptimizer([theirs], rate, "constant", h["momentum"], nesterov),
    }[name]
    for grad in grads:
        reference.update_params([theirs], [grad])
    assert_allclose(walk(name, params, grads, np.full(N_STEPS, rate), h), theirs, rtol=1e-12)


# The papers' algorithms, line by line. Each method takes the parameters, the number t of the step
# from 1, the gradient g_t and the learning rate. It updates the state and returns the new
# parameters. Where sknet adds epsilon before the bias correction of v, epsilon is divided by that
# correction here.


class Reference:
    def __init__(self):
        self.m = self.v = self.greatest = 0.0

    def moments(self, g):
        b1, b2 = HYPERPARAMETERS["beta_1"], HYPERPARAMETERS["beta_2"]
        self.m = b1 * self.m + (1 - b1) * g
        self.v = b2 * self.v + (1 - b2) * g**2
        return b1, b2

    def adam(self, theta, t, g, rate):
        b1, b2 = self.moments(g)
        corrected = np.sqrt(1 - b2**t)
        m_hat, root = self.m / (1 - b1**t), np.sqrt(self.v) / corrected
        return theta - rate * m_hat / (root + HYPERPARAMETERS["epsilon"] / corrected)

    def adamw(self, theta, t, g, rate):
        return self.adam(theta, t, g, rate) - rate * WEIGHT_DECAY * theta

    def amsgrad(self, theta, t, g, rate):
        b1, b2 = self.moments(g)
        self.greatest = np.maximum(self.greatest, self.v)
        corrected = np.sqrt(1 - b2**t)
        m_hat, root = self.m / (1 - b1**t), np.sqrt(self.greatest) / corrected
        return theta - rate * m_hat / (root + HYPERPARAMETERS["epsilon"] / corrected)

    def nadam(self, theta, t, g, rate):
        b1, b2 = self.moments(g)
        mu = [b1 * (1 - 0.5 * 0.96 ** (i / 250)) for i in range(1, t + 2)]
        m_hat = mu[t] * self.m / (1 - np.prod(mu)) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:-1]))
        corrected = np.sqrt(1 - b2**t)
        root = np.sqrt(self.v) / corrected
        return theta - rate * m_hat / (root + HYPERPARAMETERS["epsilon"] / corrected)

    def rmsprop(self, theta, t, g, rate):
        self.moments(g)
        return theta - rate * g / (np.sqrt(self.v) + HYPERPARAMETERS["epsilon"])

    def lion(self, theta, t, g, rate):
        b1, b2 = HYPERPARAMETERS["beta_1"], HYPERPARAMETERS["beta_2"]
        c = b1 * self.m + (1 - b1) * g
        self.m = b2 * self.m + (1 - b2) * g
        return theta - rate * (np.sign(c) + WEIGHT_DECAY * theta)


PAPERS = ["adam", "adamw", "amsgrad", "nadam", "rmsprop", "lion"]


@pytest.mark.parametrize("name", PAPERS)
def test_papers(name):
    params, grads, rates = problem()
    theirs, reference = params, Reference()
    for t, (g, rate) in enumerate(zip(grads, rates, strict=True), 1):
        theirs = getattr(reference, name)(theirs, t, g, rate)
    assert_allclose(walk(name, params, grads, rates), theirs, rtol=1e-12)


def test_each_is_compared():
    assert set(Optimizer.table) == {"sgd", *PAPERS}


def test_optimisers_differ_on_these_gradients():
    """Otherwise the tests above would not notice, for example, a missing maximum in AMSGrad."""
    ends = [walk(name, *problem()) for name in Optimizer.table]
    for i, end in enumerate(ends):
        for other in ends[:i]:
            assert abs(end - other).max() > 1e-3


@pytest.mark.parametrize("name", ["adam", "adamw", "amsgrad", "nadam", "rmsprop"])
def test_pytorch(name, request):
    """epsilon is so small that it does not matter where it is added.

    PyTorch's NAdam computes the product of mu in the default dtype, which must be float64 here.
    """
    torch = pytest.importorskip("torch", reason="PyTorch is large: the extra is bench")
    request.addfinalizer(lambda: torch.set_default_dtype(torch.float32))
    torch.set_default_dtype(torch.float64)
    h = {**HYPERPARAMETERS, "epsilon": 1e-20}
    betas = {"betas": (h["beta_1"], h["beta_2"]), "eps": h["epsilon"]}
    params, grads, rates = problem()
    theirs = torch.nn.Parameter(torch.from_numpy(params.copy()))
    reference = {
        "adam": lambda: torch.optim.Adam([theirs], **betas),
        "adamw": lambda: torch.optim.AdamW([theirs], **betas, weight_decay=WEIGHT_DECAY),
        "amsgrad": lambda: torch.optim.Adam([theirs], **betas, amsgrad=True),
        "nadam": lambda: torch.optim.NAdam([theirs], **betas),
        "rmsprop": lambda: torch.optim.RMSprop([theirs], alpha=h["beta_2"], eps=h["epsilon"]),
    }[name]()
    for grad, rate in zip(grads, rates, strict=True):
        reference.param_groups[0]["lr"] = rate
        theirs.grad = torch.from_numpy(grad)
        reference.step()
    assert_allclose(walk(name, params, grads, rates, h), theirs.detach().numpy(), rtol=1e-12)


def documented_constants(name, t, rate):
    """Return the constants of step t as the docstrings say them; those of NAdam are below."""
    h = HYPERPARAMETERS
    b1, b2, mu = h["beta_1"], h["beta_2"], h["momentum"]
    adam = [b1, 1 - b1, b2, 1 - b2, rate * np.sqrt(1 - b2**t) / (1 - b1**t), h["epsilon"]]
    return {
        "sgd": [rate, mu, mu**2, rate * (1 + mu)],
        **dict.fromkeys(["adam", "adamw", "amsgrad"], adam),
        "rmsprop": [b2, 1 - b2, rate, h["epsilon"]],
        "lion": [b1, 1 - b1, b2, 1 - b2, rate],
    }[name]


@pytest.mark.parametrize("t", [0, 7])
@pytest.mark.parametrize("name", [name for name in Optimizer.table if name != "nadam"])
def test_all_constants_are_written(name, t, monkeypatch):
    """New memory may hold the right numbers of an earlier call: here it holds none."""
    optimizer = Optimizer.table[name].start(HYPERPARAMETERS, np.zeros(1))
    optimizer.t = t
    rates = np.array([0.05, 0.02])
    monkeypatch.setattr(np, "empty", lambda shape: np.full(shape, np.nan))
    table = optimizer.constants(rates)
    expected = [documented_constants(name, t + k, rate) for k, rate in enumerate(rates, 1)]
    # Powers and differences of numbers of order 1, up to a quotient by 1 - b1 = 0.1.
    assert_allclose(table, expected, rtol=1e-14)


@pytest.mark.parametrize("t", [0, 1, 300, 340, 350, 360, 400, 2000])
def test_nadam_far_along(t):
    """NAdam ignores the product of all mu only once it cannot change the result."""
    optimizer = Optimizer.table["nadam"].start(HYPERPARAMETERS, np.zeros(1))
    optimizer.t = t
    b1, b2 = HYPERPARAMETERS["beta_1"], HYPERPARAMETERS["beta_2"]
    mu = [b1 * (1 - 0.5 * 0.96 ** (i / 250)) for i in range(1, t + 5)]  # mu_i is mu[i - 1]
    for k, row in enumerate(optimizer.constants(np.full(3, 0.05)), t + 1):
        eta = 0.05 * np.sqrt(1 - b2**k)
        expected = [
            *[b1, 1 - b1, b2, 1 - b2],
            eta * mu[k] / (1 - np.prod(mu[: k + 1])),
            eta * (1 - mu[k - 1]) / (1 - np.prod(mu[:k])),
            HYPERPARAMETERS["epsilon"],
        ]
        assert_allclose(row, expected, rtol=1e-14)


@pytest.mark.parametrize("name", Optimizer.table)
def test_compiled_in_float32(name):
    """Compiled code in float32 agrees with plain Python in float64 to the precision of float32.

    A step has about ten rounding errors of 2**-24 = 6e-8, relative to the parameters, to the
    moments, or to the largest step, which are all of order 1.
    """
    rng = np.random.RandomState(0)
    optimizer = Optimizer.table[name].start(HYPERPARAMETERS, np.zeros(N_PARAMETERS))
    optimizer.t = 7
    n_slots = optimizer.n_slots
    slots = np.abs(rng.normal(size=(n_slots, N_PARAMETERS))).astype(np.float32)
    params, grad = rng.normal(size=(2, N_PARAMETERS)).astype(np.float32)
    constants = optimizer.constants(np.full(1, 0.05))[0].astype(np.float32)
    arguments = [params, grad, slots, constants]
    expected = [a.astype(np.float64) for a in arguments]
    optimizer.step(*expected)
    kernel(optimizer.step)(*arguments)
    for ours, reference in zip(arguments, expected, strict=True):
        assert ours.dtype == np.float32
        assert_allclose(ours, reference, rtol=1e-6, atol=1e-6)


# Velocity; first and second moment, and the greatest second moment.
N_SLOTS = {"sgd": 1, "adam": 2, "adamw": 2, "amsgrad": 3, "nadam": 2, "rmsprop": 1, "lion": 1}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", Optimizer.table)
def test_start(name, dtype):
    """An optimiser begins with its own hyperparameters, no steps, and zeros in all slots."""
    optimizer = Optimizer.table[name].start({**HYPERPARAMETERS, "other": 1}, np.ones(5, dtype))
    assert optimizer.learning_rate == optimizer.learning_rate_init == 0.05
    assert type(optimizer.learning_rate) is float
    assert optimizer.t == 0
    assert optimizer.slots.dtype == dtype
    assert_array_equal(optimizer.slots, np.zeros(5 * N_SLOTS[name]))
    assert not hasattr(optimizer, "other")
    assert "slots" not in repr(optimizer)


def begun():
    """Return an optimiser after some steps, whose schedule has lowered the learning rate."""
    optimizer = Optimizer.table["sgd"].start(HYPERPARAMETERS, np.zeros(3))
    optimizer.t, optimizer.learning_rate = 7, 0.02
    return optimizer


@pytest.mark.parametrize("t", [0, 7, 1000])
def test_rates_of_adam_are_those_of_scikit_learn(t):
    """To the bit, even where 1 - beta_1**t enlarges the rounding of the power a million times."""
    params, rates = np.zeros(3), np.full(100, 0.5)
    given = {"learning_rate_init": 0.5, "beta_1": 0.999999, "beta_2": 0.999}
    optimizer = Optimizer.table["adam"].start({**HYPERPARAMETERS, **given}, params)
    optimizer.t = t
    reference = AdamOptimizer([params], **given)
    reference.t = t
    expected = []
    for _ in rates:
        reference._get_updates([params])
        expected.append(reference.learning_rate)
    assert_array_equal(optimizer.constants(rates)[:, 4], expected)


@pytest.mark.parametrize(("t", "n_steps"), [(0, 1), (255, 1), (256, 1), (250, 20), (100, 700)])
@pytest.mark.parametrize("base", [0.0, 0.9, 0.999999])
def test_bias_corrections_are_those_of_plain_python(base, t, n_steps):
    """They are kept in blocks of 256 steps. An epoch may begin and end within any of them."""
    expected = [1 - base**step for step in range(t + 1, t + n_steps + 1)]
    for _ in range(2):  # computed, then kept
        assert_array_equal(bias_correction(base, t, n_steps), expected)


def test_equal_hyperparameters_leave_an_optimiser():
    optimizer = begun()
    assert optimizer.with_hyperparameters({**HYPERPARAMETERS, "beta_1": 0.1}) is optimizer
    assert optimizer.learning_rate == 0.02


@pytest.mark.parametrize(
    ("changed", "learning_rate"),
    [({"momentum": 0.1}, 0.02), ({"learning_rate_init": 0.4}, 0.4)],
    ids=["momentum", "learning rate"],
)
def test_other_hyperparameters_go_on_from_the_same_state(changed, learning_rate):
    """The learning rate begins anew only where another one is given."""
    optimizer = begun()
    other = optimizer.with_hyperparameters({**HYPERPARAMETERS, **changed})
    for name in ("learning_rate_init", "momentum", "nesterovs_momentum"):
        assert getattr(other, name) == {**HYPERPARAMETERS, **changed}[name]
        assert getattr(optimizer, name) == HYPERPARAMETERS[name]
    assert (other.t, other.learning_rate) == (7, learning_rate)
    assert type(other.learning_rate) is float
    assert optimizer.learning_rate == 0.02
    assert other.slots is optimizer.slots


def test_adam_alone_ignores_schedules():
    """As in scikit-learn. The variants of Adam, which scikit-learn does not have, ignore none."""
    ignored = {part.name: part.ignores_schedules for part in Optimizer.table.values()}
    assert ignored.pop("adam") == ("invscaling", "adaptive")
    assert set(ignored.values()) == {()}


@pytest.mark.parametrize(("dtype", "huge"), [(np.float32, 1e25), (np.float64, 1e200)])
@pytest.mark.parametrize("name", ["adam", "adamw", "amsgrad", "nadam", "rmsprop"])
def test_gradients_whose_squares_overflow(name, dtype, huge):
    """Steps do not depend on the size of gradients that have the same size at each step.

    The square of a huge one would be infinite, and the step zero. A parameter takes about ten
    rounding errors in each of the steps, of sizes below 1.
    """
    params, grads, rates = problem()
    params, grads, ends = params.astype(dtype), np.sign(grads), []
    for size in (huge, 1e10):
        optimizer = Optimizer.table[name].start(HYPERPARAMETERS, params)
        slots = optimizer.slots.reshape(optimizer.n_slots, -1)
        step, end = kernel(optimizer.step), params.copy()
        for grad, row in zip(grads, optimizer.constants(rates), strict=True):
            step(end, (size * grad).astype(dtype), slots, row.astype(dtype))
        ends.append(end)
    assert np.abs(ends[0] - params).max() > 0.01
    assert_allclose(*ends, rtol=0, atol=10 * N_STEPS * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", Optimizer.table)
def test_nan_stays_visible(name):
    params, grads, rates = problem()
    grads[3, 7] = np.nan
    end = walk(name, params, grads, rates)
    assert np.flatnonzero(np.isnan(end)).tolist() == [7]
    optimizer = Optimizer.table[name].start(HYPERPARAMETERS, params)
    slots = optimizer.slots.reshape(optimizer.n_slots, -1)
    kernel(optimizer.step)(params, grads[3], slots, optimizer.constants(rates[:1])[0])
    assert np.flatnonzero(np.isnan(params)).tolist() == [7]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")
def test_digits(digits):
    """After ten epochs, each has less than a quarter of the loss of SGD at the same learning rate.

    A sixth was measured.
    """
    losses = {
        solver: MLPClassifier(
            (50,), solver=solver, learning_rate_init=0.01, beta_2=0.99, max_iter=10, random_state=0
        )
        .fit(*digits)
        .loss_
        for solver in Optimizer.table
    }
    bound = losses.pop("sgd") / 4
    assert all(loss < bound for loss in losses.values()), (bound, losses)
