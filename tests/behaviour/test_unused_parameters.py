"""A parameter that is given in vain is told of, once, with what makes it vain."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.neural_network
from factories import SMALL
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from snapshots import assert_same_weights, assert_unchanged, snapshot

from sknet import MLPClassifier, MLPRegressor
from sknet.estimators import user_warnings
from sknet.estimators.unused_parameters import RULES
from sknet.losses import Loss
from sknet.losses.regression import SquaredError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 60
ESTIMATORS = {"classifier": MLPClassifier, "regressor": MLPRegressor}
OWN = {
    name
    for cls in ESTIMATORS.values()
    for name in set(cls().get_params())
    - set(getattr(sklearn.neural_network, cls.__name__)().get_params())
}

# sknet's parameters that are never in vain.
ALWAYS = {
    "loss": "there always is one (scikit-learn's regressor has it from 1.7 on)",
    "class_weight": "multiplies the weights whatever the loss",
    "n_jobs": "changes no result by design",
    "weight_init": "the first fit draws weights; a warm start goes on from them",
    "input_noise": "is an error where it cannot be added",
    "gradient_clip_norm": "is an error where there are no steps",
    "ema_decay": "is an error where there are no steps",
    "training_scoring": "there always are training data to score",
}


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(user_warnings, "_told", set())


@pytest.fixture(scope="module")
def data(digits):
    X, y = digits[0][:N], digits[1][:N] % 3
    return {"classifier": (X, y), "regressor": (X, y / 2.0)}


def user_warnings_of(call):
    """Return the texts of a call's warnings, but for those of convergence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if not issubclass(w.category, ConvergenceWarning)]


def test_each_own_parameter_has_a_rule_or_a_reason():
    assert not RULES.keys() & ALWAYS.keys()
    assert RULES.keys() | ALWAYS.keys() == OWN | {"loss"}


VAIN = [
    ("classifier", {"label_smoothing": 0.1}, {"loss": "focal"}),
    ("classifier", {"label_smoothing": 0.1}, {"loss": "hinge"}),
    ("classifier", {"label_smoothing": 0.1}, {"loss": "squared_error"}),
    ("classifier", {"focal_gamma": 3.0}, {"loss": "log_loss"}),
    ("regressor", {"quantile": 0.9}, {"loss": "squared_error"}),
    ("regressor", {"quantile": [0.1, 0.9]}, {"loss": "absolute_error"}),
    ("regressor", {"quantile": np.array([0.1, 0.9])}, {"loss": "huber"}),
    ("regressor", {"non_crossing": True}, {"loss": "squared_error"}),
    ("regressor", {"non_crossing": True}, {"quantile": 0.9, "loss": "quantile"}),
    ("regressor", {"huber_delta": 2.0}, {"loss": "log_cosh"}),
    ("regressor", {"l1_ratio": 0.5}, {"alpha": 0}),
    ("classifier", {"dropout": 0.5}, {"hidden_layer_sizes": ()}),
    *(
        ("classifier", {"weight_decay": 0.1}, {"solver": solver})
        for solver in ("adam", "sgd", "nadam", "amsgrad", "rmsprop", "lbfgs")
    ),
    *(
        ("regressor", given, {"solver": "lbfgs"})
        for given in ({"warmup_fraction": 0.1}, {"decay_rate": 0.5}, {"decay_epochs": 3})
    ),
    ("classifier", {"warmup_fraction": 0.1}, {"learning_rate": "one_cycle"}),
    ("classifier", {"warmup_fraction": 0.1}, {"learning_rate": "coslog"}),
    ("classifier", {"decay_rate": 0.5}, {"learning_rate": "constant"}),
    ("regressor", {"decay_rate": 0.5}, {"learning_rate": "cosine"}),
    ("regressor", {"decay_epochs": 3}, {"learning_rate": "exponential"}),
    ("classifier", {"scoring": "f1_macro"}, {"early_stopping": False}),
    ("regressor", {"scoring": "loss"}, {"early_stopping": False}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "given", "other"), VAIN, ids=str)
