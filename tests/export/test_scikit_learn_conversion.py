"""Networks go over to scikit-learn and back: same predictions, and training goes on.

Both libraries add up products in different orders. Predictions of float64 networks of these sizes
then differ by some 1e-15, and by some 1e-13 after a few more epochs. Those of float32 differ by
2**-23 in place of 2**-52.
"""

from __future__ import annotations

import pickle
import subprocess

import numpy as np
import pytest
import sklearn.neural_network
from factories import LBFGS_STOPS_EARLY, classifier, regressor
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from snapshots import assert_same, assert_same_weights, assert_unchanged, snapshot
from versions import needs_loss

import sknet
from sknet.export import from_sklearn, to_sklearn

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

ATOL = {np.float64: 1e-12, np.float32: 1e-4}
SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1},
}
STOCHASTIC = pytest.mark.parametrize("solver", SOLVERS)
DTYPES = pytest.mark.parametrize("dtype", ATOL)


@pytest.fixture(scope="module")
def small(digits):
    return digits[0][:120], digits[1][:120]


def targets_of(kind, y):
    return {
        "integers": y,
        "strings": np.array(list("abcdefghij"))[y],
        "objects": np.array(list("abcdefghij"), dtype=object)[y],
        "binary": y > 4,
        "multilabel": np.column_stack([y % 2, y > 4, y < 3]).astype(int),
        "numbers": y / 3,
        "several numbers": np.column_stack([y, y**2]) / 50,
    }[kind]


KINDS = ["integers", "strings", "objects", "binary", "multilabel", "numbers", "several numbers"]


def make(kind, library=None, **parameters):
    one = regressor if "numbers" in kind else classifier
    return one(library, **{"max_iter": 5, **parameters})


def outputs_of(model, X):
    names = ("predict_proba", "predict") if hasattr(model, "predict_proba") else ("predict",)
    return [getattr(model, name)(X) for name in names]


