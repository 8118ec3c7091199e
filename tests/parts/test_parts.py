"""Parts: their tables, their page in the documentation, and new ones in one class."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris

import sknet
from sknet import MLPClassifier, MLPRegressor
from sknet.activations import Activation
from sknet.initialization import Initializer
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.parts import Part
from sknet.schedules import Schedule

DOCS = Path(sknet.__file__).parent.parent / "docs"
SCRIPT = runpy.run_path(str(DOCS / "make_parts.py"))
PARTS = [part for kind in SCRIPT["KINDS"] for part in kind.table.values()]

# Parts whose rule is described in words, without an equation.
IN_WORDS = {"constant", "adaptive"}

pytestmark = pytest.mark.filterwarnings("ignore:.*(converge|Maximum iterations)")


def test_page_is_current():
    """If this fails, run ``python docs/make_parts.py``."""
    assert (DOCS / "parts.md").read_text(encoding="utf-8") == SCRIPT["page"]()


def test_page_has_every_kind():
    assert set(SCRIPT["KINDS"]) == set(Part.__subclasses__())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_docstring(part):
    """Every part has a docstring with a formula."""
    doc = vars(part)["__doc__"]
    assert doc, "it has no docstring"
    assert not doc.startswith(f"{part.__name__}("), "@dataclass has generated the docstring"
    has_formula = any(map(SCRIPT["is_formula"], SCRIPT["paragraphs"](part)))
    assert has_formula != (part.name in IN_WORDS)


def test_page_of_a_docstring():
    """Formulas become code blocks, prose becomes Markdown, and the source comes last."""

    class Some:
        """Squares: see :class:`~sknet.activations.ReLU`, a*b and ``a_b``.

        f(z) = z**2,
        f'(z) = 2 z.

        As ``x = y`` is code, this is prose. But here a formula follows: x = y.

        References
        ----------
        Nobody (2000). On x_1,
        page 3.

        Notes
        -----
        None.
        """

        name = "some"

    assert (
        SCRIPT["entry"](Some)
        == inspect.cleandoc(
            r"""
        ### some

        Squares: see ``sknet.activations.ReLU``, a\*b and ``a_b``.

        ```text
        f(z) = z**2,
        f'(z) = 2 z.
        ```

        As ``x = y`` is code, this is prose. But here a formula follows:

        ```text
        x = y.
        ```

        Source: Nobody (2000). On x\_1, page 3.
        """
        )
        + "\n"
    )


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


@pytest.mark.usefixtures("tables")
class TestTable:
    """Registration by name, of activations that are defined outside of the package."""

    @staticmethod
    def define(name, qualified_name="Mine"):
        """Define an activation as a module or a notebook would."""
        namespace = {"__module__": "notebook", "__qualname__": qualified_name}
        return type(Activation)("Mine", (Activation,), namespace, name=name)

    def test_get(self):
        mine = self.define("mine")
        assert mine.name == "mine"
        assert Activation.get("mine") is mine

    def test_a_taken_name_is_refused(self):
        relu = Activation.table["relu"]
        message = (
            "The activation name 'relu' is already taken by sknet.activations.ReLU. "
            "Define notebook.Mine under another name."
        )
        with pytest.raises(ValueError, match=re.escape(message)):
            self.define("relu")
        assert Activation.table["relu"] is relu

    def test_a_taken_name_of_another_class_of_the_same_module_is_refused(self):
        self.define("mine", "first.<locals>.Mine")
        with pytest.raises(ValueError, match=r"notebook\.first\.<locals>\.Mine"):
            self.define("mine", "second.<locals>.Mine")

    def test_the_same_class_defined_again_replaces_the_earlier_one(self):
        first, second = self.define("mine"), self.define("mine")
        assert first is not second
        assert Activation.table["mine"] is second
        assert list(Activation.table).count("mine") == 1

    def test_kinds_have_names_of_their_own(self):
        """An optimiser may have the name of an activation."""
        namespace = {"__module__": "notebook", "__qualname__": "Mine"}
        mine = type(Optimizer)("Mine", (Optimizer,), namespace, name="relu")
        assert Optimizer.get("relu") is mine
        assert Activation.get("relu") is not mine

    @pytest.mark.parametrize("kind", Part.__subclasses__(), ids=lambda kind: kind.__name__)
    def test_an_unknown_name_is_explained(self, kind):
        with pytest.raises(ValueError, match="before you load a pickled model") as caught:
            kind.get("unknown")
        message = str(caught.value)
        assert message.startswith(f"There is no {kind.__name__.lower()} named 'unknown'.")
        assert all(repr(name) in message for name in kind.table)


def accepted(model, parameter, data):
    """Return the error message for an unknown name."""
    with pytest.raises(ValueError, match=parameter) as error:
        model.set_params(**{parameter: "no such part"}).fit(*data)
    return str(error.value)


@pytest.mark.usefixtures("tables")
def test_new_activation(iris):
    class Square(Activation, name="square"):
        weight_init = "glorot_normal"
        needs_input = True

        @staticmethod
        def forward(a):
            for i in range(a.size):
                a[i] = a[i] * a[i]

        @staticmethod
        def backward(z, a, delta):
            for i in range(delta.size):
                delta[i] *= z[i] + z[i]

    X, y = iris
    model = MLPClassifier((5,), activation="square", solver="lbfgs", random_state=0).fit(X, y)
    hidden = (X @ model.coefs_[0] + model.intercepts_[0]) ** 2
    scores = hidden @ model.coefs_[1] + model.intercepts_[1]
    assert_array_equal(model.predict(X), scores.argmax(axis=1))
    # With a wrong derivative, L-BFGS would not reach such a low loss.
    assert model.loss_ < 0.05
    assert "'square'" in accepted(MLPClassifier(), "activation", iris)


@pytest.mark.usefixtures("tables")
def test_new_initializer(iris):
    class Ramp(Initializer, name="ramp"):
        @staticmethod
        def draw(random_state, fan_in, fan_out, factor):
            weights = np.arange(1, fan_in * fan_out + 1).reshape(fan_in, fan_out)
            return weights / weights.size, np.full(fan_out, 0.5)

    # With steps too small to change a number, the initial weights remain.
    model = MLPClassifier((5,), weight_init="ramp", solver="sgd", learning_rate_init=1e-200)
    model.fit(*iris)
    assert_array_equal(model.coefs_[0], np.arange(1, 21).reshape(4, 5) / 20)
    assert_array_equal(model.intercepts_[1], [0.5] * 3)
    assert "'ramp'" in accepted(model, "weight_init", iris)


@pytest.mark.usefixtures("tables")
def test_new_optimizer(iris):
    class SignDescent(Optimizer, name="sign"):
        n_slots = 1

        def constants(self, rates):
            return rates.reshape(-1, 1)

        @staticmethod
        def step(params, grad, slots, constants):
            for i in range(params.size):
                params[i] -= constants[0] * np.sign(grad[i])

    model = MLPClassifier((5,), solver="sign", max_iter=1, batch_size=150, random_state=0)
    moved = (
        model.fit(*iris).coefs_[0]
        - MLPClassifier((5,), solver="sgd", learning_rate_init=1e-200, max_iter=1, random_state=0)
        .fit(*iris)
        .coefs_[0]
    )
    # One step has the size of the learning rate, up to the rounding of weights below 1.
    assert_allclose(np.abs(moved), 0.001, atol=np.finfo(float).eps)
    assert "'sign'" in accepted(model, "solver", iris)


@pytest.mark.usefixtures("tables")
def test_new_schedule(iris):
    class Halving(Schedule, name="halving"):
        def epoch_ends(self, rate, t):
            return rate / 2

    def last_loss_curve(learning_rate, epochs):
        model = MLPClassifier(
            (5,),
            solver="sgd",
            momentum=0,
            learning_rate=learning_rate,
            max_iter=epochs,
            random_state=0,
        )
        return np.array(model.fit(*iris).loss_curve_)

    halving, constant = last_loss_curve("halving", 3), last_loss_curve("constant", 3)
    assert_array_equal(halving[:2], constant[:2])  # the second loss precedes the second step
    assert halving[2] > constant[2]
    assert "'halving'" in accepted(MLPClassifier(), "learning_rate", iris)


@pytest.mark.usefixtures("tables")
def test_new_loss(iris):
    class Quartic(Loss, name="quartic"):
        public = "quartic"
        targets = "numbers"
        out_activation = "identity"

        @staticmethod
        def link(scores, settings):
            pass

        @staticmethod
        def loss(scores, targets, weights, settings, delta, values):
            for i in range(scores.shape[0]):
                error = scores[i, 0] - targets[i, 0]
                values[i] = weights[i] * error**4
                delta[i, 0] = 4 * weights[i] * error**3

    X, y = iris
    model = MLPRegressor("quartic", (5,), solver="lbfgs", alpha=0, random_state=0).fit(X, y)
    assert_allclose(model.loss_, np.mean((model.predict(X) - y) ** 4), rtol=1e-12)
    assert model.loss_ < np.mean((y - y.mean()) ** 4) / 10
    assert "'quartic'" in accepted(model, "loss", iris)
