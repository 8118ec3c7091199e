"""Threads inside one fit or one prediction: started where they make it faster, never left behind.

Two rules hold whatever exception reaches the calling thread, Ctrl-C included. A
call returns only after all threads that it started have ended. A thread keeps
alive all memory that it works on.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import ceil
from queue import SimpleQueue
from time import perf_counter, sleep
from types import TracebackType
from typing import Any, Self

from joblib import cpu_count, effective_n_jobs

# With fewer floating-point operations in a step, some ten microseconds, threads would wait for each
# other longer than they work, and one thread runs alone.
MIN_STEP_FLOPS = 1e6

# With more than these, some milliseconds, several threads are used at once, without a trial.
SURE_STEP_FLOPS = 5e8

# With fewer in all, starting threads costs more than they save.
MIN_SHARED_FLOPS = 1e8

# A trial of a number of threads has so many operations, some five milliseconds. In less time, the
# waking of a thread and the noise of the machine would decide.
TRIAL_FLOPS = 5e8

# One step in so many is spent on trials of the slower number of threads: the cores of a busy or
# virtual machine change their speed.
RETRY_SHARE = 50

# Python handles signals between two calls of kernels only. A call should take about so many
# seconds, and the first one, whose speed is not known, does so many floating-point operations.
CALL_SECONDS, FIRST_CALL_FLOPS = 0.008, 1e8


class Pace:
    """How much a kernel may do before it returns to Python, which then handles signals.

    Parameters
    ----------
    flops : float
        Floating-point operations of one unit of work.
    """

    def __init__(self, flops: float) -> None:
        self.units = max(1, int(FIRST_CALL_FLOPS / max(flops, 1.0)))

    def record(self, units: int, seconds: float) -> None:
        """Choose the units of the next call by how long the last one took."""
        if units > 0 and seconds > 0:
            fitting = int(CALL_SECONDS * units / seconds)
            self.units = max(1, min(fitting, 2 * max(self.units, units)))


def n_threads_for(n_jobs: int | None) -> int:
    """Return the number of threads that `n_jobs` allows, never more than there are cores."""
    wanted = effective_n_jobs(n_jobs)
    return max(1, min(wanted, cpu_count())) if wanted > 1 else 1  # counting cores takes long


class _Worker:
    """One thread that runs functions, one after the other."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self.errors: SimpleQueue[BaseException | None] = SimpleQueue()
        self.was_started = self.has_ended = False

    def start(self) -> None:
        # Not threading.Thread: an exception of a signal handler inside Thread.start, or inside
        # Thread.join, leaves unknown whether the thread runs. Between this assignment and
        # the start of the thread Python handles no signal.
        self.was_started = True
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:
            self.has_ended = True
            raise

    def _run(self) -> None:
        # Debuggers and coverage ask the module threading to set their hooks in new threads.
        sys.settrace(threading.gettrace())
        sys.setprofile(threading.getprofile())
        try:
            while (task := self.tasks.get()) is not None:
                error = None
                try:
                    task()
                except BaseException as raised:
                    error = raised
                task = None  # frees what the task holds before the caller goes on
                self.errors.put(error)
        finally:
            self.has_ended = True