def test_one_warning_names_both(kind, given, other, data):
    model = ESTIMATORS[kind](**{**SMALL, **given, **other})
    (told,) = user_warnings_of(lambda: model.fit(*data[kind]))
    ((name, value),) = given.items()
    (blamed, blamed_value) = next(iter(other.items()))
    assert told.startswith(f"{name}={value!r} has no effect with ")
    assert f"{blamed}={blamed_value!r}" in told
    # It is true: the model is that of the default.
    plain = ESTIMATORS[kind](**{**SMALL, **other}).fit(*data[kind])
    assert_same_weights(model, plain)


USED = [
    ("classifier", {"label_smoothing": 0.1}),
    ("classifier", {"loss": "focal", "focal_gamma": 3.0}),
    ("regressor", {"loss": "quantile", "quantile": 0.9}),
    ("regressor", {"loss": "quantile", "quantile": [0.1, 0.9], "non_crossing": True}),
    ("regressor", {"loss": "huber", "huber_delta": 2.0}),
    ("regressor", {"l1_ratio": 0.5}),
    ("classifier", {"dropout": 0.5}),
    ("classifier", {"dropout": [], "hidden_layer_sizes": ()}),
    ("classifier", {"solver": "adamw", "weight_decay": 0.1}),
    ("classifier", {"solver": "lion", "weight_decay": 0.1}),
    ("classifier", {"solver": "adam", "weight_decay": 0}),  # which is what happens
    ("classifier", {"decay_rate": 1.0}),
    ("classifier", {"learning_rate": "invscaling", "warmup_fraction": 0.1}),
    ("classifier", {"learning_rate": "step", "decay_rate": 0.5, "decay_epochs": 3}),
    ("regressor", {"scoring": "r2", "early_stopping": True}),
    ("regressor", {"restore_best": True}),
    ("regressor", {"restore_best": False}),
]


@pytest.mark.parametrize(("kind", "given"), USED, ids=str)
def test_parameters_of_use_are_silent(kind, given, data):
    model = ESTIMATORS[kind](**{**SMALL, **given})
    assert user_warnings_of(lambda: model.fit(*data[kind])) == []


def test_scoring_of_validation_data_is_silent(data):
    X, y = data["classifier"]
    model = MLPClassifier(**SMALL, scoring="f1_macro")
    assert user_warnings_of(lambda: model.fit(X, y, X_val=X, y_val=y)) == []


def test_partial_fit_tells_at_its_first_call(data):
    X, y = data["regressor"]
    model = MLPRegressor(**SMALL, restore_best=True, scoring="r2", huber_delta=3.0)
    told = user_warnings_of(lambda: model.partial_fit(X, y))
    names = [text.split("=")[0] for text in told]
    assert sorted(names) == ["huber_delta", "restore_best", "scoring"]
    assert "partial_fit" in told[names.index("restore_best")]
    assert "X_val" in told[names.index("scoring")]
    assert user_warnings_of(lambda: model.partial_fit(X, y)) == []


def test_the_remedy_lists_what_takes_the_parameter(data):
    model = MLPRegressor(**SMALL, decay_rate=0.5, quantile=0.9, weight_decay=0.1)
    told = user_warnings_of(lambda: model.fit(*data["regressor"]))
    remedies = {text.split("=")[0]: text for text in told}
    assert "'exponential' or 'step'" in remedies["decay_rate"]
    assert remedies["quantile"].endswith("It applies to loss='quantile' only.")
    assert "'adamw' or 'lion'" in remedies["weight_decay"]


def test_a_loss_of_one_s_own_may_use_any_parameter(data, monkeypatch):
    """What a loss reads is found out by asking it, so no list can miss a new one."""
    monkeypatch.setattr(Loss, "table", dict(Loss.table))

    class Scaled(SquaredError, name="scaled_error"):
        public = "scaled_error"

        @classmethod
        def settings(cls, hyperparameters):
            return [float(hyperparameters["huber_delta"])]

    model = MLPRegressor(**SMALL, loss="scaled_error", huber_delta=2.0)
    assert user_warnings_of(lambda: model.fit(*data["regressor"])) == []
    (told,) = user_warnings_of(lambda: model.set_params(loss="log_cosh").fit(*data["regressor"]))
    assert "'huber' or 'scaled_error'" in told


