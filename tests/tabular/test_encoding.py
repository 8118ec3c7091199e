"""Tables as the inputs of a net, compared with plain formulas and with scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.preprocessing import QuantileTransformer, RobustScaler

from sknet.tabular.columns import MISSING, UNSEEN, Table
from sknet.tabular.encoding import BLOCK, Encoder

NAN = np.nan
WAYS = ["robust", "quantile", "piecewise"]
every_way = pytest.mark.parametrize("way", WAYS)

# A few operations on numbers of at most 3 are off by a few units in the last place.
FEW = 3 * 8 * np.finfo(np.float64).eps


def numbers(X):
    X = np.asarray(X, dtype=np.float64)
    return Table(X, np.empty((len(X), 0), dtype=np.int32))


def categories(codes):
    codes = np.asarray(codes, dtype=np.int32)
    return Table(np.empty((len(codes), 0)), codes)


def encoded(fitted, new=None, way="robust", **parameters):
    """Return the encoded rows of a table in float64, after a fit to another one or to itself."""
    encoder = Encoder(way, **parameters).fit(fitted)
    out = encoder.transform(fitted if new is None else new, dtype=np.float64)
    assert out.shape[1] == encoder.n_features_out
    return out


def measurements():
    """Return real numbers of many scales, and others from the same source."""
    X = load_breast_cancer().data
    return X[::2], X[1::2]


def counts(n=300):
    """Return columns in which few values are frequent, such as zeros."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.poisson(rate, n) for rate in (0.1, 0.5, 2, 30)]).astype(float)


# Numbers.


def robust(x, fitted):
    """The formula in plain NumPy, for one column."""
    fitted = fitted[~np.isnan(fitted)]
    low, median, high = (np.quantile(fitted, level) for level in (0.25, 0.5, 0.75))
    scale = high - low if high > low else (fitted.max() - fitted.min()) / 2
    z = (np.where(np.isnan(x), median, x) - median) / scale
    return z / np.sqrt(1 + (z / 3) ** 2)


@pytest.mark.parametrize("X", [measurements()[0], counts()], ids=["measurements", "counts"])
def test_robust(X):
    new = X * 5 - 3
    for rows in (X, new):
        expected = np.column_stack([robust(*pair) for pair in zip(rows.T, X.T, strict=True)])
        assert_allclose(encoded(numbers(X), numbers(rows)), expected, rtol=0, atol=FEW)
    assert (X[:, 0] == 0).mean() > 0.75 or len(X) != 300  # the quartiles of counts are equal


def test_robust_is_robust_scaling_near_the_middle():
    """Numbers near the median are those of scikit-learn's RobustScaler, up to a third order."""
    X = measurements()[0]
    scaled = RobustScaler().fit_transform(X)
    near = np.abs(scaled) < 0.1
    # z / sqrt(1 + (z/3)^2) = z - z^3 / 18 + ..., and 0.1^3 / 18 < 6e-5.
    assert_allclose(encoded(numbers(X))[near], scaled[near], rtol=0, atol=6e-5)
    assert near.sum() > 100


def quantile(X, new):
    transformer = QuantileTransformer(
        n_quantiles=min(1000, len(X)), output_distribution="normal", subsample=None
    )
    return np.clip(transformer.fit(X).transform(new), -3, 3)


@pytest.mark.parametrize("n", [20, 300, 2500])
def test_quantile(n):
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.lognormal(size=n), rng.normal(size=n).round(1), counts(n)])
    X, new = np.vstack([X, X[:1]]), np.vstack([X * 1.01, X - 0.01])
    for rows in (X, new):
        # Levels are off by a few units in the last place. Within the limits of -3 and 3 the normal
        # quantile is at most 1 / density(3) = 226 times as steep.
        expected = quantile(X, rows)
        result = encoded(numbers(X), numbers(rows), "quantile")
        assert_allclose(result, expected, rtol=0, atol=226 * FEW)


def test_quantiles_of_tiny_numbers():
    """scikit-learn takes all numbers within 1e-7 of the least one for the least one."""
    X = measurements()[0]
    expected = encoded(numbers(X), way="quantile")
    # A power of two scales without rounding.
    assert_array_equal(encoded(numbers(X * 2.0**-60), way="quantile"), expected)


def piecewise(x, edges):
    """The definition: equation 1 of arXiv:2203.05556, for one number, with T bins."""
    T = len(edges) - 1
    components = []
    for t in range(1, T + 1):
        left, right = edges[t - 1], edges[t]
        if x < left and t > 1:
            components.append(0.0)
        elif x >= right and t < T:
            components.append(1.0)
        else:
            components.append((x - left) / (right - left))
    return components


