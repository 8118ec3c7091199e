"""Pipelines, searches and ensembles with networks of sknet, converted by skl2onnx."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from exported import TOLERANCES, assert_same_numbers, run
from factories import classifier, regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from versions import needs_1_8

from sknet import HiddenLayers
from sknet.export import register_skl2onnx

skl2onnx = pytest.importorskip("skl2onnx", reason="the extra 'onnx' is not installed")

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(converge|Maximum iterations)", "ignore::DeprecationWarning:skl2onnx"
)

N_CLASSES = [2, 3]
NO_ZIPMAP = {"zipmap": False}
STEP = "mlpclassifier__alpha"


@pytest.fixture(autouse=True, scope="module")
def registered():
    register_skl2onnx()
    register_skl2onnx()  # changes nothing


def data(n_classes, dtype=np.float64, labels=None, seed=0):
    """Return rows of noisy classes, and their labels."""
    generator = np.random.default_rng(seed)
    X = 3 * generator.normal(size=(150, 4))
    y = np.digitize(X[:, 0] + generator.normal(size=150), [0, 2][: n_classes - 1])
    return X.astype(dtype), y if labels is None else np.array(labels)[y]


def net(**parameters):
    return classifier(**{"hidden_layer_sizes": (6,), "max_iter": 5, **parameters})


def pipe(**parameters):
    return make_pipeline(StandardScaler(), net(**parameters))


def outputs_of(model, X, **options):
    """Return what the converted model computes for X."""
    given = {"options": NO_ZIPMAP | options} if hasattr(model, "classes_") else {}
    return run(skl2onnx.to_onnx(model, X[:1], **given), X)


def assert_same_classifier(model, X, y, **options):
    """Fit a classifier, convert it, and compare labels, and probabilities where it has them."""
    model.fit(X, y)
    X = np.vstack([data(2, X.dtype, seed=1)[0], 10 * X])
    found = outputs_of(model, X, **options)
    assert found["label"].tolist() == model.predict(X).tolist()
    if hasattr(model, "predict_proba"):
        assert_same_numbers(found["probabilities"], model.predict_proba(X).astype(X.dtype))
    return found["probabilities"]


CALIBRATION = [
    "sigmoid",
    "isotonic",
    pytest.param("temperature", marks=needs_1_8),
]


@pytest.mark.parametrize("n_classes", N_CLASSES)
@pytest.mark.parametrize("method", CALIBRATION)
@pytest.mark.parametrize("inner", [net, pipe])
def test_calibration(inner, method, n_classes):
    assert_same_classifier(CalibratedClassifierCV(inner(), method=method, cv=3), *data(n_classes))
    single = CalibratedClassifierCV(inner(), method=method, cv=3, ensemble=False)
    assert_same_classifier(make_pipeline(StandardScaler(), single), *data(n_classes))


@pytest.mark.parametrize("n_classes", N_CLASSES)
@pytest.mark.parametrize("method", CALIBRATION)
def test_calibration_of_other_responses(method, n_classes):
    """The raw scores of a hinge loss, and the probabilities of what has no raw scores."""
    votes = VotingClassifier([("a", net()), ("b", pipe())], voting="soft")
    frozen = FrozenEstimator(pipe().fit(*data(n_classes)))
    for inner in (net(loss="hinge"), votes, frozen, GridSearchCV(pipe(), {STEP: [0.1, 1]}, cv=2)):
        model = CalibratedClassifierCV(inner, method=method, cv=2)
        assert_same_classifier(model, *data(n_classes))


@pytest.mark.parametrize("n_thresholds", [1, 2, 3])
def test_calibration_with_few_thresholds(n_thresholds):
    X, y = data(2)
    model = CalibratedClassifierCV(net(), method="isotonic", cv=2).fit(X, y)
    for calibrated in model.calibrated_classifiers_:
        scores = np.linspace(-1, 1, n_thresholds)
        calibrated.calibrators[0].fit(scores, np.linspace(0.1, 0.9, n_thresholds))
    found = outputs_of(model, X)["probabilities"]
    assert_same_numbers(found, model.predict_proba(X))


def test_thresholds_that_are_one_number_in_float32():
    X, y = data(2, np.float32)
    model = CalibratedClassifierCV(net(), method="isotonic", cv=2).fit(X, y)
    scores, steps = [-1, -1 + 1e-12, 0, 1, 1 + 1e-12], [0.1, 0.2, 0.5, 0.6, 0.9]
    for calibrated in model.calibrated_classifiers_:
        calibrated.calibrators[0].fit(scores, steps)
        calibrated.estimator.coefs_[-1][:] *= 5  # for scores beyond all thresholds
    inner = [c.estimator.decision_function(X) for c in model.calibrated_classifiers_]
    assert np.min(np.abs(np.abs(inner) - 1)) > 1e-6  # no score is at a step
    assert np.max(inner) > 1
    assert np.min(inner) < -1
    found = outputs_of(model, X)["probabilities"]
    assert_same_numbers(found, model.predict_proba(X).astype(np.float32))


@pytest.mark.parametrize("n_classes", N_CLASSES)
@pytest.mark.parametrize("method", ["auto", "predict_proba", "decision_function", "predict"])
@pytest.mark.parametrize("passthrough", [False, True])
def test_stacking(passthrough, method, n_classes):
    first = [("net", net()), ("pipe", pipe()), ("linear", LogisticRegression())]
    model = StackingClassifier(first, stack_method=method, passthrough=passthrough, cv=2)
    assert_same_classifier(model, *data(n_classes))


@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_stacking_with_a_network_on_top(n_classes):
    first = [("hinge", net(loss="hinge")), ("dropped", "drop"), ("linear", LogisticRegression())]
    for final in (net(), pipe(), net(loss="hinge")):
        assert_same_classifier(StackingClassifier(first, final, cv=2), *data(n_classes))
    X, y = data(n_classes)
    model = StackingClassifier(first, pipe(), cv=2).fit(X, y)
    assert_raw_scores(model, X, outputs_of(model, X, raw_scores=True))


@pytest.mark.parametrize("n_classes", N_CLASSES)
@pytest.mark.parametrize("weights", [None, [1, 2, 4]])
@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_voting(voting, weights, n_classes):
    calibrated = CalibratedClassifierCV(pipe(), cv=2)
    voters = [("net", net()), ("pipe", pipe(random_state=1)), ("calibrated", calibrated)]
    model = VotingClassifier(voters, voting=voting, weights=weights)
    shares = assert_same_classifier(model, *data(n_classes))
    assert np.abs(shares.sum(axis=1) - 1).max() < 1e-12


def test_voting_beside_a_model_that_skl2onnx_has_in_float32_only():
    X, y = data(3)
    forest = RandomForestClassifier(5, random_state=0)
    model = VotingClassifier([("net", net()), ("forest", forest)], voting="soft").fit(X, y)
    X = X.astype(np.float32).astype(np.float64)
    found = outputs_of(model, X)["probabilities"]
    tolerance = TOLERANCES[np.dtype(np.float32)]
    assert np.abs(found - model.predict_proba(X)).max() <= tolerance


@pytest.mark.parametrize("n_classes", N_CLASSES)
@pytest.mark.parametrize("labels", [["a", "b", "c"], [-5, 0, 7], [1.0, 2.0, 3.0]])
def test_labels_of_ensembles(labels, n_classes):
    for model in (
        net(),
        pipe(),
        CalibratedClassifierCV(pipe(), cv=2),
        StackingClassifier([("net", net()), ("pipe", pipe())], cv=2),
        VotingClassifier([("net", net()), ("pipe", pipe())], voting="hard"),
        GridSearchCV(pipe(), {STEP: [0.1, 1]}, cv=2),
        BaggingClassifier(pipe(), 2),
        OneVsRestClassifier(pipe()),
    ):
        assert_same_classifier(model, *data(n_classes, labels=labels[:n_classes]))


@pytest.mark.parametrize(
    ("kind", "few"),
    [
        (GridSearchCV, {}),
        (RandomizedSearchCV, {"n_iter": 2}),
        (HalvingRandomSearchCV, {"min_resources": 60, "random_state": 0}),
    ],
)
def test_searches(kind, few):
    outer = kind(pipe(), {STEP: [0.1, 1]}, cv=2, **few)
    assert_same_classifier(outer, *data(3))
    inner = kind(net(), {"alpha": [0.1, 1]}, cv=2, **few)
    assert_same_classifier(make_pipeline(StandardScaler(), inner), *data(3))
    of_number = kind(regressor(), {"alpha": [0.1, 1]}, cv=2, **few)
    X, _ = data(2)
    of_number.fit(X, X[:, :2])
    assert_same_numbers(outputs_of(of_number, X)["variable"], of_number.predict(X))


def test_multilabel():
    X, _ = data(2)
    for model in (net(), pipe()):
        assert_same_classifier(model, X, (X[:, :3] > 0).astype(int))


def test_several_classifiers():
    X, y = data(3)
    model = MultiOutputClassifier(net()).fit(X, np.column_stack([y, y > 0]))
    label, probabilities = outputs_of(model, X).values()
    assert label.tolist() == model.predict(X).tolist()
    for found, expected in zip(probabilities, model.predict_proba(X), strict=True):
        assert_same_numbers(found, expected)


def test_float32():
    X, y = data(3, np.float32)
    for model in (net(), pipe(), VotingClassifier([("a", net()), ("b", pipe())], voting="soft")):
        assert_same_classifier(model, X, y)
    model = regressor(max_iter=5).fit(X, X[:, 0])
    assert_same_numbers(outputs_of(model, X)["variable"], model.predict(X)[:, None])


def test_integer_input():
    """skl2onnx computes in float32 then, whatever the weights are."""
    X, y = data(3)
    X = X.round().astype(np.int64)
    model = net().fit(X, y)
    found = outputs_of(model, X)["probabilities"]
    assert found.dtype == np.float32
    expected = model.predict_proba(X)
    largest_score = np.abs(model.decision_function(X)).max()
    assert_same_numbers(found, expected.astype(np.float32), largest_score)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_regressors(n_targets):
    X, _ = data(2)
    y = X[:, 0] if n_targets == 1 else X[:, :n_targets] ** 2
    step = regressor(max_iter=5, activation="softplus")
    quantiles = regressor(max_iter=5, loss="quantile", quantile=[0.1, 0.9], non_crossing=True)
    columns = ColumnTransformer([("a", StandardScaler(), [0, 2]), ("b", "passthrough", [3])])
    models = [step, make_pipeline(columns, step), make_pipeline(StandardScaler(), quantiles)]
    if n_targets == 1:
        models.append(VotingRegressor([("net", step), ("pipe", make_pipeline(columns, step))]))
        models.append(StackingRegressor([("net", step), ("linear", Ridge())], step, cv=2))
    for model in models:
        model.fit(X, y)
        assert_same_numbers(outputs_of(model, X)["variable"], model.predict(X).reshape(len(X), -1))


@pytest.mark.parametrize("layer", [-1, "all"])
def test_hidden_layers(layer):
    X, y = data(3)
    features = HiddenLayers(net(hidden_layer_sizes=(6, 5)), layer=layer)
    assert_same_classifier(make_pipeline(StandardScaler(), features, LogisticRegression()), X, y)
    model = make_pipeline(StandardScaler(), features).fit(X, y)
    assert_same_numbers(outputs_of(model, X)["variable"], model.transform(X))


def assert_raw_scores(model, X, found):
    """Compare with decision_function, where two classes have a column each."""
    scores = model.decision_function(X)
    scores = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
    assert_same_numbers(found["probabilities"], scores)
    assert found["label"].tolist() == model.predict(X).tolist()


class TestOptions:
    @pytest.mark.parametrize("n_classes", N_CLASSES)
    @pytest.mark.parametrize("make", [net, pipe])
    def test_raw_scores(self, make, n_classes):
        X, y = data(n_classes)
        search = GridSearchCV(make(), {STEP if make is pipe else "alpha": [0.1, 1]}, cv=2)
        for model in (make(), search):
            model.fit(X, y)
            assert_raw_scores(model, X, outputs_of(model, X, raw_scores=True))

    @pytest.mark.parametrize("n_classes", N_CLASSES)
    def test_a_loss_without_probabilities_gives_raw_scores(self, n_classes):
        X, y = data(n_classes)
        model = net(loss="hinge").fit(X, y)
        assert_raw_scores(model, X, outputs_of(model, X))

    @pytest.mark.parametrize("make", [net, pipe])
    @pytest.mark.parametrize("labels", [["a", "b", "c"], [4, 5, 6]])
    def test_zipmap(self, labels, make):
        X, y = data(3, np.float32, labels)
        model = make().fit(X, y)
        default = run(skl2onnx.to_onnx(model, X[:1]), X)
        expected = model.predict_proba(X)
        assert [list(row) for row in default["output_probability"]] == [labels] * len(X)
        values = [list(row.values()) for row in default["output_probability"]]
        assert_same_numbers(np.array(values, np.float32), expected)
        assert default["output_label"].tolist() == y_of(model, X)
        columns = outputs_of(model, X, zipmap="columns")
        prefix = "s" if labels == ["a", "b", "c"] else "i"
        for k, label in enumerate(labels):
            assert_same_numbers(columns[f"{prefix}{label}"], expected[:, k])

    @pytest.mark.parametrize("n_classes", N_CLASSES)
    def test_nocl(self, n_classes):
        X, y = data(n_classes, labels=["a", "b", "c"])
        calibrated = CalibratedClassifierCV(pipe(), cv=2)
        voting = VotingClassifier([("net", net()), ("pipe", pipe())])
        for model in (net(), pipe(), calibrated, voting):
            model.fit(X, y)
            found = outputs_of(model, X, nocl=True)["label"]
            assert model.classes_[found].tolist() == y_of(model, X)

    @pytest.mark.parametrize("labels", [["a", "b", "c"], [4, 5, 6]])
    @pytest.mark.parametrize("make", [net, pipe])
    def test_output_class_labels(self, make, labels):
        X, y = data(3, labels=labels)
        model = make().fit(X, y)
        assert outputs_of(model, X, output_class_labels=True)["class_labels"].tolist() == labels

    def test_unknown_option(self):
        X, y = data(2)
        with pytest.raises(NameError, match="no_such_option"):
            outputs_of(net().fit(X, y), X, no_such_option=True)


def y_of(model, X):
    return model.predict(X).tolist()


class TestModelsWithoutNetworks:
    def test_they_are_converted_as_before(self):
        X, y = data(3)
        linear = LogisticRegression()
        voting = VotingClassifier([("a", linear)], voting="soft", flatten_transform=False)
        for model in (CalibratedClassifierCV(linear), StackingClassifier([("a", linear)]), voting):
            assert_same_classifier(model, X, y)

    def test_what_skl2onnx_refuses_is_still_refused(self):
        X, y = data(3)
        model = VotingClassifier([("a", LogisticRegression())], voting="soft").fit(X, y)
        with pytest.raises(NotImplementedError, match="flatten_transform"):
            outputs_of(model, X)


class TestErrors:
    def test_raw_scores_of_others_beside_a_network(self):
        X, y = data(2)
        model = StackingClassifier([("net", net()), ("svc", SVC())], cv=2).fit(X, y)
        with pytest.raises(NotImplementedError, match="decision_function of SVC"):
            outputs_of(model, X)

    def test_a_tuned_threshold(self):
        X, y = data(2)
        model = TunedThresholdClassifierCV(pipe(), cv=2).fit(X, y)
        with pytest.raises(NotImplementedError, match="best_threshold_="):
            outputs_of(model, X)

    def test_multilabel_stacking(self):
        X, _ = data(2)
        model = StackingClassifier([("net", net())], net(), cv=2).fit(X, (X[:, :2] > 0).astype(int))
        with pytest.raises(NotImplementedError, match="multilabel"):
            skl2onnx.to_onnx(model, X[:1])

    def test_an_old_opset(self):
        X, y = data(2)
        model = net().fit(X, y)
        with pytest.raises(ValueError, match="target_opset=12 is too old"):
            skl2onnx.to_onnx(model, X[:1], target_opset=12)

    def test_a_fold_without_a_class(self):
        X, y = data(3)
        model = CalibratedClassifierCV(net(), cv=2).fit(X, y)
        inner = model.calibrated_classifiers_[0].estimator
        inner.fit(X[y < 2], y[y < 2])
        with pytest.raises(NotImplementedError, match="instead of"):
            outputs_of(model, X)


@pytest.mark.parametrize("opset", [13, 15, 18, 21])
def test_every_opset(opset):
    X, y = data(3)
    quantiles = regressor(max_iter=5, loss="quantile", quantile=[0.1, 0.9], non_crossing=True)
    calibrated = CalibratedClassifierCV(pipe(), method="isotonic", cv=2)
    for model, target in ((calibrated, y), (quantiles, X)):
        model.fit(X, target)
        options = {"options": NO_ZIPMAP} if target is y else {}
        converted = skl2onnx.to_onnx(model, X[:1], target_opset=opset, **options)
        *_, found = run(converted, X).values()
        expected = model.predict_proba(X) if target is y else model.predict(X)
        assert_same_numbers(found, expected)


@pytest.mark.parametrize("name", ["onnx", "skl2onnx"])
def test_without_the_extra(name, monkeypatch):
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"package {name}, .*'sknet-mlp\[onnx\]'"):
        register_skl2onnx()
