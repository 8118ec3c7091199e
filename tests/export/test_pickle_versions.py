"""Pickles know the version that wrote them, and old files are read by all later versions.

The folder ``fixtures`` has files and pickles of released versions, written by
``fixtures/write_fixtures.py``. They stay as they are: a new version adds a folder of its own.
"""

from __future__ import annotations

import copy
import pickle
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn.exceptions
from factories import LBFGS_STOPS_EARLY, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from snapshots import assert_same, assert_same_weights, assert_unchanged, snapshot

import sknet
from sknet.estimators.pickles import CURVES, TRAINING_STATE, VERSION
from sknet.exceptions import InconsistentVersionWarning
from sknet.optimizers import Optimizer

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

FIXTURES = Path(__file__).parent / "fixtures"
KEPT = sorted(path for path in FIXTURES.glob("*/*") if path.suffix in (".safetensors", ".pkl"))


@pytest.fixture(scope="module")
def small(digits):
    return digits[0][:120], digits[1][:120]


@pytest.fixture
def model(small):
    return classifier(max_iter=4).fit(*small)


# Versions.


def test_a_pickle_has_the_version(model):
    assert model.__getstate__()[VERSION] == sknet.__version__
    assert sknet.__version__.encode() in pickle.dumps(model)
    assert VERSION not in vars(pickle.loads(pickle.dumps(model)))


def test_the_same_version_gives_no_warning(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(model))
        copy.deepcopy(model), copy.copy(model), clone(model), model.without_training_state()


@pytest.mark.parametrize("version", ["0.0.1", "99.0", None])
def test_another_version_warns(version, model):
    state = model.__getstate__()
    if version is None:
        del state[VERSION]
    else:
        state[VERSION] = version
    other = object.__new__(sknet.MLPClassifier)
    with pytest.warns(InconsistentVersionWarning) as caught:
        other.__setstate__(state)
    message = str(caught[0].message)
    assert (version or "not known") in message
    assert "MLPClassifier" in message
    assert sknet.__version__ in message
    assert caught[0].filename == __file__
    assert caught[0].message.original_sknet_version == version
    assert isinstance(caught[0].message, sklearn.exceptions.InconsistentVersionWarning)
    assert_same_weights(other, model)


def test_the_warning_comes_through_pickle_and_joblib(model, tmp_path, monkeypatch):
    joblib.dump(model, tmp_path / "model")
    data = pickle.dumps(model)
    monkeypatch.setattr(sknet, "__version__", "99.0")
    for load in (lambda: pickle.loads(data), lambda: joblib.load(tmp_path / "model")):
        with pytest.warns(InconsistentVersionWarning, match=r"99\.0"):
            load()


@pytest.mark.parametrize("estimator", [sknet.MLPClassifier, sknet.MLPRegressor])
def test_parameters_that_came_later_have_defaults(estimator, small):
    state = estimator(max_iter=3, alpha=0.5).fit(*small).__getstate__()
    defaults = estimator().get_params()
    later = defaults.keys() - {"alpha", "max_iter"}
    old = object.__new__(estimator)
    old.__setstate__({name: value for name, value in state.items() if name not in later})
    assert old.get_params() == defaults | {"alpha": 0.5, "max_iter": 3}
    old.partial_fit(*small)


def test_parameters_of_a_subclass_that_came_later(small):
    class Narrow(sknet.MLPClassifier):
        def __init__(self, width=4):
            self.width = width
            super().__init__(hidden_layer_sizes=(width,), max_iter=2)

    state = Narrow(5).fit(*small).__getstate__()
    del state["dropout"]
    old = object.__new__(Narrow)
    old.__setstate__(state)
    assert (old.dropout, old.width, old.get_params()) == (0.0, 5, {"width": 5})


