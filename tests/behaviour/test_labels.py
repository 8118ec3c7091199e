"""Labels of any form are learned as what they mean, and messages speak of them as given."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from comparisons import ATOL
from factories import BOTH, SMALL, classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.preprocessing import LabelBinarizer
from snapshots import assert_same_weights, assert_unchanged, snapshot
from versions import STOPS_EARLY_ON_STRINGS, needs_names_of_rare_classes

from sknet import MLPClassifier
from sknet.estimators import user_warnings
from sknet.estimators.labels import integer_binarizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def several(digits):
    """Return digits, and three labels of 0 and 1: parity, size, and whether it has a loop."""
    X, digit = digits[0][:200], digits[1][:200]
    return X, np.column_stack([digit % 2 == 0, digit > 4, np.isin(digit, [0, 6, 8, 9])]).astype(int)


# Indicator matrices.

INDICATORS = {
    "bool": lambda Y: Y.astype(bool),
    "0 and 2": lambda Y: 2 * Y,
    "0 and 255, uint8": lambda Y: (255 * Y).astype(np.uint8),
    "0.0 and 2.0": lambda Y: 2.0 * Y,
    "sparse": sp.csr_array,
    "sparse matrix, columns": sp.csc_matrix,
    "sparse, 0 and 3": lambda Y: sp.coo_array(3 * Y),
}
every_indicator = pytest.mark.parametrize("form", INDICATORS)


@every_indicator
@pytest.mark.parametrize("method", ["fit", "partial_fit", "warm start"])
def test_every_value_but_0_is_a_label_as_in_scikit_learn(form, method, several):
    X, Y = several
    values = INDICATORS[form](Y)
    models = [classifier(library, max_iter=5) for library in BOTH]
    for model in models:
        if method == "partial_fit":
            model.partial_fit(X, values, classes=[0, 1, 2]).partial_fit(X, values)
        elif method == "warm start":
            model.set_params(warm_start=True).fit(X, values).fit(X, values)
        else:
            model.fit(X, values)
    ours, theirs = (model.predict(X) for model in models)
    assert_allclose(*(model.predict_proba(X) for model in models), rtol=0, atol=ATOL)
    assert type(ours) is type(theirs)
    assert ours.dtype == theirs.dtype
    assert_array_equal(*(p.toarray() if sp.issparse(p) else p for p in (ours, theirs)))


@every_indicator
@pytest.mark.parametrize("is_given", [True, False], ids=["X_val", "held out"])
def test_values_of_labels_change_nothing_else(form, is_given, several):
    """Class weights and scores on validation data are those of labels of 0 and 1."""
    X, Y = several

    def fitted(change):
        model = classifier(
            max_iter=5, class_weight="balanced", scoring="f1_macro", early_stopping=True
        )
        return model.fit(X, change(Y), **({"X_val": X, "y_val": change(Y)} if is_given else {}))

    model, plain = fitted(INDICATORS[form]), fitted(np.array)
    assert_same_weights(model, plain)
    assert model.validation_scores_ == plain.validation_scores_
    assert model.best_validation_score_ > 0.5


@pytest.mark.parametrize(
    ("change", "values"),
    [
        (lambda Y: 2 * Y - 1, "-1  1"),
        (lambda Y: -Y, "-1  0"),
        (lambda Y: -Y.astype(float), "-1. -0."),
        (lambda Y: Y + 1, "1 2"),
        (lambda Y: sp.csr_array(-Y), "-1  0"),
    ],
    ids=["-1 and 1", "-1 and 0", "-1.0 and 0.0", "1 and 2", "sparse -1"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "later", "y_val"])
def test_values_that_would_all_be_labels_are_refused(change, values, method, several):
    X, Y = several
    model = MLPClassifier(**SMALL)
    if method == "later":
        model.partial_fit(X, Y, classes=[0, 1, 2])
    before = snapshot(model)
    calls = {
        "fit": lambda: model.fit(X, change(Y)),
        "partial_fit": lambda: model.partial_fit(X, change(Y), classes=[0, 1, 2]),
        "later": lambda: model.partial_fit(X, change(Y)),
        "y_val": lambda: model.fit(X, Y, X_val=X, y_val=change(Y)),
    }
    message = (
        re.escape(f"indicator matrix of the values [{values}]") + ".*0 where a label is absent"
    )
    with pytest.raises(ValueError, match=message):
        calls[method]()
    assert_unchanged(model, before)


def test_labels_that_all_or_no_samples_have(several):
    X, Y = several
    for value in (0, 1, 7):
        same = np.full_like(Y, value)
        model, theirs = (classifier(library, max_iter=5).fit(X, same) for library in BOTH)
        assert_allclose(model.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=ATOL)


def test_fractions_in_a_later_batch_are_refused(several):
    X, Y = several
    model = MLPClassifier(**SMALL).partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="Unknown label type: continuous-multioutput"):
        model.partial_fit(X, Y / 2)


# Messages.

LABELS = {
    "str": np.array(["no", "yes"]),
    "object": np.array(["no", "yes"], object),
    "bool": np.array([False, True]),
    "int": np.array([-7, 30]),
    "float": np.array([1.0, 2.0]),
}


@needs_names_of_rare_classes
@pytest.mark.parametrize("kind", LABELS)
def test_a_split_names_labels_of_too_few_samples(kind, digits):
    X, labels = digits[0][:60], LABELS[kind]
    y = labels[np.r_[np.zeros(59, int), 1]]
    rare = re.escape(str(labels[1:].tolist()))
    with pytest.raises(ValueError, match=rf"early_stopping.*too few members are: {rare}"):
        MLPClassifier(early_stopping=True, **SMALL).fit(X, y)


def test_splits_of_two_classes_are_scikit_learn_s_whatever_the_labels(cancer):
    X, y = cancer
    for labels in (*LABELS.values(), np.array(["2020-01-01", "2021-01-01"], "M8[D]")):
        if labels.dtype.kind in "UO" and not STOPS_EARLY_ON_STRINGS:
            continue  # an error of scikit-learn's
        ours, theirs = (
            classifier(library, early_stopping=True, max_iter=5).fit(X, labels[y])
            for library in BOTH
        )
        assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=0, atol=ATOL)


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        ([0, 1, 2], r"types int\. Give y\.astype\(int\)"),
        ([np.int64(3), 4, True], r"types bool, int, int64\. Give y\.astype\(int\)"),
        ([0.0, 1, 2], r"types float, int\. Give y\.astype\(float\)"),
        ([True, False, True], r"types bool\. Give y\.astype\(bool\)"),
        (["a", 1, 2], r"types int, str\. Give y\.astype\(str\)"),
        ([1, None, 2], r"types NoneType, int\. Give the rows that have a label"),
    ],
)
@pytest.mark.parametrize("call", ["fit", "partial_fit", "warm start", "y_val"])
def test_objects_that_are_no_strings(labels, advice, call, digits):
    X, y = digits[0][:30], np.array(labels * 10, object)
    model = MLPClassifier(**SMALL)
    known = np.arange(30) % 3
    if call in ("partial_fit", "warm start"):
        model.set_params(warm_start=True).fit(X, known)
    calls = {
        "fit": lambda: model.fit(X, y),
        "warm start": lambda: model.fit(X, y),
        "partial_fit": lambda: model.partial_fit(X, y),
        "y_val": lambda: model.fit(X, known, X_val=X, y_val=y),
    }
    with pytest.raises(ValueError, match=r"y has the dtype object.*" + advice):
        calls[call]()
    if advice.endswith(r"int\)"):
        model.set_params(warm_start=False).fit(X, y.astype(int))


# Classifiers of one class.


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_one_column(label, digits):
    """As with scikit-learn's trees, neighbours and Bayes, columns are those of `classes_`.

    `cross_val_predict` puts them into its matrix by `classes_`.
    """
    X = digits[0][:40]
    model = classifier(batch_size=20).fit(X, np.full(40, label))
    assert_array_equal(model.classes_, [label])
    assert_array_equal(model.predict_proba(X), np.ones((40, 1)))
    y = np.repeat([0, 1], 20)
    with pytest.warns(RuntimeWarning, match="Number of classes in training fold"):
        p = cross_val_predict(classifier(batch_size=20), X, y, cv=KFold(2), method="predict_proba")
    assert_array_equal(p, np.eye(2)[1 - y])


# Classes as columns, which networks of other packages are often given.


@pytest.fixture
def nothing_told(monkeypatch):
    monkeypatch.setattr(user_warnings, "_told", set())


def one_hot_warnings(call):
    """Return the warnings of a call that are about one-hot labels."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [w for w in caught if "one-hot" in str(w.message)]


