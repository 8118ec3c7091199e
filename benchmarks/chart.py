"""The bar chart of the README: other libraries' times relative to sknet's, from the page's tables.

Usage::

    python benchmarks/chart.py            # draws docs/peers-light.svg and docs/peers-dark.svg
    python benchmarks/chart.py --check    # exits with 1 if these two show anything else

Nothing is measured here. The figures are those that ``peers.py`` has written
into ``docs/performance.md``: the tables of one thread.
"""

from __future__ import annotations

import argparse
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

ROOT = Path(__file__).resolve().parents[1]
OURS = "sknet"
# Each library's colour on a light and on a dark page. Dark and light ones take turns, so that
# neighbours differ without any hue, and the bars stand in the order of the legend.
COLOURS = {
    OURS: ("#0072b2", "#56b4e9"),
    "JAX": ("#f0b429", "#ffd166"),
    "PyTorch": ("#a63a0a", "#d9622b"),
    "scikit-learn": ("#a4adb6", "#c9d1d9"),
    "Keras": ("#00664b", "#1f9e7a"),
    "skorch": ("#dc9fc2", "#f0b3d3"),
}
INK = {"light": ("#1f2328", "#59636e", "#d1d9e0"), "dark": ("#f0f6fc", "#9198a1", "#3d444d")}
STYLE = {
    "font.family": ["sans-serif"],
    "font.size": 10,
    "svg.fonttype": "none",  # text remains text
    "svg.hashsalt": "sknet",  # the same names of elements in every run
}
BARS_WIDTH = 0.86  # of the distance between two tasks


class Task(NamedTuple):
    """One table: what was trained, and each library's time relative to sknet's."""

    name: str
    ratios: dict[str, float]

    @property
    def label(self) -> str:
        """The name in three short lines."""
        data, units, batch, dtype = re.fullmatch(
            r"(\S+) (\S+), (batch \d+), (\w+)", self.name
        ).groups()
        return f"{data}, {dtype}\n{units}\n{batch}"


def read(page: str) -> tuple[list[Task], str]:
    """Return the tasks of one thread, and the sentence that names date and machine.

    PyTorch has two lines in each table, with and without ``torch.compile``.
    The chart shows the faster one.
    """
    block = re.search(r"<!-- peers: begin -->(.*)<!-- peers: end -->", page, re.DOTALL)[1]
    tasks = []
    for name, table in re.findall(
        r"^\*\*([^*\n]+), 1 thread\*\*(.*?)(?=^\*\*|\Z)", block, re.M | re.S
    ):
        ratios: dict[str, float] = {}
        for library, ratio in re.findall(r"^\| ([\w-]+) [^|]*\|[^|]*\| ([\d.]+)", table, re.M):
            if library in COLOURS:
                ratios[library] = min(float(ratio), ratios.get(library, float("inf")))
        tasks.append(Task(name, {key: ratios[key] for key in COLOURS if key in ratios}))
    return tasks, re.search(r"^Measured on .*$", block, re.MULTILINE)[0]


def caption(measured: str) -> str:
    """Return what was measured, where and when, in two lines."""
    date = re.match(r"Measured on ([\d-]+)", measured)[1]
    machine = re.search(r": (.*?);", measured)[1]
    return (
        f"Medians of pairs run in turn, one thread, Adam, the same nets and batches. "
        f"PyTorch: eager or torch.compile, whichever is faster.\n{machine}, {date}."
    )


def draw_task(axes: Axes, position: int, task: Task, theme: str) -> None:
    """Draw the bars of one task, each with its value above it."""
    width = BARS_WIDTH / len(COLOURS)
    for k, (library, ratio) in enumerate(task.ratios.items()):
        x = position + (k - (len(COLOURS) - 1) / 2) * width
        colour = COLOURS[library][theme == "dark"]
        axes.bar(x, ratio, 0.9 * width, color=colour, label=library if position == 0 else None)
        text = "1" if library == OURS else f"{ratio:.1f}"
        axes.annotate(text, (x, ratio), (0, 2), textcoords="offset points", ha="center",
                      color=INK[theme][0], fontsize=8.5)  # fmt: skip


def draw(tasks: list[Task], measured: str, theme: str) -> bytes:
    """Return the chart as SVG, the same bytes in each run."""
    ink, faint, rule = INK[theme]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.9), layout="constrained")
        axes = figure.subplots()
        axes.set_facecolor("none")
        for position, task in enumerate(tasks):
            draw_task(axes, position, task, theme)
        axes.axhline(1, color=ink, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
        axes.set_xticks(range(len(tasks)), [task.label for task in tasks], color=ink)
        axes.set_xlim(-0.5, len(tasks) - 0.5)
        axes.set_ylim(0, 1.06 * max(max(task.ratios.values()) for task in tasks))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_title("Time of an epoch relative to sknet: shorter bars are faster", loc="left",
                       color=ink, fontsize=11, pad=24)  # fmt: skip
        axes.grid(axis="y", color=rule, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, colors=ink)
        axes.tick_params(axis="y", labelcolor=faint)
        axes.spines[:].set_visible(False)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.99), ncols=len(COLOURS),
                    frameon=False, labelcolor=ink, handlelength=1, handleheight=1,
                    columnspacing=1.4, borderaxespad=0)  # fmt: skip
        figure.supxlabel(caption(measured), x=0.01, ha="left", color=faint, fontsize=8)
        file = BytesIO()
        # The light chart has a background, for pages that show it in the dark as well.
        background = "white" if theme == "light" else "none"
        figure.savefig(file, format="svg", facecolor=background, metadata={"Date": None})
    return file.getvalue()


def shown(svg: bytes) -> list[str]:
    """Return all that the text of a chart says, in order."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def main() -> None:
    """Draw the two charts, or compare them with the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare, do not draw")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="the folder of the page")
    options = parser.parse_args()
    tasks, measured = read((options.docs / "performance.md").read_text(encoding="utf-8"))
    for theme in INK:
        path, svg = options.docs / f"peers-{theme}.svg", draw(tasks, measured, theme)
        if not options.check:
            path.write_bytes(svg)
            print(path)
        elif shown(path.read_bytes()) != shown(svg):
            sys.exit(f"{path} does not show what the page says: run benchmarks/chart.py")


if __name__ == "__main__":
    main()