# Fixtures.


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_kept_files_are_read(path):
    """Weights have the same bits. Other processors may round predictions in another way."""
    expected = np.load(path.parent / "expected.npz", allow_pickle=False)
    if path.suffix == ".pkl":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = pickle.loads(path.read_bytes())
    else:
        model = sknet.load(path)
    own = {key.split(":")[1]: expected[key] for key in expected if key.startswith(f"{path.stem}:")}
    X = own.pop("X")
    weights = np.concatenate([v.ravel() for v in (*model.coefs_, *model.intercepts_)])
    assert_array_equal(weights, own.pop("weights"), strict=True)
    assert_array_equal(model.loss_curve_, own.pop("loss_curve"))
    atol = 1e-12 if weights.dtype == np.float64 else 1e-5
    for name, outputs in own.items():
        found = getattr(model, name)(X)
        assert found.dtype in (outputs.dtype, object)
        if outputs.dtype.kind == "f":
            assert_allclose(found, outputs, rtol=0, atol=atol)
        else:
            assert_array_equal(found, outputs)
    if model.solver != "lbfgs":
        y = model.predict(X)
        y = y[:, 0] if model.loss == "quantile" else y
        model.set_params(early_stopping=False).partial_fit(X, y)


def test_every_kind_of_fixture_is_there():
    assert len(KEPT) >= 12
    assert {path.suffix for path in KEPT} == {".safetensors", ".pkl"}
    names = {path.stem for path in KEPT}
    sys.path.insert(0, str(FIXTURES))
    try:
        from write_fixtures import models
    finally:
        sys.path.pop(0)
    assert {name for name, _, _ in models()} <= names


# Without the state of training.


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("solver", [*Optimizer.table, "lbfgs"])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_without_training_state(make, solver, dtype, digits):
    X, y = digits[0].astype(dtype), digits[1]
    ema = {} if solver == "lbfgs" else {"ema_decay": 0.9}
    how = {"hidden_layer_sizes": (64,), "max_iter": 60, "n_iter_no_change": np.inf}
    how |= {"batch_size": 900, "early_stopping": True, "restore_best": True}
    model = make(solver=solver, training_scoring="loss", **how, **ema).fit(X, y)
    before = snapshot(model)
    small = model.without_training_state()
    assert_unchanged(model, before)
    assert type(small) is type(model)
    assert small.get_params() == model.get_params()
    for name in ("predict", "predict_proba"):
        if hasattr(model, name):
            assert_array_equal(getattr(small, name)(X), getattr(model, name)(X), strict=True)
    weights = sum(v.nbytes for v in model.coefs_ + model.intercepts_)
    assert weights > 15_000
    assert len(pickle.dumps(small)) < weights + 5_000
    assert not any(np.shares_memory(a, b) for a, b in zip(small.coefs_, model.coefs_, strict=True))
    assert (small.loss_, small.n_iter_, small.t_) == (model.loss_, model.n_iter_, model.t_)
    assert small.loss_curve_ == small.history_["loss"] == []


@pytest.mark.parametrize("solver", Optimizer.table)
def test_without_training_state_the_optimiser_starts_afresh(solver, small):
    model = classifier(solver=solver, max_iter=4, ema_decay=0.5).fit(*small)
    stripped = model.without_training_state()
    fresh = classifier(solver=solver, max_iter=1, ema_decay=0.5).fit(*small)
    vars(fresh).update(_optimizer=None, _averaging=None)
    fresh.coefs_, fresh.intercepts_ = copy.deepcopy((model.coefs_, model.intercepts_))
    for m in (stripped, fresh, model):
        m.partial_fit(*small)
    assert_same_weights(stripped, fresh)
    assert abs(stripped.coefs_[0] - model.coefs_[0]).max() > 1e-6
    assert len(stripped.loss_curve_) == len(stripped.history_["epoch"]) == 1


def test_without_training_state_again(model):
    once = model.without_training_state()
    twice = pickle.loads(pickle.dumps(once)).without_training_state()
    assert_same(twice.__getstate__(), once.__getstate__())
    assert not any(name in vars(twice) for name in TRAINING_STATE)
    assert all(not vars(twice).get(name) for name in CURVES)


def test_without_training_state_of_an_unfitted_model():
    with pytest.raises(NotFittedError):
        sknet.MLPClassifier().without_training_state()


def test_warm_start_after_it(small):
    model = classifier(max_iter=4, warm_start=True, early_stopping=True).fit(*small)
    stripped = model.without_training_state().fit(*small)
    assert_same_weights(stripped, model.fit(*small))
    assert stripped.validation_scores_ == model.validation_scores_[-stripped.n_iter_ :]
