"""What a network does besides its parts: rows in and out, steps, and sparse products.

Each function is one role of `_jit`'s table, compiled when a program first calls it.
"""

from __future__ import annotations

from sknet._functions import matrix, row, vector
from sknet._jit import call_step
from sknet.optimizers import STRETCH

# Entries of the `state` of an epoch, in float64: what it tells the functions it
# calls, and what it hears of them.
SCALE, ALPHA, VALUE, PENALTY, N_STATE = range(5)

# Entries of the `settings` of `update`; the last is the address of a step, or NO_STEP.
N_SLOTS, N_DECAYED, STEP = range(3)
NO_STEP = -1


def gather(source, index, out):
    """Overwrite `out` by the rows `index` of `source`."""
    for i in range(index.size):
        values, to = row(source, index[i]), row(out, i)
        for j in range(to.size):
            to[j] = values[j]


def clear(out):
    """Overwrite `out` by zeros."""
    for i in range(out.size):
        out[i] = 0


def copy(source, out):
    """Overwrite `out` by `source`."""
    for i in range(out.size):
        out[i] = source[i]


def add(more, out):
    """Add `more` to `out`."""
    for i in range(out.size):
        out[i] += more[i]


def total(values):
    """Return the sum."""
    result = 0.0
    for i in range(values.size):
        result += values[i]
    return result


def update(params, grad, scaled, slots, constants, state, squares, settings):
    """Put the L2 penalty into a gradient, divide it by the batch's weight, and step.

    Leaves the result in `scaled`: each stretch in turn, or all of it where there is
    room, which may be `grad` itself. Overwrites `squares` by the sum of W**2 of
    each stretch of parameters.
    """
    alpha, scale = params.dtype.type(state[ALPHA]), params.dtype.type(state[SCALE])
    n_slots = settings[N_SLOTS]
    for start in range(0, params.size, STRETCH):
        n = min(STRETCH, params.size - start)
        p, g = vector(params, start, n), vector(grad, start, n)
        out = vector(scaled, start if scaled.size > STRETCH else 0, n)
        n_decayed = max(0, min(n, settings[N_DECAYED] - start))
        W = vector(p, 0, n_decayed)
        total = alpha - alpha
        for i in range(W.size):
            w = W[i]
            total += w * w
            out[i] = (g[i] + alpha * w) * scale
        squares[start // STRETCH] = total
        for i in range(n_decayed, n):
            out[i] = g[i] * scale
        if settings[STEP] != NO_STEP:
            slots_here = matrix(slots, start * n_slots, n_slots, n)
            call_step(settings[STEP], p, out, slots_here, constants)


def csr_affine(data, indices, indptr, index, W, b, out):
    """Overwrite `out` by X[index] W + b, X being a sparse matrix."""
    for i in range(index.size):
        to = row(out, i)
        for j in range(to.size):
            to[j] = b[j]
        for k in range(indptr[index[i]], indptr[index[i] + 1]):
            x = data[k]
            w = row(W, indices[k])
            for j in range(to.size):
                to[j] += x * w[j]


def csr_weight_gradient(data, indices, indptr, index, delta, out):
    """Add X[index]' delta to `out`, X being a sparse matrix."""
    for i in range(index.size):
        d = row(delta, i)
        for k in range(indptr[index[i]], indptr[index[i] + 1]):
            x = data[k]
            g = row(out, indices[k])
            for j in range(g.size):
                g[j] += x * d[j]
