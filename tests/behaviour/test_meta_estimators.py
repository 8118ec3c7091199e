"""The estimators inside scikit-learn's meta-estimators, on real data.

Where it is cheap, the yardstick is the same meta-estimator over scikit-learn's
own MLP with the same seed; elsewhere a score that a broken model does not reach.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import sklearn.neural_network
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.fixes import parse_version

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SKLEARN = parse_version(sklearn.__version__)
# Before 1.7 scikit-learn's MLP took no sample weights, and meta-estimators went another way.
needs_weights = pytest.mark.skipif(
    parse_version("1.7") > SKLEARN, reason="scikit-learn's MLP takes no sample_weight before 1.7"
)
ATOL = 1e-8
SMALL = {
    "hidden_layer_sizes": (10,),
    "learning_rate_init": 0.01,
    "batch_size": 32,
    "max_iter": 30,
    "random_state": 0,
}


def classifier(library=None, **parameters):
    """Return our classifier, or scikit-learn's for ``sklearn.neural_network``."""
    cls = MLPClassifier if library is None else library.MLPClassifier
    return cls(**{**SMALL, **parameters})


def regressor(library=None, **parameters):
    cls = MLPRegressor if library is None else library.MLPRegressor
    return cls(**{**SMALL, **parameters})


BOTH = (None, sklearn.neural_network)


def scaled(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def iris():
    return scaled(load_iris)


@pytest.fixture(scope="module")
def wine():
    return scaled(load_wine)


@pytest.fixture(scope="module")
def cancer():
    X, y = scaled(load_breast_cancer)
    return X[:200], y[:200]


@pytest.fixture(scope="module")
def progress(diabetes):
    """Return 200 patients and the disease's progress, both standardised."""
    X, y = diabetes[0][:200], diabetes[1][:200]
    return X, (y - y.mean()) / y.std()


# Composition.

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


def test_one_vs_rest_goes_by_decision_function(iris):
    X, y = iris
    model = OneVsRestClassifier(classifier()).fit(X, y)
    scores = np.column_stack([net.decision_function(X) for net in model.estimators_])
    assert_array_equal(model.decision_function(X), scores)
    assert_array_equal(model.predict(X), scores.argmax(axis=1))


# Several outputs.


@pytest.fixture(scope="module")
def digit_labels(digits):
    """Return digits, and three labels: parity, size, and whether it has a loop."""
    X, digit = digits[0][:300], digits[1][:300]
    labels = np.column_stack([digit % 2 == 0, digit > 4, np.isin(digit, [0, 6, 8, 9])])
    return X, labels.astype(int)


@pytest.mark.parametrize(
    "meta",
    [MultiOutputClassifier, lambda net: ClassifierChain(net, order=[2, 0, 1])],
    ids=["MultiOutput", "Chain"],
)
def test_one_classifier_for_each_label(meta, digit_labels):
    X, X_test, y, y_test = train_test_split(*digit_labels, random_state=0)
    ours, theirs = (meta(classifier(library)).fit(X, y) for library in BOTH)
    assert (ours.predict(X_test) == y_test).mean() > 0.9
    assert_array_equal(ours.predict(X_test), theirs.predict(X_test))
    assert_allclose(ours.predict_proba(X_test), theirs.predict_proba(X_test), rtol=0, atol=ATOL)


def test_multi_output_partial_fit(digit_labels):
    X, y = digit_labels
    ours, theirs = (MultiOutputClassifier(classifier(library)) for library in BOTH)
    losses = []
    for start in (0, 100, 200, 0, 100, 200):
        batch = slice(start, start + 100)
        for model in (ours, theirs):
            model.partial_fit(X[batch], y[batch], classes=[[0, 1]] * 3)
        losses.append([net.loss_ for net in ours.estimators_])
    assert (np.array(losses[-1]) < np.array(losses[0])).all()
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=ATOL)


def test_multi_output_classes_of_different_numbers(digits):
    X, digit = digits[0][:300], digits[1][:300]
    y = np.column_stack([digit, digit % 3])
    model = MultiOutputClassifier(classifier()).fit(X, y)
    assert [len(c) for c in model.classes_] == [10, 3]
    assert (model.predict(X) == y).mean() > 0.95


