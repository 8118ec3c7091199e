"""Each function of `kernels` in a program of its own, against plain NumPy.

In the comments on tolerances, u is half of the machine epsilon. It is the largest relative error of
one operation, and of a conversion to the dtype. Errors of several operations are added up. Products
of errors are far smaller and are left out.
"""

from __future__ import annotations

import inspect
import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from numba import types
from numpy.testing import assert_array_equal

from sknet._engine import kernels
from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.kernels import (
    N_COUNTERS,
    N_SCALARS,
    NO_STEP,
    ROW,
    STEP,
    add,
    add_l1_subgradient,
    add_noise,
    apply_dropout,
    average,
    clear,
    clipped_step,
    copy,
    csr_affine,
    csr_weight_gradient,
    decay,
    gather,
    locate,
    project_to_orthant,
    squared_norms,
    total,
    update,
)
from sknet._engine.memory import PARAM_BLOCK, as_kernel_input
from sknet._engine.program import Program, function_address, run_program
from sknet._engine.roles import ROLES

SIZES = [0, 1, PARAM_BLOCK - 1, PARAM_BLOCK, PARAM_BLOCK + 1, 2 * PARAM_BLOCK + 7]
# Where the weights end: nowhere, inside of the first block, at its end, inside of the second block,
# and beyond the parameters of a thread that has only a part of the weights.
ENDS_OF_WEIGHTS = [0, 5, PARAM_BLOCK, PARAM_BLOCK + 3, 10 * PARAM_BLOCK]

both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])
# Of parameters, and of the data.
dtypes_of_data = pytest.mark.parametrize(
    ("dtype", "data_dtype"),
    [(np.float64, np.float64), (np.float32, np.float32), (np.float64, np.float32)],
)
all_sizes = pytest.mark.parametrize("size", SIZES)
all_ends_of_weights = pytest.mark.parametrize("n_weights", ENDS_OF_WEIGHTS)


def test_every_function_is_run_here():
    functions = {
        name
        for name, value in vars(kernels).items()
        if inspect.isfunction(value) and value.__module__ == kernels.__name__
    }
    assert "update" in functions
    assert functions <= set(ROLES)
    assert functions <= set(globals())


def call(function, dtype, **arguments):
    """Run a function on copies of its arguments, and return these and what it returns.

    Inputs are read-only, and memory around every array must stay as it is.
    """
    role = ROLES[function.__name__]
    memories, arrays = {}, {}
    for name, spec in role.arguments.items():
        values = np.asarray(arguments[name])
        # There is no memory between the rows of an array that must be contiguous as a whole.
        margins = [1] + [0 if spec.layout == "C" else 1] * (values.ndim - 1)
        outside = -7 if values.dtype.kind == "i" else np.nan
        memory = np.pad(values, [(m, m) for m in margins], constant_values=outside)
        inside = tuple(slice(m, m + n) for m, n in zip(margins, values.shape, strict=True))
        memories[name] = memory, memory.copy(), inside
        arrays[name] = memory[inside]
        arrays[name].flags.writeable = not spec.readonly
    result = None if role.returns == types.void else np.full(1, np.nan)

    program = Program(np.dtype(dtype))
    program.add(function, *arrays.values(), result=result)
    run_program(program.finish().instructions, 1, np.empty(0, dtype))

    for name, (memory, before, inside) in memories.items():
        after = memory.copy()
        if not role.arguments[name].readonly:
            after[inside] = before[inside]
        assert_array_equal(after, before, err_msg=name)
    return SimpleNamespace(**arrays, result=result)


def normal(size, dtype, seed=0):
    return np.random.RandomState(seed).normal(size=size).astype(dtype)


def wide(a):
    """Return an array in the precision in which expected values are computed."""
    return np.asarray(a, np.longdouble)


def assert_close(actual, expected, magnitude, n_epsilons, dtype):
    """Compare with a bound of so many machine epsilons of a magnitude, element by element."""
    bound = n_epsilons * np.finfo(dtype).eps * np.abs(wide(magnitude))
    assert (np.abs(wide(actual) - expected) <= bound).all()


