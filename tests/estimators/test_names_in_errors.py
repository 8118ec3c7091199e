"""Errors name the class that the user knows, and not a base class."""

from __future__ import annotations

import inspect
import pickle

import pytest

from sknet import MLPClassifier, MLPRegressor

BOTH = (MLPClassifier, MLPRegressor)


def methods_of(cls):
    """Return the names of all public methods, whichever class defines them.

    The methods of metadata routing, such as `set_fit_request`, name the method and no class.
    """
    names = (name for name in dir(cls) if not name.startswith("_"))
    names = (name for name in names if not name.endswith("_request"))
    return [name for name in names if callable(getattr(cls(), name, None))]


METHODS = [(cls, name) for cls in BOTH for name in methods_of(cls)]


def test_the_methods_are_found():
    names = {name for cls, name in METHODS if cls is MLPClassifier}
    assert names >= {
        "fit", "partial_fit", "predict", "predict_proba", "predict_log_proba",
        "decision_function", "score", "summary", "get_params", "set_params",
    }  # fmt: skip


@pytest.mark.parametrize(("cls", "name"), METHODS)
def test_an_argument_that_is_not_there(cls, name):
    """A keyword, or one more argument than a method has that takes any keyword."""
    method = getattr(cls(), name)
    if name == "set_params":
        arguments, keywords = (0,), {}
    else:
        arguments, keywords = (), {"nothing_like_it": 0}
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.{name}\(\) "):
        method(*arguments, **keywords)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("name", ["fit", "partial_fit", "score"])
def test_a_missing_y(cls, name):
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.{name}\(\) missing .* 'y'$"):
        getattr(cls(), name)([[0.0]])


@pytest.mark.parametrize("cls", BOTH)
def test_without_an_estimator(cls):
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.fit\(\) missing"):
        cls.fit()


@pytest.mark.parametrize("cls", BOTH)
def test_an_attribute_that_is_not_there(cls):
    with pytest.raises(AttributeError, match=f"{cls.__name__}.* has no attribute 'partial_fit'"):
        _ = cls(solver="lbfgs").partial_fit
    with pytest.raises(AttributeError, match=f"{cls.__name__}.*'nothing_like_it'"):
        _ = cls().nothing_like_it


def test_a_class_of_the_user_shows_what_it_inherits():
    class Mine(MLPClassifier):
        def predict(self, X):
            return super().predict(X)

    assert Mine.fit is MLPClassifier.fit
    with pytest.raises(TypeError, match=r"MLPClassifier\.fit\(\) missing"):
        Mine().fit([[0.0]])


@pytest.mark.parametrize("cls", BOTH)
def test_the_methods_are_whole(cls):
    """Documentation, signature and type hints are those of the methods that were copied."""
    base = cls.__mro__[2]
    assert base.__name__ == "BaseMLP"
    for name in ("fit", "summary", "set_params"):
        own, inherited = getattr(cls, name), getattr(base, name)
        assert own is not inherited
        assert inspect.signature(own) == inspect.signature(inherited)
        assert own.__doc__ == inherited.__doc__
        assert own.__annotations__ == inherited.__annotations__
    assert pickle.loads(pickle.dumps(cls.fit)) is cls.fit
