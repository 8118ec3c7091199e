"""What is fitted does not depend on parameters set later, nor on a subclass or a pickle."""

from __future__ import annotations

import copy
import pickle
import re
import types

import numpy as np
import pytest
from factories import SMALL
from numpy.testing import assert_array_equal
from processes import run_script
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from snapshots import assert_same_weights, assert_unchanged, snapshot

from sknet import MLPClassifier, MLPRegressor
from sknet.activations import Activation
from sknet.initialization import Initializer
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 90
CLASS_LOSSES = ["log_loss", "focal", "squared_error", "hinge"]
NUMBER_LOSSES = ["squared_error", "absolute_error", "huber", "log_cosh", "poisson", "gamma"]
FURTHER = ["warm start", "partial_fit"]


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def classes(request, digits):
    return digits[0][:N], digits[1][:N] % request.param


@pytest.fixture
def numbers(diabetes):
    X, y = diabetes
    return X[:N], y[:N] / y[:N].mean()


def answers(model, X):
    """Return all that a fitted model says of data."""
    methods = ("predict", "decision_function", "predict_proba", "predict_log_proba")
    return {name: getattr(model, name)(X) for name in methods if hasattr(model, name)}


def assert_same_answers(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert_array_equal(a[name], b[name], err_msg=name)


def train_further(model, how, X, y):
    if how == "warm start":
        model.set_params(warm_start=True).fit(X, y)
    else:
        model.partial_fit(X, y)


# Parameters set after a fit.


@pytest.mark.parametrize("later", CLASS_LOSSES)
@pytest.mark.parametrize("loss", CLASS_LOSSES)
def test_a_loss_set_later_changes_no_class(loss, later, classes):
    # Between losses that all have probabilities a guard against regressions.
    X, y = classes
    model = MLPClassifier(**SMALL, loss=loss).fit(X, y)
    expected = answers(model, X)
    assert ("predict_proba" in expected) == (loss != "hinge")
    model.set_params(loss=later)
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert hasattr(other, "predict_proba") == (loss != "hinge")
        assert hasattr(other, "predict_log_proba") == (loss != "hinge")
        assert_same_answers(answers(other, X), expected)
        assert other.score(X, y) == np.mean(expected["predict"] == y)


@pytest.mark.parametrize("later", [*NUMBER_LOSSES, "quantile"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_loss_set_later_changes_no_number(loss, later, numbers):
    # A guard against regressions: this worked before.
    X, y = numbers
    model = MLPRegressor(**SMALL, loss=loss).fit(X, y)
    expected, score = answers(model, X), model.score(X, y)
    model.set_params(loss=later)
    for other in (model, pickle.loads(pickle.dumps(model))):
        assert_same_answers(answers(other, X), expected)
        assert other.score(X, y) == score


def test_quantiles_set_later_change_nothing(numbers):
    # A guard against regressions: this worked before.
    X, y = numbers
    model = MLPRegressor("quantile", **SMALL, quantile=[0.1, 0.9]).fit(X, y)
    expected, score = answers(model, X), model.score(X, y)
    model.set_params(quantile=[0.2, 0.5, 0.7], non_crossing=True)
    assert_same_answers(answers(model, X), expected)
    assert model.score(X, y) == score


@pytest.mark.parametrize("later", ["tanh", "identity", ["logistic"], ("relu", "gelu")])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_an_activation_set_later_changes_no_prediction(later, estimator, digits):
    X, y = digits[0][:N], digits[1][:N] % 3
    model = estimator(**SMALL, activation="relu").fit(X, y)
    expected = answers(model, X)
    model.set_params(activation=later)
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_answers(answers(other, X), expected)


@pytest.mark.parametrize("later", [(9,), (8, 8), (), "30-20", 4])
def test_layer_sizes_set_later_change_no_prediction(later, digits):
    # A guard against regressions: this worked before.
    X, y = digits[0][:N], digits[1][:N] % 3
    model = MLPClassifier(**SMALL).fit(X, y)
    expected = answers(model, X)
    model.set_params(hidden_layer_sizes=later)
    for other in (model, pickle.loads(pickle.dumps(model))):
        assert_same_answers(answers(other, X), expected)


@pytest.mark.parametrize("loss", CLASS_LOSSES)
def test_before_a_fit_the_parameter_says_whether_there_are_probabilities(loss):
    # A guard against regressions: this worked before.
    model = MLPClassifier(loss=loss)
    assert hasattr(model, "predict_proba") == (loss != "hinge")
    model.set_params(loss="hinge")
    assert not hasattr(model, "predict_proba")
    model.set_params(loss="log_loss")
    assert hasattr(model, "predict_log_proba")


def test_a_failed_fit_does_not_change_whether_there_are_probabilities(classes):
    X, y = classes
    model = MLPClassifier(**SMALL).fit(X, y).set_params(loss="hinge")
    expected = MLPClassifier(**SMALL).fit(X, y).predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert_array_equal(model.predict_proba(X), expected)


# Training that goes on with other parameters.


@pytest.mark.parametrize("how", FURTHER)
@pytest.mark.parametrize(
    ("before", "after", "name"),
    [("squared_error", "poisson", "exp"), ("gamma", "huber", "identity")],
)
def test_the_output_of_numbers_follows_the_loss(before, after, name, how, numbers):
    X, y = numbers
    model = MLPRegressor(**SMALL, loss=before).fit(X, y).set_params(loss=after)
    train_further(model, how, X, y)
    assert model.out_activation_ == name
    scores = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0) @ model.coefs_[1]
    scores = (scores + model.intercepts_[1])[:, 0]
    expected = np.exp(scores) if name == "exp" else scores
    # Sums of ten and of eight products, and an exponential of scores of order 1.
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how", FURTHER)
def test_the_output_of_classes_follows_the_loss(how, classes):
    X, y = classes
    model = MLPClassifier(**SMALL).fit(X, y)
    with_probabilities = model.out_activation_
    assert with_probabilities == ("softmax" if y.max() == 2 else "logistic")
    model.set_params(loss="hinge")
    train_further(model, how, X, y)
    assert model.out_activation_ == "identity"
    assert not hasattr(model, "predict_proba")
    model.set_params(loss="log_loss")
    assert not hasattr(model, "predict_proba")
    train_further(model, how, X, y)
    assert model.out_activation_ == with_probabilities
    p = model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    assert p.min() >= 0


@pytest.mark.parametrize("how", FURTHER)
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("hidden_layer_sizes", (9,)),
        ("hidden_layer_sizes", (8, 8)),
        ("hidden_layer_sizes", ()),
        ("hidden_layer_sizes", "9"),
        ("hidden_layer_sizes", 4),
        ("activation", "tanh"),
        ("activation", ["identity"]),
    ],
    ids=str,
)
def test_parameters_that_disagree_with_the_weights(parameter, value, estimator, how, digits):
    """The error names the parameter, and with the old value training goes on."""
    X, y = digits[0][:N], digits[1][:N] % 3
    model = estimator(**SMALL).fit(X, y)
    twin = copy.deepcopy(model)
    expected = model.predict(X)
    old = model.get_params()[parameter]
    model.set_params(**{parameter: value}, warm_start=how == "warm start")
    before = snapshot(model)
    with pytest.raises(ValueError, match=parameter):
        train_further(model, how, X, y)
    assert_unchanged(model, before)
    assert_array_equal(model.predict(X), expected)
    model.set_params(**{parameter: old})
    for m in (model, twin):
        train_further(m, how, X, y)
    assert_same_weights(model, twin)


