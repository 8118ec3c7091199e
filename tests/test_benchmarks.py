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
page = (root / "docs" / "performance.md").read_text()
block = page.partition(a.BEGIN)[2].partition(a.END)[0]
lines = block.splitlines()
rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
[conditions] = [line for line in lines if line.startswith("Measured on")]
a.update(rows[2:], conditions, root)
"""
SCALING = """
import scaling
measured, conditions = scaling.read(root / "docs" / "scaling.csv")
scaling.write(measured, conditions, root / "again.csv")
scaling.plot(measured, root / "again.png")
print(scaling.sentence(measured), conditions, sep="\\n\\n")
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
    page = pages / "docs" / "performance.md"
    [ratio] = re.findall(r"MNIST 784-128-10.* 1 thread\*\*[^*]*?skorch [^|]*\|[^|]*\| ([\d.]+)",
                         page.read_text())  # fmt: skip
    page.write_text(page.read_text().replace(f"| {ratio} [", f"| {float(ratio) + 1} ["))
    code, message = check_charts(pages)
    assert code == 1
    assert "run benchmarks/chart.py" in message


def test_tables_are_of_one_run(pages):
    """The README has some of the rows of the page, and the range of all of them."""
    run_script(BEGINNING + TABLES, BENCHMARKS, pages)
    for name in ("README.md", "docs/performance.md"):
        assert (pages / name).read_text() == (ROOT / name).read_text()


def test_what_is_said_of_small_and_large(pages):
    said = run_script(BEGINNING + SCALING, BENCHMARKS, pages)
    assert said in (ROOT / "docs" / "performance.md").read_text()
    assert (pages / "again.csv").read_bytes() == (ROOT / "docs" / "scaling.csv").read_bytes()
    assert (pages / "again.png").stat().st_size > 10_000


@pytest.mark.skipif(PYTHON_MODE, reason="nothing is compiled")
def test_compilations_are_recorded(tmp_path):
    printed = run_script(BEGINNING + COMPILATIONS, BENCHMARKS, ROOT, NUMBA_CACHE_DIR=str(tmp_path))
    assert printed.splitlines() == ["(0, 'sknet._engine.kernels.clear (part)', True)"]
