"""Members in threads: each is started in its turn, until time is up or the user interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Generic, TypeVar

Result = TypeVar("Result")

# How often the waiting thread looks for a signal, in seconds. On Windows none ends its wait.
TICK = 0.1


class Run(Generic[Result]):
    """Runs tasks in threads, and keeps the results of those that have ended.

    Parameters
    ----------
    tasks : sequence of callable
        Each takes an event, and should end soon once this is set.
    time_limit : float or None
        Seconds. A task is not started if it would probably end later, as long as the slowest one
        so far took. The first task is always started.
    began : float
        When the seconds began, by :func:`time.perf_counter`.
    """

    def __init__(
        self,
        tasks: Sequence[Callable[[threading.Event], Result]],
        time_limit: float | None,
        began: float,
    ) -> None:
        self._tasks, self._time_limit, self._began = tasks, time_limit, began
        self._results: dict[int, Result] = {}
        self._lock = threading.Lock()
        self._n_started = 0
        self._slowest = 0.0
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self.was_interrupted = False

    def results(self, n_threads: int) -> list[Result]:
        """Run the tasks, and return the results in their order.

        Parameters
        ----------
        n_threads : int

        Raises
        ------
        KeyboardInterrupt
            If the calling thread was interrupted before a task has ended. Later, an
            interrupt ends the run, and the results are those of the tasks that have
            ended.
        """
        from sknet._engine.threads import Workers

        n_threads = min(n_threads, len(self._tasks))
        ended = [threading.Event() for _ in range(n_threads)]
        try:
            # Also one thread is not the calling one, whose interrupts training would take as its
            # own.
            with Workers(n_threads) as workers:
                work = [lambda event=event: self._work(event) for event in ended]
                workers.run(lambda: self._wait(ended), work, self._stop.set)
        except KeyboardInterrupt:
            if not self._results:
                raise
            self.was_interrupted = True
        if self._errors:
            raise self._errors[0]
        return [result for _, result in sorted(self._results.items())]

    def _wait(self, ended: list[threading.Event]) -> None:
        for event in ended:
            while not event.wait(TICK):
                pass

    def _work(self, ended: threading.Event) -> None:
        try:
            while (i := self._next()) is not None:
                began = perf_counter()
                result = self._tasks[i](self._stop)
                with self._lock:
                    if not self._stop.is_set():
                        self._results[i] = result
                    self._slowest = max(self._slowest, perf_counter() - began)
        except BaseException as error:
            self._errors.append(error)
            self._stop.set()
        finally:
            ended.set()

    def _next(self) -> int | None:
        """Return the number of the task to start, or None if none is to be started."""
        with self._lock:
            i = self._n_started
            if i == len(self._tasks) or self._stop.is_set() or (i > 0 and self._is_late()):
                return None
            self._n_started += 1
            return i

    def _is_late(self) -> bool:
        if self._time_limit is None:
            return False
        return perf_counter() - self._began + self._slowest > self._time_limit
