"""Scripts in processes of their own, for tests in which a crash or a hang is possible."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest


def run_script(
    script: str, *arguments: object, timeout: float = 120, code: int = 0, **environment: str
) -> str:
    """Run a Python script in a new process, and return what it prints.

    `code` is that with which the process must end, such as ``-signal.SIGKILL``.

    The test fails if the process crashes, raises, or does not end in time. It then
    shows where each thread of the process was.
    """
    __tracebackhide__ = True
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", script, *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OPENBLAS_NUM_THREADS": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler now writes the stacks of all threads
        try:
            out, errors = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
        pytest.fail(f"The process did not end within {timeout} s.\n{out}\n{errors}")
    if process.returncode != code:
        pytest.fail(f"The process ended with the code {process.returncode}.\n{out}\n{errors}")
    return out


IN_TERMINAL = """
import os, pty, sys

sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])) % 256)
"""


def run_in_terminal(
    *arguments: object, interrupt_at: str | None = None, timeout: float = 120, **environment: str
) -> tuple[int, str]:
    """Run Python in a terminal of its own, and return the exit code and what is shown.

    Ctrl-C is typed as soon as the terminal shows the text `interrupt_at`.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, sys.executable, *map(str, arguments)],
        env={**os.environ, "TERM": "xterm", "NUMBA_DISABLE_JIT": "0", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    shown = b""
    with process:
        while data := os.read(process.stdout.fileno(), 65536):
            shown += data
            if interrupt_at is not None and interrupt_at.encode() in shown:
                interrupt_at = None
                process.stdin.write(b"\x03")
                process.stdin.flush()
    was_in_time = timer.is_alive()
    timer.cancel()
    text = shown.decode(errors="replace")
    if not was_in_time:
        pytest.fail(f"The process did not end within {timeout} s.\n{text}")
    return process.returncode, text
