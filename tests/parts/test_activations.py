"""Compiled activations compared with plain formulas: values, derivatives, and extreme inputs."""

from __future__ import annotations

from functools import cache

import naive
import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from precision import STATED
from scipy.special import expit, ndtr

from sknet._engine.compilation import ELEMENTWISE_OPTIONS
from sknet._engine.program import Program, run_program
from sknet.activations import Activation

DTYPES = [np.float64, np.float32]

# In tests/naive.py, GELU is the paper's formula, which suffers from cancellation for negative z.
# (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)) does not.
TWICE_U = {"slope": 2 * np.sqrt(2 / np.pi), "cubic": 0.044715}


def twice_u(z):
    return TWICE_U["slope"] * (z + TWICE_U["cubic"] * z**3)


REFERENCES = {**naive.ACTIVATIONS, "gelu": lambda z: z * expit(twice_u(z))}


@cache
def compiled(name):
    """Return `forward` and `backward` of an activation, compiled as in the package."""
    part = Activation.table[name]
    return numba.njit(**ELEMENTWISE_OPTIONS)(part.forward), numba.njit(**ELEMENTWISE_OPTIONS)(
        part.backward
    )


def forward(name, z):
    a = z.copy()
    compiled(name)[0](a)
    assert a.dtype == z.dtype
    return a


def slope(name, z):
    """Return f'(z), which is the result of `backward` for a delta of ones."""
    delta = np.ones_like(z)
    part = Activation.table[name]
    compiled(name)[1](z if part.needs_input else z[:0], forward(name, z), delta)
    return delta


def numeric_slope(name, z, h):
    z = z.astype(np.float64)
    return (REFERENCES[name](z + h) - REFERENCES[name](z - h)) / (2 * h)


def inputs(dtype):
    """Return positive and negative numbers of all magnitudes, none of them at a kink."""
    rng = np.random.RandomState(0)
    sizes = rng.uniform(-3, 1, 20_000), rng.uniform(-8, -3, 2000)
    z = np.concatenate([10**size * rng.choice([-1, 1], size.size) for size in sizes])
    return z.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", Activation.table)
def test_values(name, dtype):
    z = inputs(dtype)
    exact = REFERENCES[name](z.astype(np.longdouble))
    bound, _ = STATED[name, "f"]
    if name == "gelu":
        bound = bound * (1 + np.abs(twice_u(z.astype(float))))
    eps = np.finfo(dtype).eps
    # exp flushes its smallest results to zero, and z may multiply it.
    least = (1 + np.abs(z)) * np.finfo(dtype).tiny
    error = np.abs(forward(name, z) - exact)
    assert np.all(error <= bound * eps * np.abs(exact) + least)


