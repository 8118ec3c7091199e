"""The job of ``python -m sknet digits``: one grid search, by scikit-learn's network and by ours."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs, parallel_config
from joblib.externals.loky import get_reusable_executor
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

from sknet.display import LossCurveDisplay, WeightsDisplay
from sknet.estimators import MLPClassifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEST_SIZE = 0.2
THEIRS, OURS = "tab:orange", "tab:blue"  # in the figure


class Settings(NamedTuple):
    """What a user can choose; `output` None: no figure."""

    hidden: Sequence[tuple[int, ...]]
    learning_rates: Sequence[float]
    folds: int
    max_iter: int
    seed: int
    n_jobs: int
    dtype: str
    output: Path | None


class Digits(NamedTuple):
    """The images as rows of 64 pixels in [0, 16], and their labels."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


class Result(NamedTuple):
    """A finished search, and what its best network says of the test images."""

    name: str
    grid: GridSearchCV
    seconds: float
    predictions: np.ndarray


class GridSearch(GridSearchCV):
    """A grid search that tells how far it is, whichever joblib backend runs its fits.

    It evaluates some candidates at a time, by scikit-learn's own hook for
    that, and calls `advance` with their number after each such chunk.
    """

    advance: Callable[[int], None]

    def _run_search(self, evaluate_candidates: Callable[[list[dict]], Any]) -> None:
        candidates = list(ParameterGrid(self.param_grid))
        size = effective_n_jobs(self.n_jobs)  # so each chunk has as many fits for every worker
        for start in range(0, len(candidates), size):
            chunk = candidates[start : start + size]
            evaluate_candidates(chunk)
            self.advance(len(chunk))


def run(settings: Settings) -> None:
    """Search with both networks, print how they compare, and save the figure.

    Parameters
    ----------
    settings : Settings
    """
    output = settings.output
    if output is not None and not _has_matplotlib():
        print(
            "The figure is left out: matplotlib is not installed. Install it with: "
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
        f"{len(digits.y_train)} images to train on, {len(digits.y_test)} to test on, "
        f"{settings.dtype}. {n_candidates} candidates x {settings.folds} folds, "
        f"{n_processes} process(es) with one thread each"
        f"{', started within each search' if n_processes > 1 else ''}.\n",
        flush=True,
    )
    theirs = SklearnMLPClassifier(max_iter=settings.max_iter, random_state=settings.seed)
    ours = MLPClassifier(max_iter=settings.max_iter, random_state=settings.seed)
    _fit_briefly(theirs, digits)  # both do at their first fit what they never do again
    compile_seconds = _fit_briefly(ours, digits)
    results = (
        _search("scikit-learn", theirs, settings, digits),
        _search("sknet", ours, settings, digits),
    )
    _report(*results, compile_seconds, settings, digits)
    if output is not None:
        draw(*results, digits).savefig(output, dpi=150)
        print(f"\nFigure: {output}")


def check_output(path: Path) -> None:
    """Find out before a long job whether its figure can be saved.

    Parameters
    ----------
    path : Path
        File of the figure, existing or not; it is left as it is.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If matplotlib is there and does not know the format.
    """
    existed = path.exists()
    with path.open("ab"):
        pass
    if not existed:
        path.unlink()
    if _has_matplotlib():
        from matplotlib.backend_bases import FigureCanvasBase

        formats = sorted(FigureCanvasBase.get_supported_filetypes())
        if path.suffix[1:].lower() not in formats:
            raise ValueError(f"the file's name must end in one of .{', .'.join(formats)}")