def assert_close(a, b, X, atol):
    for mine, other in zip(outputs_of(a, X), outputs_of(b, X), strict=True):
        if mine.dtype.kind == "f":
            assert_allclose(mine, other, rtol=0, atol=atol)
        else:
            assert mine.dtype == other.dtype
            assert_array_equal(mine, other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_predictions(kind, solver, activation, small):
    X, y = small[0], targets_of(kind, small[1])
    model = make(kind, solver=solver, activation=activation).fit(X, y)
    before = snapshot(model)
    theirs = to_sklearn(model)
    back = from_sklearn(theirs)
    assert type(theirs) is getattr(sklearn.neural_network, type(model).__name__)
    assert_same_weights(theirs, model)
    assert_close(theirs, model, X, 1e-12)
    assert theirs.loss_curve_ == model.loss_curve_
    for mine, other in zip(outputs_of(back, X), outputs_of(model, X), strict=True):
        assert_array_equal(mine, other)
    assert_unchanged(model, before)


@DTYPES
@STOCHASTIC
@pytest.mark.parametrize("kind", ["integers", "numbers"])
def test_partial_fit_goes_on_in_scikit_learn(kind, solver, dtype, small):
    X, y = small[0].astype(dtype), targets_of(kind, small[1])
    model = make(kind, **SOLVERS[solver]).fit(X, y)
    theirs = to_sklearn(model)
    for _ in range(3):
        theirs.partial_fit(X, y)
        model.partial_fit(X, y)
        assert_close(theirs, model, X, ATOL[dtype])
    assert theirs.t_ == model.t_
    assert theirs.coefs_[0].dtype == dtype


@DTYPES
@STOCHASTIC
@pytest.mark.parametrize("kind", ["integers", "numbers"])
def test_partial_fit_goes_on_in_sknet(kind, solver, dtype, small):
    X, y = small[0].astype(dtype), targets_of(kind, small[1])
    theirs = make(kind, sklearn.neural_network, **SOLVERS[solver]).fit(X, y)
    model = from_sklearn(theirs)
    assert_close(theirs, model, X, ATOL[dtype])
    for _ in range(3):
        model.partial_fit(X, y)
        theirs.partial_fit(X, y)
        assert_close(theirs, model, X, ATOL[dtype])
    assert model.history_["loss"] == model.loss_curve_


@pytest.mark.parametrize("solver", ["adam", "nesterov"])
def test_moments_and_steps_matter(solver, small):
    """Were they left out, the tests above could tell."""
    X, y = small
    model = classifier(**SOLVERS[solver]).fit(X, y)
    theirs, fresh = to_sklearn(model), to_sklearn(model)
    del fresh._optimizer
    for other in (theirs, fresh):
        other.partial_fit(X, y)
    assert abs(theirs.coefs_[0] - fresh.coefs_[0]).max() > 1e-4


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_slots_of_several_blocks(solver, small):
    """Kernels store slots in blocks of 960 parameters; here are 64 * 40 + 40 + 40 * 10 + 10."""
    X, y = small
    model = classifier(solver=solver, hidden_layer_sizes=(40,), max_iter=3).fit(X, y)
    again = from_sklearn(to_sklearn(model))
    assert_array_equal(again._optimizer.slots, model._optimizer.slots)
    assert vars(again._optimizer).keys() == vars(model._optimizer).keys()
    for _ in range(2):
        assert_same_weights(again.partial_fit(X, y), model.partial_fit(X, y))


@pytest.mark.parametrize("solver", ["adam", "nesterov", "adaptive", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_warm_start_goes_on(solver, early_stopping, small):
    X, y = small
    how = {"warm_start": True, "early_stopping": early_stopping and solver != "lbfgs"}
    how |= SOLVERS.get(solver, {"solver": solver})
    model = classifier(**how, max_iter=6).fit(X, y)
    theirs, back = to_sklearn(model), from_sklearn(to_sklearn(model))
    for other in (model, theirs, back):
        other.fit(X, y)
    assert_close(theirs, model, X, 1e-11)
    assert_same_weights(back, model)
    assert theirs.n_iter_ == model.n_iter_
    assert theirs.validation_scores_ == model.validation_scores_


@pytest.mark.parametrize("seed", [3, "generator", None])
def test_random_numbers_go_on(seed, small):
    X, y = small
    seed = np.random.RandomState(1) if seed == "generator" else seed
    model = classifier(random_state=seed, max_iter=3).fit(X, y)
    theirs = to_sklearn(model)
    assert theirs.random_state is not seed or not isinstance(seed, np.random.RandomState)
    if seed is None:
        return  # nobody knows the next numbers
    assert_close(theirs.partial_fit(X, y), model.partial_fit(X, y), X, 1e-12)


@needs_loss
def test_poisson(small):
    X, y = small[0], small[1].astype(float)
    model = regressor(loss="poisson").fit(X, y)
    theirs = to_sklearn(model)
    assert theirs.out_activation_ == "exp"
    assert_allclose(theirs.predict(X), model.predict(X), rtol=1e-12)
    assert_allclose(theirs.partial_fit(X, y).predict(X), model.partial_fit(X, y).predict(X), 1e-10)
    back = from_sklearn(theirs)
    assert_allclose(back.predict(X), theirs.predict(X), rtol=1e-12)


def test_names_of_features(small):
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    X = pd.DataFrame(small[0]).add_prefix("pixel_")
    theirs = to_sklearn(classifier(max_iter=2).fit(X, small[1]))
    assert list(theirs.feature_names_in_) == list(X.columns)
    assert list(from_sklearn(theirs).feature_names_in_) == list(X.columns)


@pytest.mark.parametrize("sizes", [(), 7, "9-5", [6, 4]])
def test_sizes(sizes, small):
    model = classifier(hidden_layer_sizes=sizes, max_iter=3).fit(*small)
    assert_close(to_sklearn(model).partial_fit(*small), model.partial_fit(*small), small[0], 1e-12)


def test_weights_set_by_hand(small):
    model = classifier(max_iter=3).fit(*small)
    model.coefs_ = [W.astype(int).tolist() for W in model.coefs_]
    assert_close(to_sklearn(model), model, small[0], 1e-12)


def test_an_optimiser_of_another_solver_is_not_taken_over(small):
    for library, convert in ((None, to_sklearn), (sklearn.neural_network, from_sklearn)):
        model = classifier(library, max_iter=3).fit(*small).set_params(solver="sgd")
        assert not hasattr(convert(model), "_optimizer")


# What scikit-learn cannot express.

ONLY_TRAINING = {
    "solver": {"solver": "lion"},
    "loss": {"loss": "focal"},
    "learning_rate": {"learning_rate": "cosine"},
    "warmup_fraction": {"warmup_fraction": 0.2},
    "l1_ratio": {"l1_ratio": 0.5},
    "dropout": {"dropout": [0.5]},
    "input_noise": {"input_noise": 0.1},
    "gradient_clip_norm": {"gradient_clip_norm": 1.0},
    "ema_decay": {"ema_decay": 0.9},
    "class_weight": {"class_weight": "balanced"},
    "label_smoothing": {"label_smoothing": 0.1},
    "scoring": {"scoring": "f1_macro", "early_stopping": True},
    "restore_best": {"restore_best": True},
    "early_stopping": {"solver": "lbfgs", "early_stopping": True},
}


@pytest.mark.parametrize("name", ONLY_TRAINING)
def test_parameters_of_training_alone(name, small):
    model = classifier(max_iter=3, **ONLY_TRAINING[name]).fit(*small)
    with pytest.raises(ValueError, match=rf"{name}=.*prediction_only=True"):
        to_sklearn(model)
    theirs = to_sklearn(model, prediction_only=True)
    assert_close(theirs, model, small[0], 1e-12)
    assert not hasattr(theirs, "_optimizer")
    theirs.fit(*small)  # its parameters are valid


def test_all_reasons_are_named(small):
    model = classifier(activation="gelu", solver="lion", dropout=0.1, max_iter=2).fit(*small)
    with pytest.raises(ValueError, match=r"'gelu'.*'lion'.*dropout=0\.1") as caught:
        to_sklearn(model)
    assert "prediction_only" not in str(caught.value)  # it would not help


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("integers", {"activation": "gelu"}, "activation='gelu'"),
        ("integers", {"activation": ["relu", "tanh"]}, r"\['relu', 'tanh'\]"),
        ("integers", {"loss": "hinge"}, "loss='hinge'"),
        (
            "numbers",
            {"loss": "quantile", "quantile": [0.1, 0.9]} | {"non_crossing": True},
            "non_crossing",
        ),
    ],
)
def test_other_predictions_are_refused(kind, parameters, named, small):
    X, y = small[0], targets_of(kind, small[1])
    model = make(kind, hidden_layer_sizes=(6, 5), **parameters).fit(X, y)
    for prediction_only in (False, True):
        with pytest.raises(ValueError, match=named):
            to_sklearn(model, prediction_only=prediction_only)


def test_one_class_is_refused(small):
    model = classifier(max_iter=2).fit(small[0], np.zeros(len(small[0])))
    with pytest.raises(ValueError, match="single class"):
        to_sklearn(model)


@pytest.mark.parametrize("loss", ["huber", "log_cosh", "gamma", "quantile"])
def test_predictions_of_other_losses_of_numbers(loss, small):
    if loss == "gamma" and "loss" not in sklearn.neural_network.MLPRegressor().get_params():
        pytest.skip("scikit-learn has an exponential output from version 1.7 on")
    X, y = small[0], small[1] + 1.0
    model = regressor(loss=loss).fit(X, y)
    with pytest.raises(ValueError, match=f"loss='{loss}'"):
        to_sklearn(model)
    assert_allclose(to_sklearn(model, prediction_only=True).predict(X), model.predict(X), 1e-12)


def test_what_has_no_effect_is_left_out(small):
    how = {"n_jobs": 2, "training_scoring": "accuracy", "weight_init": "he_normal"}
    model = classifier(max_iter=2, verbose=0, **how).fit(*small)
    model.verbose = "progress"
    theirs = to_sklearn(model)
    assert theirs.verbose is True
    assert set(theirs.get_params()) < set(model.get_params())


@pytest.mark.parametrize("convert", [to_sklearn, from_sklearn])
def test_other_objects_are_refused(convert):
    with pytest.raises(TypeError, match=r"MLPClassifier or .*MLPRegressor"):
        convert(sklearn.neural_network.BernoulliRBM())
    with pytest.raises(TypeError, match=r"MLPClassifier or .*MLPRegressor"):
        convert(sknet.HiddenLayers(sknet.MLPClassifier()))


def test_unfitted():
    with pytest.raises(NotFittedError):
        to_sklearn(sknet.MLPClassifier())
    theirs = sklearn.neural_network.MLPRegressor(alpha=0.5, random_state=3)
    assert from_sklearn(theirs).get_params().items() >= theirs.get_params().items()


def test_arrays_are_not_shared(small):
    model = classifier(max_iter=3).fit(*small)
    theirs = to_sklearn(model)
    kept, kept_theirs = snapshot(model), pickle.dumps(theirs)
    back = from_sklearn(theirs)
    back.partial_fit(*small)
    assert pickle.dumps(theirs) == kept_theirs
    theirs.partial_fit(*small)
    assert_unchanged(model, kept)


def test_round_trip_of_attributes(small):
    model = classifier(max_iter=3).fit(*small)
    back = from_sklearn(to_sklearn(model))
    mine, other = (m.__getstate__() for m in (back, model))
    left_out = {"_measured", "learning_rate_curve_", "_averaging"}
    for name in other.keys() - left_out:
        assert_same(mine[name], other[name], name)


# C, by emlearn.

MAIN = """
#include <stdio.h>
#include "net.h"

int main(void) {{
    float row[{n_features}], out[{n_outputs}];
    while (fread(row, sizeof(float), {n_features}, stdin) == {n_features}) {{
        {call};
        fwrite(out, sizeof(float), {n_outputs}, stdout);
    }}
    return 0;
}}
"""


@pytest.mark.parametrize("kind", ["integers", "binary", "numbers"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
def test_c_code_by_emlearn(kind, activation, small, tmp_path):
    """C code computes in float32, and adds up some 60 products in each of two layers."""
    with np.errstate():  # emlearn makes NumPy raise errors, which is undone here
        emlearn = pytest.importorskip("emlearn", reason="emlearn is not installed")
        net = pytest.importorskip("emlearn.net", reason="emlearn is not installed")
    try:
        subprocess.run(["gcc", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("gcc is not installed")
    X, y = small[0].astype(np.float32), targets_of(kind, small[1])
    model = make(kind, activation=activation).fit(X, y)
    theirs = to_sklearn(model)
    activations = [activation, theirs.out_activation_]
    code = net.c_generate_net_loadable(activations, theirs.coefs_, theirs.intercepts_, "net")
    n_outputs = {"integers": 10, "binary": 2, "numbers": 1}[kind]
    function = "eml_net_regress" if kind == "numbers" else "eml_net_predict_proba"
    call = f"{function}(&net, row, {X.shape[1]}, out, {n_outputs})"
    main = MAIN.format(n_features=X.shape[1], n_outputs=n_outputs, call=call)
    (tmp_path / "net.h").write_text(code)
    (tmp_path / "main.c").write_text(main)
    headers = str(emlearn.__path__[0])
    command = ["gcc", "-O1", "-I", headers, "main.c", "-o", "main", "-lm"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    run = subprocess.run([tmp_path / "main"], input=X.tobytes(), check=True, stdout=subprocess.PIPE)
    out = np.frombuffer(run.stdout, np.float32).reshape(len(X), n_outputs)
    expected = model.predict(X)[:, None] if kind == "numbers" else model.predict_proba(X)
    assert_allclose(out, expected, rtol=0, atol=1e-4)