@pytest.mark.parametrize("meta", [MultiOutputRegressor, RegressorChain])
def test_one_regressor_for_each_target(meta, progress):
    X, y = progress[0][:, 1:], np.column_stack([progress[1], progress[0][:, 0]])
    ours, theirs = (meta(regressor(library)).fit(X, y) for library in BOTH)
    assert ours.score(X, y) > 0.4
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=ATOL)


# Searches.


def assert_same_search(ours, theirs):
    assert ours.best_params_ == theirs.best_params_
    for key in ("mean_test_score", "std_test_score", "rank_test_score"):
        assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], atol=ATOL)


def test_grid_search_through_a_pipeline(wine):
    X, y = wine
    grid = {
        "net__hidden_layer_sizes": [(1,), (4, 4)],
        "net__activation": ["tanh", "relu"],
        "net__alpha": [1e-4, 100.0],
    }
    ours, theirs = (
        GridSearchCV(
            Pipeline([("scale", StandardScaler()), ("net", classifier(library))]), grid, cv=2
        ).fit(X, y)
        for library in BOTH
    )
    assert_same_search(ours, theirs)
    assert ours.best_score_ > 0.93
    # A penalty so strong, or a single unit, is too little: the search must tell them apart.
    assert ours.best_params_["net__alpha"] == 1e-4
    assert ours.cv_results_["mean_test_score"].min() < 0.7


def test_grid_search_over_solvers_of_the_regressor(progress):
    X, y = progress
    grid = {"solver": ["adam", "sgd"], "learning_rate_init": [1e-5, 0.01], "early_stopping": [True]}
    ours, theirs = (GridSearchCV(regressor(library), grid, cv=2).fit(X, y) for library in BOTH)
    assert_same_search(ours, theirs)
    assert ours.best_params_["learning_rate_init"] == 0.01
    assert ours.best_score_ > 0.3


def test_randomized_search(wine):
    X, y = wine
    distributions = {"learning_rate_init": loguniform(1e-5, 0.1), "alpha": loguniform(1e-5, 1)}
    ours, theirs = (
        RandomizedSearchCV(classifier(library), distributions, n_iter=4, cv=2, random_state=0)
        for library in BOTH
    )
    assert_same_search(ours.fit(X, y), theirs.fit(X, y))
    assert ours.best_score_ > 0.9


@pytest.mark.parametrize(
    ("resource", "most", "first"), [("n_samples", "auto", 40), ("max_iter", 32, 2)]
)
def test_halving_search(resource, most, first, wine):
    X, y = wine
    grid = {"learning_rate_init": [1e-5, 1e-4, 0.003, 0.01]}
    ours, theirs = (
        HalvingGridSearchCV(
            classifier(library, batch_size=16),
            grid,
            cv=2,
            factor=4,
            resource=resource,
            min_resources=first,
            max_resources=most,
            random_state=0,
        ).fit(X, y)
        for library in BOTH
    )
    assert_same_search(ours, theirs)
    assert ours.n_resources_[0] == first
    assert ours.n_resources_[1] == 4 * first
    assert ours.best_params_["learning_rate_init"] >= 0.003


# Cross-validation.


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_cross_val_predict(method, wine):
    X, y = wine
    ours, theirs = (
        cross_val_predict(classifier(library), X, y, cv=3, method=method) for library in BOTH
    )
    assert_allclose(ours, theirs, atol=1e-6)
    assert ((ours if method == "predict" else ours.argmax(axis=1)) == y).mean() > 0.93


def test_cross_val_predict_decision_function(wine, cancer):
    X, y = wine
    scores = cross_val_predict(classifier(), X, y, cv=3, method="decision_function")
    p = cross_val_predict(classifier(), X, y, cv=3, method="predict_proba")
    assert_allclose(softmax(scores, axis=1), p, atol=1e-12)
    X, y = cancer
    score = cross_val_predict(classifier(), X, y, cv=3, method="decision_function")
    assert score.shape == y.shape
    assert ((score > 0) == y).mean() > 0.93


