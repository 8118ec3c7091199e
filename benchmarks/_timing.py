"""What the benchmarks share: one thread, paired timings, tables, and the machine they ran on."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg  # noqa: F401  loads the BLAS that Numba calls, so that it is limited as well
from _processor import processor
from threadpoolctl import threadpool_info, threadpool_limits

LEAST_SECONDS = 0.02  # what takes less is repeated within a measurement
# Short tasks scatter most and cost least: they get more pairs, until this is spent.
LEAST_TOTAL, MOST_TIMES = 2.0, 5
SLOWING_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class Pairs(NamedTuple):
    """Seconds of scikit-learn and of sknet, one of each in turn, and what came out last."""

    reference: list[float]
    candidate: list[float]
    results: tuple[Any, Any]

    def medians(self) -> tuple[float, float]:
        """Return the median seconds of each side."""
        return median(self.reference), median(self.candidate)

    def ratio(self) -> str:
        """Return the median over pairs of how many times faster sknet is, with its spread."""
        ratios = [a / b for a, b in zip(self.reference, self.candidate, strict=True)]
        return f"{median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def seconds(function: Callable[[], Any], loops: int = 1) -> tuple[float, Any]:
    """Return the seconds that one call takes, a mean over `loops`, and the last result."""
    start = perf_counter()
    for _ in range(loops):
        result = function()
    return (perf_counter() - start) / loops, result


def loops_for(one_call: float) -> int:
    """Return how many calls a measurement needs, given the seconds that one took."""
    return max(1, math.ceil(LEAST_SECONDS / one_call))


def time_pairs(
    reference: Callable[[], Any],
    candidate: Callable[[], Any],
    repeats: int,
    loops: tuple[int, int] = (1, 1),
) -> Pairs:
    """Time both in turn, A B A B, so that a slow spell of the machine hits both alike.

    Parameters
    ----------
    reference, candidate : callable
        What scikit-learn does, and what sknet does.
    repeats : int
        Pairs at least; short tasks get up to five times as many.
    loops : tuple of int
        Calls of each in one measurement.
    """
    a_seconds: list[float] = []
    b_seconds: list[float] = []
    start = perf_counter()
    while len(a_seconds) < repeats or (
        len(a_seconds) < MOST_TIMES * repeats and perf_counter() - start < LEAST_TOTAL
    ):
        a, a_result = seconds(reference, loops[0])
        b, b_result = seconds(candidate, loops[1])
        a_seconds.append(a)
        b_seconds.append(b)
    return Pairs(a_seconds, b_seconds, (a_result, b_result))


def largest_difference(a: Any, b: Any) -> float:
    """Return the largest difference relative to `a`, infinite where the shapes are not the same."""
    a, b = np.atleast_1d(a), np.atleast_1d(b)
    if a.shape != b.shape:
        return math.inf
    return float(np.max(np.abs(a - b) / np.maximum(np.abs(a), np.finfo(float).tiny)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold every BLAS and OpenMP pool at one thread, and see that it worked."""
    with threadpool_limits(1):
        wide = [pool["filepath"] for pool in threadpool_info() if pool["num_threads"] != 1]
        if wide:
            raise RuntimeError(f"these libraries still use more than one thread: {wide}")
        yield


def warn_of_environment() -> None:
    """Say so if a variable is set that makes OpenBLAS, so scikit-learn, slower than it is."""
    for name in SLOWING_VARIABLES:
        if name in os.environ:
            print(
                f"warning: {name}={os.environ[name]} is set, which may slow down OpenBLAS: run "
                f"with `env {' '.join(f'-u {v}' for v in SLOWING_VARIABLES)}` to compare fairly"
            )


def versions() -> str:
    """Return the versions of all that matters."""
    import sknet

    python = f"Python {platform.python_version()}"
    listed = [f"{name} {version(name)}" for name in ("scikit-learn", "numba", "numpy", "scipy")]
    blas = {
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}".strip()
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return ", ".join([f"sknet {sknet.__version__}", *listed, python, *sorted(blas)])


def machine() -> str:
    """Return the processor, its cores, the system, and the versions."""
    cpu = f"{processor().name}, {os.cpu_count()} cores, {platform.system()}"
    return f"{cpu}; {versions()}"


def print_header(repeats: int) -> None:
    """Print under which conditions the figures that follow came about."""
    warn_of_environment()
    print(machine())
    load = f"; load of the machine {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"one thread on both sides; medians of {repeats} pairs or more, run in turn{load}\n",
        flush=True,
    )


class Table:
    """A text table that prints each row as soon as it is there.

    Parameters
    ----------
    columns : mapping of str to int
        Titles, and the least width of each column.
    """

    def __init__(self, columns: Mapping[str, int]) -> None:
        self.widths = [max(width, len(title)) for title, width in columns.items()]
        self.add(list(columns))
        print("  ".join("-" * width for width in self.widths), flush=True)

    def add(self, cells: Sequence[str]) -> None:
        """Print a row."""
        padded = [f"{c:<{w}}" for c, w in zip(cells, self.widths, strict=True)]
        print("  ".join(padded).rstrip(), flush=True)


def as_markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, all columns but the first one aligned to the right."""
    rule = ["---"] + ["---:"] * (len(titles) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (titles, rule, *rows))
