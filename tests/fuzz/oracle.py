"""What must hold of every call, whatever is thrown at it."""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import io
import math
import os
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse as sp
from comparisons import LOSS_RTOL, WEIGHT_ATOL, assert_same_model
from numpy.testing import assert_allclose, assert_array_equal
from random_data import as_layout
from sklearn.base import is_classifier
from snapshots import assert_same

ROOT = Path(__file__).parents[2]

# A call that takes longer than this hangs. The first calls compile.
SECONDS = 300


@contextlib.contextmanager
def watched(*recipe: object) -> Iterator[None]:
    """Keep a recipe in a file while its case runs, for cases that end the process.

    Hypothesis cannot report these. The file is in ``.hypothesis/running``, one for
    each process. If the case hangs, the stacks of all threads follow the recipe.
    """
    folder = ROOT / ".hypothesis" / "running"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.txt"
    try:
        with open(path, "w") as file:
            print(*recipe, sep="\n", file=file, flush=True)
            faulthandler.dump_traceback_later(SECONDS, exit=True, file=file)
            yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        path.unlink()


class Result(NamedTuple):
    """What a call returned, or the error that it raised."""

    value: Any
    error: Exception | None


def attempt(call: Callable[[], Any]) -> Result:
    """Return what a call of sknet comes to; its errors must be clear."""
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            value = call()
        except Exception as error:
            assert_clear(error)
            return Result(None, error)
    # Where it succeeds, numbers that overflow on the way are no business of the user.
    numeric = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
    assert not numeric, numeric
    return Result(value, None)


def attempt_of_sklearn(call: Callable[[], Any]) -> Result:
    """Return what a call of scikit-learn comes to."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        try:
            return Result(call(), None)
        except Exception as error:
            return Result(None, error)


# What NumPy says of data that are no numbers, on its way through scikit-learn's validation.
FROM_CONVERSIONS = (
    "could not convert string to float",
    "float() argument must be",
    "setting an array element with a sequence",
)


def assert_clear(error: Exception) -> None:
    """Assert that an error was raised on purpose, as a ValueError, TypeError or AttributeError.

    On purpose means by a `raise` statement of sknet or of scikit-learn. Anything else,
    such as an error from inside NumPy or an assertion, is a fault that nobody foresaw.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if any("/sklearn/metrics/" in frame.filename for frame in frames):
        return  # metrics check their y and weights in their own way
    last = frames[-1]
    is_raised = (last.line or "").startswith("raise") and (
        "/sklearn/" in last.filename or "/sknet/" in last.filename
    )
    libraries = ("/sklearn/", "/pandas/")
    is_converted = any(name in last.filename for name in libraries) and str(error).startswith(
        FROM_CONVERSIONS
    )
    is_clear = isinstance(error, ValueError | TypeError | AttributeError) and str(error)
    if not (is_clear and (is_raised or is_converted)):
        raise AssertionError("The error is internal.") from error


def contents(value: Any) -> Any:
    """Return a deep copy of data, without what sparse matrices note of themselves."""
    if sp.issparse(value):
        names = ("data", "indices", "indptr", "row", "col", "offsets", "rows", "_dict")
        arrays = {name: getattr(value, name) for name in names if hasattr(value, name)}
        return copy.deepcopy((value.shape, arrays))
    if isinstance(value, pd.DataFrame | pd.Series):
        return (np.array(value), value.index.to_list())
    if isinstance(value, pl.DataFrame):
        return (value.to_numpy().copy(), value.columns)
    if isinstance(value, np.memmap):
        return np.array(value)
    return copy.deepcopy(value)


@contextlib.contextmanager
def unmodified(*inputs: Any) -> Iterator[None]:
    """Assert that a call leaves what it is given as it is, to the bit."""
    before = [contents(value) for value in inputs]
    yield
    assert_same([contents(value) for value in inputs], before, "an input")


# No activation is steeper, nor further from its argument at 0.
STEEPEST, FURTHEST = 1.8, 0.7


class Sizes(NamedTuple):
    """Bounds that no raw score goes beyond, and the rounding error of any."""

    score: float
    error: float


def sizes_of(model: Any, X: np.ndarray) -> Sizes:
    """Return bounds of a network's raw scores by the sizes of its weights.

    A sum of n products has an error of at most n eps times the sum of their sizes,
    and each layer multiplies what reaches it. Twice that is between two ways to sum.
    """
    size = float(np.abs(X).max(initial=0))
    error, eps = 0.0, float(np.finfo(model.coefs_[0].dtype).eps)
    with np.errstate(all="ignore"):
        for W, b in zip(model.coefs_, model.intercepts_, strict=True):
            gain = float(np.abs(W.astype(float)).sum(axis=0).max(initial=0))
            size = gain * size + float(np.abs(b).max(initial=0))
            # The activation itself is exact to a few units in the last place.
            error = STEEPEST * (gain * error + (len(W) + 8) * eps * size)
            size = STEEPEST * size + FURTHEST
    return Sizes(size, 2 * error)


