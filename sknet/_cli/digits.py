"""The command ``digits``: the same grid search with scikit-learn's network and with sknet's."""

from __future__ import annotations

import multiprocessing.resource_tracker
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.backend import resource_tracker as loky_resource_tracker
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
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

from sknet._cli.output import has_matplotlib, replacing
from sknet.display import LossCurveDisplay, WeightsDisplay
from sknet.estimators import MLPClassifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEST_SIZE = 0.2
SKLEARN_COLOR, SKNET_COLOR = "tab:orange", "tab:blue"


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


class Digits(NamedTuple):
    """The images, each a row of 64 pixels in [0, 16], and their labels."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


class Result(NamedTuple):
    """A finished search, and the predictions of its best network for the test images."""

    name: str
    grid: GridSearchCV
    seconds: float
    predictions: np.ndarray


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
    output = settings.output
    if output is not None and not has_matplotlib():
        print(
            "No figure is saved, because matplotlib is not installed. Install it with: "
            "python -m pip install 'sknet-mlp[plot]'"
        )
        output = None
    X, y = load_digits(return_X_y=True)
    digits = Digits(
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
        f"{settings.dtype}. {n_candidates} candidates x {settings.folds} folds, "
        f"{n_processes} process(es) with one thread each."
        f"{' Each search starts its own processes.' if n_processes > 1 else ''}\n",
        flush=True,
    )
    sklearn_network = SklearnMLPClassifier(max_iter=settings.max_iter, random_state=settings.seed)
    sknet_network = MLPClassifier(max_iter=settings.max_iter, random_state=settings.seed)
    _fit_briefly(sklearn_network, digits)
    compile_seconds = _fit_briefly(sknet_network, digits)
    results = (
        _search("scikit-learn", sklearn_network, settings, digits),
        _search("sknet", sknet_network, settings, digits),
    )
    _report(*results, compile_seconds, settings, digits)
    if output is not None:
        figure = draw(*results, digits)
        try:
            with replacing(output) as file:
                figure.savefig(file, format=output.suffix[1:], dpi=150)
        except OSError as error:
            sys.exit(f"The figure is not saved: cannot write {str(output)!r}: {error.strerror}")
        print(f"\nFigure: {output}")


def _fit_briefly(network: Any, digits: Digits) -> float:
    """Fit and predict once, and return the seconds that it took.

    Numba compiles the kernels in this fit, and both libraries do other work that
    only the first fit of a process needs. The times of the searches leave it out.
    """
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        brief = type(network)(max_iter=1).fit(digits.X_train[:100], digits.y_train[:100])
        brief.predict(digits.X_test[:100])
    return time.perf_counter() - start


def _search(name: str, network: Any, settings: Settings, digits: Digits) -> Result:
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
    if settings.n_jobs != 1:
        get_reusable_executor().shutdown()  # so that the next search starts its own processes, too
    return Result(name, grid, seconds, predictions)


def _start_processes() -> None:
    """Start the processes of joblib's context, with Ctrl-C blocked in them for good.

    A terminal sends Ctrl-C to all of them. Without this each would report it by a
    traceback or a warning, while this process ends them.
    """
    n_processes = effective_n_jobs(None)
    if n_processes == 1 or not hasattr(signal, "pthread_sigmask"):  # the latter: on Windows
        return
    for tracker in (multiprocessing.resource_tracker, loky_resource_tracker):
        tracker.ensure_running()  # before the signal is blocked: a tracker that starts unblocks it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        Parallel()(delayed(int)() for _ in range(n_processes))
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
    compile_seconds: float,
    settings: Settings,
    digits: Digits,
) -> None:
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("", lambda r: r.name),
        ("best hidden layers", lambda r: _hidden_sizes(r.grid.best_params_)),
        ("best learning rate", lambda r: f"{r.grid.best_params_['network__learning_rate_init']:g}"),
        ("cross-validated accuracy", lambda r: f"{r.grid.best_score_:.4f}"),
        ("test accuracy", lambda r: f"{np.mean(r.predictions == digits.y_test):.4f}"),
        (f"fits stopped at {settings.max_iter} epochs", _count_unconverged),
        ("seconds of the search", lambda r: f"{r.seconds:.1f}"),
    ]
    for label, value in rows:
        print(f"{label:28}{value(sklearn_result):>16}{value(sknet_result):>16}")
    print(f"sknet is {sklearn_result.seconds / sknet_result.seconds:.1f} times as fast.")
    print(
        f"The times leave out {compile_seconds:.1f} s in which sknet's kernels were compiled, or "
        "loaded from Numba's cache.\n"
    )
    same = sklearn_result.grid.best_params_ == sknet_result.grid.best_params_
    print(f"Both chose the same parameters: {'yes' if same else 'no'}.")
    n_different = np.count_nonzero(sklearn_result.predictions != sknet_result.predictions)
    print(f"Test predictions that differ: {n_different} of {len(digits.y_test)}.")
    print("\nPrecision and recall of sknet for each digit, on the test images:")
    print(classification_report(digits.y_test, sknet_result.predictions, digits=3, zero_division=0))


def _hidden_sizes(parameters: dict[str, Any]) -> str:
    return ",".join(map(str, parameters["network__hidden_layer_sizes"]))


def _count_unconverged(result: Result) -> str:
    results, folds = result.grid.cv_results_, range(result.grid.n_splits_)
    count = np.nansum([results[f"split{fold}_test_unconverged"] for fold in folds])
    return f"{count:.0f} of {len(folds) * len(results['params'])}"


def draw(sklearn_result: Result, sknet_result: Result, digits: Digits) -> Figure:
    """Draw the times, the loss curves, and the predictions and weights of sknet's network.

    Parameters
    ----------
    sklearn_result, sknet_result : Result
    digits : Digits

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(10, 10), layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    axes = figure.subplot_mosaic(
        [["time", "time"], ["loss", "confusion"], ["errors", "weights"]],
        height_ratios=[0.15, 1, 1],
    )
    _draw_times(axes["time"], sklearn_result, sknet_result)
    _draw_losses(axes["loss"], sklearn_result, sknet_result)
    _draw_confusion(axes["confusion"], sknet_result, digits)
    _draw_errors(axes["errors"], sknet_result, digits)
    _draw_weights(axes["weights"], sknet_result)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
        ax.title.set_fontweight("bold")
    return figure


