"""Kernels of training: one epoch by batches, or the objective over all rows at once."""

from __future__ import annotations

import numpy as np

from sknet._jit import call_step, inner, kernel, matrix, vector
from sknet._network import PIECE, STEP, csr_backprop, dense_backprop, finish

# The epochs return the sum over batches of objective times rows. A batch whose
# weights are all zero says nothing: it is left out, without a step.


@kernel
def dense_epoch(
    X, targets, weights, order, batch_size, layout, params, slots, constants, work, alpha, calls
):
    """Pass once over the rows `order` of X, one step for each batch."""
    total = 0.0
    for step in range(constants.shape[0]):
        index = batch(order, batch_size, step)
        value, weight_sum = dense_batch(
            X, targets, weights, index, layout, params, work, alpha, calls
        )
        if weight_sum > 0:
            total += index.size * value
            call_step(calls[STEP], params, work.grad, slots, constants[step])
    return total


@kernel
def csr_epoch(
    X, targets, weights, order, batch_size, layout, params, slots, constants, work, alpha, calls
):
    """As `dense_epoch`, for sparse X."""
    total = 0.0
    for step in range(constants.shape[0]):
        index = batch(order, batch_size, step)
        value, weight_sum = csr_batch(
            X, targets, weights, index, layout, params, work, alpha, calls
        )
        if weight_sum > 0:
            total += index.size * value
            call_step(calls[STEP], params, work.grad, slots, constants[step])
    return total


@kernel
def dense_objective(X, targets, weights, layout, params, work, alpha, calls):
    """Return the objective over all rows of X, and its gradient in `work.grad`."""
    index = np.arange(X.shape[0])
    return dense_batch(X, targets, weights, index, layout, params, work, alpha, calls)[0]


@kernel
def csr_objective(X, targets, weights, layout, params, work, alpha, calls):
    """As `dense_objective`, for sparse X."""
    index = np.arange(targets.shape[0])
    return csr_batch(X, targets, weights, index, layout, params, work, alpha, calls)[0]


@inner
def dense_batch(X, targets, weights, index, layout, params, work, alpha, calls):
    """Return the objective over the rows `index` and their weight; the gradient in `work.grad`."""
    value = weight_sum = 0.0
    for start in range(0, index.size, PIECE):
        part = vector(index, start, min(PIECE, index.size - start))
        rows = matrix(work.rows, 0, part.size, X.shape[1])
        gather(X, part, rows)
        y, w, more_weight = gather_targets(targets, weights, part, work)
        grad = work.grad if start == 0 else work.more
        value += dense_backprop(rows, y, w, layout, params, grad, work, calls)
        weight_sum += more_weight
        if start > 0:
            add(grad, work.grad)
    return finish(layout, params, work.grad, value, weight_sum, alpha), weight_sum


@inner
def csr_batch(X, targets, weights, index, layout, params, work, alpha, calls):
    """As `dense_batch`, for sparse X, whose rows are read in place, all at once."""
    y, w, weight_sum = gather_targets(targets, weights, index, work)
    value = csr_backprop(X, index, y, w, layout, params, work.grad, work, calls)
    return finish(layout, params, work.grad, value, weight_sum, alpha), weight_sum


@inner
def batch(order, batch_size, step):
    """Return the rows of a step; those of the last one may be fewer."""
    start = step * batch_size
    return vector(order, start, min(batch_size, order.size - start))


@inner
def add(more, out):
    """Add `more` to `out`."""
    for i in range(out.size):
        out[i] += more[i]


@inner
def gather(source, index, out):
    """Overwrite `out` by the rows `index` of `source`."""
    for i in range(index.size):
        row = source[index[i]]
        to = out[i]
        for j in range(row.size):
            to[j] = row[j]


@inner
def gather_targets(targets, weights, index, work):
    """Return a batch's targets, its weights and their sum."""
    m = index.size
    y = matrix(work.targets, 0, m, targets.shape[1])
    gather(targets, index, y)
    w = vector(work.weights, 0, m)
    total = 0.0
    for i in range(m):
        w[i] = weights[index[i]]
        total += w[i]
    return y, w, total
