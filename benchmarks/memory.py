"""How much memory a fit or a prediction takes beside its data.

Usage::

    python benchmarks/memory.py                         # X of 256 MB
    python benchmarks/memory.py --megabytes 1000
    python benchmarks/memory.py --only "lbfgs" memmap --library sklearn

Each case runs in a process of its own, after a small call of the same kind that compiles. The
first figure is the highest growth of anonymous memory (RssAnon, or the highest growth of the whole
process where the system does not tell), which a thread looks at all the time. X on disk does not
count towards it, X in memory was there before. The second figure is the highest memory of the
whole process by getrusage, X and libraries included.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from _timing import as_markdown

N_FEATURES, DENSITY, MEGABYTE = 500, 0.05, 10**6
SECONDS_BETWEEN_LOOKS = 0.002


def numbers(like: np.ndarray) -> None:
    """Overwrite an array by random numbers, a block of rows at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, len(like), 1000):
        block = like[start : start + 1000]
        block[...] = rng.random(block.shape) * 4


def in_memory(n_bytes: int, dtype: str, order: str) -> np.ndarray:
    """Return X in memory."""
    n = n_bytes // (np.dtype(dtype).itemsize * N_FEATURES)
    X = np.empty((n, N_FEATURES), dtype, order)
    numbers(X)
    return X


def on_disk(n_bytes: int, dtype: str, folder: str) -> np.ndarray:
    """Return X on disk."""
    file, n = Path(folder, f"{n_bytes}.npy"), n_bytes // (np.dtype(dtype).itemsize * N_FEATURES)
    X = np.lib.format.open_memmap(file, "w+", dtype, (n, N_FEATURES))
    numbers(X)
    X.flush()
    return np.load(file, mmap_mode="r")


def sparse(n_bytes: int, dtype: str, container: Any) -> Any:
    """Return X in compressed rows or columns."""
    per_row = int(DENSITY * N_FEATURES)
    n = n_bytes // ((np.dtype(dtype).itemsize + 4) * per_row)
    rng = np.random.default_rng(0)
    data = np.empty((n, per_row), dtype)
    numbers(data)
    indices = np.empty((n, per_row), np.int32)
    step = N_FEATURES // per_row
    for j in range(per_row):
        indices[:, j] = rng.integers(step * j, step * (j + 1), n, dtype=np.int32)
    indptr = np.arange(n + 1, dtype=np.int32) * per_row
    X = sp.csr_array((data.reshape(-1), indices.reshape(-1), indptr), shape=(n, N_FEATURES))
    return container(X)


Make = Callable[[int, str], Any]
DATA: dict[str, Make] = {
    "memmap float32": lambda n_bytes, folder: on_disk(n_bytes, "f4", folder),
    "memmap float64": lambda n_bytes, folder: on_disk(n_bytes, "f8", folder),
    "memmap uint8": lambda n_bytes, folder: on_disk(n_bytes, "u1", folder),
    "float32": lambda n_bytes, folder: in_memory(n_bytes, "f4", "C"),
    "float32 by columns": lambda n_bytes, folder: in_memory(n_bytes, "f4", "F"),
    "uint8": lambda n_bytes, folder: in_memory(n_bytes, "u1", "C"),
    "bool": lambda n_bytes, folder: in_memory(n_bytes, "?", "C"),
    "CSR float32": lambda n_bytes, folder: sparse(n_bytes, "f4", sp.csr_array),
    "CSC float32": lambda n_bytes, folder: sparse(n_bytes, "f4", sp.csc_array),
}

