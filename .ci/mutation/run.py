"""Mutation testing: change the source in one place, and see whether a test fails.

A mutant that no test notices is a line that no test checks. It survives. Either a test is missing,
or the change makes no difference: then the mutant belongs in `equivalent.toml`, with the reason.

Packages for this task start a process for each mutant, which takes seconds for the imports alone,
or wrap each function, which kernels do not allow: they are found by name and called by address.
Here pytest collects the tests once, and runs them once to see which of them reach which line. Then
each mutant gets a fork of that process. The fork gives one function its changed code and runs the
tests that reach it, the shortest first, up to the first failure. Only where a change is outside of
functions does the fork import the package anew.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from multiprocessing.connection import wait
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from mutants import Mutant, mutants

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OPTIONS = ["-q", "-o", "addopts=", "-p", "no:xdist", "-p", "no:cacheprovider", "-W", "ignore"]
# The limits of a mutant, in seconds: so many times what its tests take without a change, and so
# much more. The first limit is of processor time, which does not depend on what else runs.
FACTOR, EXTRA, MORE_THAN_CPU = 10, 10, 20
MEMORY = 8 << 30
KILLED, SURVIVED = 1, 0

fork = multiprocessing.get_context("fork")


def run_forks(jobs: Sequence[tuple[Callable[[], int], float]], n_jobs: int) -> list[bool]:
    """Run each function in a fork, with a limit of seconds; return which of them returned 0."""
    waiting = list(enumerate(jobs))[::-1]
    running: dict[Any, tuple[int, Any, float]] = {}
    results = [False] * len(jobs)
    while waiting or running:
        while waiting and len(running) < n_jobs:
            i, (function, limit) = waiting.pop()
            process = fork.Process(target=in_fork, args=(function, limit))
            process.start()
            running[process.sentinel] = i, process, time.monotonic() + limit * MORE_THAN_CPU
        first = min(deadline for _, _, deadline in running.values())
        wait(list(running), max(0.0, first - time.monotonic()))
        for sentinel, (i, process, deadline) in list(running.items()):
            if process.is_alive() and time.monotonic() < deadline:
                continue
            process.kill()
            process.join()
            results[i] = process.exitcode == 0
            del running[sentinel]
    return results


def in_fork(function: Callable[[], int], limit: float) -> None:
    """Run a function without output, and exit with what it returns."""
    seconds = int(time.process_time() + limit) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    code = KILLED
    try:
        code = function()
    finally:
        os._exit(code)


def arguments(target: dict[str, Any]) -> list[str]:
    """Return what pytest is called with."""
    without = [f"--deselect={name}" for name in target.get("without", [])]
    return [*OPTIONS, *without, "-k", target.get("keywords", ""), *target["tests"]]


class Session:
    """A plugin of pytest: runs the collected tests, then all mutants inside of functions.

    Parameters
    ----------
    target : dict
    found : list of Mutant
    n_jobs : int

    Attributes
    ----------
    survivors : list of Mutant
    outside : list of Mutant
        Those that need a new import.
    seconds : float
        What all tests take.
    """

    def __init__(self, target: dict[str, Any], found: list[Mutant], n_jobs: int) -> None:
        self.source, self.found, self.n_jobs = target["source"], found, n_jobs
        self.survivors: list[Mutant] = []
        self.outside: list[Mutant] = []
        self.seconds = 0.0

    def pytest_runtestloop(self, session: Any) -> bool:
        """Take the place of pytest's loop over the tests."""
        from coverage import Coverage

        items, path = session.items, str(ROOT / self.source)
        coverage = Coverage(data_file=None, include=[path], config_file=False)
        costs = {}
        coverage.start()
        for item, following in zip(items, [*items[1:], None], strict=True):
            coverage.switch_context(item.nodeid)
            start = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            costs[item.nodeid] = time.process_time() - start
        coverage.stop()
        self.seconds = sum(costs.values())
        if session.testsfailed:
            return True
        reached = coverage.get_data().contexts_by_lineno(path)

        jobs, tested = [], []
        for mutant in self.found:
            swap = swapped(mutant, module_name(self.source))
            names = {name for line in mutant.lines for name in reached.get(line, [])}
            chosen = [item for item in items if item.nodeid in names]
            if swap is None:
                self.outside.append(mutant)
            elif not chosen:
                self.survivors.append(mutant)
            else:
                chosen.sort(key=lambda item: costs[item.nodeid])
                limit = FACTOR * sum(costs[item.nodeid] for item in chosen) + EXTRA
                jobs.append((lambda swap=swap, chosen=chosen: run_items(swap, chosen), limit))
                tested.append(mutant)
        # Without a change all tests must pass in a fork, too: else the forks say nothing.
        limit = FACTOR * self.seconds + EXTRA
        control, *survived = run_forks(
            [(lambda: run_items(None, items), limit), *jobs], self.n_jobs
        )
        session.testsfailed += not control
        self.survivors += [m for m, lives in zip(tested, survived, strict=True) if lives]
        return True


def run_items(swap: tuple[FunctionType, CodeType] | None, items: list[Any]) -> int:
    """Run tests with another code in a function, up to the first failure."""
    if swap is not None:
        function, function.__code__ = swap
    session = items[0].session
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return KILLED
    return SURVIVED


