"""The nets of members: sknet's estimators with a member's configuration and initial weights."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from sknet.activations import Activation
from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.estimators.targets import ClassTargets
from sknet.initialization import draw_layer
from sknet.tabular.configurations import Configuration

if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.observers import StateNow
    from sknet._training.records import Records


# Networks of classifiers learn a scale of each input, at so many times the rate of the weights, as
# in Holzmüller, Grinsztajn and Steinwart 2024, arXiv:2407.04491.
SCALE_RATE = 6.0


class MemberClassifier(MLPClassifier):
    """An `MLPClassifier` of classes 0, 1, ... of which some may be missing among its rows."""

    _n_classes: int
    _scale_rate: float

    def _encode(
        self, y: np.ndarray, *, is_incremental: bool, classes: Any
    ) -> tuple[ClassTargets, np.ndarray]:
        targets = ClassTargets.of(y, np.arange(self._n_classes, dtype=np.int64))
        self._label_binarizer, self.classes_ = targets.label_binarizer, targets.classes
        return targets, targets.encode_again(y, same_classes=False)


class InitialWeights:
    """Draws the weights of a net, layer by layer from the first to the last.

    Parameters
    ----------
    configuration : Configuration
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._n_drawn = 0

    def __call__(
        self, fan_in: int, fan_out: int, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights and biases of the next layer."""
        drawn = self.configuration
        last = len(drawn.hidden_layer_sizes)
        layer = self._n_drawn
        self._n_drawn = 0 if layer == last else layer + 1  # the next fit begins with the first
        if drawn.initialization == "auto":
            activation = Activation.get(drawn.activation)
            weights, biases = draw_layer("auto", random_state, fan_in, fan_out, activation)
        elif drawn.initialization == "zero_output" and layer == last:
            weights, biases = np.zeros((fan_in, fan_out)), np.zeros(fan_out)
        else:
            weights = random_state.normal(0, np.sqrt(1 / fan_in), (fan_in, fan_out))
            biases = drawn.bias_scale * random_state.normal(size=fan_out)
        return (weights / drawn.input_scale if layer == 0 else weights), biases


def parameters_of(configuration: Configuration, seed: int) -> dict[str, Any]:
    """Return the parameters that the nets of classifiers and regressors share."""
    return {
        "hidden_layer_sizes": configuration.hidden_layer_sizes,
        "activation": configuration.activation,
        "solver": "adamw",
        "alpha": 0.0,
        "batch_size": configuration.batch_size,
        "learning_rate": configuration.learning_rate,
        "learning_rate_init": configuration.learning_rate_init,
        "max_iter": configuration.max_iter,
        "random_state": seed,
        "beta_2": configuration.beta_2,
        "n_iter_no_change": np.inf,
        "n_jobs": 1,
        "weight_init": InitialWeights(configuration),
        "dropout": configuration.dropout,
        "weight_decay": configuration.weight_decay,
        "scoring": "loss",
        "restore_best": True,
    }


def classifier_of(configuration: Configuration, seed: int, n_classes: int) -> MemberClassifier:
    """Return the net of a member that classifies."""
    parameters = parameters_of(configuration, seed)
    net = MemberClassifier(**parameters, label_smoothing=configuration.label_smoothing)
    net._n_classes = n_classes
    net._scale_rate = SCALE_RATE
    return net


def regressor_of(configuration: Configuration, seed: int) -> MLPRegressor:
    """Return the net of a member that predicts numbers. Numbers have no labels to smooth."""
    return MLPRegressor(**parameters_of(configuration, seed))


class StopIfSet:
    """An observer that stops training once an event is set.

    Parameters
    ----------
    event : Event
    """

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    def epoch_begins(self) -> None:
        """Do nothing."""

    def epoch_ends(self, network: Network, records: Records, state: StateNow | None = None) -> bool:
        """Return whether the event is set."""
        return self._event.is_set()

    def plateau(self, message: str) -> None:
        """Do nothing."""

    def training_ends(self, network: Network, records: Records) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Hold nothing."""
