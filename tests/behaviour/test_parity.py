"""The same seed gives the same model as scikit-learn's MLP, whatever is asked of it.

Both sum in another order, so that float64 results drift apart by rounding. The
bounds below are the project's promise: losses to 1e-12 relative and weights to
1e-10 after 50 epochs of adam or sgd.

L-BFGS amplifies rounding much faster. After 30 iterations losses are equal to
1e-8 (measured: 1e-10), but after 100 scikit-learn itself, given X with half of
its values moved by one unit in the last place, ends 1e-10 to 1e-3 away from
where it ended before. There its own drift is the yardstick.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from comparisons import LBFGS_RTOL, assert_same_model, assert_same_predictions
from numpy.testing import assert_allclose
from sklearn.base import is_classifier
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version
from versions import SKLEARN, STOPS_EARLY_ON_STRINGS, needs_loss, needs_weights

import sknet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
STOCHASTIC = ["adam", "sgd"]


class Task(NamedTuple):
    """A real data set and the estimator for it."""

    estimator: str
    X: np.ndarray
    y: np.ndarray
    parameters: Mapping[str, Any] = MappingProxyType({})


def _tasks() -> dict[str, Task]:
    X, digit = load_digits(n_class=10, return_X_y=True)
    X, digit = X[:250] / 16, digit[:250]
    # Three labels that a digit's picture determines: parity, size, and whether it has a loop.
    labels = np.column_stack([digit % 2 == 0, digit > 4, np.isin(digit, [0, 6, 8, 9])])
    P, progress = load_diabetes(return_X_y=True)
    P = P / P.std(axis=0)
    # Standardised and rectified, so that CSR has something to leave out.
    P = np.where(P > 0, P, 0.0)
    scaled = progress / progress.std()
    return {
        "binary": Task("MLPClassifier", X, np.where(digit > 4, "large", "small")),
        "multiclass": Task("MLPClassifier", X, digit),
        "multilabel": Task("MLPClassifier", X, labels.astype(int)),
        "regression": Task("MLPRegressor", P, scaled),
        "multioutput": Task("MLPRegressor", P[:, 1:], np.column_stack([scaled, P[:, 0]])),
        "poisson": Task("MLPRegressor", P, np.floor(progress / 40), {"loss": "poisson"}),
    }


TASKS = _tasks()

every_task = pytest.mark.parametrize(
    "task",
    [
        pytest.param(name, marks=needs_loss if "loss" in task.parameters else ())
        for name, task in TASKS.items()
    ],
)
weighted_or_not = pytest.mark.parametrize(
    "weighted",
    [pytest.param(False, id="unweighted"), pytest.param(True, id="weighted", marks=needs_weights)],
)


def pair(task: Task, **parameters: Any) -> tuple[Any, Any]:
    """Return our estimator and scikit-learn's, neither fitted."""
    common = {"hidden_layer_sizes": (17, 9), "random_state": 7, "max_iter": 50}
    common |= {**task.parameters, **parameters}
    if common.get("early_stopping") and task.y.dtype.kind == "U" and not STOPS_EARLY_ON_STRINGS:
        pytest.skip("scikit-learn cannot stop early on labels that are strings before 1.9")
    return (
        getattr(sknet, task.estimator)(**common),
        getattr(sklearn.neural_network, task.estimator)(**common),
    )


def only_if_given(sample_weight: Any) -> dict[str, Any]:
    """Return the keyword argument, which scikit-learn's MLP does not know before 1.7."""
    return {} if sample_weight is None else {"sample_weight": sample_weight}


def fit_both(task: Task, X: Any, sample_weight: Any = None, **parameters: Any) -> tuple[Any, Any]:
    models = pair(task, **parameters)
    for model in models:
        model.fit(X, task.y, **only_if_given(sample_weight))
    return models


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@every_task
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_fit(solver, activation, task, sparse):
    task = TASKS[task]
    X = sp.csr_array(task.X) if sparse else task.X
    ours, theirs = fit_both(task, X, solver=solver, activation=activation)
    assert_same_model(ours, theirs)
    assert_same_predictions(ours, theirs, X)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@every_task
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lbfgs(activation, task, sparse):
    task = TASKS[task]
    X = sp.csr_array(task.X) if sparse else task.X
    parameters = {"activation": activation, "alpha": 1.0, "max_iter": 30}
    ours, theirs = fit_both(task, X, solver="lbfgs", **parameters)
    assert_same_model(ours, theirs)