def blocks(values):
    """Return the blocks of a vector of parameters."""
    return [values[start : start + PARAM_BLOCK] for start in range(0, len(values), PARAM_BLOCK)]


def scalars(**values):
    """Return `scalars` in which all but the given ones are NaN, so that no other one is read."""
    array = np.full(N_SCALARS, np.nan)
    for name, value in values.items():
        array[getattr(kernels, name)] = value
    return array


def parameter_settings(n_slots=0, n_weights=0, step=NO_STEP):
    return np.array([n_slots, n_weights, step], np.int64)


# Copies and sums.


@dtypes_of_data
@pytest.mark.parametrize("width", [1, 7, 64])
@pytest.mark.parametrize("n", [0, 1, 5, 100])
def test_gather(n, width, dtype, data_dtype):
    """Rows are copied in any order and any number of times, and float32 may become float64."""
    source = normal((20, width), data_dtype)
    index = np.random.RandomState(1).randint(0, 20, size=n)
    out = np.full((n, width), np.nan, dtype)
    assert_array_equal(call(gather, dtype, source=source, index=index, out=out).out, source[index])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_locate(n):
    """The addresses are those of NumPy's views of the rows."""
    data = np.zeros((20, 12))[:, 2:9]
    index = np.random.RandomState(1).randint(0, 20, size=n)
    start = data.__array_interface__["data"][0]
    settings = np.array([start, data.strides[0], data[0].nbytes], np.int64)
    later = np.full(n + 1, -1, np.int64)
    found = call(locate, np.float64, index=index, settings=settings, later=later).later
    assert found[0] == 7 * 8
    assert found[1:].tolist() == [data[i].__array_interface__["data"][0] for i in index]


@both_dtypes
@all_sizes
def test_clear(size, dtype):
    """What was not finite is overwritten too."""
    values = normal(size, dtype)
    values[::3] = np.nan
    assert_array_equal(call(clear, dtype, out=values).out, np.zeros(size, dtype))


@both_dtypes
@all_sizes
def test_copy(size, dtype):
    source, out = normal(size, dtype), np.full(size, np.nan, dtype)
    assert_array_equal(call(copy, dtype, source=source, out=out).out, source)


@both_dtypes
@all_sizes
def test_add(size, dtype):
    """There is one operation for each number, so it is NumPy's to the bit."""
    a, b = normal(size, dtype), normal(size, dtype, seed=1)
    assert_array_equal(call(add, dtype, partial_grad=a, out=b).out, a + b)


@both_dtypes
@all_sizes
def test_total(size, dtype):
    """Sums are float64 for parameters of any dtype. In any order, n numbers take n operations."""
    values = normal(size, np.float64)
    result = call(total, dtype, values=values).result[0]
    assert_close(result, math.fsum(values), np.abs(values).sum(), size / 2, np.float64)


# Updates of parameters.


def step(params, grad, slots, constants):
    """Keep parameters and gradient in two slots, and make parameters from the third one.

    Each number takes one operation at most, so a test knows its bits.
    """
    old_params, old_grad, source = slots[0], slots[1], slots[2]
    for i in range(params.size):
        old_params[i] = params[i]
        old_grad[i] = grad[i]
        params[i] = source[i] * constants[0]


N_SLOTS = 3


def slots_of(source):
    """Return the slots of all blocks, where `step` is to make parameters from `source`."""
    filled = [np.stack([np.full_like(b, np.nan)] * 2 + [b]).ravel() for b in blocks(source)]
    return np.concatenate([np.empty(0, source.dtype), *filled])


def split_slots(slots, size):
    """Return the three slots, each with one number for each parameter."""
    ends = [N_SLOTS * min(end, size) for end in range(0, size + PARAM_BLOCK, PARAM_BLOCK)]
    parts = [slots[a:b].reshape(N_SLOTS, -1) for a, b in pairwise(ends)]
    return np.concatenate([np.empty((N_SLOTS, 0), slots.dtype), *parts], axis=1)


L2_PENALTY, BATCH_SCALE = 0.7, 0.3


