"""A network: its parameters, its parts, and the programs of its passes.

Symbols, here and in every kernel::

    l        a layer, 0 ... L-1: an affine map and what follows it
    A        the inputs of a layer, (n_rows, fan_in); those of the first layer are the data
    W, b     its weights (fan_in, fan_out) and biases (fan_out,)
    z, a     its pre-activations A W + b, and its activations f(z)
    scores   z of the last layer, before any output activation
    delta    derivative of the minibatch's weighted loss with respect to z
    params   all W, then all b, layer by layer, in one vector; grad likewise
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sknet._engine.gemm import COPY_BYTES, NOTHING, product, scratch_size
from sknet._engine.kernels import copy, csr_affine, gather
from sknet._engine.memory import CSR, LayerBuffers, aligned
from sknet._engine.program import Program
from sknet._network.layout import Layout
from sknet.activations import Activation
from sknet.losses import Loss

# Floating-point operations for each weight and row of training: a multiplication and an addition
# each in the forward pass, in the backward pass, and for the gradient.
TRAINING_FLOPS = 6


class Network:
    """A layout, its parameters, and the parts that give them meaning.

    Parameters
    ----------
    layout : Layout
        Widths of all layers.
    params : ndarray of shape (n_parameters,)
        float32 or float64. Training overwrites it.
    activations : sequence of type
        An :class:`~sknet.activations.Activation` for each hidden layer.
    loss : type
        A :class:`~sknet.losses.Loss`.
    settings : sequence of float
        The loss's parameters.
    """

    def __init__(
        self,
        layout: Layout,
        params: np.ndarray,
        activations: Sequence[type[Activation]],
        loss: type[Loss],
        settings: Sequence[float] | np.ndarray = (),
    ) -> None:
        self.layout = layout
        self.params = params
        self.coefs, self.intercepts = layout.split(params)
        self.activations = tuple(activations)
        self.loss = loss
        self.settings = np.array(settings, params.dtype)

    def with_params(self, params: np.ndarray) -> Network:
        """Return a network of the same parts with other parameters, whose dtype it takes."""
        return Network(self.layout, params, self.activations, self.loss, self.settings)

    @property
    def needs_z(self) -> bool:
        """Whether the backward pass reads the pre-activations of some layer."""
        return any(activation.needs_input for activation in self.activations)

    def scratch(self, n_rows: int, *, for_gradients: bool = False) -> np.ndarray:
        """Return scratch memory for any product of this network with a number of rows.

        Products for gradients of weights get room for copies.
        """
        itemsize = self.params.itemsize
        size = scratch_size(max(*self.layout.units, n_rows), itemsize)
        size += COPY_BYTES // itemsize if for_gradients else 0
        return aligned((size,), self.params.dtype)

    def first_layer(
        self,
        program: Program,
        X: np.ndarray | CSR,
        index: np.ndarray,
        inputs: np.ndarray | None,
        out: np.ndarray,
        scratch: np.ndarray,
        change_inputs: Callable[[np.ndarray], None] = lambda inputs: None,
    ) -> None:
        """Append the first layer's affine map of some rows of the data.

        Parameters
        ----------
        program : Program
            What to append to.
        X : ndarray of shape (n_samples, n_features) or CSR
            The data.
        index : ndarray of int64 of shape (n_rows,)
            Numbers of the rows, read when the program runs.
        inputs : ndarray of shape (n_rows, n_features) or None
            Buffer for the rows of dense data. None means that X itself has the rows.
        out : ndarray of shape (n_rows, fan_out)
            Overwritten by z of the first layer.
        scratch : ndarray
            As `scratch` returns it.
        change_inputs : callable
            Appends what changes the gathered rows.

        Raises
        ------
        ValueError
            If sparse data have another number of features than the network.
        """
        W, b = self.coefs[0], self.intercepts[0]
        if isinstance(X, CSR):
            if X.n_features != W.shape[0]:
                raise ValueError(
                    f"X has {X.n_features} features, but the network takes {W.shape[0]}."
                )
            program.add(csr_affine, *X.arrays, index, W, b, out)
            return
        if inputs is None:
            inputs = X
        else:
            program.add(gather, X, index, inputs)
            change_inputs(inputs)
        program.add(product, inputs, W, b, NOTHING, scratch, out)

    def forward(
        self,
        program: Program,
        z: LayerBuffers | None,
        a: LayerBuffers,
        rows: slice,
        scratch: np.ndarray,
        after_activation: Callable[[int], None] = lambda l: None,
    ) -> None:
        """Append the forward pass after the first layer's affine map.

        Parameters
        ----------
        program : Program
            What to append to.
        z : LayerBuffers or None
            Buffers for the hidden layers' pre-activations, if the backward pass reads
            them.
        a : LayerBuffers
            Its first matrix holds z of the first layer. Each is overwritten by
            the layer's activations, the last one by the scores.
        rows : slice
            Rows of the buffers.
        scratch : ndarray
            As `scratch` returns it.
        after_activation : callable of int
            Appends what is done to a hidden layer after its activation.
        """
        for l in range(1, len(self.coefs)):
            below, activation = a.flat(l - 1, rows), self.activations[l - 1]
            if z is not None and activation.needs_input:
                program.add(copy, below, z.flat(l - 1, rows))
            program.add(activation.forward, below)
            after_activation(l - 1)
            program.end_phase()
            A, out = a.matrix(l - 1, rows), a.matrix(l, rows)
            program.add(product, A, self.coefs[l], self.intercepts[l], NOTHING, scratch, out)

    def backward(
        self,
        program: Program,
        z: LayerBuffers | None,
        a: LayerBuffers,
        delta: LayerBuffers,
        rows: slice,
        scratch: np.ndarray,
        before_slope: Callable[[int, np.ndarray], None] = lambda l, below: None,
    ) -> None:
        """Append the backward pass, from the last layer's delta to the first one's.

        delta_(l-1) = (delta_l W_l') f'(z_(l-1)): Bishop, C. M. (2006). Pattern
        recognition and machine learning, equation 5.56.

        Parameters
        ----------
        program : Program
            What to append to.
        z : LayerBuffers or None
            As for `forward`.
        a : LayerBuffers
            Activations, before dropout.
        delta : LayerBuffers
            Its last matrix holds the last delta. The others are overwritten.
        rows : slice
            Rows of the buffers.
        scratch : ndarray
            As `scratch` returns it.
        before_slope : callable of int and ndarray
            Appends what is done to the derivatives by a layer's activations.
        """
        zeros = np.zeros(max(self.layout.units), self.params.dtype)
        for l in range(len(self.coefs) - 1, 0, -1):
            below, W = delta.matrix(l - 1, rows), self.coefs[l]
            bias = zeros[: W.shape[0]]
            program.add(product, delta.matrix(l, rows), W.T, bias, NOTHING, scratch, below)
            before_slope(l - 1, below)
            pre_activations = zeros[:0] if z is None else z.flat(l - 1, rows)
            slope = self.activations[l - 1].backward
            program.add(slope, pre_activations, a.flat(l - 1, rows), delta.flat(l - 1, rows))
            program.end_phase()

    def link(self, scores: np.ndarray) -> None:
        """Apply the loss's inverse link to raw scores in place."""
        program = Program(scores.dtype)
        program.add(self.loss.link, scores, self.settings)
        program.end_section()
        program.finish().run(scores)

    def check_targets(self, targets: np.ndarray) -> None:
        """Raise ValueError if a class code is no output's number: kernels index scores by it."""
        if self.loss.targets != "codes" or not targets.size:
            return
        least, greatest, n = targets.min(), targets.max(), self.layout.units[-1]
        if not 0 <= least <= greatest < n:
            raise ValueError(
                f"The class codes in y go from {least:g} to {greatest:g}, but the network has {n} "
                "outputs, numbered from 0. Call fit again to change the classes."
            )
