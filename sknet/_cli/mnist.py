"""The command ``mnist``: the networks that tutorials on handwritten digits train."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import classification_report

from sknet._cli.images import MissingDataError, Split, load_mnist
from sknet._cli.mnist_figure import Result, draw
from sknet._cli.output import compiling, drawable, save
from sknet.estimators import MLPClassifier


class Settings(NamedTuple):
    """The options of the command.

    If `data` is None, the environment variable SKNET_DATA says where MNIST is. If
    `hidden` is None, the tutorials' networks are trained. If `rows` is None, all
    images are used. No figure is saved if `output` is None.
    """

    data: str | None
    hidden: Sequence[tuple[int, ...]] | None
    epochs: int
    rows: int | None
    seed: int
    n_jobs: int
    dtype: str
    output: Path | None


class Net(NamedTuple):
    """How a tutorial trains its network. All end in softmax and cross-entropy."""

    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    solver: str = "adam"
    learning_rate: float = 0.001
    batch_size: int = 128


# Gradient descent takes the step that the gradient gives, and needs a larger rate than Adam.
TUTORIAL_NETS = (Net(), Net((32,), "logistic", "sgd", 0.5, 32))
ACTIVATIONS = {"relu": "relu", "logistic": "sigmoid"}
SOLVERS = {"adam": "Adam", "sgd": "plain gradient descent"}


class EpochReport:
    """A scorer for the test images that also scores the training images, and prints both.

    It is called after each epoch. The result is only reported: it changes nothing
    in the training.

    Parameters
    ----------
    images : Split
    """

    def __init__(self, images: Split) -> None:
        self.images = images
        self.training_accuracies: list[float] = []
        self.test_accuracies: list[float] = []
        print("epoch    training accuracy    test accuracy    seconds", flush=True)
        self.start = time.perf_counter()

    def __call__(self, network: MLPClassifier, X: np.ndarray, y: np.ndarray) -> float:
        """Print the line of an epoch, and return the accuracy on the test images.

        Parameters
        ----------
        network : MLPClassifier
            The network in training.
        X : ndarray of shape (n_images, n_pixels)
            The test images.
        y : ndarray of shape (n_images,)
            Their labels.

        Returns
        -------
        float
        """
        seconds = time.perf_counter() - self.start
        training = float(network.score(self.images.X_train, self.images.y_train))
        test = float(network.score(X, y))
        self.training_accuracies.append(training)
        self.test_accuracies.append(test)
        print(
            f"{len(self.test_accuracies):5}{training:21.4f}{test:17.4f}{seconds:11.2f}",
            flush=True,
        )
        self.start = time.perf_counter()  # the next epoch's seconds leave this report out
        return test


def run(settings: Settings) -> None:
    """Train the networks, print their accuracy in each epoch, and save the figure.

    Parameters
    ----------
    settings : Settings
    """
    output = drawable(settings.output)
    try:
        images = load_mnist(settings.data)
    except (MissingDataError, ValueError) as error:
        sys.exit(f"error: {error}")
    rows = slice(settings.rows)
    images = images._replace(X_train=images.X_train[rows], y_train=images.y_train[rows])
    if unknown := sorted(set(images.y_test.tolist()) - set(images.y_train.tolist())):
        sys.exit(
            f"error: the {len(images.y_train):,} training images have no "
            f"{', '.join(map(str, unknown))}, which the test images have: train on more of them."
        )
    images = images.astype(settings.dtype)
    print(
        f"{len(images.y_train):,} training images, {len(images.y_test):,} test images, "
        f"{settings.dtype}.",
        flush=True,
    )
    nets = TUTORIAL_NETS if settings.hidden is None else [Net(sizes) for sizes in settings.hidden]
    results = [_train(net, images, settings) for net in nets]
    if output is not None:
        save(draw(results, images), output)


def _train(net: Net, images: Split, settings: Settings) -> Result:
    n_pixels, n_classes = images.X_train.shape[1], len(np.unique(images.y_train))
    name = "-".join(map(str, (n_pixels, *net.hidden, n_classes)))
    print(
        f"\n{name}: {ACTIVATIONS[net.activation]} units, then softmax. The loss is cross-entropy.\n"
        f"Trained by {SOLVERS[net.solver]}: learning rate {net.learning_rate:g}, "
        f"minibatches of {net.batch_size} images."
    )
    network = MLPClassifier(
        net.hidden,
        activation=net.activation,
        solver=net.solver,
        learning_rate_init=net.learning_rate,
        batch_size=min(net.batch_size, len(images.y_train)),
        alpha=0.0,
        max_iter=settings.epochs,
        n_iter_no_change=inf,
        random_state=settings.seed,
        n_jobs=settings.n_jobs,
    )
    if net.solver == "sgd":
        network.set_params(momentum=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is given
        with compiling():
            _fit_briefly(network, images)
        report = EpochReport(images)
        network.set_params(scoring=report)
        network.fit(images.X_train, images.y_train, X_val=images.X_test, y_val=images.y_test)
    probabilities = network.predict_proba(images.X_test)
    result = Result(
        name,
        network.coefs_[0],
        report.training_accuracies,
        report.test_accuracies,
        network.predict(images.X_test),
        probabilities.max(axis=1),
    )
    n_wrong = np.count_nonzero(result.predictions != images.y_test)
    print(
        f"\n{n_wrong:,} of {len(images.y_test):,} test images are misread. "
        "Precision, recall and F1 of each digit:\n"
    )
    print(classification_report(images.y_test, result.predictions, digits=3, zero_division=0))
    return result


def _fit_briefly(network: MLPClassifier, images: Split) -> None:
    """Fit a few images, in which Numba compiles the kernels."""
    X, y = images.X_train[:100], images.y_train[:100]
    brief = clone(network).set_params(max_iter=1, batch_size=min(network.batch_size, len(y)))
    brief.fit(X, y, X_val=X, y_val=y).predict_proba(X)
