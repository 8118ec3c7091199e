"""Random fits: any parameters, any data, and scikit-learn's model wherever it has one.

The profile "ci" draws the same 1,000 cases each time, "nightly" 20,000 new ones:
``pytest tests/fuzz --hypothesis-profile=nightly``. A failing case is printed as a recipe
that can be pasted into `Case(...)`, and kept in ``.hypothesis`` for the next run. A case
that ends the process is in ``.hypothesis/running``.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pytest
import random_data
import random_parameters
from hypothesis import event, given
from hypothesis import strategies as st
from oracle import (
    assert_parity,
    assert_predictions,
    attempt,
    attempt_of_sklearn,
    for_sklearn,
    moved,
    nudge,
    unmodified,
    watched,
)
from random_data import Features, Targets, make_weights
from snapshots import assert_same, assert_unchanged, snapshot
from versions import needs_weights


class Case(NamedTuple):
    """A fit."""

    estimator: str
    parameters: dict[str, Any]
    X: Features
    y: Targets
    weights: str | None = None
    validation: Features | None = None
    validation_weights: str | None = None


@st.composite
def cases(draw: Any, estimator: str) -> Case:
    """Draw a fit. Half of them are such that scikit-learn has the model, too."""
    plain = draw(st.booleans())
    given = draw(random_parameters.parameters(estimator, plain=plain))
    if draw(st.integers(0, 19)) == 19:
        given |= draw(random_parameters.refused())
    X = draw(random_data.features())
    y, weights = draw(random_data.targets(estimator)), draw(random_data.weights)
    if plain or draw(st.integers(0, 2)) < 2:
        return Case(estimator, given, X, y, weights)
    validation = draw(random_data.features(p=st.just(X.p)))
    return Case(estimator, given, X, y, weights, validation, draw(random_data.weights))


@needs_weights
@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
@given(st.data())
def test_any_fit(estimator, draws):
    case = draws.draw(cases(estimator))
    with watched(case):
        check(case)


def check(case: Case) -> None:
    X, y, weights = case.X.make(), case.y.make(case.X.n), make_weights(case.weights, case.X.n)
    options = {}
    if case.validation is not None:
        n = case.validation.n
        options = {"X_val": case.validation.make(), "y_val": case.y.make(n)}
        options["sample_weight_val"] = make_weights(case.validation_weights, n)
    model = random_parameters.new(case.estimator, case.parameters)
    before, given = snapshot(model), copy.deepcopy(model.get_params())
    with unmodified(X, y, weights, *options.values()):
        ours = attempt(lambda: model.fit(X, y, sample_weight=weights, **options))
    if ours.error is None:
        event("fitted")
        assert_same(model.get_params(), given, "a parameter")
        assert_predictions(model, X)
    else:
        event("refused")
        assert_unchanged(model, before)
    twin = random_parameters.new_of_sklearn(case.estimator, case.parameters)
    if twin is None or options:
        return

    y, weights = for_sklearn(y), for_sklearn(weights)

    def refit(rng):
        new = nudge(random_parameters.new_of_sklearn(case.estimator, case.parameters), rng)
        return new.fit(moved(X, rng), y, sample_weight=weights)

    theirs = attempt_of_sklearn(lambda: twin.fit(X, y, sample_weight=weights))
    if assert_parity(ours, theirs, X, refit):
        event("same model as scikit-learn's")
