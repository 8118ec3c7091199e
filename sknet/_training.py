"""Kernels of training: an epoch over a data set, batch by batch, step by step.

All threads of a team run the same kernel. Within a batch they share its rows on
the way forward and back, then the rows of W for its gradient, then stretches of
parameters for the step, and meet in between. No sum depends on who took what,
so that the result is the same to the last bit for any number of threads.

Without an optimiser (its address being 0) an epoch of one batch computes the
objective over all rows, and its gradient in the workspace, for L-BFGS.
"""

from __future__ import annotations

from sknet._barrier import meet, share
from sknet._jit import call_product, call_step, inner, kernel, matrix, vector
from sknet._network import (
    BIASES,
    DATA,
    DELTA,
    GRAD,
    GRAIN,
    MORE,
    N_VALUES,
    PIECE,
    PRODUCT,
    SAMPLE_WEIGHTS,
    STEP,
    TARGETS,
    ZERO,
    A,
    Z,
    area,
    backward,
    bias_gradients,
    biases_of,
    block,
    csr_affine,
    csr_weight_gradient,
    forward,
    losses,
    rows_of,
    transpose,
    weight_gradient,
    weights_of,
)
from sknet.optimizers import STRETCH

# Both return the sum over batches of objective times rows. A batch whose weights
# are all zero says nothing: it is left out, without a step.


@kernel
def dense_epoch(
    X, targets, weights, order, batch_size, layout, params, slots, constants, work, alpha, calls,
    seat,
):  # fmt: skip
    """Pass once over the rows `order` of X, one step for each batch."""
    total = 0.0
    l = ZERO
    for step in range(constants.shape[0]):
        index = batch(order, batch_size, step)
        weight_sum = sum_at(weights, index)
        if weight_sum == 0:
            continue
        transpose(layout, params, work, seat)
        value = 0.0
        for start in range(0, index.size, PIECE):
            part = vector(index, start, min(PIECE, index.size - start))
            m = part.size
            begin, end = share(m, GRAIN, seat)
            rows = rows_of(work, DATA, ZERO, m, X.shape[1])
            gather(X, part, begin, end, rows)
            call_product(
                calls[PRODUCT],
                rows_of(work, DATA, begin, end, X.shape[1]),
                weights_of(params, layout, l),
                biases_of(params, layout, l),
                block(work.flat, work.at[A], layout, l, m, begin, end),
            )
            grad = area(work, GRAD if start == 0 else MORE, params.size)
            value += middle(
                targets, weights, part, begin, end, layout, params, grad, work, calls, seat
            )
            weight_gradient(rows, layout, l, m, grad, work, calls, seat)
            meet(seat)
            if start > 0:
                begin, end = share(params.size, STRETCH, seat)
                add(grad, begin, end, area(work, GRAD, params.size))
        total += index.size * update(
            value, weight_sum, layout, params, slots, constants[step], work, alpha, calls, seat
        )
    return total


@kernel
def csr_epoch(
    X, targets, weights, order, batch_size, layout, params, slots, constants, work, alpha, calls,
    seat,
):  # fmt: skip
    """As `dense_epoch`, for sparse X, whose rows are read in place."""
    total = 0.0
    l = ZERO
    for step in range(constants.shape[0]):
        index = batch(order, batch_size, step)
        weight_sum = sum_at(weights, index)
        if weight_sum == 0:
            continue
        transpose(layout, params, work, seat)
        value = 0.0
        for start in range(0, index.size, PIECE):
            part = vector(index, start, min(PIECE, index.size - start))
            m = part.size
            begin, end = share(m, GRAIN, seat)
            csr_affine(
                X,
                vector(part, begin, end - begin),
                weights_of(params, layout, l),
                biases_of(params, layout, l),
                block(work.flat, work.at[A], layout, l, m, begin, end),
            )
            grad = area(work, GRAD if start == 0 else MORE, params.size)
            value += middle(
                targets, weights, part, begin, end, layout, params, grad, work, calls, seat
            )
            delta = block(work.flat, work.at[DELTA], layout, l, m, ZERO, m)
            G = weights_of(area(work, GRAD, params.size), layout, l)
            csr_weight_gradient(X, part, delta, G, start == 0, seat)
            meet(seat)
            if start > 0:
                n_first = weights_of(params, layout, l).size
                begin, end = share(params.size, STRETCH, seat)
                add(grad, max(begin, n_first), end, area(work, GRAD, params.size))
        total += index.size * update(
            value, weight_sum, layout, params, slots, constants[step], work, alpha, calls, seat
        )
    return total


