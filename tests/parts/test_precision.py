"""Activations, losses and links against mpmath, at the edges of their domains and up to 1e4.

`precision.py` has the bounds. `benchmarks/precision.py` prints them with the largest errors found.
"""

from __future__ import annotations

import exact
import numpy as np
import precision
import pytest
from mpmath import mp, mpf

from sknet.activations import Activation
from sknet.losses import Loss

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def assert_as_stated(points, dtype):
    keys = set()
    for key, point in points:
        keys.add(key)
        bound, scale = precision.STATED[key]
        error = point.error(dtype)
        assert error <= bound, (
            f"{key}: {error:.3g} instead of {bound} units of {scale} at {point.where}: "
            f"{float(point.actual)!r} instead of {mp.nstr(point.exact, 17)}"
        )
    return keys


@both_dtypes
@pytest.mark.parametrize("name", Activation.table)
def test_activations(name, dtype):
    keys = assert_as_stated(precision.activation_points(name, dtype), dtype)
    assert keys == {(name, "f"), (name, "f'")}


@both_dtypes
@pytest.mark.parametrize("case", precision.loss_cases(), ids=str)
def test_losses(case, dtype):
    keys = assert_as_stated(precision.loss_points(*case, dtype), dtype)
    assert {what for _, what in keys} == {"value", "delta", "link"}


def test_every_part_has_a_bound():
    assert set(exact.ACTIVATIONS) == set(Activation.table)
    assert set(exact.LOSSES) == set(Loss.table)
    links = {part.out_activation for part in Loss.table.values()}
    assert links == set(exact.LINKS)
    names = {name for name, what in precision.STATED if what in ("value", "delta")}
    assert {name.split(",")[0] for name in names} == set(Loss.table)


@pytest.mark.parametrize("dtype", [np.float64])
def test_an_error_is_found(dtype):
    """The measure sees one unit, a wrong sign of infinity, and NaN."""
    mp.prec = 100
    eps = np.finfo(dtype).eps

    def error(actual, expected):
        return precision.Point("", actual, mpf(expected), mpf(abs(expected)), mpf(0)).error(dtype)

    assert error(1 + eps, 1) == 1
    assert error(-1.0, 1) == 2 / eps
    assert error(np.inf, mpf(10) ** 400) == 0
    assert error(-np.inf, mpf(10) ** 400) == error(np.inf, 1) == error(np.nan, 1) == np.inf
