"""Scripts in processes of their own, for tests in which a crash or a hang is possible."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest


def run_script(script: str, *arguments: object, timeout: float = 120, **environment: str) -> str:
    """Run a Python script in a new process, and return what it prints.

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
    if process.returncode != 0:
        pytest.fail(f"The process ended with the code {process.returncode}.\n{out}\n{errors}")
    return out
