"""Sizes of hidden layers: how users may write them, and a distribution to search among."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from numbers import Integral
from typing import Any, Literal

import numpy as np
from sklearn.utils import check_random_state


def parse_hidden_layer_sizes(value: Any) -> list[int]:
    """Return the units of each hidden layer.

    Parameters
    ----------
    value : int, array-like of int or str
        One layer's units, those of each layer, or those of each joined by '-'
        in a string, as tables and command lines hold it. ``()``, ``''`` and
        ``'()'`` are no hidden layers.

    Returns
    -------
    list of int
        Of shape (n_hidden_layers,), each >= 1.

    Raises
    ------
    ValueError
        If a string cannot be read, or a size is not an integer >= 1.

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
    whole = all(isinstance(s, Integral) and not isinstance(s, bool) for s in sizes)
    if not whole or any(size <= 0 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be {'> 0' if whole else 'integers'}, got {sizes}. Give "
            "one integer >= 1 for each hidden layer, for example hidden_layer_sizes=(100, 50)."
        )
    return [int(size) for size in sizes]  # NumPy's small integers would wrap around


def _read(text: str) -> list[Any]:
    if text.strip() in ("", "()"):
        return []
    parts = [part.strip() for part in text.split("-")]
    # int() takes more than we do: signs, underscores, digits of other scripts.
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise ValueError(
            f"hidden_layer_sizes={text!r} must be one integer >= 1 for each hidden layer, joined "
            "by '-', for example '100-50', or '' for no hidden layers."
        )
    return [int(part) for part in parts]


@dataclass(frozen=True)
class HiddenLayerSizes:
    """A distribution of ``hidden_layer_sizes``, for scikit-learn's randomised searches.

    The depth is uniform. The width of the first layer is log-uniform: w is
    drawn with probability ``log((w + 1) / w) / log((high + 1) / low)``, so that
    16 to 32 units are about as likely as 256 to 512.

    Parameters
    ----------
    width : tuple of int, default=(16, 512)
        Least and greatest units of the first layer, >= 1, both included.
    depth : tuple of int, default=(1, 3)
        Least and greatest number of hidden layers, >= 0, both included.
    shape : {'constant', 'funnel'}, default='constant'
        Whether all layers are as wide as the first, or each half as wide as the
        one before, but no narrower than ``width[0]``.

    Raises
    ------
    ValueError
        If a range is empty or out of bounds, or the shape is unknown.

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
            given = getattr(self, name)
            bounds = tuple(given) if isinstance(given, tuple | list) else ()
            whole = len(bounds) == 2 and all(isinstance(v, Integral) for v in bounds)
            if not whole or not least <= bounds[0] <= bounds[1]:
                raise ValueError(
                    f"{name}={given!r} must be two integers (low, high), {least} <= low <= high."
                )
        if self.shape not in ("constant", "funnel"):
            raise ValueError(f"shape={self.shape!r} must be 'constant' or 'funnel'.")

    def rvs(self, size: int | None = None, random_state: Any = None) -> Any:
        """Draw sizes.

        Parameters
        ----------
        size : int, default=None
            How many; None: one, not in a list.
        random_state : int, RandomState instance or None, default=None
            Seed, or source of random numbers.

        Returns
        -------
        tuple of int, or list of tuple of int
            Units of each hidden layer.
        """
        random = check_random_state(random_state)
        if size is None:
            return self._draw(random)
        return [self._draw(random) for _ in range(size)]

    def suggest(self, trial: Any, name: str = "hidden") -> tuple[int, ...]:
        """Ask an optuna trial for sizes.

        Parameters
        ----------
        trial : optuna.trial.Trial
            Asked for the integers ``{name}_depth`` and ``{name}_width``.
        name : str, default='hidden'
            What their names begin with.

        Returns
        -------
        tuple of int
            Units of each hidden layer.
        """
        depth = trial.suggest_int(f"{name}_depth", *self.depth)
        return self._layers(trial.suggest_int(f"{name}_width", *self.width, log=True), depth)

    def _draw(self, random: Any) -> tuple[int, ...]:
        low, high = self.width
        depth = random.randint(self.depth[0], self.depth[1] + 1)
        width = int(exp(random.uniform(log(low), log(high + 1))))
        return self._layers(min(max(width, low), high), depth)  # exp(log(low)) may round down

    def _layers(self, width: int, depth: int) -> tuple[int, ...]:
        if self.shape == "constant":
            return (width,) * depth
        return tuple(max(width >> l, self.width[0]) for l in range(depth))
