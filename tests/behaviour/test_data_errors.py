"""Errors about X and y name the argument, the columns and the remedy."""

from __future__ import annotations

import re
import traceback

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from factories import SMALL

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:X has feature names"
)

N = 8
SETTINGS = SMALL | {"batch_size": N}
NUMBERS = np.arange(N) / N
LABELS = np.arange(N) % 2
X = np.column_stack([NUMBERS, NUMBERS])
WORDS = list("xyxyxyxy")
DAYS = pd.date_range("2020-01-01", periods=N)
ENCODE = "Encode them, for example with OneHotEncoder in a ColumnTransformer."
REPLACE = "Replace dates by numbers, such as the year or the weekday."
SECONDS = "Replace durations by numbers, such as their seconds."
REASON = " (could not convert string to float: 'x')"

CALLS = {
    "fit": lambda model, X: model.fit(X, LABELS),
    "partial_fit": lambda model, X: model.partial_fit(X, LABELS),
    "predict": lambda model, X: model.predict(X),
    "score": lambda model, X: model.score(X, LABELS),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture(params=[MLPClassifier, MLPRegressor])
def model(request):
    return request.param(**SETTINGS).fit(X, LABELS)


# Columns that are not numbers.

COLUMNS = {
    "strings": (WORDS, f"'c' (strings). {ENCODE}{REASON}"),
    "categories": (pd.Categorical(WORDS), f"'c' (strings). {ENCODE}{REASON}"),
    "string dtype": (pd.array(WORDS, dtype="string"), f"'c' (strings). {ENCODE}{REASON}"),
    "missing strings": ([None, np.nan, *WORDS[2:]], f"'c' (strings). {ENCODE}{REASON}"),
    "objects": ([1.5, object(), *range(6)], f"'c' (objects of the type object). {ENCODE}"),
    "dates": (DAYS, f"'c' (dates). {REPLACE}"),
    "dates with a zone": (DAYS.tz_localize("UTC"), f"'c' (dates). {REPLACE}"),
    "dates as objects": (pd.Series(DAYS.date, dtype=object), f"'c' (dates). {REPLACE}"),
    "periods": (DAYS.to_period(), f"'c' (dates). {REPLACE}"),
    "durations": (DAYS - DAYS[0], f"'c' (durations). {SECONDS}"),
}


@pytest.mark.parametrize("name", COLUMNS)
@every_call
def test_columns_that_are_not_numbers(model, call, name):
    values, expected = COLUMNS[name]
    message = f"X has columns that are not numbers: {expected}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$") as caught:
        call(model, pd.DataFrame({"a": NUMBERS, "c": values}))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@every_call
def test_columns_of_several_kinds(model, call, library):
    frame = library.DataFrame({"a": NUMBERS, "cat": WORDS, "day": DAYS.to_list()})
    message = f"not numbers: 'cat' (strings), 'day' (dates). {ENCODE} {REPLACE}"
    with pytest.raises(ValueError, match=re.escape(message)):
        call(model, frame)


def test_many_columns_are_counted(model):
    frame = pd.DataFrame({f"c{i}": WORDS for i in range(20)})
    with pytest.raises(ValueError, match=r"'c7' \(strings\) and 12 more\. Encode"):
        model.fit(frame, LABELS)


@pytest.mark.parametrize("as_given", [list, lambda rows: np.array(rows, object)])
@every_call
def test_columns_without_names_have_positions(model, call, as_given):
    rows = list(zip(NUMBERS, WORDS, strict=True))
    with pytest.raises(ValueError, match=r"not numbers: 1 \(strings\)\. Encode"):
        call(model, as_given(rows))


@pytest.mark.parametrize(
    "column", [["1", "2"] * 4, pd.Categorical([1, 2] * 4)], ids=["strings", "categories"]
)
def test_columns_that_can_be_converted_still_are(model, column):
    frame = pd.DataFrame({"a": NUMBERS, "c": column})
    as_numbers = np.column_stack([NUMBERS, [1, 2] * 4])
    fitted = model.fit(frame, LABELS).coefs_[0]
    np.testing.assert_array_equal(fitted, model.fit(as_numbers, LABELS).coefs_[0])