@every_task
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lbfgs_to_the_end(activation, task):
    """After 100 iterations our loss is as near scikit-learn's as that is to itself.

    Six draws of moved inputs do not find the largest drift there is: hence the
    factor. Measured over these 24 cases: median 0.6, largest 13.
    """
    task = TASKS[task]
    parameters = {"activation": activation, "alpha": 1.0, "max_iter": 100, "solver": "lbfgs"}
    ours, theirs = fit_both(task, task.X, **parameters)
    rng, drift = np.random.RandomState(0), [LBFGS_RTOL]
    for _ in range(6):
        moved = np.where(rng.rand(*task.X.shape) < 0.5, np.nextafter(task.X, np.inf), task.X)
        _, again = pair(task, **parameters)
        drift.append(abs(again.fit(moved, task.y).loss_ / theirs.loss_ - 1))
    assert_allclose(ours.loss_, theirs.loss_, rtol=50 * max(drift))


VARIANTS: dict[str, dict[str, Any]] = {
    "one_hidden": {"hidden_layer_sizes": 23},
    "three_hidden": {"hidden_layer_sizes": [11, 5, 7]},
    "linear": {"hidden_layer_sizes": ()},
    "small_batches_short_last": {"batch_size": 37, "max_iter": 20},
    "batch_of_one": {"batch_size": 1, "max_iter": 2},
    "batch_of_all": {"batch_size": 250},
    "no_shuffle": {"shuffle": False},
    "strong_alpha": {"alpha": 3.0},
    "no_alpha": {"alpha": 0.0},
    "early_stopping": {"early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.2},
    "stops_on_loss": {"tol": 0.05, "n_iter_no_change": 2},
    "never_stops": {"tol": 10.0, "n_iter_no_change": np.inf, "max_iter": 15},
    "random_state_instance": {"random_state": "instance"},
}
FOR_SGD: dict[str, dict[str, Any]] = {
    "plain_momentum": {"nesterovs_momentum": False},
    "no_momentum": {"momentum": 0.0},
    "invscaling": {"learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.1},
    "adaptive": {"learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
    "adaptive_early_stopping": {
        "learning_rate": "adaptive",
        "early_stopping": True,
        "tol": 0.05,
        "n_iter_no_change": 1,
    },
}
FOR_ADAM: dict[str, dict[str, Any]] = {
    "moments": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-4},
    "schedule_ignored": {"learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
}


@weighted_or_not
@every_task
@pytest.mark.parametrize(
    ("solver", "variant"),
    [("adam", v) for v in VARIANTS | FOR_ADAM] + [("sgd", v) for v in VARIANTS | FOR_SGD],
)
def test_variants(solver, variant, task, weighted):
    parameters = (VARIANTS | FOR_SGD | FOR_ADAM)[variant]
    task = TASKS[task]
    weights = np.random.RandomState(0).gamma(2.0, size=len(task.y)) if weighted else None
    models = []
    for model in pair(task, solver=solver, **parameters):
        if parameters.get("random_state") == "instance":
            model.set_params(random_state=np.random.RandomState(3))
        models.append(model.fit(task.X, task.y, **only_if_given(weights)))
    assert_same_model(*models)
    if variant == "stops_on_loss":
        assert models[0].n_iter_ < models[0].max_iter, "the variant is there to stop early"


@needs_weights
@pytest.mark.parametrize("solver", [*STOCHASTIC, "lbfgs"])
@every_task
def test_weights_of_lbfgs_and_repeats(task, solver):
    """Whole weights say the same as repeated rows, for the full batch: and as scikit-learn's."""
    task = TASKS[task]
    repeats = np.random.RandomState(1).randint(1, 3, size=len(task.y))
    common = {"solver": solver, "max_iter": 8, "shuffle": False, "alpha": 0.5}
    weighted, theirs = fit_both(task, task.X, repeats, batch_size=len(task.y), **common)
    assert_same_model(weighted, theirs)
    repeated, _ = pair(task, batch_size=int(repeats.sum()), **common)
    repeated.fit(np.repeat(task.X, repeats, axis=0), np.repeat(task.y, repeats, axis=0))
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-9)


@pytest.mark.parametrize("early_stopping", [False, True])
@every_task
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_warm_start(solver, task, early_stopping):
    """Three fits in a row; with early stopping the best weights may stem from an earlier one."""
    task = TASKS[task]
    ours, theirs = pair(
        task, solver=solver, warm_start=True, max_iter=8, early_stopping=early_stopping
    )
    for _ in range(3):
        ours.fit(task.X, task.y)
        theirs.fit(task.X, task.y)
        assert_same_model(ours, theirs)


@every_task
def test_warm_start_lbfgs(task):
    task = TASKS[task]
    ours, theirs = pair(task, solver="lbfgs", warm_start=True, max_iter=10, alpha=1.0)
    for _ in range(2):
        ours.fit(task.X, task.y)
        theirs.fit(task.X, task.y)
        assert_same_model(ours, theirs)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@weighted_or_not
@every_task
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_partial_fit(solver, task, weighted, sparse):
    """Pieces of uneven size, twice over, then a fit that starts anew, then one more piece."""
    task = TASKS[task]
    X = sp.csr_array(task.X) if sparse else task.X
    weights = np.random.RandomState(0).gamma(2.0, size=len(task.y)) if weighted else None
    ours, theirs = pair(task, solver=solver, batch_size=30, learning_rate="adaptive")
    cuts = [slice(0, 110), slice(110, 125), slice(125, 250)]
    for model in (ours, theirs):
        arguments = {}
        if is_classifier(model):
            arguments["classes"] = np.unique(task.y) if task.y.ndim == 1 else np.arange(3)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Got `batch_size`")
            for cut in cuts * 2:
                w = only_if_given(None if weights is None else weights[cut])
                model.partial_fit(X[cut], task.y[cut], **w, **arguments)
    assert_same_model(ours, theirs)
    for model in (ours, theirs):
        model.fit(X, task.y, **only_if_given(weights))
        model.partial_fit(X[:100], task.y[:100])
    assert_same_model(ours, theirs)


@every_task
@pytest.mark.parametrize("solver", STOCHASTIC)
def test_weights_set_by_hand(solver, task):
    task = TASKS[task]
    models = fit_both(task, task.X, solver=solver, max_iter=3)
    for model in models:
        model.coefs_[0] = model.coefs_[0] * 0.5
        model.intercepts_[-1][:] = 0.25
        model.partial_fit(task.X, task.y)
    assert_same_model(*models)
    assert_same_predictions(*models, task.X)


@pytest.mark.parametrize("verbose", [True, 1])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("schedule", ["constant", "adaptive"])
def test_verbose_output(capsys, schedule, early_stopping, verbose):
    """The text is scikit-learn's, word for word, down to the reason for stopping."""
    outputs = []
    for model in pair(
        TASKS["multiclass"],
        solver="sgd",
        learning_rate=schedule,
        learning_rate_init=0.1,
        early_stopping=early_stopping,
        tol=0.02,
        n_iter_no_change=2,
        verbose=verbose,
    ):
        model.fit(TASKS["multiclass"].X, TASKS["multiclass"].y)
        outputs.append(capsys.readouterr().out)
    assert "Iteration 1, loss" in outputs[0]
    assert "did not improve" in outputs[0]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("solver", [*STOCHASTIC, "lbfgs"])
def test_convergence_warning(solver):
    ours, theirs = pair(TASKS["multiclass"], solver=solver, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        theirs.fit(TASKS["multiclass"].X, TASKS["multiclass"].y)
    with pytest.warns(ConvergenceWarning, match=r"(?s)2.*(reached|Increase the number)"):
        ours.fit(TASKS["multiclass"].X, TASKS["multiclass"].y)


@pytest.mark.parametrize("solver", [*STOCHASTIC, "lbfgs"])
def test_float32(solver, digits):
    """In float32 scikit-learn's own steps are float64, so only results can be equal."""
    X, y = digits[0].astype(np.float32), digits[1]
    common = {"random_state": 0, "max_iter": 50, "solver": solver, "learning_rate_init": 0.01}
    ours = sknet.MLPClassifier(**common).fit(X[:1200], y[:1200])
    theirs = sklearn.neural_network.MLPClassifier(**common).fit(X[:1200], y[:1200])
    assert ours.coefs_[0].dtype == np.float32
    assert ours.predict_proba(X).dtype == np.float32
    assert ours.score(X[1200:], y[1200:]) == pytest.approx(
        theirs.score(X[1200:], y[1200:]), abs=0.005
    )
    if solver != "lbfgs":  # which fits these data to a loss of nearly zero
        assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0.01)


def test_same_signature():
    """Parameters have scikit-learn's names, order, kinds and defaults."""
    import inspect

    if parse_version("1.9") > SKLEARN:
        pytest.skip("the signature followed is that of scikit-learn 1.9")
    for name in ("MLPClassifier", "MLPRegressor"):
        ours = inspect.signature(getattr(sknet, name)).parameters
        theirs = inspect.signature(getattr(sklearn.neural_network, name)).parameters
        bare = [p.replace(annotation=p.empty) for p in ours.values()]
        assert bare[: len(theirs)] == list(theirs.values())
        public = {m for m in dir(getattr(sklearn.neural_network, name)) if not m.startswith("_")}
        assert public <= set(dir(getattr(sknet, name)))


@pytest.mark.parametrize("solver", [*STOCHASTIC, "lbfgs"])
@every_task
def test_same_fitted_attributes(task, solver):
    ours, theirs = fit_both(TASKS[task], TASKS[task].X, solver=solver, max_iter=2)
    expected = {name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")}
    assert expected <= set(vars(ours))
