"""A grid search with two workers: scikit-learn's MLP and sknet's, under joblib's backends.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/grid.py
    python benchmarks/grid.py --jobs 1 2 4 --repeats 5
    python benchmarks/grid.py --update    # rewrites the table of the page of this processor

16 candidates in 5 folds on the small digits, 20 epochs each, float64. Workers
have one BLAS thread each. The ratio is that to scikit-learn's fastest way in
the same round.
"""

from __future__ import annotations

import argparse
import warnings
from datetime import UTC, datetime
from statistics import median
from types import ModuleType

import joblib
from _pages import page_here, read_block, write_block
from _tasks import grid_task
from _timing import Table, as_markdown, machine, one_thread, print_header, seconds
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

import sknet

BLOCK = "grid"
COLUMNS = {
    "library": 12, "backend of joblib": 10, "workers": 7, "seconds": 8,
    "times as fast as scikit-learn's best": 19,
}  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="workers (1 2)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    parser.add_argument(
        "--update", action="store_true", help="rewrite the table of the page of this processor"
    )
    options = parser.parse_args()
    if options.update:
        read_block(page_here(), BLOCK)  # an unfit page is to be known before measuring, not after
    print_header(options.repeats)
    run = grid_task().run
    ways: list[tuple[ModuleType, str, int]] = [
        (library, backend, n)
        for library in (neural_network, sknet)
        for n in options.jobs
        for backend in (["sequential"] if n == 1 else ["loky", "threading"])
    ]
    taken: dict[tuple[ModuleType, str, int], list[float]] = {way: [] for way in ways}
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for round_ in range(options.repeats + 1):
            for way in ways:
                library, backend, n = way
                with joblib.parallel_config(backend, n_jobs=n, inner_max_num_threads=None):
                    time, _ = seconds(lambda library=library: run(library))
                if round_ > 0:  # the first starts workers, and compiles
                    taken[way].append(time)
    theirs = zip(*(taken[way] for way in ways if way[0] is neural_network), strict=True)
    best = [min(times) for times in theirs]
    table, rows = Table(COLUMNS), []
    for way in ways:
        library, backend, n = way
        ratios = [b / t for b, t in zip(best, taken[way], strict=True)]
        spread = f"{median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
        name = "sknet" if library is sknet else "scikit-learn"
        rows.append([name, backend, str(n), f"{median(taken[way]):.2f}", spread])
        table.add(rows[-1])
    if options.update:
        conditions = (
            f"Measured on {datetime.now(UTC):%Y-%m-%d}, medians of {options.repeats} rounds: "
            f"{machine()}."
        )
        write_block(page_here(), BLOCK, as_markdown(list(COLUMNS), rows), conditions)


if __name__ == "__main__":
    main()
