"""sknet beside other libraries: the same nets, data, batches, optimiser and number of epochs.

Usage::

    python -m pip install '.[bench]'
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/peers.py
    python benchmarks/peers.py --only digits --libraries scikit_learn jax_scan
    python benchmarks/peers.py --only digits --epochs 2 50 --dtype float32
    python benchmarks/peers.py --threads 1 2 --update    # the tables of this processor's page

Each library has a process of its own, held at its threads and cores before
anything is imported. They train in turn, sknet before each of the others, so
that a slow spell of the machine hits both of a pair. Each table has the time of an
epoch in a short training and in a long one: numbers become tiny as training goes
on, and some processors are slow with them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

import numpy as np
from _latency import describe as describe_latency
from _pages import page_here, read_block, write_block
from _problems import PROBLEMS, Problem
from _processes import (
    FailedError,
    MissingDataError,
    MissingLibraryError,
    Process,
    environment,
    pinned,
    save,
)
from _timing import Table, as_markdown, machine, warn_of_environment
from adapters import NAMES

BLOCK = "peers"
LEGEND = (
    "Ms per epoch: each training starts from fresh weights, and its time, with all that a training "
    "costs once, is divided by its number of epochs. Time relative to sknet: median over pairs run "
    "in turn, [least-greatest]; above 1 sknet is faster. Share of peak: operations of the matrix "
    "products alone, over what a loop of nothing but vector multiply-adds reaches. Peak memory: of "
    "the process, libraries and data included. Training accuracy: after the epochs that were "
    "timed, so that all have done the same work. Where there are two numbers of epochs, share of "
    "peak and accuracy are those of the larger one. No training: a trainer that does nothing, so "
    "its time is what the measurement itself takes, and its memory that of Python, NumPy and the "
    "data."
)
# Threads of OpenMP spin for a while after their work: let them come to rest.
REST = 0.3


def measured_peak(dtype: str) -> float:
    """Return the GFLOP/s that one core can do."""
    command = [sys.executable, str(Path(__file__).with_name("_peak.py")), dtype]
    with pinned(1):
        done = subprocess.run(
            command, env=environment(1), check=True, capture_output=True, text=True
        )
    return float(done.stdout)


def start(stack: ExitStack, library: str, *arguments: Any) -> Process | None:
    """Return a library's process; print why where there is none."""
    try:
        return stack.enter_context(Process(library, *arguments))
    except MissingLibraryError as error:
        print(f"{library} is left out, its library is missing: {error}", flush=True)
    except FailedError as error:
        print(f"{library} is left out, it failed: {error}", flush=True)
    return None


def columns(epochs: tuple[int, ...]) -> dict[str, int]:
    """Return titles and widths of a table, with two columns for each number of epochs."""
    times = {}
    for n in epochs:
        which = f" ({n} epoch{'s' if n > 1 else ''})" if len(epochs) > 1 else ""
        times |= {f"ms per epoch{which}": 8, f"time relative to sknet{which}": 19}
    rest = {"share of peak": 6, "peak memory, MB": 6, "training accuracy": 6}
    return {"library": 13, **times, **rest}


def take_turns(
    ours: Process, others: list[Process], epochs: tuple[int, ...], repeats: int, rest: float
) -> dict[str, list[list[tuple[float, float]]]]:
    """Return pairs of sknet's seconds per epoch and a library's, by library and number of epochs.

    The longest training of a library is its last one, whose weights it keeps.
    """
    pairs: dict[str, list[list[tuple[float, float]]]] = {
        other.library: [[] for _ in epochs] for other in others
    }
    for _ in range(repeats):
        for other in others:
            for n, taken in zip(epochs, pairs[other.library], strict=True):
                pair = []
                for process in (ours, other):
                    sleep(rest)
                    pair.append(process.seconds_per_epoch(n))
                taken.append((pair[0], pair[1]))
    return pairs


def row(process: Process, times: list[list[float]], ratios: list[str], gflops: float) -> list[str]:
    """Return a library's line of the table; `gflops` are an epoch's work over the peak."""
    seconds, outcome = [median(taken) for taken in times], process.finish()
    is_nothing = process.library == "nothing"
    cells = [process.about["version"] or process.library]
    for taken, ratio in zip(seconds, ratios, strict=True):
        cells += [f"{1000 * taken:.4g}", "" if is_nothing else ratio]
    return [
        *cells,
        "" if is_nothing else f"{gflops / seconds[-1]:.0%}",
        f"{outcome['memory']:.0f}",
        "" if is_nothing else f"{outcome['accuracy']:.4f}",
    ]


