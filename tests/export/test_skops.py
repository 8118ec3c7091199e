"""skops and mlflow load what TRUSTED_TYPES names, and nothing else is needed."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from factories import LBFGS_STOPS_EARLY, classifier, regressor
from numpy.testing import assert_array_equal
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from snapshots import assert_same

import sknet
from sknet.activations import Activation
from sknet.export import TRUSTED_TYPES
from sknet.losses import Loss
from sknet.metrics import make_pinball_scorer
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

skops_io = pytest.importorskip("skops.io", reason="skops is not installed")

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

CASES = {
    **{f"solver={name}": {"solver": name} for name in [*Optimizer.table, "lbfgs"]},
    **{f"activation={name}": {"activation": name} for name in Activation.table},
    **{f"schedule={name}": {"learning_rate": name} for name in Schedule.table},
    "generator": {"random_state": np.random.RandomState(0)},
    "average": {"ema_decay": 0.9, "dropout": [0.1], "input_noise": 0.1},
    "early stopping": {"early_stopping": True, "scoring": "f1_macro", "n_iter_no_change": np.inf},
    "weights": {"class_weight": {i: np.float64(i + 1) for i in range(10)}},
    "array": {"hidden_layer_sizes": np.array([5, 4]), "activation": ["relu", "gelu"]},
    "training scores": {"training_scoring": "accuracy", "verbose": np.False_},
}


@pytest.fixture(scope="module")
def small(digits):
    return digits[0][:80], digits[1][:80]


def through_skops(model):
    return skops_io.loads(skops_io.dumps(model), trusted=TRUSTED_TYPES)


def types_in(model):
    """Return the types and functions that a file of skops names."""

    def walk(node):
        if isinstance(node, dict):
            if "__class__" in node:
                found.add(f"{node['__module__']}.{node['__class__']}")
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    found: set[str] = set()
    with zipfile.ZipFile(io.BytesIO(skops_io.dumps(model))) as archive:
        walk(json.loads(archive.read("schema.json")))
    return found


@pytest.mark.parametrize("case", CASES)
def test_classifiers(case, small):
    model = classifier(**{"max_iter": 2, **CASES[case]}).fit(*small)
    loaded = through_skops(model)
    assert_same(loaded.predict_proba(small[0]), model.predict_proba(small[0]))
    mine, expected = loaded.__getstate__(), model.__getstate__()
    if case == "generator":
        mine, expected = (state | {"random_state": None} for state in (mine, expected))
        assert loaded.random_state.rand() == model.random_state.rand()
    assert_same(mine, expected)


@pytest.mark.parametrize("loss", Loss.choices("codes", "indicators"))
@pytest.mark.parametrize("kind", ["codes", "strings", "objects", "multilabel"])
def test_losses_of_labels(loss, kind, small):
    X, y = small
    y = {
        "codes": y,
        "strings": y.astype(str),
        "objects": y.astype(str).astype(object),
        "multilabel": sp.csr_array(np.column_stack([y % 2, y > 4]).astype(int)),
    }[kind]
    model = classifier(max_iter=2, loss=loss).fit(X, y)
    loaded = through_skops(model)
    assert_same(loaded.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("loss", Loss.choices("numbers"))
def test_losses_of_numbers(loss, small):
    X, y = small[0], small[1] + 1.0
    quantile = np.array([0.1, 0.5]) if loss == "quantile" else 0.5
    model = regressor(max_iter=2, loss=loss, quantile=quantile).fit(X.astype(np.float32), y)
    assert_same(through_skops(model).predict(X), model.predict(X))


def test_training_goes_on(small):
    model = classifier(max_iter=2, ema_decay=0.9).fit(*small)
    loaded = through_skops(model)
    for m in (loaded, model):
        m.partial_fit(*small)
    assert_same(loaded.__getstate__(), model.__getstate__())


def test_what_contains_networks(small):
    X, y = small
    scorer = make_pinball_scorer([0.1, 0.5])
    model = regressor(loss="quantile", quantile=[0.1, 0.5], scoring=scorer, max_iter=2)
    model.fit(X, y, X_val=X, y_val=y)
    hidden = sknet.HiddenLayers(classifier(max_iter=2)).fit(X, y)
    sizes = {"hidden_layer_sizes": sknet.HiddenLayerSizes()}
    search = RandomizedSearchCV(classifier(max_iter=2), sizes, n_iter=2, cv=2, random_state=0)
    for one in (model, make_pipeline(StandardScaler(), classifier(max_iter=2)).fit(X, y)):
        assert_array_equal(through_skops(one).predict(X), one.predict(X))
    data = skops_io.dumps(search.fit(X, y))
    asked_for = set(skops_io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES)
    assert all(name.startswith("sklearn.") for name in asked_for)  # scikit-learn's own searches
    loaded = skops_io.loads(data, trusted=[*TRUSTED_TYPES, *asked_for])
    assert_array_equal(loaded.predict(X), search.predict(X))
    assert_array_equal(through_skops(hidden).transform(X), hidden.transform(X))


def test_a_stripped_model_needs_plain_values_and_its_class(small):
    stripped = classifier(max_iter=2, ema_decay=0.9).fit(*small).without_training_state()
    own = "sknet.estimators.classifier.MLPClassifier"
    assert types_in(stripped) - {own} <= {
        "builtins.dict",
        "builtins.list",
        "builtins.tuple",
        "builtins.str",
        "numpy.ndarray",
        "numpy.int64",
    }
    assert skops_io.get_untrusted_types(data=skops_io.dumps(stripped)) == [own]


def test_functions_of_users_are_not_trusted(small):
    model = classifier(max_iter=2, learning_rate=np.cos).fit(*small)
    data = skops_io.dumps(model)
    assert set(skops_io.get_untrusted_types(data=data)) <= {*TRUSTED_TYPES, "numpy.cos"}
    assert all(name.startswith("sknet.") for name in TRUSTED_TYPES[:-1])


def test_mlflow(small, tmp_path):
    mlflow = pytest.importorskip("mlflow.sklearn", reason="mlflow is not installed")
    X, y = small
    model = make_pipeline(StandardScaler(), classifier(max_iter=2)).fit(X, y)
    path = tmp_path / "model"
    mlflow.save_model(model, path, skops_trusted_types=TRUSTED_TYPES, pip_requirements=[])
    assert (path / "model.skops").exists()  # the default
    loaded = mlflow.load_model(str(path))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