def assert_predictions(model: Any, X: Any) -> None:
    """Assert what holds of a fitted model's predictions.

    They are finite where the numbers of the dtype can hold them, the same for all
    copies of the same X, and the same after a pickle round trip.
    """
    dtype = model.coefs_[0].dtype
    plain = np.ascontiguousarray(dense(X), dtype=dtype)
    if not np.isfinite(plain).all():
        return  # a float32 model that is given float64
    calls = ["predict"]
    if is_classifier(model):
        calls += ["decision_function", "predict_proba", "predict_log_proba"]
    sizes, greatest = sizes_of(model, plain), float(np.finfo(dtype).max)
    is_exponential = model.out_activation_ == "exp"
    limit = math.log(greatest) if is_exponential else greatest
    copies = {name: as_layout(plain, name) for name in ("F", "columns", "memmap")}
    again = pickle.loads(pickle.dumps(model))
    for name in (name for name in calls if hasattr(model, name)):
        with unmodified(X):
            value = answer(model, name, X)
        if value.dtype.kind == "f" and sizes.score < limit / 2:
            is_fine = np.isfinite(value) | ((name == "predict_log_proba") & (value == -np.inf))
            assert is_fine.all(), f"{name} is not finite: {value}"
        assert_array_equal(answer(again, name, X), value, err_msg=f"{name}, pickle")
        expected = answer(model, name, plain)
        if not sp.issparse(X):
            assert_array_equal(value, expected, err_msg=f"{name}, as given")
        for layout, other in copies.items():
            assert_array_equal(answer(model, name, other), expected, err_msg=f"{name}, {layout}")
        if len(plain) > 1:  # no row depends on those beside it
            part = answer(model, name, plain[1::2])
            assert_array_equal(part, expected[1::2], err_msg=f"{name}, every other row")
    if model.input_noise == 0 and sizes.score < limit / 2 and not is_exponential:
        name = "decision_function" if is_classifier(model) else "predict"
        expected = answer(model, name, plain)
        for other in (sp.csr_array(plain), X):
            value = answer(model, name, other)
            assert_allclose(value, expected, rtol=0, atol=sizes.error, err_msg=f"{name}, sparse")


def answer(model: Any, name: str, X: Any) -> np.ndarray:
    """Return what a method of a fitted model says of X, which must not be an error."""
    result = attempt(lambda: getattr(model, name)(X))
    if result.error is not None:
        raise AssertionError(f"{name} raises an error.") from result.error
    return dense(result.value)


def dense(X: Any) -> np.ndarray:
    """Return X as an array."""
    return X.toarray() if sp.issparse(X) else np.asarray(X)


# The differences that the documentation lists, by the words of their errors.
ONLY_OURS = (
    "training diverged",  # ends in that epoch; scikit-learn looks at the weights at the end
    "must contain at least one non-zero",
    "sample_weight is zero for all samples of the validation set",
    "sample_weight is too ",  # small or large for the dtype
    "weights must be >= 0",
    "partial_fit does not support early_stopping",
    "which one network does not take",
    "is an indicator matrix of the values",  # none of which is 0
    "but the weights to continue from ",
    "out of the valid range of the loss 'poisson'",
    "no attribute 'partial_fit'",  # L-BFGS: scikit-learn's regressor trains by nothing then
)
ONLY_THEIRS = (
    # Minibatches whose weights are all zero are left out.
    "Solver produced non-finite parameter weights",
    "Weights sum to zero",
    # Where (t + 1)**power_t overflows, the rate of 'invscaling' is 0.
    "Numerical result out of range",
    "too large to convert to float",
    # A warm start may go on by `partial_fit` with some of the classes.
    "warm_start can only be used where `y` has the same classes",
    # A sparse y of one column is taken like one of several.
    "Sparse data was passed for y",
)


def is_listed(error: Exception, differences: tuple[str, ...]) -> bool:
    """Return whether the documentation lists that only one package raises an error."""
    return any(words in str(error) for words in differences)


def is_saturated(model: Any, X: Any) -> bool:
    """Return whether large numbers may have driven units of scikit-learn's model to a bound.

    There its 1 - a**2 and 1 - p are nothing but the rounding of a and of p, by which Adam's steps
    are then scaled.
    """
    is_bounded = model.out_activation_ == "logistic"
    if is_bounded and max(model.loss_curve_) > model.n_outputs_:
        return True  # more than chance: predictions are certain and wrong
    numbers = np.asarray(dense(X), np.float64)
    is_bounded = is_bounded or model.activation in ("tanh", "logistic")
    return is_bounded and bool(np.abs(numbers).max(initial=0) > 10)