def assert_scaled(actual, params, grad, n_weights, dtype):
    """Compare with (grad + l2 W) scale.

    Both terms go through a sum, the conversion of scale, and a product with it, which is 3 u. The
    penalty's term goes through the conversion of l2 and a product before, so it has 5 u.
    """
    is_weight = np.arange(params.size) < n_weights
    penalty = np.where(is_weight, L2_PENALTY * wide(params), 0)
    magnitude = BATCH_SCALE * (np.abs(wide(grad)) + np.abs(penalty))
    assert_close(actual, BATCH_SCALE * (wide(grad) + penalty), magnitude, 3, dtype)


def assert_l2_penalties(actual, params, n_weights):
    """Compare with l2 / 2 times the sum of squares in each block.

    Squares and sums are float64. A square has one u, a sum of n terms has n u, and the product
    with l2 has one more. A half is exact.
    """
    weights = np.where(np.arange(params.size) < n_weights, wide(params), 0)
    for penalty, block in zip(actual, blocks(weights), strict=True):
        expected = L2_PENALTY / 2 * (block**2).sum()
        n_units = min(block.size, n_weights) + 2
        assert_close(penalty, expected, expected, n_units / 2, np.float64)


@both_dtypes
@all_ends_of_weights
@all_sizes
def test_update_without_a_step(size, n_weights, dtype):
    params, grad = normal(size, dtype), normal(size, dtype, seed=1)
    after = call(
        update, dtype, params=params, grad=grad, scaled_grad=np.full(size, np.nan, dtype),
        slots=np.empty(0, dtype), constants=np.empty(0, dtype),
        scalars=scalars(L2=L2_PENALTY, SCALE=BATCH_SCALE),
        penalties=np.full(len(blocks(params)), np.nan),
        settings=parameter_settings(n_weights=n_weights),
    )  # fmt: skip
    assert_array_equal(after.params, params)
    assert_scaled(after.scaled_grad, params, grad, n_weights, dtype)
    assert_l2_penalties(after.penalties, params, n_weights)


@both_dtypes
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "blocks"])
@all_ends_of_weights
@all_sizes
def test_update_with_a_step(size, n_weights, whole, dtype):
    """Each block's step has its own parameters, scaled gradient and slots."""
    params, grad, source = (normal(size, dtype, seed) for seed in range(3))
    constants = np.array([0.3], dtype)
    after = call(
        update, dtype, params=params, grad=grad,
        scaled_grad=np.full(size if whole else PARAM_BLOCK, np.nan, dtype),
        slots=slots_of(source), constants=constants,
        scalars=scalars(L2=L2_PENALTY, SCALE=BATCH_SCALE),
        penalties=np.full(len(blocks(params)), np.nan),
        settings=parameter_settings(N_SLOTS, n_weights, function_address(step, dtype)),
    )  # fmt: skip
    assert_array_equal(after.params, source * constants[0])
    old_params, old_grad, _ = split_slots(after.slots, size)
    assert_array_equal(old_params, params)
    assert_scaled(old_grad, params, grad, n_weights, dtype)
    if whole:
        assert_array_equal(after.scaled_grad, old_grad)
    assert_l2_penalties(after.penalties, params, n_weights)


@both_dtypes
@all_sizes
def test_update_scales_a_gradient_in_place(size, dtype):
    """Without an optimiser the scaled gradient is left where the gradient was."""
    params, grad = normal(size, dtype), normal(size, dtype, seed=1)
    ours, penalties = grad.copy(), np.full(len(blocks(params)), np.nan)
    nothing = np.empty(0, dtype)
    program = Program(np.dtype(dtype))
    program.add(
        update, params.copy(), ours, ours, nothing, nothing,
        scalars(L2=L2_PENALTY, SCALE=BATCH_SCALE), penalties, parameter_settings(n_weights=size),
    )  # fmt: skip
    run_program(program.finish().instructions, 1, nothing)
    assert_scaled(ours, params, grad, size, dtype)
    assert_l2_penalties(penalties, params, size)


