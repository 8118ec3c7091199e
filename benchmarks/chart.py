"""The bar chart of the README, and the overview of ``docs/performance.md``.

Usage::

    python benchmarks/chart.py            # docs/peers-light.svg, docs/peers-dark.svg, the overview
    python benchmarks/chart.py --check    # exits with 1 if these show anything else

Nothing is measured here. The figures are those that ``peers.py`` has written into the
pages of ``docs/performance``. The overview has a table for each of these pages. The chart
shows the page that was measured last, and of it five networks with one thread.
"""

from __future__ import annotations

import argparse
import re
import sys
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import matplotlib
from _pages import ROOT, read_block, write_block
from _timing import as_markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLOCK = "overview"
OURS = "sknet"
CHARTED = (
    "digits 64-100-10, batch 200, float64",
    "digits 64-100-10, batch 200, float32",
    "digits 64-128-64-10, batch 32, float32",
    "MNIST 784-128-10, batch 128, float32",
    "MNIST 784-1024-1024-10, batch 256, float32",
)
IN_OVERVIEW = ("scikit-learn", "PyTorch", "JAX")
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
    threads: str
    ratios: dict[str, float]
    share: str

    @property
    def label(self) -> str:
        """The name in three short lines."""
        data, units, batch, dtype = re.fullmatch(
            r"(\S+) (\S+), (batch \d+), (\w+)", self.name
        ).groups()
        return f"{data}, {dtype}\n{units}\n{batch}"


class Page(NamedTuple):
    """The tables of a processor, and the sentence that names date and machine."""

    path: Path
    tasks: list[Task]
    measured: str

    @property
    def date(self) -> str:
        """The day of the measurement, in digits from the year to the day."""
        return re.match(r"Measured on ([\d-]+)", self.measured)[1]


def read_table(name: str, threads: str, table: str) -> Task:
    """Return what a table says of the longest training, whose columns are the last ones.

    PyTorch has two lines, with and without ``torch.compile``. The faster one counts.
    """
    titles, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    column = max(k for k, text in enumerate(titles) if text.startswith("time relative to"))
    ratios: dict[str, float] = {}
    for cells in lines:
        library = cells[0].split()[0]
        if library in COLOURS:
            ratio = float(cells[column].split()[0])
            ratios[library] = min(ratio, ratios.get(library, float("inf")))
    in_order = {key: ratios[key] for key in COLOURS if key in ratios}
    return Task(name, threads, in_order, lines[0][titles.index("share of peak")])


def read(path: Path) -> Page | None:
    """Return the tables of a page; None if it has none."""
    block = read_block(path, "peers")
    parts = re.findall(r"^\*\*([^*\n]+), (\d+ threads?)\*\*(.*?)(?=^\*\*|\Z)", block, re.M | re.S)
    if not parts:
        return None
    return Page(
        path, [read_table(*part) for part in parts], re.findall("^Measured.*$", block, re.M)[0]
    )


def read_all(docs: Path) -> list[Page]:
    """Return all pages that have tables, the one measured last at the end."""
    paths = sorted((docs / "performance").glob("*.md"))
    with_blocks = [path for path in paths if "<!-- peers: begin -->" in path.read_text("utf-8")]
    return sorted(filter(None, map(read, with_blocks)), key=lambda page: page.date)


def overview(pages: list[Page]) -> list[str]:
    """Return a heading and a table for each page, by name."""
    parts = []
    for page in sorted(pages):
        name = page.path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        rows = [
            [f"{task.name}, {task.threads}",
             *(f"{task.ratios[key]:.2f}" if key in task.ratios else "" for key in IN_OVERVIEW),
             task.share]
            for task in page.tasks
        ]  # fmt: skip
        parts += [
            f"**[{name}](performance/{page.path.name})**, measured on {page.date}",
            as_markdown(["task", *IN_OVERVIEW, "sknet's share of the peak"], rows),
        ]
    return parts


def caption(page: Page) -> str:
    """Return what was measured, where and when, in two lines."""
    machine = re.search(r": (.*?);", page.measured)[1]
    return (
        f"Medians of pairs run in turn, one thread, Adam, the same nets and batches. "
        f"PyTorch: eager or torch.compile, whichever is faster.\n{machine}, {page.date}."
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


def draw(page: Page, theme: str) -> bytes:
    """Return the chart as SVG, the same bytes in each run."""
    ink, faint, rule = INK[theme]
    tasks = [task for task in page.tasks if task.name in CHARTED and task.threads == "1 thread"]
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
        figure.supxlabel(caption(page), x=0.01, ha="left", color=faint, fontsize=8)
        file = BytesIO()
        # The light chart has a background, for pages that show it in the dark as well.
        background = "white" if theme == "light" else "none"
        figure.savefig(file, format="svg", facecolor=background, metadata={"Date": None})
    return file.getvalue()


def shown(svg: bytes) -> list[str]:
    """Return all that the text of a chart says, in order."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def main() -> None:
    """Draw the charts and write the overview, or compare them with the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare, do not draw")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="the folder of the pages")
    options = parser.parse_args()
    pages = read_all(options.docs)
    page, parts = options.docs / "performance.md", overview(pages)
    if not options.check:
        write_block(page, BLOCK, *parts)
    elif read_block(page, BLOCK) != "\n\n".join(parts):
        sys.exit(f"{page} is not up to date: run benchmarks/chart.py")
    for theme in INK:
        path, svg = options.docs / f"peers-{theme}.svg", draw(pages[-1], theme)
        if not options.check:
            path.write_bytes(svg)
            print(path)
        elif shown(path.read_bytes()) != shown(svg):
            sys.exit(f"{path} does not show what the pages say: run benchmarks/chart.py")


if __name__ == "__main__":
    main()
