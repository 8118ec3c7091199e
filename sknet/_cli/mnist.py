"""The MNIST digits, read from the file `mnist.npz`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

FILE_NAME = "mnist.npz"
SIDE = 28


class Mnist(NamedTuple):
    """The images, each a row of 784 pixels in [0, 1] in float32, and their labels."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


def load_mnist(path: Path) -> Mnist:
    """Read MNIST.

    Parameters
    ----------
    path : Path
        The file `mnist.npz`, or the folder that it is in. The file holds the
        arrays `x_train`, `y_train`, `x_test` and `y_test`, with pixels from 0
        to 255.

    Returns
    -------
    Mnist

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file does not hold these arrays.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        with np.load(file) as arrays:
            x_train, x_test = arrays["x_train"], arrays["x_test"]
            y_train, y_test = arrays["y_train"], arrays["y_test"]
    except (BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
        raise ValueError(
            f"{str(file)!r} does not hold the arrays x_train, y_train, x_test and y_test that "
            f"np.savez has written: {error}"
        ) from error
    for x, y in ((x_train, y_train), (x_test, y_test)):
        if x.shape != (len(y), SIDE, SIDE) or y.shape != (len(x),) or len(y) == 0:
            raise ValueError(
                f"{str(file)!r} holds images of the shape {x.shape} with labels of the shape "
                f"{y.shape}: expected (n, {SIDE}, {SIDE}) and (n,) with n >= 1."
            )
        if x.dtype != np.uint8 or y.dtype.kind not in "iu" or y.min() < 0 or y.max() > 9:
            raise ValueError(
                f"{str(file)!r} holds images of the dtype {x.dtype} and labels of the dtype "
                f"{y.dtype}: expected pixels in uint8 and labels that are integers from 0 to 9."
            )
    return Mnist(_as_rows(x_train), _as_rows(x_test), y_train, y_test)


def _as_rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
