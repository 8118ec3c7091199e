"""How the time of an epoch grows, sknet beside scikit-learn: no cliff anywhere.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/scaling.py
    python benchmarks/scaling.py --only batch width --output scaling.png
    python benchmarks/scaling.py --full          # up to a million rows

One of rows, inputs, width, depth and batch varies, the others stay at 5000
rows, 64 inputs, one hidden layer of 100, batches of 200. One thread each.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _timing import Table, one_thread, print_header, seconds, time_pairs
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Reference

from sknet import MLPClassifier

CLASSES = 10
MOST_EPOCHS = 20
COLUMNS = {
    "varied": 7, "value": 7, "dtype": 7, "scikit-learn, ms per epoch": 9, "sknet, ms": 9,
    "ratio": 19, "ns per row and weight": 8, "": 6,
}  # fmt: skip


class Point(NamedTuple):
    """A net and its data; `varied` names the field that is not as usual."""

    varied: str
    rows: int = 5000
    inputs: int = 64
    width: int = 100
    depth: int = 1
    batch: int = 200

    @property
    def value(self) -> int:
        """The value that is varied."""
        return getattr(self, self.varied)

    @property
    def weights(self) -> int:
        """How many weights the net has."""
        inner = self.width * self.width * (self.depth - 1)
        return self.inputs * self.width + inner + self.width * CLASSES


VALUES = {
    "rows": (1000, 10_000, 100_000),
    "inputs": (4, 16, 64, 256, 784, 2048),
    "width": (4, 16, 64, 256, 1024, 2048),
    "depth": (1, 2, 4, 8),
    "batch": (1, 4, 16, 64, 256, 1024, 4096),
}
FULL_ROWS = (*VALUES["rows"], 1_000_000)


def points(axes: list[str], full: bool) -> Iterator[Point]:
    """Yield the points of all axes."""
    for axis in axes:
        for value in FULL_ROWS if full and axis == "rows" else VALUES[axis]:
            yield Point(axis)._replace(**{axis: value})


def data(point: Point, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return random rows, their classes a linear function of them."""
    random = np.random.default_rng(0)
    X = random.standard_normal((point.rows, point.inputs), dtype=np.float32).astype(dtype)
    return X, (X @ random.normal(size=(point.inputs, CLASSES)).astype(dtype)).argmax(axis=1)


def measure(point: Point, dtype: str, repeats: int) -> tuple[float, float, str]:
    """Return ms per epoch of scikit-learn and of sknet, and the ratio with its spread."""
    X, y = data(point, dtype)

    def fit(library: Any, epochs: int) -> Any:
        return library(
            hidden_layer_sizes=(point.width,) * point.depth,
            batch_size=point.batch,
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=0,
        ).fit(X, y)

    fit(MLPClassifier, 1)  # compiles
    once, _ = seconds(lambda: fit(Reference, 1))
    epochs = int(np.clip(0.2 / once, 1, MOST_EPOCHS))
    pairs = time_pairs(lambda: fit(Reference, epochs), lambda: fit(MLPClassifier, epochs), repeats)
    reference, candidate = (1000 * taken / epochs for taken in pairs.medians())
    return reference, candidate, pairs.ratio()


def plot(measured: list[tuple[Point, str, float, float]], output: Path) -> None:
    """Draw ms per epoch over each axis, on logarithmic scales."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    axes = list(dict.fromkeys(point.varied for point, *_ in measured))
    figure = Figure(figsize=(3.2 * len(axes), 3.2), layout="constrained")
    places = figure.subplots(1, len(axes), squeeze=False)[0]
    for place, axis in zip(places, axes, strict=True):
        for dtype, line in (("float64", "-"), ("float32", "--")):
            chosen = [m for m in measured if m[0].varied == axis and m[1] == dtype]
            if chosen:
                values = [point.value for point, *_ in chosen]
                for k, (name, colour) in enumerate((("scikit-learn", "C1"), ("sknet", "C0"))):
                    times = [m[2 + k] for m in chosen]
                    place.loglog(values, times, line, color=colour, marker=".",
                                 label=f"{name}, {dtype}")  # fmt: skip
        place.set_xlabel(axis)
        place.grid(alpha=0.3)
    places[0].set_ylabel("ms per epoch")
    places[0].legend(fontsize="small")
    figure.savefig(output, dpi=120)


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=VALUES, default=list(VALUES), metavar="AXIS")
    parser.add_argument("--dtype", nargs="+", choices=["float64", "float32"], default=["float32"])
    parser.add_argument("--full", action="store_true", help="up to a million rows")
    parser.add_argument("--repeats", type=int, default=3, help="pairs at least (default 3)")
    parser.add_argument("--output", type=Path, metavar="PNG", help="draw a figure")
    return parser.parse_args()


def main() -> None:
    """Print the table, and draw the figure."""
    options = parse()
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are given
    measured, slower = [], []
    with one_thread():
        print_header(options.repeats)
        table = Table(COLUMNS)
        for dtype in options.dtype:
            for point in points(options.only, options.full):
                reference, candidate, ratio = measure(point, dtype, options.repeats)
                measured.append((point, dtype, reference, candidate))
                is_slower = candidate > reference
                if is_slower:
                    slower.append(f"{point.varied} {point.value} ({dtype})")
                table.add(
                    [
                        point.varied,
                        str(point.value),
                        dtype,
                        f"{reference:.4g}",
                        f"{candidate:.4g}",
                        ratio,
                        f"{1e6 * candidate / (point.rows * point.weights):.4f}",
                        "SLOWER" if is_slower else "",
                    ]
                )
    print(f"\nsknet is slower at: {', '.join(slower) or 'no point'}")
    if options.output:
        plot(measured, options.output)
        print(f"figure: {options.output}")


if __name__ == "__main__":
    main()
