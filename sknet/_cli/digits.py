"""The command ``digits``: the same grid search with scikit-learn's network and with sknet's."""

from __future__ import annotations

import multiprocessing.resource_tracker
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker as loky_resource_tracker
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import classification_report
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    StratifiedKFold,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknet._cli.comparison import Result, agreement, speed, three_digits
from sknet._cli.digits_figure import draw
from sknet._cli.images import Split
from sknet._cli.output import compiling, drawable, save
from sknet.estimators import MLPClassifier

TEST_SIZE = 0.2


class Settings(NamedTuple):
    """The options of the command. No figure is saved if `output` is None."""

    hidden: Sequence[tuple[int, ...]]
    learning_rates: Sequence[float]
    folds: int
    max_iter: int
    seed: int
    n_jobs: int
    dtype: str
    output: Path | None


class GridSearch(GridSearchCV):
    """A grid search that reports its progress with any joblib backend.

    It evaluates the candidates in chunks, through the hook that scikit-learn
    provides for subclasses. After each chunk it calls `advance` with the number
    of candidates in the chunk.
    """

    advance: Callable[[int], None]

    def _run_search(self, evaluate_candidates: Callable[[list[dict]], Any]) -> None:
        candidates = list(ParameterGrid(self.param_grid))
        # With as many candidates as workers in a chunk, all workers get the same number of fits.
        size = effective_n_jobs(self.n_jobs)
        for start in range(0, len(candidates), size):
            chunk = candidates[start : start + size]
            evaluate_candidates(chunk)
            self.advance(len(chunk))

    def __getstate__(self) -> dict[str, Any]:
        # From 1.9 on scikit-learn sends the search to joblib's processes. Progress stays here.
        return {name: value for name, value in super().__getstate__().items() if name != "advance"}


def run(settings: Settings) -> None:
    """Search with both networks, print a comparison, and save the figure.

    Parameters
    ----------
    settings : Settings
    """
    output = drawable(settings.output)
    X, y = load_digits(return_X_y=True)
    digits = Split(
        *train_test_split(
            X.astype(settings.dtype),
            y,
            test_size=TEST_SIZE,
            stratify=y,
            random_state=settings.seed,
        )
    )
    n_candidates = len(settings.hidden) * len(settings.learning_rates)
    n_processes = effective_n_jobs(settings.n_jobs)
    print(
        f"{len(digits.y_train)} training images, {len(digits.y_test)} test images, "
        f"{settings.dtype}.\n{n_candidates} candidates x {settings.folds} folds, "
        f"{n_processes} process{'es' if n_processes > 1 else ''} with one thread each.",
        flush=True,
    )
    if n_processes > 1:
        print("Each search starts its own processes.", flush=True)
    sklearn_network = SklearnMLPClassifier(max_iter=settings.max_iter, random_state=settings.seed)
    sknet_network = MLPClassifier(max_iter=settings.max_iter, random_state=settings.seed)
    _fit_briefly(sklearn_network, digits)
    with compiling():
        _fit_briefly(sknet_network, digits)
    results = (
        _search("scikit-learn", sklearn_network, settings, digits),
        _search("sknet", sknet_network, settings, digits),
    )
    _report(*results, settings, digits)
    if output is not None:
        save(draw(*results, digits), output)


