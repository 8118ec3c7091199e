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
    work     scratch, see Workspace
    seat     which thread of how many this is

Blocks of z, a and delta lie one behind the other, layer by layer, m rows each,
so that depth and widths never enter a type and never recompile.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from sknet import _gemm
from sknet._barrier import share
from sknet._jit import (
    address,
    call_backward,
    call_forward,
    call_link,
    call_loss,
    call_product,
    frozen,
    inner,
    kernel,
    matrix,
    vector,
)
from sknet._team import share_out
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import STRETCH

# Columns of `layout`: units before and after, where W and b begin in `params`,
# and the sum of the widths of the layers before (the scratch arrays' offset).
FAN_IN, FAN_OUT, WEIGHTS, BIASES, UNITS_BEFORE = range(5)

# Entries of `calls`. From HIDDEN on: forward and backward of each hidden layer.
PRODUCT, LINK, LOSS, STEP, HIDDEN = range(5)

# Constants that are arguments are NumPy's integers: a plain one is a type of its
# own to Numba, for which it compiles the called function once more.
ZERO = np.int64(0)

# Floating-point operations per weight and row of training: a multiplication and an
# addition each on the way forward, on the way back, and for the gradient.
FLOPS = 6

# Rows that prediction takes through the network at a time, so that their
# activations stay in the cache.
CHUNK = 256

# The same for training: a batch of more rows is taken in pieces.
PIECE = 512

# Rows and columns are shared among threads, and losses summed, by so many at a time.
GRAIN = np.int64(16)

# Side of the squares in which W is transposed: two of them fit the L1 cache.
SQUARE = np.int64(32)


N_VALUES = PIECE // GRAIN

# Areas of a workspace: a piece's data, targets and weights; z (empty unless a slope
# needs it), a and delta with a block for each layer; the gradient, and that of a
# further piece before it is added; ones, zeros; all W but the first, transposed.
(
    DATA, TARGETS, SAMPLE_WEIGHTS, Z, A, DELTA, GRAD, MORE, ONES, ZEROS, TRANSPOSED, N_AREAS,
) = map(np.int64, range(12))  # fmt: skip

# Areas begin at multiples of this: a cache line, in numbers of four bytes.
LINE = 16


class CSR(NamedTuple):
    """A sparse matrix in compressed rows, as kernels take it."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


class Workspace(NamedTuple):
    """Scratch of one batch: few arrays, since each costs compilation in every kernel it enters.

    `flat` holds the areas named below one behind the other, `at` where each
    begins and, last, where the last one ends. `sums` has the loss of every
    GRAIN rows, and behind PIECE / GRAIN of them the penalty of every STRETCH
    parameters, in float64.
    """

    flat: np.ndarray
    at: np.ndarray
    sums: np.ndarray


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
        calls[LINK] = address(self.loss.link, "link", dtype)
        calls[LOSS] = address(self.loss.loss, "loss", dtype)
        calls[HIDDEN::2] = address(self.activation.forward, "forward", dtype)
        calls[HIDDEN + 1 :: 2] = address(self.activation.backward, "backward", dtype)
        return calls

    def workspace(self, X: np.ndarray | CSR, batch_size: int) -> Workspace:
        """Return scratch for batches of up to `batch_size` rows of X."""
        layout = self.layout
        n_rows = min(batch_size, PIECE)
        sizes = np.zeros(N_AREAS, np.int64)
        sizes[DATA] = 0 if isinstance(X, CSR) else n_rows * layout.units[0]
        sizes[TARGETS] = n_rows * (1 if self.loss.takes_codes else layout.units[-1])
        sizes[SAMPLE_WEIGHTS] = sizes[ONES] = n_rows
        sizes[Z] = n_rows * layout.n_units if self.activation.needs_input else 0
        sizes[A] = sizes[DELTA] = n_rows * layout.n_units
        sizes[GRAD] = layout.n_parameters
        sizes[MORE] = layout.n_parameters if n_rows < batch_size else 0
        sizes[ZEROS] = max(layout.units)
        sizes[TRANSPOSED] = layout.n_weights - math.prod(layout.units[:2])
        at = np.concatenate([[0], np.cumsum(-(-sizes // LINE) * LINE)])
        flat = np.zeros(at[-1], self.params.dtype)
        flat[at[ONES] : at[ONES] + n_rows] = 1
        return Workspace(flat, at, np.empty(N_VALUES + -(-layout.n_parameters // STRETCH)))

    def gradient(self, work: Workspace) -> np.ndarray:
        """Return a view of the gradient in a workspace."""
        return work.flat[work.at[GRAD] :][: self.layout.n_parameters]

    def scores(
        self, X: np.ndarray | CSR, *, link: bool = False, n_jobs: int | None = None
    ) -> np.ndarray:
        """Return raw scores, or with `link` predictions, of shape (n_samples, n_outputs)."""
        n = X.indptr.size - 1 if isinstance(X, CSR) else X.shape[0]
        out = np.empty((n, self.layout.units[-1]), self.params.dtype)

        def predict(rows: slice) -> None:
            a = np.empty(min(n, CHUNK) * self.layout.n_units, self.params.dtype)
            rest = (self.layout.table, self.params, a, self.calls, link, out[rows])
            if isinstance(X, CSR):
                csr_scores(X._replace(indptr=X.indptr[rows.start : rows.stop + 1]), *rest)
            else:
                dense_scores(X[rows], *rest)

        share_out(predict, n, 2 * self.layout.n_weights, n_jobs)
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
def area(work, name, n):
    """Return the first n numbers of an area of the workspace."""
    return vector(work.flat, work.at[name], n)


@inner
def rows_of(work, name, begin, end, width):
    """Return rows `begin` to `end` of an area that is a matrix of so many columns."""
    return matrix(work.flat, work.at[name] + begin * width, end - begin, width)


@inner
def block(flat, start, layout, l, m, begin, end):
    """Return rows `begin` to `end` of layer l's block in an array whose blocks begin at `start`."""
    fan_out = layout[l, FAN_OUT]
    start += m * layout[l, UNITS_BEFORE] + begin * fan_out
    return matrix(flat, start, end - begin, fan_out)


