"""A network as units and connections, and how it answers to one sample."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_scalar

from sknet.display._shared import NEGATIVE, POSITIVE, axes_or_new, one_row, perceptron
from sknet.estimators.base import BaseMLP
from sknet.inspection import HiddenLayers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In units of the distance between neighbours in a layer.
RADIUS = 0.36
LAYER_DISTANCE = 5.0


class NetworkDisplay:
    """Drawing of a network: units as circles, weights as lines between them.

    Positive weights are solid and orange, negative ones dashed and blue. The
    stronger a line, the larger is its weight compared with the others of its
    layer. Of a wide layer those units are drawn whose weights to the next layer
    have the largest norms; of the last layer it is the weights from the layer
    before. They stay in the order of the network, with dots for the others.

    If activations are given, circles have the colour of their sign, stronger the
    larger they are compared with the others of their layer.

    Create the display with :meth:`from_estimator`.

    Parameters
    ----------
    weights : list of ndarray of shape (fan_in, fan_out)
        Weights, layer by layer.
    activations : list of ndarray of shape (n_units,), default=None
        Activations of one sample: its features, those of each hidden layer, and
        the outputs. None draws empty circles.
    names : sequence of str, default=None
        What to write above each layer. None writes the numbers of units.
    feature_names : sequence of str of shape (n_features,), default=None
        Names at the features. None numbers them: x0, x1 and so on.
    output_names : sequence of str of shape (n_outputs,), default=None
        Names at the outputs. None numbers them: y0, y1 and so on.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the drawing.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    units_ : list of ndarray of int
        The units drawn of each layer.
    circles_ : list of list of matplotlib Circle
        The circles of each layer.
    lines_ : list of matplotlib LineCollection
        The lines of each matrix of weights. Line ``i * n_right + j`` joins the
        i-th circle on the left with the j-th of the `n_right` on the right.

    See Also
    --------
    WeightsDisplay : The weights of the first layer as images.
    sknet.HiddenLayers : The activations as an array.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import MLPClassifier, NetworkDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(hidden_layer_sizes=(8,), max_iter=2000, random_state=0).fit(X, y)
    >>> display = NetworkDisplay.from_estimator(net, X[0])
    >>> [len(circles) for circles in display.circles_]
    [4, 8, 3]
    """

    def __init__(
        self,
        weights: Sequence[np.ndarray],
        *,
        activations: Sequence[np.ndarray] | None = None,
        names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
    ) -> None:
        self.weights = weights
        self.activations = activations
        self.names = names
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        max_units: int = 12,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a fitted network, and its activations for one sample.

        Parameters
        ----------
        estimator : estimator
            A fitted multilayer perceptron of sknet, or without X also one of
            scikit-learn. It may be the last step of a pipeline, or the best
            estimator of a search. The features are those that the network is
            given.
        X : array-like of shape (n_features,) or (1, n_features), default=None
            A sample whose activations are drawn. None draws the network alone.
        feature_names : sequence of str of shape (n_features,), default=None
            Names at the features. None uses those that the network has seen in
            `fit`, or numbers them.
        output_names : sequence of str of shape (n_outputs,), default=None
            Names at the outputs. None uses the classes, or numbers the outputs.
        max_units : int, default=12
            Most units drawn of a layer, >= 2.
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        NetworkDisplay
            The display, plotted.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        TypeError
            If X is given and the network is not one of sknet, or if `max_units`
            is no integer.
        ValueError
            If the estimator has no weights, if X is not one row with its
            features, if a name is missing, or if `max_units` is below 2.
        """
        network, before = perceptron(estimator)
        activations = None
        if X is not None:
            inputs = one_row(X, estimator.n_features_in_)
            for steps in before:
                inputs = steps.transform(inputs)
            activations = _activations(network, one_row(inputs, network.n_features_in_))
        if feature_names is None:
            feature_names = getattr(network, "feature_names_in_", None)
        display = cls(
            network.coefs_,
            activations=activations,
            names=_layer_names(network),
            feature_names=feature_names,
            output_names=_output_names(network) if output_names is None else output_names,
        )
        return display.plot(ax, max_units=max_units)

    def plot(self, ax: Axes | None = None, *, max_units: int = 12) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. None creates a new figure.
        max_units : int, default=12
            Most units drawn of a layer, >= 2.

        Returns
        -------
        NetworkDisplay
            The display itself.

        Raises
        ------
        TypeError
            If `max_units` is no integer.
        ValueError
            If a name is missing, or if `max_units` is below 2.
        """
        check_scalar(max_units, "max_units", Integral, min_val=2)
        weights = [np.asarray(W) for W in self.weights]
        sizes = [len(weights[0]), *(W.shape[1] for W in weights)]
        ends = {
            0: _names("feature_names", self.feature_names, "x", sizes[0]),
            len(sizes) - 1: _names("output_names", self.output_names, "y", sizes[-1]),
        }
        outputs = [] if self.activations is None else _output_texts(self.activations[-1])
        norms = [*(np.linalg.norm(W, axis=1) for W in weights), np.linalg.norm(weights[-1], axis=0)]
        self.units_ = [np.sort(np.argsort(-n, kind="stable")[:max_units]) for n in norms]
        places = [_places(len(u), n) for u, n in zip(self.units_, sizes, strict=True)]
        height = 1 + max(np.ptp(y) for y in places)
        self.ax_ = axes_or_new(ax, (1.5 + 1.9 * len(sizes), max(2.6, 1.2 + 0.36 * height)))
        self.figure_ = self.ax_.figure

        self.lines_ = [self._draw_weights(l, W, places) for l, W in enumerate(weights)]
        self.circles_ = [self._draw_units(l, y, sizes[l]) for l, y in enumerate(places)]
        for l, y in enumerate(places):
            x, side = l * LAYER_DISTANCE, -1 if l == 0 else 1
            title = f"{sizes[l]:,}" if self.names is None else self.names[l]
            self.ax_.text(x, height / 2 + 0.3, title, ha="center", va="bottom")
            for unit, place in zip(self.units_[l], y, strict=True) if l in ends else ():
                text, align = ends[l][unit], "right" if l == 0 else "left"
                if l > 0 and outputs:
                    text += f"  {outputs[unit]}"
                self.ax_.text(x + side * 0.7, place, text, ha=align, va="center")
        self.ax_.set_aspect("equal")
        self.ax_.set(
            xlim=(-0.5, (len(sizes) - 1) * LAYER_DISTANCE + 0.5), ylim=(-height / 2, height / 2)
        )
        self.ax_.set_axis_off()
        self._draw_legend()
        return self

    def _draw_weights(self, l: int, W: np.ndarray, places: Sequence[np.ndarray]) -> Any:
        from matplotlib.collections import LineCollection
        from matplotlib.colors import to_rgba

        shown = W[np.ix_(self.units_[l], self.units_[l + 1])]
        strengths = np.abs(shown) / (np.abs(shown).max() or 1.0)
        left, right = l * LAYER_DISTANCE, (l + 1) * LAYER_DISTANCE
        pairs = [((left, a), (right, b)) for a in places[l] for b in places[l + 1]]
        signs, strong = shown.reshape(-1) > 0, strengths.reshape(-1)
        lines = LineCollection(
            pairs,
            colors=[
                to_rgba(POSITIVE if s else NEGATIVE, a) for s, a in zip(signs, strong, strict=True)
            ],
            linestyles=["solid" if s else "dashed" for s in signs],
            linewidths=0.3 + 1.7 * strong,
            zorder=1,
        )
        return self.ax_.add_collection(lines)

    def _draw_units(self, l: int, y: np.ndarray, n_units: int) -> list[Any]:
        from matplotlib import rcParams
        from matplotlib.colors import to_rgb
        from matplotlib.patches import Circle

        x, empty = l * LAYER_DISTANCE, np.array(to_rgb(self.ax_.get_facecolor()))
        faces, signs = [empty] * len(y), np.ones(len(y))
        if self.activations is not None:
            values = np.asarray(self.activations[l], dtype=float)
            signs = values[self.units_[l]]
            for k, value in enumerate(signs / (np.abs(values).max() or 1.0)):
                hue = np.array(to_rgb(POSITIVE if value > 0 else NEGATIVE))
                faces[k] = empty + abs(value) * (hue - empty)
        circles = [
            Circle(
                (x, place),
                RADIUS,
                facecolor=face,
                edgecolor=rcParams["text.color"],
                linestyle="-" if sign >= 0 else ":",
                zorder=2,
            )
            for place, face, sign in zip(y, faces, signs, strict=True)
        ]
        for circle in circles:
            self.ax_.add_patch(circle)
        if len(y) < n_units:
            self.ax_.plot(
                [x] * 3, [-0.3, 0, 0.3], ".", color=rcParams["text.color"], markersize=3, zorder=2
            )
        return circles

    def _draw_legend(self) -> None:
        from matplotlib import rcParams
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], color=POSITIVE, label="Positive weight"),
            Line2D([], [], color=NEGATIVE, linestyle="--", label="Negative weight"),
        ]
        signs = {sign for layer in self.activations or () for sign in np.sign(layer)}
        for sign, color, what in ((1, POSITIVE, "Positive"), (-1, NEGATIVE, "Negative")):
            if sign in signs:
                circle = {"marker": "o", "markersize": 8, "markeredgecolor": rcParams["text.color"]}
                label = f"{what} activation"
                handles.append(Line2D([], [], linestyle="", color=color, label=label, **circle))
        self.ax_.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False
        )


def _activations(network: Any, row: Any) -> list[np.ndarray]:
    """Return the activations of one row, layer by layer, from its features to the outputs."""
    inputs = np.asarray(row, dtype=float)[0]
    hidden: list[np.ndarray] = []
    if len(network.coefs_) > 1:
        layers = HiddenLayers(FrozenEstimator(network), layer="all").fit(row)
        bounds = np.cumsum([W.shape[1] for W in network.coefs_[:-2]])
        hidden = np.split(layers.transform(row)[0], bounds)
    if not is_classifier(network):
        outputs = network.predict(row)
    elif hasattr(network, "predict_proba"):
        outputs = network.predict_proba(row)
    else:
        outputs = network.decision_function(row)
    # Two classes have one output: the second class.
    return [inputs, *hidden, np.reshape(outputs, -1)[-network.coefs_[-1].shape[1] :]]


def _places(n_shown: int, n_units: int) -> np.ndarray:
    """Return the heights of the circles of a layer about 0, from the top, with room for dots."""
    y = np.arange(n_shown, dtype=float)
    if n_shown < n_units:
        y[(n_shown + 1) // 2 :] += 1.5
    return (y[-1] + y[0]) / 2 - y


def _names(parameter: str, names: Sequence[str] | None, letter: str, n_units: int) -> list[str]:
    if names is None:
        return [f"{letter}{j}" for j in range(n_units)]
    if len(names) != n_units:
        raise ValueError(
            f"{parameter} has {len(names)} names, but the network has {n_units} of them: give one "
            "name for each."
        )
    return [str(name) for name in names]


def _layer_names(network: Any) -> list[str]:
    """Return what is written above each layer: its size, and its activation function."""
    sizes = [W.shape[1] for W in network.coefs_]
    # The parameter may have been set anew since the fit; scikit-learn keeps nothing else.
    is_ours = isinstance(network, BaseMLP)
    names = network._spec().activations if is_ours else [network.activation] * (len(sizes) - 1)
    kinds = ["unit"] * (len(sizes) - 1) + ["output"]
    titles = [
        f"{n:,} {kind}{'' if n == 1 else 's'}\n{name}"
        for n, kind, name in zip(sizes, kinds, [*names, network.out_activation_], strict=True)
    ]
    return [f"{len(network.coefs_[0]):,} features\n", *titles]


def _output_names(network: Any) -> list[str] | None:
    """Return the class of each output, or None for numbers."""
    classes = getattr(network, "classes_", None)
    if classes is None or isinstance(classes, list):
        return None
    n_outputs = network.coefs_[-1].shape[1]
    return [str(c) for c in classes[-n_outputs:]]


def _output_texts(outputs: np.ndarray) -> list[str]:
    """Return the numbers beside the outputs: two decimals are enough for probabilities."""
    is_share = np.min(outputs) >= 0 and np.max(outputs) <= 1
    return [f"{v:.2f}" if is_share else f"{v:.4g}" for v in outputs]
