"""Data frames and the names of their columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from factories import classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from versions import needs_1_8

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def wine_frame(library):
    """Return wines with one column in words: the colour's intensity in three bins."""
    frame, y = load_wine(return_X_y=True, as_frame=True)
    shade = pd.cut(frame.pop("color_intensity"), 3, labels=["light", "medium", "dark"])
    frame = frame.iloc[:, :4].assign(shade=shade.astype(str))
    return frame if library == "pandas" else as_polars(frame), y.to_numpy()


def as_polars(frame):
    return pl.DataFrame({name: values.tolist() for name, values in frame.items()})


frames = pytest.mark.parametrize("library", ["pandas", "polars"])


def mixed_pipeline(library):
    columns = ColumnTransformer(
        [
            ("words", OneHotEncoder(sparse_output=False), ["shade"]),
            ("numbers", StandardScaler(), ["alcohol", "malic_acid", "ash", "alcalinity_of_ash"]),
        ],
        verbose_feature_names_out=False,
    )
    return make_pipeline(columns.set_output(transform=library), classifier())


@frames
def test_column_transformer(library, wine):
    X, y = wine_frame(library)
    model = mixed_pipeline(library)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.8
    net = model.fit(X, y)[-1]
    names = ["shade_dark", "shade_light", "shade_medium", "alcohol", "malic_acid", "ash"]
    assert_array_equal(net.feature_names_in_, [*names, "alcalinity_of_ash"])
    # The words are no decoration: without them the model is worse.
    numbers = StandardScaler().fit_transform(X[["alcohol", "malic_acid", "ash"]].to_numpy())
    assert classifier().fit(numbers, y).score(numbers, y) < model.score(X, y) - 0.03


@pytest.mark.parametrize("library", ["pandas", pytest.param("polars", marks=needs_1_8)])
def test_sparse_columns_out_of_a_column_transformer(library):
    X, y = wine_frame(library)
    encode = ColumnTransformer(
        [("words", OneHotEncoder(), ["shade"])], remainder="passthrough", sparse_threshold=1.0
    )
    transformed = encode.fit_transform(X)
    sparse = classifier().fit(transformed, y)
    dense = classifier().fit(transformed.toarray(), y)
    assert_allclose(sparse.predict_proba(transformed), dense.predict_proba(transformed), atol=1e-8)


@frames
@pytest.mark.parametrize("estimator", [classifier, regressor])
def test_feature_names(library, estimator):
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X, y = X.iloc[:100] * 20, (y.iloc[:100] > 120).to_numpy()
    names = list(X.columns)
    if library == "polars":
        X = as_polars(X)
    model = estimator().fit(X, y)
    assert_array_equal(model.feature_names_in_, names)
    assert_array_equal(model.predict(X), model.predict(X[names]))
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*same order"):
        model.predict(X[names[::-1]])
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*missing.*bmi"):
        model.predict(X[[name for name in names if name != "bmi"]])
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*same order"):
        model.partial_fit(X[names[::-1]], y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X.to_numpy())


@pytest.mark.filterwarnings("error:X (does not have valid|has) feature names")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_names_raise_no_warnings_on_the_inside(early_stopping):
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = classifier(early_stopping=early_stopping).fit(X, y)
    model.partial_fit(X, y) if not early_stopping else model.fit(X, y)
    assert model.score(X, y) > 0.8


def test_predictions_come_out_as_arrays_from_frames():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), classifier()).fit(X, y)
    assert type(model.predict(X)) is type(model.predict_proba(X)) is np.ndarray


def single(X):
    return pd.DataFrame(X, columns=list("abcd"), dtype=np.float32)


SINGLE_FRAMES = {
    "pandas": single,
    "pandas, nullable": lambda X: single(X).astype("Float32"),
    "pandas, partly nullable": lambda X: single(X).astype({"a": "Float32"}),
    "pandas, sparse": lambda X: single(X).astype(pd.SparseDtype("float32", 0)),
    "polars": lambda X: pl.DataFrame({c: X[:, j].astype(np.float32) for j, c in enumerate("abcd")}),
}


@pytest.mark.parametrize("form", SINGLE_FRAMES)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "early_stopping"])
def test_frames_of_float32_train_in_float32(form, method):
    X, y = load_iris(return_X_y=True)
    frame, single = SINGLE_FRAMES[form](X), X.astype(np.float32)
    ours, expected = (classifier(early_stopping=method == "early_stopping") for _ in range(2))
    for model, data in ((ours, frame), (expected, single)):
        if method == "partial_fit":
            model.partial_fit(data, y, classes=[0, 1, 2])
        else:
            model.fit(data, y)
    assert ours.coefs_[0].dtype == np.float32
    assert_array_equal(ours.predict_proba(frame), expected.predict_proba(single))


DOUBLE_FRAMES = {
    "pandas, nullable": lambda X: pd.DataFrame(X, columns=list("abcd")).astype("Float64"),
    "pandas, one double": lambda X: single(X).astype("Float32").astype({"a": "Float64"}),
    # int32 and float32 together need float64, as in numpy.result_type.
    "pandas, integers": lambda X: single(X).astype("Float32").round().astype({"a": "Int32"}),
    "polars, one double": lambda X: SINGLE_FRAMES["polars"](X).with_columns(
        pl.col("a").cast(float)
    ),
}


@pytest.mark.parametrize("form", DOUBLE_FRAMES)
def test_other_frames_train_in_float64(form):
    X, y = load_iris(return_X_y=True)
    assert classifier(max_iter=1).fit(DOUBLE_FRAMES[form](X), y).coefs_[0].dtype == np.float64


@pytest.mark.parametrize("column", [["a"] * 150, pd.date_range("2020", periods=150)])
def test_columns_that_are_no_numbers(column):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=r"not numbers: 'e' \((strings|dates)\)"):
        classifier().fit(single(X).assign(e=column), y)
