"""Sample weights reach our estimators inside others, with metadata routing and without."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
from comparisons import ATOL
from factories import BOTH, classifier
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from versions import needs_1_8, needs_weights

import sknet
from sknet.estimators.callbacks import HAS_CALLBACKS
from sknet.export import TRUSTED_TYPES
from sknet.export.fitted_checks import check_fitted

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@needs_1_8  # which asks no more whether Pipeline.score takes the weights
@pytest.mark.usefixtures("routing")
def test_weights_reach_the_net_through_a_search_of_pipelines(wine):
    X, y = wine
    # One class counts for nothing, so a model that heeds the weights never predicts it.
    weights = np.where(y == 2, 0.0, 1.0)
    net = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    scale = StandardScaler().set_fit_request(sample_weight=False)
    search = GridSearchCV(
        Pipeline([("scale", scale), ("net", net)]), {"net__alpha": [1e-4, 1e-2]}, cv=2
    )
    search.fit(X, y, sample_weight=weights)
    assert not (search.predict(X) == 2).any()
    assert search.best_score_ > 0.9  # the third class counts for nothing in scores either
    best = search.best_estimator_
    direct = clone(best[-1]).fit(best[0].transform(X), y, sample_weight=weights)
    assert_array_equal(best.predict_proba(X), direct.predict_proba(best[0].transform(X)))
    unweighted = clone(search).set_params(estimator__net__max_iter=30).fit(X, y)
    assert (unweighted.predict(X) == 2).any()


@pytest.mark.usefixtures("routing")
def test_weights_nobody_asked_for_are_refused(wine):
    X, y = wine
    pipeline = make_pipeline(StandardScaler(), classifier())
    with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set"):
        pipeline.fit(X, y, sample_weight=np.ones(len(y)))


@needs_weights
@pytest.mark.usefixtures("routing")
def test_weights_reach_cross_validation(cancer):
    X, y = cancer
    ours, theirs, unweighted = (
        cross_val_predict(
            classifier(library).set_fit_request(sample_weight=True),
            X,
            y,
            cv=2,
            method="predict_proba",
            params={"sample_weight": weights},
        )
        for library, weights in (*((library, 1.0 + 9 * y) for library in BOTH), (None, None))
    )
    assert_allclose(ours, theirs, rtol=0, atol=ATOL)
    assert ours[:, 1].mean() > unweighted[:, 1].mean() + 0.01


@pytest.mark.usefixtures("routing")
def test_weights_reach_partial_fit(cancer):
    X, y = cancer
    weights = 1.0 + 9 * y
    net = classifier().set_partial_fit_request(sample_weight=True)
    routed = MultiOutputClassifier(net)
    routed.partial_fit(X, y[:, np.newaxis], classes=[[0, 1]], sample_weight=weights)
    direct = clone(net).partial_fit(X, y, classes=[0, 1], sample_weight=weights)
    assert_array_equal(routed.predict_proba(X)[0], direct.predict_proba(X))
    unweighted = clone(net).partial_fit(X, y, classes=[0, 1])
    assert abs(direct.predict_proba(X) - unweighted.predict_proba(X)).max() > 0.01


def test_weights_by_step_name_without_routing(cancer):
    X, y = cancer
    weights = 1.0 + 9 * y
    pipeline = Pipeline([("scale", "passthrough"), ("net", classifier())])
    pipeline.fit(X, y, net__sample_weight=weights)
    direct = classifier().fit(X, y, sample_weight=weights)
    assert_array_equal(pipeline.predict_proba(X), direct.predict_proba(X))
    assert abs(direct.predict_proba(X) - classifier().fit(X, y).predict_proba(X)).max() > 0.01


# Requests in copies and files.

COPIES = {
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "without_training_state": lambda model, path: model.without_training_state(),
    "save": lambda model, path: sknet.save(model, path) or sknet.load(path),
    "skops": lambda model, path: through_skops(model),
    "checkpoint": lambda model, path: through_checkpoint(model, path),
}


def through_skops(model):
    io = pytest.importorskip("skops.io", reason="skops is not installed")
    return io.loads(io.dumps(model), trusted=TRUSTED_TYPES)


def through_checkpoint(model, path):
    if not HAS_CALLBACKS:
        pytest.skip("scikit-learn before 1.9 has no callbacks")
    X, y = load_wine(return_X_y=True)
    clone(model).set_callbacks(sknet.Checkpoint(path)).fit(X, y)
    return sknet.Checkpoint.resume(path)


@pytest.fixture
def asking(wine):
    with sklearn.config_context(enable_metadata_routing=True):
        model = classifier(max_iter=3).fit(*wine)
        model.set_fit_request(sample_weight="weights", X_val=False)
        return model.set_score_request(sample_weight=True)


@pytest.mark.parametrize("way", COPIES)
def test_copies_and_files_keep_requests(way, asking, tmp_path):
    copied = COPIES[way](asking, tmp_path / "model")
    expected = asking.get_metadata_routing()
    assert str(copied.get_metadata_routing()) == str(expected)
    assert expected.fit.requests["sample_weight"] == "weights"


@pytest.mark.usefixtures("routing")
def test_a_small_pickle_does_not_hold_the_estimator_that_was_asked(wine):
    X, y = wine
    model = classifier(hidden_layer_sizes=(1000,), max_iter=3).set_fit_request(sample_weight=True)
    plain = classifier(hidden_layer_sizes=(1000,), max_iter=3).fit(X, y)
    small, expected = (m.without_training_state() for m in (model.fit(X, y), plain))
    assert len(pickle.dumps(small)) < len(pickle.dumps(expected)) + 1000
    assert len(pickle.dumps(clone(model))) < 10_000


@pytest.mark.parametrize(
    "asked",
    [
        None,
        {"owner": {}},
        {"dance": {}},
        {"fit": None},
        {"fit": {"X": True}},
        {"fit": {"sample_weight": 1}},
        {"fit": {"sample_weight": "no name"}},
    ],
    ids=str,
)
def test_files_with_unknown_requests_are_refused(asked, asking):
    state = asking.__getstate__()
    names = asking.get_params().keys() | {"_sknet_version"}
    attributes = {name: value for name, value in state.items() if name not in names}
    check_fitted(asking, attributes)
    with pytest.raises(sknet.exceptions.ModelFileError, match="_metadata_request"):
        check_fitted(asking, attributes | {"_metadata_request": asked})
