"""The metrics of several quantiles are scikit-learn's, quantile by quantile."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.metrics
from factories import regressor
from numpy.testing import assert_allclose
from sklearn.linear_model import QuantileRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import MLPRegressor
from sknet.metrics import d2_pinball_score, make_pinball_scorer, mean_pinball_loss

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUANTILES = [0.1, 0.5, 0.9]
METRICS = {"mean_pinball_loss": mean_pinball_loss, "d2_pinball_score": d2_pinball_score}


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("quantile", [0.3, [0.3], QUANTILES, np.array(QUANTILES)], ids=str)
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("name", METRICS)
def test_each_quantile_counts_alike(name, n_targets, quantile, is_weighted):
    generator = np.random.RandomState(0)
    taus = np.atleast_1d(quantile)
    y = generator.normal(size=(40, n_targets))
    predicted = generator.normal(size=(40, n_targets, len(taus)))
    weights = generator.gamma(1.0, size=40) if is_weighted else None
    one = getattr(sklearn.metrics, name)
    expected = np.mean(
        [
            one(y[:, j], predicted[:, j, k], alpha=tau, sample_weight=weights)
            for j in range(n_targets)
            for k, tau in enumerate(taus)
        ]
    )
    y, columns = y if n_targets > 1 else y[:, 0], predicted.reshape(40, -1)
    columns = columns[:, 0] if columns.shape[1] == 1 else columns
    ours = METRICS[name](y, columns, quantile=quantile, sample_weight=weights)
    assert_allclose(ours, expected, rtol=1e-13)
    as_lists = METRICS[name](y.tolist(), columns.tolist(), quantile=quantile, sample_weight=weights)
    assert as_lists == ours


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_predictions_of_other_quantiles_are_an_error(metric):
    with pytest.raises(ValueError, match=r"y_pred has 3 columns.*1 targets.*quantile=\[0.1, 0.9\]"):
        metric(np.ones(5), np.ones((5, 3)), quantile=[0.1, 0.9])


@pytest.mark.parametrize("quantile", [0.0, 1.5, [], [0.5, 2], "median"], ids=repr)
def test_what_is_no_quantile_is_refused_before_any_fit(quantile):
    with pytest.raises(ValueError, match="quantile="):
        make_pinball_scorer(quantile)


def test_the_scorer_in_cross_validation(progress):
    X, y = progress
    net = regressor(loss="quantile", quantile=QUANTILES)
    folds = KFold(3)
    scores = cross_val_score(
        net, X, y, cv=folds, scoring=make_pinball_scorer(QUANTILES), error_score="raise"
    )
    for score, (train, test) in zip(scores, folds.split(X), strict=True):
        predicted = net.fit(X[train], y[train]).predict(X[test])
        losses = [
            sklearn.metrics.mean_pinball_loss(y[test], column, alpha=tau)
            for column, tau in zip(predicted.T, QUANTILES, strict=True)
        ]
        assert_allclose(score, -np.mean(losses), rtol=1e-12)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_the_scorer_in_a_search(n_jobs, progress):
    model = make_pipeline(StandardScaler(), regressor(loss="quantile", quantile=QUANTILES))
    search = GridSearchCV(
        model,
        {"mlpregressor__learning_rate_init": [1e-6, 0.01]},
        cv=2,
        scoring=make_pinball_scorer(QUANTILES),
        error_score="raise",
        n_jobs=n_jobs,
    ).fit(*progress)
    assert search.best_params_ == {"mlpregressor__learning_rate_init": 0.01}
    assert search.best_score_ < 0


def test_the_scorer_of_validation_data(progress):
    X, y = progress
    scorer = make_pinball_scorer(QUANTILES)
    model = regressor(loss="quantile", quantile=QUANTILES, scoring=scorer)
    weights = np.random.RandomState(0).gamma(1.0, size=50)
    model.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:], sample_weight_val=weights)
    score = scorer(model, X[150:], y[150:], sample_weight=weights)
    assert_allclose(model.validation_scores_[-1], score, rtol=1e-12)


def test_score_is_d2(progress):
    X, y = progress
    model = regressor(loss="quantile", quantile=QUANTILES).fit(X, y)
    expected = d2_pinball_score(y, model.predict(X), quantile=QUANTILES)
    assert model.score(X, y) == expected > 0.1


def test_the_scorer_takes_regressors_of_others(progress):
    X, y = progress
    model = QuantileRegressor(quantile=0.9, alpha=0).fit(X, y)
    expected = -sklearn.metrics.mean_pinball_loss(y, model.predict(X), alpha=0.9)
    assert_allclose(make_pinball_scorer(0.9)(model, X, y), expected, rtol=1e-12)


def test_the_scorer_can_be_pickled(progress):
    X, y = progress
    model = regressor(loss="quantile", quantile=QUANTILES, max_iter=2).fit(X, y)
    scorer = make_pinball_scorer(QUANTILES)
    assert pickle.loads(pickle.dumps(scorer))(model, X, y) == scorer(model, X, y)


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("quantile", [None, [0.1, 0.9]])
def test_sparse_targets_are_scored_as_dense_ones(quantile, n_targets):
    X, y = np.eye(12, 3), np.arange(12.0 * n_targets).reshape(12, -1) % 5
    loss = {} if quantile is None else {"loss": "quantile", "quantile": quantile}
    net = MLPRegressor(max_iter=2, **loss).fit(X, y[:, 0] if n_targets == 1 else y)
    sparse = sp.csr_array(y)
    assert net.score(X, sparse) == net.score(X, y)
    sparse.indices[0] = 2
    with pytest.raises(ValueError, match=r"y\.indices has values from . to 2"):
        net.score(X, sparse)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (3.0, "scalar"),
        (None, "None"),
        ([], r"0 sample\(s\)"),
        (["a"] * 12, "strings"),
        (np.zeros((12, 1, 1)), "dim 3"),
        (np.full(12, np.nan), "contains NaN"),
        (np.full(12, 1j), "Complex data"),
        (np.zeros(3), r"numbers of samples: \[3, 12\]"),
    ],
)
def test_targets_that_cannot_be_scored(y, message):
    X = np.eye(12, 3)
    net = MLPRegressor(max_iter=2).fit(X, X[:, 0])
    with pytest.raises((ValueError, TypeError), match=message):
        net.score(X, y)
    with pytest.raises((ValueError, TypeError), match=message):
        mean_pinball_loss(y, net.predict(X))
