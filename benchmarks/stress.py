"""Signals and threads at random moments: no process may be lost, and no result may be wrong.

Usage::

    python benchmarks/stress.py                            # some minutes
    python benchmarks/stress.py --signals 2000 --loaded    # beside busy processes
    python benchmarks/stress.py --only "fit, alarm" "concurrent fits"

Each signal ends a call by an exception of its handler: an "alarm", of which the library knows
nothing, or an "interrupt" like Ctrl-C. Children of this script make the calls, some tens each, so
that a crash or a hang loses one child only. The table counts the outcomes:

    undisturbed     the call had ended before the signal came
    raised          the exception came through, and the earlier model is as it was, to the bit
    returned early  an interrupted fit kept its whole steps; its weights and counts agree
    right           a prediction is that of the old model or of the new one; fits end in a whole one
    refused         a call found a model of other widths, and said so
    wrong           anything else that a call gave
    crashed, hung   the process was lost

After each signal the same call once more must give the bits of an undisturbed one. The exit code
is 1 if anything was wrong, crashed or hung.
"""

from __future__ import annotations

import argparse
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from _processor import processor
from _timing import Table

from sknet import MLPClassifier

GOOD = ("undisturbed", "raised", "returned early", "right", "refused")
BAD = ("wrong", "crashed", "hung")
COLUMNS = {"what": 26, **{outcome: max(7, len(outcome)) for outcome in (*GOOD, *BAD)}}
CALLS = ("fit", "L-BFGS", "predict", "compile")
THREADED = ("predictions during fits", "concurrent fits")
PER_CHILD = {**dict.fromkeys(CALLS, 25), "compile": 3, **dict.fromkeys(THREADED, 1)}
TIMEOUT = 120  # seconds for a child on an idle machine; some ten times what a cold one takes


class Alarm(Exception):
    """What a handler raises that is not Ctrl-C."""


# The children.


class Timer:
    """A signal that comes once, after a delay from now or from the first step of training."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error, self.is_armed, self.delay_of_training = error, False, 0.0
        signal.signal(signal.SIGALRM, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        if self.is_armed:
            raise self.error

    def rate(self, fraction: float) -> float:
        """Keep the learning rate, and start the timer if it waits for training to begin."""
        if self.delay_of_training > 0:
            signal.setitimer(signal.ITIMER_REAL, self.delay_of_training)
            self.delay_of_training = 0.0
        return 1.0

    def disturb(self, call: Callable[[], Any], delay: float, delay_of_training: float) -> bool:
        """Make a call, and return whether the signal's exception came through."""
        try:
            try:
                self.delay_of_training, self.is_armed = delay_of_training, True
                signal.setitimer(signal.ITIMER_REAL, delay)
                call()
            finally:
                self.is_armed, self.delay_of_training = False, 0.0
                signal.setitimer(signal.ITIMER_REAL, 0)
        except self.error:
            return True
        except AttributeError as error:
            # scikit-learn's available_if takes any Exception for a method that is not there.
            if isinstance(error.__cause__, self.error):
                return True
            raise
        return False


class Problem(NamedTuple):
    """What a call works on, what the books say before and after it, and how long it takes."""

    earlier: bytes
    data: tuple[np.ndarray, np.ndarray]
    before: Any
    after: Any
    seconds: float


def books(model: Any) -> tuple[Any, ...]:
    """Return all weights and counts of a fitted model, to compare to the bit."""
    weights = [w.tobytes() for w in (*model.coefs_, *model.intercepts_)]
    return weights, list(model.loss_curve_), model.n_iter_, model.t_, model.best_loss_


