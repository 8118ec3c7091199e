"""Calls in random order: each succeeds, or says why not and changes nothing.

Beside our estimator stands scikit-learn's, which is given the same calls. As long as it has an
answer, and no difference that the documentation lists has come up, both are the same model.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import random_data
import random_parameters
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
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
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from snapshots import assert_same, assert_unchanged, snapshot
from versions import needs_weights

# After one of these has changed, the packages go on with a fitted network in different ways.
# A new fit makes them equal again.
LISTED = {
    *("solver", "learning_rate", "learning_rate_init", "power_t", "momentum", "epsilon"),
    *("nesterovs_momentum", "beta_1", "beta_2"),
    *("loss", "activation", "hidden_layer_sizes", "early_stopping", "warm_start"),
}


class Calls(RuleBasedStateMachine):
    """Two estimators, ours and scikit-learn's, and what has been called so far."""

    estimator: str

    @initialize(draws=st.data())
    def create(self, draws: Any) -> None:
        self.steps: list[object] = [self.estimator]
        self.parameters: dict[str, Any] = {}
        self.kind = draws.draw(random_data.targets(self.estimator))
        self.is_same = False  # whether both have the same model
        self.past: list[Any] = []  # calls that lead to scikit-learn's model
        self.ours = random_parameters.new(self.estimator, {})
        self.theirs = random_parameters.new_of_sklearn(self.estimator, {})
        self.set_params(draws)

    @property
    def is_fitted(self) -> bool:
        return hasattr(self.ours, "coefs_")

    def data(self, draws: Any) -> tuple[Any, Any, Any]:
        """Draw data of the same features and the same kind of targets, for the most part."""
        p = st.sampled_from([3] * 9 + [2])
        features: Features = draws.draw(random_data.features(p=p))
        kind: Targets = self.kind._replace(seed=draws.draw(st.integers(0, 1)))
        weights = draws.draw(random_data.weights)
        self.steps.append((features, kind, weights))
        return features.make(), kind.make(features.n), make_weights(weights, features.n)

    def train(self, name: str, X: Any, y: Any, **options: Any) -> None:
        """Call `fit` or `partial_fit` of both estimators."""
        is_new = not self.is_fitted or (name == "fit" and not self.ours.warm_start)
        before = snapshot(self.ours)
        with watched(*self.steps), unmodified(X, y, *options.values(), self.ours.get_params()):
            ours = attempt(lambda: getattr(self.ours, name)(X, y, **options))
        event(f"{name}: {'refused' if ours.error else 'done'}")
        if ours.error is not None:
            assert_unchanged(self.ours, before)
        if self.theirs is None:
            return
        y, options["sample_weight"] = for_sklearn(y), for_sklearn(options["sample_weight"])
        theirs_before = copy.deepcopy(self.theirs)
        theirs = attempt_of_sklearn(lambda: getattr(self.theirs, name)(X, y, **options))
        if ours.error is not None or theirs.error is not None:
            self.theirs = theirs_before  # as ours is; half trained, or trained by this call alone
        if not is_new and not self.is_same:
            return
        if ours.error is None:
            call = (name, X, y, options, self.theirs.get_params())
            self.past = [call] if is_new else [*self.past, call]
        if assert_parity(ours, theirs, X, self.again):
            event("same model as scikit-learn's")
            self.is_same = True
        elif ours.error is None:
            self.is_same = False

    def again(self, rng: np.random.Generator) -> Any:
        """Return scikit-learn's model after the same calls with other roundings of X."""
        model = random_parameters.new_of_sklearn(self.estimator, {})
        for name, X, y, options, params in self.past:
            nudge(model.set_params(**params), rng)
            getattr(model, name)(moved(X, rng), y, **options)
        return model

    @rule(draws=st.data())
    def fit(self, draws: Any) -> None:
        X, y, weights = self.data(draws)
        self.steps.append("fit")
        self.train("fit", X, y, sample_weight=weights)

    @rule(draws=st.data())
    def partial_fit(self, draws: Any) -> None:
        X, y, weights = self.data(draws)
        options = {"sample_weight": weights}
        if self.estimator == "MLPClassifier" and draws.draw(st.integers(0, 9)) < 9:
            options["classes"] = self.kind.classes()
        self.steps.append("partial_fit")
        self.train("partial_fit", X, y, **options)

    @rule(draws=st.data())
    def set_params(self, draws: Any) -> None:
        plain = draws.draw(st.sampled_from([True, True, True, False]))
        drawn = draws.draw(random_parameters.parameters(self.estimator, plain=plain, max_size=3))
        self.steps.append(drawn)
        self.parameters |= drawn
        self.ours.set_params(**drawn)
        other = random_parameters.new_of_sklearn(self.estimator, self.parameters)
        if self.theirs is None or other is None:
            self.theirs, self.is_same = other, False
        else:
            self.theirs.set_params(**other.get_params())
        if LISTED & set(drawn):
            self.is_same = False

    @rule(draws=st.data())
    def refuse(self, draws: Any) -> None:
        """A parameter that is not allowed: it is refused, and can be set back."""
        refused = draws.draw(random_parameters.refused())
        X, y, weights = self.data(draws)
        parameters = self.ours.get_params()
        self.ours.set_params(**refused)
        before = snapshot(self.ours)
        self.steps.append(refused)
        with watched(*self.steps):
            result = attempt(lambda: self.ours.fit(X, y, sample_weight=weights))
        assert result.error is not None, refused
        assert_unchanged(self.ours, before)
        self.ours.set_params(**parameters)

    @rule()
    def pickle(self) -> None:
        self.steps.append("pickle")
        before = snapshot(self.ours)
        self.ours = pickle.loads(pickle.dumps(self.ours))
        assert_same(snapshot(self.ours).state, before.state)

    @rule()
    def copy(self) -> None:
        self.steps.append("copy")
        before = snapshot(self.ours)
        self.ours = copy.deepcopy(self.ours)
        assert_same(snapshot(self.ours).state, before.state)

    @rule()
    def clone(self) -> None:
        self.steps.append("clone")
        parameters = self.ours.get_params()
        self.ours = clone(self.ours)
        assert_same(self.ours.get_params(), parameters)
        assert not self.is_fitted
        if self.theirs is not None:
            self.theirs = clone(self.theirs)
        self.is_same, self.past = False, []

    @rule(draws=st.data())
    def predict(self, draws: Any) -> None:
        X, _, _ = self.data(draws)
        self.steps.append("predict")
        before = snapshot(self.ours)
        with watched(*self.steps):
            result = attempt(lambda: self.ours.predict(X))
            if result.error is None:
                assert_predictions(self.ours, X)
        assert self.is_fitted or isinstance(result.error, NotFittedError | ValueError)
        assert_unchanged(self.ours, before)

    @rule(draws=st.data())
    def score(self, draws: Any) -> None:
        X, y, weights = self.data(draws)
        self.steps.append("score")
        before = snapshot(self.ours)
        with watched(*self.steps), unmodified(X, y, weights):
            result = attempt(lambda: self.ours.score(X, y, weights))
        assert self.is_fitted or result.error is not None
        assert_unchanged(self.ours, before)

    @rule()
    def look(self) -> None:
        """Everything that can be looked at, and what must agree with each other."""
        if not self.is_fitted:
            return
        model, before = self.ours, snapshot(self.ours)
        n = len(model.loss_curve_)
        for name in ("validation_loss_curve_", "validation_scores_"):
            assert getattr(model, name) is None or len(getattr(model, name)) <= n
        assert len(getattr(model, "training_scores_", [])) <= n
        # L-BFGS may find the first weights good enough.
        assert len(model.history_["epoch"]) == n >= model.n_iter_ >= 0
        assert np.isfinite(model.loss_)
        assert all(np.isfinite(W).all() for W in model.coefs_ + model.intercepts_)
        units = [W.shape[0] for W in model.coefs_] + [model.n_outputs_]
        assert [b.size for b in model.intercepts_] == units[1:]
        assert (units[0], len(units)) == (model.n_features_in_, model.n_layers_)
        assert repr(model)
        assert len(model.summary().splitlines()) == len(model.coefs_) + 8
        assert model._repr_html_()
        assert_unchanged(model, before)

    @rule(layer=st.sampled_from([0, -1]))
    def set_weights(self, layer: int) -> None:
        """Weights that are set by hand, as a new array or into the old one."""
        if not self.is_fitted:
            return
        self.steps.append(f"weights of {layer}")
        for model in (self.ours, self.theirs):
            if model is not None and hasattr(model, "coefs_"):
                model.coefs_[layer] = model.coefs_[layer] / 2
                model.intercepts_[layer][:] = 0.25
        self.is_same = False


class ClassifierCalls(Calls):
    """Calls of a classifier."""

    estimator = "MLPClassifier"


class RegressorCalls(Calls):
    """Calls of a regressor."""

    estimator = "MLPRegressor"


TestClassifier = needs_weights(ClassifierCalls.TestCase)
TestRegressor = needs_weights(RegressorCalls.TestCase)
