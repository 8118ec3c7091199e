"""What a training step consists of: microseconds and share of each call, within real steps.

Usage::

    python benchmarks/steps.py
    python benchmarks/steps.py --only "64-100-10, batch 200, float32" --repeats 3

The problems are those of `peers.py`, fitted with one thread. `_steps.py` says how each call
is measured. The figures are those of the fastest of several fits. *Outside* is what it takes
beyond all calls, divided by its steps: Python, and the kernel between two calls. *Unwatched* is a
step of a fit in which nothing is measured but its whole time.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
from _peak import peak
from _problems import PROBLEMS
from _processes import MissingDataError, save
from _steps import Step, measure
from _timing import Table, machine, one_thread

COLUMNS = {"us": 8, "share": 6, "what": 16, "kind": 14, "sizes": 18, "GFLOP/s": 7, "of peak": 7}


def print_step(step: Step, most: float) -> None:
    """Print the table of a step; `most` is the peak in GFLOP/s."""
    table, kinds = Table(COLUMNS), step.by_kind()
    total = sum(kinds.values())
    for call in step.calls:
        speed = ["", ""]
        if call.flops and call.seconds:
            gflops = call.flops / call.seconds / 1e9
            speed = [f"{gflops:.1f}", f"{gflops / most:.0%}"]
        table.add(
            [
                f"{1e6 * call.seconds:.2f}",
                f"{call.seconds / total:.1%}",
                call.name,
                call.kind,
                " x ".join(map(str, call.sizes)),
                *speed,
            ]
        )
    print("\nby kind of work:")
    table = Table({key: COLUMNS[key] for key in ("us", "share", "kind")})
    for kind, seconds in [*kinds.items(), ("sum", total), ("unwatched", step.seconds)]:
        table.add([f"{1e6 * seconds:.2f}", f"{seconds / total:.1%}", kind])


def main() -> None:
    """Print a table for each problem."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, or the folder it is in")
    parser.add_argument("--rows", type=int, default=12000, help="at most (default 12000)")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="problems with such a word")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each kind (default 5)")
    options = parser.parse_args()
    print(machine())
    words = options.only or [""]
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        for problem in (p for p in PROBLEMS if any(word in p.name for word in words)):
            try:
                file = save(problem, folder, options.data, options.rows)
            except MissingDataError as error:
                print(f"\n{error}\n{problem.name} is left out.")
                continue
            with np.load(file) as arrays:
                step = measure(problem, arrays["X"], arrays["y"], options.repeats)
            most = peak(problem.dtype)
            print(f"\n{problem.name}; peak {most:.0f} GFLOP/s\n")
            print_step(step, most)


if __name__ == "__main__":
    main()