@both_dtypes
@all_ends_of_weights
@all_sizes
def test_decay(size, n_weights, dtype):
    """Weights shrink, and biases stay.

    There are a product, a difference, a conversion and another product: 4 u. The error of the first
    one counts less than that, since rate * decay is less than 1 - rate * decay.
    """
    params = normal(size, dtype)
    after = call(
        decay, dtype, params=params, scalars=scalars(RATE=0.3, DECAY=0.9),
        settings=parameter_settings(n_weights=n_weights),
    )  # fmt: skip
    expected = wide(params[:n_weights]) * (1 - 0.3 * 0.9)
    assert_close(after.params[:n_weights], expected, expected, 2, dtype)
    assert_array_equal(after.params[n_weights:], params[n_weights:])


def with_zeros(values):
    """Return a vector with a zero at every third place."""
    values = values.copy()
    values[::3] = 0
    return values


@both_dtypes
@all_ends_of_weights
@all_sizes
def test_add_l1_subgradient(size, n_weights, dtype):
    """The gradient is NumPy's to the bit: each number takes one operation.

    The penalty is a sum of n terms in float64, with n u, and a product.
    """
    params, grad = with_zeros(normal(size, dtype)), normal(size, dtype, seed=1)
    # At a weight of zero the gradient stops at 0 if it is not larger than l1.
    l1 = 0.7
    grad[:9:3] = [0, -l1, l1][: len(grad[:9:3])]
    after = call(
        add_l1_subgradient, dtype, params=params, grad=grad,
        previous_params=np.full(size, np.nan, dtype), scalars=scalars(L1=l1),
        penalties=np.full(len(blocks(params)), np.nan),
        settings=parameter_settings(n_weights=n_weights),
    )  # fmt: skip
    W, g, constant = params[:n_weights], grad[:n_weights], dtype(l1)
    towards_zero = np.sign(g) * np.maximum(np.abs(g) - constant, 0)
    assert_array_equal(
        after.grad[:n_weights], np.where(W == 0, towards_zero, g + np.sign(W) * constant)
    )
    assert_array_equal(after.grad[n_weights:], grad[n_weights:])
    assert_array_equal(after.previous_params[:n_weights], W)
    assert np.isnan(after.previous_params[n_weights:]).all()
    weights = np.where(np.arange(size) < n_weights, wide(params), 0)
    for penalty, block in zip(after.penalties, blocks(weights), strict=True):
        expected = l1 * np.abs(block).sum()
        assert_close(penalty, expected, expected, (min(block.size, n_weights) + 1) / 2, dtype)


@both_dtypes
@all_ends_of_weights
@all_sizes
def test_project_to_orthant(size, n_weights, dtype):
    """A weight keeps the sign it had, or if it was 0 that of a step against the gradient."""
    params, grad, previous = (with_zeros(normal(size, dtype, seed)) for seed in range(3))
    # All combinations of signs, zero among them, follow each other in the first block. The first
    # one is among those that change a weight.
    signs = (np.array(list(np.ndindex(3, 3, 3)))[:size].T - 1) * [[1], [1], [-1]]
    n = signs.shape[1]
    for values, sign in zip((params, grad, previous), signs, strict=True):
        values[:n] = sign * (1 + np.abs(values[:n]))
    after = call(
        project_to_orthant, dtype, params=params, grad=grad, previous_params=previous,
        settings=parameter_settings(n_weights=n_weights),
    )  # fmt: skip
    side = np.where(previous == 0, -np.sign(grad), np.sign(previous))
    expected = np.where((np.sign(params) == side) & (side != 0), params, 0)
    assert_array_equal(after.params[:n_weights], expected[:n_weights])
    assert_array_equal(after.params[n_weights:], params[n_weights:])


@both_dtypes
def test_signs_are_compared_without_a_product(dtype):
    """Small weights keep their sign, where a product of two of them is 0; NaN stays visible."""
    small = np.finfo(dtype).tiny
    params = np.array([small, -small, small, np.nan], dtype)
    previous = np.array([small, -small, -small, small], dtype)
    after = call(
        project_to_orthant, dtype, params=params, grad=np.zeros(4, dtype),
        previous_params=previous, settings=parameter_settings(n_weights=4),
    )  # fmt: skip
    assert_array_equal(after.params, np.array([small, -small, 0, np.nan], dtype))


