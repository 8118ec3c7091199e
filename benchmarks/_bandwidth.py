"""The caches of a core, and how fast data come from them and from memory."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numba
import numpy as np

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
USUAL = {"L2": 2**20, "L3": 2**25}  # where the system tells nothing
LARGEST = 2**29  # bytes that a measurement uses at most
MOVED = 2**28  # bytes to move in one measurement, so that it takes about a thousandth of a second
REPEATS = 30
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def cache_sizes(folder: Path = CACHES) -> dict[str, int]:
    """Return the bytes of L2 and L3, as Linux describes them."""
    sizes = dict(USUAL)
    for index in folder.glob("index*"):
        level, kind, size = (
            (index / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction" and f"L{level}" in sizes:
            sizes[f"L{level}"] = int(size.rstrip("KMG")) * UNITS.get(size[-1], 1)
    return sizes


@numba.njit
def _scale(x, factor, times):
    for _ in range(times):
        for i in range(x.size):
            x[i] *= factor


def bandwidth(n_bytes: int, repeats: int = REPEATS) -> float:
    """Return GB/s of a loop that reads and writes all of an array again and again.

    Both directions count, as they do for parameters and moments in a step. The best of
    several measurements is taken.
    """
    x = np.ones(n_bytes // 8)
    times = max(1, MOVED // (2 * n_bytes))
    _scale(x, 1.0, 1)
    best = float("inf")
    for _ in range(repeats):
        start = perf_counter()
        _scale(x, 1.0, times)
        best = min(best, (perf_counter() - start) / times)
    return 2 * x.nbytes / best / 1e9


def bandwidths(repeats: int = REPEATS) -> dict[str, float]:
    """Return GB/s of L2, L3 and memory.

    An array of half the L2 lives there, one between the sizes of L2 and L3 in L3, and
    one of several times the L3 in memory.
    """
    sizes = cache_sizes()
    between = int((sizes["L2"] * sizes["L3"]) ** 0.5)
    beyond = min(LARGEST, 4 * sizes["L3"])
    sought = {"L2": sizes["L2"] // 2, "L3": between, "memory": beyond}
    return {level: bandwidth(n_bytes, repeats) for level, n_bytes in sought.items()}
