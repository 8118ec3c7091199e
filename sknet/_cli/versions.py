"""The command ``versions``: the installed packages, the CPU, and where kernels are cached."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from joblib import cpu_count

from sknet import __version__
from sknet._engine.compilation import kernel
from sknet._engine.gemm import product
from sknet._network.prediction import predict_rows
from sknet._training.epoch import run_steps
from sknet.activations import Activation
from sknet.losses import Loss

PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "llvmlite", "joblib", "matplotlib", "rich")


def run() -> None:
    """Print one line for each package, one for the CPU and one for the cache."""
    folders = cache_folders()
    if folders:
        is_writable = all(os.access(folder, os.W_OK) for folder in folders)
        cache = f"in {os.path.commonpath(folders)} ({'' if is_writable else 'not '}writable)"
    else:
        cache = "nowhere; every process compiles them again"
    rows = (
        *installed_versions(),
        ("CPU", f"{_cpu_name()}, {cpu_count()} cores"),
        ("kernels cached", cache),
    )
    for name, value in rows:
        print(f"{name:16}{value}")


def installed_versions() -> Iterator[tuple[str, str]]:
    """Yield the name and version of sknet, of Python and of the installed dependencies.

    Yields
    ------
    tuple of (str, str)
    """
    yield "sknet", __version__
    yield "Python", platform.python_version()
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:  # an optional dependency
            continue


def cache_folders() -> list[Path]:
    """Return the folders in which Numba caches the compiled functions of this package.

    Numba uses one folder for each folder of source files. Therefore one function
    from each folder with compiled functions is asked where its cache is.

    Returns
    -------
    list of Path
        Empty if Numba caches nothing.
    """
    functions: list[Callable[..., Any]] = [product, Activation.forward, Loss.loss]
    paths = set()
    for dispatcher in (run_steps, predict_rows, *map(kernel, functions)):
        stats = getattr(dispatcher, "stats", None)  # None with NUMBA_DISABLE_JIT=1
        if stats is not None and stats.cache_path:
            paths.add(Path(stats.cache_path))
    return sorted(paths)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
