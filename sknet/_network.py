"""A network as flat arrays: its layout, and the kernels forward and backward.

Symbols, here and in every kernel::

    l        a layer, 0 ... L-1, each an affine map and what follows it
    m        rows of the batch at hand
    A        what a layer takes, (m, fan_in); the first layer takes the data
    W, b     its weights (fan_in, fan_out) and biases (fan_out,)
    z, a     its affine output A W + b, and that after the activation
    scores   z of the last layer, before any output activation
    delta    derivative of the batch's weighted loss by z
    params   all W, then all b, layer by layer, in one vector; grad likewise
    layout   one row of integers for each layer, see the constants below
    calls    addresses of the parts, see the constants below
    work     scratch arrays, see Workspace

Blocks of a scratch array lie one behind the other, layer by layer, m rows
each, so that depth and widths never enter a type and never recompile.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from sknet import _gemm
from sknet._jit import (
    address,
    call_backward,
    call_forward,
    call_link,
    call_loss,
    call_product,
    call_transpose,
    frozen,
    inner,
    kernel,
    matrix,
    vector,
)
from sknet.activations import Activation
from sknet.losses import Loss

# Columns of `layout`: units before and after, where W and b begin in `params`,
# and the sum of the widths of the layers before (the scratch arrays' offset).
FAN_IN, FAN_OUT, WEIGHTS, BIASES, UNITS_BEFORE = range(5)

# Entries of `calls`. From HIDDEN on: forward and backward of each hidden layer.
PRODUCT, TRANSPOSE, LINK, LOSS, STEP, HIDDEN = range(6)

# The first layer. A plain 0 as an argument is a type of its own to Numba, for
# which it would compile the called function once more.
FIRST = np.int64(0)

# Rows that prediction takes through the network at a time, so that their
# activations stay in the cache.
CHUNK = 256

# The same for training: a dense batch of more rows is taken in pieces.
PIECE = 512


class CSR(NamedTuple):
    """A sparse matrix in compressed rows, as kernels take it."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


class Workspace(NamedTuple):
    """Scratch arrays of one batch; `z`, `a` and `delta` hold a block for each layer.

    `z` is empty unless an activation's slope needs its input, `more` unless
    batches are taken in pieces, whose gradients it holds before they are added.
    """

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    z: np.ndarray
    a: np.ndarray
    delta: np.ndarray
    grad: np.ndarray
    more: np.ndarray
    zeros: np.ndarray
    transposed: np.ndarray


