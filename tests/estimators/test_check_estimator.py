"""scikit-learn's own checks of an estimator, in every variant, and those it runs on itself only."""

from __future__ import annotations

import itertools

import pytest
import sklearn.neural_network
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.fixes import parse_version
from versions import SKLEARN

import sknet

ESTIMATORS = ["MLPClassifier", "MLPRegressor"]
VARIANTS = [
    {"solver": solver, "early_stopping": early_stopping, "activation": activation}
    for solver, early_stopping, activation in itertools.product(
        ["adam", "sgd", "lbfgs"], [False, True], ["identity", "logistic", "tanh", "relu"]
    )
    if not (solver == "lbfgs" and early_stopping)
]
NOT_RUN_BY_CHECK_ESTIMATOR = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_n_features_in_after_fitting",
    "check_readonly_memmap_input",
]

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size`"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    # What diverges there, in sums of NumPy and in a fit that can still keep its best weights.
    pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:Solver produced non-finite:UserWarning"),
]


@parametrize_with_checks(
    [
        getattr(sknet, name)(max_iter=100, solver=solver)
        for name in ESTIMATORS
        for solver in ("adam", "lbfgs")
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
@pytest.mark.parametrize("name", ESTIMATORS)
def test_variants(name, variant):
    """No variant fails a check that scikit-learn's own passes with the same parameters.

    Some ask too much of a variant: with early stopping there is no
    `partial_fit`, ten samples leave one for validation, and gradient descent
    diverges on targets in the hundreds. scikit-learn's estimator is run
    through the very same function, because `check_estimator` gives its own
    classes easier parameters in some checks.
    """
    if variant["early_stopping"] and parse_version("1.7") > SKLEARN:
        pytest.skip("scikit-learn's MLP stops early on one validation sample before 1.7")
    parameters = {"max_iter": 100, "learning_rate_init": 0.01, **variant}
    results = check_estimator(getattr(sknet, name)(**parameters), on_fail=None, on_skip=None)
    assert sum(r["status"] == "passed" for r in results) > 45
    for check in {r["check_name"] for r in results if r["status"] in ("failed", "xfail")}:
        theirs = getattr(sklearn.neural_network, name)(**parameters)
        with pytest.raises((AssertionError, ValueError)):
            getattr(estimator_checks, check)(name, theirs)


def falling(done):
    return 1 - done


def small(fan_in, fan_out, random_state):
    return random_state.normal(scale=0.1, size=(fan_in, fan_out))


COMMON = [
    {"hidden_layer_sizes": (20, 10), "activation": ["tanh", "relu"]},
    {"learning_rate": falling, "weight_init": small},
    {"solver": "lbfgs", "activation": "silu"},
    {"n_jobs": 2},
    {"alpha": 0.1, "l1_ratio": 0.5},
    {"dropout": 0.1},
    {"input_noise": 0.01},
    {"gradient_clip_norm": 1.0},
    {"ema_decay": 0.9},
    {"restore_best": True},
    {"activation": "gelu"},
    {"activation": "selu", "weight_init": "orthogonal"},
    {"solver": "adamw", "learning_rate": "cosine", "warmup_fraction": 0.1},
    {"solver": "nadam", "learning_rate": "one_cycle"},
    {"solver": "amsgrad", "learning_rate": "exponential"},
    {"solver": "rmsprop", "learning_rate": "step", "beta_2": 0.99},
    {"solver": "lion", "learning_rate": "coslog", "beta_2": 0.99},
    {"hidden_layer_sizes": "20-10"},
    {"hidden_layer_sizes": ()},
]
FEATURES = [
    *(("MLPClassifier", parameters) for parameters in COMMON),
    ("MLPClassifier", {"class_weight": "balanced"}),
    ("MLPClassifier", {"label_smoothing": 0.05}),
    *(("MLPClassifier", {"loss": loss}) for loss in ("focal", "squared_error", "hinge")),
    *(("MLPRegressor", parameters) for parameters in COMMON),
    *(
        ("MLPRegressor", {"loss": loss})
        for loss in ("absolute_error", "huber", "log_cosh", "quantile", "poisson")
    ),
    ("MLPRegressor", {"loss": "gamma", "max_iter": 1000, "learning_rate_init": 0.03}),
]


ANY_SIGN = {"check_regressor_multioutput": "it draws targets below 0, whatever the tags say"}


def _weights_are_not_repeats(why):
    kinds = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{kind}_data": why for kind in kinds}


RANDOM_ROWS = _weights_are_not_repeats("random numbers are drawn for each row, repeated or not")
EXPECTED = {
    "dropout": RANDOM_ROWS,
    "input_noise": RANDOM_ROWS,
    "class_weight": _weights_are_not_repeats("'balanced' counts rows, as in scikit-learn"),
    "poisson": ANY_SIGN,
    "gamma": ANY_SIGN,
}


def _describe(value):
    """Return a test's name, the same in every process: functions by name, not by address."""
    if isinstance(value, str):
        return value
    return "-".join(f"{k}={getattr(v, '__name__', v)}" for k, v in value.items())


# Some checks call partial_fit, in which restore_best has no effect: it says so.
@pytest.mark.filterwarnings("ignore:restore_best=True has no effect with partial_fit:UserWarning")
@pytest.mark.parametrize(("name", "parameters"), FEATURES, ids=_describe)
def test_with_each_feature(name, parameters):
    estimator = getattr(sknet, name)(max_iter=150, learning_rate_init=0.01).set_params(**parameters)
    expected: dict[str, str] = {}
    for word in (*parameters, parameters.get("loss")):
        expected |= EXPECTED.get(word, {})
    results = check_estimator(
        estimator, on_fail=None, on_skip=None, expected_failed_checks=expected
    )
    assert sum(r["status"] == "passed" for r in results) > 45
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed


def test_set_output(diabetes):
    """Frames that a transformer before us puts out bring their column names along."""
    model = make_pipeline(StandardScaler(), sknet.MLPRegressor(max_iter=5))
    model.set_output(transform="pandas").fit(*diabetes)
    assert list(model[-1].feature_names_in_) == [f"x{i}" for i in range(10)]


@pytest.mark.parametrize("check", NOT_RUN_BY_CHECK_ESTIMATOR)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_checks_not_run_by_check_estimator(name, solver, check):
    check = getattr(estimator_checks, check)
    check(name, getattr(sknet, name)(max_iter=5, solver=solver))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_checks_with_sample_weights_in_full_batches(name):
    """Weighting equals repeating where batches are full: for L-BFGS, converged."""
    estimator = getattr(sknet, name)(solver="lbfgs", max_iter=500, tol=1e-10, random_state=0)
    estimator_checks.check_sample_weight_equivalence_on_dense_data(name, estimator)
    estimator_checks.check_sample_weight_equivalence_on_sparse_data(name, estimator)
