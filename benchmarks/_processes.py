"""Processes that train in turn, each with a library, threads and cores of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np
from _data import MissingDataError, load_mnist
from _problems import Problem
from sklearn.datasets import load_digits

WORKER = Path(__file__).with_name("_worker.py")


class MissingLibraryError(Exception):
    """A process could not import its library."""


class FailedError(Exception):
    """A process ended before its time; the message has its last words."""


def environment(n_threads: int) -> dict[str, str]:
    """Return the environment that holds every library at so many threads.

    Some read it when they are imported, so that it must stand before a
    process starts.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    n = str(n_threads)
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), n)
    if n_threads == 1:
        limits["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return {**kept, **limits, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextmanager
def pinned(n_threads: int) -> Iterator[None]:
    """Keep this thread, and processes started meanwhile, on so many cores, where that is possible.

    Libraries look at their cores when they are imported, or earlier.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[-n_threads:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


class Child:
    """A process of its own that answers, in JSON, what it is asked.

    Parameters
    ----------
    script : path
    arguments : sequence of str
    n_threads : int
    variables : mapping of str to str
        More of its environment.
    """

    def __init__(
        self,
        script: Path,
        arguments: Sequence[str],
        n_threads: int,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._errors = TemporaryFile("w+")  # noqa: SIM115  as long as the process
        with pinned(n_threads):
            self._process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                env={**environment(n_threads), **(variables or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )

    def start(self, **arguments: Any) -> dict[str, Any]:
        """Let it prepare itself, and return what it says of itself. If that fails, it is ended.

        Raises
        ------
        MissingLibraryError
            If its library is not there.
        """
        try:
            about = self.ask("start", **arguments)
            if "missing" in about:
                raise MissingLibraryError(about["missing"])
        except BaseException:
            self.close()
            raise
        return about

    def ask(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Return what it answers.

        Raises
        ------
        FailedError
            If it has ended instead.
        """
        try:
            self._process.stdin.write(json.dumps([name, arguments]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise FailedError(self._errors.read()[-2000:].strip())
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Process(Child):
    """A library in a process of its own, ready to train.

    Parameters
    ----------
    library : str
        Module of `adapters`.
    problem : Problem
    file : path
        Data as `save` wrote it.
    n_threads : int
    variables : mapping of str to str
        More of its environment.
    """

    def __init__(
        self,
        library: str,
        problem: Problem,
        file: str | Path,
        n_threads: int,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.library = library
        self.problem = problem
        double = {"JAX_ENABLE_X64": "1"} if problem.dtype == "float64" else {}
        arguments = library, str(n_threads)
        super().__init__(WORKER, arguments, n_threads, {**double, **(variables or {})})
        self.about = self.start(problem=list(problem), file=str(file))

    def seconds_per_epoch(self, epochs: int) -> float:
        """Train that many epochs from fresh weights; return the seconds of one."""
        return self.ask("train", epochs=epochs)["seconds"] / epochs

    def finish(self) -> dict[str, float]:
        """Return `memory`, the peak in MB, and `accuracy` after the last training."""
        return self.ask("finish")


def save(problem: Problem, folder: str, data: str | None, most_rows: int | None) -> Path:
    """Put a problem's data into a file that all its processes read.

    Parameters
    ----------
    problem : Problem
    folder : str
    data : str or None
        Where MNIST is, as for `_data.load_mnist`.
    most_rows : int or None
        Take the first rows only.

    Raises
    ------
    MissingDataError
        If MNIST is wanted and nowhere to be found.
    """
    file = Path(folder) / f"{problem.data}-{problem.dtype}.npz"
    if not file.exists():
        if problem.data == "digits":
            X, y = load_digits(return_X_y=True)
            X = X / X.max()
        else:
            mnist = load_mnist(data, fetch=False)
            X, y = mnist.X_train, mnist.y_train
        rows = slice(most_rows)
        np.savez(file, X=X[rows].astype(problem.dtype), y=y[rows].astype(np.int64))
    return file


__all__ = [
    "Child",
    "FailedError",
    "MissingDataError",
    "MissingLibraryError",
    "Process",
    "environment",
    "pinned",
    "save",
]
