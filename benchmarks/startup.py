"""What the first fit of a process costs: imports, and kernels compiled or read from the cache.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/startup.py
    python benchmarks/startup.py --epochs 200 --repeats 3
    python benchmarks/startup.py --compile     # what is compiled, and how long each takes

Every figure is that of a fresh process, its clock started by its first
statement. *Warm* means that an earlier process has filled Numba's cache,
*cold* that the cache is an empty folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from _timing import Table, machine, warn_of_environment
from sklearn.datasets import load_digits

DTYPES = ("float64", "float32")
MOST_SECONDS = 120  # a process that takes longer hangs: it says where, and ends
HANGS = f"import faulthandler; faulthandler.dump_traceback_later({MOST_SECONDS}, exit=True)"
CLOCK = "from time import perf_counter; start = perf_counter()"
STOP = "print(perf_counter() - start)"
FIT = """
import warnings
import numpy as np
from {package} import MLPClassifier
warnings.simplefilter("ignore")  # that one epoch is not enough
data = np.load({data!r})
MLPClassifier(max_iter={epochs}, random_state=0).fit(data["{dtype}"], data["y"])
"""


class Case(NamedTuple):
    """What a process does, and the case that it is compared with."""

    name: str
    code: str
    compared_with: str | None = None
    cold: bool = False


def cases(data: str, epochs: int) -> Iterator[Case]:
    """Yield all cases, those compared with after those that they are compared with."""
    base = "import sklearn.neural_network"
    yield Case(base, base)
    yield Case("import numba", "import numba")
    yield Case("import sknet", "import sknet", base)
    for dtype in DTYPES:
        codes = {
            package: FIT.format(package=package, data=data, epochs=epochs, dtype=dtype)
            for package in ("sklearn.neural_network", "sknet")
        }
        base = f"import and fit of scikit-learn, {dtype}"
        yield Case(base, codes["sklearn.neural_network"])
        yield Case(f"import and fit of sknet, {dtype}, warm", codes["sknet"], base)
        yield Case(f"import and fit of sknet, {dtype}, cold", codes["sknet"], base, cold=True)


def run(case: Case, cache: str) -> float:
    """Return the seconds that a fresh process takes over a case."""
    with tempfile.TemporaryDirectory() as empty:
        environment = {
            **os.environ,
            # pip compiles what it installs to bytecode, and Python a checkout when it is imported.
            "PYTHONDONTWRITEBYTECODE": "",
            "NUMBA_CACHE_DIR": empty if case.cold else cache,
            "OPENBLAS_NUM_THREADS": "1",  # threadpoolctl would take part in the measurement
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", f"{HANGS}\n{CLOCK}\n{case.code}\n{STOP}"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=2 * MOST_SECONDS,  # for what hangs outside Python
        )
    if done.returncode:
        sys.exit(f"{case.name} failed:\n{done.stderr}")
    return float(done.stdout)


def save_digits(folder: str) -> str:
    """Put the digits into a file that loads in next to no time, and return its name."""
    X, y = load_digits(return_X_y=True)
    file = Path(folder) / "digits.npz"
    np.savez(file, y=y, **{dtype: (X / X.max()).astype(dtype) for dtype in DTYPES})
    return str(file)


def package_times() -> list[float]:
    """Return when the package's files were last written."""
    origin = find_spec("sknet").origin
    return [file.stat().st_mtime for file in sorted(Path(origin).parent.glob("*.py"))]


def compare(repeats: int, epochs: int) -> None:
    """Print the table of all cases."""
    before = package_times()
    with tempfile.TemporaryDirectory() as folder:
        todo = list(cases(save_digits(folder), epochs))
        for case in todo:  # fills the cache, and the one of Python's bytecode
            run(case, folder)
        rounds = [{case.name: run(case, folder) for case in todo} for _ in range(repeats)]
    table = Table({"what": 42, "seconds": 7, "[min-max]": 13, "more than scikit-learn": 8})
    for case in todo:
        times = [taken[case.name] for taken in rounds]
        spread = f"[{min(times):.2f}-{max(times):.2f}]"
        more = ""
        if case.compared_with:
            extra = (taken[case.name] - taken[case.compared_with] for taken in rounds)
            more = f"{median(extra):+.2f}"
        table.add([case.name, f"{median(times):.2f}", spread, more])
    if package_times() != before:
        print("warning: files of sknet changed meanwhile, so that some warm runs had to compile")


@contextmanager
def recorded() -> Iterator[list[tuple[int, str, float, float]]]:
    """Collect what Numba compiles: depth, name, seconds, and those without what it called for.

    Functions that kernels call are compiled while the kernel is, hence the
    depth. Compilations come in the order in which they began.
    """
    from numba.core import event

    from sknet._engine import compilation

    entries: list[Any] = []
    running: list[tuple[int, float, list[float]]] = []

    def begin() -> None:
        running.append((len(entries), perf_counter(), []))
        entries.append(None)

    def end(name: str) -> None:
        place, start, inside = running.pop()
        taken = perf_counter() - start
        if running:
            running[-1][2].append(taken)
        entries[place] = (len(running), name, taken, taken - sum(inside))

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            begin()

        def on_end(self, event: Any) -> None:
            end(event.data["dispatcher"].py_func.__name__)

    plain = compilation._c_function

    def timed(function: Any, signature: Any, options: dict[str, Any]) -> Any:
        begin()
        try:
            return plain(function, signature, options)
        finally:
            end(f"{function.__module__}.{function.__qualname__} (part)")

    compilation._c_function = timed
    try:
        with event.install_listener("numba:compile", Listener()):
            yield entries
    finally:
        compilation._c_function = plain


def list_compilations() -> None:
    """Print what the first fit and the first prediction compile, for an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder  # read when Numba is imported, so before that
        from sknet import MLPClassifier

        warnings.simplefilter("ignore")  # that one epoch is not enough
        X, y = load_digits(return_X_y=True)
        for dtype in DTYPES:
            model = MLPClassifier(max_iter=1, n_iter_no_change=1, random_state=0)
            for method in ("fit", "predict"):
                with recorded() as entries:
                    start = perf_counter()
                    getattr(model, method)(X.astype(dtype), *([y] if method == "fit" else []))
                    total = perf_counter() - start
                print(f"\nfirst {method}, {dtype}: {total:.2f} s", flush=True)
                table = Table({"compiled": 56, "seconds": 7, "of its own": 7})
                for depth, name, taken, own in entries:
                    table.add(["  " * depth + name, f"{taken:.3f}", f"{own:.3f}"])


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="processes of each (default 5)")
    parser.add_argument("--epochs", type=int, default=1, help="of each fit (default 1)")
    parser.add_argument("--compile", action="store_true", help="list compilations instead")
    options = parser.parse_args()
    warn_of_environment()
    if options.compile:
        list_compilations()
        return
    print(f"{machine()}\none thread; medians of {options.repeats} fresh processes, run in turn")
    print(f"fit: digits, the estimator's defaults but max_iter={options.epochs}\n", flush=True)
    compare(options.repeats, options.epochs)


if __name__ == "__main__":
    main()
