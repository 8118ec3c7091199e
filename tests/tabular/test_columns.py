"""X of any kind as a table of numbers and categories."""

from __future__ import annotations

import datetime
import pickle
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from processes import run_script
from sklearn.base import BaseEstimator

from sknet.tabular.columns import MISSING, UNSEEN, Columns, Table

NAN = np.nan
ROWS = [
    [1.0, "red", True, 7],
    [2.5, "blue", False, 9],
    [None, None, None, 7],
    [4.0, "red", True, 8],
]
NAMES = ["size", "colour", "new", "shop"]
NUMBERS = [[1.0, 7], [2.5, 9], [NAN, 7], [4.0, 8]]
CODES = [[1, 1], [0, 0], [MISSING, MISSING], [1, 1]]


def as_pandas(rows, **dtypes):
    return pd.DataFrame(rows, columns=NAMES).astype(dtypes)


def as_polars(rows, **dtypes):
    columns = zip(*rows, strict=True)
    frame = pl.DataFrame({name: list(values) for name, values in zip(NAMES, columns, strict=True)})
    return frame.with_columns(pl.col(name).cast(dtype) for name, dtype in dtypes.items())


def as_objects(rows):
    return np.array(rows, dtype=object)


FORMS = {
    "pandas": as_pandas,
    "pandas, categories": lambda rows: as_pandas(rows, colour="category", new="boolean"),
    "pandas, nullable": lambda rows: as_pandas(rows, size="Float64", colour="string", shop="Int64"),
    "pandas, Arrow": lambda rows: as_pandas(
        rows, size="float64[pyarrow]", colour="string[pyarrow]", new="bool[pyarrow]"
    ),
    "polars": as_polars,
    "polars, categories": lambda rows: as_polars(rows, colour=pl.Categorical),
    "polars, enumeration": lambda rows: as_polars(rows, colour=pl.Enum(["red", "green", "blue"])),
    "objects": as_objects,
    "lists": lambda rows: rows,
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def fit(X, categorical_features=None):
    """Fit to X, whose columns 1 and 2 hold categories. Frames say so themselves."""
    if categorical_features is None:
        categorical_features = "from_dtype" if hasattr(X, "columns") else [1, 2]
    return Columns.fit(X, categorical_features)


def assert_table(table, numbers, codes):
    assert_array_equal(table.numbers, numbers)
    assert_array_equal(table.categories, codes)
    assert table.numbers.dtype == np.float64
    assert table.categories.dtype == np.int32
    assert table.n_rows == len(codes)


@every_form
def test_every_form_is_the_same_table(form):
    X = form(ROWS)
    columns = fit(X)
    assert columns.n_features_in_ == 4
    assert_array_equal(columns.is_categorical_, [False, True, True, False])
    assert [levels.tolist() for levels in columns.categories_] == [["blue", "red"], [False, True]]
    assert_table(columns.read(X), NUMBERS, CODES)


@every_form
def test_new_rows(form):
    """Levels that fit has not seen, a missing value where there was none, and one row alone."""
    new = [[3.0, "green", True, None], [None, "blue", None, 11]]
    columns = fit(form(ROWS))
    numbers, codes = [[3.0, NAN], [NAN, 11]], [[UNSEEN, 1], [0, MISSING]]
    assert_table(columns.read(form(new)), numbers, codes)
    assert_table(columns.read(form(new[:1])), numbers[:1], codes[:1])


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("first", FORMS)
def test_one_form_is_read_as_another(first):
    columns = fit(FORMS[first](ROWS))
    for form in FORMS.values():
        assert_table(columns.read(form(ROWS)), NUMBERS, CODES)


def test_rows_of_a_table():
    table = fit(ROWS).read(ROWS)
    assert_table(table.rows(np.array([3, 0])), [NUMBERS[3], NUMBERS[0]], [CODES[3], CODES[0]])
    assert_table(table.rows(slice(1, 3)), NUMBERS[1:3], CODES[1:3])


def test_pickle():
    columns = pickle.loads(pickle.dumps(fit(as_pandas(ROWS))))
    assert_table(columns.read(as_pandas(ROWS)), NUMBERS, CODES)


# What is a category.

DATES = [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]
KINDS = {
    "integers": (pd.Series([1, 2]), False),
    "floats": (pl.Series([1.0, 2.0]), False),
    "decimals": (pl.Series([Decimal("1.5"), None]), False),
    "sparse": (pd.Series([0, 1], dtype=pd.SparseDtype("int64", 0)), False),
    "objects, numbers": (pd.Series([1, None], dtype=object), False),
    "objects, decimals": (pd.Series([Decimal("1.5"), NAN], dtype=object), False),
    "objects, NA": (pd.Series([2.5, pd.NA], dtype=object), False),
    "objects, booleans": (pd.Series([True, None], dtype=object), True),
    "objects, strings": (pd.Series([1, "2"], dtype=object), True),
    "objects, dates and strings": (pd.Series([DATES[0], "?"], dtype=object), True),
    "objects, none": (pd.Series([None, None], dtype=object), True),
    "categories, numbers": (pd.Series([3, 4], dtype="category"), True),
    "booleans": (pd.Series([True, False]), True),
    "booleans of polars": (pl.Series([True, None]), True),
    "strings": (pd.Series(["1", "2"]), True),
    "dictionary": (
        pd.Series(["a", "b"], dtype="category").convert_dtypes(dtype_backend="pyarrow"),
        True,
    ),
}


def frame_of(column):
    library = pl if isinstance(column, pl.Series) else pd
    return library.DataFrame({"c": column})


@pytest.mark.parametrize("name", KINDS)
def test_categories_by_dtype(name):
    column, expected = KINDS[name]
    columns = Columns.fit(frame_of(column))
    assert columns.is_categorical_.tolist() == [expected]
    table = columns.read(frame_of(column))
    assert table.numbers.shape == (2, not expected)
    assert table.categories.shape == (2, expected)
    if not expected:
        values = [NAN if pd.isna(value) else float(value) for value in column.to_list()]
        assert_array_equal(table.numbers[:, 0], values)


def test_levels_that_do_not_occur_are_left_out():
    column = pd.Series(pd.Categorical(["b", "b", "a"], categories=["c", "b", "a"]))
    columns = Columns.fit(frame_of(column))
    assert columns.categories_[0].tolist() == ["a", "b"]
    columns.categories_[0] = columns.categories_[0][:0]
    assert_array_equal(columns.read(frame_of(column)).categories, [[UNSEEN]] * 3)


def test_levels_of_several_types_have_an_order():
    orders = [
        Columns.fit(np.array([values], object).T, [0]).categories_[0].tolist()
        for values in ([2, "b", 1, "a"], ["a", 1, "b", 2])
    ]
    assert orders == [[1, 2, "a", "b"]] * 2


MISSING_VALUES = [None, NAN, float("nan"), np.float32("nan"), pd.NA, pd.NaT]


@pytest.mark.parametrize("make", [as_objects, pd.DataFrame])
def test_all_missing_values(make):
    rows = [[value, value] for value in MISSING_VALUES]
    X = make([[1.5, "a"], *rows])
    table = Columns.fit(X, [1]).read(X)
    n = len(MISSING_VALUES)
    assert_table(table, [[1.5], *[[NAN]] * n], [[0], *[[MISSING]] * n])


def test_numbers_as_categories():
    X = np.array([[3.5, 1], [NAN, 2], [-1, 3], [3.5, NAN]])
    columns = Columns.fit(X, [0])
    assert columns.categories_[0].tolist() == [-1, 3.5]
    assert_table(columns.read(X), X[:, 1:], [[1], [MISSING], [0], [1]])
    assert columns.read(X.astype(np.float32)).categories.tolist() == [[1], [-1], [0], [1]]


@pytest.mark.parametrize(
    "listed",
    [
        ["colour", "new"],
        np.array(["new", "colour"]),
        pd.Index(["colour", "new"]),
        [1, 2],
        (2, 1),
        np.array([1, 2], dtype=np.uint8),
        [False, True, True, False],
        pd.Series([False, True, True, False]),
    ],
)
def test_categorical_features(listed):
    X = as_pandas(ROWS)
    assert_array_equal(Columns.fit(X, listed).is_categorical_, [False, True, True, False])
    assert_array_equal(Columns.fit(as_polars(ROWS), listed).is_categorical_, [0, 1, 1, 0])


@pytest.mark.parametrize("listed", [None, [], np.array([])])
def test_no_categorical_features(listed):
    X = pd.DataFrame({"b": [True, False], "c": pd.Categorical([3, 4]), "s": ["1", "2.5"]})
    columns = Columns.fit(X, listed)
    assert_table(columns.read(X), [[1, 3, 1], [0, 4, 2.5]], np.empty((2, 0)))


@pytest.mark.parametrize("listed", ["from_dtype", None])
def test_arrays_hold_numbers_unless_told_otherwise(listed):
    for X in ([["1", 2], [True, None]], np.array([["1", "2"], ["1", "nan"]])):
        assert_table(Columns.fit(X, listed).read(X), [[1, 2], [1, NAN]], np.empty((2, 0)))


values = st.one_of(
    st.none(), st.just(NAN), st.text(max_size=3), st.integers(-3, 3), st.floats(), st.booleans()
)


@pytest.mark.filterwarnings("ignore:Column 0 of X holds:UserWarning")  # strings or numbers only
@given(st.lists(values, min_size=1, max_size=20), st.lists(values, min_size=1, max_size=20))
def test_levels_of_any_values(old, new):
    """A code leads back to the value, for old and for new values."""
    old, new = (np.array([column, [0] * len(column)], object).T for column in (old, new))
    columns = Columns.fit(old, [0])
    levels = columns.categories_[0].tolist()
    assert len(set(levels)) == len(levels)
    for X in (old, new):
        for value, code in zip(X[:, 0], columns.read(X).categories[:, 0], strict=True):
            if pd.isna(value):
                assert code == MISSING
            elif code == UNSEEN:
                assert value not in levels
            else:
                assert levels[code] == value
    assert UNSEEN not in columns.read(old).categories


# Errors.

DAYS = pd.date_range("2020-01-01", periods=2)
OBJECT = np.array([[1, {}], [2, {}]], dtype=object)
REASON = "(could not convert string to float: 'x')"
LIST_THEM = "If they hold categories, list them in categorical_features, for example"
GIVE = "Give a number in each row, or NaN where it is missing."
REPLACE = "Replace dates by numbers, such as the year or the weekday."


def two(column):
    return pd.DataFrame({"a": [1, 2], "c": column})


NOT_NUMBERS = {
    "lists": ([[1, "x"]], f"1 (strings). {LIST_THEM} categorical_features=[1]. {REASON}"),
    "strings": (
        two(["x", None]),
        f"'c' (strings). {LIST_THEM} categorical_features=['c']. {REASON}",
    ),
    "polars": (
        pl.DataFrame({"c": ["x", None]}),
        f"'c' (strings). {LIST_THEM} categorical_features=['c']. {REASON}",
    ),
    "dates": (two(DAYS), f"'c' (dates). {REPLACE}"),
    "array of dates": (np.array([DAYS]).T, f"0 (dates). {REPLACE}"),
    "dates of polars": (pl.DataFrame({"c": DATES}), f"'c' (dates). {REPLACE}"),
    "durations": (
        two(DAYS - DAYS[0]),
        "'c' (durations). Replace durations by numbers, such as their seconds.",
    ),
    "complex": (two([1j, 2]), f"'c' (objects of the type complex). {GIVE}"),
    "objects": (
        OBJECT,
        f"1 (objects of the type dict). {GIVE} "
        "(float() argument must be a string or a real number, not 'dict')",
    ),
}


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_columns_that_are_not_numbers(name):
    X, expected = NOT_NUMBERS[name]
    kind = TypeError if name == "objects" else ValueError
    message = f"X has columns that are not numbers: {expected}"
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        Columns.fit(X, None).read(X)


def test_all_columns_that_are_not_numbers_are_named():
    X = pd.DataFrame({"a": [1, 2], "s": ["x", "y"], "d": DAYS, "b": [1, 2], "t": ["u", "v"]})
    expected = f"'s' (strings), 'd' (dates), 't' (strings). {LIST_THEM} "
    expected += f"categorical_features=['s', 't']. {REPLACE} {REASON}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        Columns.fit(X, None).read(X)


def test_strings_in_a_column_that_held_numbers():
    columns = Columns.fit(pd.DataFrame({"a": [1.0, 2]}))
    with pytest.raises(ValueError, match=r"^X_val has columns that are not numbers: 'a' "):
        columns.read(pd.DataFrame({"a": [1, "x"]}), ending="_val")


@pytest.mark.parametrize("listed", ["from_dtype", ["c"]])
def test_values_that_cannot_be_levels(listed):
    message = r"^Column 'c' of X cannot be read as categories \(unhashable type: 'list'\)\. Give"
    with pytest.raises(TypeError, match=message):
        Columns.fit(two([[1], [2]]), listed)
    with pytest.raises(TypeError, match=r"^Column 1 of X "):
        Columns.fit(OBJECT, [1])


INFINITE = {
    "array": np.array([[1, np.inf]]),
    "negative": np.array([[1, -np.inf]], dtype=np.float32),
    "objects": np.array([[1, np.inf]], dtype=object),
    "too large": np.array([["1", "1e400"]]),
    "csr": sp.csr_array([[1, np.inf]]),
    "coo": sp.coo_array([[1, np.inf]]),
}


@pytest.mark.parametrize("name", INFINITE)
def test_infinite_numbers(name):
    X = INFINITE[name]
    with pytest.raises(ValueError, match=r"^Input X_val contains infinity .* these columns: 1\. "):
        Columns.fit(X).read(X, ending="_val")


def test_infinite_numbers_beside_categories():
    for X in (two([1, np.inf]), pl.from_pandas(two([1, np.inf]))):
        with pytest.raises(ValueError, match="these columns: 'c'"):
            Columns.fit(X, ["a"]).read(X)


def test_all_columns_of_infinite_numbers_are_counted():
    with pytest.raises(ValueError, match=r"0, 1, 2, 3, 4, 5, 6, 7 and 12 more\. Give finite"):
        Columns.fit(np.full((3, 20), np.inf)).read(np.full((3, 20), np.inf))


BAD_FEATURES = {
    "unknown name": (["colour", "color"], r"\['colour', 'color'\].* not columns of X: 'color'\."),
    "position": ([1, 4, -1], r"\[1, 4, -1\].* outside of X: \[4, -1\]\. .* from 0 to 3\."),
    "mask": ([True, False], r"has 2 booleans, but X has 4 columns"),
    "one name": ("colour", r"='colour' must be 'from_dtype', None, or a list"),
    "number": (1, r"=1 must be 'from_dtype', None, or a list"),
    "fractions": ([1.0, 2.0], r"=\[1\.0, 2\.0\] must be"),
    "mixed": (["colour", 2], r"=\['colour', 2\] must be"),
    "nested": ([[1], [2]], r"=\[\[1\], \[2\]\] must be"),
}


@pytest.mark.parametrize("name", BAD_FEATURES)
def test_bad_categorical_features(name):
    listed, message = BAD_FEATURES[name]
    with pytest.raises(ValueError, match=f"^categorical_features.*{message}"):
        Columns.fit(as_pandas(ROWS), listed)


def test_names_need_names():
    with pytest.raises(ValueError, match="names columns, but X has no names"):
        Columns.fit(as_objects(ROWS), ["colour"])


SHAPES = {
    "one dimension": (np.ones(3), r"Expected 2D array, got 1D array .* Reshape your data: X_val\."),
    "list": ([1, 2], r"Expected 2D array, got 1D array .* Reshape your data"),
    "series": (pd.Series([1, 2]), r"Expected a 2-dimensional container"),
    "images": (np.ones((2, 3, 3)), r"Found array with dim 3"),
    "no rows": (np.ones((0, 3)), r"Found array with 0 sample\(s\) \(shape=\(0, 3\)\)"),
    "no rows in a frame": (as_pandas(ROWS)[:0], r"Found array with 0 sample\(s\)"),
    "no rows in polars": (as_polars(ROWS)[:0], r"Found array with 0 sample\(s\)"),
    "no columns": (np.ones((3, 0)), r"Found array with 0 feature\(s\)"),
    "no columns in a frame": (pd.DataFrame(index=[1, 2]), r"0 feature\(s\) \(shape=\(2, 0\)\)"),
    "several lengths": ([[1], [1, 2]], r"inhomogeneous"),
    "complex": (np.ones((2, 2)) * 1j, r"Complex data not supported"),
    "sparse, complex": (sp.csr_array(np.ones((2, 2)) * 1j), r"Complex data not supported"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_bad_shapes(name):
    X, message = SHAPES[name]
    columns = Columns.fit(np.ones((2, 3)))
    with pytest.raises(ValueError, match=message):
        columns.read(X, ending="_val")
    with pytest.raises(ValueError, match=message.replace("X_val", "X")):
        Columns.fit(X)


# scikit-learn's attributes.


class Estimator(BaseEstimator):
    """Fitted, as scikit-learn's functions see it."""


@pytest.mark.parametrize("form", [as_pandas, as_polars])
def test_names_are_those_of_the_estimator(form):
    X, estimator = form(ROWS), Estimator()
    columns = Columns.fit(X, "from_dtype", estimator)
    for owner in (columns, estimator):
        assert_array_equal(owner.feature_names_in_, NAMES)
        assert owner.n_features_in_ == 4
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*same order"):
        columns.read(X[NAMES[::-1]], estimator)
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*missing.*shop"):
        columns.read(X[NAMES[:-1]], estimator)
    with pytest.warns(UserWarning, match="feature names, but Estimator was fitted with"):
        columns.read(as_objects(ROWS), estimator)
    with pytest.raises(ValueError, match="minimum of 1 is required by Estimator"):
        columns.read(X[:0], estimator)


def test_number_of_columns_is_that_of_the_estimator():
    estimator = Estimator()
    columns = Columns.fit(np.ones((2, 3)), None, estimator)
    assert not hasattr(columns, "feature_names_in_")
    with pytest.raises(ValueError, match="X has 2 features, but Estimator is expecting 3"):
        columns.read(np.ones((2, 2)), estimator)


def test_names_of_another_fit_are_forgotten():
    estimator = Estimator()
    Columns.fit(as_pandas(ROWS), "from_dtype", estimator)
    Columns.fit(np.ones((2, 3)), None, estimator)
    assert not hasattr(estimator, "feature_names_in_")


def test_names_of_several_types_are_refused():
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        Columns.fit(pd.DataFrame({0: [1], "a": [1]}))


# Sparse numbers.

SPARSE = np.array([[0, 1.5, 0], [2, 0, NAN], [0, 0, -3]])


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "lil", "dok"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_sparse(format, kind):
    X = getattr(sp, f"{format}_{kind}")(SPARSE)
    columns = Columns.fit(X)
    assert columns.is_sparse_
    for rows in (X, SPARSE):
        table = columns.read(rows)
        assert table.numbers.format == "csr"
        assert_table(Table(table.numbers.toarray(), table.categories), SPARSE, np.empty((3, 0)))
    assert_array_equal(table.rows(np.array([2, 1])).numbers.toarray(), SPARSE[[2, 1]])


def test_sparse_rows_of_a_dense_fit():
    X = np.nan_to_num(SPARSE)
    columns = Columns.fit(X, [0])
    assert_table(columns.read(sp.csr_array(X)), X[:, 1:], [[0], [1], [0]])


def test_values_of_the_same_place_are_added_up_in_a_copy():
    X = sp.csr_array((np.array([1.0, 2, 4]), [1, 1, 0], [0, 2, 3]), shape=(2, 2))
    assert_array_equal(Columns.fit(X).read(X).numbers.toarray(), [[0, 3], [4, 0]])
    assert X.data.tolist() == [1, 2, 4]


def test_sparse_categories_are_refused():
    with pytest.raises(ValueError, match=r"^categorical_features=\[0\] needs a dense X"):
        Columns.fit(sp.csr_array(SPARSE), [0])


def test_sparse_arrays_that_contradict_each_other():
    X = sp.csr_array(SPARSE)
    X.indices[0] = 1000
    with pytest.raises(ValueError, match="indices"):
        Columns.fit(X)


# What else must hold.


@every_form
def test_nothing_given_is_modified(form):
    X, twin = form(ROWS), form(ROWS)
    columns = fit(X)
    table = columns.read(X)
    assert_table(table, NUMBERS, CODES)
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_frame_equal(X, twin)
    elif isinstance(X, pl.DataFrame):
        assert X.equals(twin)
    else:
        assert_array_equal(np.array(X, object), np.array(twin, object))


def test_arrays_may_be_read_only():
    X = np.asfortranarray([[1.0, 2], [3, 4]])
    X.flags.writeable = False
    assert_table(Columns.fit(X, [0]).read(X), X[:, 1:], [[0], [1]])


def test_libraries_of_frames_need_not_be_there():
    """They are taken away here: scikit-learn itself imports pandas where it is installed."""
    script = """
import sys

class NotThere:
    def find_spec(self, name, path, target=None):
        if name in ("pandas", "polars", "pyarrow"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotThere())
import numpy as np
from sknet.tabular.columns import Columns
from sknet.tabular.encoding import Encoder

X = np.array([[1, "a"], [None, "b"], [3, None]], dtype=object)
table = Columns.fit(X, [1]).read(X)
print(Encoder().fit(table).transform(table).shape, "numba" in sys.modules)
"""
    assert run_script(script) == "(3, 5) False\n"
