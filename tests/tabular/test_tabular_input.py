"""Input that is unusual or wrong: what it counts as, and what errors and warnings say."""

from __future__ import annotations

import datetime
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from snapshots import assert_unchanged, snapshot
from tables import classifier, regressor, table

from sknet.tabular import category_warnings
from sknet.tabular.columns import Columns
from sknet.tabular.folds import read_groups

X, y = table()
N = len(y)
WORDS = np.where(y > 0, "yes", "no")
DATES = [datetime.date(2020, 1, 1) + datetime.timedelta(i) for i in range(N)]


# Errors name the argument, what it holds, and what to do.

ARGUMENTS = {
    "groups, by name": ({"groups": "town"}, "groups has the shape ().*not its name"),
    "groups, two columns": ({"groups": np.ones((N, 2))}, "groups has the shape (120, 2)"),
    "groups, missing": (
        {"groups": pd.Series([None, *"ab" * 59, "b"], dtype="category")},
        "groups contains NaN: 1 of 120 values are missing",
    ),
    "weights, strings": ({"sample_weight": ["x"] * N}, "'x'. Give sample_weight as one number"),
    "weights, zeros": ({"sample_weight": np.zeros(N)}, "Give sample_weight as one number"),
    "X_val, width": (
        {"X_val": X.to_numpy()[:, :2], "y_val": y},
        "X_val has 2 features, but",
    ),
    "X_val, names": ({"X_val": X[["a"]], "y_val": y}, "The feature names of X_val should match"),
    "X_val, length": ({"X_val": X, "y_val": y[:9]}, "rows of X_val and the entries of y_val"),
    "weights_val, length": (
        {"X_val": X, "y_val": y, "sample_weight_val": np.ones(9)},
        "sample_weight_val.shape == (9,)",
    ),
    "weights_val, zeros": (
        {"X_val": X, "y_val": y, "sample_weight_val": np.zeros(N)},
        "Give sample_weight_val as one number",
    ),
    "weights_val, negative": (
        {"X_val": X, "y_val": y, "sample_weight_val": -np.ones(N)},
        "sample_weight_val has negative values",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_errors_name_the_argument(name):
    arguments, message = ARGUMENTS[name]
    model = classifier().fit(X, y)
    before = snapshot(model)
    with pytest.raises(ValueError, match=re.escape(message).replace(r"\.\*", ".*")):
        model.fit(X, y, **arguments)
    assert_unchanged(model, before)


def test_groups_that_cannot_be_hashed():
    with pytest.raises(TypeError, match="groups must hold numbers or strings"):
        read_groups(pd.Series([[1]] * 3), 3)


TARGETS = {
    "strings": (WORDS, "y must hold numbers, got <U3. For class labels use TabularMLPClassifier"),
    "dates": (pd.Series(DATES, dtype="datetime64[ns]"), "y must hold numbers, got datetime64"),
    "huge": (y * 1e200, "y must be at most 1e+150"),
    "missing": (np.where(y == 0, np.nan, y), "Input y contains NaN: "),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_are_no_numbers(name):
    target, message = TARGETS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        regressor().fit(X, target)


def test_missing_labels_are_counted():
    labels = pd.Series([None, *(y[1:] > 0)], dtype="boolean")
    with pytest.raises(ValueError, match=r"y contains NaN: 1 of 120 values are missing. Give only"):
        classifier().fit(X, labels)


def test_too_few_rows_of_numbers_are_not_said_to_be_of_a_class():
    with pytest.raises(ValueError, match="At least two are needed"):
        regressor().fit(X[:1], [1.0])


@pytest.mark.parametrize("given", [None, {"a": [1.0]}])
def test_what_is_no_table_is_named_by_its_type(given):
    with pytest.raises(ValueError, match=f"X is of the type {type(given).__name__}. Give an array"):
        classifier().fit(given, y)


def test_lazy_frames_are_to_be_collected():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # polars warns of reading names
        with pytest.raises(ValueError, match=r"X is of the type LazyFrame. Give X.collect\(\)"):
            Columns.fit(pl.LazyFrame({"a": [1.0]}))


KINDS = {
    "dates": DATES,
    "times": [datetime.time(i % 24) for i in range(N)],
    "durations": [datetime.timedelta(i) for i in range(N)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_neither_numbers_nor_categories_unless_they_are_listed(kind):
    with_times = X.assign(when=pd.Series(KINDS[kind], dtype=object))
    with pytest.raises(TypeError, match=rf"'when' \({kind}\). Replace {kind} by numbers"):
        classifier().fit(with_times, y)
    listed = Columns.fit(with_times, ["town", "when"])
    assert listed.categories_[1].size == len(set(KINDS[kind]))


# What is allowed.


@pytest.mark.parametrize(
    "groups",
    [
        np.array([3, 1, 2] * 2),
        pd.Series(["c", "a", "b"] * 2),
        pd.Categorical(["c", "a", "b"] * 2, categories=["b", "a", "c", "d"]),
        pl.Series(["c", "a", "b"] * 2),
        pd.array([3, 1, 2] * 2, dtype="Int64"),
        np.array([["c"], ["a"], ["b"]] * 2),
        np.array(["b", 1, 2] * 2, dtype=object),
        pd.to_datetime(["2003", "2001", "2002"] * 2),
    ],
    ids=["ints", "strings", "categories", "polars", "nullable", "a column", "mixed", "dates"],
)
def test_groups_of_any_kind(groups):
    # Where types differ, numbers come before strings: int before str.
    assert_array_equal(read_groups(groups, 6), [2, 0, 1] * 2)


def test_masked_values_are_missing():
    numbers = np.arange(6.0).reshape(3, 2)
    mask = [[False, True], [False, False], [True, False]]
    read = Columns.fit(numbers).read(np.ma.array(numbers, mask=mask)).numbers
    assert_array_equal(read, np.where(mask, np.nan, numbers))
    words = np.ma.array([["u"], ["v"]], mask=[[False], [True]])
    assert_array_equal(Columns.fit(words, [0]).read(words).categories, [[0], [-1]])


# Warnings of what is allowed, but is hardly meant.


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ([1, 2], ["1", "2"], "holds strings, such as '1', but .* numbers or booleans, such as 1"),
        ([True, False], ["True", "False"], "holds strings.* numbers or booleans"),
        (["u", "v"], DATES[:2], "holds dates.* are strings, such as 'u'"),
    ],
)
def test_categories_of_another_kind_than_in_fit(old, new, message):
    fitted = Columns.fit(pd.DataFrame({"k": old}), ["k"])
    with pytest.warns(UserWarning, match=f"^Column 'k' of X {message}"):
        read = fitted.read(pd.DataFrame({"k": pd.Series(new, dtype=object)}))
    assert_array_equal(read.categories, [[-2], [-2]])


@pytest.mark.parametrize("new", [["w"], [None], ["u", 1], pd.Categorical(["w"], [1, "w"])])
def test_new_or_missing_categories_of_the_same_kind_are_no_reason_to_warn(new):
    fitted = Columns.fit(pd.DataFrame({"k": ["u", "v"]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.read(pd.DataFrame({"k": pd.Series(new)}))


def test_categories_that_take_much_memory(monkeypatch):
    ids = X.assign(id=[f"row {i}" for i in range(N)])
    monkeypatch.setattr(category_warnings, "LARGE_SIZE", 4 * N * (N + 3))  # town has three levels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Columns.fit(ids)
    monkeypatch.setattr(category_warnings, "LARGE_SIZE", 4 * N * (N + 3) - 1)
    with pytest.warns(UserWarning, match=r"X has 123 different .*'id' has 120 of .* Leave out"):
        Columns.fit(ids)