@both_dtypes
@all_sizes
def test_squared_norms(size, dtype):
    """Squares and their sum of n terms are float64, with one u for each term and its square."""
    grad = normal(size, dtype)
    squares = np.full(len(blocks(grad)), np.nan)
    after = call(squared_norms, dtype, grad=grad, squares=squares)
    for square, block in zip(after.squares, blocks(grad), strict=True):
        expected = (wide(block) ** 2).sum()
        assert_close(square, expected, expected, (block.size + 1) / 2, np.float64)


def test_squares_beyond_float32():
    """They are finite: those of a gradient, and those of weights and their sum in penalties."""
    huge = np.full(PARAM_BLOCK, np.finfo(np.float32).max / 4, np.float32)
    expected = (wide(huge) ** 2).sum()
    after = call(squared_norms, np.float32, grad=huge, squares=np.empty(1))
    assert_close(after.squares, expected, expected, (PARAM_BLOCK + 1) / 2, np.float64)
    nothing, penalties = np.empty(0, np.float32), np.empty(1)
    after = call(
        update, np.float32, params=huge, grad=np.zeros_like(huge), scaled_grad=huge,
        slots=nothing, constants=nothing, scalars=scalars(L2=1e-30, SCALE=1.0),
        penalties=penalties, settings=parameter_settings(n_weights=huge.size),
    )  # fmt: skip
    expected *= 1e-30 / 2
    assert_close(after.penalties, expected, expected, (PARAM_BLOCK + 3) / 2, np.float64)
    after = call(
        add_l1_subgradient, np.float32, params=huge, grad=huge, previous_params=huge,
        scalars=scalars(L1=1e-30), penalties=penalties,
        settings=parameter_settings(n_weights=huge.size),
    )  # fmt: skip
    expected = 1e-30 * wide(huge).sum()
    assert_close(after.penalties, expected, expected, (PARAM_BLOCK + 1) / 2, np.float64)


@both_dtypes
@pytest.mark.parametrize("norm", [0.0, 0.5, 1.3, 4.0])
@all_sizes
def test_clipped_step(size, norm, dtype):
    """The norm is that of all threads' parameters, and only a larger one than CLIP is changed.

    A clipped gradient has an error of at most 5 u. The root has 2 u, since it is computed as a
    power. The quotient, the product and its conversion have one u each.
    """
    clip = 1.3
    params, grad, source = (normal(size, dtype, seed) for seed in range(3))
    constants = np.array([0.3], dtype)
    squares = norm**2
    after = call(
        clipped_step, dtype, params=params, grad=grad, slots=slots_of(source),
        constants=constants, scalars=scalars(SQUARES=squares, CLIP=clip),
        settings=parameter_settings(N_SLOTS, 0, function_address(step, dtype)),
    )  # fmt: skip
    if norm > clip:
        expected = wide(grad) * clip / np.sqrt(wide(squares))
        assert_close(after.grad, expected, expected, 2.5, dtype)
    else:
        assert_array_equal(after.grad, grad)
    old_params, old_grad, _ = split_slots(after.slots, size)
    assert_array_equal(old_params, params)
    assert_array_equal(old_grad, after.grad)
    assert_array_equal(after.params, source * constants[0])


@both_dtypes
def test_clipping_of_a_huge_gradient(dtype):
    """The factor is no normal number. A norm whose square overflows in float64 makes NaN."""
    huge = np.full(3, np.finfo(dtype).max / 4, dtype)
    address = function_address(step, dtype)
    squares = call(squared_norms, dtype, grad=huge, squares=np.empty(1)).squares[0]
    after = call(
        clipped_step, dtype, params=np.ones(3, dtype), grad=huge,
        slots=slots_of(np.ones(3, dtype)), constants=np.ones(1, dtype),
        scalars=scalars(SQUARES=squares, CLIP=1.0),
        settings=parameter_settings(N_SLOTS, 3, address),
    )  # fmt: skip
    expected = np.full(3, np.nan if dtype == np.float64 else 3**-0.5)
    np.testing.assert_allclose(after.grad, expected, rtol=2.5 * np.finfo(dtype).eps)


