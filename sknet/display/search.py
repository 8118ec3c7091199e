"""The results of a search over two of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import floor, log10
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknet.display._shared import check_axes, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

# What is drawn if the search varied them: up and to the right.
USUAL = ("hidden_layer_sizes", "learning_rate_init")
# More values of a parameter, such as those drawn from a distribution, make no legible heat map.
MOST_VALUES = 30
# Up to so many rows and columns the numbers have room in their cells.
MOST_ROWS_WITH_TEXT, MOST_COLUMNS_WITH_TEXT = 12, 9


class SearchDisplay:
    """Heat map of the scores of a search over two parameters, with the fit times beside.

    Each cell shows the candidate with the best score among those with the two
    values, and the mean time of its fits. If the search varied other parameters,
    too, the title of the scores names them: "best over alpha". The best candidate
    of the search has a frame.

    Create the display with :meth:`from_estimator`.

    Parameters
    ----------
    scores : ndarray of shape (n_rows, n_columns)
        Mean test score of the best candidate of each cell. NaN is for cells
        without a candidate, and for failed fits.
    fit_times : ndarray of shape (n_rows, n_columns)
        Mean fit time of that candidate, in seconds.
    parameters : tuple of str
        Names of the two parameters: that of the rows, and that of the columns.
    values : tuple of sequences
        The values of each parameter.
    best : tuple of int, default=None
        Row and column of the best candidate. None marks none.
    score_name : str, default=None
        Name of the score. None is for "score".
    best_over : sequence of str, default=()
        Names of the other parameters that the search varied, of which each cell
        shows the best values.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the scores.
    time_ax_ : matplotlib Axes or None
        Axes with the fit times. None if they are not drawn.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    image_, time_image_ : matplotlib AxesImage
        The two heat maps. `time_image_` is None if it is not drawn.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The search that tries every combination.
    LossCurveDisplay : Plot of the training of one network.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sknet import MLPClassifier, SearchDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> grid = {"hidden_layer_sizes": [5, 20], "learning_rate_init": [0.01, 0.03, 0.1]}
    >>> net = MLPClassifier(max_iter=1000, random_state=0)
    >>> display = SearchDisplay.from_estimator(GridSearchCV(net, grid, cv=3).fit(X, y))
    >>> display.scores.shape
    (2, 3)
    """

    def __init__(
        self,
        scores: np.ndarray,
        fit_times: np.ndarray,
        *,
        parameters: tuple[str, str],
        values: tuple[Sequence[Any], Sequence[Any]],
        best: tuple[int, int] | None = None,
        score_name: str | None = None,
        best_over: Sequence[str] = (),
    ) -> None:
        self.scores = scores
        self.fit_times = fit_times
        self.parameters = parameters
        self.values = values
        self.best = best
        self.score_name = score_name
        self.best_over = best_over

    @classmethod
    def from_estimator(
        cls,
        search: Any,
        *,
        parameters: tuple[str, str] | None = None,
        metric: str | None = None,
        ax: Axes | None = None,
        time_ax: Axes | None = None,
        **image_kwargs: Any,
    ) -> Self:
        """Plot the results of a fitted search.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV or a halving search
            A fitted search of scikit-learn. Of a halving search each combination
            shows its last iteration, which had the most data.
        parameters : tuple of str, default=None
            Names of the two parameters: that of the rows, and that of the columns.
            The name of the step of a pipeline can be left out. None takes
            'hidden_layer_sizes' and 'learning_rate_init' if the search varied
            them, and else the first two that it varied.
        metric : str, default=None
            Which of the scores of a search with several to show. None takes the
            one that `refit` names.
        ax : matplotlib Axes, default=None
            Axes to plot the scores on. None creates a new figure for both.
        time_ax : matplotlib Axes, default=None
            Axes to plot the fit times on. None leaves them out if `ax` is given.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`, for both heat maps.

        Returns
        -------
        SearchDisplay
            The display, plotted.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the search is not fitted.
        TypeError
            If it is no search, and has no `cv_results_`.
        ValueError
            If it varied fewer than two parameters, has none of that name, or
            tried more than 30 values of one. If there is no such metric. If
            `time_ax` is given without `ax`.
        """
        check_is_fitted(search)
        if not hasattr(search, "cv_results_"):
            raise TypeError(
                f"search is {type(search).__name__}, which has no cv_results_: give a fitted "
                "search of scikit-learn, such as GridSearchCV."
            )
        results, candidates = search.cv_results_, search.cv_results_["params"]
        names = _two_parameters(candidates, parameters)
        key = _score_key(search, metric)
        values = (_seen(candidates, names[0]), _seen(candidates, names[1]))
        for name, seen in zip(names, values, strict=True):
            if len(seen) > MOST_VALUES:
                raise ValueError(
                    f"The search tried {len(seen)} values of {name}, but a heat map is legible up "
                    f"to {MOST_VALUES}: search over a list of values, or choose other parameters."
                )
        rows, columns = ({repr(v): i for i, v in enumerate(seen)} for seen in values)
        scores, times = np.full((2, len(rows), len(columns)), np.nan)
        best, best_index = None, _best_index(search, key)
        for i in _from_worst_to_best(results, key, best_index):
            chosen = candidates[i]
            if not set(names) <= chosen.keys():
                continue  # of a part of the grid without one of the two
            cell = rows[repr(chosen[names[0]])], columns[repr(chosen[names[1]])]
            scores[cell], times[cell] = results[key][i], results["mean_fit_time"][i]
            best = cell if i == best_index else best
        score_name = key.removeprefix("mean_test_").replace("_", " ")
        display = cls(
            scores,
            times,
            parameters=names,
            values=values,
            best=best,
            score_name=score_name,
            best_over=[name for name in _varied(candidates) if name not in names],
        )
        return display.plot(ax, time_ax=time_ax, **image_kwargs)

    def plot(
        self, ax: Axes | None = None, *, time_ax: Axes | None = None, **image_kwargs: Any
    ) -> Self:
        """Plot the heat maps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot the scores on. None creates a new figure for both.
        time_ax : matplotlib Axes, default=None
            Axes to plot the fit times on. None leaves them out if `ax` is given.
        **image_kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`, for both heat maps.

        Returns
        -------
        SearchDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `time_ax` is given without `ax`.
        """
        plt = pyplot()
        if ax is None and time_ax is not None:
            raise ValueError("time_ax is given without ax: give both, or neither.")
        if ax is None:
            n_rows, n_columns = self.scores.shape
            width = min(max(3.6, 2.5 + 0.65 * n_columns), 8)
            height = min(max(2.8, 1.7 + 0.45 * n_rows), 8)
            _, (ax, time_ax) = plt.subplots(
                1, 2, sharey=True, figsize=(2 * width, height), layout="constrained"
            )
        self.ax_ = check_axes(ax)
        self.time_ax_ = None if time_ax is None else check_axes(time_ax)
        self.figure_ = self.ax_.figure
        title = f"Mean test {self.score_name or 'score'}"
        if self.best_over:
            title += f",\nbest over {', '.join(_short_names(self.best_over))}"
        self.image_ = self._draw(ax, self.scores, title, 4, image_kwargs)
        self.time_image_ = None
        if time_ax is not None:
            title = "Mean fit time (s)"
            self.time_image_ = self._draw(time_ax, self.fit_times, title, 2, image_kwargs)
        ax.set_ylabel(_short_names(self.parameters)[0])
        return self

    def _draw(
        self, ax: Axes, numbers: np.ndarray, title: str, n_digits: int, image_kwargs: dict[str, Any]
    ) -> AxesImage:
        style = {"cmap": "cividis", "aspect": "auto", **image_kwargs}
        image = ax.imshow(np.ma.masked_invalid(numbers), **style)
        ax.figure.colorbar(image, ax=ax)
        rows, columns = ([_text(value) for value in values] for values in self.values)
        ax.set_yticks(range(len(rows)), rows)
        ax.set_xticks(range(len(columns)), columns)
        if sum(map(len, columns)) > 30:
            for label in ax.get_xticklabels():
                label.set(rotation=45, ha="right", rotation_mode="anchor")
        ax.set(title=title, xlabel=_short_names(self.parameters)[1])
        n_rows, n_columns = numbers.shape
        if n_rows <= MOST_ROWS_WITH_TEXT and n_columns <= MOST_COLUMNS_WITH_TEXT:
            _write_numbers(image, numbers, n_digits)
        if self.best is not None:
            _frame(ax, *self.best)
        return image


def _write_numbers(image: AxesImage, numbers: np.ndarray, n_digits: int) -> None:
    for i, j in product(*map(range, numbers.shape)):
        if np.isfinite(numbers[i, j]):
            r, g, b, _ = image.cmap(image.norm(numbers[i, j]))
            # Black or white, whichever stands out from the cell.
            color = "black" if 0.299 * r + 0.587 * g + 0.114 * b > 0.5 else "white"
            text = _rounded(numbers[i, j], n_digits)
            image.axes.text(j, i, text, color=color, ha="center", va="center")


def _frame(ax: Axes, row: int, column: int) -> None:
    """Draw a frame in a cell: white with black edges, so that it stands out from any colour."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    corner, size = (column - 0.46, row - 0.46), 0.92
    frame = Rectangle(corner, size, size, fill=False, edgecolor="white", linewidth=2)
    frame.set_path_effects([withStroke(linewidth=5, foreground="black")])
    ax.add_patch(frame)


