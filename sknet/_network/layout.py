"""The positions of each layer's weights and biases in one flat vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise, starmap

import numpy as np


class Layout:
    """The positions of all parameters of a network. All weights come before all biases.

    Parameters
    ----------
    units : sequence of int
        Widths: features, hidden layers, outputs.
    """

    def __init__(self, units: Sequence[int]) -> None:
        self.units = tuple(int(u) for u in units)
        self.shapes = list(pairwise(self.units))
        self.n_weights = sum(fan_in * fan_out for fan_in, fan_out in self.shapes)
        self.n_parameters = self.n_weights + sum(self.units[1:])
        sizes = [math.prod(shape) for shape in self.shapes] + list(self.units[1:])
        self._places = list(starmap(slice, pairwise(accumulate(sizes, initial=0))))

    def split(self, params: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return views of a flat vector: all W and all b, layer by layer."""
        parts = [params[place] for place in self._places]
        n = len(self.shapes)
        coefs = [W.reshape(shape) for W, shape in zip(parts[:n], self.shapes, strict=True)]
        return coefs, parts[n:]

    def join(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the flat vector of weights and biases. It is a copy unless they are its views.

        Raises
        ------
        ValueError
            If an array does not have the shape of its layer.
        """
        self._check("coefs_", coefs, self.shapes)
        self._check("intercepts_", intercepts, [(u,) for u in self.units[1:]])
        arrays = [np.asarray(v) for v in (*coefs, *intercepts)]
        base = arrays[0].base
        if isinstance(base, np.ndarray) and base.shape == (self.n_parameters,):
            views = [v for part in self.split(base) for v in part]
            same = all(
                v.__array_interface__ == a.__array_interface__
                for v, a in zip(views, arrays, strict=True)
            )
            if same and base.flags.c_contiguous and base.flags.writeable:
                return base
        return np.concatenate([v.ravel() for v in arrays])

    @staticmethod
    def _check(
        name: str, arrays: Sequence[np.ndarray], expected: Sequence[tuple[int, ...]]
    ) -> None:
        if len(arrays) != len(expected):
            raise ValueError(
                f"{name} has {len(arrays)} arrays, but the network has {len(expected)} layers. Set "
                "one array for each layer, or call fit again."
            )
        for i, (array, shape) in enumerate(zip(arrays, expected, strict=True)):
            if np.shape(array) != shape:
                raise ValueError(
                    f"{name}[{i}] has shape {np.shape(array)}, but its layer needs {shape}. Set "
                    "weights and biases of matching shapes, or call fit again."
                )
