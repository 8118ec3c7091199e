"""scikit-learn's decorators of methods, with types: it has none of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
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
    """Do as `fit_context` does before the first call, and validate changed parameters later, too.

    scikit-learn validates parameters as long as the estimator is not fitted.
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
