"""Threads inside one fit or one prediction: as many as pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from joblib import cpu_count, effective_n_jobs

# Below this many floating-point operations in a step, some ten microseconds, the
# threads would meet more often than they work, and none but the first is tried.
LEAST_WORK = 1e6

# Below this many in all, starting threads costs more than they save.
LEAST_SHARED_OUT = 1e8

# Runs after which the slower way is tried again: cores of a busy or virtual machine
# change their minds.
TRY_AGAIN = 50


class Team:
    """Runs kernels on one thread or on several, whichever has been faster.

    Results do not depend on the choice: kernels give the same bits for any
    number of threads. The first run is on one thread, and compiles.

    Parameters
    ----------
    n_jobs : int or None
        As joblib has it: None is 1 unless a joblib context says more, -1 all
        cores. More than there are cores is never of use.
    work : float
        Floating-point operations between two meetings of the threads.
    """

    def __init__(self, n_jobs: int | None, work: float) -> None:
        wanted = min(effective_n_jobs(n_jobs), cpu_count()) if work >= LEAST_WORK else 1
        self.n_threads = max(1, wanted)
        self.n_runs = 0
        self.seconds: dict[int, float] = {}
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self.n_threads > 1:
            self._pool = ThreadPoolExecutor(self.n_threads - 1, "sknet")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def choose(self) -> int:
        """Return the number of threads of the next run."""
        untried = [n for n in (1, self.n_threads) if n not in self.seconds]
        if untried:
            return untried[0]
        by_speed = sorted(self.seconds, key=self.seconds.__getitem__)
        return by_speed[-1 if self.n_runs % TRY_AGAIN == 0 else 0]

    def run(
        self,
        kernel: Callable[..., Any],
        seats: Callable[[int], Sequence[Sequence[Any]]],
        *arguments: Any,
    ) -> Any:
        """Return what the kernel returns on the first of as many seats as it runs on.

        Parameters
        ----------
        kernel : callable
        seats : callable of int
            Returns for each of so many threads the kernel's last arguments.
        *arguments : object
            Its other ones.
        """
        n = self.choose()
        first, *others = seats(n)
        start = perf_counter()
        futures: list[Future[Any]] = []
        try:
            if self._pool is not None:
                futures = [self._pool.submit(kernel, *arguments, *seat) for seat in others]
            result = kernel(*arguments, *first)
        finally:
            wait(futures)  # they work on the same arrays: never leave them behind
        if self.n_runs > 0:  # the first run may have compiled
            self.seconds[n] = perf_counter() - start
        self.n_runs += 1
        return result


def share_out(function: Callable[[slice], None], n: int, work: float, n_jobs: int | None) -> None:
    """Call a function on parts of n rows, each part on a thread of its own if that pays.

    Parameters
    ----------
    function : callable
        Takes the rows as a slice.
    n : int
        How many rows there are.
    work : float
        Floating-point operations for each row.
    n_jobs : int or None
        As for :class:`Team`.
    """
    wanted = 1
    if n * work >= LEAST_SHARED_OUT:
        wanted = min(effective_n_jobs(n_jobs), cpu_count(), n)
    if wanted == 1:
        function(slice(0, n))
        return
    cuts = [n * k // wanted for k in range(wanted + 1)]
    with ThreadPoolExecutor(wanted, "sknet") as pool:
        list(pool.map(function, [slice(*pair) for pair in pairwise(cuts)]))