@pytest.mark.parametrize("how", FURTHER)
def test_weights_set_by_hand_that_disagree_with_the_parameters(how, digits):
    X, y = digits[0][:N], digits[1][:N] % 3
    model = MLPClassifier(**SMALL).fit(X, y)
    wide = MLPClassifier(**{**SMALL, "hidden_layer_sizes": (20,)}).fit(X, y)
    model.coefs_, model.intercepts_ = wide.coefs_, wide.intercepts_
    assert_array_equal(model.predict_proba(X), wide.predict_proba(X))
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        train_further(model, how, X, y)
    model.set_params(hidden_layer_sizes=(20,))
    train_further(model, how, X, y)
    assert model.coefs_[0].shape == (64, 20)


@pytest.mark.parametrize("how", FURTHER)
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("hidden_layer_sizes", 8),
        ("hidden_layer_sizes", [8]),
        ("hidden_layer_sizes", "8"),
        ("hidden_layer_sizes", np.array([8])),
        ("activation", ["relu"]),
        ("activation", ("relu",)),
    ],
    ids=str,
)
def test_the_same_parameters_in_another_form_agree(parameter, value, how, digits):
    # A guard against regressions: this worked before.
    X, y = digits[0][:N], digits[1][:N] % 3
    models = [MLPClassifier(**SMALL).fit(X, y) for _ in range(2)]
    models[0].set_params(**{parameter: value})
    for model in models:
        train_further(model, how, X, y)
    assert_same_weights(*models)