@pytest.mark.parametrize("n_bins", [1, 2, 5, 12])
def test_piecewise(n_bins):
    X, new = measurements()
    new = np.vstack([new, X.min(axis=0), X.max(axis=0), 1.1 * X.max(axis=0)])
    columns = []
    for fitted, rows in zip(X.T, new.T, strict=True):
        edges = np.unique(np.quantile(fitted, np.linspace(0, 1, n_bins + 1)))
        assert len(edges) == n_bins + 1
        columns.append([piecewise(x, edges) for x in rows])
    # The definition has no limits, which only numbers outside of the fitted ones reach.
    expected = np.clip(np.hstack(columns), -3, 3)
    result = encoded(numbers(X), numbers(new), "piecewise", n_bins=n_bins)
    assert_allclose(result, expected, rtol=0, atol=FEW)


def test_equal_quantiles_are_one_edge():
    X = counts()
    columns = []
    for fitted in X.T:
        edges = np.unique(np.quantile(fitted, np.linspace(0, 1, 13)))
        columns.append([piecewise(x, edges) for x in fitted])
    expected = np.hstack(columns)
    assert expected.shape[1] < 4 * 12
    assert_allclose(encoded(numbers(X), way="piecewise"), expected, rtol=0, atol=FEW)


@every_way
def test_missing_numbers_are_the_median_and_an_indicator(way):
    X, new = measurements()
    X, new = X[:, :4], new[:, :4].copy()
    medians = np.median(X, axis=0)
    # Only the column 1 has missing numbers in fit. Doubling a row keeps the quantiles of the rest.
    holes = np.vstack([X, X[:1]])
    holes[-1] = medians
    holes[-1, 1] = NAN
    filled = np.where(np.isnan(holes), medians, holes)
    new[:5, 1:3] = NAN
    filled_new = np.where(np.isnan(new), medians, new)
    result = encoded(numbers(holes), numbers(new), way)
    width = result.shape[1] - 1
    assert_array_equal(result[:, width], np.isnan(new[:, 1]))
    # The median of the column does not change what the others are.
    reference = encoded(numbers(filled), numbers(filled_new), way)
    others = [j for j in range(width) if j * 4 // width != 1]
    assert_array_equal(result[:, others], reference[:, others])
    # And in the column itself a missing number is what the median is.
    probe = np.where(np.arange(4) == 1, [[NAN], [medians[1]]], X[0])
    first, second = encoded(numbers(holes), numbers(probe), way)
    assert_array_equal(first[:width], second[:width])


@every_way
def test_constant_columns_are_left_out(way):
    rng = np.random.default_rng(2)
    x = rng.normal(size=50)
    gaps = np.where(np.arange(50) % 3, 7.0, NAN)
    X = np.column_stack([np.full(50, 5.0), x, np.full(50, NAN), gaps])
    new = np.column_stack([x, x, x, gaps])
    expected = np.column_stack([encoded(numbers(x[:, None]), way=way), np.isnan(gaps)])
    for rows in (X, new):
        assert_array_equal(encoded(numbers(X), numbers(rows), way), expected)


@every_way
@pytest.mark.parametrize("n", [1, 3])
def test_one_column_of_zeros_is_left(way, n):
    table = Table(np.full((n, 2), [1.0, NAN]), np.zeros((n, 1), dtype=np.int32))
    new = Table(np.array([[8.0, 2.0]]), np.array([[UNSEEN]], dtype=np.int32))
    for rows in (table, new):
        assert_array_equal(encoded(table, rows, way), np.zeros((rows.n_rows, 1)))


finite = st.floats(allow_nan=False, allow_infinity=False)
tables = arrays(
    np.float64, st.tuples(st.integers(1, 12), st.integers(0, 3)), elements=finite | st.just(NAN)
)


@every_way
@given(X=tables, extremes=st.lists(finite | st.just(NAN), min_size=1, max_size=5))
def test_every_number_comes_out_finite_and_in_order(way, X, extremes):
    """Numbers as large, small or close together as float64 has them give no warning, either."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = np.repeat(np.sort(extremes)[:, None], X.shape[1], axis=1)
        encoder = Encoder(way, n_bins=4).fit(numbers(X))
        both = [encoder.transform(numbers(rows), dtype=np.float64) for rows in (X, new)]
    for out in both:
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= 3
    n_indicators = (np.isnan(X).any(axis=0) & ~np.isnan(X).all(axis=0)).sum()
    known = ~np.isnan(np.sort(extremes))
    values = both[1][known, : both[1].shape[1] - n_indicators]
    assert (np.diff(values, axis=0) >= 0).all()


# Categories.


def test_categories_one_hot():
    codes = [[2], [0], [5], [0]]
    expected = [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert_array_equal(encoded(categories(codes)), expected)
    new = [[5], [1], [9], [UNSEEN], [MISSING]]
    assert_array_equal(encoded(categories(codes), categories(new)), [[0, 0, 1]] + [[0] * 3] * 4)


def test_two_levels_are_one_column():
    new = categories([[1], [4], [0], [7], [UNSEEN], [MISSING]])
    assert_array_equal(encoded(categories([[4], [1], [1]]), new), [[-1], [1], [0], [0], [0], [0]])


def test_missing_is_a_level_of_its_own():
    new = categories([[MISSING], [0], [1], [UNSEEN]])
    assert_array_equal(encoded(categories([[0], [MISSING]]), new), [[-1], [1], [0], [0]])
    three = categories([[0], [MISSING], [1]])
    assert_array_equal(encoded(three, new), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])


def test_unseen_is_no_level():
    """Not even where the rows of a fit have such values, and then there is one level less."""
    assert_array_equal(encoded(categories([[0], [1], [UNSEEN]])), [[-1], [1], [0]])
    assert_array_equal(encoded(categories([[0], [UNSEEN]])), [[0], [0]])


def test_order_of_columns():
    table = Table(
        np.array([[1.0, 0], [3, NAN], [2, 1]]),
        np.array([[0, 1], [1, 1], [2, 0]], dtype=np.int32),
    )
    out = encoded(table)
    assert_array_equal(out[:, :2], encoded(numbers(table.numbers))[:, :2])
    assert_array_equal(out[:, 2], [0, 1, 0])
    assert_array_equal(out[:, 3:6], np.eye(3))
    assert_array_equal(out[:, 6], [1, 1, -1])


# Sparse numbers.


def sparse(X):
    return Table(sp.csr_matrix(X), np.empty((np.shape(X)[0], 0), dtype=np.int32))


@every_way
def test_sparse_numbers_are_divided_by_the_largest(way):
    X = np.array([[0, 2.0, 0, NAN], [0, -8, 1, 3], [0, 0, 4, 6]])
    new = np.array([[7.0, NAN, 2, -3], [0, 100, -1, 0]])
    encoder = Encoder(way).fit(sparse(X))
    assert encoder.n_features_out == 4
    out = encoder.transform(sparse(X))
    assert (out.format, out.dtype) == ("csr", np.float32)
    assert_array_equal(out.toarray(), [[0, 0.25, 0, 0], [0, -1, 0.25, 0.5], [0, 0, 1, 1]])
    assert_array_equal(
        encoder.transform(sparse(new)).toarray(), [[3, 0, 0.5, -0.5], [0, 3, -0.25, 0]]
    )


# What else must hold.


def mixed(n):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 3)).round(2)
    X[rng.random(X.shape) < 0.1] = NAN
    return Table(X, rng.integers(-1, 4, size=(n, 2)).astype(np.int32))


@every_way
def test_rows_do_not_depend_on_the_rows_beside_them(way):
    """Rows are encoded in blocks, of which this table takes several."""
    table = mixed(20_000)
    encoder = Encoder(way).fit(table.rows(slice(500)))
    assert BLOCK / encoder.n_features_out < 20_000
    out = encoder.transform(table)
    some = np.array([19_999, 7, 12_345])
    assert_array_equal(encoder.transform(table.rows(some)), out[some])
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    assert_array_equal(out, encoder.transform(table, dtype=np.float64).astype(np.float32))


@every_way
def test_tables_are_not_modified(way):
    table = mixed(100)
    for array in (table.numbers, table.categories):
        array.flags.writeable = False
    Encoder(way).fit(table).transform(table)
    X = sp.csr_matrix(np.array([[0, NAN], [4, 0]]))
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    encoder = Encoder(way).fit(Table(X, np.empty((2, 0), dtype=np.int32)))
    encoder.transform(Table(X, np.empty((2, 0), dtype=np.int32)))


def test_a_second_fit_knows_nothing_of_the_first():
    wine = numbers(load_wine().data)
    encoder = Encoder().fit(sparse(np.eye(3)))
    assert_array_equal(encoder.fit(wine).transform(wine), Encoder().fit(wine).transform(wine))


def test_unknown_way():
    with pytest.raises(ValueError, match=r"^numbers='ple' must be one of \['piecewise', 'quantile"):
        Encoder("ple").fit(mixed(5))
