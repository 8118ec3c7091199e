"""The compiled exp, tanh and difference against NumPy's."""

from __future__ import annotations

from fractions import Fraction

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sknet._engine.compilation import OPTIONS, PYTHON_MODE
from sknet._engine.functions import (
    difference,
    exp,
    flat,
    fma,
    hash32,
    machine_epsilon,
    matrix,
    square_limit,
    tanh,
    vector,
)


@numba.njit(**OPTIONS)
def compiled_exp(a):
    for i in range(a.size):
        a[i] = exp(a[i])


@numba.njit(**OPTIONS)
def compiled_tanh(a):
    for i in range(a.size):
        a[i] = tanh(a[i])


@numba.njit(**OPTIONS)
def one_and_difference(x, y):
    return x.dtype.type(1) + difference(x[0], y[0])


@numba.njit(**OPTIONS)
def difference_less_one(x, y):
    return difference(x[0], y[0]) - x.dtype.type(1)


@numba.njit
def compiled_square_limit(a):
    return square_limit(a)


@numba.njit
def compiled_flat(a):
    return flat(a)


@numba.njit(**OPTIONS)
def compiled_fma(a):
    return fma(a[0], a[1], a[2])


@numba.njit
def compiled_machine_epsilon(a):
    return machine_epsilon(a)


@numba.njit
def compiled_hash32(a):
    for i in range(a.size):
        a[i] = hash32(a[i])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("compiled", "reference", "bound"),
    [(compiled_exp, np.exp, 1.5), (compiled_tanh, np.tanh, 2.5)],
)
def test_units_in_the_last_place(compiled, reference, bound, dtype):
    """The bounds are in units in the last place.

    The last operation of exp contributes half a unit, and the series less than
    one. tanh adds half a unit each for a sum and a division.
    """
    rng, info = np.random.RandomState(0), np.finfo(dtype)
    # From the smallest normal number to the largest one, less the rounding of both logarithms.
    ends = np.log([float(info.tiny), float(info.max)]) * (1 - 4 * info.eps)
    x = np.concatenate(
        [rng.uniform(*ends, 200_000), rng.uniform(-25, 25, 50_000), rng.normal(size=50_000) * 1e-3]
    ).astype(dtype)
    exact = reference(x.astype(np.longdouble))
    actual = x.copy()
    compiled(actual)
    unit = np.spacing(np.abs(exact).astype(dtype))
    assert np.max(np.abs(actual - exact) / unit) <= bound


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_special_values(dtype):
    """Infinities, overflow, underflow, zero and NaN, in every lane of a vector."""
    x = np.array([np.nan, np.inf, -np.inf, 0, 1e4, -1e4], dtype)
    for shift in range(8):
        a = np.concatenate([np.zeros(shift, dtype), x, np.zeros(9, dtype)])
        b = a.copy()
        compiled_exp(a)
        compiled_tanh(b)
        assert_array_equal(a[shift : shift + 6], [np.nan, np.inf, 0, 1, np.inf, 0])
        assert_array_equal(b[shift : shift + 6], [np.nan, 1, -1, 0, 1, -1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_fma(dtype):
    """Small integers are exact. The square of 1 + 2 eps has one bit too many, as a sum shows."""
    for function in (compiled_fma, lambda a: fma(*a)):
        assert function(np.array([2, 3, -4], dtype)) == 2
    x = dtype(1 + 2 * float(np.finfo(dtype).eps))
    exact = dtype(Fraction(float(x)) ** 2 - 1)
    rounded_twice = x * x - dtype(1)
    assert exact != rounded_twice
    expected = rounded_twice if PYTHON_MODE else exact
    assert compiled_fma(np.array([x, x, -1], dtype)) == expected


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_machine_epsilon(dtype):
    for function in (compiled_machine_epsilon, machine_epsilon):
        assert function(np.zeros(3, dtype)) == np.spacing(dtype(1))


def test_hash32_is_as_published():
    """The lowest 32 bits count. These are its steps in NumPy's unsigned integers of 32 bits."""
    numbers = np.concatenate([np.arange(50), 2**31 + np.arange(50), 2**33 + np.arange(50)])
    x = numbers.astype(np.uint32)
    for _ in range(2):
        x = ((x >> np.uint32(16)) ^ x) * np.uint32(0x45D9F3B)
    expected = (x >> np.uint32(16)) ^ x
    assert_array_equal([hash32(int(n)) for n in numbers], expected)
    compiled_hash32(numbers)
    assert_array_equal(numbers, expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_difference_comes_first(dtype):
    """1 + (x - y) and (x - y) - 1 are exact, and neither 1 + x nor y + 1 are."""
    x = np.array([2 / np.finfo(dtype).eps], dtype)
    y = x - 4
    assert one_and_difference(x, y) == 5
    assert difference_less_one(x, y) == 3


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_square_limit(dtype):
    """The square is finite, and that of twice the number is not."""
    limit = compiled_square_limit(np.empty(0, dtype))
    assert limit == square_limit(np.empty(0, dtype))
    with np.errstate(over="ignore"):
        assert np.isfinite(np.square(dtype(limit)))
        assert np.isinf(np.square(dtype(2 * limit)))


def test_flat_is_a_view():
    a = np.zeros((3, 4))
    assert np.shares_memory(compiled_flat(a), a)
    assert compiled_flat(a).shape == flat(a).shape == (12,)


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1), (0, 7), (5, 2), (7, 0)])
def test_plain_python_finds_views_that_end_elsewhere(start, length):
    """NumPy's slices would be cut off in silence."""
    with pytest.raises(IndexError, match=f"numbers {start} to {start + length} of a vector of 6"):
        vector(np.arange(6.0), start, length)
    with pytest.raises(IndexError):
        matrix(np.arange(6.0), start, length, 1)


def test_views_share_memory():
    a = np.arange(6.0)
    assert_array_equal(vector(a, 1, 0), [])
    assert_array_equal(vector(a, 0, 6), a)
    assert_array_equal(vector(a, 2, 3), [2, 3, 4])
    assert_array_equal(matrix(a, 2, 2, 2), [[2, 3], [4, 5]])
    for view in (vector(a, 2, 3), matrix(a, 2, 2, 2)):
        assert np.shares_memory(view, a)