@pytest.mark.parametrize("name", Activation.table)
def test_slopes(name):
    """Derivatives agree with central differences to 1e-9.

    With a step of 1e-5 and third derivatives below 5, the truncation error is below
    5 / 6 * 1e-10. For values up to 10, the rounding error is about 10 * 1e-16 / 1e-5 = 1e-10.
    """
    z = inputs(np.float64)
    z = z[np.abs(z) > 1e-4]
    assert_allclose(slope(name, z), numeric_slope(name, z, 1e-5), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", Activation.table)
def test_float32_slopes(name):
    """Derivatives in float32 agree with those in float64.

    They have at most twelve rounding errors of eps / 2 each, in terms of order 1. Less than a
    third of the rounding errors of u in GELU affects its derivative.
    """
    z = inputs(np.float32)
    exact = slope(name, z.astype(np.float64))
    assert_allclose(slope(name, z), exact, rtol=0, atol=6 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("name", Activation.table)
def test_slope_at_zero(name):
    """It is the derivative from the left, also where the function has a kink.

    With a step of 1e-8 and second derivatives of at most 2, the truncation error is at most 1e-8.
    The rounding error of values below 1 is 2e-16 / 1e-8 = 2e-8.
    """
    z = np.zeros(1)
    expected = (REFERENCES[name](z) - REFERENCES[name](z - 1e-8)) / 1e-8
    assert_allclose(slope(name, z), expected, rtol=0, atol=4e-8)


@pytest.mark.parametrize("name", Activation.table)
def test_delta_is_multiplied(name):
    """The result for any delta is that for 1, times delta: exact for powers of 2."""
    z = inputs(np.float64)[:1000]
    delta = 2.0 ** np.random.RandomState(1).randint(-3, 4, size=z.size)
    expected = slope(name, z) * delta
    part = Activation.table[name]
    compiled(name)[1](z if part.needs_input else z[:0], forward(name, z), delta)
    assert_array_equal(delta, expected)


@pytest.mark.parametrize("name", Activation.table)
def test_inputs_are_needed_where_the_function_turns_back(name):
    """Else its derivative is a function of its value."""
    values = REFERENCES[name](np.linspace(-5, 5, 1001))
    assert Activation.table[name].needs_input == (np.diff(values) < 0).any()


def test_softplus_takes_all_terms_that_matter():
    """Its series converges most slowly at 0, where one term less makes an error of half of eps.

    The mean error is the remainder, which the docstring bounds by a tenth of eps, and the mean of
    rounding errors, which have either sign.
    """
    z = np.random.RandomState(0).uniform(-0.05, 0, size=10_000)
    exact = np.log1p(np.exp(z.astype(np.longdouble)))
    assert abs(np.mean((forward("softplus", z) - exact) / exact)) < 0.25 * np.finfo(float).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", Activation.table)
def test_large_inputs(name, dtype):
    """For large inputs nothing overflows: values and derivatives agree with the formula."""
    z = np.array([1e3, -1e3, 100, -100], dtype)
    eps = np.finfo(dtype).eps
    with np.errstate(all="ignore"):
        assert_allclose(forward(name, z), REFERENCES[name](z.astype(float)), 8 * eps, 1e-30)
        # Central differences with a step of 1 are exact where a function is linear. The
        # derivative of softsign is 1 / (1 + |z|)**2, and the error is of the order of its
        # square, 1e-8.
        assert_allclose(slope(name, z), numeric_slope(name, z, 1), 4 * eps, 2e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", Activation.table)
def test_infinities_and_nan(name, dtype):
    """At every position of a vector, infinities give the limit or NaN, and NaN gives NaN."""
    ends = np.array([np.inf, -np.inf, np.nan, 0], dtype)
    with np.errstate(all="ignore"):
        expected = REFERENCES[name](ends.astype(float))
        assert np.isnan(expected[2])
        for shift in range(16):
            z = np.concatenate([np.ones(shift, dtype), ends, np.ones(17, dtype)])
            actual = forward(name, z)
            # The bound of 8 eps is above all of STATED.
            rtol = 8 * np.finfo(dtype).eps
            assert_allclose(actual[shift : shift + 4], expected, rtol=rtol)
            assert np.isfinite(np.delete(actual, np.s_[shift : shift + 4])).all()


@pytest.mark.parametrize("name", Activation.table)
def test_nan_is_propagated_backwards(name):
    """NaN from a later layer stays NaN if the derivative of the activation is not 0."""
    z = np.ones(3)
    delta = np.array([1.0, np.nan, 1.0])
    part = Activation.table[name]
    compiled(name)[1](z if part.needs_input else z[:0], forward(name, z), delta)
    assert_array_equal(np.isnan(delta), [False, True, False])


def test_gelu_is_close_to_the_exact_function():
    """The docstring states the bound."""
    z = np.linspace(-10, 10, 20_001)
    gap = np.max(np.abs(forward("gelu", z) - z * ndtr(z)))
    assert 4e-4 < gap < 5e-4


def test_selu_keeps_mean_and_variance():
    """If z is standard normal, f(z) has mean 0 and variance 1.

    The integrals are Gaussian quadratures over both half-lines, on each of which f is smooth.
    """
    x, w = np.polynomial.legendre.leggauss(200)
    z = 10 * np.concatenate([x - 1, x + 1])
    weights = 10 * np.tile(w, 2) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    f = forward("selu", z)
    assert_allclose([weights @ f, weights @ f**2], [0, 1], atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", Activation.table)
def test_an_element_does_not_depend_on_its_place(name, dtype):
    """The bits are the same alone, in the vectorised body of a loop, and in its remainder."""
    part = Activation.table[name]
    rng = np.random.RandomState(0)
    z, deltas = (rng.normal(scale=3, size=101).astype(dtype) for _ in range(2))

    def run(z, delta):
        a, delta = z.copy(), delta.copy()
        program = Program(z.dtype)
        program.add(part.forward, a)
        program.add(part.backward, z if part.needs_input else z[:0], a, delta)
        run_program(program.finish().instructions, 2, a)
        return a, delta

    together = run(z, deltas)
    for n in (1, 2, 5, 16, 33):
        for start in range(z.size - n + 1):
            places = slice(start, start + n)
            for alone, whole in zip(run(z[places], deltas[places]), together, strict=True):
                assert_array_equal(alone, whole[places])
