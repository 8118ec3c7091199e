"""The data of the benchmarks: handwritten digits, large and small."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

VARIABLE = "SKNET_DATA"
FILE = "mnist.npz"


class Split(NamedTuple):
    """Training and test data; rows of X are images, flattened."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray

    def astype(self, dtype: str) -> Split:
        """Return the same with X in another dtype."""
        return self._replace(X_train=self.X_train.astype(dtype), X_test=self.X_test.astype(dtype))


class MissingDataError(Exception):
    """MNIST is nowhere to be found; the message lists the places."""


def load_mnist(path: str | None = None, *, fetch: bool = True) -> Split:
    """Return MNIST, its pixels divided by 255, in float64.

    Parameters
    ----------
    path : str or None
        `mnist.npz`, or the folder it is in. It holds the arrays x_train,
        y_train, x_test and y_test, pixels from 0 to 255. None: the folder that
        the environment variable SKNET_DATA names.
    fetch : bool
        Whether to download it from OpenML (and keep it in scikit-learn's data
        folder) where there is no such file.

    Raises
    ------
    MissingDataError
        If no place has it.
    """
    looked = []
    for origin, folder in ((f"--data {path}", path), (VARIABLE, os.environ.get(VARIABLE))):
        if folder is None:
            if origin == VARIABLE:
                looked.append(f"environment variable {VARIABLE}: not set")
            continue
        file = Path(folder) / FILE if Path(folder).is_dir() else Path(folder)
        if file.is_file():
            return _read(file)
        looked.append(f"{origin}: no file {file}")
    if fetch:
        try:
            return _fetch()
        except (OSError, ImportError) as error:
            looked.append(f'sklearn.datasets.fetch_openml("mnist_784"): {error}')
    raise MissingDataError("MNIST not found. Looked for it in\n  " + "\n  ".join(looked))


def _read(file: Path) -> Split:
    with np.load(file) as arrays:
        X_train, X_test = (
            arrays[name].reshape(len(arrays[name]), -1) / 255 for name in ("x_train", "x_test")
        )
        return Split(X_train, X_test, arrays["y_train"], arrays["y_test"])


def _fetch() -> Split:
    X, y = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False, n_retries=1)
    X, y = X / 255, y.astype(np.uint8)
    return Split(X[:60000], X[60000:], y[:60000], y[60000:])


def load_small_digits(form: str, seed: int) -> Split:
    """Return scikit-learn's 1797 digits of 8 x 8 pixels, a quarter of them for testing.

    Parameters
    ----------
    form : {'binarised', 'standardised', 'plain'}
        Ink or none, from half of the full ink on; or each pixel with mean 0
        and variance 1 over the training data; or ink from 0 to 1.
    seed : int
        Of the split.
    """
    X, y = load_digits(return_X_y=True)
    X = X / X.max()
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=seed
    )
    if form == "binarised":
        X_train, X_test = ((part >= 0.5).astype(float) for part in (X_train, X_test))
    elif form == "standardised":
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    return Split(X_train, X_test, y_train, y_test)