ONE_HOT = {
    "int": lambda Y: Y,
    "bool": lambda Y: Y.astype(bool),
    "float32": lambda Y: Y.astype(np.float32),
    "sparse": sp.csr_array,
    "frame": pd.DataFrame,
}


@pytest.mark.usefixtures("nothing_told")
@pytest.mark.parametrize("form", ONE_HOT)
@pytest.mark.parametrize("n_classes", [3, 10])
def test_one_hot_labels_are_told_of_once(n_classes, form, digits):
    X, y = digits[0][:100], digits[1][:100] % n_classes
    Y = np.eye(n_classes, dtype=int)[y]
    model = classifier(max_iter=3)
    (told,) = one_hot_warnings(lambda: model.fit(X, ONE_HOT[form](Y)))
    assert told.category is UserWarning
    assert told.filename == __file__
    text = str(told.message)
    assert "y.argmax(axis=1)" in text
    assert "multilabel" in text
    assert f"{n_classes} columns" in text
    assert model.out_activation_ == "logistic"
    # It is true: scikit-learn's predicts rows of labels, too.
    theirs = classifier(BOTH[1], max_iter=3).fit(X, Y)
    assert_array_equal(
        *(p.toarray() if sp.issparse(p) else p for p in (model.predict(X), theirs.predict(X)))
    )


