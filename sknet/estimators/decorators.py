"""scikit-learn's decorators of methods, with types, and the names that methods go by."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import getattr_static
from types import CellType, FunctionType
from typing import Any, TypeVar, cast

import sklearn.base
import sklearn.utils.metaestimators
from sklearn import get_config
from sklearn.utils.validation import _is_fitted

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Validate parameters before a method that fits, and end callbacks after it."""
    return sklearn.base._fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def partial_fit_context(method: Method) -> Method:
    """Do what `fit_context` does, and also validate parameters that change after the first call.

    scikit-learn validates parameters only while the estimator is not fitted.
    """
    fit = fit_context(prefer_skip_nested_validation=True)(method)

    @wraps(method)
    def partial_fit(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        has_changed = estimator._has_new_parameters() and _is_fitted(estimator)
        if has_changed and not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return fit(estimator, *args, **kwargs)

    return cast(Method, partial_fit)


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Make a method an attribute only where a check does not raise AttributeError."""
    return sklearn.utils.metaestimators.available_if(check)


def own_inherited_methods(cls: type) -> None:
    """Give a class copies of its inherited public methods, which go by the name of the class.

    Python's messages about missing and unexpected arguments name the class that
    defines a method. Users do not know the base classes.
    """
    for name in dir(cls):
        method = getattr_static(cls, name)
        if not name.startswith("_") and name not in vars(cls) and isinstance(method, FunctionType):
            setattr(cls, name, _named_after(cls, method))


def _named_after(cls: type, method: FunctionType) -> FunctionType:
    """Return a copy of a method, and of the one that it decorates, as if a class defined it."""
    attributes, cells = dict(vars(method)), method.__closure__
    decorated = attributes.get("__wrapped__")
    if decorated is not None:
        own = attributes["__wrapped__"] = _named_after(cls, decorated)
        cells = tuple(
            CellType(own) if cell.cell_contents is decorated else cell for cell in cells or ()
        )
    copy = FunctionType(
        method.__code__, method.__globals__, method.__name__, method.__defaults__, cells
    )
    attributes |= {
        name: getattr(method, name) for name in ("__doc__", "__kwdefaults__", "__annotations__")
    }
    for name, value in attributes.items():
        setattr(copy, name, value)
    copy.__module__, copy.__qualname__ = cls.__module__, f"{cls.__qualname__}.{method.__name__}"
    return copy