def test_cross_validate_with_several_scorers(wine, progress):
    scorers = ["accuracy", "roc_auc_ovr", "neg_log_loss", "f1_macro"]
    ours, theirs = (
        cross_validate(classifier(library), *wine, cv=3, scoring=scorers, return_train_score=True)
        for library in BOTH
    )
    for name in scorers:
        for part in ("test", "train"):
            assert_allclose(ours[f"{part}_{name}"], theirs[f"{part}_{name}"], atol=ATOL)
    assert ours["test_accuracy"].min() > 0.9
    assert ours["test_roc_auc_ovr"].min() > 0.98
    assert ours["test_neg_log_loss"].min() > -0.3
    scorers = ["r2", "neg_mean_absolute_error", "explained_variance"]
    ours, theirs = (
        cross_validate(regressor(library), *progress, cv=3, scoring=scorers) for library in BOTH
    )
    for name in scorers:
        assert_allclose(ours[f"test_{name}"], theirs[f"test_{name}"], atol=ATOL)


def test_validation_curve(cancer):
    X, y = cancer
    ours, theirs = (
        validation_curve(
            classifier(library), X, y, param_name="max_iter", param_range=[1, 20], cv=2
        )
        for library in BOTH
    )
    assert_allclose(ours, theirs, atol=ATOL)
    train_scores = ours[0]
    assert (train_scores[1] > train_scores[0]).all()


@pytest.mark.parametrize("incremental", [True, False])
def test_learning_curve(incremental, digits):
    X, y = digits[0][:400], digits[1][:400]
    results = [
        learning_curve(
            classifier(library, batch_size=5),
            X,
            y,
            train_sizes=[20, 80, 200],
            cv=2,
            exploit_incremental_learning=incremental,
            shuffle=True,
            random_state=0,
        )[:3]
        for library in BOTH
    ]
    (sizes, _, ours), (_, _, theirs) = results
    assert_array_equal(sizes, [20, 80, 200])
    assert_allclose(ours, theirs, atol=ATOL)
    assert (ours[2] > ours[0] + 0.1).all()
    # Incrementally there is one pass over the data, otherwise there are thirty.
    assert ours[2].min() > (0.3 if incremental else 0.7)


# Calibration.


