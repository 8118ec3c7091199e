"""A fitted network as a table in plain text: its layers, and how many parameters they have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from sklearn.utils.validation import check_is_fitted

from sknet.losses import Loss

COLUMN_GAP = "  "
TITLES = ("Layer", "Shape", "Activation", "Parameters")


class Summary(str):
    """Text that consoles and notebooks show line by line, with or without ``print``."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text itself."""
        return str(self)


class NetworkSummary:
    """Gives an estimator the method `summary`."""

    def summary(self) -> Summary:
        """Return the layers of the fitted network as a table in plain text.

        Each layer has a row with its name, the shape of its weights (inputs x units),
        its activation and its number of parameters, which are weights and biases.
        Below the table are the total, the dtype and the size of all parameters, the
        loss and the solver.

        Returns
        -------
        str
            One string of several lines, for ``print`` or for a log. Consoles and
            notebooks show it line by line without ``print``, too.

        Raises
        ------
        NotFittedError
            If the network has no weights yet.

        Examples
        --------
        >>> from sknet import MLPRegressor
        >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0.0, 1.0, 1.0]
        >>> net = MLPRegressor(hidden_layer_sizes=(50, 20), solver="lbfgs").fit(X, y)
        >>> print(net.summary())
        MLPRegressor
        -----------------------------------------
        Layer     Shape    Activation  Parameters
        -----------------------------------------
        hidden 1  2 x 50   relu               150
        hidden 2  50 x 20  relu             1,020
        output    20 x 1   identity            21
        -----------------------------------------
        Parameters: 1,191 (9.3 KiB as float64)
        Loss: squared_error
        Solver: lbfgs
        """
        check_is_fitted(self, "coefs_")
        model: Any = self
        spec = model._spec()
        activations = [*spec.activations, spec.out_activation]
        layers = zip(pairwise(spec.units), activations, strict=True)
        rows = [
            (f"hidden {i}", f"{fan_in:,} x {fan_out:,}", name, f"{(fan_in + 1) * fan_out:,}")
            for i, ((fan_in, fan_out), name) in enumerate(layers, start=1)
        ]
        rows[-1] = ("output", *rows[-1][1:])
        n, dtype = spec.params.size, spec.params.dtype
        below = (
            f"Parameters: {n:,} ({in_bytes(spec.params.nbytes)} as {dtype})",
            f"Loss: {Loss.get(spec.loss).public}",
            f"Solver: {model.solver}",
        )
        table = aligned([TITLES, *rows])
        rule = "-" * max(map(len, table))
        title = type(self).__name__
        return Summary("\n".join([title, rule, table[0], rule, *table[1:], rule, *below]))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: columns of texts flush left, the last one flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        COLUMN_GAP.join(
            [
                *(cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)),
                row[-1].rjust(widths[-1]),
            ]
        )
        for row in rows
    ]


def in_bytes(n: int) -> str:
    """Return a number of bytes in the largest unit of which there is one.

    Examples
    --------
    >>> in_bytes(84), in_bytes(5000), in_bytes(3 * 2**20)
    ('84 bytes', '4.9 KiB', '3.0 MiB')
    """
    size = float(n)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{n} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
