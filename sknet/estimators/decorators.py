"""scikit-learn's decorators of methods, with types: it has none of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import sklearn.base
import sklearn.utils.metaestimators

Method = TypeVar("Method", bound=Callable[..., Any])


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
    """Validate parameters before a method that fits, and end callbacks after it."""
    return sklearn.base._fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Make a method an attribute only where a check does not raise AttributeError."""
    return sklearn.utils.metaestimators.available_if(check)