def overconfident(X, y):
    """Return a net that has learned the training data by heart."""
    return MLPClassifier((50,), solver="lbfgs", alpha=0, max_iter=200, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def noisy_digits(digits):
    """Return digits of which only every other column of pixels is seen, in three parts."""
    X, y = digits[0][:900, ::6], digits[1][:900]
    return [(X[i : i + 300], y[i : i + 300]) for i in (0, 300, 600)]


METHODS = [
    "sigmoid",
    "isotonic",
    pytest.param(
        "temperature",
        marks=pytest.mark.skipif(
            parse_version("1.8") > SKLEARN, reason="temperature scaling is new in 1.8"
        ),
    ),
]


@pytest.mark.parametrize("method", METHODS)
def test_calibration_of_a_frozen_net(method, noisy_digits):
    (X, y), (X_held, y_held), (X_test, y_test) = noisy_digits
    net = overconfident(X, y)
    weights = [w.copy() for w in net.coefs_]
    model = CalibratedClassifierCV(FrozenEstimator(net), method=method).fit(X_held, y_held)
    before, after = (log_loss(y_test, m.predict_proba(X_test)) for m in (net, model))
    assert after < 0.8 * before
    for w, kept in zip(net.coefs_, weights, strict=True):
        assert_array_equal(w, kept)
    if method == "temperature":  # divides all scores by one number
        assert_array_equal(model.predict(X_test), net.predict(X_test))


@pytest.mark.parametrize("method", METHODS)
def test_calibration_by_cross_validation(method, cancer):
    X, X_test, y, y_test = train_test_split(*cancer, random_state=0)
    model = CalibratedClassifierCV(classifier(), method=method, cv=3).fit(X, y)
    assert model.score(X_test, y_test) > 0.9
    assert log_loss(y_test, model.predict_proba(X_test)) < 0.3


@pytest.mark.parametrize("method", METHODS)
def test_calibration_goes_by_raw_scores(method, cancer, monkeypatch):
    # Probabilities of 0 and 1 say nothing any more; raw scores still do.
    X, y = cancer
    net = classifier().fit(X, y)
    monkeypatch.delattr(MLPClassifier, "predict_proba")
    model = CalibratedClassifierCV(FrozenEstimator(net), method=method).fit(X, y)
    assert model.score(X, y) > 0.93


# Features.


def first_layer_norms(net):
    return np.linalg.norm(net.coefs_[0], axis=1)


def test_recursive_elimination(wine):
    X, y = wine
    ours, theirs = (
        RFECV(
            classifier(library),
            step=3,
            cv=2,
            min_features_to_select=1,
            importance_getter=first_layer_norms,
        ).fit(X, y)
        for library in BOTH
    )
    assert_array_equal(ours.ranking_, theirs.ranking_)
    assert ours.estimator_.n_features_in_ == ours.support_.sum()
    assert ours.score(X, y) > 0.95
    # One feature alone does not tell three kinds of wine apart.
    assert ours.cv_results_["mean_test_score"][0] < ours.cv_results_["mean_test_score"].max() - 0.1


def test_select_from_model(wine):
    X, y = wine
    ours, theirs = (
        SelectFromModel(
            classifier(library, alpha=1.0), importance_getter=first_layer_norms, max_features=5
        ).fit(X, y)
        for library in BOTH
    )
    assert_array_equal(ours.get_support(), theirs.get_support())
    assert ours.transform(X).shape == (len(y), ours.get_support().sum())
    assert cross_val_score(classifier(), ours.transform(X), y, cv=3).mean() > 0.9


def test_select_from_model_partial_fit(wine):
    X, y = wine
    selector = SelectFromModel(classifier(), importance_getter=first_layer_norms)
    selector.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    assert selector.estimator_.t_ == 2 * len(y)


def test_sequential_selection(iris):
    X, y = iris
    selector = SequentialFeatureSelector(classifier(max_iter=20), n_features_to_select=1, cv=2)
    # Petals tell irises apart; sepals do not.
    assert selector.fit(X, y).get_support()[2:].any()


def test_permutation_importance(iris):
    X, y = iris
    ours, theirs = (
        permutation_importance(
            classifier(library, alpha=1.0).fit(X, y), X, y, n_repeats=3, random_state=0
        ).importances
        for library in BOTH
    )
    assert_allclose(ours, theirs, atol=ATOL)
    sepal, petal = ours.mean(axis=1)[:2], ours.mean(axis=1)[2:]
    assert petal.min() > sepal.max() + 0.05


def test_partial_dependence(progress):
    X, y = progress
    ours, theirs = (
        partial_dependence(regressor(library).fit(X, y), X, [2], grid_resolution=8)["average"][0]
        for library in BOTH
    )
    assert_allclose(ours, theirs, atol=ATOL)
    # The disease progresses faster with a greater body mass index.
    assert ours[-1] > ours[0] + 0.5


def test_partial_dependence_of_a_classifier(cancer):
    X, y = cancer
    net = classifier().fit(X, y)
    curves = [
        partial_dependence(net, X, [0], grid_resolution=5, response_method=method)["average"][0]
        for method in ("predict_proba", "decision_function")
    ]
    # Class 1 is benign; malignant cells have greater radii.
    for curve in curves:
        assert (np.diff(curve) < 0).all()


# Frames.


def wine_frame(library):
    """Return wines with one column in words: the colour's intensity in three bins."""
    frame, y = load_wine(return_X_y=True, as_frame=True)
    shade = pd.cut(frame.pop("color_intensity"), 3, labels=["light", "medium", "dark"])
    frame = frame.iloc[:, :4].assign(shade=shade.astype(str))
    return frame if library == "pandas" else as_polars(frame), y.to_numpy()


def as_polars(frame):
    return pl.DataFrame({name: values.tolist() for name, values in frame.items()})


frames = pytest.mark.parametrize("library", ["pandas", "polars"])


def mixed_pipeline(library):
    columns = ColumnTransformer(
        [
            ("words", OneHotEncoder(sparse_output=False), ["shade"]),
            ("numbers", StandardScaler(), ["alcohol", "malic_acid", "ash", "alcalinity_of_ash"]),
        ],
        verbose_feature_names_out=False,
    )
    return make_pipeline(columns.set_output(transform=library), classifier())


@frames
def test_column_transformer(library, wine):
    X, y = wine_frame(library)
    model = mixed_pipeline(library)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.8
    net = model.fit(X, y)[-1]
    names = ["shade_dark", "shade_light", "shade_medium", "alcohol", "malic_acid", "ash"]
    assert_array_equal(net.feature_names_in_, [*names, "alcalinity_of_ash"])
    # The words are no decoration: without them the model is worse.
    numbers = StandardScaler().fit_transform(X[["alcohol", "malic_acid", "ash"]].to_numpy())
    assert classifier().fit(numbers, y).score(numbers, y) < model.score(X, y) - 0.03


@frames
def test_sparse_columns_out_of_a_column_transformer(library):
    X, y = wine_frame(library)
    encode = ColumnTransformer(
        [("words", OneHotEncoder(), ["shade"])], remainder="passthrough", sparse_threshold=1.0
    )
    transformed = encode.fit_transform(X)
    sparse = classifier().fit(transformed, y)
    dense = classifier().fit(transformed.toarray(), y)
    assert_allclose(sparse.predict_proba(transformed), dense.predict_proba(transformed), atol=1e-8)


@frames
@pytest.mark.parametrize("estimator", [classifier, regressor])
def test_feature_names(library, estimator):
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X, y = X.iloc[:100] * 20, (y.iloc[:100] > 120).to_numpy()
    names = list(X.columns)
    if library == "polars":
        X = as_polars(X)
    model = estimator().fit(X, y)
    assert_array_equal(model.feature_names_in_, names)
    assert_array_equal(model.predict(X), model.predict(X[names]))
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*same order"):
        model.predict(X[names[::-1]])
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*missing.*bmi"):
        model.predict(X[[name for name in names if name != "bmi"]])
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*same order"):
        model.partial_fit(X[names[::-1]], y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X.to_numpy())


@pytest.mark.filterwarnings("error:X (does not have valid|has) feature names")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_names_raise_no_warnings_on_the_inside(early_stopping):
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = classifier(early_stopping=early_stopping).fit(X, y)
    model.partial_fit(X, y) if not early_stopping else model.fit(X, y)
    assert model.score(X, y) > 0.8


def test_predictions_come_out_as_arrays_from_frames():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), classifier()).fit(X, y)
    assert type(model.predict(X)) is type(model.predict_proba(X)) is np.ndarray