def problems(call: str, timer: Timer) -> list[Problem]:
    """Return two networks: in the first, threads pay little, in the second one much."""
    rng = np.random.default_rng(0)
    X, y = rng.random((2000, 784), dtype=np.float32), rng.integers(10, size=2000)
    found = []
    for hidden, batch, n_rows in ((256, 100, 2000), (512, 500, 1500)):
        # Rows in their order, so that a pass may go on in the middle.
        model = MLPClassifier(
            (hidden,), batch_size=batch, max_iter=1, random_state=0, n_jobs=2, shuffle=False,
            learning_rate=timer.rate,
        )  # fmt: skip
        if call == "L-BFGS":
            model.set_params(solver="lbfgs", max_iter=3)
            n_rows //= 5
        data = X[:n_rows], y[:n_rows]
        model.fit(X[:600], y[:600])
        earlier, before = pickle.dumps(model.set_params(learning_rate="constant")), books(model)
        make(call, model, data, X)
        start = perf_counter()
        make(call, model, data, X)
        taken = perf_counter() - start
        after = model.predict_proba(X).tobytes() if call == "predict" else books(model)
        found.append(Problem(earlier, data, before, after, taken))
    return found


def make(call: str, model: Any, data: tuple[np.ndarray, np.ndarray], X: np.ndarray) -> Any:
    """Make a call."""
    return model.predict_proba(X) if call == "predict" else model.fit(*data)


def signals(call: str, error: type[BaseException], seed: int, n_signals: int) -> Iterator[str]:
    """Yield the outcome of each signal."""
    random, timer = np.random.default_rng(seed), Timer(error)

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(random.uniform(np.log(low), np.log(high))))

    X = np.random.default_rng(0).random((2000, 784), dtype=np.float32)
    cases = problems(call, timer)
    for _ in range(n_signals):
        case = cases[int(random.integers(2))]
        model = pickle.loads(case.earlier)
        if call == "fit":
            model.set_params(learning_rate=timer.rate)
        # At any time, or early in the call, or where training begins and threads start.
        moment = int(random.integers(4 if call == "fit" else 2))
        late = 1.2 * case.seconds * random.random()
        delay = [late, log_uniform(2e-4, 1.5e-2), 0.0, 0.0][moment]
        of_training = log_uniform(1e-5, 2e-3) if moment >= 2 else 0.0
        disturbed = partial(make, call, model, case.data, X)
        is_raised = timer.disturb(disturbed, delay, of_training)
        yield outcome(call, model, case, is_raised, error)
        if call == "predict":
            assert model.predict_proba(X).tobytes() == case.after, "the next call has other bits"
        else:
            assert books(model.fit(*case.data)) == case.after, "the next fit has other bits"


def outcome(
    call: str, model: Any, case: Problem, is_raised: bool, error: type[BaseException]
) -> str:
    """Return what became of a call, and raise AssertionError if it is not right."""
    now = books(model)
    if call == "predict":
        assert now == case.before, "a prediction has changed the model"
        return "raised" if is_raised else "undisturbed"
    if is_raised:
        # The signal may have come just after the fit.
        assert now in (case.before, case.after), "neither the old model nor the new one"
        return "raised"
    if now == case.after:
        return "undisturbed"
    assert error is KeyboardInterrupt, "a fit returned that an error had ended"
    X, y = case.data
    assert model.n_iter_ == len(model.loss_curve_), "the curve has another length"
    if call == "L-BFGS":
        shorter = pickle.loads(case.earlier).set_params(max_iter=model.n_iter_).fit(X, y)
        assert books(shorter)[0] == now[0], "the weights are of no iteration"
        return "returned early"
    assert model.n_iter_ == 0, "more whole epochs than there were"
    assert 0 < model.t_ <= len(X), "t_ counts no step, or more than an epoch"
    if model.t_ < len(X):
        model.partial_fit(X[model.t_ :], y[model.t_ :])
    assert books(model)[0] == case.after[0], "weights, moments and counts disagree"
    return "returned early"


