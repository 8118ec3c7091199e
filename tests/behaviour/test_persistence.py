"""Saving, copying and weights set by hand: training goes on as if nothing had happened."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from factories import LBFGS_STOPS_EARLY
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

N = 90
SMALL = {"hidden_layer_sizes": (9, 5), "max_iter": 3, "batch_size": 32, "random_state": 0}


def through_pickle(protocol):
    return lambda model, folder: pickle.loads(pickle.dumps(model, protocol))


def through_joblib(mmap_mode=None, **how):
    def round_trip(model, folder):
        joblib.dump(model, folder / "model.joblib", **how)
        return joblib.load(folder / "model.joblib", mmap_mode=mmap_mode)

    return round_trip


ROUND_TRIPS = {
    **{f"pickle-{p}": through_pickle(p) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)},
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "joblib": through_joblib(),
    "joblib-compressed": through_joblib(compress=3),
    "joblib-mmap": through_joblib("r"),
    "twice": lambda model, folder: copy.deepcopy(pickle.loads(pickle.dumps(model))),
}
SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd", "momentum": 0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
}

every_trip = pytest.mark.parametrize("trip", ROUND_TRIPS)
every_solver = pytest.mark.parametrize("solver", SOLVERS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda d: d.__name__)


def assert_same_model(a, b, atol=0.0):
    """Assert equal losses and weights, by default to the last bit."""
    assert (a.t_, a.n_iter_) == (b.t_, b.n_iter_)
    assert_allclose(a.loss_, b.loss_, rtol=0, atol=atol)
    if hasattr(b, "loss_curve_"):  # scikit-learn keeps none of L-BFGS
        assert_allclose(a.loss_curve_, b.loss_curve_, 0, atol)
    for ours, theirs in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert ours.dtype == theirs.dtype
        assert_allclose(ours, theirs, rtol=0, atol=atol)


@pytest.fixture(scope="module")
def small(digits):
    return digits[0][:N], digits[1][:N]


# Round trips.


@every_trip
@both_dtypes
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_predictions_survive(trip, dtype, solver, small, tmp_path):
    X, y = small[0].astype(dtype), small[1]
    model = MLPClassifier(solver=solver, **SMALL).fit(X, y)
    saved = ROUND_TRIPS[trip](model, tmp_path)
    assert saved.get_params() == model.get_params()
    assert_same_model(saved, model)
    for method in ("predict", "predict_proba", "decision_function"):
        assert_array_equal(getattr(saved, method)(X), getattr(model, method)(X))


@every_trip
@both_dtypes
@every_solver
def test_partial_fit_goes_on_exactly(trip, dtype, solver, small, tmp_path):
    X, y = small[0].astype(dtype), small[1]
    never_saved = MLPClassifier(**SMALL, **SOLVERS[solver])
    for _ in range(2):
        never_saved.partial_fit(X, y, classes=range(10))
    saved = ROUND_TRIPS[trip](never_saved, tmp_path)
    for _ in range(2):
        assert_same_model(saved.partial_fit(X, y), never_saved.partial_fit(X, y))


@every_trip
@both_dtypes
@pytest.mark.parametrize("solver", ["adam", "nesterov", "lbfgs"])
def test_warm_start_goes_on_exactly(trip, dtype, solver, diabetes, tmp_path):
    X, y = diabetes[0][:N].astype(dtype), diabetes[1][:N] / 100
    how = SOLVERS.get(solver, {"solver": solver})
    never_saved = MLPRegressor(warm_start=True, **SMALL, **how).fit(X, y)
    saved = ROUND_TRIPS[trip](never_saved, tmp_path)
    for _ in range(2):
        assert_same_model(saved.fit(X, y), never_saved.fit(X, y))


@pytest.mark.parametrize("trip", ["pickle-5", "deepcopy", "joblib-mmap"])
def test_early_stopping_goes_on_exactly(trip, small, tmp_path):
    how = {"early_stopping": True, "validation_fraction": 0.3, "warm_start": True}
    never_saved = MLPClassifier(**SMALL, **how).fit(*small)
    saved = ROUND_TRIPS[trip](never_saved, tmp_path)
    assert_same_model(saved.fit(*small), never_saved.fit(*small))
    assert saved.validation_scores_ == never_saved.validation_scores_
    assert saved.best_validation_score_ == never_saved.best_validation_score_


@pytest.mark.parametrize("trip", ["pickle-5", "deepcopy", "joblib-mmap"])
def test_sparse_multilabel_goes_on_exactly(trip, small, tmp_path):
    X, y = sp.csr_array(small[0]), np.column_stack([small[1] % 2, small[1] > 4])
    never_saved = MLPClassifier(**SMALL).fit(X, y)
    saved = ROUND_TRIPS[trip](never_saved, tmp_path)
    assert_same_model(saved.partial_fit(X, y), never_saved.partial_fit(X, y))
    assert_array_equal(saved.predict(X), never_saved.predict(X))


@pytest.mark.parametrize("trip", ["pickle-2", "pickle-5", "deepcopy", "joblib"])
def test_a_generator_is_saved_with_the_model(trip, small, tmp_path):
    never_saved = MLPClassifier(**{**SMALL, "random_state": np.random.RandomState(0)}).fit(*small)
    saved = ROUND_TRIPS[trip](never_saved, tmp_path)
    for _ in range(2):
        assert_same_model(saved.partial_fit(*small), never_saved.partial_fit(*small))


@pytest.mark.parametrize("trip", ["deepcopy", "pickle-5", "joblib-mmap"])
def test_a_copy_is_independent(trip, small, tmp_path):
    model = MLPClassifier(**SMALL).fit(*small)
    before = model.predict_proba(small[0])
    ROUND_TRIPS[trip](model, tmp_path).partial_fit(*small)
    assert_array_equal(model.predict_proba(small[0]), before)
    assert model.n_iter_ == len(model.loss_curve_) == 3


@every_trip
def test_weights_of_a_copy_can_be_changed_in_place(trip, small, tmp_path):
    model = MLPClassifier(**SMALL).fit(*small)
    saved = ROUND_TRIPS[trip](model, tmp_path)
    for m in (model, saved):
        m.coefs_[0][:] = 0.01
        m.intercepts_[-1] += 1
        m.partial_fit(*small)
    assert_same_model(saved, model)


def test_another_process_reads_a_pickle(small, tmp_path):
    # There no kernel was compiled by a fit before prediction and training go on.
    X, y = small
    model = MLPClassifier(**SMALL).fit(X, y)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    script = """