@inner
def flat_block(flat, start, layout, l, m, begin, end):
    """Return the same as one vector."""
    fan_out = layout[l, FAN_OUT]
    start += m * layout[l, UNITS_BEFORE] + begin * fan_out
    return vector(flat, start, (end - begin) * fan_out)


@inner
def weights_of(flat, layout, l):
    """Return W, or its gradient, of layer l."""
    return matrix(flat, layout[l, WEIGHTS], layout[l, FAN_IN], layout[l, FAN_OUT])


@inner
def weight_rows(flat, layout, l, begin, end):
    """Return some rows of them."""
    fan_out = layout[l, FAN_OUT]
    return matrix(flat, layout[l, WEIGHTS] + begin * fan_out, end - begin, fan_out)


@inner
def biases_of(flat, layout, l):
    """Return b, or its gradient, of layer l."""
    return vector(flat, layout[l, BIASES], layout[l, FAN_OUT])


@inner
def forward(layout, params, flat, z, a, m, begin, end, calls):
    """Go from the first layer's z to the scores in the last block of the area that begins at `a`.

    For rows `begin` to `end` of m. Keeps z in the area that begins at `z`,
    unless that is negative.
    """
    for l in range(layout.shape[0] - 1):
        out = flat_block(flat, a, layout, l, m, begin, end)
        if z >= 0:
            kept = flat_block(flat, z, layout, l, m, begin, end)
            for i in range(out.size):
                kept[i] = out[i]
        call_forward(calls[HIDDEN + 2 * l], out)
        call_product(
            calls[PRODUCT],
            block(flat, a, layout, l, m, begin, end),
            weights_of(params, layout, l + 1),
            biases_of(params, layout, l + 1),
            block(flat, a, layout, l + 1, m, begin, end),
        )


@inner
def transpose(layout, params, work, seat):
    """Transpose this thread's share of all W but the first, for the way back."""
    for l in range(1, layout.shape[0]):
        fan_in, fan_out, start = layout[l, FAN_IN], layout[l, FAN_OUT], layout[l, WEIGHTS]
        W = matrix(params, start, fan_in, fan_out)
        to = work.at[TRANSPOSED] + start - layout[1, WEIGHTS]
        out = matrix(work.flat, to, fan_out, fan_in)
        begin, end = share(fan_in, SQUARE, seat)
        for top in range(begin, end, SQUARE):
            for left in range(0, fan_out, SQUARE):
                for i in range(top, min(top + SQUARE, end)):
                    row = W[i]
                    for j in range(left, min(left + SQUARE, fan_out)):
                        out[j, i] = row[j]


@inner
def losses(layout, work, n_targets, m, begin, end, calls):
    """Take the loss of rows `begin` to `end`, and its derivative in the last layer's delta.

    Values are kept for every GRAIN rows: their sum is then the same for any
    number of threads.
    """
    last = layout.shape[0] - 1
    for start in range(begin, end, GRAIN):
        stop = min(start + GRAIN, end)
        work.sums[start // GRAIN] = call_loss(
            calls[LOSS],
            block(work.flat, work.at[A], layout, last, m, start, stop),
            rows_of(work, TARGETS, start, stop, n_targets),
            vector(work.flat, work.at[SAMPLE_WEIGHTS] + start, stop - start),
            block(work.flat, work.at[DELTA], layout, last, m, start, stop),
        )


