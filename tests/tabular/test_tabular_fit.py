"""Fits of ensembles: what is fitted, by which rows, and what a fit takes."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from processes import run_script
from scipy.special import softmax
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from snapshots import assert_unchanged, snapshot
from tables import classifier, regressor, table
from versions import needs_1_8

X, y = table()
N = len(y)
t = np.nan_to_num(X["a"].to_numpy()) * 30 + 500 + 10 * y
BOTH = pytest.mark.parametrize(("make", "target"), [(classifier, y), (regressor, t)])


def predicted(model, X=X):
    """Return the finest predictions of an ensemble."""
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


# The mathematics, in plain NumPy.


def test_probabilities_are_the_softmax_of_mean_scores_at_one_temperature():
    model = classifier().fit(X, y)
    scores = []
    for member in model.members_:
        rows = member.encoder.transform(model._columns.read(X)) * member.configuration.input_scale
        scores.append(member.network.decision_function(rows).astype(float))
    expected = softmax(np.mean(scores, axis=0) / model.temperature_, axis=1)
    # The scores are the same float32 numbers, since the factor is a power of two.
    assert_allclose(model.predict_proba(X), expected, rtol=1e-12)


def test_two_classes_have_the_logistic_function():
    model = classifier().fit(X, y > 0)
    scores = []
    for member in model.members_:
        rows = member.encoder.transform(model._columns.read(X)) * member.configuration.input_scale
        scores.append(member.network.decision_function(rows).astype(float))
    p = model.predict_proba(X)
    expected = 1 / (1 + np.exp(-np.mean(scores, axis=0) / model.temperature_))
    assert_allclose(p[:, 1], expected, rtol=1e-12)
    assert_allclose(1 / (1 + np.exp(-model.decision_function(X))), p[:, 1], rtol=1e-12)
    assert_array_equal(model.predict(X), model.decision_function(X) > 0)


def test_decisions_are_logarithms_of_probabilities():
    model = classifier().fit(X, y)
    assert_allclose(softmax(model.decision_function(X), axis=1), model.predict_proba(X), rtol=1e-12)
    assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])


def test_numbers_are_the_mean_of_members_in_the_units_of_y():
    model = regressor().fit(X, t)
    read = model._columns.read(X)
    parts = []
    for member, rows in zip(model.members_, left_out(model), strict=True):
        encoded = member.encoder.transform(read) * member.configuration.input_scale
        own = np.delete(t, rows)  # what the member was trained on
        parts.append(member.network.predict(encoded) * own.std() + own.mean())
    assert_allclose(model.predict(X), np.mean(parts, axis=0), rtol=1e-5)


@BOTH
def test_out_of_fold_predictions_are_those_of_the_member_that_left_the_row_out(make, target):
    model = make(n_members=5).fit(X, target)
    rows = left_out(model)
    assert_array_equal(np.sort(np.concatenate(rows)), np.arange(N))
    for member, own in zip(model.members_, rows, strict=True):
        alone = clone(model).fit(X, target)
        alone.members_ = [member]
        assert_array_equal(model.oof_predictions_[own], predicted(alone, X.iloc[own]))
    if make is classifier:
        expected = accuracy_score(y, model.classes_[model.oof_predictions_.argmax(axis=1)])
    else:
        expected = r2_score(t, model.oof_predictions_)
    assert model.oof_score_ == pytest.approx(expected, rel=1e-12)


def left_out(model):
    """Return the rows that each member of a fitted ensemble left out."""
    from sknet.tabular.folds import left_out_rows

    random_state = np.random.RandomState(model.random_state)
    random_state.randint(2**31 - 1)  # the seed of the members
    strata = y if hasattr(model, "classes_") else None
    return left_out_rows(N, model.n_members, strata, None, random_state)


@BOTH
def test_members_as_a_table(make, target):
    model = make().fit(X, target)
    columns = model.member_table_
    assert columns["member"] == [0, 1, 2]
    for i, rows in enumerate(left_out(model)):
        known = model.oof_predictions_[rows]
        if make is classifier:
            score = accuracy_score(y[rows], known.argmax(axis=1))
            loss = -np.log(known[np.arange(len(rows)), y[rows]]).mean()
        else:
            score, loss = r2_score(t[rows], known), np.mean((t[rows] - known) ** 2)
        assert columns["validation_score"][i] == pytest.approx(score, rel=1e-9)
        assert columns["validation_loss"][i] == pytest.approx(loss, rel=1e-9)
        losses = model.members_[i].network.validation_loss_curve_
        assert columns["best_epoch"][i] == 1 + losses.index(min(losses))
        assert columns["dropout"][i] == model.members_[i].configuration.dropout
    frame = columns.as_frame()
    assert frame.index.name == "member"
    assert list(frame) == [name for name in columns if name != "member"]
    assert "3 members" in repr(columns)
    assert "3 members" in columns._repr_html_()


# Bits.


@BOTH
def test_bits_do_not_depend_on_threads(make, target):
    one, two = (make(n_jobs=n).fit(X, target) for n in (1, 3))
    assert_array_equal(predicted(one), predicted(two))
    assert_array_equal(one.oof_predictions_, two.oof_predictions_)
    again = make(random_state=1).fit(X, target)
    assert not np.array_equal(predicted(one), predicted(again))


SCRIPT = """
import sys
sys.path.append("tests/tabular")
from tables import classifier, table
X, y = table()
print(classifier(n_jobs=2).fit(X, y).predict_proba(X).tobytes().hex())
"""


def test_bits_do_not_depend_on_the_process(monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(Path(__file__).parents[2])
    assert run_script(SCRIPT).strip() == classifier().fit(X, y).predict_proba(X).tobytes().hex()


@BOTH
def test_members_are_the_same_for_more_members_of_as_many_parts(make, target):
    """The draws of a member depend on its number, not on how many there are."""
    some, more = (make(n_members=n).fit(X, target) for n in (8, 9))
    for a, b in zip(some.members_, more.members_, strict=False):
        assert_array_equal(a.network.coefs_[0], b.network.coefs_[0])


@BOTH
def test_clones_copies_and_pickles(make, target):
    model = make().fit(X, target)
    assert clone(model).get_params() == model.get_params()
    assert_array_equal(predicted(clone(model).fit(X, target)), predicted(model))
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(predicted(loaded), predicted(model))
    assert loaded.member_table_ == model.member_table_


def test_pickles_hold_little_more_than_the_weights():
    model = classifier(max_iter=3).fit(X, y)
    weights = sum(
        W.nbytes for m in model.members_ for W in m.network.coefs_ + m.network.intercepts_
    )
    assert weights < len(pickle.dumps(model)) < weights + 40_000


# Data.


def test_frames_of_polars_and_pandas_are_the_same():
    pl = pytest.importorskip("polars")
    other = pl.from_pandas(X)
    model = classifier().fit(X, y)
    assert_array_equal(model.predict_proba(X), classifier().fit(other, y).predict_proba(other))
    assert list(model.feature_names_in_) == ["a", "b", "town"]
    assert model.n_features_in_ == 3


def test_arrays_are_the_same_as_frames():
    numbers = X[["a", "b"]]
    model = regressor().fit(numbers, t)
    assert_array_equal(regressor().fit(numbers.to_numpy(), t).predict(numbers.to_numpy()),
                       model.predict(numbers))  # fmt: skip
    mixed = X.to_numpy(dtype=object)
    model = classifier(categorical_features=[2]).fit(mixed, y)
    assert_array_equal(model.predict_proba(mixed), classifier().fit(X, y).predict_proba(X))


@pytest.mark.parametrize("form", [sp.csr_matrix, sp.csc_array])
@BOTH
def test_sparse_numbers(make, target, form):
    dense = np.where(np.abs(X[["a", "b"]]) > 0.4, X[["a", "b"]], 0)
    model = make().fit(form(dense), target)
    assert_array_equal(predicted(model, dense), predicted(model, form(dense)))


@BOTH
def test_missing_values_and_new_categories_at_prediction(make, target):
    model = make().fit(X, target)
    new = pd.DataFrame({"a": [np.nan, 1e9], "b": [-1e300, np.nan], "town": ["Mainz", None]})
    assert np.isfinite(predicted(model, new)).all()
    # A category that is new counts for nothing, whichever it is.
    assert_array_equal(
        predicted(model, new), predicted(model, new.replace({"town": {"Mainz": "Trier"}}))
    )


def test_a_table_of_categories_only():
    names = X[["town"]]
    assert classifier().fit(names, y).predict_proba(names).shape == (N, 3)


def test_labels_of_any_kind():
    names = np.array(["no", "perhaps", "yes"])[y]
    model = classifier().fit(X, names)
    assert_array_equal(model.classes_, ["no", "perhaps", "yes"])
    assert_array_equal(model.predict_proba(X), classifier().fit(X, y).predict_proba(X))


def test_a_class_of_one_row_and_classes_that_a_member_does_not_see():
    rare = np.append(y, 7)
    more = pd.concat([X, X.iloc[:1]], ignore_index=True)
    model = classifier().fit(more, rare)
    assert model.predict_proba(X).shape == (N, 4)
    assert np.isnan(model.oof_predictions_[-1]).all()
    # Each class is in one group only, so nobody but the others' members learns it.
    model = classifier(n_members=4).fit(X, y, groups=y)
    assert_array_equal(model.oof_predictions_.argmax(axis=1) == y, False)


def test_several_columns_of_numbers():
    both = np.column_stack([t, -2 * t])
    model = regressor().fit(X, both)
    assert model.n_outputs_ == 2
    assert model.predict(X).shape == model.oof_predictions_.shape == (N, 2)
    assert model.predict_interval(X).shape == (N, 2, 2)


@BOTH
def test_a_constant_target(make, target):
    model = make().fit(X, np.full(N, target[0]))
    assert_allclose(model.predict(X), target[0], rtol=0.01)


def test_several_labels_are_refused():
    labels = np.column_stack([y > 0, y > 1]).astype(int)
    with pytest.raises(ValueError, match=r"y has 2 columns of labels.*MultiOutputClassifier"):
        classifier().fit(X, labels)
    assert MultiOutputClassifier(classifier(n_members=1)).fit(X, labels).predict(X).shape == (N, 2)


# Weights, groups and validation data.


@BOTH
def test_a_weight_of_zero_leaves_a_row_out(make, target):
    weights = np.ones(N)
    weights[3::7] = 0
    kept = weights > 0
    a = make().fit(X, target, weights)
    b = make().fit(X[kept], target[kept])
    assert_array_equal(predicted(a), predicted(b))
    assert_array_equal(a.oof_predictions_[kept], b.oof_predictions_)
    assert np.isnan(a.oof_predictions_[~kept]).all()
    assert a.oof_score_ == b.oof_score_


@BOTH
def test_the_scale_of_weights_does_not_matter(make, target):
    weights = np.random.default_rng(0).choice([0.5, 1, 2], N)
    a, b = make().fit(X, target, weights), make().fit(X, target, weights * 2.0**40)
    assert_array_equal(predicted(a), predicted(b))
    assert not np.array_equal(predicted(a), predicted(make().fit(X, target)))


def test_weights_of_classes_are_weights_of_their_samples():
    a = classifier(class_weight={0: 1.0, 1: 4.0, 2: 0.5}).fit(X, y)
    b = classifier().fit(X, y, np.choose(y, [1.0, 4.0, 0.5]))
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    balanced = N / (3 * np.bincount(y))
    a, b = classifier(class_weight="balanced").fit(X, y), classifier().fit(X, y, balanced[y])
    assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_validation_data_instead_of_folds():
    model = classifier().fit(X[:90], y[:90], X_val=X[90:], y_val=y[90:])
    assert_array_equal(model.oof_predictions_, model.predict_proba(X[90:]))
    assert model.oof_score_ == model.score(X[90:], y[90:])
    weights = np.linspace(0.1, 2, 30)
    weighted = classifier().fit(
        X[:90], y[:90], X_val=X[90:], y_val=y[90:], sample_weight_val=weights
    )
    assert weighted.oof_score_ == pytest.approx(weighted.score(X[90:], y[90:], weights), rel=1e-12)
    assert weighted.temperature_ != model.temperature_


@BOTH
def test_arguments_that_do_not_go_together(make, target):
    model = make().fit(X, target)
    before = snapshot(model)
    for arguments, message in (
        ({"y_val": target}, "y_val was given without X_val"),
        ({"X_val": X}, "X_val was given without y_val"),
        ({"X_val": X, "y_val": target, "groups": y}, "groups and X_val were both given"),
        ({"groups": y[:5]}, r"groups has 5 entries, but X has 120 samples"),
        ({"groups": np.zeros(N)}, "groups has 1 group, but at least 2 are needed"),
        ({"X_val": X[["a"]], "y_val": target}, "feature names"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, target, **arguments)
    assert_unchanged(model, before)


def test_unknown_classes_among_validation_data():
    with pytest.raises(ValueError, match=r"y_val must have one of the classes of y"):
        classifier().fit(X, y, X_val=X, y_val=y + 1)


@BOTH
def test_a_fit_that_fails_leaves_the_model_as_it_was(make, target):
    model = make().fit(X, target)
    before = snapshot(model)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(X.assign(a=np.inf), target)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.where(y == 0, np.nan, target))
    assert_unchanged(model, before)


@BOTH
def test_a_second_fit_forgets_the_first(make, target):
    model = make().fit(X, target)
    numbers = X[["a", "b"]].to_numpy()
    model.fit(numbers, target)
    assert not hasattr(model, "feature_names_in_")
    assert_array_equal(predicted(model, numbers), predicted(make().fit(numbers, target), numbers))


# Inside of scikit-learn.


def test_searches_and_pipelines():
    search = GridSearchCV(make_pipeline(classifier()), {
        "tabularmlpclassifier__n_members": [1, 2]
    }, cv=2)  # fmt: skip
    search.fit(X, y)
    assert search.best_score_ > 0
    assert cross_val_score(regressor(), X, t, cv=2).shape == (2,)


@needs_1_8  # which asks no more whether Pipeline.score takes the weights
def test_weights_and_groups_are_routed():
    weights = np.where(y == 2, 0.0, 1.0)
    groups = np.arange(N) // 2
    with sklearn.config_context(enable_metadata_routing=True):
        inner = classifier().set_fit_request(sample_weight=True, groups=True)
        model = make_pipeline(inner).fit(X, y, sample_weight=weights, groups=groups)
    direct = classifier().fit(X, y, weights, groups=groups)
    assert_array_equal(model.predict_proba(X), direct.predict_proba(X))
