"""The networks that read drawings: trained on scikit-learn's digits, or on MNIST."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sknet._cli.draw.pictures import as_mnist_digit, as_small_digit
from sknet._cli.draw.recognizer import Recognizer
from sknet._cli.images import load_mnist
from sknet.estimators import MLPClassifier

SIDE = 8
N_COPIES = 14
HIDDEN = 100


def train_on_digits(seed: int) -> Recognizer:
    """Train on four fifths of :func:`sklearn.datasets.load_digits`.

    Parameters
    ----------
    seed : int
        Of the split, the distorted copies and the network.

    Returns
    -------
    Recognizer
    """
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.2, stratify=y, random_state=seed
    )
    rng = np.random.default_rng(seed)
    images = np.tile(X_train, (N_COPIES, 1)).reshape(-1, SIDE, SIDE)
    copies = _distorted(images, rng).reshape(len(images), -1)
    network = MLPClassifier(
        HIDDEN,
        dropout=0.2,
        ema_decay=0.999,
        learning_rate_init=0.002,
        max_iter=30,
        random_state=seed,
    )
    _fit(network, np.vstack([X_train, copies]), np.tile(y_train, N_COPIES + 1))
    source = f"{len(y_train):,} digits of scikit-learn's load_digits and {N_COPIES} distorted "
    source += "copies of each"
    return Recognizer(network, as_small_digit, _description(network, source, X_test, y_test))


def train_on_mnist(path: str, seed: int) -> Recognizer:
    """Train on MNIST.

    Parameters
    ----------
    path : str
        The file `mnist.npz`, or the folder that it is in.
    seed : int
        Of the network.

    Returns
    -------
    Recognizer

    Raises
    ------
    MissingDataError, ValueError
        If the file cannot be read, or does not hold MNIST.
    """
    mnist = load_mnist(path).astype("float32")
    network = MLPClassifier(HIDDEN, dropout=0.2, max_iter=10, random_state=seed)
    _fit(network, mnist.X_train, mnist.y_train)
    source = f"{len(mnist.y_train):,} digits of MNIST"
    description = _description(network, source, mnist.X_test, mnist.y_test)
    return Recognizer(network, as_mnist_digit, description)


def _fit(network: MLPClassifier, X: np.ndarray, y: np.ndarray) -> None:
    """Fit without the warning that more epochs would lower the loss a little."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(X, y)


def _description(network: MLPClassifier, source: str, X: np.ndarray, y: np.ndarray) -> str:
    return (
        f"A network of {network.n_features_in_} inputs, {HIDDEN} hidden units and "
        f"{network.n_outputs_} outputs, trained on {source}. "
        f"It reads {network.score(X, y):.1%} of {len(y):,} digits right that it was not trained on."
    )


def _distorted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each image turned, slanted, scaled, moved and bent a little.

    Copies like this make up for handwriting that the few training images lack. The
    bends are the elastic distortions of Simard, Steinkraus and Platt (2003). Best
    practices for convolutional neural networks applied to visual document analysis.
    ICDAR, section 3. The sizes of the distortions are those with which networks read
    most of 1,500 digits of MNIST that :func:`as_small_digit` had made small.

    Parameters
    ----------
    images : ndarray of shape (n, SIDE, SIDE)
    rng : numpy Generator

    Returns
    -------
    ndarray of shape (n, SIDE, SIDE)
    """
    n, centre = len(images), (SIDE - 1) / 2
    angles = np.deg2rad(rng.normal(0, 12, n))
    cos, sin = np.cos(angles), np.sin(angles)
    turns = np.stack([cos, -sin, sin, cos], axis=1).reshape(n, 2, 2)
    heights, widths = rng.normal(1, 0.1, (2, n))
    slants = rng.normal(0, 0.2, n)
    shapes = np.stack([heights, np.zeros(n), slants, widths], axis=1).reshape(n, 2, 2)
    bends = gaussian_filter(rng.normal(size=(n, 2, SIDE, SIDE)), (0, 0, 2, 2), mode="constant")
    bends *= 0.4 / bends.std(axis=(1, 2, 3), keepdims=True)
    grid = np.indices((SIDE, SIDE)).reshape(2, -1) - centre
    points = turns @ shapes @ grid + centre + rng.normal(0, 0.4, (n, 2, 1))
    points += bends.reshape(n, 2, -1)
    # The first coordinate is the number of the image.
    numbers = np.broadcast_to(np.arange(n, dtype=float)[:, None], (n, SIDE**2))
    values = map_coordinates(images, [numbers, points[:, 0], points[:, 1]], order=1)
    return values.reshape(images.shape)