@pytest.mark.usefixtures("nothing_told")
def test_parts_tell_of_one_hot_labels_at_the_first_only(digits):
    X, Y = digits[0][:100], np.eye(10, dtype=int)[digits[1][:100]]
    model = classifier()
    classes = range(10)
    assert len(one_hot_warnings(lambda: model.partial_fit(X, Y, classes=classes))) == 1
    assert one_hot_warnings(lambda: model.partial_fit(X, Y)) == []
    model = classifier(warm_start=True, max_iter=1)
    assert len(one_hot_warnings(lambda: model.fit(X, Y))) == 1
    assert one_hot_warnings(lambda: model.fit(X, Y)) == []


@pytest.mark.usefixtures("nothing_told")
def test_a_search_tells_of_one_hot_labels_once(digits):
    X, Y = digits[0][:100], np.eye(10, dtype=int)[digits[1][:100]]
    search = GridSearchCV(classifier(max_iter=2), {"alpha": [0.1, 0.2]}, cv=2)
    (told,) = one_hot_warnings(lambda: search.fit(X, Y))
    assert told.filename == __file__


@pytest.mark.usefixtures("nothing_told")
@pytest.mark.parametrize(
    "change",
    [
        lambda y: np.eye(2, dtype=int)[y % 2],  # two columns
        lambda y: np.eye(10, dtype=int)[y] | (np.arange(len(y)) == 0)[:, None],  # a row of ones
        lambda y: np.eye(10, dtype=int)[y] * (np.arange(len(y)) > 0)[:, None],  # a row of zeros
        lambda y: y,
        lambda y: y[:, None],
    ],
)
def test_other_labels_are_silent(change, digits):
    X, y = digits[0][:100], digits[1][:100]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)
        assert one_hot_warnings(lambda: classifier(max_iter=1).fit(X, change(y))) == []


@pytest.mark.usefixtures("nothing_told")
def test_a_single_row_is_silent(digits):
    Y = np.eye(3, dtype=int)[:1]
    first = one_hot_warnings(lambda: classifier().partial_fit(digits[0][:1], Y, classes=range(3)))
    assert first == []


# Labels that scikit-learn need not examine.


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64])
@pytest.mark.parametrize("n_classes", [1, 2, 5, 12, 13])
def test_integers_are_binarized_as_by_scikit_learn(dtype, n_classes):
    """Except where there are so many classes that scikit-learn may warn."""
    y = (np.arange(24) % n_classes).astype(dtype)
    ours, theirs = integer_binarizer(y), LabelBinarizer().fit(y)
    assert (ours is None) == (n_classes == 13 and dtype is not bool)
    if ours is not None:
        assert vars(ours).keys() == vars(theirs).keys()
        assert (ours.y_type_, ours.sparse_input_) == (theirs.y_type_, theirs.sparse_input_)
        assert ours.classes_.dtype == theirs.classes_.dtype == dtype
        assert_array_equal(ours.classes_, theirs.classes_)


@pytest.mark.parametrize(
    "y",
    [
        [0, 1, 0, 1], np.array([0.0, 1.0, 0.0]), np.array(["a", "b", "a"]), np.eye(3, dtype=int),
        np.array([], int), np.array([0, 1, 0], object), pd.Series([0, 1, 0]),
    ],
    ids=["list", "floats", "strings", "matrix", "empty", "objects", "series"],
)  # fmt: skip
def test_scikit_learn_examines_all_other_labels(y):
    assert integer_binarizer(y) is None


def test_many_classes_of_integers_give_the_warning_of_scikit_learn():
    X, y = np.ones((24, 2)), np.arange(24)
    with pytest.warns(UserWarning, match="greater than 50% of the number of samples"):
        MLPClassifier(**SMALL).fit(X, y)