@both_dtypes
def test_clipping_keeps_nan_visible(dtype):
    """A gradient with NaN has a norm of NaN, and is left as it is."""
    grad = np.array([1, np.nan, np.inf], dtype)
    address = function_address(step, dtype)
    after = call(
        clipped_step, dtype, params=np.ones(3, dtype), grad=grad,
        slots=slots_of(np.ones(3, dtype)), constants=np.ones(1, dtype),
        scalars=scalars(SQUARES=np.nan, CLIP=1.0), settings=parameter_settings(N_SLOTS, 3, address),
    )  # fmt: skip
    assert_array_equal(after.grad, grad)


@both_dtypes
@pytest.mark.parametrize("keep", [0.0, 0.9, 1.0])
@all_sizes
def test_average(size, keep, dtype):
    """The mean is params + keep (mean - params).

    The second term has 3 u, from the conversion of keep, the difference and the product. The sum
    has one more. Together this is less than 4 u of the magnitudes.
    """
    params, mean = normal(size, dtype), normal(size, dtype, seed=1)
    after = call(average, dtype, params=params, scalars=scalars(KEEP=keep), out=mean)
    expected = keep * wide(mean) + (1 - keep) * wide(params)
    assert_close(after.out, expected, np.abs(wide(mean)) + np.abs(wide(params)), 2, dtype)
    if keep == 0:
        assert_array_equal(after.out, params)


# Dropout and noise.


def hash_of(x):
    """Return hash32 of integers, as its docstring says it."""
    x = np.asarray(x, np.uint64) & np.uint64(0xFFFFFFFF)
    for _ in range(2):
        x = ((x >> np.uint64(16)) ^ x) * np.uint64(0x45D9F3B) & np.uint64(0xFFFFFFFF)
    return (x >> np.uint64(16)) ^ x


def hashes(shape, seed, layer, step, first_row):
    """Return the 32 random bits of each unit of some rows."""
    first = hash_of(hash_of(seed + layer) + np.uint64(step))
    rows = hash_of(first + np.arange(first_row, first_row + shape[0], dtype=np.uint64))
    return hash_of(rows[:, None] + np.arange(shape[1], dtype=np.uint64))


def random_call(function, dtype, a, amount, seed=11, layer=2, step=5, row=0, first_row=0):
    """Run dropout or noise on rows that begin with `row` + `first_row` of their minibatch."""
    counters = np.full(N_COUNTERS, -1)
    counters[[STEP, ROW]] = step, row
    name = "rate" if function is apply_dropout else "deviation"
    settings = np.array([seed, layer, first_row], np.int64)
    arguments = {"a": a, name: np.array([amount], dtype)}
    return call(function, dtype, **arguments, counters=counters, settings=settings).a


SHAPES = [(1, 1), (3, 7), (40, 33), (2, PARAM_BLOCK + 1)]
RANDOM = [(apply_dropout, 0.3), (add_noise, 0.3)]
both_random_functions = pytest.mark.parametrize(("function", "amount"), RANDOM)


@both_dtypes
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("shape", SHAPES)
def test_apply_dropout(shape, rate, dtype):
    """Units whose 32 bits are below the rate's share are 0, and others are divided by 1 - rate.

    The error is at most 4 u, from a difference, a quotient, a conversion and a product. The rate
    itself is a number of the dtype.
    """
    a = normal(shape, dtype)
    after = random_call(apply_dropout, dtype, a, rate, row=512, first_row=16)
    rate = wide(dtype(rate))
    kept = hashes(shape, 11, 2, 5, 528) >= np.uint64(rate * 2**32)
    expected = np.where(kept, wide(a) / (1 - rate), 0)
    assert_close(after, expected, expected, 2, dtype)
    assert_array_equal(after == 0, ~kept)


def test_a_unit_whose_bits_are_the_threshold_is_kept():
    """A share of `rate` of the 2**32 numbers is below rate * 2**32, which float64 holds exactly."""
    threshold = int(hashes((1, 1), 11, 2, 5, 0)[0, 0])
    for bits, is_kept in [(threshold, True), (threshold + 1, False)]:
        after = random_call(apply_dropout, np.float64, np.ones((1, 1)), bits / 2**32)
        assert bool(after[0, 0]) == is_kept