def test_other_errors_are_not_about_columns(model):
    with pytest.raises(ValueError, match=r"^X has 1 features, but \w+ is expecting 2 features"):
        model.predict(pd.DataFrame({"day": DAYS}).to_numpy())


def test_validation_data_are_named(model):
    with pytest.raises(ValueError, match=r"^X_val has columns that are not numbers: 'c'"):
        model.fit(X, LABELS, X_val=pd.DataFrame({"c": WORDS}), y_val=LABELS)
    with pytest.raises(ValueError, match=r"^Input X_val contains NaN"):
        model.fit(X, LABELS, X_val=X * np.nan, y_val=LABELS)
    with pytest.raises(ValueError, match=r"^Input y_val contains NaN"):
        model.fit(X, LABELS, X_val=X, y_val=LABELS * np.nan)


# Shapes.


@every_call
def test_images(model, call):
    with pytest.raises(ValueError, match=r"\(8, 28, 28\).* each image.*X\.reshape\(len\(X\), -1\)"):
        call(model, np.zeros((N, 28, 28)))


def test_one_row_is_not_printed(model):
    with pytest.raises(ValueError, match="Reshape your data") as caught:
        model.predict(np.zeros(784))
    printed = "".join(traceback.format_exception(caught.value))
    assert "X has the shape (784,)" in printed
    assert "X.reshape(1, -1)" in printed
    assert "0. 0." not in printed


def test_one_image():
    model = MLPClassifier(**SETTINGS).fit(np.zeros((N, 6)), LABELS)
    with pytest.raises(ValueError, match=r"the shape \(2, 3\).*as one row: X\.reshape\(1, -1\)"):
        model.predict(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"expecting 6 features as input\.$"):
        model.predict(np.zeros((3, 3)))


# Missing targets.

MISSING = {
    "objects": np.array(["a", np.nan] * 4, object),
    "series": pd.Series(["a", None] * 4),
    "string dtype": pd.Series(["a", None] * 4, dtype="string"),
    "categories": pd.Series(pd.Categorical(["a", None] * 4)),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_labels(name):
    y = MISSING[name]
    message = "contains NaN: 4 of 8 values are missing"
    if name == "series" and y.dtype == object:  # pandas 2 keeps None
        message = "without None"
    for model in (MLPClassifier(**SETTINGS), MLPClassifier(**SETTINGS, warm_start=True)):
        with pytest.raises(ValueError, match=rf"y\b.* {message}"):
            model.fit(X, y)
    with pytest.raises(ValueError, match=rf"y\b.* {message}"):
        MLPClassifier(**SETTINGS).partial_fit(X, y, classes=["a", "b"])


def test_missing_numbers():
    with pytest.raises(ValueError, match=r"^Input y contains NaN: 1 of 8 values are missing"):
        MLPRegressor(**SETTINGS).fit(X, [None, *NUMBERS[1:]])


def test_missing_numbers_of_several_targets():
    y = pd.DataFrame({"a": NUMBERS, "b": [None, *NUMBERS[1:]]}, dtype=object)
    with pytest.raises(ValueError, match=r"^Input y contains NaN: 1 of 16 values are missing"):
        MLPRegressor(**SETTINGS).fit(X, y)


def test_infinite_objects():
    y = np.array([np.inf, *NUMBERS[1:]], object)
    with pytest.raises(ValueError, match=r"^Input y contains infinity\."):
        MLPRegressor(**SETTINGS).fit(X, y)
    with pytest.raises(ValueError, match=r"^Input y_val contains infinity\."):
        MLPRegressor(**SETTINGS).fit(X, NUMBERS, X_val=X, y_val=y)


def test_sparse_data_of_other_width(model):
    """The number of values of a sparse matrix says nothing about its shape."""
    with pytest.raises(ValueError, match=r"expecting 2 features as input\.$"):
        model.predict(sp.csr_array([[1.0, 2.0, 0.0]]))


def test_a_regressor_names_y_that_holds_strings():
    with pytest.raises(ValueError, match=r"^y must hold numbers.*MLPClassifier.*'x'"):
        MLPRegressor(**SETTINGS).fit(X, np.array(WORDS, object))
