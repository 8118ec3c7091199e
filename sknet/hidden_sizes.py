"""How hidden layers' sizes may be written: as numbers, or as one string such as '100-50'."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np


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
