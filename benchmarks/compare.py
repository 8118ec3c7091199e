"""Base against head: the fits of one version of this repository beside those of another.

Usage::

    python benchmarks/compare.py HEAD~1                  # against the working tree
    python benchmarks/compare.py v0.1.0 --head main --only digits

Both versions train in turn, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from _problems import PROBLEMS
from _processes import MissingDataError, Process, save
from _timing import Table, machine, warn_of_environment

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = {"problem": 46, "base, ms per epoch": 8, "head, ms": 8, "base / head": 19}


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
    table = Table(COLUMNS)
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
            with (
                Process(*arguments, variables(base, f"{folder}/base")) as a,
                Process(*arguments, variables(head, f"{folder}/head")) as b,
            ):
                pairs = [
                    (a.seconds_per_epoch(), b.seconds_per_epoch()) for _ in range(options.repeats)
                ]
            ratios = [x / y for x, y in pairs]
            medians = [f"{1000 * median(side):.4g}" for side in zip(*pairs, strict=True)]
            spread = f"{median(ratios):.3f} [{min(ratios):.3f}-{max(ratios):.3f}]"
            table.add([problem.name, *medians, spread])


if __name__ == "__main__":
    main()