def _has_matplotlib() -> bool:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def _fit_briefly(network: Any, digits: Digits) -> float:
    """Return the seconds of the shortest fit and prediction that need all that longer ones do."""
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
    # Processes that joblib starts take their number of threads from the environment it gives
    # them, this process takes it from threadpoolctl.
    with (
        _progress(name, len(ParameterGrid(grid.param_grid))) as grid.advance,
        parallel_config("loky", n_jobs=settings.n_jobs, inner_max_num_threads=1),
        threadpool_limits(1),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", ConvergenceWarning)  # they are counted instead
        start = time.perf_counter()
        grid.fit(digits.X_train, digits.y_train)
        seconds = time.perf_counter() - start
        predictions = grid.predict(digits.X_test)
    if settings.n_jobs != 1:
        get_reusable_executor().shutdown()  # the next search shall pay for its own processes, too
    return Result(name, grid, seconds, predictions)


def _scores(model: Pipeline, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    # In a score, because warnings of other processes do not come back to this one.
    network = model[-1]
    return {
        "accuracy": model.score(X, y),
        "unconverged": float(network.n_iter_ == network.max_iter),
    }


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number of candidates done; it shows them on stderr."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
    except ImportError:
        is_terminal = False
    else:
        console = Console(stderr=True)
        is_terminal = console.is_terminal
    if is_terminal:
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
    theirs: Result, ours: Result, compile_seconds: float, settings: Settings, digits: Digits
) -> None:
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("", lambda r: r.name),
        ("best hidden layers", lambda r: _layers(r.grid.best_params_)),
        ("best learning rate", lambda r: f"{r.grid.best_params_['network__learning_rate_init']:g}"),
        ("cross-validated accuracy", lambda r: f"{r.grid.best_score_:.4f}"),
        ("test accuracy", lambda r: f"{np.mean(r.predictions == digits.y_test):.4f}"),
        (f"fits stopped at {settings.max_iter} epochs", _count_unconverged),
        ("seconds of the search", lambda r: f"{r.seconds:.1f}"),
    ]
    for label, value in rows:
        print(f"{label:28}{value(theirs):>16}{value(ours):>16}")
    print(f"sknet is {theirs.seconds / ours.seconds:.1f} times as fast.")
    print(
        f"Not counted there: {compile_seconds:.1f} s to compile sknet's kernels, or to load them "
        "from Numba's cache.\n"
    )
    same = theirs.grid.best_params_ == ours.grid.best_params_
    print(f"Both chose the same parameters: {'yes' if same else 'no'}.")
    n_different = np.count_nonzero(theirs.predictions != ours.predictions)
    print(f"Test predictions that differ: {n_different} of {len(digits.y_test)}.")
    print("\nsknet, digit by digit, on the test images:")
    print(classification_report(digits.y_test, ours.predictions, digits=3, zero_division=0))


def _layers(parameters: dict[str, Any]) -> str:
    return ",".join(map(str, parameters["network__hidden_layer_sizes"]))


def _count_unconverged(result: Result) -> str:
    results, folds = result.grid.cv_results_, range(result.grid.n_splits_)
    count = np.nansum([results[f"split{fold}_test_unconverged"] for fold in folds])
    return f"{count:.0f} of {len(folds) * len(results['params'])}"


def draw(theirs: Result, ours: Result, digits: Digits) -> Figure:
    """Draw both loss curves and what our network does with the test images.

    Parameters
    ----------
    theirs, ours : Result
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
    _draw_times(axes["time"], theirs, ours)
    _draw_losses(axes["loss"], theirs, ours)
    _draw_confusion(axes["confusion"], ours, digits)
    _draw_errors(axes["errors"], ours, digits)
    _draw_weights(axes["weights"], ours)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
        ax.title.set_fontweight("bold")
    return figure


def _draw_times(ax: Axes, theirs: Result, ours: Result) -> None:
    bars = ax.barh(
        [ours.name, theirs.name], [ours.seconds, theirs.seconds], color=[OURS, THEIRS], height=0.7
    )
    ax.bar_label(bars, fmt="%.1f s", padding=4)
    ax.margins(x=0.08)
    ax.set_title("Time of the grid search")
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)


def _draw_losses(ax: Axes, theirs: Result, ours: Result) -> None:
    # Theirs broad and below ours: where both are the same, both can be seen.
    LossCurveDisplay.from_estimator(
        theirs.grid, name=theirs.name, ax=ax, color=THEIRS, linewidth=6, alpha=0.6
    )
    LossCurveDisplay.from_estimator(ours.grid, name=ours.name, ax=ax, color=OURS)
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
    ax.set_title(f"{len(wrong)} images misread" + (" (16 shown)" if len(wrong) > 16 else ""))
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