class Layout:
    """Where each layer's parameters stand in the flat vector.

    Parameters
    ----------
    units : sequence of int
        Widths: features, hidden layers, outputs.
    """

    def __init__(self, units: Sequence[int]) -> None:
        self.units = tuple(int(u) for u in units)
        fan_in, fan_out = np.array(self.units[:-1]), np.array(self.units[1:])
        ends = np.cumsum(fan_in * fan_out)
        self.n_weights = int(ends[-1])
        self.n_units = int(fan_out.sum())
        self.n_parameters = self.n_weights + self.n_units
        before = np.cumsum(fan_out) - fan_out
        self.table = np.ascontiguousarray(
            np.column_stack(
                [fan_in, fan_out, ends - fan_in * fan_out, self.n_weights + before, before]
            ),
            np.int64,
        )

    def split(self, params: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return views of a flat vector: all W and all b, layer by layer."""
        shapes = list(pairwise(self.units))
        coefs = [
            params[row[WEIGHTS] : row[WEIGHTS] + row[FAN_IN] * row[FAN_OUT]].reshape(shape)
            for row, shape in zip(self.table, shapes, strict=True)
        ]
        intercepts = [params[row[BIASES] : row[BIASES] + row[FAN_OUT]] for row in self.table]
        return coefs, intercepts

    def join(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the flat vector behind such lists: itself if they are its views, else a copy.

        Raises
        ------
        ValueError
            If an array has another shape than the layout says.
        """
        self._check("coefs_", coefs, list(pairwise(self.units)))
        self._check("intercepts_", intercepts, [(u,) for u in self.units[1:]])
        arrays = [np.asarray(v) for v in (*coefs, *intercepts)]
        base = arrays[0].base
        if isinstance(base, np.ndarray) and base.shape == (self.n_parameters,):
            views = [v for part in self.split(base) for v in part]
            same = all(
                v.__array_interface__ == a.__array_interface__
                for v, a in zip(views, arrays, strict=True)
            )
            if same and base.flags.c_contiguous and base.flags.writeable:
                return base
        return np.concatenate([v.ravel() for v in arrays])

    @staticmethod
    def _check(
        name: str, arrays: Sequence[np.ndarray], expected: Sequence[tuple[int, ...]]
    ) -> None:
        if len(arrays) != len(expected):
            raise ValueError(f"{name} has {len(arrays)} arrays, but the network {len(expected)}.")
        for i, (array, shape) in enumerate(zip(arrays, expected, strict=True)):
            if np.shape(array) != shape:
                raise ValueError(
                    f"{name}[{i}] has shape {np.shape(array)}, but the network's layers ask for "
                    f"{shape}. Set weights and biases of fitting shapes, or fit anew."
                )


class Network:
    """A layout, its parameters, and the compiled parts that give them meaning.

    Parameters
    ----------
    layout : Layout
    params : ndarray of shape (n_parameters,)
        float32 or float64; training overwrites it.
    activation : type
        An :class:`~sknet.activations.Activation`.
    loss : type
        A :class:`~sknet.losses.Loss`.
    """

    def __init__(
        self, layout: Layout, params: np.ndarray, activation: type[Activation], loss: type[Loss]
    ) -> None:
        self.layout = layout
        self.params = params
        self.coefs, self.intercepts = layout.split(params)
        self.activation = activation
        self.loss = loss

    def is_made_of(self, *parts: Any) -> bool:
        """Return whether weights, biases, activation and loss are this network's very objects."""
        coefs, intercepts, activation, loss = parts
        arrays, own = (*coefs, *intercepts), (*self.coefs, *self.intercepts)
        return (
            len(arrays) == len(own)
            and all(map(operator.is_, arrays, own))
            and activation is self.activation
            and loss is self.loss
        )

    @cached_property
    def calls(self) -> np.ndarray:
        """Addresses of the network's parts; STEP is left for the optimiser's."""
        dtype = self.params.dtype
        n_hidden = len(self.layout.table) - 1
        calls = np.zeros(HIDDEN + 2 * n_hidden, np.int64)
        calls[PRODUCT] = address(_gemm.product, "product", dtype)
        calls[TRANSPOSE] = address(_gemm.transpose, "transpose", dtype)
        calls[LINK] = address(self.loss.link, "link", dtype)
        calls[LOSS] = address(self.loss.loss, "loss", dtype)
        calls[HIDDEN::2] = address(self.activation.forward, "forward", dtype)
        calls[HIDDEN + 1 :: 2] = address(self.activation.backward, "backward", dtype)
        return calls

    def workspace(self, X: np.ndarray | CSR, batch_size: int) -> Workspace:
        """Return scratch for batches of up to `batch_size` rows of X."""
        layout, dtype = self.layout, self.params.dtype
        is_dense = not isinstance(X, CSR)
        n_rows = min(batch_size, PIECE) if is_dense else batch_size
        n_targets = 1 if self.loss.takes_codes else layout.units[-1]
        inner_weights = np.prod(layout.table[1:, :WEIGHTS], axis=1)
        return Workspace(
            rows=np.empty(n_rows * layout.units[0] if is_dense else 0, dtype),
            targets=np.empty(n_rows * n_targets, dtype),
            weights=np.empty(n_rows, dtype),
            z=np.empty(n_rows * layout.n_units if self.activation.needs_input else 0, dtype),
            a=np.empty(n_rows * layout.n_units, dtype),
            delta=np.empty(n_rows * layout.n_units, dtype),
            grad=np.empty_like(self.params),
            more=np.empty(self.params.size if n_rows < batch_size else 0, dtype),
            zeros=np.zeros(max(layout.units[1:]), dtype),
            transposed=np.empty(inner_weights.max(initial=0), dtype),
        )

    def scores(self, X: np.ndarray | CSR, *, link: bool = False) -> np.ndarray:
        """Return raw scores, or with `link` predictions, of shape (n_samples, n_outputs)."""
        n = X.indptr.size - 1 if isinstance(X, CSR) else X.shape[0]
        out = np.empty((n, self.layout.units[-1]), self.params.dtype)
        a = np.empty(min(n, CHUNK) * self.layout.n_units, self.params.dtype)
        run = csr_scores if isinstance(X, CSR) else dense_scores
        run(X, self.layout.table, self.params, a, self.calls, link, out)
        return out


def as_kernel_input(X: Any) -> np.ndarray | CSR:
    """Return validated data in the one form that kernels are compiled for, without copying it."""
    if not sp.issparse(X):
        return frozen(X)
    return CSR(
        frozen(X.data),
        frozen(X.indices.astype(np.int32, copy=False)),
        frozen(X.indptr.astype(np.int64, copy=False)),
    )


@inner
def block(flat, layout, l, m):
    """Return layer l's block of a scratch array, (m, fan_out)."""
    return matrix(flat, m * layout[l, UNITS_BEFORE], m, layout[l, FAN_OUT])


@inner
def flat_block(flat, layout, l, m):
    """Return the same as one vector, (m * fan_out,)."""
    return vector(flat, m * layout[l, UNITS_BEFORE], m * layout[l, FAN_OUT])


@inner
def weights_of(flat, layout, l):
    """Return W, or its gradient, of layer l."""
    return matrix(flat, layout[l, WEIGHTS], layout[l, FAN_IN], layout[l, FAN_OUT])


@inner
def biases_of(flat, layout, l):
    """Return b, or its gradient, of layer l."""
    return vector(flat, layout[l, BIASES], layout[l, FAN_OUT])


@inner
def forward(layout, params, z, a, m, calls):
    """Go from the first layer's z, standing in its block of `a`, to the scores in the last one."""
    for l in range(layout.shape[0] - 1):
        flat = flat_block(a, layout, l, m)
        if z.size > 0:
            kept = flat_block(z, layout, l, m)
            for i in range(flat.size):
                kept[i] = flat[i]
        call_forward(calls[HIDDEN + 2 * l], flat)
        call_product(
            calls[PRODUCT],
            block(a, layout, l, m),
            weights_of(params, layout, l + 1),
            biases_of(params, layout, l + 1),
            block(a, layout, l + 1, m),
        )


@inner
def backward(layout, params, grad, work, targets, weights, m, calls):
    """Go from the scores back to the first layer's delta.

    Fills the gradient of all biases, and of all weights but the first layer's,
    which depends on the form of the data. Returns the weighted sum of the loss.
    """
    last = layout.shape[0] - 1
    value = call_loss(
        calls[LOSS],
        block(work.a, layout, last, m),
        targets,
        weights,
        block(work.delta, layout, last, m),
    )
    for l in range(last, -1, -1):
        delta = block(work.delta, layout, l, m)
        sums = biases_of(grad, layout, l)
        for j in range(sums.size):
            sums[j] = 0
        for i in range(m):
            row = delta[i]
            for j in range(sums.size):
                sums[j] += row[j]
        if l > 0:
            a, G = block(work.a, layout, l - 1, m), weights_of(grad, layout, l)
            call_product(calls[PRODUCT], a.T, delta, vector(work.zeros, 0, G.shape[1]), G)
            W, below = weights_of(params, layout, l), block(work.delta, layout, l - 1, m)
            transposed = matrix(work.transposed, 0, W.shape[1], W.shape[0])
            call_transpose(calls[TRANSPOSE], W, transposed)
            zeros = vector(work.zeros, 0, W.shape[0])
            call_product(calls[PRODUCT], delta, transposed, zeros, below)
            call_backward(
                calls[HIDDEN + 2 * l - 1],
                flat_block(work.z, layout, l - 1, m) if work.z.size > 0 else work.z,
                flat_block(work.a, layout, l - 1, m),
                flat_block(work.delta, layout, l - 1, m),
            )
    return value


@inner
def finish(layout, params, grad, value, weight_sum, alpha):
    """Put in the L2 penalty and divide by the batch's weight; return the objective.

    objective = (value + alpha / 2 sum W**2) / weight_sum, as scikit-learn has it.
    """
    n_weights = layout[0, BIASES]
    W, G = vector(params, 0, n_weights), vector(grad, 0, n_weights)
    scale = params.dtype.type(1 / weight_sum)
    decay = params.dtype.type(alpha)
    squares = params.dtype.type(0)
    for i in range(W.size):
        w = W[i]
        squares += w * w
        G[i] = (G[i] + decay * w) * scale
    sums = vector(grad, n_weights, grad.size - n_weights)
    for i in range(sums.size):
        sums[i] *= scale
    return (value + 0.5 * alpha * squares) / weight_sum


@inner
def dense_backprop(rows, targets, weights, layout, params, grad, work, calls):
    """Return the weighted loss over some rows, and its gradient in `grad`."""
    m, l = rows.shape[0], FIRST
    W, b = weights_of(params, layout, l), biases_of(params, layout, l)
    call_product(calls[PRODUCT], rows, W, b, block(work.a, layout, l, m))
    forward(layout, params, work.z, work.a, m, calls)
    value = backward(layout, params, grad, work, targets, weights, m, calls)
    delta, G = block(work.delta, layout, l, m), weights_of(grad, layout, l)
    call_product(calls[PRODUCT], rows.T, delta, vector(work.zeros, 0, G.shape[1]), G)
    return value


@inner
def csr_backprop(X, index, targets, weights, layout, params, grad, work, calls):
    """As `dense_backprop`, over the rows `index` of sparse X."""
    m, l = index.size, FIRST
    W, b = weights_of(params, layout, l), biases_of(params, layout, l)
    csr_affine(X, index, W, b, block(work.a, layout, l, m))
    forward(layout, params, work.z, work.a, m, calls)
    value = backward(layout, params, grad, work, targets, weights, m, calls)
    csr_weight_gradient(X, index, block(work.delta, layout, l, m), weights_of(grad, layout, l))
    return value


@inner
def csr_affine(X, index, W, b, out):
    """Overwrite `out` by X[index] W + b."""
    for i in range(index.size):
        row = out[i]
        for j in range(row.size):
            row[j] = b[j]
        for k in range(X.indptr[index[i]], X.indptr[index[i] + 1]):
            x = X.data[k]
            w = W[X.indices[k]]
            for j in range(row.size):
                row[j] += x * w[j]


@inner
def csr_weight_gradient(X, index, D, out):
    """Overwrite `out` by X[index]' D."""
    for k in range(out.shape[0]):
        g = out[k]
        for j in range(g.size):
            g[j] = 0
    for i in range(index.size):
        delta = D[i]
        for k in range(X.indptr[index[i]], X.indptr[index[i] + 1]):
            x = X.data[k]
            g = out[X.indices[k]]
            for j in range(delta.size):
                g[j] += x * delta[j]


@inner
def finish_scores(layout, params, a, m, calls, link, out):
    """Go from the first layer's z to a chunk's scores or predictions, in `out`."""
    forward(layout, params, vector(a, 0, 0), a, m, calls)
    scores = block(a, layout, layout.shape[0] - 1, m)
    if link:
        call_link(calls[LINK], scores)
    for i in range(m):
        for k in range(out.shape[1]):
            out[i, k] = scores[i, k]


@kernel
def dense_scores(X, layout, params, a, calls, link, out):
    """Overwrite `out` by the scores, or with `link` the predictions, of all rows of X."""
    l = FIRST
    W, b = weights_of(params, layout, l), biases_of(params, layout, l)
    for start in range(0, X.shape[0], CHUNK):
        m = min(CHUNK, X.shape[0] - start)
        call_product(calls[PRODUCT], X[start : start + m], W, b, block(a, layout, l, m))
        finish_scores(layout, params, a, m, calls, link, out[start : start + m])


@kernel
def csr_scores(X, layout, params, a, calls, link, out):
    """As `dense_scores`, for sparse X."""
    l = FIRST
    W, b = weights_of(params, layout, l), biases_of(params, layout, l)
    n = X.indptr.size - 1
    for start in range(0, n, CHUNK):
        m = min(CHUNK, n - start)
        index = np.arange(start, start + m)
        csr_affine(X, index, W, b, block(a, layout, l, m))
        finish_scores(layout, params, a, m, calls, link, out[start : start + m])
