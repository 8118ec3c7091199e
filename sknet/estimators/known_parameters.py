"""What is found out once about the parameters of a class: names, defaults, and valid values.

A search makes and fits many clones of an estimator. scikit-learn reads the signature of the
constructor for each of them several times, and checks each value. Both take as long as some steps.
"""

from __future__ import annotations

from functools import cache
from inspect import signature
from typing import Any

# Values of these types are valid or not, whatever happens to other objects.
PLAIN = (int, float, str, bool, type(None))

# How many sets of parameters are remembered at most.
MOST_VALID = 1000

_valid: set[tuple[Any, ...]] = set()


class KnownParameters:
    """Remembers names of parameters, and plain values that have passed scikit-learn's check."""

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        return super()._get_param_names()  # type: ignore[misc]

    def _validate_params(self) -> None:
        """Check parameters as scikit-learn does, unless equal ones have passed the check."""
        values = [_with_type(vars(self).get(name, ...)) for name in self._get_param_names()]
        given = None if None in values else (type(self), *values)
        if given is None or given not in _valid:
            super()._validate_params()  # type: ignore[misc]
            if len(_valid) >= MOST_VALID:
                _valid.clear()
            if given is not None:
                _valid.add(given)


def _with_type(value: Any) -> tuple[Any, ...] | None:
    """Return a plain value, or a tuple of plain values, with its type; None for any other value.

    1, 1.0 and True are equal, but a parameter may allow only some of them.
    """
    kind = type(value)
    if kind in PLAIN:
        return kind, value
    if kind is tuple:
        parts = [_with_type(part) for part in value]
        return None if None in parts else (kind, *parts)
    return None


@cache
def defaults_of(cls: Any) -> dict[str, Any]:
    """Return the default of each parameter of an estimator's class and of its bases."""
    constructors = [vars(base).get("__init__") for base in reversed(cls.__mro__)]
    return {
        parameter.name: parameter.default
        for constructor in filter(None, constructors)
        for parameter in signature(constructor).parameters.values()
        if parameter.default is not parameter.empty
    }
