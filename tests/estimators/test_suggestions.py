"""Errors suggest what a misspelt name, or one of another library, was meant to be."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

import sknet
from sknet import MLPClassifier, MLPRegressor
from sknet.estimators.suggestions import PARAMETER_SYNONYMS, VALUE_SYNONYMS, meant

X, y = np.eye(6), np.arange(6) % 3
DOCS = Path(sknet.__file__).parents[1] / "docs"
SCRIPT, PAGE = DOCS / "make_synonyms.py", DOCS / "coming_from" / "keras.md"


def allowed(parameter):
    """Return the strings that a parameter of one of the estimators may have."""
    return {
        option
        for cls in (MLPClassifier, MLPRegressor)
        for constraint in cls._parameter_constraints.get(parameter, ())
        if isinstance(constraint, StrOptions)
        for option in constraint.options
    }


def test_synonyms_stand_for_what_is_there():
    names = set(MLPClassifier().get_params())
    assert set(PARAMETER_SYNONYMS.values()) <= names
    assert not PARAMETER_SYNONYMS.keys() & names
    for parameter, synonyms in VALUE_SYNONYMS.items():
        assert set(synonyms.values()) <= allowed(parameter), parameter
        assert not synonyms.keys() & allowed(parameter), parameter


NAMES = {
    "epochs": "max_iter",
    "patience": "n_iter_no_change",
    "lr": "learning_rate_init",
    "optimizer": "solver",
    "units": "hidden_layer_sizes",
    "layers": "hidden_layer_sizes",
    "l2": "alpha",
    "validation_split": "validation_fraction",
    "restore_best_weights": "restore_best",
    "seed": "random_state",
    "clipnorm": "gradient_clip_norm",
    "hidden_layers_sizes": "hidden_layer_sizes",
    "max_iters": "max_iter",
    "batchsize": "batch_size",
    "Activation": "activation",
}


@pytest.mark.parametrize("given", NAMES)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_names_of_parameters(cls, given):
    suggestion = re.escape(f"Did you mean {NAMES[given]!r}?") + "$"
    start = rf"^Invalid parameter '{given}' for estimator {cls.__name__}.*"
    with pytest.raises(ValueError, match=start + suggestion):
        cls().set_params(**{given: 3})
    pipeline = make_pipeline(StandardScaler(), cls())
    with pytest.raises(ValueError, match=suggestion):
        pipeline.set_params(**{f"{cls.__name__.lower()}__{given}": 3})


def test_in_a_search():
    with pytest.raises(ValueError, match=r"Did you mean 'max_iter'\?"):
        GridSearchCV(MLPClassifier(), {"epochs": [3]}, cv=2).fit(X, y)


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(ValueError, match=r"^Invalid parameter 'colour'.*\]\.$"):
        MLPClassifier().set_params(colour="red")


def test_the_unknown_name_is_the_one_that_counts():
    with pytest.raises(ValueError, match=r"'epochs'.*Did you mean 'max_iter'\?"):
        MLPClassifier().set_params(alpha=0.1, epochs=3, lr=0.1)
    with pytest.raises(ValueError, match=r"Did you mean 'solver'\?"):
        MLPClassifier().set_params(optimizer__momentum=3)


def test_what_is_known_is_set():
    model = MLPClassifier()
    assert model.set_params(max_iter=3, solver="sgd") is model
    assert (model.max_iter, model.solver) == (3, "sgd")
    assert model.set_params() is model


def test_a_constructor_stays_as_it_is():
    with pytest.raises(TypeError, match=r"^MLPClassifier\.__init__\(\) got an .*'epochs'$"):
        MLPClassifier(epochs=3)


VALUES = [
    (MLPClassifier, {"activation": "sigmoid"}, "logistic"),
    (MLPRegressor, {"activation": "swish"}, "silu"),
    (MLPRegressor, {"activation": "linear"}, "identity"),
    (MLPRegressor, {"activation": "LeakyReLU"}, "leaky_relu"),
    (MLPRegressor, {"activation": "ReLU"}, "relu"),
    (MLPRegressor, {"loss": "mae"}, "absolute_error"),
    (MLPRegressor, {"loss": "mse"}, "squared_error"),
    (MLPRegressor, {"loss": "MSE"}, "squared_error"),
    (MLPClassifier, {"loss": "cross_entropy"}, "log_loss"),
    (MLPClassifier, {"loss": "crossentropy"}, "log_loss"),
    (MLPClassifier, {"loss": "categorical_crossentropy"}, "log_loss"),
    (MLPClassifier, {"loss": "sparse_categorical_crossentropy"}, "log_loss"),
    (MLPClassifier, {"solver": "Adam"}, "adam"),
    (MLPClassifier, {"solver": "SGD"}, "sgd"),
    (MLPClassifier, {"solver": "RMSprop"}, "rmsprop"),
    (MLPClassifier, {"solver": "L-BFGS"}, "lbfgs"),
    (MLPClassifier, {"weight_init": "GlorotUniform"}, "glorot_uniform"),
    (MLPClassifier, {"weight_init": "xavier_uniform"}, "glorot_uniform"),
    (MLPClassifier, {"learning_rate": "CosineDecay"}, "cosine"),
    (MLPClassifier, {"learning_rate": "onecycle"}, "one_cycle"),
    (MLPClassifier, {"class_weight": "balance"}, "balanced"),
    (MLPClassifier, {"verbose": "progres"}, "progress"),
    (MLPClassifier, {"batch_size": "Auto"}, "auto"),
]


@pytest.mark.parametrize(("cls", "given", "expected"), VALUES, ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_values(method, cls, given, expected):
    ((name, value),) = given.items()
    if method == "partial_fit" and name == "solver":
        method = "fit"  # it is not available without a stochastic solver
    with pytest.raises(InvalidParameterError) as caught:
        getattr(cls(**given), method)(X, y)
    text = str(caught.value)
    assert text.startswith(f"The {name!r} parameter of {cls.__name__} must be ")
    assert text.endswith(f" Got {value!r} instead. Did you mean {expected!r}?")


SCORERS = [
    (MLPClassifier, {"scoring": "acc"}, "accuracy"),
    (MLPClassifier, {"scoring": "acuracy"}, "accuracy"),
    (MLPRegressor, {"training_scoring": "mse"}, "neg_mean_squared_error"),
]


@pytest.mark.parametrize(("cls", "given", "expected"), SCORERS, ids=str)
def test_the_question_comes_before_a_long_list(cls, given, expected):
    ((name, value),) = given.items()
    with pytest.raises(InvalidParameterError) as caught:
        cls(**given).fit(X, y)
    text = str(caught.value)
    assert text.startswith(f"{name}={value!r}: Did you mean {expected!r}? The {name!r} parameter")
    names = re.findall("'(\\w+)'", text.partition("{")[2].partition("}")[0])
    assert names == sorted({"loss", *get_scorer_names()})


@pytest.mark.parametrize("sizes", [(50,), [50, 20], 50], ids=str)
def test_sizes_in_the_place_of_a_loss(sizes):
    """The loss is the first parameter of a regressor, as in scikit-learn."""
    with pytest.raises(InvalidParameterError) as caught:
        MLPRegressor(sizes).fit(X, y)
    assert str(caught.value).endswith(f"Did you mean hidden_layer_sizes={sizes!r}?")


@pytest.mark.parametrize("activation", ["softmax", "Softmax", "log_softmax", ["softmax"]], ids=str)
def test_softmax_follows_from_the_loss(activation):
    with pytest.raises(ValueError, match=r"output follows from the loss and y: it is softmax"):
        MLPClassifier((3,), activation=activation).fit(X, y)


@pytest.mark.parametrize("rate", [0.01, 1, np.float64(0.5)])
def test_a_rate_in_the_place_of_a_schedule(rate):
    with pytest.raises(InvalidParameterError) as caught:
        MLPClassifier(learning_rate=rate).fit(X, y)
    assert str(caught.value).endswith(f"Did you mean learning_rate_init={rate!r}?")


@pytest.mark.parametrize(
    "given",
    [
        {"alpha": -1}, {"activation": "nothing_like_it"}, {"activation": None}, {"solver": 3},
        {"learning_rate": True}, {"loss": ()}, {"loss": 0.5}, {"loss": [3, "a"]},
        {"loss": "mae"},  # there is no such loss of labels
    ],
    ids=str,
)  # fmt: skip
def test_where_nothing_can_be_meant_the_error_is_scikit_learn_s(given):
    with pytest.raises(InvalidParameterError, match=r"instead\.$"):
        MLPClassifier(**given).fit(X, y)


def test_one_of_several_activations():
    model = MLPClassifier(hidden_layer_sizes=(3, 3), activation=["relu", "sigmoid"])
    with pytest.raises(ValueError, match=r"Did you mean 'logistic'\?$"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"'tanh'\]\.$"):
        model.set_params(activation=["relu"]).fit(X, y)


def test_a_synonym_of_something_else_is_left_out():
    assert meant("mae", ["squared_error"], {"mae": "absolute_error"}) == ""
    assert meant(3, ["a"], {}) == ""


def test_the_section_for_users_of_other_libraries_has_every_synonym():
    text = runpy.run_path(str(SCRIPT))["section"]()
    for synonyms in (PARAMETER_SYNONYMS, *VALUE_SYNONYMS.values()):
        for name, other in synonyms.items():
            assert f"| `{name}` | `{other}` |\n" in text


@pytest.mark.skipif(not PAGE.exists(), reason="this checkout has no page for users of Keras")
def test_the_page_is_up_to_date():
    """If this fails, run ``python docs/make_synonyms.py``."""
    assert runpy.run_path(str(SCRIPT))["section"]() in PAGE.read_text()
