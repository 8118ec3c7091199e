"""How long each call of a training step takes, within real steps.

A program is a list of calls (see `sknet._engine.program`). While a network is fitted, each
call gets a neighbour on both sides that reads the processor's time stamp counter. The same
kernel then runs the same steps, so caches are as warm or as cold as they are in training.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numba
import numpy as np
from _problems import Problem
from _timing import seconds
from adapters.sknet import Trainer
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.program import Program, run_program

KINDS = {
    "product": "products",
    "csr_affine": "products",
    "csr_weight_gradient": "products",
    "gather": "gather",
    "forward": "activation",
    "backward": "activation",
    "link": "loss",
    "loss": "loss",
    "total": "loss",
    "update": "update",
    "step": "update",
    "decay": "update",
    "squared_norms": "update",
    "clipped_step": "update",
    "average": "update",
}
BIASES, OTHER, OUTSIDE = "gradients of b", "other calls", "outside"
ALL_KINDS = (*dict.fromkeys(KINDS.values()), BIASES, OTHER)


class Call(NamedTuple):
    """A call of a step, and how long it takes.

    Attributes
    ----------
    name : str
        Its role in the program.
    shapes : tuple of tuple of int
        Those of its arrays.
    seconds : float
        In one step, the reading of the counter taken off.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    seconds: float

    @property
    def kind(self) -> str:
        """The kind of work."""
        if self.name == "product" and self.shapes[0][0] == 1:  # a row of ones times delta
            return BIASES
        return KINDS.get(self.name, OTHER)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes m, k, n of a product, of the gathered rows, or of the largest array."""
        if self.name == "product":
            return (*self.shapes[0], self.shapes[1][1])
        return self.shapes[-1] if self.name == "gather" else max(self.shapes, key=math.prod)

    @property
    def flops(self) -> int:
        """The operations of a product; 0 for all other calls."""
        if self.name != "product":
            return 0
        return 2 * math.prod(self.sizes)


class Step(NamedTuple):
    """A step of training.

    Attributes
    ----------
    seconds : float
        Of a fit without any reading of the counter, divided by its steps.
    calls : list of Call
        In their order.
    outside : float
        Seconds outside of all calls: Python, and the kernel between two calls. They and those
        of the calls are of one fit, whose sum differs from `seconds` by what disturbed either.
    """

    seconds: float
    calls: list[Call]
    outside: float

    def by_kind(self) -> dict[str, float]:
        """Return the seconds of each kind of work that there is, those outside at the end."""
        sums = {kind: sum(c.seconds for c in self.calls if c.kind == kind) for kind in ALL_KINDS}
        return {**{kind: s for kind, s in sums.items() if s}, OUTSIDE: self.outside}


@intrinsic
def _clock(typing_context: Any) -> Any:
    """Return the time stamp counter."""

    def codegen(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(64), [])
        function = get_or_insert_function(builder.module, kind, "llvm.readcyclecounter")
        return builder.call(function, [])

    return types.int64(), codegen


@numba.njit
def _now():
    return _clock()


def meet(barrier, settings):
    """Note the time before a call, at place 0, or add what has passed since at another place.

    The name is that of a role which takes an array of integers to write to.
    """
    now = _clock()
    place = settings[0]
    if place > 0:
        barrier[place] += now - barrier[0]
    barrier[0] = _clock()
    return 0.0


def ticks_per_second(seconds: float = 0.2) -> float:
    """Return how fast the time stamp counter runs."""
    _now()
    start, first = perf_counter(), _now()
    while perf_counter() - start < seconds:
        pass
    last, end = _now(), perf_counter()
    return (last - first) / (end - start)


class Watch:
    """Puts the reading of the counter around each call of a program.

    Parameters
    ----------
    n_calls : int, default=1000
        Calls at most.
    """

    def __init__(self, n_calls: int = 1000) -> None:
        self.ticks = np.zeros(1 + n_calls, np.int64)
        self.calls: list[tuple[str, tuple[tuple[int, ...], ...]]] = []
        self._nowhere = np.zeros(1)

    def add(
        self,
        add: Callable[..., None],
        function: Callable[..., Any],
        *arrays: np.ndarray,
        **rest: Any,
    ) -> None:
        """Append a call by `add`, and what measures it."""
        if len(self.calls) == len(self.ticks) - 1:
            raise RuntimeError(f"a program has more than the {len(self.calls)} calls expected")
        self.calls.append((function.__name__, tuple(array.shape for array in arrays)))
        add(meet, self.ticks, np.zeros(1, np.int64), result=self._nowhere)
        add(function, *arrays, **rest)
        add(meet, self.ticks, np.array([len(self.calls)]), result=self._nowhere)

    def taken(self) -> np.ndarray:
        """Return the ticks of each call so far."""
        return self.ticks[1 : 1 + len(self.calls)]

    def total(self) -> int:
        """Return the ticks of all calls."""
        return int(self.taken().sum())


def ticks_of_nothing(dtype: str, n: int = 1000) -> float:
    """Return the ticks that two readings count with nothing between them."""
    program, like = Program(np.dtype(dtype)), np.zeros(1, dtype)
    ticks, nowhere = np.zeros(2, np.int64), np.zeros(1)
    for place in (0, 1):
        program.add(meet, ticks, np.array([place]), result=nowhere)
    instructions = program.finish().instructions
    best = float("inf")
    for _ in range(n):
        ticks[:] = 0
        run_program(instructions, 2, like)
        best = min(best, float(ticks[1]))
    return best


@contextmanager
def watched() -> Iterator[dict[int, tuple[Program, Watch]]]:
    """Measure all programs that are put together meanwhile."""
    original = Program.add
    watches: dict[int, tuple[Program, Watch]] = {}  # programs stay alive, so no id is used twice

    def add(self: Program, *arguments: Any, **rest: Any) -> None:
        _, watch = watches.setdefault(id(self), (self, Watch()))
        watch.add(partial(original, self), *arguments, **rest)

    Program.add = add  # type: ignore[method-assign]
    try:
        yield watches
    finally:
        Program.add = original  # type: ignore[method-assign]


def measure(problem: Problem, X: np.ndarray, y: np.ndarray, repeats: int) -> Step:
    """Return how long a step and its calls take, in the fastest of several fits of each kind.

    Fits have one thread and as many epochs as the longest training of the problem. Rows
    beyond the last whole minibatch are left out.
    """
    if PYTHON_MODE or platform.machine() not in ("x86_64", "AMD64"):
        raise SystemExit("error: this reads the time stamp counter of x86-64, in compiled code")
    rows = len(X) - len(X) % problem.batch
    if rows == 0:
        raise SystemExit(f"error: a batch of {problem.batch} rows needs more than {len(X)} rows")
    trainer, epochs = Trainer(problem, X[:rows], y[:rows], 1), problem.epochs[-1]
    n_steps = epochs * (rows // problem.batch)
    nothing, speed = ticks_of_nothing(problem.dtype), ticks_per_second()
    trainer.train(1)  # compiles
    with watched():
        trainer.train(1)  # compiles what reads the counter
    whole, parts = [], []
    for _ in range(repeats):
        whole.append(seconds(lambda: trainer.train(epochs))[0] / n_steps)
        with watched() as watches:
            taken = seconds(lambda: trainer.train(epochs))[0] / n_steps
        parts.append((taken, max((watch for _, watch in watches.values()), key=Watch.total)))
    taken, watch = min(parts, key=lambda part: part[0])
    per_step = watch.taken() / n_steps
    ran = per_step > 0  # a program also has calls for other sizes of minibatches
    inside = np.maximum(per_step - nothing, 0) / speed
    calls = [
        Call(*call, float(s)) for call, s, r in zip(watch.calls, inside, ran, strict=True) if r
    ]
    readings = 2 * nothing * ran.sum() / speed  # one is within what is counted, one outside
    return Step(min(whole), calls, float(taken - inside.sum() - readings))
