"""Threads inside one fit or one prediction: as many as pay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from joblib import cpu_count, effective_n_jobs

# Below this many floating-point operations in a step, some ten microseconds, the
# threads would meet more often than they work, and none but the first is tried.
LEAST_WORK = 1e6

# From this many on, some milliseconds, several threads come first, without asking
# whether they pay.
SURE_WORK = 5e8

# Below this many in all, starting threads costs more than they save.
LEAST_SHARED_OUT = 1e8

# The slower way is tried again for one part in so many of an epoch, or for one epoch in
# so many if it has but a FEW steps: cores of a busy or virtual machine change their minds.
TRY_AGAIN, FEW = 50, 16


class Team:
    """Runs kernels on one thread or on several, whichever has been faster.

    Results do not depend on the choice: kernels give the same bits for any
    number of threads.

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
        self.work = work
        self.n_epochs = 0
        # Seconds of a step, last time that it was so many threads'. The first time does
        # not count: it may have compiled, or started threads.
        self.seconds: dict[int, float] = {}
        self._began: set[int] = set()
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

    def rounds(self, n_steps: int) -> Iterator[tuple[int, slice]]:
        """Yield how many threads are to run which steps of an epoch, while `run` measures them."""
        if self.n_threads == 1:
            yield 1, slice(0, n_steps)
            return
        part = max(1, n_steps // TRY_AGAIN) if n_steps > FEW else n_steps
        tries = n_steps > FEW or self.n_epochs % TRY_AGAIN == 0 or len(self.seconds) == 1
        at = 0
        while at < n_steps:
            by_speed = sorted(self.seconds, key=self.seconds.__getitem__)
            n_threads, end = self.n_threads, at + part
            if len(by_speed) == 2:
                n_threads, end = (by_speed[1], end) if tries else (by_speed[0], n_steps)
                tries = False
            elif by_speed == [self.n_threads] and (self.n_epochs == 0 or not tries):
                end = n_steps
            elif 1 not in self.seconds and (by_speed or self.work < SURE_WORK):
                n_threads = 1
            yield n_threads, slice(at, min(end, n_steps))
            at = end
        self.n_epochs += 1

    def run(
        self,
        kernel: Callable[..., Any],
        seats: Sequence[Sequence[Any]],
        n_steps: int,
        *arguments: Any,
    ) -> Any:
        """Return what the kernel returns on the first seat.

        Parameters
        ----------
        kernel : callable
        seats : sequence of sequence
            For each thread the kernel's last arguments.
        n_steps : int
            How many steps that is.
        *arguments : object
            Its other arguments.
        """
        first, *others = seats
        if self.n_threads == 1:
            return kernel(*arguments, *first)
        start = perf_counter()
        futures: list[Future[Any]] = []
        try:
            if self._pool is not None:
                futures = [self._pool.submit(kernel, *arguments, *seat) for seat in others]
            result = kernel(*arguments, *first)
        finally:
            wait(futures)  # they work on the same arrays: never leave them behind
        if len(seats) in self._began:
            self.seconds[len(seats)] = (perf_counter() - start) / n_steps
        self._began.add(len(seats))
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
