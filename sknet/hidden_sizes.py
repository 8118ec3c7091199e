"""Sizes of the hidden layers, which are the values of the parameter ``hidden_layer_sizes``.

:func:`parse_hidden_layer_sizes` reads every form in which users can write such a value.
:class:`HiddenLayerSizes` is a distribution of values for hyperparameter searches.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from numbers import Integral
from typing import Any, Literal, overload

import numpy as np
from sklearn.utils import check_random_state


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def parse_hidden_layer_sizes(value: Any) -> list[int]:
    """Return the number of units of each hidden layer.

    Parameters
    ----------
    value : int, array-like of int, or str
        Number of units of a single hidden layer, or of each hidden layer. A string has the numbers
        joined by '-', which is convenient in tables and on the command line. ``()``, ``''`` and
        ``'()'`` mean that there are no hidden layers.

    Returns
    -------
    list of int
        One number >= 1 for each hidden layer.

    Raises
    ------
    ValueError
        If a string has another form, or if a size is not an integer >= 1.

    Examples
    --------
    >>> from sknet.hidden_sizes import parse_hidden_layer_sizes
    >>> parse_hidden_layer_sizes("100-50")
    [100, 50]
    """
    sizes: list[Any]
    if isinstance(value, str):
        sizes = _read(value)
    else:
        sizes = list(value) if np.iterable(value) else [value]
    are_integers = all(map(_is_integer, sizes))
    if not are_integers or any(size <= 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be {'> 0' if are_integers else 'integers'}, got {sizes}. "
            "Give one integer >= 1 for each hidden layer, for example "
            "hidden_layer_sizes=(100, 50)."
        )
    # With NumPy's small integers, such as uint8, sums and products of sizes would overflow.
    return [int(size) for size in sizes]


def _read(text: str) -> list[int]:
    """Return the integers that are joined by '-' in a string."""
    if text.strip() in ("", "()"):
        return []
    numbers = [number.strip() for number in text.split("-")]
    # int() would also accept signs, underscores and the digits of other scripts.
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        raise ValueError(
            f"hidden_layer_sizes={text!r} must be one integer >= 1 for each hidden layer, joined "
            "by '-', for example '100-50', or '' for no hidden layers."
        )
    return [int(number) for number in numbers]


@dataclass(frozen=True)
class HiddenLayerSizes:
    """A distribution of ``hidden_layer_sizes`` for scikit-learn's randomised searches.

    Use it as a value of ``param_distributions`` in
    :class:`sklearn.model_selection.RandomizedSearchCV`. The number of hidden layers is uniformly
    distributed. The width w of the first hidden layer has a log-uniform distribution:

    P(w) = log((w + 1) / w) / log((high + 1) / low).

    For example, 16 to 32 units are about as likely as 256 to 512 units.

    Parameters
    ----------
    width : tuple of int, default=(16, 512)
        Range (low, high) of the number of units of the first hidden layer. Both ends are included,
        and low >= 1.
    depth : tuple of int, default=(1, 3)
        Range (low, high) of the number of hidden layers. Both ends are included, and low >= 0.
    shape : {'constant', 'funnel'}, default='constant'
        With 'constant', all hidden layers have the same width. With 'funnel', each layer has half
        the width of the one before, rounded down, but at least ``width[0]``.

    Raises
    ------
    ValueError
        If a range is empty or out of bounds, or if the shape is unknown.

    Examples
    --------
    >>> from sknet import HiddenLayerSizes
    >>> HiddenLayerSizes(width=(8, 64), depth=(2, 3), shape="funnel").rvs(3, random_state=0)
    [(27, 13), (28, 14), (47, 23, 11)]
    """

    width: tuple[int, int] = (16, 512)
    depth: tuple[int, int] = (1, 3)
    shape: Literal["constant", "funnel"] = "constant"

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("depth", 0)):
            value = getattr(self, name)
            bounds = tuple(value) if isinstance(value, tuple | list) else ()
            is_range = len(bounds) == 2 and all(map(_is_integer, bounds))
            if not is_range or not least <= bounds[0] <= bounds[1]:
                raise ValueError(
                    f"{name}={value!r} must be two integers (low, high) with "
                    f"{least} <= low <= high."
                )
        if self.shape not in ("constant", "funnel"):
            raise ValueError(f"shape={self.shape!r} must be 'constant' or 'funnel'.")

    @overload
    def rvs(self, size: None = None, random_state: Any = None) -> tuple[int, ...]: ...

    @overload
    def rvs(self, size: int, random_state: Any = None) -> list[tuple[int, ...]]: ...

    def rvs(self, size: int | None = None, random_state: Any = None) -> Any:
        """Draw values of ``hidden_layer_sizes``.

        Parameters
        ----------
        size : int, default=None
            Number of values. With None, a single value is returned instead of a list.
        random_state : int, RandomState instance or None, default=None
            Seed or source of random numbers.

        Returns
        -------
        tuple of int, or list of tuple of int
            Number of units of each hidden layer, for one value or for a list of values.
        """
        random = check_random_state(random_state)
        if size is None:
            return self._draw(random)
        return [self._draw(random) for _ in range(size)]

    def suggest(self, trial: Any, name: str = "hidden") -> tuple[int, ...]:
        """Let an optuna trial choose a value of ``hidden_layer_sizes``.

        Parameters
        ----------
        trial : optuna.trial.Trial
            The trial. It suggests the two integers ``{name}_depth`` and ``{name}_width``.
        name : str, default='hidden'
            Prefix of these two parameters of the trial.

        Returns
        -------
        tuple of int
            Number of units of each hidden layer.
        """
        depth = trial.suggest_int(f"{name}_depth", *self.depth)
        return self._layers(trial.suggest_int(f"{name}_width", *self.width, log=True), depth)

    def _draw(self, random: np.random.RandomState) -> tuple[int, ...]:
        low, high = self.width
        depth = random.randint(self.depth[0], self.depth[1] + 1)
        width = int(exp(random.uniform(log(low), log(high + 1))))
        return self._layers(min(max(width, low), high), depth)  # exp(log(low)) may be below low

    def _layers(self, width: int, depth: int) -> tuple[int, ...]:
        """Return the sizes for a width of the first hidden layer and a number of hidden layers."""
        if self.shape == "constant":
            return (width,) * depth
        return tuple(max(width >> l, self.width[0]) for l in range(depth))
