"""sknet against scikit-learn's MLP, task by task, one thread each.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/against_sklearn.py
    python benchmarks/against_sklearn.py --only digits sgd   # tasks with such a word
    python benchmarks/against_sklearn.py --grid --markdown
    python benchmarks/against_sklearn.py --grid --update     # rewrites the tables of the pages

MNIST takes part where ``--data`` or the environment variable SKNET_DATA says
where it is. ``--update`` writes the whole table into the page of this processor in
``docs/performance``, and a few of its rows into the README.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _data import MissingDataError, load_mnist
from _pages import ROOT, page_here, read_block, write_block
from _tasks import (
    Task,
    digits_tasks,
    grid_task,
    mnist_tasks,
    other_tasks,
    prediction_tasks,
    stream_tasks,
)
from _timing import (
    Table,
    as_markdown,
    largest_difference,
    loops_for,
    machine,
    one_thread,
    print_header,
    seconds,
    time_pairs,
)
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

import sknet

BLOCK = "benchmark"
README = ROOT / "README.md"
# The rows of the README: defaults, a deeper net, a regression, a larger net, a search.
FEW = (
    "digits, all defaults, float64",
    "digits, 50 epochs, 64-128-64-10, batch 32, float64",
    "diabetes (442 x 10), regressor, 100 epochs, float64",
    "MNIST, 3 epochs, 784-128-10, batch 128, float64",
    "digits, GridSearchCV, 16 candidates x 5 folds of 20 epochs, float64",
)
SAME = 1e-10  # loss curves this close, relatively, differ by the order of sums only
SEEDS = range(5)
COLUMNS = {
    "task": 66, "scikit-learn (ms)": 10, "sknet (ms)": 10, "times as fast [range]": 21,
    "same model? (loss differs by)": 14,
}  # fmt: skip
LEGEND = (
    "One thread on both sides, same `random_state`. Times are medians over pairs run in turn. "
    "Times as fast: scikit-learn's time over sknet's, median and range of the pairs. The last "
    "column gives the largest relative difference between the loss curves (for L-BFGS, of the "
    "last loss; for predictions, of the probabilities; for the grid, of the mean scores). In "
    "float32, and with L-BFGS, rounding can grow during training: there it gives the largest "
    f"difference over {len(SEEDS)} seeds and, in brackets, that between scikit-learn and itself "
    "when X changes in its last bit (inf: another number of epochs). Compilation is not in the "
    "times: `benchmarks/startup.py` measures it."
)


def legend_of_few(rows: list[list[str]]) -> str:
    """Return what the README says below its table, with the range of all rows."""
    ratios = [float(row[3].split()[0]) for row in rows]
    return (
        "One thread on both sides; medians over pairs run in turn. The same model means that the "
        "loss curves of both (for the grid, the mean scores) differ by rounding alone. The whole "
        f"table has {len(ratios)} tasks, among them float32, sparse data, L-BFGS and predictions: "
        f"sknet was {min(ratios):.1f} to {max(ratios):.1f} times as fast."
    )


def update(rows: list[list[str]], conditions: str, page: Path, readme: Path) -> None:
    """Write all rows into the page of a processor, and a few of them into the README."""
    columns = [title.removesuffix(" [range]") for title in COLUMNS]
    few = [[cell.partition(" [")[0] for cell in row] for row in rows if row[0] in FEW]
    date_and_machine = f"{conditions.partition(';')[0]}."
    write_block(page, BLOCK, as_markdown(list(COLUMNS), rows), LEGEND, conditions)
    write_block(readme, BLOCK, as_markdown(columns, few), legend_of_few(rows), date_and_machine)


def tasks(options: argparse.Namespace) -> Iterator[Task]:
    """Return all tasks that the options ask for."""
    groups = [digits_tasks(), other_tasks(), prediction_tasks(), stream_tasks()]
    try:
        groups.insert(2, mnist_tasks(load_mnist(options.data, fetch=False)))
    except MissingDataError as error:
        print(f"{error}\nThe tasks on MNIST are left out.\n")
    if options.grid:
        groups.append(iter([grid_task()]))
    words = options.only or [""]
    return (task for group in groups for task in group if any(word in task.name for word in words))


def measure(task: Task, repeats: int) -> tuple[list[str], float]:
    """Return a task's row of the table, and the seconds that kernels took to come up."""
    libraries = (neural_network, sknet)
    first = seconds(lambda: task.run(sknet))[0]
    calls = [lambda library=library: task.run(library) for library in libraries]
    once = [seconds(call)[0] for call in calls]
    pairs = time_pairs(*calls, repeats, tuple(map(loops_for, once)))
    milliseconds = [f"{1000 * median:.4g}" for median in pairs.medians()]
    agreement = compare_outcomes(task, *pairs.results)
    return [task.name, *milliseconds, pairs.ratio(), agreement], first - once[1]


def compare_outcomes(task: Task, reference: Any, candidate: Any) -> str:
    """Return whether both have the same model, and the difference."""
    difference = largest_difference(task.outcome(reference), task.outcome(candidate))
    if task.run_seed is None or (difference < SAME and "float64" in task.name):
        return f"{'yes' if difference < SAME else 'no'}: {difference:.0e}"
    # Rounding grows during training with some seeds and not with others: one seed shows nothing.
    between, itself = [], []
    for seed in SEEDS:
        expected, other, shaken = (
            task.outcome(task.run_seed(library, seed, shake))
            for library, shake in ((neural_network, False), (sknet, False), (neural_network, True))
        )
        between.append(largest_difference(expected, other))
        itself.append(largest_difference(expected, shaken))
    answer = "no: " if max(itself) < SAME else ""
    return f"{answer}up to {max(between):.0e} ({max(itself):.0e})"


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, or the folder it is in")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="tasks whose name has such a one")
    parser.add_argument("--grid", action="store_true", help="run the grid search as well")
    parser.add_argument("--repeats", type=int, default=5, help="pairs at least (default 5)")
    parser.add_argument("--markdown", action="store_true", help="print the Markdown as well")
    parser.add_argument(
        "--update",
        action="store_true",
        help="rewrite the tables of the README and of the page of this processor",
    )
    options = parser.parse_args()
    if options.update:
        if options.only or not options.grid:
            parser.error("--update writes the whole table: give --grid, leave out --only")
        # An unfit page is to be known before measuring, not after.
        for page in (README, page_here()):
            read_block(page, BLOCK)
    return options


def main() -> None:
    """Print the table, and put it where it is wanted."""
    options = parse()
    warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are given
    with one_thread():
        print_header(options.repeats)
        chosen, measured = tasks(options), []
        table = Table(COLUMNS)
        for task in chosen:
            measured.append(measure(task, options.repeats))
            table.add(measured[-1][0])
        up = sum(seconds for _, seconds in measured)
        print(
            f"\n{LEGEND}\nFirst runs of sknet took {up:+.1f} s more than second ones in all: ",
            end="",
        )
        print("kernels compiled, or read from Numba's cache, and noise.")
        conditions = (
            f"Measured on {datetime.now(UTC):%Y-%m-%d}, {options.repeats} pairs or more of each: "
            f"{machine()}."
        )
    rows = [row for row, _ in measured]
    if options.markdown:
        print(f"\n{as_markdown(list(COLUMNS), rows)}\n\n{LEGEND}\n\n{conditions}\n")
    if options.update:
        update(rows, conditions, page_here(), README)


if __name__ == "__main__":
    main()
