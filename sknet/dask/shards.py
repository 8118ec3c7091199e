"""The shards of a fit on their workers: where they are, calls to all of them, lost workers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from sknet.dask.plan import PartitionFacts, Plan
from sknet.dask.shard import Shard
from sknet.estimators.base import BaseMLP
from sknet.estimators.user_warnings import warn_user

# Seconds between two looks at which workers are alive, while an answer is waited for.
LOOK_SECONDS = 0.5

# A nanny starts a new worker for a lost one. So many seconds are given to it.
RESTART_SECONDS = 20.0

# After so many losses without a complete answer in between, something kills every worker.
MAX_LOSSES_IN_A_ROW = 5

_MISSING = object()


class Placed(NamedTuple):
    """A shard on its worker.

    Attributes
    ----------
    address : str
        Of the worker.
    partitions : tuple of int
        Numbers of the partitions that it holds, in their order.
    actor : object
        Dask's proxy of the :class:`~sknet.dask.shard.Shard`.
    future : object
        Keeps the actor alive.
    """

    address: str
    partitions: tuple[int, ...]
    actor: Any
    future: Any

    @property
    def key(self) -> str:
        """The name by which Dask knows the actor."""
        return self.future.key


class _LostError(Exception):
    """Workers that were needed are gone."""


class Shards:
    """The shards of a fit. If a worker is lost, its rows are loaded again elsewhere.

    Use it as a context manager: at the end of the block, the workers let go of the rows.

    Parameters
    ----------
    client : distributed.Client
    kind : type
        MLPClassifier or MLPRegressor.
    partitions : list of Delayed
        As :func:`~sknet.dask.partitions.partitions_of` returns them.
    timeout : float
        Seconds to wait for an answer of a worker, or for a worker at all.
    """

    def __init__(
        self, client: Any, kind: type[BaseMLP], partitions: Sequence[Any], timeout: float
    ) -> None:
        self.client, self.kind, self.timeout = client, kind, timeout
        self.partitions = partitions
        self.placed: list[Placed] = []
        self.facts: dict[int, PartitionFacts] = {}
        self.plan: Plan | None = None
        self.lost_workers: list[str] = []
        self._examined: set[str] = set()
        self._weights: dict[str, float] = {}
        self._nannies: dict[str, Any] = {}
        self._losses_in_a_row = 0
        self._offsets = np.zeros(1, np.int64)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.placed = []

    @property
    def weights(self) -> list[float]:
        """The sum of weights of each shard."""
        return [self._weights[placed.key] for placed in self.placed]

    # What training asks for.

    def load(self) -> list[PartitionFacts]:
        """Load all partitions into the memory of the workers, and return what is known of them."""
        self._keep_trying(lambda: self._place(range(len(self.partitions))))
        self._keep_trying(self._complete)
        facts = [self.facts[number] for number in sorted(self.facts)]
        self._offsets = np.cumsum([0, *(part.n_rows for part in facts)])
        return facts

    def prepare(self, plan: Plan) -> list[float]:
        """Give the plan of training to all shards, and return the sums of their weights."""
        self.plan = plan
        self._keep_trying(self._complete)
        return self.weights

    def call(
        self, method: str, arguments: Callable[[], Sequence[tuple[Any, ...] | None]]
    ) -> list[Any]:
        """Call a method of the shards at the same time, and return their answers.

        If a worker is lost meanwhile, its rows are loaded again and all calls are made
        again: shards keep no state of the training.

        Parameters
        ----------
        method : str
        arguments : callable
            Returns the arguments for each shard, or None for one that is left out.
            It is called again after a loss, when shards have other rows.
        """

        def attempt() -> list[Any]:
            self._complete()
            pairs = zip(self.placed, arguments(), strict=True)
            return self._ask(method, [(placed, own) for placed, own in pairs if own is not None])

        return self._keep_trying(attempt)

    def local_rows(self, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return for each shard which of the rows it has: their positions, and its own numbers.

        Parameters
        ----------
        rows : ndarray of int64 of shape (n_rows,)
            Numbers of rows of the whole collection.
        """
        owners = np.empty(len(self.partitions), np.int64)
        starts = np.empty(len(self.partitions), np.int64)
        for i, placed in enumerate(self.placed):
            numbers = list(placed.partitions)
            sizes = [self.facts[number].n_rows for number in numbers]
            owners[numbers] = i
            starts[numbers] = np.cumsum([0, *sizes[:-1]])
        partition = np.searchsorted(self._offsets, rows, side="right") - 1
        own = rows - self._offsets[partition] + starts[partition]
        owner = owners[partition]
        order = np.argsort(owner, kind="stable")
        cuts = np.searchsorted(owner[order], np.arange(1, len(self.placed), dtype=np.int64))
        return [(positions, own[positions]) for positions in np.split(order, cuts)]

    # Losses.

    def _keep_trying(self, attempt: Callable[[], Any]) -> Any:
        """Return what a function returns, and call it again after each loss of a worker."""
        while True:
            try:
                result = attempt()
            except _LostError:
                self._forget_lost()
                self._losses_in_a_row += 1
                if self._losses_in_a_row > MAX_LOSSES_IN_A_ROW:
                    raise RuntimeError(
                        f"Workers were lost {self._losses_in_a_row} times in a row. Perhaps the "
                        "rows of a shard need more memory than a worker has: see the workers' "
                        "logs, and give more workers."
                    ) from None
            else:
                self._losses_in_a_row = 0
                return result

    def _forget_lost(self) -> None:
        """Take lost shards from the list, tell the user, and wait for workers to take over."""
        alive = self._alive()
        lost = sorted({placed.address for placed in self.placed} - alive)
        self.placed = [placed for placed in self.placed if placed.address in alive]
        self.lost_workers += lost
        if lost:
            warn_user(
                f"{' and '.join(lost)}: this worker was lost. Its rows are loaded again by other "
                "workers. The fit goes on from the last synchronised state."
            )
        n_expected = len(alive) + sum(self._nannies.get(address) is not None for address in lost)
        deadline = monotonic() + min(RESTART_SECONDS, self.timeout)
        while len(self._alive()) < n_expected and monotonic() < deadline:
            self._pause()

    def _complete(self) -> None:
        """Place all partitions that have no shard, and bring all shards up to date."""
        placed = {number for shard in self.placed for number in shard.partitions}
        missing = set(range(len(self.partitions))) - placed
        if missing:
            self._place(sorted(missing))
        new = [shard for shard in self.placed if shard.key not in self._examined]
        for shard, answer in zip(new, self._ask("examine", [(s, ()) for s in new]), strict=True):
            for facts in answer:
                before = self.facts.setdefault(facts.number, facts)
                if before.n_rows != facts.n_rows:
                    raise RuntimeError(
                        f"Partition {facts.number} had {before.n_rows} rows, and has "
                        f"{facts.n_rows} after its worker was lost and it was computed again. The "
                        "collection must give the same rows each time."
                    )
            self._examined.add(shard.key)
        if self.plan is not None:
            new = [shard for shard in self.placed if shard.key not in self._weights]
            weights = self._ask("prepare", [(shard, (self.plan,)) for shard in new])
            self._weights.update(zip((shard.key for shard in new), weights, strict=True))

    # Dask.

    def _place(self, numbers: Iterable[int]) -> None:
        """Compute partitions where Dask chooses to, and make one shard on each of these workers."""
        numbers = list(numbers)
        self._wait_for_workers()
        futures = dict(
            zip(numbers, self.client.compute([self.partitions[i] for i in numbers]), strict=True)
        )
        self._wait(list(futures.values()))
        where = self.client.who_has(list(futures.values()))
        alive = sorted(self._alive())
        held = dict.fromkeys(alive, 0)
        for placed in self.placed:
            held[placed.address] = held.get(placed.address, 0) + len(placed.partitions)
        groups: dict[str, list[int]] = defaultdict(list)
        for number, future in futures.items():
            addresses = [address for address in where.get(future.key, ()) if address in held]
            if not addresses:
                raise _LostError
            groups[min(addresses, key=lambda a: (held[a], a))].append(number)
            held[min(addresses, key=lambda a: (held[a], a))] += 1
        self._even_out(groups, held)
        self._nannies.update(self.client.run_on_scheduler(_nannies))
        made = {}
        for address, own in sorted(groups.items()):
            made[address] = (
                own,
                self.client.submit(
                    Shard,
                    self.kind,
                    {number: futures[number] for number in sorted(own)},
                    actor=True,
                    workers=[address],
                    allow_other_workers=False,
                    pure=False,
                ),
            )
        self._wait([future for _, future in made.values()], set(made))
        for address, (own, future) in made.items():
            actor = self._result(future, {address})
            self.placed.append(Placed(address, tuple(sorted(own)), actor, future))
        self.placed.sort(key=lambda placed: placed.partitions)

    @staticmethod
    def _even_out(groups: dict[str, list[int]], held: dict[str, int]) -> None:
        """Move partitions from the workers that have most to those that have least."""
        while True:
            least = min(held, key=lambda address: (held[address], address))
            most = max(groups, key=lambda address: (held[address] * bool(groups[address]), address))
            if held[most] - held[least] < 2 or not groups[most]:
                break
            groups.setdefault(least, []).append(groups[most].pop())
            held[most] -= 1
            held[least] += 1
        for address in [address for address, own in groups.items() if not own]:
            del groups[address]

    def _ask(self, method: str, calls: Sequence[tuple[Placed, tuple[Any, ...]]]) -> list[Any]:
        """Call a method of shards at the same time, and return the answers of all."""
        if not calls:
            return []
        try:
            pending = [getattr(placed.actor, method)(*arguments) for placed, arguments in calls]
        except RuntimeError as error:  # Dask knows of the loss already
            self._check_connection()
            raise _LostError from error
        answers: list[Any] = [_MISSING] * len(calls)
        deadline = monotonic() + self.timeout
        while True:
            self.client.sync(_gather, pending, answers, LOOK_SECONDS)
            waiting = [i for i, answer in enumerate(answers) if answer is _MISSING]
            if not waiting:
                break
            alive = self._alive()
            if not {calls[i][0].address for i in waiting} <= alive:
                raise _LostError
            if monotonic() > deadline:
                late = ", ".join(calls[i][0].address for i in waiting)
                raise TimeoutError(
                    f"No answer to '{method}' within timeout={self.timeout} seconds from {late}. "
                    "Look at the worker's log. If its shard only takes that long, increase "
                    "'timeout'."
                )
        results = []
        for answer in answers:
            if isinstance(answer, BaseException):  # of Dask, since shards return their errors
                self._check_connection()
                if {placed.address for placed, _ in calls} <= self._settled():
                    raise answer
                raise _LostError from answer
            result, failure = answer
            if failure is not None:
                raise failure
            results.append(result)
        return results

    def _settled(self) -> set[str]:
        """Return which workers are alive, after the scheduler had time to notice a loss."""
        self._pause()
        return self._alive()

    def _wait(self, futures: list[Any], addresses: set[str] | None = None) -> None:
        """Wait until futures are done. With addresses, these workers must stay alive."""
        from distributed import wait

        last_alive = monotonic()
        while True:
            try:
                done = wait(futures, timeout=LOOK_SECONDS)
            except TimeoutError:
                alive = self._alive()
                if addresses is not None and not addresses <= alive:
                    raise _LostError from None
                if alive:
                    last_alive = monotonic()
                elif monotonic() - last_alive > self.timeout:
                    raise self._no_workers() from None
                continue
            for future in done.done:
                if future.status != "finished":
                    self._result(future, addresses)  # raises the error
            return

    def _result(self, future: Any, addresses: set[str] | None) -> Any:
        """Return the result of a future that is done, or raise its error."""
        try:
            return future.result(timeout=self.timeout)
        except Exception:
            if addresses is not None and not addresses <= self._alive():
                raise _LostError from None
            raise

    def _alive(self) -> set[str]:
        self._check_connection()
        return set(self.client.nthreads())

    def _check_connection(self) -> None:
        if self.client.status != "running":
            raise ConnectionError(
                f"The connection to Dask's scheduler is lost: {self.client.status}."
            )

    def _wait_for_workers(self) -> None:
        deadline = monotonic() + self.timeout
        while not self._alive():
            if monotonic() > deadline:
                raise self._no_workers()
            self._pause()

    def _no_workers(self) -> TimeoutError:
        return TimeoutError(
            f"The cluster has no workers, and none came within timeout={self.timeout} seconds. "
            "The fit has ended. Start workers, and fit again."
        )

    def _pause(self) -> None:
        self.client.sync(asyncio.sleep, LOOK_SECONDS)


def _nannies(dask_scheduler: Any) -> dict[str, Any]:
    """Return the nanny's address of each worker, or None. Dask runs it on the scheduler."""
    return {address: worker.nanny for address, worker in dask_scheduler.workers.items()}


async def _gather(pending: Sequence[Any], answers: list[Any], seconds: float) -> None:
    """Wait for answers, and note those that come."""

    async def note(i: int) -> None:
        try:
            answers[i] = await pending[i]
        except Exception as error:
            answers[i] = error

    waiting = [i for i, answer in enumerate(answers) if answer is _MISSING]
    tasks = [asyncio.ensure_future(note(i)) for i in waiting]
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