def test_defaults_are_those_of_the_class_in_use(data):
    class Plain(MLPRegressor):
        def __init__(self, alpha=1e-4, huber_delta=3.0):
            super().__init__(**SMALL, alpha=alpha, huber_delta=huber_delta)

    assert user_warnings_of(lambda: Plain().fit(*data["regressor"])) == []
    (told,) = user_warnings_of(lambda: Plain(huber_delta=1.0).fit(*data["regressor"]))
    assert told.startswith("huber_delta=1.0")


def test_as_an_error_it_leaves_the_estimator_as_it_was(data):
    model = MLPRegressor(**SMALL).fit(*data["regressor"])
    before = snapshot(model.set_params(huber_delta=3.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(UserWarning, match="huber_delta"):
            model.fit(*data["regressor"])
    assert_unchanged(model, before)


# Another value than the default for each of scikit-learn's parameters.
SHARED = {
    "alpha": 0.0,
    "batch_size": 7,
    "learning_rate": "adaptive",
    "learning_rate_init": 0.01,
    "power_t": 0.3,
    "max_iter": 4,
    "shuffle": False,
    "tol": 0.5,
    "warm_start": True,
    "momentum": 0.1,
    "nesterovs_momentum": False,
    "validation_fraction": 0.3,
    "beta_1": 0.5,
    "beta_2": 0.5,
    "epsilon": 1e-3,
    "n_iter_no_change": 2,
    "max_fun": 50,
    "activation": "tanh",
    "hidden_layer_sizes": (),
}


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", SHARED)
def test_scikit_learn_s_parameters_are_as_silent_as_there(name, solver, data):
    X, y = data["classifier"]
    parameters = {**SMALL, "solver": solver, name: SHARED[name]}
    told = [
        user_warnings_of(lambda cls=cls: cls(**parameters).fit(X, y))
        for cls in (MLPClassifier, sklearn.neural_network.MLPClassifier)
    ]
    assert told == [[], []]


def test_all_of_scikit_learn_s_parameters_are_looked_at():
    theirs = set(sklearn.neural_network.MLPClassifier().get_params())
    # `solver` is crossed with the others, and has a test of its own with `early_stopping`;
    # `random_state` and `verbose` decide nothing about the others.
    assert theirs - SHARED.keys() == {"solver", "early_stopping", "random_state", "verbose"}


# `early_stopping` with L-BFGS, which scikit-learn ignores.


def test_early_stopping_of_lbfgs_is_told_once_in_a_whole_search(data):
    X, y = data["classifier"]
    net = MLPClassifier(**SMALL)
    grid = {"solver": ["lbfgs"], "early_stopping": [True, False], "alpha": [0.1, 1.0]}
    search = GridSearchCV(net, grid, cv=2)
    (told,) = user_warnings_of(lambda: search.fit(X, y))
    assert all(text in told for text in ("early_stopping=True", "solver='lbfgs'", "scikit-learn"))


def test_each_line_is_told_once(data):
    X, y = data["classifier"]
    model = MLPClassifier(**SMALL, solver="lbfgs", early_stopping=True)

    def one_line():
        model.fit(X, y)

    assert [len(user_warnings_of(one_line)) for _ in range(3)] == [1, 0, 0]
    assert len(user_warnings_of(lambda: model.fit(X, y))) == 1


def test_as_an_error_it_is_told_each_time(data):
    model = MLPClassifier(**SMALL, solver="lbfgs", early_stopping=True)
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            with pytest.raises(UserWarning, match="early_stopping=True"):
                model.fit(*data["classifier"])


@pytest.mark.parametrize(
    ("parameters", "gives_data"),
    [
        ({"solver": "adam"}, False),
        ({"solver": "lbfgs"}, True),
        ({"solver": "lbfgs", "scoring": "loss"}, False),
        ({"solver": "lbfgs", "restore_best": True}, False),
    ],
)
def test_early_stopping_that_is_known_to_be_ours_is_silent(parameters, gives_data, data):
    X, y = data["classifier"]
    validation = {"X_val": X, "y_val": y} if gives_data else {}
    model = MLPClassifier(**SMALL, early_stopping=True, **parameters)
    assert user_warnings_of(lambda: model.fit(X, y, **validation)) == []