# Metadata routing.


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_weights_reach_the_net_through_a_search_of_pipelines(wine):
    X, y = wine
    # One class counts for nothing, so a model that heeds the weights never predicts it.
    weights = np.where(y == 2, 0.0, 1.0)
    net = classifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    scale = StandardScaler().set_fit_request(sample_weight=False)
    search = GridSearchCV(
        Pipeline([("scale", scale), ("net", net)]), {"net__alpha": [1e-4, 1e-2]}, cv=2
    )
    search.fit(X, y, sample_weight=weights)
    assert not (search.predict(X) == 2).any()
    assert search.best_score_ > 0.9  # the third class counts for nothing in scores either
    best = search.best_estimator_
    direct = clone(best[-1]).fit(best[0].transform(X), y, sample_weight=weights)
    assert_array_equal(best.predict_proba(X), direct.predict_proba(best[0].transform(X)))
    unweighted = clone(search).set_params(estimator__net__max_iter=30).fit(X, y)
    assert (unweighted.predict(X) == 2).any()


@pytest.mark.usefixtures("routing")
def test_weights_nobody_asked_for_are_refused(wine):
    X, y = wine
    pipeline = make_pipeline(StandardScaler(), classifier())
    with pytest.raises(ValueError, match=r"sample_weight.*not explicitly set"):
        pipeline.fit(X, y, sample_weight=np.ones(len(y)))


@needs_weights
@pytest.mark.usefixtures("routing")
def test_weights_reach_cross_validation(cancer):
    X, y = cancer
    ours, theirs, unweighted = (
        cross_val_predict(
            classifier(library).set_fit_request(sample_weight=True),
            X,
            y,
            cv=2,
            method="predict_proba",
            params={"sample_weight": weights},
        )
        for library, weights in (*((library, 1.0 + 9 * y) for library in BOTH), (None, None))
    )
    assert_allclose(ours, theirs, rtol=0, atol=ATOL)
    assert ours[:, 1].mean() > unweighted[:, 1].mean() + 0.01