@inner
def backward(layout, work, m, begin, end, calls):
    """Go from the last layer's delta to the first one's, for rows `begin` to `end`."""
    flat, z = work.flat, work.at[Z]
    n_kept = (end - begin) if work.at[Z + 1] > z else 0
    for l in range(layout.shape[0] - 1, 0, -1):
        fan_in, fan_out = layout[l, FAN_IN], layout[l, FAN_OUT]
        start = work.at[TRANSPOSED] + layout[l, WEIGHTS] - layout[1, WEIGHTS]
        below = block(flat, work.at[DELTA], layout, l - 1, m, begin, end)
        call_product(
            calls[PRODUCT],
            block(flat, work.at[DELTA], layout, l, m, begin, end),
            matrix(flat, start, fan_out, fan_in),
            area(work, ZEROS, fan_in),
            below,
        )
        call_backward(
            calls[HIDDEN + 2 * l - 1],
            flat_block(flat, z, layout, l - 1, m, begin, begin + n_kept),
            flat_block(flat, work.at[A], layout, l - 1, m, begin, end),
            flat_block(flat, work.at[DELTA], layout, l - 1, m, begin, end),
        )


@inner
def weight_gradient(taken, layout, l, m, grad, work, calls, seat):
    """Overwrite this thread's share of the gradient of layer l's W, by what the layer took."""
    begin, end = share(taken.shape[1], GRAIN, seat)
    call_product(
        calls[PRODUCT],
        taken.T[begin:end],
        block(work.flat, work.at[DELTA], layout, l, m, ZERO, m),
        area(work, ZEROS, layout[l, FAN_OUT]),
        weight_rows(grad, layout, l, begin, end),
    )


@inner
def bias_gradients(layout, m, grad, work, calls, seat):
    """Overwrite the gradients of b, the sums of delta; each thread those of some layers."""
    for l in range(seat.thread, layout.shape[0], seat.n_threads):
        fan_out = layout[l, FAN_OUT]
        call_product(
            calls[PRODUCT],
            rows_of(work, ONES, ZERO, ZERO + 1, m),
            block(work.flat, work.at[DELTA], layout, l, m, ZERO, m),
            area(work, ZEROS, fan_out),
            matrix(grad, layout[l, BIASES], 1, fan_out),
        )


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
def csr_weight_gradient(X, index, D, out, clear, seat):
    """Add X[index]' D to this thread's share of the columns of `out`; `clear` them first."""
    begin, end = share(out.shape[1], GRAIN, seat)
    if clear:
        for k in range(out.shape[0]):
            g = vector(out[k], begin, end - begin)
            for j in range(g.size):
                g[j] = 0
    for i in range(index.size):
        delta = vector(D[i], begin, end - begin)
        for k in range(X.indptr[index[i]], X.indptr[index[i] + 1]):
            x = X.data[k]
            g = vector(out[X.indices[k]], begin, end - begin)
            for j in range(g.size):
                g[j] += x * delta[j]


@inner
def finish_scores(layout, params, a, m, calls, link, out):
    """Go from the first layer's z to a chunk's scores or predictions, in `out`."""
    forward(layout, params, a, ZERO - 1, ZERO, m, ZERO, m, calls)
    scores = block(a, ZERO, layout, layout.shape[0] - 1, m, ZERO, m)
    if link:
        call_link(calls[LINK], scores)
    for i in range(m):
        for k in range(out.shape[1]):
            out[i, k] = scores[i, k]


@kernel
def dense_scores(X, layout, params, a, calls, link, out):
    """Overwrite `out` by the scores, or with `link` the predictions, of all rows of X."""
    l = ZERO
    W, b = weights_of(params, layout, l), biases_of(params, layout, l)
    for start in range(0, X.shape[0], CHUNK):
        m = min(CHUNK, X.shape[0] - start)
        call_product(
            calls[PRODUCT], X[start : start + m], W, b, block(a, ZERO, layout, l, m, ZERO, m)
        )
        finish_scores(layout, params, a, m, calls, link, out[start : start + m])


@kernel
def csr_scores(X, layout, params, a, calls, link, out):
    """As `dense_scores`, for sparse X."""
    l = ZERO
    W, b = weights_of(params, layout, l), biases_of(params, layout, l)
    n = X.indptr.size - 1
    for start in range(0, n, CHUNK):
        m = min(CHUNK, n - start)
        index = np.arange(start, start + m)
        csr_affine(X, index, W, b, block(a, ZERO, layout, l, m, ZERO, m))
        finish_scores(layout, params, a, m, calls, link, out[start : start + m])
