"""The tools of the benchmarks count and name what they say. Nothing is timed here."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from processes import run_script
from scipy import stats

import sknet

ROOT = Path(sknet.__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
pytestmark = pytest.mark.skipif(
    not BENCHMARKS.exists(), reason="an installed package has no benchmarks"
)

ZEN_4 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu

processor\t: 1
model name\t: another
"""
XEON = """vendor_id : GenuineIntel
cpu family : 6
model : 143
model name : Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
"""


@pytest.mark.parametrize(
    ("cpuinfo", "name", "slug"),
    [
        (ZEN_4, "AMD EPYC, Zen 4 (family 25, model 17)", "amd-zen-4"),
        (
            XEON,
            "Intel Xeon Platinum 8481C, Sapphire Rapids (family 6, model 143)",
            "intel-sapphire-rapids",
        ),
        (
            XEON.replace("143", "999"),
            "Intel Xeon Platinum 8481C (family 6, model 999)",
            "intel-xeon-platinum-8481c-family-6-model-999",
        ),
        ("processor : 0\nBogoMIPS : 50.00\n", "aarch64", "aarch64"),
        ("", "aarch64", "aarch64"),
    ],
)
def test_processors_have_names(tool, cpuinfo, name, slug):
    assert tool("_processor").describe(cpuinfo, "aarch64") == (name, slug)


def test_a_new_processor_gets_a_page(tool, tmp_path):
    pages, kind = tool("_pages"), tool("_processor").Processor("A Processor", "a-processor")
    page = pages.page_of(kind, tmp_path)
    assert page == tmp_path / "performance" / "a-processor.md"
    assert page.read_text().startswith("# A Processor\n")
    scripts = "against_sklearn", "peers", "roofline", "scaling", "grid"
    blocks = [tool(name).BLOCK for name in scripts]
    for block in blocks:
        assert pages.read_block(page, block) == pages.NOT_YET
        pages.write_block(page, block, f"text of {block}", "more")
    assert pages.page_of(kind, tmp_path) == page  # the page that is there stays
    for block in blocks:
        assert pages.read_block(page, block) == f"text of {block}\n\nmore"
    text = page.read_text()
    pages.write_block(page, "peers", pages.NOT_YET)
    assert page.read_text() == text.replace("text of peers\n\nmore", pages.NOT_YET)
    assert tool("chart").read_all(tmp_path) == []  # nothing was measured
    with pytest.raises(SystemExit, match="must hold <!-- other: begin -->"):
        pages.read_block(page, "other")


def test_overview_has_the_longest_training_of_the_fastest_variant(tool):
    peers, chart = tool("peers"), tool("chart")
    columns = list(peers.columns((2, 100)))
    assert columns[1:5] == [
        "ms per epoch (2 epochs)",
        "time relative to sknet (2 epochs)",
        "ms per epoch (100 epochs)",
        "time relative to sknet (100 epochs)",
    ]
    rows = [
        ["sknet 1", "2", "1", "1", "1", "55%", "20", "0.9"],
        ["PyTorch 2, eager", "4", "2.00 [1.5-2.5]", "4", "4.00 [3-5]", "9%", "20", "0.9"],
        ["PyTorch 2, torch.compile", "6", "3.00 [2-4]", "3", "3.00 [2-4]", "9%", "20", "0.9"],
        ["no training", "0", "", "0", "", "", "20", ""],
    ]
    table = tool("_timing").as_markdown(columns, rows)
    task = chart.read_table("digits", "1 thread", table)
    assert task == ("digits", "1 thread", {"sknet": 1.0, "PyTorch": 3.0}, "55%")


