"""Base against head: the fits of one version of this repository beside those of another.

Usage::

    python benchmarks/compare.py HEAD~1                  # against the working tree
    python benchmarks/compare.py v0.1.0 --head main --only digits

Both versions train in turn, each in a process of its own. The pairs of times give as many
ratios. Brackets hold the interval in which their median lies with a confidence of 99%, or
all ratios where there are fewer than eight. A version is called faster or slower only if
that interval leaves out 1. The last lines name the problems at which head is slower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import comb
from pathlib import Path
from statistics import median

from _pages import ROOT
from _problems import PROBLEMS
from _processes import FailedError, MissingDataError, MissingLibraryError, Process, save
from _timing import Table, machine, warn_of_environment

COLUMNS = {"problem": 46, "base, ms per epoch": 8, "head, ms": 8, "base / head": 19, "": 14}
CONFIDENCE = 0.99


@contextmanager
def checked_out(revision: str | None) -> Iterator[Path]:
    """Give the folder of a revision, for the moment; None is the working tree."""
    if revision is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        done = subprocess.run(
            [*git, "add", "--detach", str(tree), revision], capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"error: no worktree of {revision}: {done.stderr.strip()}")
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def interval(ratios: list[float]) -> tuple[float, float]:
    """Return where the median lies, by the binomial distribution of how many are below it.

    No assumption is made about how the ratios scatter, except that each pair is
    independent of the others.
    """
    n, values = len(ratios), sorted(ratios)
    cut, below = 0, 1
    while 2 * below / 2**n <= 1 - CONFIDENCE:
        cut += 1
        below += comb(n, cut)
    cut = max(cut, 1)
    return values[cut - 1], values[n - cut]


def verdict(ratios: list[float]) -> str:
    """Return whether head is slower or faster than base, or nothing where neither shows."""
    least, greatest = interval(ratios)
    if greatest < 1:
        return "head is SLOWER"
    return "head is faster" if least > 1 else ""


def conclusion(slower: dict[str, float]) -> str:
    """Return what has come out, given the median ratios of the problems at which head is slower."""
    if not slower:
        return "Head is slower beyond the spread at no problem."
    listed = [f"  {name}: {1 / ratio - 1:.1%} more time" for name, ratio in slower.items()]
    return "\n".join(["Head is SLOWER beyond the spread at:", *listed])


def variables(tree: Path, cache: str) -> dict[str, str]:
    """Return the environment in which that version is imported, and its kernels kept apart."""
    paths = [str(tree), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "NUMBA_CACHE_DIR": cache}


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", metavar="REV", help="the revision to compare with")
    parser.add_argument("--head", metavar="REV", help="default: the working tree as it is")
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, or the folder it is in")
    parser.add_argument("--rows", type=int, help="train on the first rows only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="problems with such a word")
    parser.add_argument("--repeats", type=int, default=15, help="pairs (default 15)")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    options = parse()
    warn_of_environment()
    versions = f"base {options.base}, head {options.head or 'the working tree'}"
    print(f"{machine()}\n{versions}; medians of {options.repeats} pairs")
    print("base / head above 1: head is faster\n", flush=True)
    table, slower = Table(COLUMNS), {}
    words = options.only or [""]
    with (
        checked_out(options.base) as base,
        checked_out(options.head) as head,
        tempfile.TemporaryDirectory() as folder,
    ):
        for problem in (p for p in PROBLEMS if any(word in p.name for word in words)):
            try:
                file = save(problem, folder, options.data, options.rows)
            except MissingDataError as error:
                print(f"{error}\n{problem.name} is left out.")
                continue
            arguments = ("sknet", problem, file, options.threads)
            n = problem.epochs[-1]
            try:
                with (
                    Process(*arguments, variables(base, f"{folder}/base")) as a,
                    Process(*arguments, variables(head, f"{folder}/head")) as b,
                ):
                    pairs = [
                        (a.seconds_per_epoch(n), b.seconds_per_epoch(n))
                        for _ in range(options.repeats)
                    ]
            except (MissingLibraryError, FailedError) as error:
                sys.exit(f"error: one of the versions does not train: {error}")
            ratios = [x / y for x, y in pairs]
            medians = [f"{1000 * median(side):.4g}" for side in zip(*pairs, strict=True)]
            least, greatest = interval(ratios)
            spread = f"{median(ratios):.3f} [{least:.3f}-{greatest:.3f}]"
            table.add([problem.name, *medians, spread, verdict(ratios)])
            if greatest < 1:
                slower[problem.name] = median(ratios)
    print(f"\n{conclusion(slower)}")


if __name__ == "__main__":
    main()
