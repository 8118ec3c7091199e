"""The script that type checkers read also runs. That it passes them is checked by pre-commit."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_script_runs(capsys):
    runpy.run_path(str(Path(__file__).parent / "typing" / "script.py"), run_name="__main__")
    assert "log_loss" in capsys.readouterr().out