def test_a_fit_that_begins_anew_takes_the_new_parameters(digits):
    # A guard against regressions: this worked before.
    X, y = digits[0][:N], digits[1][:N] % 3
    parameters = {"hidden_layer_sizes": (5, 4), "activation": ["tanh", "gelu"], "loss": "hinge"}
    model = MLPClassifier(**SMALL).fit(X, y).set_params(**parameters).fit(X, y)
    fresh = MLPClassifier(**{**SMALL, **parameters}).fit(X, y)
    assert_same_weights(model, fresh)
    assert_same_answers(answers(model, X), answers(fresh, X))
    assert model.out_activation_ == fresh.out_activation_


# Subclasses.


def with_few_parameters(estimator, solver):
    """Return a subclass whose constructor takes one parameter, and says the others itself."""

    class Narrow(estimator):
        def __init__(self, alpha=1e-4):
            super().__init__(
                alpha=alpha, max_iter=5, solver=solver, random_state=0, hidden_layer_sizes=(8,)
            )

    return Narrow


@pytest.mark.parametrize("solver", [*Optimizer.table, "lbfgs"])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_subclass_with_few_parameters(estimator, solver, digits):
    """It is the model that its own constructor asks for, wherever scikit-learn takes it."""
    # With L-BFGS a guard against regressions.
    X, y = digits[0][:N], digits[1][:N] % 3
    subclass = with_few_parameters(estimator, solver)
    plain = estimator(alpha=0.5, max_iter=5, solver=solver, random_state=0, hidden_layer_sizes=(8,))
    model = subclass(alpha=0.5)
    assert model.get_params() == {"alpha": 0.5}
    models = [model.fit(X, y), clone(model).fit(X, y)]
    plain.fit(X, y)
    for m in models:
        assert m.n_iter_ == plain.n_iter_ == 5
        assert_same_weights(m, plain)
        assert_array_equal(m.predict(X), plain.predict(X))
    search = GridSearchCV(subclass(), {"alpha": [1e-3, 0.5]}, cv=2, refit=True).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    make_pipeline(StandardScaler(), subclass()).fit(X, y).predict(X)
    repr(model)
    model._repr_html_()
    if solver == "lbfgs":
        assert not hasattr(model, "partial_fit")
        return
    first = subclass(alpha=0.5)
    first.partial_fit(X, y, **({"classes": [0, 1, 2]} if estimator is MLPClassifier else {}))
    fresh = estimator(**plain.get_params())
    fresh.partial_fit(X, y, **({"classes": [0, 1, 2]} if estimator is MLPClassifier else {}))
    assert_same_weights(first, fresh)
    for m in (*models, plain):
        m.partial_fit(X, y)
    for m in models:
        assert_same_weights(m, plain)


class EqualByParameters(MLPClassifier):
    """A subclass with `__eq__`, which Python therefore takes `__hash__` from."""

    def __eq__(self, other):
        return type(other) is type(self) and self.get_params() == other.get_params()


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_subclass_without_a_hash(solver, digits):
    X, y = digits[0][:N], digits[1][:N] % 3
    model = EqualByParameters(**SMALL, solver=solver)
    with pytest.raises(TypeError, match="unhashable"):
        hash(model)
    plain = MLPClassifier(**SMALL, solver=solver).fit(X, y)
    model.fit(X, y)
    assert_same_weights(model, plain)
    assert model == EqualByParameters(**SMALL, solver=solver)
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_answers(answers(other, X), answers(plain, X))
    assert_same_weights(clone(model).fit(X, y), plain)
    model._repr_html_()
    if solver == "adam":
        assert_same_weights(model.partial_fit(X, y), plain.partial_fit(X, y))


def test_equal_models_do_not_share_their_networks(digits):
    """They are equal by their parameters, but have other weights."""
    X, y = digits[0][:N], digits[1][:N] % 3
    models = [EqualByParameters(**SMALL).fit(X[k:], y[k:]) for k in (0, 30)]
    assert models[0] == models[1]
    p, q = (model.predict_proba(X) for model in models)
    assert not np.array_equal(p, q)
    assert_array_equal(models[0].predict_proba(X), p)
    assert_array_equal(models[1].predict_proba(X), q)


# Pickles.