def compilations(seed: int, n_signals: int) -> Iterator[str]:
    """Yield the outcome of interrupts while kernels compile, one after the other."""
    random, timer = np.random.default_rng(seed), Timer(KeyboardInterrupt)
    X = random.normal(size=(50, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    for delay in random.uniform(0.05, 2.5, n_signals):
        model = MLPClassifier((3,), activation="tanh", max_iter=1, random_state=0)
        is_raised = timer.disturb(partial(model.fit, X, y), delay, 0.0)
        if not is_raised:
            assert model.n_iter_ == 1, "a fit that has learned nothing returned"
        else:
            assert not hasattr(model, "coefs_"), "an interrupted fit left a model of no steps"
        yield "raised" if is_raised else "undisturbed"
    model = MLPClassifier((3,), activation="tanh", max_iter=1, random_state=0).fit(X, y)
    scores = np.tanh(X @ model.coefs_[0] + model.intercepts_[0]) @ model.coefs_[1]
    scores = (scores + model.intercepts_[1])[:, 0]
    # Sums of four products, in float32.
    assert np.allclose(model.decision_function(X), scores, atol=1e-5), "the next fit is wrong"


def run_all(functions: Sequence[Callable[[], None]]) -> None:
    """Call functions at the same time, and raise what one of them raised."""
    errors: list[BaseException] = []

    def call(function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def configurations(rng: np.random.Generator) -> list[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """Return parameters and data; widths, classes and layers differ from one to the next."""
    found = []
    for hidden, n_features, n_classes in (((7,), 20, 3), ((300, 50), 30, 6), ((50,), 20, 4)):
        X = rng.normal(size=(300, n_features))
        found.append(({"hidden_layer_sizes": hidden}, X, X[:, :n_classes].argmax(axis=1)))
    return found


def predictions_during_fits(seed: int) -> Iterator[str]:
    """Yield the outcome of each prediction by three threads while a fourth one fits."""
    cases = configurations(np.random.default_rng(seed))
    inputs = [np.repeat(cases[k][1], 4, axis=0) for k in (0, 1)]
    shared = MLPClassifier(max_iter=3, random_state=0, n_jobs=1 + seed % 2)
    expected: list[list[np.ndarray]] = [[], []]
    for parameters, X, y in cases:
        k = int(X.shape[1] == 30)
        expected[k].append(shared.set_params(**parameters).fit(X, y).predict_proba(inputs[k]))
    is_over, outcomes = threading.Event(), []

    def fit() -> None:
        try:
            for k in range(50):
                parameters, X, y = cases[k % len(cases)]
                shared.set_params(**parameters).fit(X, y)
        finally:
            is_over.set()

    def predict() -> None:
        k = 0
        while not is_over.is_set():
            k = 1 - k
            try:
                p = shared.predict_proba(inputs[k])
            except ValueError:
                outcomes.append("refused")
                continue
            is_right = any(p.shape == e.shape and np.array_equal(p, e) for e in expected[k])
            outcomes.append("right" if is_right else "wrong")

    run_all([fit, predict, predict, predict])
    yield from outcomes


def concurrent_fits(seed: int) -> Iterator[str]:
    """Yield the outcome of fits and partial fits of one estimator by three threads."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(100, 300))
    y, narrow = X[:, :5].argmax(axis=1), X[:, :3].copy()
    shared = MLPClassifier((60, 40), max_iter=2, random_state=0, n_jobs=1 + seed % 2)
    wholes = [books(shared.fit(data, y))[0] for data in (narrow, X)]
    outcomes: list[str] = []

    def repeat(call: Callable[[], Any]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(100):
                try:
                    call()
                except ValueError:
                    outcomes.append("refused")
                else:
                    outcomes.append("right")

        return calls

    wide, thin = repeat(lambda: shared.fit(X, y)), repeat(lambda: shared.fit(narrow, y))
    run_all([wide, thin, wide])
    assert books(shared)[0] in wholes, "the weights are those of no single fit"
    parts = repeat(lambda: shared.partial_fit(X, y, classes=np.arange(5)))
    run_all([parts, parts, wide])
    inputs = X if shared.n_features_in_ == 300 else narrow
    p = shared.predict_proba(inputs)
    assert p.shape == (100, 5), "predictions have another shape"
    assert np.isfinite(p).all(), "predictions are not finite"
    assert books(shared.fit(X, y))[0] == wholes[1], "the next fit has other bits"
    yield from outcomes


def child(what: str, seed: int, n: int) -> None:
    """Print an outcome on each line."""
    warnings.simplefilter("ignore")
    sys.setswitchinterval(1e-4)
    call, _, kind = what.partition(", ")
    error = KeyboardInterrupt if kind == "interrupt" else Alarm
    if call == "compile":
        outcomes = compilations(seed, n)
    elif call in CALLS:
        outcomes = signals(call, error, seed, n)
    elif call == "concurrent fits":
        outcomes = concurrent_fits(seed)
    else:
        outcomes = predictions_during_fits(seed)
    try:
        for found in outcomes:
            print(found, flush=True)
    except Exception:  # an error that a call raised, or a check of this script
        traceback.print_exc()
        print("wrong", flush=True)


# The parent.


def run_child(what: str, seed: int, n: int, timeout: float) -> list[str]:
    """Return the outcomes of a child; the last one is "crashed" or "hung" if it was lost."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        if what.startswith("compile"):
            environment["NUMBA_CACHE_DIR"] = cache
        command = [sys.executable, "-X", "faulthandler", __file__, "--child", what]
        process = subprocess.Popen(
            [*command, str(seed), str(n)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        end = []
        try:
            out, errors = process.communicate(timeout=timeout)
            if process.returncode != 0:
                end = ["crashed"]
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # faulthandler writes where each thread was
            try:
                out, errors = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                out, errors = process.communicate()
            end = ["hung"]
    outcomes = out.split("\n")[:-1] + end
    if outcomes and outcomes[-1] in BAD:
        print(f"\n{what}, seed {seed}: {outcomes[-1]}\n{errors}", file=sys.stderr)
    return outcomes


@contextmanager
def busy(n_processes: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    command = [sys.executable, "-c", "while True: sum(range(10**6))"]
    processes = [subprocess.Popen(command) for _ in range(n_processes)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def count(what: str, n: int, timeout: float) -> Counter[str]:
    """Return how often each outcome was seen, of so many signals or rounds."""
    counts: Counter[str] = Counter()
    per_child = PER_CHILD[what.split(", ")[0]]
    seed = n_done = 0
    while n_done < n:
        seed += 1
        n_now = min(per_child, n - n_done)
        outcomes = run_child(what, seed, n_now, timeout)
        counts.update(outcomes)
        # A child that is lost has seen fewer signals than it was to see.
        n_done += max(1, min(len(outcomes), n_now))
    return counts


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    disturbed = [f"{call}, {kind}" for call in CALLS[:3] for kind in ("alarm", "interrupt")]
    names = [*disturbed, "compile, interrupt", *THREADED]
    parser.add_argument("--signals", type=int, default=300, help="signals in all (default 300)")
    parser.add_argument("--compilations", type=int, default=6, help="while compiling (default 6)")
    parser.add_argument("--rounds", type=int, default=4, help="of threads (default 4)")
    parser.add_argument("--loaded", action="store_true", help="with busy processes alongside")
    parser.add_argument("--only", nargs="+", choices=names, help="some of the rows")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, seed, n = options.child
        child(what, int(seed), int(n))
        return
    chosen = options.only or names
    n_busy = 2 * (os.cpu_count() or 1) if options.loaded else 0
    print(f"{processor().name}, {os.cpu_count()} cores, {n_busy} busy processes alongside\n")
    table, is_bad = Table(COLUMNS), False
    n_kinds = max(1, sum(name in disturbed for name in chosen))
    with busy(n_busy):
        for name in chosen:
            n = -(-options.signals // n_kinds)
            if name not in disturbed:
                n = options.rounds if name in THREADED else options.compilations
            counts = count(name, n, TIMEOUT * (4 if options.loaded else 1))
            table.add([name, *(str(counts[outcome]) for outcome in (*GOOD, *BAD))])
            is_bad |= any(counts[outcome] for outcome in BAD)
    sys.exit(int(is_bad))


if __name__ == "__main__":
    main()
