"""sknet's tabular estimators beside other models, on real tables of numbers and categories.

Usage::

    python -m pip install '.[bench]'
    python benchmarks/tabular.py                          # all models, development tables
    python benchmarks/tabular.py --only heart vowel --models sknet hist
    python benchmarks/tabular.py --again sknet            # measures one model once more
    python benchmarks/tabular.py --show                   # measures nothing, prints what there is
    python benchmarks/tabular.py --held-out --update      # tables that nobody designs with

Each model has a process of its own, held at one core and one thread. For each fold of each table,
all models are fitted in turn. What is measured is appended to a file, so a run that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import _tables
from _pages import page_here, read_block, write_block
from _processes import Child, FailedError, MissingLibraryError
from _processor import processor
from _tables import TASKS
from _tabular_models import MODELS
from _tabular_page import PREFIX, TEMPLATE, Results, block_of, report
from _timing import machine, warn_of_environment

WORKER = Path(__file__).with_name("_tabular_worker.py")


class Key(NamedTuple):
    """What one measurement is of."""

    task: str
    table: str
    fold: int
    model: str


class Cache:
    """Figures by `Key`, and the file that keeps them: a line of JSON for each.

    Parameters
    ----------
    file : path
        If it is there, it is read. A line that an interrupt has cut short is dropped.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.figures: dict[Key, dict[str, Any]] = {}
        text = file.read_text("utf-8") if file.exists() else ""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                key, figures = json.loads(line)
                self.figures[Key(*key)] = figures
        if text and not text.endswith("\n"):
            self.forget(lambda key: False)

    def add(self, key: Key, figures: dict[str, Any]) -> None:
        """Append what was measured."""
        self.figures[key] = figures
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(self._line(key, figures))

    def forget(self, is_unwanted: Callable[[Key], bool]) -> None:
        """Drop some results, in the file as well."""
        self.figures = {k: v for k, v in self.figures.items() if not is_unwanted(k)}
        if self.file.exists():
            temporary = self.file.with_suffix(".new")
            lines = [self._line(*item) for item in self.figures.items()]
            temporary.write_text("".join(lines), encoding="utf-8")
            temporary.replace(self.file)

    @staticmethod
    def _line(key: Key, figures: dict[str, Any]) -> str:
        return json.dumps([key, figures]) + "\n"

    def results(self, task: str, held_out: bool, folds: dict[str, int]) -> Results:
        """Return what there is of some tables, whose numbers of folds are given."""
        complete = {}
        for table, n in folds.items():
            for model in MODELS:
                found = [self.figures.get(Key(task, table, fold, model)) for fold in range(n)]
                if all(found):
                    complete[table, model] = found
        return Results(task, held_out, folds, complete)


def start(stack: ExitStack, model: str) -> tuple[Child, str] | None:
    """Return a model's process and version; print why where there is none."""
    try:
        child = stack.enter_context(Child(WORKER, [model], 1))
        return child, child.start()["version"]
    except MissingLibraryError as error:
        print(f"{model} is left out, its library is missing: {error}", flush=True)
    except FailedError as error:
        print(f"{model} is left out, it failed: {error}", flush=True)
    return None


def measure(cache: Cache, keys: Sequence[Key]) -> None:
    """Measure what is not in the cache yet, in the order of the keys."""
    wanted = [key for key in keys if key not in cache.figures]
    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine()}
    with ExitStack() as stack:
        names = dict.fromkeys(key.model for key in wanted)
        children = {name: child for name in names if (child := start(stack, name))}
        for key in wanted:
            if key.model not in children:
                continue
            child, version = children[key.model]
            try:
                figures = child.ask("measure", task=key.task, table=key.table, fold=key.fold)
            except FailedError as error:
                print(f"{key.model} failed on {key.table}: {error}", flush=True)
                del children[key.model]
                continue
            cache.add(key, {**figures, "version": version, **about})
            print(line(key, figures), flush=True)


def line(key: Key, figures: dict[str, Any]) -> str:
    """Return one measurement as a line of text."""
    shown = [f"{k} {v:.4g}" for k, v in figures.items() if isinstance(v, float)]
    return f"{key.table:16} {key.fold} {key.model:16} {'  '.join(shown)}"


def file_of(folder: Path) -> Path:
    """Return the file of the cache: figures of different processors do not belong together."""
    return folder / f"{PREFIX}{processor().slug}.jsonl"


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    models = list(MODELS)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--only", nargs="+", metavar="TABLE", help="names of tables")
    parser.add_argument(
        "--held-out", action="store_true",
        help="the tables that are held out, instead of the development tables",
    )  # fmt: skip
    parser.add_argument(
        "--again", nargs="+", choices=models, default=[], metavar="MODEL",
        help="drop the results of these models first, for the chosen tables",
    )  # fmt: skip
    parser.add_argument("--show", action="store_true", help="measure nothing, print what there is")
    parser.add_argument(
        "--cache", type=Path, metavar="FOLDER", default=Path.home() / ".cache" / "sknet-benchmarks",
        help="where results are kept (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--update", action="store_true", help="rewrite the tables of this processor's page"
    )
    options = parser.parse_args()
    if options.update and options.only:
        parser.error("--update writes all tables: leave out --only")
    if options.show and options.again:
        parser.error("--again drops results, and --show would not measure them: leave out one")
    if not_chosen := sorted(set(options.again) - set(options.models)):
        parser.error(f"--again names {', '.join(not_chosen)}, which --models leaves out")
    known = [n for task in options.tasks for n in _tables.names(task, options.held_out)]
    if unknown := sorted(set(options.only or []) - set(known)):
        group = "tables that are held out" if options.held_out else "development tables"
        parser.error(f"not among the {group}: {', '.join(unknown)}. There are {', '.join(known)}.")
    if options.update:  # an unfit page is to be known before measuring, not after
        for task in options.tasks:
            read_block(page(), block_of(task, options.held_out))
    return options


def page() -> Path:
    """Return the page of this processor. If there is none yet, it is made."""
    return page_here(prefix=PREFIX, template=TEMPLATE)


def main() -> None:
    """Measure what is wanted, print the tables, and put them where they are wanted."""
    options = parse()
    warn_of_environment()
    cache = Cache(file_of(options.cache))
    folds = {
        task: {
            name: _tables.n_folds(len(_tables.load(task, name).y))
            for name in _tables.names(task, options.held_out)
            if not options.only or name in options.only
        }
        for task in options.tasks
    }
    keys = [
        Key(task, table, fold, model)
        for task, tables in folds.items()
        for table, n in tables.items()
        for fold in range(n)
        for model in options.models
        if task in MODELS[model].tasks
    ]
    again = {key for key in keys if key.model in options.again}
    cache.forget(again.__contains__)
    if not options.show:
        measure(cache, keys)
    for task, tables in folds.items():
        if not tables:
            continue
        parts = report(cache.results(task, options.held_out, tables))
        block = block_of(task, options.held_out)
        print("\n\n".join([f"\n{block.capitalize()}", *parts]))
        if options.update:
            write_block(page(), block, *parts)


if __name__ == "__main__":
    main()
