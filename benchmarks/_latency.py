"""How fast two cores hand over a cache line: what threads inside one fit hang on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter

import numba
import numpy as np

from sknet._engine.barrier import _load, _store

TURNS = 100_000
NANOSECONDS = 1e9


@numba.njit(nogil=True)
def _play(ball, player, turns):
    for turn in range(turns):
        while _load(ball, 0, 0) != 2 * turn + player:
            pass
        _store(ball, 0, 2 * turn + player + 1)


def ping_pong(repeats: int = 9) -> list[float]:
    """Return nanoseconds of one hand-over, several times measured, sorted."""
    _play(np.zeros(1, np.int64), 0, 0)
    taken = []
    with ThreadPoolExecutor(1) as other:
        for _ in range(repeats):
            ball = np.zeros(1, np.int64)
            answer = other.submit(_play, ball, 1, TURNS)
            start = perf_counter()
            _play(ball, 0, TURNS)
            taken.append((perf_counter() - start) / (2 * TURNS) * NANOSECONDS)
            answer.result()
    return sorted(taken)


def describe() -> str:
    """Return the latency in words."""
    taken = ping_pong()
    return (
        f"a cache line goes from core to core in {median(taken):.0f} ns "
        f"[{taken[0]:.0f}-{taken[-1]:.0f}]"
    )


if __name__ == "__main__":
    print(describe())