import pickle, sys
import numpy as np
data = np.load("data.npz")
model = pickle.load(open("model.pkl", "rb"))
before = model.predict_proba(data["X"])
np.savez("result.npz", before, model.partial_fit(data["X"], data["y"]).predict_proba(data["X"]))
"""
    # The folder with the pickle need not have the package: paths come from here.
    paths = f"import sys; sys.path[:0] = {sys.path!r}"
    subprocess.run([sys.executable, "-c", paths + script], cwd=tmp_path, check=True)
    result = np.load(tmp_path / "result.npz")
    assert_array_equal(result["arr_0"], model.predict_proba(X))
    assert_array_equal(result["arr_1"], model.partial_fit(X, y).predict_proba(X))


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump], ids=["pickle", "joblib"])
@both_dtypes
@pytest.mark.parametrize(("solver", "slots"), [("adam", 2), ("sgd", 1), ("lbfgs", 0)])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_size(dump, dtype, solver, slots, early_stopping, digits):
    # Data, validation set, best weights and scratch would each exceed the limit.
    X, y = digits[0].astype(dtype), digits[1]
    how = {"hidden_layer_sizes": (64,), "solver": solver, "early_stopping": early_stopping}
    model = MLPClassifier(max_iter=2, random_state=0, **how).fit(X, y)
    weights = sum(v.nbytes for v in model.coefs_ + model.intercepts_)
    assert weights > 19_000
    file = io.BytesIO()
    dump(model, file)
    assert file.tell() < (1 + slots) * weights + 20_000


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_clone_has_no_fitted_state(estimator, small):
    model = estimator(**SMALL, alpha=0.5).fit(*small)
    fresh = clone(model)
    assert vars(fresh) == model.get_params()
    assert set(vars(fresh)) < set(vars(model))
    assert_same_model(fresh.fit(*small), model)


# Weights set by hand.


def whole_lists(model, coefs, intercepts):
    model.coefs_, model.intercepts_ = coefs, intercepts


def weights_only(model, coefs, intercepts):
    model.coefs_ = coefs


def one_weight(model, coefs, intercepts):
    model.coefs_[1] = coefs[1]


def one_bias(model, coefs, intercepts):
    model.intercepts_[0] = intercepts[0]


def in_place(model, coefs, intercepts):
    for to, value in zip(model.coefs_ + model.intercepts_, coefs + intercepts, strict=True):
        to[:] = value


def one_number(model, coefs, intercepts):
    model.coefs_[0][3, 2] = 2.5


SETTERS = [whole_lists, weights_only, one_weight, one_bias, in_place, one_number]
every_setter = pytest.mark.parametrize("setter", SETTERS)


def other_weights(model):
    """Return weights for the same network, far from where it stands."""
    draw = np.random.RandomState(42).uniform
    return (
        [draw(-0.5, 0.5, w.shape) for w in model.coefs_],
        [draw(-0.5, 0.5, b.shape) for b in model.intercepts_],
    )


def pair(estimator, **parameters):
    parameters = {**SMALL, **parameters}
    theirs = getattr(sklearn.neural_network, estimator.__name__)
    return estimator(**parameters), theirs(**parameters)


@every_setter
@pytest.mark.parametrize("solver", ["adam", "nesterov"])
@pytest.mark.parametrize("start", ["fit", "partial_fit"])
def test_weights_set_by_hand_act_as_in_scikit_learn(setter, solver, start, small):
    X, y = small
    models = pair(MLPClassifier, **SOLVERS[solver])
    for model in models:
        classes = {} if start == "fit" else {"classes": range(10)}
        before = getattr(model, start)(X, y, **classes).predict_proba(X)
        setter(model, *other_weights(model))
        after = model.predict_proba(X)
        assert abs(after - before).max() > 1e-3
        for _ in range(2):
            model.partial_fit(X, y)
    ours, theirs = models
    assert_same_model(ours, theirs, atol=1e-10)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-10)


@every_setter
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_set_by_hand_start_a_warm_fit_as_in_scikit_learn(setter, solver, small):
    X, y = small
    models = pair(MLPClassifier, solver=solver, warm_start=True)
    for model in models:
        model.fit(X, y)
        setter(model, *other_weights(model))
        model.fit(X, y)
    assert_same_model(*models, atol=1e-10)


def as_lists(arrays):
    return [a.tolist() for a in arrays]


def as_fortran(arrays):
    return [np.asfortranarray(a) for a in arrays]


def as_integers(arrays):
    return [a.astype(np.int64) for a in arrays]


def as_read_only(arrays):
    for a in arrays:
        a.flags.writeable = False
    return arrays


@pytest.mark.parametrize("form", [as_lists, as_fortran, as_integers, as_read_only])
def test_any_form_of_numbers_may_be_set(form, small):
    X, y = small
    model, expected = (MLPClassifier(**SMALL).fit(X, y) for _ in range(2))
    # Whole numbers, so that integers are a form of the same values.
    coefs, intercepts = ([np.rint(3 * v) for v in part] for part in other_weights(model))
    whole_lists(expected, [w.copy() for w in coefs], [b.copy() for b in intercepts])
    whole_lists(model, form(coefs), form(intercepts))
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    assert_same_model(model.partial_fit(X, y), expected.partial_fit(X, y))


@pytest.mark.parametrize("setter", [whole_lists, weights_only, one_weight, one_bias])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_float64_weights_may_be_set_in_a_float32_model(setter, solver, small):
    X, y = small[0].astype(np.float32), small[1]
    model = MLPClassifier(solver=solver, warm_start=True, **SMALL).fit(X, y)
    expected = MLPClassifier(solver=solver, warm_start=True, **SMALL).fit(X, y)
    setter(model, *other_weights(model))
    setter(expected, *(as_float32(part) for part in other_weights(model)))
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-5)
    for m in (model, expected):
        m.fit(X, y) if solver == "lbfgs" else m.partial_fit(X, y)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-4)


def as_float32(arrays):
    return [a.astype(np.float32) for a in arrays]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_float32_weights_may_be_set_in_a_float64_model(solver, small):
    X, y = small
    model = MLPClassifier(solver=solver, warm_start=True, **SMALL).fit(X, y)
    coefs, intercepts = (as_float32(part) for part in other_weights(model))
    whole_lists(model, coefs, intercepts)
    expected = MLPClassifier(solver=solver, warm_start=True, **SMALL).fit(X, y)
    whole_lists(expected, *([v.astype(np.float64) for v in part] for part in (coefs, intercepts)))
    for m in (model, expected):
        m.fit(X, y) if solver == "lbfgs" else m.partial_fit(X, y)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-4)


def test_arrays_set_by_hand_stay_the_user_s_own(small):
    model = MLPClassifier(**SMALL).fit(*small)
    coefs, intercepts = other_weights(model)
    kept = copy.deepcopy((coefs, intercepts))
    whole_lists(model, list(coefs), list(intercepts))
    model.partial_fit(*small)
    for value, expected in zip(coefs + intercepts, kept[0] + kept[1], strict=True):
        assert_array_equal(value, expected)


# The optimiser's state.


@every_solver
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_partial_fit_after_fit_goes_on_with_the_moments_as_in_scikit_learn(
    estimator, solver, small
):
    models = pair(estimator, **SOLVERS[solver])
    for model in models:
        model.fit(*small)
        for _ in range(3):
            model.partial_fit(*small)
    assert_same_model(*models, atol=1e-10)


@pytest.mark.parametrize("solver", ["adam", "nesterov"])
def test_moments_matter(solver, small):
    # Were they started anew by every call, the tests above could not tell.
    model = MLPClassifier(**SMALL, **SOLVERS[solver]).fit(*small)
    anew = MLPClassifier(**SMALL, solver="lbfgs").fit(*small)
    anew.set_params(**SOLVERS[solver])
    whole_lists(anew, *copy.deepcopy((model.coefs_, model.intercepts_)))
    for m in (model, anew):
        m.partial_fit(*small)
    assert abs(model.coefs_[0] - anew.coefs_[0]).max() > 1e-4


@pytest.mark.parametrize("sizes", [(200, 100), (3,)])
def test_moments_of_another_network_are_not_used(sizes, small):
    # L-BFGS draws a network of its own; Adam's moments fit the one before.
    X, y = small
    model = MLPClassifier(**SMALL).fit(X, y)
    model.set_params(solver="lbfgs", hidden_layer_sizes=sizes).fit(X, y)
    fresh = MLPClassifier(**model.get_params()).fit(X, y)
    for m in (model, fresh):
        m.set_params(solver="adam").partial_fit(X, y)
    for ours, expected in zip(model.coefs_, fresh.coefs_, strict=True):
        assert_array_equal(ours, expected)


def test_moments_in_another_dtype_are_converted(small):
    X, y = small
    models = pair(MLPClassifier)
    for model in models:
        model.fit(X, y).set_params(solver="lbfgs").fit(X.astype(np.float32), y)
        model.set_params(solver="adam").partial_fit(X.astype(np.float32), y)
    ours, theirs = models
    assert ours.coefs_[0].dtype == np.float32
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-3)


def test_a_wider_layer_set_by_hand_trains_with_new_moments(small):
    X, y = small
    model = MLPClassifier(**SMALL).fit(X, y)
    wide = MLPClassifier(**{**SMALL, "hidden_layer_sizes": (90, 50)}).fit(X, y)
    whole_lists(model, wide.coefs_, wide.intercepts_)
    assert_array_equal(model.predict_proba(X), wide.predict_proba(X))
    loss = wide.loss_
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(9, 5\).*\[90, 50\]"):
        model.partial_fit(X, y)
    model.set_params(hidden_layer_sizes=(90, 50))
    for _ in range(3):
        model.partial_fit(X, y)
    assert model.coefs_[0].shape == (64, 90)
    assert model.loss_ < loss
