"""A network: its layout in one flat vector, its way forward, and prediction.

Symbols, here and in every kernel::

    l        a layer, 0 ... L-1, each an affine map and what follows it
    A        what a layer takes, (n_rows, fan_in); the first layer takes the data
    W, b     its weights (fan_in, fan_out) and biases (fan_out,)
    z, a     its affine output A W + b, and that after the activation
    scores   z of the last layer, before any output activation
    delta    derivative of the batch's weighted loss by z
    params   all W, then all b, layer by layer, in one vector; grad likewise
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from sknet._engine.compilation import execute, kernel, read_only
from sknet._engine.functions import vector
from sknet._engine.gemm import product, scratch_size
from sknet._engine.kernels import copy, csr_affine
from sknet._engine.program import Program
from sknet._engine.threads import share_out
from sknet.activations import Activation
from sknet.losses import Loss

# Floating-point operations per weight and row of training: a multiplication and an
# addition each on the way forward, on the way back, and for the gradient.
FLOPS = 6

# Rows that prediction takes through the network at a time, so that their
# activations stay in the cache.
PREDICT_ROWS = 256

# Numbers of rows for which predictions are kept ready.
MAX_IDLE = 8

# A line of the cache, and the power of two, both in bytes, of which rows must not be
# a multiple: a column of such a matrix has but a few places in the cache.
LINE, AVOIDED = 64, 512


class CSR(NamedTuple):
    """A sparse matrix in compressed rows, as kernels take it."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray


def aligned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return zeros that begin with a line of the cache."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def padded(n_rows: int, width: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return zeros of so many rows, with more columns than `width` where caches ask for it."""
    avoid = width * dtype.itemsize % AVOIDED == 0
    return aligned((n_rows, width + (LINE // dtype.itemsize if avoid else 0)), dtype)


class LayerBuffers:
    """A matrix for each layer, with rows at distances that suit the cache.

    Parameters
    ----------
    n_rows : int
    widths : sequence of int
    dtype : dtype
    """

    def __init__(self, n_rows: int, widths: Sequence[int], dtype: np.dtype[Any]) -> None:
        self.widths = widths
        self._wide = [padded(n_rows, width, dtype) for width in widths[:-1]]
        self._wide.append(aligned((n_rows, widths[-1]), dtype))  # losses want it contiguous

    def matrix(self, l: int, rows: slice) -> np.ndarray:
        """Return some rows of layer l."""
        return self._wide[l][rows, : self.widths[l]]

    def flat(self, l: int, rows: slice) -> np.ndarray:
        """Return them as one vector, with what stands between them."""
        return self._wide[l][rows].reshape(-1)


class Layout:
    """Where each layer's parameters stand in the flat vector.

    Parameters
    ----------
    units : sequence of int
        Widths: features, hidden layers, outputs.
    """

    def __init__(self, units: Sequence[int]) -> None:
        self.units = tuple(int(u) for u in units)
        self.shapes = list(pairwise(self.units))
        self.n_weights = sum(fan_in * fan_out for fan_in, fan_out in self.shapes)
        self.n_parameters = self.n_weights + sum(self.units[1:])

    def split(self, params: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return views of a flat vector: all W and all b, layer by layer."""
        sizes = [math.prod(shape) for shape in self.shapes] + list(self.units[1:])
        parts = [
            params[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)
        ]
        n = len(self.shapes)
        coefs = [W.reshape(shape) for W, shape in zip(parts[:n], self.shapes, strict=True)]
        return coefs, parts[n:]

    def join(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the flat vector behind such lists: itself if they are its views, else a copy.

        Raises
        ------
        ValueError
            If an array has another shape than the layout says.
        """
        self._check("coefs_", coefs, self.shapes)
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
        self._idle: dict[tuple[int, bool], list[Prediction]] = {}

    def is_made_of(self, *parts: Any) -> bool:
        """Return whether weights, biases, activations, loss and its settings are this network's."""
        coefs, intercepts, activations, loss, settings = parts
        arrays, own = (*coefs, *intercepts), (*self.coefs, *self.intercepts)
        return (
            len(arrays) == len(own)
            and all(map(operator.is_, arrays, own))
            and tuple(activations) == self.activations
            and loss is self.loss
            and np.array_equal(self.settings, np.array(settings, self.params.dtype))
        )

    def forward(
        self,
        program: Program,
        z: LayerBuffers | None,
        a: LayerBuffers,
        rows: slice,
        scratch: np.ndarray,
        hidden: Callable[[int], None] = lambda l: None,
    ) -> None:
        """Append the way from the first layer's z, in `a`, to the scores in its last block.

        Parameters
        ----------
        program : Program
        z : LayerBuffers or None
            Where to keep the hidden layers' z, if anywhere.
        a : LayerBuffers
        rows : slice
            Which rows to go forward.
        scratch : ndarray
            Scratch of :func:`~sknet._gemm.product`.
        hidden : callable of int
            Appends what is done to a hidden layer after its activation.
        """
        for l in range(1, len(self.coefs)):
            below = a.flat(l - 1, rows)
            if z is not None and self.activations[l - 1].needs_input:
                program.add("copy", copy, below, z.flat(l - 1, rows))
            program.add("forward", self.activations[l - 1].forward, below)
            hidden(l - 1)
            W, b = self.coefs[l], self.intercepts[l]
            A, out = a.matrix(l - 1, rows), a.matrix(l, rows)
            program.add("product", product, A, W, b, scratch, out)

    def scratch(self, n_rows: int) -> np.ndarray:
        """Return scratch for any product of this network with up to so many rows."""
        m = max(*self.layout.units, n_rows)
        return aligned((scratch_size(m, self.params.itemsize),), self.params.dtype)

    def scores(
        self, X: np.ndarray | CSR, *, link: bool = False, n_jobs: int | None = None
    ) -> np.ndarray:
        """Return raw scores, or with `link` predictions, of shape (n_samples, n_outputs)."""
        n = X.indptr.size - 1 if isinstance(X, CSR) else X.shape[0]
        out = np.empty((n, self.layout.units[-1]), self.params.dtype)

        def predict(rows: slice) -> None:
            if isinstance(X, CSR):
                part = X._replace(indptr=X.indptr[rows.start : rows.stop + 1])
                prediction = Prediction(self, rows.stop - rows.start, link, part)
                prediction.run(np.empty(0, self.params.dtype), out[rows])
                return
            # One that no other thread is using; lists hand over their items one at a time.
            spare = self._idle.setdefault((rows.stop - rows.start, link), [])
            try:
                prediction = spare.pop()
            except IndexError:
                prediction = Prediction(self, rows.stop - rows.start, link)
            prediction.run(X[rows].reshape(-1), out[rows])
            if rows.stop - rows.start <= PREDICT_ROWS:
                if len(self._idle) > MAX_IDLE:
                    self._idle.clear()
                spare.append(prediction)

        share_out(predict, n, 2 * self.layout.n_weights, n_jobs)
        return out

    def link(self, scores: np.ndarray) -> None:
        """Apply the loss's inverse link to raw scores, in place."""
        program = Program(scores.dtype)
        program.add("link", self.loss.link, scores, self.settings)
        run_program(program.finish()[0], 1, scores)

    def mean_loss(self, scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        """Return the weighted mean of the loss, without penalties, of raw scores."""
        program, values = Program(scores.dtype), np.empty(len(scores))
        program.add(
            "loss", self.loss.loss, scores, targets, weights, self.settings,
            np.empty_like(scores), values,
        )  # fmt: skip
        run_program(program.finish()[0], 1, scores)
        return float(values.sum() / weights.sum())


class Prediction:
    """The way forward for a number of rows, to be gone as often as wanted.

    Parameters
    ----------
    network : Network
    n : int
        How many rows.
    link : bool
        Whether to apply the loss's inverse link.
    sparse : CSR, default=None
        The rows, if sparse; dense ones are given to `run`.
    """

    def __init__(self, network: Network, n: int, link: bool, sparse: CSR | None = None) -> None:
        units, dtype = network.layout.units, network.params.dtype
        program = Program(dtype)
        n_rows = min(n, PREDICT_ROWS)
        self.data = np.empty(0 if sparse else n_rows * units[0], dtype)
        self.index = np.empty(n_rows, np.int64)
        self.a = LayerBuffers(n_rows, units[1:], dtype)
        last = len(units) - 2
        scratch = network.scratch(n_rows)
        for m in (n_rows, n % n_rows):  # whole predict_rows, and what is left
            rows = slice(0, m)
            first, W, b = self.a.matrix(0, rows), network.coefs[0], network.intercepts[0]
            if sparse:
                program.add("csr_affine", csr_affine, *sparse, self.index[rows], W, b, first)
            else:
                data = self.data[: m * units[0]].reshape(m, units[0])
                program.add("product", product, data, W, b, scratch, first)
            network.forward(program, None, self.a, rows, scratch)
            if link:
                program.add("link", network.loss.link, self.a.matrix(last, rows), network.settings)
            program.end_section()
        self.program = program
        self.arguments = (self.data, self.index, self.a.flat(last, slice(None)), *program.finish())

    def run(self, X: np.ndarray, out: np.ndarray) -> None:
        """Overwrite `out` by the scores of the rows of X, given as one vector if dense."""
        predict_rows(X, out.reshape(-1), out.shape[0], *self.arguments)


@kernel
def run_program(table, n, like):
    """Carry out n instructions."""
    execute(table, 0, n, like)


@kernel
def predict_rows(X, out, n, data, index, scores, table, ends):
    """Predict n rows: each chunk of X goes into `data`, and its scores come from `scores`."""
    n_rows = index.size
    fan_in, fan_out = data.size // n_rows, scores.size // n_rows
    for start in range(0, n, n_rows):
        m = min(n_rows, n - start)
        for i in range(m):
            index[i] = start + i
        part = vector(X, start * fan_in, m * fan_in)
        for i in range(part.size):
            data[i] = part[i]
        section = 0 if m == n_rows else 1
        execute(table, ends[section], ends[section + 1], scores)
        part = vector(out, start * fan_out, m * fan_out)
        for i in range(part.size):
            part[i] = scores[i]


def as_kernel_input(X: Any) -> np.ndarray | CSR:
    """Return validated data in the one form that kernels are compiled for, without copying it."""
    if not sp.issparse(X):
        return read_only(X)
    return CSR(
        read_only(X.data),
        read_only(X.indices.astype(np.int32, copy=False)),
        read_only(X.indptr.astype(np.int64, copy=False)),
    )
