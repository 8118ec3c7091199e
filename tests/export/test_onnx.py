"""Networks in ONNX, run by onnxruntime, against sknet's own predictions."""

from __future__ import annotations

import sys

import naive
import numpy as np
import pytest
from exported import TOLERANCES, assert_same_numbers, onnx, program, run
from factories import classifier, regressor
from processes import run_script
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from sknet import HiddenLayers, TabularMLPClassifier
from sknet.activations import Activation, ReLU
from sknet.dask import DaskMLPClassifier
from sknet.export import onnx_formula, to_onnx
from sknet.losses import Loss
from sknet.losses.base import WithIdentity

pytestmark = [
    pytest.mark.usefixtures("tables"),
    pytest.mark.filterwarnings("ignore:.*(converge|Maximum iterations)"),
]

DTYPES = [np.float32, np.float64]
ACTIVATIONS = list(Activation.table)
LOSSES = list(Loss.table)
N_FEATURES = 4
SHORT = {"hidden_layer_sizes": (6,), "max_iter": 3}


def rows(seed, n=120, scale=1.0, dtype=np.float64):
    """Return random rows with at most three binary digits after the point."""
    X = scale * np.random.default_rng(seed).normal(size=(n, N_FEATURES))
    return (np.round(8 * X) / 8).astype(dtype)


def unseen(dtype):
    """Return rows of ordinary size, rows that saturate most units, and very large rows."""
    return [rows(1, 60, scale, dtype) for scale in (1.0, 30.0, 1e3)]


def numbers(X):
    return np.abs(X[:, 0]) + X[:, 1] ** 2 / 2 + 0.5


TARGETS = {
    "binary": lambda X: np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)],
    "multiclass": lambda X: np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5]) * 5 - 7,
    "multilabel": lambda X: (X[:, :3] > [-0.5, 0, 0.5]).astype(int),
    "one class": lambda X: np.full(len(X), "only"),
    "number": numbers,
    "numbers": lambda X: np.column_stack([numbers(X), numbers(-X[:, ::-1])]),
}
OF_LABELS = ("binary", "multiclass", "multilabel", "one class")


def fitted(kind, dtype, **parameters):
    """Return a network fitted to targets of a kind, with weights of few binary digits.

    Sums over the features are then exact. Otherwise the rounding of large terms that cancel would
    be amplified by the activation, in onnxruntime and in sknet alike, but not in the same way.
    """
    X = rows(0, dtype=dtype)
    make = classifier if kind in OF_LABELS else regressor
    model = make(**{**SHORT, **parameters}).fit(X, TARGETS[kind](X))
    for array in (*model.coefs_, *model.intercepts_):
        array[:] = np.round(16 * array) / 16
    return model


def assert_same_outputs(model, *several_X, **options):
    """Compare all outputs of the ONNX model of a network with its own methods."""
    exported = program(to_onnx(model, **options))
    for X in several_X:
        found = exported(X)
        if not hasattr(model, "classes_"):
            assert list(found) == ["variable"]
            own = model.predict(X) if hasattr(model, "predict") else model.transform(X)
            assert_same_numbers(found["variable"], own.reshape(len(X), -1))
            continue
        scores = model.decision_function(X).reshape(len(X), -1)
        assert found["label"].tolist() == model.predict(X).tolist()
        if "scores" in found:
            assert list(found) == ["label", "scores"]
            assert_same_numbers(found["scores"], scores)
        else:
            assert list(found) == ["label", "probabilities"]
            own = model.predict_proba(X)
            assert_same_numbers(found["probabilities"], own, np.abs(scores).max())


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_and_kind_of_target(activation, dtype, kind):
    model = fitted(kind, dtype, activation=activation)
    assert_same_outputs(model, *unseen(dtype))
    if kind in OF_LABELS:
        assert_same_outputs(model, *unseen(dtype), raw_scores=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name, dtype):
    loss = Loss.get(name)
    kinds = {
        "codes": ("multiclass",),
        "indicators": ("binary", "multilabel", "one class"),
        "numbers": ("number", "numbers"),
    }
    for kind in kinds[loss.targets]:
        model = fitted(kind, dtype, loss=loss.public)
        assert model._spec().loss == name
        if loss.out_activation != "exp":
            assert_same_outputs(model, *unseen(dtype))
            continue
        for X in (rows(1, dtype=dtype), rows(2, scale=10, dtype=dtype)):
            found, expected = run(to_onnx(model), X)["variable"], model.predict(X)
            expected = expected.reshape(len(X), -1)
            # An error of a score is a relative error of its exponential.
            scale = np.abs(np.log(expected)).max() * expected.max()
            assert_same_numbers(found, expected, scale)