@pytest.mark.usefixtures("routing")
def test_weights_reach_partial_fit(cancer):
    X, y = cancer
    weights = 1.0 + 9 * y
    net = classifier().set_partial_fit_request(sample_weight=True)
    routed = MultiOutputClassifier(net)
    routed.partial_fit(X, y[:, np.newaxis], classes=[[0, 1]], sample_weight=weights)
    direct = clone(net).partial_fit(X, y, classes=[0, 1], sample_weight=weights)
    assert_array_equal(routed.predict_proba(X)[0], direct.predict_proba(X))
    unweighted = clone(net).partial_fit(X, y, classes=[0, 1])
    assert abs(direct.predict_proba(X) - unweighted.predict_proba(X)).max() > 0.01


def test_weights_by_step_name_without_routing(cancer):
    X, y = cancer
    weights = 1.0 + 9 * y
    pipeline = Pipeline([("scale", "passthrough"), ("net", classifier())])
    pipeline.fit(X, y, net__sample_weight=weights)
    direct = classifier().fit(X, y, sample_weight=weights)
    assert_array_equal(pipeline.predict_proba(X), direct.predict_proba(X))
    assert abs(direct.predict_proba(X) - classifier().fit(X, y).predict_proba(X)).max() > 0.01


# Parameters.


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_clone_and_set_params(estimator):
    values = {
        "hidden_layer_sizes": [3, 2],
        "activation": "tanh",
        "solver": "sgd",
        "alpha": 0.25,
        "n_iter_no_change": np.inf,
        "random_state": 5,
    }
    model = estimator(**values)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.set_params(alpha=1.0) is copy
    assert (model.alpha, copy.alpha) == (0.25, 1.0)
    assert copy.hidden_layer_sizes is not model.hidden_layer_sizes
    with pytest.raises(ValueError, match="Invalid parameter 'units' for estimator MLP"):
        model.set_params(units=3)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults_are_scikit_learn_s(name):
    ours = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]()
    theirs = getattr(sklearn.neural_network, name)()
    shared = theirs.get_params().items()
    assert {k: v for k, v in ours.get_params().items() if k in theirs.get_params()} == dict(shared)


def test_a_clone_fits_the_same_model(wine):
    X, y = wine
    model = classifier().fit(X, y)
    again = clone(model).fit(X, y)
    assert again.loss_curve_ == model.loss_curve_
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_set_params_does_not_change_a_fitted_regressor_s_predictions(progress):
    X, y = progress
    ours, theirs = (regressor(library).fit(X, y) for library in BOTH)
    before = ours.predict(X)
    if "loss" in theirs.get_params():
        theirs.set_params(loss="poisson")
    ours.set_params(loss="poisson", alpha=7, solver="lbfgs", max_iter=1)
    assert_array_equal(ours.predict(X), before)
    assert_allclose(ours.predict(X), theirs.predict(X), atol=ATOL)


# Parallel.


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_parallel_jobs_change_nothing(backend, digits):
    X, y = digits[0][:200], digits[1][:200]
    net = classifier(max_iter=5)
    grid = {"activation": ["tanh", "relu"], "early_stopping": [False, True]}
    alone = GridSearchCV(net, grid, cv=2).fit(X, y)
    p_alone = cross_val_predict(net, X, y, cv=4, method="predict_proba")
    with parallel_config(backend, n_jobs=2):
        together = GridSearchCV(net, grid, cv=2).fit(X, y)
        p_together = cross_val_predict(net, X, y, cv=4, method="predict_proba")
    assert_same_search(together, alone)
    assert_array_equal(together.predict_proba(X), alone.predict_proba(X))
    assert_array_equal(p_together, p_alone)


def test_threads_share_one_model_for_prediction(digits):
    X, y = digits[0][:400], digits[1][:400]
    net = classifier(max_iter=5).fit(X, y)
    expected = permutation_importance(net, X, y, n_repeats=2, random_state=0, n_jobs=1)
    with parallel_config("threading"):
        result = permutation_importance(net, X, y, n_repeats=2, random_state=0, n_jobs=2)
    assert_array_equal(result.importances, expected.importances)


def test_read_only_memory_maps_of_parallel_jobs(digits):
    # joblib hands large arrays to its workers as read-only memory maps.
    X, y = digits[0][:200], digits[1][:200]
    expected = cross_val_score(classifier(max_iter=5), X, y, cv=2)
    with parallel_config("loky", n_jobs=2, max_nbytes=1000, mmap_mode="r"):
        assert_array_equal(cross_val_score(classifier(max_iter=5), X, y, cv=2), expected)
