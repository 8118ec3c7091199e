"""Kernels of training: one epoch by batches, or the objective over all rows at once."""

from __future__ import annotations

import numpy as np

from sknet._jit import call_step, inner, kernel, matrix, vector
from sknet._network import STEP, csr_loss_and_grad, dense_loss_and_grad

# Both kernels return the sum over batches of objective times rows. A batch whose
# weights are all zero says nothing: it is left out, without a step.


@kernel
def dense_epoch(
    X, targets, weights, order, batch_size, layout, params, slots, constants, work, alpha, calls
):
    """Pass once over the rows `order` of X, one step for each batch."""
    total = 0.0
    for step in range(constants.shape[0]):
        index = batch(order, batch_size, step)
        m = index.size
        rows = matrix(work.rows, 0, m, X.shape[1])
        gather(X, index, rows)
        y, w, weight_sum = gather_targets(targets, weights, index, work)
        if weight_sum == 0:
            continue
        total += m * dense_loss_and_grad(rows, y, w, weight_sum, layout, params, work, alpha, calls)
        call_step(calls[STEP], params, work.grad, slots, constants[step])
    return total


@kernel
def csr_epoch(
    X, targets, weights, order, batch_size, layout, params, slots, constants, work, alpha, calls
):
    """As `dense_epoch`, for sparse X, whose rows are read in place."""
    total = 0.0
    for step in range(constants.shape[0]):
        index = batch(order, batch_size, step)
        y, w, weight_sum = gather_targets(targets, weights, index, work)
        if weight_sum == 0:
            continue
        total += index.size * csr_loss_and_grad(
            X, index, y, w, weight_sum, layout, params, work, alpha, calls
        )
        call_step(calls[STEP], params, work.grad, slots, constants[step])
    return total


@kernel
def dense_objective(X, targets, weights, weight_sum, layout, params, work, alpha, calls):
    """Return the objective over all rows of X, and its gradient in `work.grad`."""
    return dense_loss_and_grad(X, targets, weights, weight_sum, layout, params, work, alpha, calls)


@kernel
def csr_objective(X, targets, weights, weight_sum, layout, params, work, alpha, calls):
    """As `dense_objective`, for sparse X."""
    index = np.arange(targets.shape[0])
    return csr_loss_and_grad(
        X, index, targets, weights, weight_sum, layout, params, work, alpha, calls
    )


@inner
def batch(order, batch_size, step):
    """Return the rows of a step; those of the last one may be fewer."""
    start = step * batch_size
    return vector(order, start, min(batch_size, order.size - start))


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