@inner
def middle(targets, weights, part, begin, end, layout, params, grad, work, calls, seat):
    """Go from the first layer's z to its delta, and take all gradients but that of its W.

    Returns the weighted loss of all rows.
    """
    m, n_targets = part.size, targets.shape[1]
    gather(targets, part, begin, end, rows_of(work, TARGETS, ZERO, m, n_targets))
    w = area(work, SAMPLE_WEIGHTS, m)
    for i in range(begin, end):
        w[i] = weights[part[i]]
    z = work.at[Z] if work.at[Z + 1] > work.at[Z] else -1
    forward(layout, params, work.flat, z, work.at[A], m, begin, end, calls)
    losses(layout, work, n_targets, m, begin, end, calls)
    meet(seat)  # for W transposed
    backward(layout, work, m, begin, end, calls)
    meet(seat)
    for l in range(1, layout.shape[0]):
        taken = block(work.flat, work.at[A], layout, l - 1, m, ZERO, m)
        weight_gradient(taken, layout, l, m, grad, work, calls, seat)
    bias_gradients(layout, m, grad, work, calls, seat)
    value = 0.0
    for i in range((m + GRAIN - 1) // GRAIN):
        value += work.sums[i]
    return value


@inner
def update(value, weight_sum, layout, params, slots, constants, work, alpha, calls, seat):
    """Put the L2 penalty into the gradient, divide by the batch's weight, and step.

    Returns the objective before the step, as scikit-learn has it:
    (value + alpha / 2 sum W**2) / weight_sum.
    """
    n_weights, n_slots = layout[0, BIASES], slots.size // params.size
    scale, decay = params.dtype.type(1 / weight_sum), params.dtype.type(alpha)
    grad, squares = area(work, GRAD, params.size), work.sums[N_VALUES:]
    begin, end = share(params.size, STRETCH, seat)
    for start in range(begin, end, STRETCH):
        n = min(STRETCH, params.size - start)
        p, g = vector(params, start, n), vector(grad, start, n)
        n_decayed = max(0, min(n, n_weights - start))
        squares[start // STRETCH] = penalize(
            vector(p, 0, n_decayed), decay, vector(g, 0, n_decayed)
        )
        for i in range(g.size):
            g[i] *= scale
        if calls[STEP] != 0:
            call_step(calls[STEP], p, g, matrix(slots, start * n_slots, n_slots, n), constants)
    meet(seat)
    penalty = 0.0
    for i in range(squares.size):
        penalty += squares[i]
    return (value + 0.5 * alpha * penalty) / weight_sum


@inner
def penalize(W, decay, G):
    """Add decay W to G and return the sum of W**2."""
    squares = W.dtype.type(0)
    for i in range(W.size):
        w = W[i]
        squares += w * w
        G[i] += decay * w
    return squares


@inner
def sum_at(weights, index):
    """Return the sum of weights[index]."""
    total = 0.0
    for i in range(index.size):
        total += weights[index[i]]
    return total


@inner
def batch(order, batch_size, step):
    """Return the rows of a step; those of the last one may be fewer."""
    start = step * batch_size
    return vector(order, start, min(batch_size, order.size - start))


@inner
def gather(source, index, begin, end, out):
    """Overwrite rows `begin` to `end` of `out` by the rows `index` of `source`."""
    for i in range(begin, end):
        row = source[index[i]]
        to = out[i]
        for j in range(row.size):
            to[j] = row[j]


@inner
def add(more, begin, end, out):
    """Add a part of `more` to `out`."""
    n = max(0, end - begin)
    source, to = vector(more, begin, n), vector(out, begin, n)
    for i in range(to.size):
        to[i] += source[i]
