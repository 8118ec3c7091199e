"""The roofline plot, for light and dark pages, in the looks of the bar chart."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

import matplotlib
from chart import COLOURS, INK, OURS, STYLE
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

LEAST, MOST = 0.05, 100.0  # operations per byte
MARKERS = "oDs^vPX"


class Point(NamedTuple):
    """A task of the plot: GFLOP/s of a whole step, and of its products alone."""

    dtype: str
    net: str
    intensity: float
    gflops: float
    gflops_of_products: float


def draw_roofs(axes: Axes, most: float, bandwidths: Mapping[str, float], theme: str) -> None:
    """Draw the peak, and below it the slope of each level of memory."""
    ink, faint, _ = INK[theme]
    axes.hlines(most, LEAST, MOST, color=ink, linewidth=1.4)
    axes.annotate(f"peak: {most:.0f} GFLOP/s", (MOST, most), (0, 3), ha="right",
                  textcoords="offset points", color=ink, fontsize=8.5)  # fmt: skip
    lowest = axes.get_ylim()[0]
    for k, (level, speed) in enumerate(bandwidths.items()):
        start, corner = max(LEAST, lowest / speed), most / speed
        axes.plot([start, corner], [start * speed, most], color=faint, linewidth=1.2)
        # Half-way up the slope, and on the other side of it than the label of a slope close by.
        x = math.sqrt(start * corner)
        y = speed * x * (1.08 if k == 0 else 0.92)
        axes.text(x, y, f"{level}: {speed:.0f} GB/s", color=faint, fontsize=8,
                  rotation=math.degrees(math.atan2(speed * x, x)), rotation_mode="anchor",
                  transform_rotates_text=True, ha="center",
                  va="bottom" if k == 0 else "top")  # fmt: skip


def draw_points(axes: Axes, points: Sequence[Point], nets: Sequence[str], theme: str) -> None:
    """Draw each task, filled: the whole step; hollow, on the same vertical: its products."""
    colour = COLOURS[OURS][theme == "dark"]
    for point in points:
        x, heights = point.intensity, [point.gflops, point.gflops_of_products]
        marker = MARKERS[nets.index(point.net) % len(MARKERS)]
        axes.plot([x, x], heights, color=colour, linewidth=0.8, zorder=2)
        for y, fill in zip(heights, (colour, "none"), strict=True):
            axes.plot(x, y, marker, markersize=6, color=colour, markerfacecolor=fill, zorder=3)


def draw(
    peaks: Mapping[str, float],
    bandwidths: Mapping[str, float],
    points: Sequence[Point],
    conditions: str,
    theme: str,
) -> bytes:
    """Return the plot as SVG, the same bytes in each run; a panel for each dtype.

    Parameters
    ----------
    peaks : mapping of str to float
        GFLOP/s by dtype.
    bandwidths : mapping of str to float
        GB/s by level of memory.
    points : sequence of Point
    conditions : str
        The sentence that names date and machine.
    theme : {'light', 'dark'}
    """
    ink, faint, rule = INK[theme]
    nets = list(dict.fromkeys(point.net for point in points))
    lowest = min(min(point.gflops, point.gflops_of_products) for point in points)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        panels = figure.subplots(1, len(peaks), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (dtype, most) in zip(panels, peaks.items(), strict=True):
            axes.set_facecolor("none")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlim(LEAST, MOST)
            axes.set_ylim(0.5 * lowest, 1.6 * max(peaks.values()))
            axes.set_title(dtype, loc="left", color=ink, fontsize=11)
            axes.set_xlabel("operations per byte", color=ink)
            axes.grid(color=rule, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(which="both", length=0, colors=faint)
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axis.set_minor_formatter(NullFormatter())
            axes.spines[:].set_visible(False)
            draw_roofs(axes, most, bandwidths, theme)
            draw_points(axes, [point for point in points if point.dtype == dtype], nets, theme)
        panels[0].set_ylabel("GFLOP/s", color=ink)
        colour = COLOURS[OURS][theme == "dark"]
        handles = [
            Line2D([], [], linestyle="none", marker=marker, color=colour, label=net)
            for marker, net in zip(MARKERS, nets, strict=False)
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False,
                      labelcolor=ink, handletextpad=0.2, columnspacing=1.4)  # fmt: skip
        day = re.search(r"Measured on ([\d-]+)", conditions)[1]
        machine = re.search(r": (.*?);", conditions)[1]
        text = f"Filled: a whole step. Hollow: its products alone.\n{machine}, {day}; one thread."
        figure.supxlabel(text, x=0.01, ha="left", color=faint, fontsize=8)
        file = BytesIO()
        # The light plot has a background, for pages that show it in the dark as well.
        background = "white" if theme == "light" else "none"
        figure.savefig(file, format="svg", facecolor=background, metadata={"Date": None})
    return file.getvalue()