@pytest.mark.parametrize("n", [1, 7, 8, 9, 15, 40])
def test_interval_of_the_median(tool, n):
    """It is the narrowest of order statistics that has the median with the confidence stated."""
    compare = tool("compare")
    values = np.random.default_rng(n).permutation(np.arange(1, n + 1, dtype=float)).tolist()
    least, greatest = compare.interval(values)
    assert least + greatest == n + 1  # as many left out below as above

    def outside(rank):
        return 2 * stats.binom.cdf(rank - 1, n, 0.5)

    assert outside(least) <= 1 - compare.CONFIDENCE or least == 1
    assert outside(least + 1) > 1 - compare.CONFIDENCE


def test_slower_is_said_plainly(tool):
    compare = tool("compare")
    assert compare.verdict([0.9] * 11 + [1.2]) == "head is SLOWER"
    assert compare.verdict([0.9] * 10 + [1.2] * 2) == ""
    assert compare.verdict([1.1] * 8) == "head is faster"
    assert "no problem" in compare.conclusion({})
    said = compare.conclusion({"digits": 0.8, "MNIST": 0.5})
    assert "SLOWER" in said
    assert "digits: 25.0% more time" in said
    assert "MNIST: 100.0% more time" in said


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="published sources have no .ci")
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_guard_goes_on_where_the_commit_is_missing(tmp_path):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "speed", tmp_path / ".ci")
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".ci" / "speed-base").write_text(f"# a comment\n{'0' * 40}\n")
    command = [tmp_path / ".ci" / "speed"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"commit {'0' * 40} is not in this clone" in done.stdout


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="published sources have no .ci")
def test_guard_names_one_commit():
    lines = (ROOT / ".ci" / "speed-base").read_text().splitlines()
    assert re.fullmatch("[0-9a-f]{40}", "\n".join(line for line in lines if line[:1] != "#"))


def test_sizes_of_caches(tool, tmp_path):
    caches = [("1", "Data", "32K"), ("1", "Instruction", "32K"), ("2", "Unified", "2048K"),
              ("3", "Unified", "105M")]  # fmt: skip
    for k, values in enumerate(caches):
        (tmp_path / f"index{k}").mkdir()
        for name, value in zip(("level", "type", "size"), values, strict=True):
            (tmp_path / f"index{k}" / name).write_text(f"{value}\n")
    bandwidth = tool("_bandwidth")
    assert bandwidth.cache_sizes(tmp_path) == {"L2": 2 * 2**20, "L3": 105 * 2**20}
    assert bandwidth.cache_sizes(tmp_path / "nowhere") == bandwidth.USUAL


def test_work_of_a_step(tool):
    """Counted once more, array by array."""
    roofline, problem = tool("roofline"), tool("_problems").PROBLEMS[0]
    n, d, h, c = problem.batch, *problem.units
    operations, moved, working_set = roofline.work(problem)
    forward, gradients, backward = n * d * h + n * h * c, n * d * h + n * h * c, n * h * c
    assert operations == 2 * (forward + gradients + backward)
    X, y = np.zeros((n, d)), np.zeros(n)
    params = [np.zeros((d, h)), np.zeros(h), np.zeros((h, c)), np.zeros(c)]
    copies = [a for a in params for _ in ("params", "grad", "first moment", "second moment")]
    assert moved == X.nbytes + 2 * sum(a.nbytes for a in copies)
    deltas = [np.zeros((n, h)), np.zeros((n, c))]
    assert working_set == sum(a.nbytes for a in copies + deltas + deltas)
    assert y.nbytes < moved / 100  # targets, which are not counted


def test_roofs(tool):
    roofline = tool("roofline")
    roofs = roofline.Roofs({"float32": 100.0}, {"L2": 200.0, "L3": 50.0, "memory": 10.0},
                           {"L2": 1000, "L3": 10_000})  # fmt: skip
    kinds = {"products": 3.0, "update": 0.5, "loss": 0.25, "outside": 0.25}
    task = roofline.Measured("a task", "float32", 40, 20, 1000, 4.0, kinds)
    assert roofs.level(task) == "L2"
    assert roofs.roof(task) == (100.0, "the peak")  # 400 from L2
    task = task._replace(working_set=1001)
    assert roofs.roof(task) == (100.0, "the peak")  # just so from L3
    task = task._replace(working_set=10_001)
    assert roofs.roof(task) == (20.0, "memory")
    said = roofline.sentence(roofs, task)
    assert "75% of a step are products" in said
    assert "update (12%) and loss (6%)" in said
    assert "bandwidth of memory" in said


