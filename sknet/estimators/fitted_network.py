"""The network that a fitted estimator's attributes describe, also as plain values."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sknet.activations import Activation
from sknet.estimators.engine import load_engine
from sknet.losses import Loss

if TYPE_CHECKING:
    from sknet._network.layout import Layout
    from sknet._network.network import Network
    from sknet._network.prediction import Predictor


class NetworkSpec(NamedTuple):
    """A fitted network as plain values, for drawings and for other file formats.

    Attributes
    ----------
    units : tuple of int
        Widths: features, hidden layers, outputs.
    activations : tuple of str
        Name of each hidden layer's activation.
    loss : str
        Name of the loss's class in its table.
    settings : tuple of float
        The loss's parameters.
    out_activation : str
        Name of the inverse link.
    params : ndarray of shape (n_parameters,)
        All weights, then all biases, layer by layer.
    classes : ndarray of shape (n_classes,) or None
        Class labels. None for a regressor.
    """

    units: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    settings: tuple[float, ...]
    out_activation: str
    params: np.ndarray
    classes: np.ndarray | None


def spec_of(state: Mapping[str, Any], predictor: Predictor) -> NetworkSpec:
    """Return a fitted estimator's network as plain values."""
    network = predictor.network
    return NetworkSpec(
        units=network.layout.units,
        activations=tuple(activation.name for activation in network.activations),
        loss=network.loss.name,
        settings=tuple(float(value) for value in network.settings),
        out_activation=network.loss.out_activation,
        params=network.params,
        classes=state.get("classes_"),
    )


class FlatParameters(NamedTuple):
    """Weights and biases in one vector, and the position of each in it."""

    layout: Layout
    params: np.ndarray


def weights_of(state: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return weights and biases, or raise ValueError if one of them is missing."""
    for name in ("coefs_", "intercepts_"):
        if name not in state:
            raise ValueError(
                f"{name} is missing. Set both coefs_ and intercepts_, with one array for each "
                "layer, or call fit again."
            )
    return state["coefs_"], state["intercepts_"]


def flat_parameters(state: Mapping[str, Any]) -> FlatParameters:
    """Return layout and flat vector of an estimator's weights and biases.

    They may have been fitted or set by hand. If the arrays are views of one vector, it is
    this vector. Otherwise it is a copy.

    Parameters
    ----------
    state : mapping of str to object
        The estimator's attributes.

    Raises
    ------
    ValueError
        If the shapes contradict each other, or the numbers of features and outputs.
    """
    from sknet._network.layout import Layout

    coefs, intercepts = weights_of(state)
    known = state.get("_cache", {}).get("flat")
    if known is not None and matches(known[0], (*coefs, *intercepts)):
        return known[1]
    if len(coefs) == 0:
        raise ValueError("coefs_ is empty. Set one matrix for each layer, or call fit again.")
    shapes = [np.shape(W) for W in coefs]
    n_features = state.get("n_features_in_", (*shapes[0], 0)[0])
    n_outputs = state.get("n_outputs_", (0, *shapes[-1])[-1])
    layout = Layout([n_features, *((0, *shape)[-1] for shape in shapes[:-1]), n_outputs])
    params = layout.join(coefs, intercepts)
    if params.dtype not in (np.float64, np.float32):
        params = params.astype(np.float64)
    return FlatParameters(layout, params)


def remember_flat(cache: dict[str, Any], network: Network) -> None:
    """Note where the flat vector of a network is, for `flat_parameters`."""
    arrays = (*network.coefs, *network.intercepts)
    cache["flat"] = arrays, FlatParameters(network.layout, network.params)


def matches(known: tuple[Any, ...], objects: tuple[Any, ...]) -> bool:
    """Return whether objects are the known ones themselves."""
    return len(known) == len(objects) and all(map(operator.is_, known, objects))


class _Cached(NamedTuple):
    """A predictor, and the attributes from which it was made."""

    arrays: tuple[Any, ...]
    loss: tuple[str, Sequence[float]]
    activations: Sequence[str]
    predictor: Predictor
    is_view: bool

    def is_of(
        self,
        arrays: tuple[Any, ...],
        loss: tuple[str, Sequence[float]],
        activations: Sequence[str],
    ) -> bool:
        """Return whether the predictor was made from these attributes."""
        if loss != self.loss or tuple(activations) != self.activations:
            return False
        if not matches(self.arrays, arrays):
            return False
        if self.is_view:
            return True
        # Arrays that users have set were copied, and may have been written to since then.
        network = self.predictor.network
        return all(map(np.array_equal, arrays, (*network.coefs, *network.intercepts)))


def predictor_of(
    state: Mapping[str, Any],
    cache: dict[str, Any],
    loss: tuple[str, Sequence[float]],
    activations: Sequence[str],
) -> Predictor:
    """Return the predictor that computes scores with an estimator's present weights.

    Parameters
    ----------
    state : mapping of str to object
        The estimator's attributes.
    cache : dict
        Keeps the predictor for the next call.
    loss : tuple of str and sequence of float
        Name of the fitted loss, and its settings.
    activations : sequence of str
        Name of each hidden layer's activation.
    """
    coefs, intercepts = weights_of(state)
    arrays = (*coefs, *intercepts)
    cached = cache.get("predictor")
    if cached is not None and cached.is_of(arrays, loss, activations):
        return cached.predictor
    load_engine()
    from sknet._network.network import Network
    from sknet._network.prediction import Predictor

    layout, params = flat_parameters(state)
    if len(activations) != len(layout.units) - 2:
        raise ValueError(
            f"coefs_ has {len(layout.units) - 2} hidden layers, but there are {len(activations)} "
            f"activations: {activations}. Set weights of matching shapes, or call fit again."
        )
    parts = [Activation.get(name) for name in activations]
    network = Network(layout, params, parts, Loss.get(loss[0]), loss[1])
    predictor = Predictor(network)
    own = (*network.coefs, *network.intercepts)
    is_view = all(map(np.shares_memory, arrays, own)) if _are_arrays(arrays) else False
    cache["predictor"] = _Cached(arrays, loss, tuple(activations), predictor, is_view)
    return predictor


def _are_arrays(arrays: Sequence[Any]) -> bool:
    return all(isinstance(array, np.ndarray) and array.size for array in arrays)
