"""A trained network, and all that it has to say about a drawing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator

from sknet._cli.draw.pictures import SIDE
from sknet.estimators import MLPClassifier
from sknet.inspection import HiddenLayers, input_gradients


class Reading(NamedTuple):
    """What a network makes of a drawing.

    `image` is the drawing as the network sees it. `saliency` is the gradient of the
    raw score of `digit` with respect to the pixels of `image`.
    """

    digit: int
    probabilities: np.ndarray
    hidden: np.ndarray
    image: np.ndarray
    saliency: np.ndarray


class Recognizer:
    """A network with the function that turns drawings into its input.

    Parameters
    ----------
    network : MLPClassifier
        A fitted network with the classes 0 to 9 and one hidden layer. Its input
        is a square image.
    as_input : callable
        Takes a picture, an ndarray of shape (SIDE, SIDE) with pixels from 0 to
        255, and returns the row of the network's input.
    description : str
        What the network was trained on, and how well it reads, for the page.
    """

    def __init__(
        self,
        network: MLPClassifier,
        as_input: Callable[[np.ndarray], np.ndarray],
        description: str,
    ) -> None:
        self.description = description
        self.image_side = round(network.n_features_in_**0.5)
        self.n_hidden = network.coefs_[0].shape[1]
        self._network = network
        self._as_input = as_input
        blank = np.zeros((1, network.n_features_in_))
        self._hidden = HiddenLayers(FrozenEstimator(network)).fit(blank)
        self.read(np.full((SIDE, SIDE), 255, np.uint8))  # compiles all that reading needs

    def read(self, picture: np.ndarray) -> Reading:
        """Read a drawing.

        Parameters
        ----------
        picture : ndarray of shape (SIDE, SIDE)
            Pixels from 0, paper, to 255, ink. Some must be ink.

        Returns
        -------
        Reading
        """
        x = self._as_input(picture).reshape(1, -1)
        probabilities = self._network.predict_proba(x)[0]
        digit = int(self._network.classes_[probabilities.argmax()])
        return Reading(
            digit=digit,
            probabilities=probabilities,
            hidden=self._hidden.transform(x)[0],
            image=x[0],
            saliency=input_gradients(self._network, x, target=digit)[0],
        )
