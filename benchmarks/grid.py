"""A grid search with two workers: scikit-learn's MLP and sknet's, under joblib's backends.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/grid.py
    python benchmarks/grid.py --jobs 1 2 4 --repeats 5

16 candidates in 5 folds on the small digits, 20 epochs each, float64. Workers
have one BLAS thread each. The ratio is that to scikit-learn's fastest way in
the same round.
"""

from __future__ import annotations

import argparse
import warnings
from statistics import median
from types import ModuleType

import joblib
from _tasks import grid_task
from _timing import Table, one_thread, print_header, seconds
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

import sknet

COLUMNS = {"library": 12, "backend": 10, "workers": 7, "seconds": 8, "ratio": 19}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="workers (1 2)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default 3)")
    options = parser.parse_args()
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
    table = Table(COLUMNS)
    for way in ways:
        library, backend, n = way
        ratios = [b / t for b, t in zip(best, taken[way], strict=True)]
        spread = f"{median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
        name = "sknet" if library is sknet else "scikit-learn"
        table.add([name, backend, str(n), f"{median(taken[way]):.2f}", spread])


if __name__ == "__main__":
    main()
