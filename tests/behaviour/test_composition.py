"""The estimators inside scikit-learn's pipelines, ensembles and other meta-estimators.

Where it is cheap, the yardstick is the same meta-estimator over scikit-learn's
own MLP with the same seed; elsewhere a score that a broken model does not reach.
"""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.neural_network
from comparisons import ATOL
from factories import BOTH, LEARNING, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import d2_tweedie_score, mean_pinball_loss
from sklearn.model_selection import train_test_split
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
    _predict_binary,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from versions import needs_weights

from sknet import MLPClassifier
from sknet.metrics import make_pinball_scorer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSIFIERS = {
    "Pipeline": lambda net: make_pipeline(StandardScaler(), net),
    "Bagging of features": lambda net: BaggingClassifier(
        net, 3, max_features=0.7, bootstrap=False, random_state=0
    ),
    # One batch: scikit-learn's MLP fails at a batch whose bootstrap weights are all zero.
    "Bagging": lambda net: BaggingClassifier(
        clone(net).set_params(batch_size="auto"), 3, random_state=0
    ),
    "Stacking": lambda net: StackingClassifier(
        [("small", clone(net).set_params(hidden_layer_sizes=(3,))), ("net", net)], cv=2
    ),
    "Stacking on top": lambda net: StackingClassifier(
        [("log", LogisticRegression())], final_estimator=net, cv=2, passthrough=True
    ),
    "Voting": lambda net: VotingClassifier(
        [("tanh", clone(net).set_params(activation="tanh")), ("net", net)], voting="soft"
    ),
    "AdaBoost": lambda net: AdaBoostClassifier(net, n_estimators=3, random_state=0),
    "OneVsRest": OneVsRestClassifier,
}


@needs_weights
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_compose_as_scikit_learn_s_own(name, wine):
    X, X_test, y, y_test = train_test_split(*wine, random_state=0)
    ours, theirs = (CLASSIFIERS[name](classifier(library)).fit(X, y) for library in BOTH)
    assert ours.score(X_test, y_test) > 0.9
    assert_allclose(ours.predict_proba(X_test), theirs.predict_proba(X_test), rtol=0, atol=ATOL)
    assert_array_equal(ours.predict(X_test), theirs.predict(X_test))


REGRESSORS = {
    "Pipeline": lambda net: make_pipeline(StandardScaler(), net),
    "Bagging": lambda net: BaggingRegressor(
        clone(net).set_params(batch_size="auto"), 3, random_state=0
    ),
    "Stacking": lambda net: StackingRegressor(
        [("small", clone(net).set_params(hidden_layer_sizes=(3,))), ("net", net)], cv=2
    ),
    "Voting": lambda net: VotingRegressor(
        [("tanh", clone(net).set_params(activation="tanh")), ("net", net)]
    ),
    "TransformedTarget": lambda net: TransformedTargetRegressor(net, transformer=StandardScaler()),
    "arcsinh": lambda net: TransformedTargetRegressor(net, func=np.arcsinh, inverse_func=np.sinh),
}


@needs_weights
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_compose_as_scikit_learn_s_own(name, progress):
    X, X_test, y, y_test = train_test_split(*progress, random_state=0)
    ours, theirs = (REGRESSORS[name](regressor(library)).fit(X, y) for library in BOTH)
    assert ours.score(X_test, y_test) > 0.2
    assert_allclose(ours.predict(X_test), theirs.predict(X_test), rtol=0, atol=ATOL)


def test_targets_in_their_own_units_are_scaled_for_the_network(diabetes):
    # Progress is about 150 +- 77: unscaled, so few small steps do not even reach the mean.
    X, X_test, y, y_test = train_test_split(*diabetes, random_state=0)
    net = regressor(max_iter=10)
    plain = clone(net).fit(X, y)
    model = TransformedTargetRegressor(net, transformer=StandardScaler()).fit(X, y)
    assert model.score(X_test, y_test) > 0.2
    assert plain.score(X_test, y_test) < 0


QUANTILES = [0.1, 0.5, 0.9]


