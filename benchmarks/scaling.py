"""How the time of an epoch grows, sknet beside scikit-learn: no cliff anywhere.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/scaling.py
    python benchmarks/scaling.py --only batch width --output scaling.png
    python benchmarks/scaling.py --full          # up to a million rows
    python benchmarks/scaling.py --update        # figures, picture and page of this processor
    python benchmarks/scaling.py --redraw        # the same for all pages, measuring nothing

One of rows, inputs, width, depth and batch varies, the others stay at 5000
rows, 64 inputs, one hidden layer of 100, batches of 200. One thread each.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _pages import ROOT, beside, page_here, read_block, write_block
from _timing import (
    Table,
    machine,
    one_thread,
    print_header,
    seconds,
    time_pairs,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Reference

from sknet import MLPClassifier

BLOCK = "scaling"
ALTERNATIVE = "Milliseconds an epoch of scikit-learn and of sknet, along five axes"
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


class Measured(NamedTuple):
    """Milliseconds of an epoch at one point."""

    point: Point
    dtype: str
    reference: float
    candidate: float

    @property
    def ratio(self) -> float:
        """How many times as fast sknet is."""
        return self.reference / self.candidate


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


def write(measured: list[Measured], conditions: str, path: Path) -> None:
    """Keep the figures, so that they can be drawn again."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {conditions}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*Point._fields, *Measured._fields[1:]])
        for point, dtype, *times in measured:
            writer.writerow([*point, dtype, *(f"{time:.4g}" for time in times)])


def read(path: Path) -> tuple[list[Measured], str]:
    """Return what `write` has kept."""
    conditions, _, *lines = path.read_text(encoding="utf-8").splitlines()
    measured = []
    for varied, *values in csv.reader(lines):
        sizes, (dtype, reference, candidate) = map(int, values[:-3]), values[-3:]
        measured.append(Measured(Point(varied, *sizes), dtype, float(reference), float(candidate)))
    return measured, conditions.removeprefix("# ")


def sentence(measured: list[Measured]) -> str:
    """Return where sknet is slower, and from where to where the ratio goes."""
    least, *_, most = sorted(measured, key=lambda m: m.ratio)
    slower = [f"{m.point.value} ({m.point.varied}, {m.dtype})" for m in measured if m.ratio < 1]
    return (
        f"sknet is slower at {', '.join(slower) or 'no point'}. It is between {least.ratio:.1f} "
        f"times as fast ({least.point.varied}: {least.point.value}) and {most.ratio:.1f} times "
        f"({most.point.varied}: {most.point.value})."
    )


def plot(measured: list[Measured], output: Path) -> None:
    """Draw ms per epoch over each axis on logarithmic scales, and the ratio at both ends."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    axes = list(dict.fromkeys(m.point.varied for m in measured))
    dtypes = list(dict.fromkeys(m.dtype for m in measured))
    rows = -(-len(axes) // 3)
    figure = Figure(figsize=(9, 0.6 + 2.7 * rows), layout="constrained")
    places = figure.subplots(rows, min(3, len(axes)), sharey=True, squeeze=False).ravel()
    for place, axis in zip(places, axes, strict=False):
        for dtype, line in zip(dtypes, ("-", "--"), strict=False):
            chosen = [m for m in measured if m.point.varied == axis and m.dtype == dtype]
            values = [m.point.value for m in chosen]
            for name, colour in (("scikit-learn", "#d55e00"), ("sknet", "#0072b2")):
                times = [m.reference if name == "scikit-learn" else m.candidate for m in chosen]
                label = f"{name}, {dtype}" if len(dtypes) > 1 else name
                place.loglog(values, times, line, color=colour, marker="o", markersize=3.5,
                             label=label)  # fmt: skip
            for m in (chosen[0], chosen[-1]):
                times_as_fast = f"{m.ratio:.1f}\N{MULTIPLICATION SIGN}"
                place.annotate(times_as_fast, (m.point.value, m.reference), (0, 6), ha="center",
                               textcoords="offset points", fontsize=8.5, color="#555")  # fmt: skip
        place.set_xlabel(axis)
        # Every other value has a label where there are many, the last one among them.
        place.xaxis.set_major_locator(FixedLocator(values[::-1][:: 1 + len(values) // 5]))
        place.xaxis.set_minor_locator(NullLocator())
        place.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        place.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        place.margins(x=0.12, y=0.12)
        place.grid(alpha=0.3)
        place.spines[["top", "right"]].set_visible(False)
    for place in places[:: min(3, len(axes))]:
        place.set_ylabel("ms per epoch")
    for place in places[len(axes) :]:
        place.set_axis_off()
    handles, labels = places[0].get_legend_handles_labels()
    if len(places) > len(axes):
        places[-1].legend(handles, labels, loc="center", frameon=False)
    else:
        places[0].legend(handles, labels, fontsize="small")
    figure.savefig(output, dpi=150)


def update(measured: list[Measured], conditions: str, page: Path) -> None:
    """Write figures, picture and sentence of a page."""
    picture = beside(page, "scaling.png")
    image = f"![{ALTERNATIVE}]({picture.name})"
    write(measured, conditions, beside(page, "scaling.csv"))
    plot(measured, picture)
    write_block(page, BLOCK, sentence(measured), image, conditions)


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
    parser.add_argument(
        "--update",
        action="store_true",
        help="rewrite figures, picture and page of this processor in docs/performance",
    )
    parser.add_argument(
        "--redraw", action="store_true", help="do so for all pages from the figures kept there"
    )
    options = parser.parse_args()
    if options.update:
        read_block(page_here(), BLOCK)  # an unfit page is to be known before measuring, not after
    return options


def measure_all(options: argparse.Namespace) -> list[Measured]:
    """Print the table, and return what is in it."""
    measured = []
    table = Table(COLUMNS)
    for dtype in options.dtype:
        for point in points(options.only, options.full):
            reference, candidate, ratio = measure(point, dtype, options.repeats)
            measured.append(Measured(point, dtype, reference, candidate))
            table.add(
                [
                    point.varied,
                    str(point.value),
                    dtype,
                    f"{reference:.4g}",
                    f"{candidate:.4g}",
                    ratio,
                    f"{1e6 * candidate / (point.rows * point.weights):.4f}",
                    "SLOWER" if candidate > reference else "",
                ]
            )
    return measured


def main() -> None:
    """Print the table, and draw the figure."""
    options = parse()
    if options.redraw:
        for figures in sorted((ROOT / "docs" / "performance").glob("*-scaling.csv")):
            page = figures.with_name(figures.name.replace("-scaling.csv", ".md"))
            update(*read(figures), page)
        return
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are given
    with one_thread():
        print_header(options.repeats)
        measured = measure_all(options)
        conditions = (
            f"Measured on {datetime.now(UTC):%Y-%m-%d}, {options.repeats} pairs or more at each "
            f"point: {machine()}."
        )
    print(f"\n{sentence(measured)}")
    if options.output:
        plot(measured, options.output)
        print(f"figure: {options.output}")
    if options.update:
        update(measured, conditions, page_here())


if __name__ == "__main__":
    main()
