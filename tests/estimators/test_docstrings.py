"""What both estimators have is documented, allowed and declared in the same words."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from numpydoc import docscrape
from sklearn.utils._param_validation import make_constraint

import sknet
from sknet import MLPClassifier, MLPRegressor

SOURCE = Path(sknet.__file__).parent

# What differs between the two, with the reason. The entry of a section without names is None.
DIFFERENT = {
    ("class", "Summary", None): "classification or regression",
    ("class", "Parameters", "loss"): "losses of labels or of numbers",
    ("class", "Parameters", "scoring"): "accuracy or R2",
    ("class", "Attributes", "loss_"): "only losses of labels are in nats",
    ("class", "See Also", None): "each names the other one",
    ("class", "Notes", None): "each has a paragraph of its own: on outputs, and on the scale of y",
    ("class", "Examples", None): "digits or diabetes",
    ("partial_fit", "Parameters", "y"): "labels or numbers",
    ("partial_fit", "Raises", "ValueError"): "only classes can be missing or other ones",
    ("predict", "Summary", None): "labels or numbers",
    ("predict", "Returns", "ndarray of shape (n_samples,) or (n_samples, n_labels)"): "labels",
    ("predict", "Returns", "ndarray of shape (n_samples,) or (n_samples, n_outputs)"): "numbers",
    ("class", "Parameters", "class_weight"): "of the classifier alone",
    ("class", "Parameters", "label_smoothing"): "of the classifier alone",
    ("class", "Parameters", "focal_gamma"): "of the classifier alone",
    ("class", "Parameters", "quantile"): "of the regressor alone",
    ("class", "Parameters", "non_crossing"): "of the regressor alone",
    ("class", "Parameters", "huber_delta"): "of the regressor alone",
    ("class", "Attributes", "classes_"): "of the classifier alone",
    ("partial_fit", "Parameters", "classes"): "of the classifier alone",
}
OWN_PARAMETERS = {
    "class_weight", "label_smoothing", "focal_gamma", "quantile", "non_crossing", "huber_delta",
}  # fmt: skip
DIFFERENT_PARAMETERS = {"loss", *OWN_PARAMETERS}


def entries(text):
    """Return the entries of a docstring: the lines of each by its section and its name."""
    found = {}
    for section, content in docscrape.NumpyDocString(inspect.cleandoc(text)).items():
        if content and isinstance(content[0], docscrape.Parameter):
            # numpydoc takes a type without a name for the type.
            named = [(entry.name or entry.type, entry) for entry in content]
            found |= {(section, name): [e.name, e.type, *e.desc] for name, e in named}
        elif content:
            found[section, None] = content
    return found


def different_entries(first, second):
    """Return section and name of each entry that two docstrings do not share word for word."""
    a, b = entries(first), entries(second)
    return {key for key in a.keys() | b.keys() if a.get(key) != b.get(key)}


def documented_here(cls):
    """Return the docstrings of the class and of its public methods that sknet defines."""
    found = {"class": cls.__doc__}
    for name in (name for name in dir(cls) if not name.startswith("_")):
        method = getattr(cls, name)
        source = inspect.getfile(inspect.unwrap(method)) if inspect.isfunction(method) else ""
        if SOURCE in Path(source).parents:
            found[name] = method.__doc__
    return found


def test_equal_docstrings():
    """Each entry is the same in both, or is listed with the reason why it is not."""
    classifier, regressor = documented_here(MLPClassifier), documented_here(MLPRegressor)
    shared = classifier.keys() & regressor.keys()
    assert shared == {
        "class",
        "fit",
        "partial_fit",
        "predict",
        "set_params",
        "summary",
        "without_training_state",
    }
    different = {
        (where, *key)
        for where in shared
        for key in different_entries(classifier[where], regressor[where])
    }
    assert different == set(DIFFERENT)


def test_shared_notes_are_equal():
    """Of two paragraphs of notes, the second is that of both."""
    of_classifier, of_regressor = (
        "\n".join(entries(cls.__doc__)["Notes", None]).split("\n\n")
        for cls in (MLPClassifier, MLPRegressor)
    )
    assert len(of_classifier) == len(of_regressor) == 2
    assert of_classifier[1] == of_regressor[1]


@pytest.mark.parametrize(
    ("old", "new", "section", "name"),
    [
        ("regression", "numbers", "Summary", None),
        ("drop-in", "better", "Extended Summary", None),
        ("momentum : float, default=0.9", "momentum : float", "Parameters", "momentum"),
        ("Exponent of the schedule", "Power of the schedule", "Parameters", "power_t"),
        ("Highest of these", "Best of these", "Attributes", "best_validation_score_"),
        ("t_ : int\n    Number", "seen_ : int\n    Number", "Attributes", "t_"),
        ("set_params` changes", "set_params` alters", "Notes", None),
    ],
)
def test_differences_are_found(old, new, section, name):
    text = inspect.cleandoc(MLPRegressor.__doc__)  # as Python 3.13 keeps it
    assert different_entries(text, text) == set()
    assert text.count(old) == 1
    assert (section, name) in different_entries(text, text.replace(old, new))


def parameters_of(cls):
    parameters = dict(inspect.signature(cls.__init__).parameters)
    del parameters["self"]
    return parameters


def test_equal_constructors():
    """Parameters of both have the same annotation, default and order."""
    of_classifier, of_regressor = (
        [p for name, p in parameters_of(cls).items() if name not in DIFFERENT_PARAMETERS]
        for cls in (MLPClassifier, MLPRegressor)
    )
    assert len(of_classifier) > 30
    for a, b in zip(of_classifier, of_regressor, strict=True):
        # Comparison takes in name, kind, default and annotation.
        assert a == b
        assert type(a.default) is type(b.default)
        assert a.annotation is not inspect.Parameter.empty


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict"])
def test_equal_signatures_of_methods(method):
    signatures = []
    for cls in (MLPClassifier, MLPRegressor):
        signature = inspect.signature(getattr(cls, method))
        shared = [p for p in signature.parameters.values() if p.name != "classes"]
        signatures.append((shared, signature.return_annotation))
    assert signatures[0] == signatures[1]


def test_equal_constraints():
    """What is allowed for a parameter is the same in both, and every parameter has constraints."""
    descriptions = []
    for cls in (MLPClassifier, MLPRegressor):
        constraints = cls._parameter_constraints
        assert set(constraints) == set(parameters_of(cls))
        descriptions.append(
            {
                name: [str(make_constraint(constraint)) for constraint in allowed]
                for name, allowed in constraints.items()
                if name not in DIFFERENT_PARAMETERS
            }
        )
    assert descriptions[0] == descriptions[1]
    own = set(MLPClassifier._parameter_constraints) ^ set(MLPRegressor._parameter_constraints)
    assert own == OWN_PARAMETERS


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_documented_defaults(cls):
    """The defaults in the docstring are those of the constructor."""
    documented = {}
    for entry in docscrape.NumpyDocString(inspect.cleandoc(cls.__doc__))["Parameters"]:
        names = entry.name.split(", ")
        default = ast.literal_eval(entry.type.split("default=")[1])
        documented |= dict(zip(names, default if len(names) > 1 else [default], strict=True))
    assert documented == {name: p.default for name, p in parameters_of(cls).items()}