@pytest.mark.parametrize("non_crossing", [True, False])
@pytest.mark.parametrize("kind", ["number", "numbers"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_several_quantiles(dtype, kind, non_crossing):
    quantile = [0.1, 0.5, 0.9]
    model = fitted(kind, dtype, loss="quantile", quantile=quantile, non_crossing=non_crossing)
    assert_same_outputs(model, *unseen(dtype))
    if non_crossing:
        for X in unseen(dtype):
            found = run(to_onnx(model), X)["variable"].reshape(len(X), -1, len(quantile))
            assert (np.diff(found, axis=2) >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_list_of_activations(dtype):
    """A layer for each, and rows of ordinary size: rounding of one layer is that of the next."""
    sizes = (5,) * len(ACTIVATIONS)
    model = fitted("number", dtype, hidden_layer_sizes=sizes, activation=ACTIVATIONS, max_iter=1)
    found, X = run(to_onnx(model), rows(1, dtype=dtype))["variable"][:, 0], rows(1, dtype=dtype)
    expected = model.predict(X)
    assert np.ptp(expected) > 0
    n_layers = len(sizes)
    assert (
        np.abs(found - expected).max()
        <= n_layers * TOLERANCES[expected.dtype] * np.abs(expected).max()
    )


@pytest.mark.parametrize("layer", [0, -1, "all"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_hidden_layers(dtype, layer):
    X = rows(0, dtype=dtype)
    network = classifier(hidden_layer_sizes=(6, 5, 4), activation=["gelu", "tanh", "elu"])
    model = HiddenLayers(network, layer=layer).fit(X, TARGETS["binary"](X))
    assert_same_outputs(model, rows(1, dtype=dtype))
    assert_same_outputs(FrozenEstimator(model), rows(1, dtype=dtype))
    frozen = HiddenLayers(FrozenEstimator(model.estimator_), layer=layer).fit(X)
    assert_same_outputs(frozen, rows(1, dtype=dtype))


@pytest.mark.parametrize("data", ["digits", "diabetes"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_real_data_and_usual_fits(request, data, dtype):
    X, y = request.getfixturevalue(data)
    X, seen = X.astype(dtype), len(X) // 2
    model = (classifier if data == "digits" else regressor)(hidden_layer_sizes=(50, 20))
    model.fit(X[:seen], y[:seen])
    assert_same_outputs(model, X[seen:])
    assert_same_outputs(FrozenEstimator(model), X[seen:])


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (["a", "b", "ü"], str),
        (np.array(["a", "b", "c"], dtype=object), str),
        ([-3, 0, 7], int),
        (np.array([1, 2, 3], dtype=np.uint8), int),
        ([1.0, 2.0, 3.0], int),
        ([False, True], int),
        ([2**62, 2**62 + 1], int),
    ],
)
def test_labels(labels, kind):
    X, labels = rows(0), np.asarray(labels)
    y = labels[np.digitize(X[:, 0], [-0.5, 0.5][: len(labels) - 1])]
    model = classifier(**SHORT).fit(X, y)
    found = run(to_onnx(model), X)["label"]
    assert found.tolist() == model.predict(X).tolist()
    assert found.dtype == (object if kind is str else np.int64)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one class"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_zipmap(kind, dtype):
    model, X = fitted(kind, dtype), rows(1, dtype=dtype)
    found = run(to_onnx(model, zipmap=True), X)
    assert found["label"].tolist() == model.predict(X).tolist()
    assert [list(row) for row in found["probabilities"]] == [model.classes_.tolist()] * len(X)
    values = np.array([list(row.values()) for row in found["probabilities"]], np.float32)
    assert_same_numbers(values, model.predict_proba(X).astype(np.float32))


def test_zipmap_of_scores():
    model, X = fitted("multiclass", np.float64), rows(1)
    found = run(to_onnx(model, zipmap=True, raw_scores=True), X)["scores"]
    values = np.array([list(row.values()) for row in found], np.float32)
    assert_same_numbers(values, model.decision_function(X).astype(np.float32))
    with pytest.raises(ValueError, match="a network of two classes has one raw score"):
        to_onnx(fitted("binary", np.float64), zipmap=True, raw_scores=True)


@pytest.mark.parametrize("dtype", ["float32", np.float64])
@pytest.mark.parametrize("of_weights", DTYPES)
def test_dtype(of_weights, dtype):
    """A graph in float32 of weights in float64 is as good as one of weights in float32."""
    model, X = fitted("number", of_weights), rows(1)
    found = run(to_onnx(model, dtype=dtype), X.astype(dtype))["variable"]
    assert found.dtype == dtype
    expected = model.predict(X.astype(of_weights))
    tolerance = max(TOLERANCES[found.dtype], TOLERANCES[expected.dtype])
    assert np.abs(found[:, 0] - expected).max() <= tolerance * np.abs(expected).max()


def test_inputs_outputs_and_what_the_model_says_of_itself():
    model = to_onnx(fitted("multiclass", np.float32))
    (X,), (label, probabilities) = model.graph.input, model.graph.output

    def shape(value):
        return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    assert (X.name, shape(X)) == ("X", ["n_samples", N_FEATURES])
    assert X.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert (label.name, shape(label)) == ("label", ["n_samples"])
    assert (probabilities.name, shape(probabilities)) == ("probabilities", ["n_samples", 3])
    assert model.producer_name == "sknet"
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 15)]
    assert onnx.load_from_string(model.SerializeToString()) == model


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_any_number_of_rows(n):
    assert_same_outputs(fitted("multiclass", np.float64), rows(3, n))
    quantiles = {"loss": "quantile", "quantile": [0.1, 0.9], "non_crossing": True}
    assert_same_outputs(fitted("numbers", np.float64, **quantiles), rows(3, n))


def test_weights_that_were_set_by_hand():
    model = regressor(activation="tanh", hidden_layer_sizes=(3,))
    generator = np.random.default_rng(0)
    model.coefs_ = [generator.normal(size=shape) for shape in ((N_FEATURES, 3), (3, 2))]
    model.intercepts_ = [np.ones(3), np.zeros(2)]
    assert_same_outputs(model, rows(1))
    model.coefs_[0][:] = 0
    assert_same_outputs(model, rows(1))


def test_parameters_that_were_changed_after_the_fit():
    model = fitted("binary", np.float64, activation="silu")
    before = to_onnx(model)
    model.set_params(activation="relu", loss="hinge")
    assert to_onnx(model) == before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_formula_by_itself(name, dtype):
    """The function in extended precision, for z of every size up to one million."""
    near = np.linspace(-30, 30, 6001)
    z = np.concatenate([near, *(s * np.geomspace(1e-6, 1e6, 500) for s in (1, -1))]).astype(dtype)
    network = regressor(activation=name, hidden_layer_sizes=(1,), max_iter=1)
    network.fit(z[:100, None], z[:100])
    network.coefs_[0][:], network.intercepts_[0][:] = 1, 0
    model = HiddenLayers(FrozenEstimator(network)).fit(z[:, None])
    found = run(to_onnx(model), z[:, None])["variable"][:, 0]
    with np.errstate(over="ignore"):
        expected = naive.ACTIVATIONS[name](z.astype(np.longdouble))
    assert np.isfinite(found).all()
    error = np.abs(found - expected)
    # onnxruntime's own functions are right to 4 units of the last place, and a formula has 8 of
    # them at most.
    bound = 32 * np.finfo(dtype).eps
    assert (error <= bound * np.maximum(1, np.abs(expected))).all()
    if name in ("softplus", "elu", "selu"):  # which would cancel, written in the obvious way
        assert (error <= bound * np.abs(expected))[np.abs(z) < 80].all()


def test_small_probabilities_are_not_cut_off():
    model = fitted("binary", np.float32)
    model.coefs_[-1][:] = 0
    model.intercepts_[-1][:] = -60
    X = rows(1, dtype=np.float32)
    found = run(to_onnx(model), X)["probabilities"][:, 1]
    assert np.abs(found / np.exp(-60.0) - 1).max() < 1e-5  # 60 has a relative error of eps


class TestFormulasOfUsers:
    def test_an_activation(self):
        class Cube(Activation, name="cube"):
            needs_input = True

            @staticmethod
            def forward(a):
                for i in range(a.size):
                    a[i] = a[i] * a[i] * a[i]

            @staticmethod
            def backward(z, a, delta):
                for i in range(a.size):
                    delta[i] *= 3 * z[i] * z[i]

        model = fitted("number", np.float64, activation=["relu", "cube"], hidden_layer_sizes=(5, 4))
        with pytest.raises(ValueError, match=r"activation 'cube' .*no formula.*Cube\.forward\)"):
            to_onnx(model)

        @onnx_formula(Cube.forward)
        def cube(op, z):
            return z * z * z

        assert_same_outputs(model, rows(1))
        assert cube(None, 2) == 8

    def test_a_subclass_of_a_known_activation(self):
        """The formula is that of the function that runs, and not that of the base class."""

        class Same(ReLU, name="relu_again"):
            pass

        class Other(ReLU, name="other_relu"):
            @staticmethod
            def forward(a):
                for i in range(a.size):
                    a[i] = max(a[i], a.dtype.type(1))

        assert_same_outputs(fitted("number", np.float64, activation="relu_again"), rows(1))
        with pytest.raises(ValueError, match="'other_relu'"):
            to_onnx(fitted("number", np.float64, activation="other_relu"))

    def test_a_loss(self):
        class Half(WithIdentity, name="half"):
            public = "half"
            targets = "numbers"

            @staticmethod
            def loss(scores, targets, weights, settings, delta, values):
                for i in range(scores.shape[0]):
                    values[i] = 0.0
                    for k in range(scores.shape[1]):
                        delta[i, k] = weights[i] * (scores[i, k] - targets[i, k])

        class Linked(Half, name="linked"):
            public = "linked"
            out_activation = "doubled"

            @classmethod
            def settings(cls, hyperparameters):
                return [2.0]

            @staticmethod
            def link(scores, settings):
                for i in range(scores.shape[0]):
                    for k in range(scores.shape[1]):
                        scores[i, k] *= settings[0]

        assert_same_outputs(fitted("number", np.float64, loss="half"), rows(1))
        model = fitted("numbers", np.float64, loss="linked")
        with pytest.raises(ValueError, match=r"loss 'linked' .*no formula.*Linked\.link\)"):
            to_onnx(model)

        @onnx_formula(Linked.link)
        def doubled(op, scores, settings):
            return settings[0] * scores

        assert_same_outputs(model, rows(1))


class TestErrors:
    def test_not_fitted(self):
        for model in (classifier(), regressor(), HiddenLayers(classifier())):
            with pytest.raises(NotFittedError):
                to_onnx(model)

    @pytest.mark.parametrize("model", [LogisticRegression(), None, "net.onnx"])
    def test_not_a_network(self, model):
        with pytest.raises(TypeError, match="register_skl2onnx"):
            to_onnx(model)

    def test_other_estimators_of_sknet(self):
        with pytest.raises(TypeError, match="Ensembles for tables cannot be exported"):
            to_onnx(TabularMLPClassifier())
        with pytest.raises(TypeError, match="to_local"):
            to_onnx(DaskMLPClassifier())

    @pytest.mark.parametrize("option", ["zipmap", "raw_scores"])
    def test_options_of_classifiers(self, option):
        with pytest.raises(ValueError, match=f"{option}=True is for classifiers.*MLPRegressor"):
            to_onnx(fitted("number", np.float64), **{option: True})

    @pytest.mark.parametrize("dtype", ["float16", int, "no dtype"])
    def test_dtype(self, dtype):
        with pytest.raises(ValueError, match=r"dtype=.* must be 'float32', 'float64' or None"):
            to_onnx(fitted("number", np.float64), dtype=dtype)

    def test_weights_that_overflow(self):
        model = fitted("number", np.float64)
        model.coefs_[0][0, 0] = 1e300
        to_onnx(model)
        with pytest.raises(ValueError, match="not finite as float32"):
            to_onnx(model, dtype="float32")

    @pytest.mark.parametrize("labels", [[b"a", b"b"], [2**63, 2**63 + 1]])
    def test_labels_that_onnx_does_not_have(self, labels):
        model = fitted("binary", np.float64)
        model.classes_ = np.array(labels)
        with pytest.raises(ValueError, match="whose labels are int64 or strings"):
            to_onnx(model)


def test_without_onnx(monkeypatch):
    model = fitted("number", np.float64)
    for name in [name for name in sys.modules if name.split(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"'sknet-mlp\[onnx\]'"):
        to_onnx(model)


def test_the_import_is_light():
    """Neither ONNX nor Numba is imported before it is used."""
    script = "import sys, sknet.export; print([m for m in sys.argv[1:] if m in sys.modules])"
    assert run_script(script, "onnx", "skl2onnx", "onnxruntime", "numba") == "[]\n"
