"""The child process of `_processes.py`: one library, one problem, trained whenever told to.

Reads a line of JSON from its input for each thing to do and answers with one.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from _problems import Problem, accuracy

LEAST_SECONDS = 0.05  # trainings that take less are repeated within a measurement


def peak_memory() -> float:
    """Return the largest resident size of this process so far, in MB; NaN where nobody knows."""
    try:  # getrusage would count the parent's size as well, from before the exec
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
    except (OSError, TypeError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class Worker:
    """What can be asked for, by method name.

    Parameters
    ----------
    library : str
        Module of `adapters`.
    n_threads : int
    """

    def __init__(self, library: str, n_threads: int) -> None:
        self.library, self.n_threads = library, n_threads

    def start(self, problem: list[Any], file: str) -> dict[str, Any]:
        """Import the library, prepare it, and train one epoch, in which it may compile."""
        try:
            module = importlib.import_module(f"adapters.{self.library}")
        except ImportError as error:
            return {"missing": f"{type(error).__name__}: {error}"}
        self.problem = Problem(*(tuple(v) if isinstance(v, list) else v for v in problem))
        with np.load(file) as arrays:
            self.X, self.y = arrays["X"], arrays["y"]
        before = peak_memory()
        self.trainer = module.Trainer(self.problem, self.X, self.y, self.n_threads)
        start = perf_counter()
        self.trainer.train(1)
        return {
            "version": module.version(),
            "before": before,
            "first": perf_counter() - start,
        }

    def train(self, epochs: int) -> dict[str, float]:
        """Train from fresh weights and return seconds, a mean where training is short."""
        start, taken, n = perf_counter(), 0.0, 0
        while taken < LEAST_SECONDS:
            self.trainer.train(epochs)
            taken, n = perf_counter() - start, n + 1
        return {"seconds": taken / n}

    def finish(self) -> dict[str, float]:
        """Return peak memory, and accuracy on the data trained on."""
        memory = peak_memory()
        return {"memory": memory, "accuracy": accuracy(self.trainer.weights(), self.X, self.y)}


def serve(worker: Any) -> None:
    """Answer what the input asks a worker for, until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print must not get between the answers
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(getattr(worker, name)(**arguments)), file=answers, flush=True)


if __name__ == "__main__":
    serve(Worker(sys.argv[1], int(sys.argv[2])))
