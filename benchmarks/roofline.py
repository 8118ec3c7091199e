"""What bounds each problem: operations per byte against operations per second, below their roofs.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/roofline.py
    python benchmarks/roofline.py --only digits --repeats 2
    python benchmarks/roofline.py --update     # figures, pictures and tables of this processor
    python benchmarks/roofline.py --redraw     # the same for all pages, measuring nothing

The problems are those of `peers.py`, trained by sknet with one thread. Operations are those
of the matrix products. Bytes are those that a step has to move if nothing stays in the cache
from one step to the next: the minibatch once, and eight numbers for each parameter, since the
parameter, its gradient and the two moments of Adam are each read and written. Activations,
targets and the order of the rows are not counted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _bandwidth import bandwidths, cache_sizes
from _pages import ROOT, beside, page_here, read_block, write_block
from _peak import peak
from _problems import PROBLEMS, Problem
from _processes import MissingDataError, save
from _roofs import Point, draw
from _steps import ALL_KINDS, OUTSIDE, measure
from _timing import Table, as_markdown, machine, one_thread, warn_of_environment

BLOCK = "roofline"
ALTERNATIVE = (
    "Roofline plot: operations per second of each task over its operations per byte, below the "
    "peak of the core and the bandwidths of L2, L3 and memory"
)
LEGEND = (
    "Share of the roof: of what the peak and the level of the working set allow. Products at: "
    "operations of the products alone, over the peak. The other columns are shares of the time of "
    "a step. Outside: what a training takes beyond all calls of kernels."
)


class Measured(NamedTuple):
    """A task: what a step of it does, and how long that takes.

    Attributes
    ----------
    name : str
    dtype : str
    operations, bytes, working_set : int
        Of one step; the last two in bytes.
    seconds : float
        Of one step.
    kinds : dict of str to float
        Seconds of each kind of work in one step.
    """

    name: str
    dtype: str
    operations: int
    bytes: int
    working_set: int
    seconds: float
    kinds: dict[str, float]

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.operations / self.bytes

    @property
    def gflops(self) -> float:
        """What is reached."""
        return self.operations / self.seconds / 1e9

    @property
    def gflops_of_products(self) -> float:
        """What is reached while products are computed."""
        return self.operations / self.kinds["products"] / 1e9

    def share(self, kind: str) -> float:
        """Return the share of a kind of work in the time of a step."""
        return self.kinds.get(kind, 0) / sum(self.kinds.values())


class Roofs(NamedTuple):
    """What a core can do.

    Attributes
    ----------
    peaks : dict of str to float
        GFLOP/s by dtype.
    bandwidths : dict of str to float
        GB/s of L2, L3 and memory.
    caches : dict of str to int
        Bytes of L2 and L3.
    """

    peaks: dict[str, float]
    bandwidths: dict[str, float]
    caches: dict[str, int]

    def level(self, task: Measured) -> str:
        """Return the smallest cache that holds the working set."""
        fitting = [level for level, size in self.caches.items() if task.working_set <= size]
        return fitting[0] if fitting else "memory"

    def roof(self, task: Measured) -> tuple[float, str]:
        """Return the GFLOP/s that cannot be passed, and the name of that limit."""
        level = self.level(task)
        by_level = self.bandwidths[level] * task.intensity
        most = self.peaks[task.dtype]
        return (by_level, level) if by_level < most else (most, "the peak")


def work(problem: Problem) -> tuple[int, int, int]:
    """Return operations, bytes and working set of a step of a whole minibatch."""
    size = np.dtype(problem.dtype).itemsize
    n_params = sum((a + 1) * b for a, b in pairwise(problem.units))
    moved = size * (problem.batch * problem.units[0] + 8 * n_params)
    # Parameters, gradient, two moments; activations and their gradients.
    working_set = size * (4 * n_params + 2 * problem.batch * sum(problem.units[1:]))
    return problem.flops(problem.batch), moved, working_set


def read(path: Path) -> tuple[Roofs, list[Measured], str]:
    """Return what `update` has kept."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    return Roofs(*kept["roofs"]), [Measured(*task) for task in kept["tasks"]], kept["conditions"]


def tables(roofs: Roofs, tasks: list[Measured]) -> list[str]:
    """Return the two tables: where each task lies, and where its time goes."""
    places, times = [], []
    kinds = [kind for kind in ALL_KINDS[1:] if any(kind in task.kinds for task in tasks)]
    for task in tasks:
        most, limit = roofs.roof(task)
        places.append(
            [
                task.name,
                f"{task.intensity:.1f}",
                f"{task.working_set / 2**20:.2f}",
                roofs.level(task),
                f"{most:.0f} ({limit})",
                f"{task.gflops:.1f}",
                f"{task.gflops / most:.0%}",
            ]
        )
        shares = [task.share(kind) for kind in ("products", *kinds, OUTSIDE)]
        times.append(
            [
                task.name,
                f"{1e6 * task.seconds:.4g}",
                f"{task.gflops_of_products / roofs.peaks[task.dtype]:.0%}",
                *(f"{share:.0%}" for share in shares),
            ]
        )
    first = ["task", "operations per byte", "working set, MB", "lies in", "roof, GFLOP/s",
             "reached, GFLOP/s", "share of the roof"]  # fmt: skip
    second = ["task", "us per step", "products at", "products", *kinds, OUTSIDE]
    return [as_markdown(first, places), as_markdown(second, times)]