@both_dtypes
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_the_share_that_the_rate_says(rate, dtype):
    """In each row and in each column, to 5 standard deviations.

    The deviations of all rows are themselves spread like independent ones, to 4 deviations.
    """
    n = 400
    after = random_call(apply_dropout, dtype, np.ones((n, n), dtype), rate)
    spread = np.sqrt(rate * (1 - rate) / n)
    dropped = after == 0
    for axis in (0, 1):
        deviations = (dropped.mean(axis=axis) - rate) / spread
        assert np.abs(deviations).max() < 5
        assert abs(deviations.std() - 1) < 4 / np.sqrt(2 * n)


@both_dtypes
def test_dropped_units_are_zero_whatever_they_were(dtype):
    """The backward pass drops the same units, and a derivative that is NaN is dropped too."""
    a = normal((20, 30), dtype)
    dropped = random_call(apply_dropout, dtype, a, 0.5) == 0
    derivatives = random_call(apply_dropout, dtype, np.full_like(a, np.nan), 0.5)
    assert_array_equal(derivatives == 0, dropped)
    assert_array_equal(np.isnan(derivatives), ~dropped)


@both_dtypes
@pytest.mark.parametrize("shape", SHAPES)
def test_add_noise(shape, dtype):
    """Noise is the sum of six numbers of 16 bits, centred and scaled.

    The sum is an integer below 2**24 and therefore exact in float32, too. The noise has 3 u, from
    the conversion of a constant and two products. Adding it to the units takes one more u of both.
    """
    a, deviation = normal(shape, dtype), 0.3
    after = random_call(add_noise, dtype, a, deviation, row=512, first_row=16)
    x = hashes(shape, 11, 2, 5, 528)
    words = [x, hash_of(x + np.uint64(1))]
    words.append(hash_of(words[1] + np.uint64(1)))
    total = sum((w & np.uint64(0xFFFF)) + (w >> np.uint64(16)) for w in words)
    noise = (wide(total) - 3 * 2**16) / 2**16 * np.sqrt(wide(2)) * wide(dtype(deviation))
    assert_close(after, wide(a) + noise, np.abs(wide(a)) + np.abs(noise), 2, dtype)