@pytest.mark.parametrize("quantile", [0.9, QUANTILES], ids=str)
@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler()], ids=repr)
def test_quantiles_of_scaled_targets_come_back_as_quantiles(scaler, quantile, diabetes):
    X, X_test, y, y_test = train_test_split(*diabetes, random_state=0)
    net = regressor(loss="quantile", quantile=quantile)
    model = TransformedTargetRegressor(net, transformer=scaler).fit(X, y)
    # By hand: fitted to scaled targets, and scaled back column by column.
    scaler = clone(scaler).fit(y.reshape(-1, 1))
    by_hand = clone(net).fit(X, scaler.transform(y.reshape(-1, 1)).ravel()).predict(X_test)
    columns = [
        scaler.inverse_transform(c.reshape(-1, 1)) for c in by_hand.reshape(len(X_test), -1).T
    ]
    predicted = model.predict(X_test)
    assert_allclose(predicted.reshape(len(X_test), -1), np.hstack(columns), rtol=1e-12)
    losses = [
        mean_pinball_loss(y_test, column, alpha=tau)
        for column, tau in zip(columns, np.atleast_1d(quantile), strict=True)
    ]
    score = make_pinball_scorer(quantile)(model, X_test, y_test)
    assert_allclose(score, -np.mean(losses), rtol=1e-12)
    # Better than the best constants, those of the test data themselves.
    of_constants = [
        mean_pinball_loss(y_test, np.full(len(y_test), np.quantile(y_test, tau)), alpha=tau)
        for tau in np.atleast_1d(quantile)
    ]
    assert score > -np.mean(of_constants)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_positive_targets_are_scaled_without_centring(loss, diabetes):
    X, X_test, y, y_test = train_test_split(*diabetes, random_state=0)
    net = regressor(loss=loss, max_iter=10)
    with pytest.raises(ValueError, match=r"StandardScaler\(with_mean=False\)"):
        TransformedTargetRegressor(net, transformer=StandardScaler()).fit(X, y)
    scaler = StandardScaler(with_mean=False)
    model = TransformedTargetRegressor(net, transformer=scaler).fit(X, y)
    by_hand = clone(net).fit(X, y / y.std()).predict(X_test) * y.std()
    assert_allclose(model.predict(X_test), by_hand, rtol=1e-9)
    power = {"poisson": 1, "gamma": 2}[loss]
    scores = [
        d2_tweedie_score(y_test, fitted.predict(X_test), power=power)
        for fitted in (model, clone(net).fit(X, y))
    ]
    assert scores[0] > 0.2
    assert scores[0] > scores[1]


@pytest.mark.parametrize(
    "meta",
    [OneVsOneClassifier, lambda net: OutputCodeClassifier(net, code_size=4, random_state=0)],
    ids=["OneVsOne", "OutputCode"],
)
def test_many_binary_classifiers(meta, iris):
    # Both go by decision_function, which scikit-learn's MLP lacks.
    X, X_test, y, y_test = train_test_split(*iris, random_state=0)
    model = meta(classifier()).fit(X, y)
    assert model.score(X_test, y_test) > 0.9


class WithoutScores(MLPClassifier):
    """As scikit-learn's MLP, which has no `decision_function`."""

    decision_function = property()


def boundary(model, X):
    return DecisionBoundaryDisplay.from_estimator(model, X[:, :2], grid_resolution=5).response


def codes(model, X):
    """Return the numbers that are compared with the codes of the classes."""
    return np.array([_predict_binary(net, X) for net in model.estimators_])


# What the list of differences says of `decision_function`: what each of them makes of a net.
GO_BY_SCORES = {
    "Calibrated": lambda net, X, y: CalibratedClassifierCV(net, cv=2).fit(X, y).predict_proba(X),
    "Calibrated, one net": lambda net, X, y: (
        CalibratedClassifierCV(net, cv=2, ensemble=False).fit(X, y).predict_proba(X)
    ),
    "OneVsOne": lambda net, X, y: OneVsOneClassifier(net).fit(X, y).decision_function(X),
    "OutputCode": lambda net, X, y: codes(OutputCodeClassifier(net, random_state=0).fit(X, y), X),
    "DecisionBoundaryDisplay": lambda net, X, y: boundary(net.fit(X[:, :2], y > 0), X),
}


@pytest.mark.parametrize("name", GO_BY_SCORES)
def test_decision_function_is_what_makes_these_differ(name, iris):
    X, y = iris
    ours, without, theirs = (
        GO_BY_SCORES[name](make(**LEARNING), X, y)
        for make in (MLPClassifier, WithoutScores, sklearn.neural_network.MLPClassifier)
    )
    assert_allclose(without, theirs, rtol=0, atol=ATOL)
    assert abs(ours - theirs).max() > 1e-3


def test_one_vs_rest_goes_by_decision_function(iris):
    X, y = iris
    model = OneVsRestClassifier(classifier()).fit(X, y)
    scores = np.column_stack([net.decision_function(X) for net in model.estimators_])
    assert_array_equal(model.decision_function(X), scores)
    assert_array_equal(model.predict(X), scores.argmax(axis=1))