def title(process: Process, cells: list[str]) -> list[str]:
    """Return the line with the way a library is used, where it has two."""
    if process.library == "nothing":
        return ["no training", *cells[1:]]
    ways = {"torch_eager": ", eager", "torch_compile": ", torch.compile", "jax_scan": ", scan"}
    return [cells[0] + ways.get(process.library, ""), *cells[1:]]


def spread(pairs: list[tuple[float, float]]) -> str:
    """Return the median ratio over pairs, and the least and the greatest."""
    ratios = [theirs / ours for ours, theirs in pairs]
    return f"{median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def measure(problem: Problem, n_threads: int, options: argparse.Namespace, folder: str) -> str:
    """Print the table of one problem, and return it as Markdown."""
    peak = measured_peak(problem.dtype) * n_threads
    epochs = problem.epochs
    heading = f"{problem.name}, {n_threads} thread{'s' if n_threads > 1 else ''}"
    print(f"\n{heading}; peak {peak:.0f} GFLOP/s", flush=True)
    file = save(problem, folder, options.data, options.rows)
    with ExitStack() as stack:
        ours = start(stack, "sknet", problem, file, n_threads)
        if ours is None:
            sys.exit("error: nothing to compare with")
        started = [
            start(stack, name, problem, file, n_threads)
            for name in options.libraries
            if name != "sknet"
        ]
        others = [process for process in started if process]
        rest = REST if n_threads > 1 else 0
        pairs = take_turns(ours, others, epochs, options.repeats, rest)
        rows_of_data = len_of(file)
        gflops = problem.flops(rows_of_data) / 1e9 / peak
        table, lines = Table(columns(epochs)), []
        our_times: list[list[float]] = [
            [pair[0] for by_epochs in pairs.values() for pair in by_epochs[k]]
            or [ours.seconds_per_epoch(n) for _ in range(options.repeats)]
            for k, n in enumerate(epochs)
        ]
        lines.append(title(ours, row(ours, our_times, ["1"] * len(epochs), gflops)))
        table.add(lines[-1])
        for other in others:
            by_epochs = pairs[other.library]
            times = [[theirs for _, theirs in taken] for taken in by_epochs]
            lines.append(title(other, row(other, times, list(map(spread, by_epochs)), gflops)))
            table.add(lines[-1])
    numbers = " and ".join(map(str, epochs))
    return (
        f"**{heading}** ({numbers} epoch{'s' if epochs != (1,) else ''}, "
        f"{rows_of_data} rows; peak {peak:.0f} GFLOP/s)"
        f"\n\n{as_markdown(list(columns(epochs)), lines)}"
    )


def len_of(file: Path) -> int:
    """Return the number of rows in a file of `save`."""
    with np.load(file) as arrays:
        return len(arrays["y"])


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, or the folder it is in")
    parser.add_argument("--rows", type=int, help="train on the first rows only")
    parser.add_argument("--threads", nargs="+", type=int, choices=[1, 2], default=[1])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="problems with such a word")
    parser.add_argument(
        "--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"]
    )
    parser.add_argument(
        "--epochs", nargs="+", type=int, metavar="N",
        help="numbers of epochs to train (default: two that suit each problem)",
    )  # fmt: skip
    parser.add_argument("--libraries", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--repeats", type=int, default=5, help="pairs (default 5)")
    parser.add_argument("--markdown", action="store_true", help="print the Markdown as well")
    parser.add_argument(
        "--update", action="store_true", help="rewrite the tables of the page of this processor"
    )
    options = parser.parse_args()
    if options.epochs and min(options.epochs) < 1:
        parser.error(f"--epochs must be at least 1, got {min(options.epochs)}")
    if options.update and options.only:
        parser.error("--update writes all tables: leave out --only")
    if options.update:
        read_block(page_here(), BLOCK)  # an unfit page is to be known before measuring, not after
    return options


def main() -> None:
    """Print the tables, and put them where they are wanted."""
    options = parse()
    warn_of_environment()
    words = options.only or [""]
    chosen = [
        problem._replace(epochs=tuple(sorted(set(options.epochs or problem.epochs))))
        for problem in PROBLEMS
        if problem.dtype in options.dtype and any(word in problem.name for word in words)
    ]
    conditions = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, medians of {options.repeats} pairs: {machine()}"
    )
    if max(options.threads) > 1:
        conditions += f"; {describe_latency()}"
    print(f"{conditions}\n{LEGEND}", flush=True)
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        for problem in chosen:
            for n_threads in options.threads:
                try:
                    parts.append(measure(problem, n_threads, options, folder))
                except MissingDataError as error:
                    print(f"{error}\n{problem.name} is left out.")
    parts += [LEGEND, f"{conditions}."]
    if options.markdown:
        print("\n\n".join(parts))
    if options.update:
        write_block(page_here(), BLOCK, *parts)


if __name__ == "__main__":
    main()