class Workers:
    """Threads that work beside the calling thread, which waits for them.

    Use it as a context manager: at the end of the block no thread runs.

    Parameters
    ----------
    n : int
        Number of threads in addition to the calling one.
    """

    _workers: Sequence[_Worker] = ()
    _release: Callable[[], None] | None = None

    def __init__(self, n: int) -> None:
        self._workers = [_Worker() for _ in range(n)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def run(
        self,
        own: Callable[[], Any],
        others: Sequence[Callable[[], Any]],
        release: Callable[[], None],
    ) -> Any:
        """Run functions at the same time, and return what the calling thread's own one returns.

        Parameters
        ----------
        own : callable
            Runs in the calling thread.
        others : sequence of callable
            Each runs in a thread of its own.
        release : callable
            Makes the others end soon. It is called if not all of them can run,
            or if an exception reaches the calling thread while they do.
        """
        workers = self._workers[: len(others)]
        for worker in workers:
            if not worker.was_started:
                worker.start()
        self._release = release

        def guarded(function: Callable[[], Any]) -> Callable[[], None]:
            def run() -> None:
                try:
                    function()
                except BaseException:
                    release()  # nobody may wait for this thread
                    raise

            return run

        for worker, function in zip(workers, others, strict=True):
            worker.tasks.put(guarded(function))
        result = own()
        errors = [worker.errors.get() for worker in workers]
        self._release = None
        for error in errors:
            if error is not None:
                raise error
        return result

    def close(self) -> None:
        """End all threads, and return when they have ended, whatever interrupts the wait."""
        interruption: BaseException | None = None
        while True:
            try:
                self._end()
                seconds = 0.0
                while any(w.was_started and not w.has_ended for w in self._workers):
                    sleep(seconds)
                    seconds = 0.0005
                break
            except BaseException as raised:
                interruption = raised
        if interruption is not None:
            raise interruption

    def _end(self) -> None:
        if self._release is not None:
            self._release()
        for worker in self._workers:
            worker.tasks.put(None)

    def __del__(self) -> None:
        """End all threads, if an exception has kept the block's end from doing so."""
        self._end()


class ThreadTeam(Workers):
    """Runs kernels on one thread or on several, whichever has been faster.

    Results do not depend on the choice: kernels give the same bits for any
    number of threads.

    Parameters
    ----------
    n_jobs : int or None
        As in joblib: None is 1 unless a joblib context says otherwise, -1 is
        all cores. Never more threads than cores are used.
    flops : float
        Floating-point operations of a step.
    """

    def __init__(self, n_jobs: int | None, flops: float) -> None:
        self.n_threads = n_threads_for(n_jobs) if flops >= MIN_STEP_FLOPS else 1
        super().__init__(self.n_threads - 1)
        self.is_sure = flops >= SURE_STEP_FLOPS
        self.trial_steps = ceil(TRIAL_FLOPS / max(flops, 1.0))
        # Seconds of a step with so many threads, and steps and seconds of trials under way.
        self.seconds: dict[int, float] = {}
        self._under_way: dict[int, tuple[int, float]] = {}
        self._is_trial, self._steps_since_trial = False, 0

    def schedule_steps(self, n_steps: int) -> Iterator[tuple[int, slice]]:
        """Yield how many threads are to run which steps of an epoch; `record` must follow each."""
        start = 0
        while start < n_steps:
            n_threads, n_more = self._next()
            stop = n_steps if self.n_threads == 1 else min(start + n_more, n_steps)
            yield n_threads, slice(start, stop)
            start = stop

    def _next(self) -> tuple[int, int]:
        """Return how many threads are to run the next steps, and how many steps at most."""
        until_trial = RETRY_SHARE * self.trial_steps - self._steps_since_trial
        untried = [n for n in (self.n_threads, 1) if n not in self.seconds]
        fastest = min(self.seconds, key=self.seconds.__getitem__, default=self.n_threads)
        self._is_trial = until_trial <= 0 or (len(untried) > 0 and not self.is_sure)
        if not self._is_trial:
            return fastest, until_trial
        tried = untried[0] if untried else max(self.seconds, key=self.seconds.__getitem__)
        return tried, self.trial_steps - self._under_way.get(tried, (0, 0.0))[0]

    def record(self, n_threads: int, n_steps: int, seconds: float) -> None:
        """Take note of how long steps took."""
        steps_before, seconds_before = self._under_way.pop(n_threads, (0, 0.0))
        n, total = steps_before + n_steps, seconds_before + seconds
        if n < self.trial_steps:
            self._under_way[n_threads] = n, total
        else:
            self.seconds[n_threads] = total / n
        if not self._is_trial:
            self._steps_since_trial += n_steps
        elif n >= self.trial_steps:
            self._steps_since_trial = 0


def map_row_blocks(
    prepare: Callable[[slice], Callable[[slice], None]],
    n: int,
    flops: float,
    n_jobs: int | None,
    block: int,
) -> None:
    """Call functions on consecutive parts of n rows, on several threads if that is faster.

    Parameters
    ----------
    prepare : callable
        Takes the rows of a thread, and returns the function that is called on
        one part of them after the other, in their order.
    n : int
        Number of rows.
    flops : float
        Floating-point operations of a row.
    n_jobs : int or None
        As for :class:`ThreadTeam`.
    block : int
        Each part has a multiple of so many rows. Only the last part of a thread may have fewer.
    """
    if n * flops < MIN_SHARED_FLOPS:
        prepare(slice(0, n))(slice(0, n))
        return
    n_threads = min(n_threads_for(n_jobs), n)
    is_abandoned = False

    def release() -> None:
        nonlocal is_abandoned
        is_abandoned = True

    def run(rows: slice) -> None:
        function, pace, start = prepare(rows), Pace(flops * block), rows.start
        while start < rows.stop and not is_abandoned:
            stop = min(start + pace.units * block, rows.stop)
            begin = perf_counter()
            function(slice(start, stop))
            pace.record(-(-(stop - start) // block), perf_counter() - begin)
            start = stop

    cuts = [n * k // n_threads for k in range(n_threads + 1)]
    first, *others = (slice(*pair) for pair in pairwise(cuts))
    with Workers(n_threads - 1) as workers:
        workers.run(partial(run, first), [partial(run, rows) for rows in others], release)