def _two_parameters(
    candidates: Sequence[dict[str, Any]], wanted: tuple[str, str] | None
) -> tuple[str, str]:
    """Return the full names of the two parameters to show."""
    names = _names(candidates)
    if wanted is not None:
        if isinstance(wanted, str) or len(wanted) != 2:
            raise ValueError(f"parameters={wanted!r}, but two names are needed: (rows, columns).")
        found = [[n for n in names if n == w or n.endswith(f"__{w}")] for w in wanted]
        if wanted[0] == wanted[1]:
            raise ValueError(f"parameters={wanted!r}, but two different names are needed.")
        for name, matches in zip(wanted, found, strict=True):
            if len(matches) != 1:
                what = "varied no parameter" if not matches else "varied several parameters"
                raise ValueError(f"The search {what} {name!r}: give two of {names}.")
        return found[0][0], found[1][0]
    varied = _varied(candidates)
    usual = [n for end in USUAL for n in varied if n.rpartition("__")[2] == end]
    chosen = (usual + [n for n in varied if n not in usual])[:2]
    if len(chosen) < 2:
        can_choose = f"give parameters=(rows, columns), two of {names}, or " * (len(names) > 1)
        raise ValueError(
            f"A heat map needs two parameters with several values each, but the search varied "
            f"{varied or 'none'}: {can_choose}search over another parameter, too."
        )
    # A learning rate with another parameter than the sizes stays on the horizontal axis.
    is_rate = chosen[0].rpartition("__")[2] == USUAL[1]
    return (chosen[1], chosen[0]) if is_rate else (chosen[0], chosen[1])


