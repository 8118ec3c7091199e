"""The matrix product against NumPy, for any shape, strides and dtype."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.gemm import (
    BIG,
    COPY_PANELS,
    COPY_STRIDE,
    DEPTH_BLOCK,
    FAR,
    PACK_BIG_FROM,
    PACK_FROM,
    product,
    scratch_size,
)
from sknet._engine.program import Program, run_program
from sknet._engine.simd import VECTOR_BYTES
from sknet._engine.tile import TILE_ROWS


def multiply(A, B, bias, *, room=0, later=()):
    """Return A B + bias, and check that the product writes nothing outside of its arrays.

    `room` is that for copies of A, and `later` what the product fetches meanwhile.
    """
    frame = np.full((A.shape[0] + 2, B.shape[1] + 3), np.nan, A.dtype)
    scratch = np.full(scratch_size(A.shape[0], A.itemsize) + room + 1, np.nan, A.dtype)
    out = frame[1:-1, 1:-2]
    program = Program(A.dtype)
    program.add(product, A, B, bias, np.array(later, np.int64), scratch[:-1], out)
    run_program(program.finish().instructions, 1, bias)
    outside = np.ones(frame.shape, bool)
    outside[1:-1, 1:-2] = False
    assert np.isnan(frame[outside]).all()
    assert np.isnan(scratch[-1])
    return out


@given(
    m=st.integers(1, 40),
    k=st.integers(1, 30) | st.integers(DEPTH_BLOCK - 1, 2 * DEPTH_BLOCK + 1),
    n=st.integers(1, 70),
    transposed=st.booleans(),
    columns=st.booleans(),
    dtype=st.sampled_from([np.float64, np.float32]),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=400, deadline=None)
def test_any_shape(m, k, n, transposed, columns, dtype, seed):
    """The error is at most k + 1 roundings of the sum of the magnitudes."""
    rng = np.random.RandomState(seed)
    A = rng.normal(size=(k, m)).astype(dtype).T if transposed else rng.normal(size=(m, k))
    A, B = A.astype(dtype, order="K"), rng.normal(size=(k, n)).astype(dtype)
    B = np.asfortranarray(B) if columns else B
    bias = rng.normal(size=n).astype(dtype)
    exact = A.astype(np.longdouble) @ B + bias
    bound = (k + 1) * np.finfo(dtype).eps * (np.abs(A) @ np.abs(B) + np.abs(bias))
    assert (np.abs(multiply(A, B, bias) - exact) <= bound).all()


@pytest.mark.skipif(PYTHON_MODE, reason="without compilation NumPy sums in an order of its own")
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("is_big", [False, True])
def test_a_row_does_not_depend_on_the_other_rows(dtype, columns, is_big):
    """Few rows and many rows differ in their tiles, and in whether B is packed."""
    rng = np.random.RandomState(0)
    k, m = 2 * DEPTH_BLOCK + 19, (PACK_BIG_FROM if is_big else PACK_FROM) + 5
    n = 45 + is_big * BIG // np.dtype(dtype).itemsize // k
    A, B = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    assert (B.nbytes > BIG) == is_big
    B = np.asfortranarray(B) if columns else B
    bias = np.zeros(n, dtype)
    expected = multiply(A, B, bias)
    for begin, end in [(0, 1), (3, 5), (11, 29), (30, 37)]:
        assert_array_equal(multiply(A[begin:end].copy(), B, bias), expected[begin:end])


@pytest.mark.parametrize("n_tiles", [1, 3, 100])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_copies_of_columns_far_apart_have_the_same_bits(dtype, n_tiles):
    """Room for one tile, for some tiles, and for more than there are.

    Without compilation NumPy sums in an order of its own, so the sums agree within rounding only.
    """
    rng = np.random.RandomState(0)
    itemsize = np.dtype(dtype).itemsize
    k, m = DEPTH_BLOCK + 19, COPY_STRIDE // itemsize
    n = COPY_PANELS * 2 * VECTOR_BYTES // itemsize + 3
    A, B = rng.normal(size=(k, m)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    bias = rng.normal(size=n).astype(dtype)
    left = A.T[: 5 * TILE_ROWS + 3]
    room = n_tiles * k * TILE_ROWS + VECTOR_BYTES
    found = multiply(left, B, bias, room=room)
    if not PYTHON_MODE:
        assert_array_equal(found, multiply(left, B, bias))
    exact = left.astype(np.longdouble) @ B + bias
    bound = (k + 1) * np.finfo(dtype).eps * (np.abs(left) @ np.abs(B) + np.abs(bias))
    assert (np.abs(found - exact) <= bound).all()


@pytest.mark.parametrize("columns", [False, True])
def test_fetching_ahead_changes_nothing(columns):
    """B is so large that its panels are fetched, and so is other memory. Nothing else happens."""
    rng = np.random.RandomState(0)
    k, m = 2 * DEPTH_BLOCK + 5, PACK_FROM + 5
    A, B = rng.normal(size=(m, k)), rng.normal(size=(k, 40 + FAR // 8 // k))
    assert B.nbytes > FAR
    bias, other = np.zeros(B.shape[1]), rng.normal(size=(50, 30))
    B = np.asfortranarray(B) if columns else B
    later = [other[0].nbytes, *(row.__array_interface__["data"][0] for row in other)]
    before = other.copy()
    expected = multiply(A, B, bias)
    assert_array_equal(multiply(A, B, bias, later=later), expected)
    assert_array_equal(other, before)
    exact = A.astype(np.longdouble) @ B
    assert (np.abs(expected - exact) <= (k + 1) * np.finfo(float).eps * (abs(A) @ abs(B))).all()


def test_nan_affects_its_own_row_only():
    """The other rows of a tile, and the masked lanes, do not mix with it."""
    A, B = np.ones((9, 3)), np.ones((3, 5))
    A[4, 1] = np.nan
    out = multiply(A, B, np.zeros(5))
    assert np.isnan(out[4]).all()
    assert_array_equal(np.delete(out, 4, axis=0), np.full((8, 5), 3.0))