def test_roofline_is_kept_and_drawn_again(tool, tmp_path):
    roofline, pages = tool("roofline"), tool("_pages")
    roofs = roofline.Roofs({"float32": 118.0, "float64": 59.0},
                           {"L2": 217.0, "L3": 134.0, "memory": 22.0},
                           {"L2": 2**20, "L3": 2**25})  # fmt: skip
    tasks = [
        roofline.Measured(
            p.name, p.dtype, *roofline.work(p), 1e-3, {"products": 8e-4, "loss": 2e-4}
        )
        for p in tool("_problems").PROBLEMS
    ]
    conditions = "Measured on 2000-01-01, the least of 5 fits: A Processor, 2 cores; versions."
    page = pages.page_of(tool("_processor").Processor("A Processor", "a"), tmp_path)
    roofline.update(roofs, tasks, conditions, page)
    written = {path.name: path.read_bytes() for path in page.parent.iterdir()}
    assert set(written) == {
        "a.md",
        "a-roofline.json",
        "a-roofline-light.svg",
        "a-roofline-dark.svg",
    }
    kept = roofline.read(pages.beside(page, "roofline.json"))
    assert kept == (roofs, tasks, conditions)
    roofline.update(*kept, page)
    assert {path.name: path.read_bytes() for path in page.parent.iterdir()} == written
    svg = written["a-roofline-light.svg"].decode()
    for text in ("peak: 118 GFLOP/s", "memory: 22 GB/s", "MNIST 784-128-10", "2000-01-01"):
        assert text in svg
    assert all(f"- **{task.name}**: 80%" in page.read_text() for task in tasks)


STEPS = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import _steps
from _problems import Problem
from adapters.sknet import Trainer

problem = Problem("data", (64, 24, 16, 10), 32, "float32", (3,))
random = np.random.default_rng(0)
X, y = random.normal(size=(140, 64)).astype("f4"), random.integers(10, size=140)
step = _steps.measure(problem, X, y, 1)
products = [call for call in step.calls if call.kind == "products"]
assert sum(call.flops for call in products) == problem.flops(problem.batch)
assert all(call.seconds >= 0 for call in step.calls)
kinds = step.by_kind()
assert {"products", "gather", "activation", "loss", "update"} <= set(kinds)
assert np.isclose(sum(kinds.values()), sum(c.seconds for c in step.calls) + step.outside)

# What is measured is the training that users get.
trainer = Trainer(problem, X, y, 1)
trainer.train(3)
alone = trainer.weights()
with _steps.watched() as watches:
    trainer.train(3)
assert watches
for a, b in zip(alone, trainer.weights()):
    for c, d in zip(a, b):
        np.testing.assert_array_equal(c, d)
print("done")
"""


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="only x86-64 has the counter"
)
@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") != "0", reason="plain Python cannot read the counter"
)
def test_steps_are_those_of_training():
    assert "done" in run_script(STEPS, BENCHMARKS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
def test_onemkl_multiplies(tool, dtype, transposed):
    onemkl = tool("_onemkl")
    library = onemkl.load()
    if library is None:
        pytest.skip("oneMKL is large: the package mkl comes with the extra bench")
    random = np.random.default_rng(0)
    A, B = random.normal(size=(7, 5)), random.normal(size=(5, 3))
    left = np.asfortranarray(A, dtype) if transposed else A.astype(dtype)
    C = np.full((7, 3), np.nan, dtype)
    onemkl.repeat_onemkl(library, dtype)(2, left, B.astype(dtype), C)
    # Sums of five terms: some rounding errors of the largest.
    assert_allclose(C, A @ B, atol=20 * np.finfo(dtype).eps)