ADAM = {"max_iter": 2}
LBFGS = {"max_iter": 2, "solver": "lbfgs"}
STOPPING = {"early_stopping": True}
BY_LOSS = {**STOPPING, "scoring": "loss"}  # a parameter that scikit-learn does not have
# Data and parameters; None predicts.
CASES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "adam, memmap float32": ("memmap float32", ADAM),
    "adam, memmap float64": ("memmap float64", ADAM),
    "adam, memmap float32, early stopping": ("memmap float32", {**ADAM, **STOPPING}),
    "adam, memmap float32, early stopping by loss": ("memmap float32", {**ADAM, **BY_LOSS}),
    "adam, memmap uint8, early stopping": ("memmap uint8", {**ADAM, **STOPPING}),
    "adam, float32": ("float32", ADAM),
    "adam, float32, early stopping": ("float32", {**ADAM, **STOPPING}),
    "adam, float32 by columns": ("float32 by columns", ADAM),
    "adam, uint8": ("uint8", ADAM),
    "adam, bool": ("bool", ADAM),
    "adam, CSR float32": ("CSR float32", ADAM),
    "adam, CSR float32, early stopping": ("CSR float32", {**ADAM, **STOPPING}),
    "adam, CSC float32": ("CSC float32", ADAM),
    "lbfgs, memmap float32": ("memmap float32", LBFGS),
    "lbfgs, memmap float32, early stopping": ("memmap float32", {**LBFGS, **STOPPING}),
    "lbfgs, memmap float64": ("memmap float64", LBFGS),
    "lbfgs, memmap uint8": ("memmap uint8", LBFGS),
    "lbfgs, CSR float32": ("CSR float32", LBFGS),
    "predict, memmap float32": ("memmap float32", None),
    "predict, memmap uint8": ("memmap uint8", None),
    "predict, CSR float32": ("CSR float32", None),
}


class Peak:
    """A thread that notes the highest anonymous memory of the process."""

    def __enter__(self) -> Peak:
        gc.collect()
        self.before = self.highest = anonymous()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            self.highest = max(self.highest, anonymous())

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.highest = max(self.highest, anonymous())

    @property
    def growth(self) -> int:
        """Bytes at the peak, beyond those before."""
        return self.highest - self.before


def anonymous() -> int:
    """Return the bytes of anonymous memory; the highest of all so far where it is not told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        return highest_of_all()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def highest_of_all() -> int:
    """Return the highest memory of the process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def n_bytes_of(X: Any) -> int:
    """Return the bytes of X."""
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sp.issparse(X) else X.nbytes


def measure(case: str, library: str, n_bytes: int, folder: str) -> dict[str, float]:
    """Run one case in this process."""
    if library == "sklearn":
        from sklearn.neural_network import MLPClassifier
    else:
        from sknet import MLPClassifier  # type: ignore[assignment]

    warnings.simplefilter("ignore")
    form, parameters = CASES[case]
    model = MLPClassifier((32,), **(parameters or ADAM), random_state=0)
    small = DATA[form](n_bytes // 100, folder)
    model.fit(small, np.arange(small.shape[0]) % 3)  # compiles
    model.predict(small)
    X = DATA[form](n_bytes, folder)
    y = np.arange(X.shape[0]) % 3
    start = time.perf_counter()
    with Peak() as peak:
        if parameters is None:
            model.predict(X)
        else:
            model.fit(X, y)
    return {
        "X": n_bytes_of(X),
        "peak": peak.growth,
        "whole": highest_of_all(),
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Measure all cases, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description="Memory of fits and predictions beside their data."
    )
    parser.add_argument("--megabytes", type=int, default=256, help="size of X (default: 256)")
    parser.add_argument("--only", nargs="+", default=[""], help="words that a case must contain")
    parser.add_argument("--library", choices=["sknet", "sklearn"], default="sknet")
    parser.add_argument("--folder", help="where to write X (default: one for temporary files)")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    n_bytes = options.megabytes * MEGABYTE
    if options.case:
        print(json.dumps(measure(options.case, options.library, n_bytes, options.folder)))
        return
    rows = []
    for case in CASES:
        if not all(word in case for word in options.only):
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            command = [sys.executable, __file__, "--case", case, "--folder", folder]
            command += ["--megabytes", str(options.megabytes), "--library", options.library]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode != 0:
            rows.append([case, "failed", "", "", "", ""])
            continue
        found = json.loads(run.stdout)
        megabytes = [f"{found[name] / MEGABYTE:.1f}" for name in ("X", "peak", "whole")]
        share = f"{found['peak'] / found['X']:.1%}"
        rows.append(
            [case, megabytes[0], megabytes[1], share, megabytes[2], f"{found['seconds']:.1f}"]
        )
    print(as_markdown(["case", "MB of X", "MB beyond X", "share", "MB of process", "s"], rows))


if __name__ == "__main__":
    main()