def assert_parity(
    ours: Result, theirs: Result, X: Any, refit: Callable[[np.random.Generator], Any]
) -> bool:
    """Compare two fits, and return whether there were two models to compare.

    Parameters
    ----------
    ours, theirs : Result
        Of the calls of both packages. Values are fitted estimators.
    X : array-like or sparse matrix
        What they were fitted to.
    refit : callable
        Fits scikit-learn's estimator again with other roundings, as `moved` and
        `nudge` make them. Where the models differ by more than the project
        promises, scikit-learn's own drift is the yardstick.
    """
    if ours.error is not None:
        if theirs.error is None and not is_listed(ours.error, ONLY_OURS):
            raise AssertionError("scikit-learn raises no error here.") from ours.error
        return False
    if theirs.error is not None:
        if not is_listed(theirs.error, ONLY_THEIRS):
            raise AssertionError("scikit-learn raises an error here.") from theirs.error
        return False
    if theirs.value.coefs_[0].dtype != np.float64 or ours.value.solver == "lbfgs":
        return False
    if not np.isfinite(theirs.value.loss_):
        return False
    if any(np.isinf(v).any() for v in getattr(theirs.value._optimizer, "vs", ())):
        return False  # squares overflowed, and its steps are 0 ever since; ours are limited
    if is_saturated(theirs.value, X):
        return False
    if theirs.value.solver == "adam" and theirs.value.beta_2 == 0:
        return False  # a step is divided by its own gradient, however much of that is rounding
    try:
        assert_same_model(ours.value, theirs.value)
    except AssertionError:
        if not is_within_drift(ours.value, theirs.value, refit):
            raise
        return False
    return True


# Where roundings have grown a hundred million times, models say nothing of each other any more.
CHAOTIC = 1e-8


def is_within_drift(ours: Any, theirs: Any, refit: Callable[[np.random.Generator], Any]) -> bool:
    """Return whether scikit-learn's model differs from itself as much as from ours."""
    n, n_theirs = len(ours.loss_curve_), len(theirs.loss_curve_)
    if n != n_theirs and theirs.tol < LOSS_RTOL * abs(theirs.loss_):
        # Losses that are equal but for rounding decide where training stops.
        curves = zip(ours.loss_curve_, theirs.loss_curve_, strict=False)
        return all(abs(a - b) <= LOSS_RTOL * abs(b) for a, b in curves)
    rng, drifts = np.random.default_rng(0), []
    for _ in range(6):
        other = attempt_of_sklearn(lambda: refit(rng)).value
        if other is None or len(other.loss_curve_) != n_theirs:
            return True  # rounding decides on the number of epochs, or on divergence
        drifts.append(distance(other, theirs))
    if max(drifts) > CHAOTIC:
        return True
    # Six draws do not find the largest drift there is: hence the factor, as in test_parity. Large
    # weights agree to as many digits as is promised of ordinary ones.
    limit = max(50 * max(drifts), WEIGHT_ATOL)
    return n == n_theirs and distance(ours, theirs) <= limit


def distance(a: Any, b: Any) -> float:
    """Return the largest relative difference of losses and weights."""
    pairs = [(np.array(a.loss_curve_), np.array(b.loss_curve_))]
    pairs += list(zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))
    with np.errstate(all="ignore"):
        sizes = [
            np.abs(x - y).max(initial=0) / max(np.abs(y).max(initial=0), 1e-300) for x, y in pairs
        ]
    return float(max(sizes))


def for_sklearn(values: Any) -> Any:
    """Return targets or weights in the float64 that we convert them to.

    scikit-learn computes in whatever dtype they have: more or fewer digits than ours.
    """
    dtype = getattr(values, "dtype", None)
    return values.astype(np.float64) if dtype in (np.float32, np.longdouble) else values


def moved(X: Any, rng: np.random.Generator) -> Any:
    """Return X as float64 with about half of its numbers moved by one unit in the last place."""
    if sp.issparse(X):
        X = sp.csr_array(X, dtype=np.float64, copy=True)
        X.data = moved(X.data, rng)
        return X
    X = np.asarray(X, dtype=np.float64)
    return np.where(rng.random(X.shape) < 0.5, np.nextafter(X, np.inf), X)


def nudge(model: Any, rng: np.random.Generator) -> Any:
    """Move some of an estimator's parameters by one unit in the last place, or not.

    The corrections of Adam's moments, 1 - beta**t, enlarge the rounding of a beta close to 1.
    """
    for name in ("alpha", "learning_rate_init", "beta_1", "beta_2"):
        value = np.float64(getattr(model, name))
        if value > 0 and rng.random() < 0.5:
            model.set_params(**{name: float(np.nextafter(value, np.inf))})
    return model
