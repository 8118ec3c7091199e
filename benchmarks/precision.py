"""The largest errors of activations, losses, links and sums, beside those that are stated.

Prints the tables of docs/reliability.md::

    $ python benchmarks/precision.py
    $ SKNET_PRECISION_DENSITY=50 python benchmarks/precision.py

It measures no speed. The points, the exact results of mpmath and the bounds are those of
tests/precision.py, the sums those of tests/training/test_sums.py. The variable multiplies the
number of random points.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _timing import as_markdown

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "training")]

import precision  # noqa: E402
from test_sums import errors_of_a_minibatch  # noqa: E402

from sknet.activations import Activation  # noqa: E402

DTYPES = (np.float32, np.float64)


def points(dtype: Any) -> Iterator[tuple[tuple[str, str], precision.Point]]:
    """Yield all points of all functions."""
    for name in Activation.table:
        yield from precision.activation_points(name, dtype)
    for case in precision.loss_cases():
        yield from precision.loss_points(*case, dtype)


def parts() -> str:
    """Return the table of activations, losses and links."""
    largest = {key: dict.fromkeys(DTYPES, 0.0) for key in precision.STATED}
    numbers = dict.fromkeys(DTYPES, 0)
    for dtype in DTYPES:
        for key, point in points(dtype):
            largest[key][dtype] = max(largest[key][dtype], point.error(dtype))
            numbers[dtype] += 1
    rows = []
    for key, stated in precision.STATED.items():
        found = [f"{largest[key][dtype]:.2g}" for dtype in DTYPES]
        rows.append([*key, stated.scale, f"{stated.bound:g}", *found])
    titles = ["function", "result", "unit: machine epsilon x", "stated", "float32", "float64"]
    n_points = ", ".join(f"{n:,} results in {dtype.__name__}" for dtype, n in numbers.items())
    return f"{as_markdown(titles, rows)}\n\n{n_points}."


def sums() -> str:
    """Return the table of sums over a million rows."""
    rows = []
    for layout in ("dense", "sparse"):
        results = [errors_of_a_minibatch(dtype, layout == "sparse") for dtype in DTYPES]
        for name in results[0]:
            cells = [f"{x:.1e}" for result in results for x in reversed(result[name])]
            rows.append([layout, name, *cells])
    titles = ["data", "sum", "stated, float32", "float32", "stated, float64", "float64"]
    return as_markdown(titles, rows)


if __name__ == "__main__":
    print(parts(), sums(), sep="\n\n")