@both_dtypes
def test_noise_has_its_moments(dtype):
    """Its mean, standard deviation and kurtosis are as expected, to 4 standard deviations.

    A sum of six uniform numbers has a kurtosis of 3 - 6 / (5 * 6) = 2.8. In samples of n numbers
    the variance of the standard deviation is (kurtosis - 1) / (4 n), and that of the kurtosis is
    less than a normal variable's 24 / n.
    """
    n, deviation = 250_000 if not PYTHON_MODE else 10_000, 0.3
    noise = random_call(add_noise, dtype, np.zeros((n // 100, 100), dtype), deviation)
    z = noise.astype(float).ravel() / deviation
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.std() - 1) < 4 * np.sqrt((2.8 - 1) / 4 / n)
    assert abs((z**4).mean() / z.var() ** 2 - 2.8) < 4 * np.sqrt(24 / n)


@both_random_functions
@both_dtypes
def test_random_numbers_do_not_depend_on_how_rows_are_divided(dtype, function, amount):
    """Parts of a microbatch, one for each thread, and the microbatches of a minibatch."""
    a = normal((40, 9), dtype)
    whole = random_call(function, dtype, a, amount)
    for start, stop in [(0, 16), (16, 32), (32, 40)]:
        part = random_call(function, dtype, a[start:stop], amount, first_row=start)
        assert_array_equal(part, whole[start:stop])
        part = random_call(function, dtype, a[start:stop], amount, row=start)
        assert_array_equal(part, whole[start:stop])


@both_random_functions
@pytest.mark.parametrize("changed", ["seed", "layer", "step", "row"])
def test_random_numbers_depend_on_seed_layer_step_and_row(changed, function, amount):
    """Other random numbers agree with the first ones no more often than independent ones do.

    Independent patterns of dropout at 0.3 agree in a share of 0.3**2 + 0.7**2 = 0.58 of all units.
    Four standard deviations of this share of 10,000 units are 0.02. Sums of six numbers of 16 bits
    have a standard deviation of 46,000, so two of them are equal with a probability below 1e-5.
    """
    a = np.ones((100, 100))
    one = random_call(function, np.float64, a, amount)
    other = random_call(function, np.float64, a, amount, **{changed: 1000})
    agreeing = np.mean(one == other)
    if function is apply_dropout:
        assert abs(agreeing - (0.3**2 + 0.7**2)) < 0.02
    else:
        assert agreeing < 0.001


# Sparse products.


def sparse_rows(n_rows, n_features, dtype, seed=0):
    """Return a CSR matrix with empty rows, unsorted columns, and a column twice in a row."""
    rng = np.random.RandomState(seed)
    counts = rng.randint(0, 6, size=n_rows)
    counts[::4] = 0
    indptr = np.concatenate([[0], counts.cumsum()])
    indices = rng.randint(0, n_features, size=indptr[-1])
    data = rng.normal(size=indptr[-1]).astype(dtype)
    matrix = sp.csr_array((data, indices, indptr), shape=(n_rows, n_features))
    return matrix, as_kernel_input(matrix)


def dense(X, index, absolute=False):
    """Return some rows as a dense matrix, in which columns that occur twice are added up."""
    data = wide(np.abs(X.data) if absolute else X.data)
    matrix = np.zeros((len(index), X.shape[1]), np.longdouble)
    for i, row in enumerate(index):
        entries = slice(X.indptr[row], X.indptr[row + 1])
        np.add.at(matrix[i], X.indices[entries], data[entries])
    return matrix


CSR_SHAPES = [(0, 3, 2), (1, 1, 1), (7, 5, 3), (30, 11, 33), (600, 4, 17)]


@dtypes_of_data
@pytest.mark.parametrize(("n", "n_features", "n_units"), CSR_SHAPES)
def test_csr_affine(n, n_features, n_units, dtype, data_dtype):
    """A row has at most 5 terms, each a product, and a bias.

    No term goes through more than one product and 5 sums, which is 6 u.
    """
    X, arrays = sparse_rows(20, n_features, data_dtype)
    index = np.random.RandomState(1).randint(0, 20, size=n)
    W, b = normal((n_features, n_units), dtype, seed=2), normal(n_units, dtype, seed=3)
    out = np.full((n, n_units), np.nan, dtype)
    data, indices, indptr = arrays.arrays
    after = call(
        csr_affine, dtype, data=data, indices=indices, indptr=indptr, index=index, W=W, b=b, out=out
    )
    expected = dense(X, index) @ wide(W) + wide(b)
    magnitude = dense(X, index, absolute=True) @ np.abs(wide(W)) + np.abs(wide(b))
    assert_close(after.out, expected, magnitude, 3, dtype)


@dtypes_of_data
@pytest.mark.parametrize(("n", "n_features", "n_units"), CSR_SHAPES)
def test_csr_weight_gradient(n, n_features, n_units, dtype, data_dtype):
    """The product is added to what is there.

    A number is a sum of so many products as its column has entries. No product goes through more
    sums than that, and it has one u of its own.
    """
    X, arrays = sparse_rows(20, n_features, data_dtype)
    index = np.random.RandomState(1).randint(0, 20, size=n)
    delta, out = normal((n, n_units), dtype, seed=2), normal((n_features, n_units), dtype, seed=3)
    data, indices, indptr = arrays.arrays
    after = call(
        csr_weight_gradient, dtype, data=data, indices=indices, indptr=indptr, index=index,
        delta=delta, out=out,
    )  # fmt: skip
    expected = dense(X, index).T @ wide(delta) + wide(out)
    magnitude = dense(X, index, absolute=True).T @ np.abs(wide(delta)) + np.abs(wide(out))
    counts = np.zeros(n_features)
    for row in index:
        np.add.at(counts, X.indices[X.indptr[row] : X.indptr[row + 1]], 1)
    assert_close(after.out, expected, magnitude, (counts[:, None] + 1) / 2, dtype)