def sentence(roofs: Roofs, task: Measured) -> str:
    """Return what bounds a task, in plain words."""
    efficiency = task.gflops_of_products / roofs.peaks[task.dtype]
    by_size = sorted(task.kinds, key=task.share, reverse=True)
    rest = [f"{kind} ({task.share(kind):.0%})" for kind in by_size if kind != "products"]
    _, limit = roofs.roof(task)
    text = (
        f"- **{task.name}**: {task.share('products'):.0%} of a step are products, "
        f"which run at {efficiency:.0%} of the peak. Next come {' and '.join(rest[:2])}."
    )
    if limit != "the peak":
        text += f" Its roof is the bandwidth of {limit}, so moving data is what bounds it."
    return text


def update(roofs: Roofs, tasks: list[Measured], conditions: str, page: Path) -> None:
    """Write figures, pictures and tables of a page."""
    figures = {"conditions": conditions, "roofs": roofs, "tasks": tasks}
    text = json.dumps(figures, indent=1)
    beside(page, "roofline.json").write_text(f"{text}\n", encoding="utf-8")
    for theme in ("light", "dark"):
        points = [
            Point(t.dtype, t.name.split(", ")[0], t.intensity, t.gflops, t.gflops_of_products)
            for t in tasks
        ]
        picture = draw(roofs.peaks, roofs.bandwidths, points, conditions, theme)
        beside(page, f"roofline-{theme}.svg").write_bytes(picture)
    images = [
        f"```{{image}} {beside(page, f'roofline-{theme}.svg').name}\n:class: only-{theme}\n"
        f":alt: {ALTERNATIVE}\n```"
        for theme in ("light", "dark")
    ]
    sentences = "\n".join(sentence(roofs, task) for task in tasks)
    write_block(page, BLOCK, *images, *tables(roofs, tasks), LEGEND, sentences, conditions)


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, or the folder it is in")
    parser.add_argument("--rows", type=int, default=12000, help="at most (default 12000)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="problems with such a word")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each kind (default 5)")
    parser.add_argument(
        "--update",
        action="store_true",
        help="rewrite figures, pictures and page of this processor in docs/performance",
    )
    parser.add_argument(
        "--redraw", action="store_true", help="do so for all pages from the figures kept there"
    )
    options = parser.parse_args()
    if options.update and options.only:
        parser.error("--update writes all tasks: leave out --only")
    if options.update:
        read_block(page_here(), BLOCK)  # an unfit page is to be known before measuring, not after
    return options


def measure_all(options: argparse.Namespace) -> tuple[Roofs, list[Measured]]:
    """Print what is measured, and return it."""
    roofs = Roofs(
        {dtype: peak(dtype) for dtype in ("float32", "float64")}, bandwidths(), cache_sizes()
    )
    listed = [f"{dtype} {value:.0f} GFLOP/s" for dtype, value in roofs.peaks.items()]
    listed += [f"{level} {value:.0f} GB/s" for level, value in roofs.bandwidths.items()]
    print(f"{', '.join(listed)}\n", flush=True)
    tasks = []
    table = Table({"task": 44, "us per step": 9, "operations per byte": 6, "GFLOP/s": 8})
    words = options.only or [""]
    with tempfile.TemporaryDirectory() as folder:
        for problem in (p for p in PROBLEMS if any(word in p.name for word in words)):
            try:
                file = save(problem, folder, options.data, options.rows)
            except MissingDataError as error:
                print(f"{error}\n{problem.name} is left out.")
                continue
            with np.load(file) as arrays:
                step = measure(problem, arrays["X"], arrays["y"], options.repeats)
            tasks.append(
                Measured(problem.name, problem.dtype, *work(problem), step.seconds, step.by_kind())
            )
            task = tasks[-1]
            table.add(
                [
                    task.name,
                    f"{1e6 * task.seconds:.4g}",
                    f"{task.intensity:.1f}",
                    f"{task.gflops:.1f}",
                ]
            )
    return roofs, tasks


def main() -> None:
    """Print where each task lies, and put it where it is wanted."""
    options = parse()
    if options.redraw:
        for figures in sorted((ROOT / "docs" / "performance").glob("*-roofline.json")):
            page = figures.with_name(figures.name.replace("-roofline.json", ".md"))
            update(*read(figures), page)
        return
    warn_of_environment()
    with one_thread():
        conditions = (
            f"Measured on {datetime.now(UTC):%Y-%m-%d}, the least of {options.repeats} fits: "
            f"{machine()}."
        )
        print(conditions, flush=True)
        roofs, tasks = measure_all(options)
    print("", *tables(roofs, tasks), *(sentence(roofs, task) for task in tasks), sep="\n\n")
    if options.update:
        update(roofs, tasks, conditions, page_here())


if __name__ == "__main__":
    main()