def _names(candidates: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for candidate in candidates for name in candidate))


def _varied(candidates: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the parameters with several values."""
    return [name for name in _names(candidates) if len(_seen(candidates, name)) > 1]


def _seen(candidates: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """Return the values of a parameter: numbers in their order, others as they came."""
    values = list({repr(c[name]): c[name] for c in candidates if name in c}.values())
    if any(isinstance(value, str) for value in values):
        return values
    try:
        return sorted(values)
    except (TypeError, ValueError):  # not comparable
        return values


def _score_key(search: Any, metric: str | None) -> str:
    """Return the name of the column with the scores."""
    prefix = "mean_test_"
    known = [key.removeprefix(prefix) for key in search.cv_results_ if key.startswith(prefix)]
    if metric is None:
        metric = "score" if "score" in known else search.refit
        if metric not in known:
            raise ValueError(f"The search has several scores: give one of {known} as metric.")
    if metric not in known:
        raise ValueError(f"metric={metric!r} is not a score of the search: give one of {known}.")
    return f"{prefix}{metric}"


def _best_index(search: Any, key: str) -> int | None:
    """Return the best candidate by this score: the search's own if it has chosen by it."""
    is_its_own = key in ("mean_test_score", f"mean_test_{search.refit}")
    if is_its_own and hasattr(search, "best_index_"):
        return int(search.best_index_)
    scores = search.cv_results_[key]
    return int(np.nanargmax(scores)) if np.isfinite(scores).any() else None


def _from_worst_to_best(results: dict[str, Any], key: str, best: int | None) -> list[int]:
    """Return the order in which later candidates replace earlier ones of the same cell."""
    scores = np.where(np.isnan(results[key]), -np.inf, results[key])
    iterations = results.get("iter", np.zeros(len(scores), np.int64))
    order = np.lexsort((-np.arange(len(scores), dtype=np.int64), scores, iterations)).tolist()
    return [i for i in order if i != best] + ([] if best is None else [best])


def _short_names(names: Sequence[str]) -> list[str]:
    """Return the names without those of steps, unless some would be the same."""
    short = [name.rpartition("__")[2] for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _text(value: Any) -> str:
    """Return a value as the label of a tick."""
    is_number = isinstance(value, float | np.floating)
    return f"{value:.3g}" if is_number else getattr(value, "__name__", str(value))


def _rounded(number: float, n_digits: int) -> str:
    """Return a number with so many significant digits, zeros at the end included."""
    if not 1e-4 <= abs(number) < 1e6:
        return f"{number:.{n_digits}g}"
    leading = floor(log10(float(f"{abs(number):.{n_digits - 1}e}")))
    return f"{number:.{max(0, n_digits - 1 - leading)}f}"
