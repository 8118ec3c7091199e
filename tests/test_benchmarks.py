"""What the pages show of the benchmarks is what was measured. Nothing is measured here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import run_script

import sknet
from sknet._engine.compilation import PYTHON_MODE

ROOT = Path(sknet.__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
pytestmark = pytest.mark.skipif(
    not BENCHMARKS.exists(), reason="an installed package has no benchmarks"
)

# Each script gets the folder of the benchmarks and a copy of the project's pages.
BEGINNING = """
import sys
from pathlib import Path
benchmarks, root = map(Path, sys.argv[1:])
sys.path.insert(0, str(benchmarks))
"""
TABLES = """
import against_sklearn as a
from _pages import read_block
for page in (root / "docs" / "performance").glob("*.md"):
    if "benchmark: begin" not in page.read_text() or "| --- |" not in read_block(page, a.BLOCK):
        continue
    lines = read_block(page, a.BLOCK).splitlines()
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
    [conditions] = [line for line in lines if line.startswith("Measured on")]
    readme = root / f"README of {page.stem}"
    readme.write_bytes((root / "README.md").read_bytes())
    a.update(rows[2:], conditions, page, readme)
"""
SCALING = """
import scaling
from _pages import beside
for page in (root / "docs" / "performance").glob("*.md"):
    if beside(page, "scaling.csv").exists():
        scaling.update(*scaling.read(beside(page, "scaling.csv")), page)
        print(beside(page, "scaling").name)
"""
COMPILATIONS = """
import numpy as np
import startup
from sknet._engine.kernels import clear
from sknet._engine.program import function_address
with startup.recorded() as entries:
    function_address(clear, np.dtype(np.float64))
print(*((depth, name, 0 < own <= seconds) for depth, name, seconds, own in entries), sep="\\n")
"""


@pytest.fixture
def pages(tmp_path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=lambda *_: {"api", "auto_examples"})
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def check_charts(pages):
    """Return exit code and message of the script that draws the charts."""
    command = [sys.executable, BENCHMARKS / "chart.py", "--check", "--docs", pages / "docs"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_charts_show_the_tables(pages):
    assert check_charts(pages) == (0, "")
    page = max((pages / "docs" / "performance").glob("*.md"), key=date_of_peers)
    row = r"MNIST 784-128-10[^*]*float32, 1 thread\*\*[^*]*?\| skorch [^\n]* \| ([\d.]+) \["
    ratio = re.search(row, page.read_text())
    start, end = ratio.span(1)
    text = page.read_text()
    page.write_text(f"{text[:start]}{float(ratio[1]) + 1}{text[end:]}")
    code, message = check_charts(pages)
    assert code == 1
    assert "run benchmarks/chart.py" in message


def date_of_peers(page):
    """Return when a page was measured beside other libraries, or nothing."""
    block = page.read_text().partition("peers: begin")[2].partition("peers: end")[0]
    return "".join(re.findall(r"^Measured on ([\d-]+)", block, re.MULTILINE))


def test_overview_shows_the_tables(pages):
    page = pages / "docs" / "performance.md"
    page.write_text(page.read_text().replace("batch 200, float64, 1 thread | ", "| 9"))
    code, message = check_charts(pages)
    assert code == 1
    assert "run benchmarks/chart.py" in message


def test_tables_are_of_one_run(pages):
    """The README has some of the rows of a page, and the range of all of them."""
    run_script(BEGINNING + TABLES, BENCHMARKS, pages)
    assert same_pages(pages)
    readmes = [path.read_text() for path in pages.glob("README of *")]
    assert (ROOT / "README.md").read_text() in readmes


def same_pages(pages):
    """Return whether all pages are what they are in the project, and there are any."""
    relative = [path.relative_to(ROOT) for path in (ROOT / "docs" / "performance").glob("*.md")]
    return relative and all((pages / p).read_text() == (ROOT / p).read_text() for p in relative)


def test_what_is_said_of_small_and_large(pages):
    names = run_script(BEGINNING + SCALING, BENCHMARKS, pages).split()
    assert names
    assert same_pages(pages)
    for name in names:
        figures = f"docs/performance/{name}.csv"
        assert (pages / figures).read_bytes() == (ROOT / figures).read_bytes()
        assert (pages / "docs" / "performance" / f"{name}.png").stat().st_size > 10_000


@pytest.mark.skipif(PYTHON_MODE, reason="nothing is compiled")
def test_compilations_are_recorded(tmp_path):
    printed = run_script(BEGINNING + COMPILATIONS, BENCHMARKS, ROOT, NUMBA_CACHE_DIR=str(tmp_path))
    assert printed.splitlines() == ["(0, 'sknet._engine.kernels.clear (part)', True)"]