DEFINE = """
import pickle, sys, warnings
from pathlib import Path
import numpy as np
from sknet import MLPRegressor
from sknet.activations import Activation, Tanh
from sknet.losses import Loss, SquaredError

warnings.simplefilter("ignore")
path, kind, defined = sys.argv[1:]
X = np.random.default_rng(0).normal(size=(40, 3))
if defined == "True":
    if kind == "activation":
        class Wave(Tanh, name="wave"):
            "An activation of the user's."
    else:
        class Wave(SquaredError, name="wave"):
            "A loss of the user's."
            public = "wave"
"""
SAVE = """
model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0, **{kind: "wave"})
model.fit(X, X[:, 0])
Path(path).write_bytes(pickle.dumps(model))
np.save(path + ".npy", model.predict(X))
"""
LOAD = """
data = Path(path).read_bytes()
try:
    model = pickle.loads(data)
except Exception as error:
    print(error)
else:
    assert np.array_equal(model.predict(X), np.load(path + ".npy"))
    print("loaded")
"""


@pytest.mark.parametrize("kind", ["activation", "loss"])
def test_a_pickle_with_a_part_that_is_not_defined(kind, tmp_path):
    """The error names the part, and says to define or import it, which is then enough."""
    path = tmp_path / "model.pkl"
    run_script(DEFINE + SAVE, path, kind, True)
    told = run_script(DEFINE + LOAD, path, kind, False)
    assert "wave" in told
    assert kind in told
    assert re.search("import|define", told)
    assert run_script(DEFINE + LOAD, path, kind, True).strip() == "loaded"


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_a_pickle_that_lacks_an_attribute(estimator, solver, digits):
    """It works without it, or the error names it and says more than Python does."""
    X, y = digits[0][:N], digits[1][:N] % 3
    model = estimator(**SMALL, solver=solver).fit(X, y)
    state = model.__getstate__()
    expected = model.predict(X)
    fitted = state.keys() - model.get_params().keys() - {"_sknet_version"}
    assert {"coefs_", "intercepts_", "n_features_in_", "loss_curve_"} <= fitted
    silent = []
    for name in sorted(fitted):
        other = estimator.__new__(estimator)
        try:
            other.__setstate__({key: copy.deepcopy(state[key]) for key in state if key != name})
            assert_array_equal(other.predict(X), expected)
            other.set_params(solver="adam").partial_fit(X, y)
        except NotFittedError:
            assert name == "coefs_"  # nothing says that this was ever fitted
        except Exception as error:
            # Python says that an object has no such attribute; what to do is another matter.
            if name not in str(error) or not re.search("fit|train|sav|version", str(error)):
                silent.append(f"{name}: {type(error).__name__}: {error}")
    assert not silent, "\n".join(silent)


# New parts.

KINDS = [Activation, Initializer, Loss, Optimizer, Schedule]


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("base", ["kind", "part"])
def test_a_new_part_under_a_taken_name_is_refused(base, kind):
    for name, old in dict(kind.table).items():
        bases = (kind,) if base == "kind" else (old,)
        with pytest.raises(ValueError, match=name):
            types.new_class("New", bases, {"name": name})
        assert kind.table[name] is old


@pytest.mark.usefixtures("tables")
def test_a_refused_activation_leaves_the_old_one_at_work(digits):
    X, y = digits[0][:N], digits[1][:N] % 3
    expected = MLPClassifier(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="relu"):

        class Half(Activation, name="relu"):
            @staticmethod
            def forward(a):
                for i in range(a.size):
                    a[i] *= a.dtype.type(0.5)

    assert_array_equal(expected.predict_proba(X), MLPClassifier(**SMALL).fit(X, y).predict_proba(X))


@pytest.mark.usefixtures("tables")
def test_a_part_of_the_user_may_be_defined_again(digits):
    # A guard against regressions: cells of a notebook are run more than once.
    def define(factor):
        class Scaled(Activation, name="scaled"):
            @staticmethod
            def forward(a):
                for i in range(a.size):
                    a[i] *= a.dtype.type(factor)

            @staticmethod
            def backward(z, a, delta):
                for i in range(delta.size):
                    delta[i] *= delta.dtype.type(factor)

        return Scaled

    X, y = digits[0][:N], digits[1][:N] % 3
    for factor in (1.0, 2.0):
        part = define(factor)
        assert Activation.table["scaled"] is part
        model = MLPClassifier(**SMALL, activation="scaled").fit(X, y)
        hidden = factor * (X @ model.coefs_[0] + model.intercepts_[0])
        scores = hidden @ model.coefs_[1] + model.intercepts_[1]
        np.testing.assert_allclose(model.decision_function(X), scores, rtol=1e-12, atol=1e-12)


def test_weights_make_an_estimator_fitted():
    """Other attributes that end in an underscore do not, since nothing can be predicted."""
    model = MLPClassifier()
    model.classes_ = np.arange(3)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    model.coefs_, model.intercepts_ = [np.zeros((4, 3))], [np.zeros(3)]
    check_is_fitted(model)