def _draw_times(ax: Axes, sklearn_result: Result, sknet_result: Result) -> None:
    bars = ax.barh(
        [sknet_result.name, sklearn_result.name],
        [sknet_result.seconds, sklearn_result.seconds],
        color=[SKNET_COLOR, SKLEARN_COLOR],
        height=0.7,
    )
    ax.bar_label(bars, fmt="%.1f s", padding=4)
    ax.margins(x=0.08)
    ax.set_title("Time of the grid search")
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def _draw_losses(ax: Axes, sklearn_result: Result, sknet_result: Result) -> None:
    # scikit-learn's curve is wider and lies below, so that both are visible where they coincide.
    LossCurveDisplay.from_estimator(
        sklearn_result.grid,
        name=sklearn_result.name,
        ax=ax,
        color=SKLEARN_COLOR,
        linewidth=6,
        alpha=0.6,
    )
    LossCurveDisplay.from_estimator(
        sknet_result.grid, name=sknet_result.name, ax=ax, color=SKNET_COLOR
    )
    ax.set(yscale="log", title="Training of the best networks")


def _draw_confusion(ax: Axes, result: Result, digits: Digits) -> None:
    display = ConfusionMatrixDisplay.from_predictions(
        digits.y_test, result.predictions, ax=ax, cmap="Blues", colorbar=False
    )
    for text in display.text_.flat:
        text.set_visible(text.get_text() != "0")
    ax.set_title(f"sknet on {len(digits.y_test)} test images")


def _draw_errors(ax: Axes, result: Result, digits: Digits) -> None:
    wrong = np.flatnonzero(result.predictions != digits.y_test)
    shown = sorted(wrong, key=lambda i: digits.y_test[i])[:16]
    ax.set_title(f"{len(wrong)} images misclassified" + (" (16 shown)" if len(wrong) > 16 else ""))
    ax.set_axis_off()
    n = max(1, ceil(sqrt(len(shown))))
    for k, i in enumerate(shown):
        row, column = divmod(k, n)
        box = ax.inset_axes((column / n, 1 - (row + 1) / n, 1 / n, 1 / n - 0.065))
        box.imshow(digits.X_test[i].reshape(8, 8), cmap="gray_r")
        box.set_title(f"{digits.y_test[i]} read as {result.predictions[i]}", fontsize=9, pad=3)
        box.set(xticks=[], yticks=[])


def _draw_weights(ax: Axes, result: Result) -> None:
    display = WeightsDisplay.from_estimator(result.grid, n_units=36, ax=ax)
    ax.set_title(f"Weights of the first {len(display.images_)} hidden units")
