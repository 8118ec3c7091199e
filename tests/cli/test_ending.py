"""Commands in a terminal, and what ends them before their time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from processes import run_in_terminal

from sknet._cli.output import replacing

needs_terminal = pytest.mark.skipif(
    sys.platform == "win32", reason="Python makes terminals on POSIX systems only"
)
SHORT = ["--hidden", "20", "30", "--learning-rates", "0.01", "--folds", "2", "--max-iter", "10"]
LONG = ["--hidden", "400,400", "500,500", "--learning-rates", "0.001", "0.002"]


@needs_terminal
def test_digits_with_two_processes_in_a_terminal():
    """The bar is not sent to the processes, which cannot take it, and nothing is printed over it.

    With ten epochs no fit converges.
    """
    code, text = run_in_terminal("-m", "sknet", "digits", *SHORT, "--n-jobs", 2, "--output", "")
    assert code == 0, text
    assert "2/2" in text
    assert "Warning" not in text
    assert "Both chose the same parameters: yes." in text


@needs_terminal
@pytest.mark.parametrize(
    ("moment", "grid", "n_jobs"),
    [("candidates x", LONG, 1), ("0/4", LONG, 2), ("sknet        ", SHORT, 1)],
    ids=["start", "scikit-learn", "sknet"],
)
def test_ctrl_c_ends_digits(moment, grid, n_jobs, tmp_path):
    """It ends the command and all its processes, although it only ends fits elsewhere."""
    figure = tmp_path / "figure.png"
    figure.write_bytes(b"old")
    command = ["digits", *grid, "--n-jobs", n_jobs, "--output", figure]
    # The whole search of the long grid takes minutes.
    code, text = run_in_terminal("-m", "sknet", *command, interrupt_at=moment, timeout=60)
    assert code == 130, text
    assert text.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in text
    assert "Warning" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    assert figure.read_bytes() == b"old"


@needs_terminal
def test_ctrl_c_ends_warmup(tmp_path):
    code, text = run_in_terminal(
        "-m", "sknet", "warmup", interrupt_at="identity", NUMBA_CACHE_DIR=str(tmp_path)
    )
    assert code == 130, text
    assert text.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in text
    # What was compiled before is whole. Numba writes to names that end so, and renames.
    assert not list(tmp_path.rglob("*.tmp.*"))


@needs_terminal
def test_a_dumb_terminal_gets_lines_of_progress():
    code, text = run_in_terminal("-m", "sknet", "digits", *SHORT, "--output", "", TERM="dumb")
    assert code == 0, text
    assert "scikit-learn: 1 of 2 candidates" in text
    assert "\x1b" not in text


def test_a_figure_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")

    def write(error):
        with replacing(path) as file:
            file.write(b"new")
            if error is not None:
                raise error

    for error in (OSError("disk full"), SystemExit(130)):
        with pytest.raises(type(error)):
            write(error)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]
    write(None)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="the system has no symbolic links")
def test_a_link_to_a_figure_stays_a_link(tmp_path):
    path, link = tmp_path / "figure.png", tmp_path / "link.png"
    path.write_bytes(b"old")
    link.symlink_to(path)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise on Windows")
def test_a_closed_pipe_ends_a_command_quietly():
    """As with ``| head -1``: the exit code is that of programs that SIGPIPE ends."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "sknet", "versions"], stdout=writing, stderr=subprocess.PIPE
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 141


def test_letters_that_the_encoding_lacks_are_escaped(tmp_path):
    """The encoding is that of many Windows terminals."""
    environment = {"PYTHONIOENCODING": "cp1252", "NUMBA_CACHE_DIR": str(tmp_path / "\u6570")}
    done = subprocess.run(
        [sys.executable, "-m", "sknet", "versions"],
        env={**os.environ, **environment},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b"\\u6570" in done.stdout
