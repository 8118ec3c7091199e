"""What a network does besides its parts: rows in and out, steps, and sparse products.

Each function is one role of `_jit`'s table, compiled when a program first calls it.
"""

from __future__ import annotations

from sknet._engine.compilation import call_step
from sknet._engine.functions import hash32, matrix, row, vector
from sknet._engine.memory import PARAM_BLOCK

# Entries of the `state` of an epoch, in float64: what it tells the functions it
# calls, and what it hears of them. SCALE is 1 over the batch's weight, RATE the
# learning rate, KEEP how much of a running mean stays; the penalty is L2 / 2 times the
# sum of W**2 and L1 times that of |W|.
SCALE, L2, L1, RATE, KEEP, DECAY, CLIP, VALUE, PENALTY, SQUARES, N_STATE = range(11)

# Entries of the `clock`: the step since training began, the piece's first row in its
# batch; and of the `settings` of what draws random bits: `FIRST` row in its piece.
NOW, BEGIN, N_CLOCK = range(3)
SEED, LAYER, FIRST = range(3)

# `hash32` returns numbers below BITS; half of their bits are numbers up to MASK.
BITS, HALF, MASK = 2**32, 2**16, 2**16 - 1

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


def update(params, grad, scaled, slots, constants, state, penalties, settings):
    """Put the L2 penalty into a gradient, divide it by the batch's weight, and step.

    Leaves the result in `scaled`: each stretch in turn, or all of it where there is
    room, which may be `grad` itself. Overwrites `penalties` by that of each stretch
    of parameters.
    """
    l2, scale = params.dtype.type(state[L2]), params.dtype.type(state[SCALE])
    n_slots = settings[N_SLOTS]
    for start in range(0, params.size, PARAM_BLOCK):
        n = min(PARAM_BLOCK, params.size - start)
        p, g = vector(params, start, n), vector(grad, start, n)
        out = vector(scaled, start if scaled.size > PARAM_BLOCK else 0, n)
        n_decayed = max(0, min(n, settings[N_DECAYED] - start))
        W = vector(p, 0, n_decayed)
        total = l2 - l2
        for i in range(W.size):
            w = W[i]
            total += w * w
            out[i] = (g[i] + l2 * w) * scale
        penalties[start // PARAM_BLOCK] = 0.5 * state[L2] * total
        for i in range(n_decayed, n):
            out[i] = g[i] * scale
        if settings[STEP] != NO_STEP:
            slots_here = matrix(slots, start * n_slots, n_slots, n)
            call_step(settings[STEP], p, out, slots_here, constants)


def decay(params, state, settings):
    """Multiply weights by 1 - rate decay.

    References
    ----------
    Loshchilov, I., Hutter, F. (2019). Decoupled weight decay regularization. ICLR,
    algorithm 2.
    """
    keep = params.dtype.type(1 - state[RATE] * state[DECAY])
    W = vector(params, 0, max(0, min(params.size, settings[N_DECAYED])))
    for i in range(W.size):
        W[i] *= keep


def add_l1_subgradient(params, grad, before, state, magnitudes, settings):
    """Put the L1 penalty into a gradient, and remember the weights `before` the step.

    At 0, where |W| has a kink, the gradient is taken L1 towards 0, and never beyond.
    Overwrites `magnitudes` by the penalty of each stretch.

    References
    ----------
    Andrew, G., Gao, J. (2007). Scalable training of L1-regularized log-linear models.
    ICML, equation 4.
    """
    l1 = params.dtype.type(state[L1])
    zero = l1 - l1
    for start in range(0, params.size, PARAM_BLOCK):
        n = max(0, min(PARAM_BLOCK, settings[N_DECAYED] - start, params.size - start))
        W, g, kept = vector(params, start, n), vector(grad, start, n), vector(before, start, n)
        total = zero
        for i in range(W.size):
            w = W[i]
            kept[i] = w
            total += abs(w)
            size = abs(g[i]) - l1
            at_zero = zero if size < zero else (size if g[i] > zero else -size)
            g[i] = g[i] + l1 if w > zero else (g[i] - l1 if w < zero else at_zero)
        magnitudes[start // PARAM_BLOCK] = state[L1] * total


def project_to_orthant(params, grad, before, settings):
    """Set weights to 0 that changed their sign, or left 0 other than against the gradient.

    References
    ----------
    Andrew, G., Gao, J. (2007), as above, section 3.2: constraining the step.
    """
    W = vector(params, 0, max(0, min(params.size, settings[N_DECAYED])))
    zero = params.dtype.type(0)
    for i in range(W.size):
        side = before[i] if before[i] != zero else -grad[i]
        W[i] = zero if W[i] * side <= zero else W[i]


def squared_norms(grad, squares):
    """Overwrite `squares` by the sum of squares of each stretch of a gradient."""
    for start in range(0, grad.size, PARAM_BLOCK):
        g = vector(grad, start, min(PARAM_BLOCK, grad.size - start))
        total = 0.0
        for i in range(g.size):
            total += g[i] * g[i]
        squares[start // PARAM_BLOCK] = total


def clipped_step(params, grad, slots, constants, state, settings):
    """Step by a gradient that is made no longer than CLIP.

    grad * min(1, CLIP / norm) over all parameters together.

    References
    ----------
    Pascanu, R., Mikolov, T., Bengio, Y. (2013). On the difficulty of training
    recurrent neural networks. ICML, algorithm 1.
    """
    norm = state[SQUARES] ** 0.5
    factor = params.dtype.type(state[CLIP] / norm if norm > state[CLIP] else 1.0)
    n_slots = settings[N_SLOTS]
    for start in range(0, params.size, PARAM_BLOCK):
        n = min(PARAM_BLOCK, params.size - start)
        p, g = vector(params, start, n), vector(grad, start, n)
        for i in range(g.size):
            g[i] *= factor
        call_step(settings[STEP], p, g, matrix(slots, start * n_slots, n_slots, n), constants)


def average(params, state, out):
    """Move a running mean towards the parameters: out = KEEP out + (1 - KEEP) params."""
    keep = params.dtype.type(state[KEEP])
    for i in range(out.size):
        out[i] = params[i] + keep * (out[i] - params[i])


def drop(a, rate, clock, settings):
    """Set units to 0, each with the probability `rate`, and scale the others by 1 / (1 - rate).

    Which ones depends on seed, layer, step, row and unit alone, so that the way
    back finds the same, and every thread.

    References
    ----------
    Srivastava, N. et al. (2014). Dropout: a simple way to prevent neural networks
    from overfitting. JMLR 15, section 4; scaled while training, section 10.
    """
    zero = rate[0] - rate[0]
    factor = rate.dtype.type(1 / (1 - rate[0]))
    least = int(rate[0] * BITS)
    first = hash32(hash32(settings[SEED] + settings[LAYER]) + clock[NOW])
    for i in range(a.shape[0]):
        values = row(a, i)
        place = hash32(first + clock[BEGIN] + settings[FIRST] + i)
        for j in range(values.size):
            values[j] = zero if hash32(place + j) < least else values[j] * factor


def add_noise(a, deviation, clock, settings):
    """Add noise of a standard deviation: the sum of six uniform numbers, which is nearly normal."""
    scale = deviation[0] * a.dtype.type(2**0.5 / HALF)
    middle = a.dtype.type(3 * HALF)
    first = hash32(hash32(settings[SEED] + settings[LAYER]) + clock[NOW])
    for i in range(a.shape[0]):
        values = row(a, i)
        place = hash32(first + clock[BEGIN] + settings[FIRST] + i)
        for j in range(values.size):
            x = hash32(place + j)
            y = hash32(x + 1)
            z = hash32(y + 1)
            total = (x & MASK) + (x >> 16) + (y & MASK) + (y >> 16) + (z & MASK) + (z >> 16)
            values[j] += (a.dtype.type(total) - middle) * scale


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