def swapped(mutant: Mutant, module: str) -> tuple[FunctionType, CodeType] | None:
    """Return the function that a mutant changes and its new code, or None if there is none."""
    found: Any = sys.modules.get(module)
    for name in mutant.function.split("."):
        found = vars(found).get(name) if found is not None and mutant.function else None
    for name in ("__func__", "fget", "func", "__wrapped__"):
        found = getattr(found, name, found)
    if not isinstance(found, FunctionType):
        return None
    old = found.__code__
    for code in codes(mutant.code):
        is_same = (code.co_qualname, code.co_firstlineno) == (old.co_qualname, old.co_firstlineno)
        if is_same and code != old and code.co_freevars == old.co_freevars:
            return found, code
    return None


def codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all inside of it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def module_name(source: str) -> str:
    """Return the name that a source file is imported by."""
    return source.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


class Changed(SourceFileLoader):
    """Imports a module from the code of a mutant; also the finder that says so."""

    def __init__(self, source: str, code: CodeType) -> None:
        super().__init__(module_name(source), str(ROOT / source))
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        """Return what is executed."""
        return self.code

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Find this module alone."""
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)


def run_anew(target: dict[str, Any], code: CodeType) -> int:
    """Import a source file with another code, and run all tests up to the first failure."""
    import pytest

    sys.meta_path.insert(0, Changed(target["source"], code))
    return int(pytest.main(["-x", *arguments(target)]))


def survivors_of(target: dict[str, Any], found: list[Mutant], n_jobs: int) -> list[str]:
    """Return the changes of a target that no test notices."""
    os.environ["NUMBA_DISABLE_JIT"] = str(int(not target.get("compiled", False)))
    import hypothesis
    import numba  # noqa: F401  # forks share what is imported here
    import pytest
    import sklearn.neural_network  # noqa: F401

    hypothesis.settings.register_profile("mutation", database=None, deadline=None, derandomize=True)
    hypothesis.settings.load_profile("mutation")
    receiver, sender = fork.Pipe(duplex=False)
    log = tempfile.NamedTemporaryFile(mode="r+", prefix="mutation-", suffix=".log")  # noqa: SIM115

    def collect_and_run() -> None:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        session = Session(target, found, n_jobs)
        failed = pytest.main(arguments(target), plugins=[session])
        changes = [[m.change for m in part] for part in (session.survivors, session.outside)]
        sender.send((failed, *changes, session.seconds))

    process = fork.Process(target=collect_and_run)
    process.start()
    sender.close()
    try:
        failed, survivors, outside, seconds = receiver.recv()
    except EOFError:
        failed = 1
    process.join()
    if failed:
        log.seek(0)
        sys.exit(f"{target['source']}: its tests fail without a change\n{log.read()}")
    anew = [mutant for mutant in found if mutant.change in set(outside)]
    path = ROOT / target["source"]
    unchanged = compile(path.read_text(), str(path), "exec")
    limit = FACTOR * seconds + EXTRA
    jobs = [(lambda c=c: run_anew(target, c), limit) for c in [unchanged, *(m.code for m in anew)]]
    control, *survived = run_forks(jobs if anew else [], n_jobs) or [True]
    if not control:
        sys.exit(f"{target['source']}: its tests fail when the package is imported anew")
    return survivors + [m.change for m, lives in zip(anew, survived, strict=True) if lives]


def in_process_of_its_own(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fork, so that its imports end with it."""
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: sender.send(function(*arguments)))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        sys.exit(1)
    finally:
        process.join()


def main() -> int:
    """Run what the options say, and return 1 if a mutant survives that has no reason to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="only source files whose names contain one")
    parser.add_argument("--sample", type=float, default=1.0, help="this share of the mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at once")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    targets = tomllib.loads((HERE / "targets.toml").read_text())["target"]
    reasons = tomllib.loads((HERE / "equivalent.toml").read_text()).get("equivalent", [])

    n_wrong = 0
    for target in targets:
        source = target["source"]
        if options.files and not any(part in source for part in options.files):
            continue
        start = time.monotonic()
        found = mutants(ROOT / source)
        excused = {c for entry in reasons if entry["source"] == source for c in entry["mutants"]}
        gone = excused - {mutant.change for mutant in found}
        if options.sample < 1:
            n = round(options.sample * len(found))
            found = random.Random(options.seed).sample(found, n)
        survivors = in_process_of_its_own(survivors_of, target, found, options.jobs)
        new = [change for change in survivors if change not in excused]
        tested = excused & {mutant.change for mutant in found}
        killed = tested - set(survivors)
        print(
            f"{source}: {len(found)} mutants, {len(found) - len(survivors)} killed, "
            f"{len(survivors) - len(new)} equivalent, {len(new)} survive "
            f"({time.monotonic() - start:.0f} s)",
            flush=True,
        )
        for what, changes in [
            ("survives", new),
            ("is listed as equivalent but killed", sorted(killed)),
            ("is listed as equivalent but does not exist", sorted(gone)),
        ]:
            for change in changes:
                print(f"  {what}: {change}", flush=True)
            n_wrong += len(changes)
    return int(n_wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
