"""Images of handwritten digits: a training and a test part, and where MNIST is read from."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import fetch_openml

VARIABLE = "SKNET_DATA"
FILE = "mnist.npz"
N_TRAIN = 60_000  # the first so many of the 70,000 images of OpenML are for training


class Split(NamedTuple):
    """Training and test data. Each row of X is one image, and y has its label."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray

    def astype(self, dtype: str) -> Split:
        """Return the same data with X in another dtype.

        Parameters
        ----------
        dtype : str
            For example 'float32'.

        Returns
        -------
        Split
        """
        return self._replace(
            X_train=self.X_train.astype(dtype, copy=False),
            X_test=self.X_test.astype(dtype, copy=False),
        )


class MissingDataError(Exception):
    """MNIST is in none of the places where it was looked for. The message lists them."""


def load_mnist(path: str | None = None, *, fetch: bool = True) -> Split:
    """Return MNIST with pixels from 0 to 1 in float64.

    Parameters
    ----------
    path : str, default=None
        The file mnist.npz, or the folder that contains it. It has the arrays
        x_train, y_train, x_test and y_test, with pixels from 0 to 255, as Keras
        saves them. If it is None, the environment variable SKNET_DATA gives the
        path.
    fetch : bool, default=True
        Whether to download MNIST from OpenML if neither of them gives a path.
        scikit-learn keeps it in its data folder.

    Returns
    -------
    Split

    Raises
    ------
    MissingDataError
        If there is no such file, or the download fails.
    ValueError
        If the file is not a copy of MNIST.
    """
    origin = "--data" if path is not None else VARIABLE
    path = path if path is not None else os.environ.get(VARIABLE)
    if path:
        file = Path(path) / FILE if Path(path).is_dir() else Path(path)
        if not file.is_file():
            raise MissingDataError(
                f"MNIST is not found: {origin} gives {path!r}, but there is no file {str(file)!r}. "
                f"Give the path of {FILE}, or of the folder that contains it."
            )
        return _read(file)
    reason = f"the environment variable {VARIABLE} is not set"
    if fetch:
        try:
            return _fetch()
        except (OSError, ImportError) as error:
            reason += f", and it cannot be downloaded from OpenML ({error})"
    raise MissingDataError(
        f"MNIST is not found: --data is not given, {reason}. "
        f"Give the path of {FILE}, or of the folder that contains it, by --data."
    )


def _read(file: Path) -> Split:
    """Read the four arrays, and check that they are images and labels."""
    names = ("x_train", "x_test", "y_train", "y_test")
    try:
        with np.load(file) as archive:
            missing = [name for name in names if name not in archive]
            arrays = {} if missing else {name: archive[name] for name in names}
    except OSError as error:
        raise MissingDataError(f"Cannot read {str(file)!r}: {error}") from error
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        # The TypeError: of a file with a single array np.load makes no context manager.
        raise ValueError(
            f"{str(file)!r} is not a complete .npz file of NumPy. Download it again, or "
            f"give the path of another copy of {FILE}."
        ) from error
    if missing:
        raise ValueError(
            f"{str(file)!r} has no array {', '.join(missing)}. It must have the arrays "
            f"{', '.join(names)}."
        )
    for part in ("train", "test"):
        _check(file, part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    X_train, X_test = (arrays[name].reshape(len(arrays[name]), -1) / 255 for name in names[:2])
    return Split(X_train, X_test, arrays["y_train"], arrays["y_test"])


def _check(file: Path, part: str, X: np.ndarray, y: np.ndarray) -> None:
    if not (X.shape[1:] in ((28, 28), (784,)) and len(X) > 0 and X.dtype.kind in "uif"):
        problem = f"x_{part} of shape {X.shape} and dtype {X.dtype}"
        expected = "numbers of shape (n_images, 28, 28) or (n_images, 784)"
    elif not (y.shape == X.shape[:1] and y.dtype.kind in "ui" and 0 <= y.min() <= y.max() <= 9):
        problem = f"y_{part} of shape {y.shape} and dtype {y.dtype}"
        expected = f"an integer from 0 to 9 for each of the {len(X)} images of x_{part}"
    elif not (X.min() >= 0 and 1 < X.max() <= 255):
        problem = f"x_{part} with values from {X.min():g} to {X.max():g}"
        expected = "pixels from 0 to 255, which are not scaled yet"
    else:
        return
    raise ValueError(f"{str(file)!r} has {problem}. Expected {expected}.")


def _fetch() -> Split:
    X, y = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False, n_retries=1)
    X, y = X / 255, y.astype(np.uint8)
    return Split(X[:N_TRAIN], X[N_TRAIN:], y[:N_TRAIN], y[N_TRAIN:])
