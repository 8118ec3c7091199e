"""The command for mutation testing, on a small project whose gaps are known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sknet

TOOL = Path(sknet.__file__).parents[1] / ".ci" / "mutation"
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants run in forks"),
    pytest.mark.skipif(not TOOL.exists(), reason="a source distribution has no CI files"),
]
FILES = {
    "toy.py": '''
"""A module with 2 gaps."""
from __future__ import annotations
LIMIT = 3
class Box:
    def __init__(self, n: int | None = None) -> None:
        self.n = n
    @property
    def size(self) -> int:
        if self.n is None:
            raise ValueError(f"n is {self.n}" + "!")
        return self.n * 2
def clipped(x):
    return LIMIT if x > LIMIT else x
def unused(x):
    return not x
''',
    "test_toy.py": """
import pytest
from toy import Box, clipped
def test_box():
    assert Box(2).size == 4
    pytest.raises(ValueError, getattr, Box(), "size")
@pytest.mark.parametrize(("x", "expected"), [(1, 1), (5, 3)])
def test_clipped(x, expected):
    assert clipped(x) == expected
""",
    ".ci/mutation/targets.toml": """
[[target]]
source = "toy.py"
tests = ["test_toy.py"]
""",
    ".ci/mutation/equivalent.toml": """
[[equivalent]]
source = "toy.py"
reason = "Both values are the same at the boundary."
mutants = [
    "clipped: return LIMIT if x > LIMIT else x -> return LIMIT if x >= LIMIT else x",
    "clipped: return LIMIT if x > LIMIT else x -> return LIMIT if True else x",
    "clipped: this was another line -> pass",
]
""",
}


def run(root, *options):
    """Run the command in a project; return its exit code and lines without the time."""
    command = [sys.executable, ".ci/mutation/run.py", "--jobs", "2", *options]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode, [line.split(" (")[0] for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def project(tmp_path):
    shutil.copytree(TOOL, tmp_path / ".ci" / "mutation")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_survivors_are_found(project):
    """Those of functions, of code outside of them, and of lines that no test reaches.

    The annotations, the text of the error and the docstring are left alone. Of the other lines,
    LIMIT has 2 mutants, Box 9, clipped 5 and unused 2.
    """
    code, lines, errors = run(project)
    assert code == 1, errors
    unused = "unused: return not x -> return"
    assert sorted(lines) == sorted(
        [
            "toy.py: 18 mutants, 15 killed, 1 equivalent, 2 survive",
            f"  survives: {unused}",
            f"  survives: {unused} x",
            "  is listed as equivalent but killed: clipped: return LIMIT if x > LIMIT else x -> "
            "return LIMIT if True else x",
            "  is listed as equivalent but does not exist: clipped: this was another line -> pass",
        ]
    )


def test_tests_must_pass_without_a_change(project):
    test = project / "test_toy.py"
    test.write_text(test.read_text().replace("== 4", "== 5"))
    code, lines, errors = run(project)
    assert code == 1
    assert lines == []
    assert "its tests fail without a change" in errors
    assert "assert 4 == 5" in errors