def _fit_briefly(network: Any, digits: Split) -> None:
    """Fit and predict once.

    Numba compiles the kernels in this fit, and both libraries do other work that
    only the first fit of a process needs. The times of the searches leave it out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        brief = type(network)(max_iter=1).fit(digits.X_train[:100], digits.y_train[:100])
        brief.predict(digits.X_test[:100])


def _search(name: str, network: Any, settings: Settings, digits: Split) -> Result:
    grid = GridSearch(
        Pipeline([("scale", StandardScaler()), ("network", network)]),
        {
            "network__hidden_layer_sizes": settings.hidden,
            "network__learning_rate_init": settings.learning_rates,
        },
        scoring=_scores,
        refit="accuracy",
        cv=StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed),
    )
    # joblib limits the threads of the processes that it starts, through their environment.
    # threadpoolctl limits the threads of this process.
    with (
        _progress(name, len(ParameterGrid(grid.param_grid))) as grid.advance,
        parallel_config("loky", n_jobs=settings.n_jobs, inner_max_num_threads=1),
        threadpool_limits(1),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)  # _report counts them
        start = time.perf_counter()
        _start_processes()
        grid.fit(digits.X_train, digits.y_train)
        seconds = time.perf_counter() - start
        predictions = grid.predict(digits.X_test)
        confidences = grid.predict_proba(digits.X_test).max(axis=1)
    if settings.n_jobs != 1:
        get_reusable_executor().shutdown()  # so that the next search starts its own processes, too
    return Result(name, grid, seconds, predictions, confidences)


def _start_processes() -> None:
    """Start the processes of joblib's context, and keep them from writing across the progress bar.

    A terminal sends Ctrl-C to all processes. Each would report it by a traceback or a
    warning, while this process ends them, and so they block it for good. They also
    ignore the warning that a fit has not converged. From 1.7 on scikit-learn sends
    them this process's own filter; older versions do not.
    """
    n_processes = effective_n_jobs(None)
    if n_processes == 1:
        return
    before = os.environ.get("PYTHONWARNINGS")
    # Both libraries' warnings begin with these words. The last filter comes before the others.
    quiet = "ignore:Stochastic Optimizer"
    os.environ["PYTHONWARNINGS"] = f"{before},{quiet}" if before else quiet
    try:
        with _interrupts_blocked():
            Parallel()(delayed(int)() for _ in range(n_processes))
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C in this thread, and in the processes that it starts for as long as they run."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    for tracker in (multiprocessing.resource_tracker, loky_resource_tracker):
        tracker.ensure_running()  # before the signal is blocked: a tracker that starts unblocks it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _scores(model: Pipeline, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    # Convergence is returned as a score, because the warnings of other processes do not reach
    # this process.
    network = model[-1]
    return {
        "accuracy": model.score(X, y),
        "unconverged": float(network.n_iter_ == network.max_iter),
    }


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that adds a number of finished candidates to the progress on stderr."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
    except ImportError:
        is_live = False
    else:
        console = Console(stderr=True)
        is_live = console.is_interactive
    if is_live:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress("{task.description:12}", *columns, console=console) as bar:
            task = bar.add_task(name, total=total)
            yield lambda n: bar.advance(task, n)
    else:
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            print(f"{name}: {done} of {total} candidates", file=sys.stderr, flush=True)

        yield advance


def _report(
    sklearn_result: Result,
    sknet_result: Result,
    settings: Settings,
    digits: Split,
) -> None:
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("", lambda r: r.name),
        ("best hidden layers", lambda r: _hidden_sizes(r.grid.best_params_)),
        ("best learning rate", lambda r: f"{r.grid.best_params_['network__learning_rate_init']:g}"),
        ("cross-validated accuracy", lambda r: f"{r.grid.best_score_:.4f}"),
        ("test accuracy", lambda r: f"{np.mean(r.predictions == digits.y_test):.4f}"),
        (f"fits stopped at {settings.max_iter} epochs", _count_unconverged),
        ("seconds of the search", lambda r: three_digits(r.seconds)),
    ]
    for label, value in rows:
        print(f"{label:28}{value(sklearn_result):>16}{value(sknet_result):>16}")
    faster = speed(sklearn_result.seconds, sknet_result.seconds)
    print(f"sknet is {faster} as scikit-learn.\n")
    same = sklearn_result.grid.best_params_ == sknet_result.grid.best_params_
    print(f"Both chose the same parameters: {'yes' if same else 'no'}.")
    same_predictions = agreement(sklearn_result.predictions, sknet_result.predictions)
    print(f"On the test images: {same_predictions}.")
    print("\nPrecision and recall of sknet for each digit, on the test images:")
    print(classification_report(digits.y_test, sknet_result.predictions, digits=3, zero_division=0))


def _hidden_sizes(parameters: dict[str, Any]) -> str:
    return "-".join(map(str, parameters["network__hidden_layer_sizes"]))


def _count_unconverged(result: Result) -> str:
    results, folds = result.grid.cv_results_, range(result.grid.n_splits_)
    count = np.nansum([results[f"split{fold}_test_unconverged"] for fold in folds])
    return f"{count:.0f} of {len(folds) * len(results['params'])}"
