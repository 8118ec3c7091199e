"""What programs call besides a network's parts: gathering, updates, sparse products.

The name of each function is its role in the table of `program.py`. A function is
compiled when the first program that calls it is put together.
"""

from __future__ import annotations

import numpy as np

from sknet._engine.functions import hash32, matrix, row, vector
from sknet._engine.memory import PARAM_BLOCK
from sknet._engine.program import call_step

# Entries of `scalars`, float64 numbers that the kernel over minibatches shares with the functions
# it calls. BATCH_WEIGHT is the sum of a minibatch's sample weights, SCALE is 1 / BATCH_WEIGHT, RATE
# the learning rate, KEEP how much of the averaged parameters stays. L2 / 2 multiplies the sum of
# W**2, L1 that of |W|. VALUE is the loss of a microbatch, BATCH_VALUE that of a minibatch so far,
# OBJECTIVE the sum over all minibatches so far. ABANDONED is not 0 once the threads must stop.
(
    BATCH_WEIGHT, SCALE, L2, L1, RATE, KEEP, DECAY, CLIP, VALUE, PENALTY, SQUARES,
    BATCH_VALUE, OBJECTIVE, ABANDONED, N_SCALARS,
) = range(15)  # fmt: skip

# Entries of `counters`. STEP is the number of the step since training began, FIRST_STEP that of the
# epoch's first one. N_DONE steps of the epoch are done. The next call goes on at the microbatch
# that begins with row ROW of its minibatch, after PHASE of its phases. It may run N_LEFT phases,
# those of updates not counted, and leaves there how many of them it has not run. Of data that are
# converted some rows at a time, those from FIRST_READY to END_READY in the order of the epoch are
# ready. FIRST_READY is ALL_READY if the program reads the data themselves.
(
    STEP, FIRST_STEP, BATCH_SIZE, N_DONE, ROW, PHASE, N_LEFT, FIRST_READY, END_READY, N_COUNTERS,
) = range(10)  # fmt: skip
ALL_READY = -1

# Entries of the `settings` of dropout and noise: the layer, and the first row within a microbatch
# of the rows that a thread takes.
SEED, LAYER, FIRST_ROW = range(3)

# `hash32` returns numbers below HASH_RANGE. Half of its bits are numbers below HALF_RANGE.
HASH_RANGE, HALF_RANGE, HALF_MASK = 2**32, 2**16, 2**16 - 1

# Entries of the `settings` of functions that update parameters. The first N_WEIGHTS parameters, or
# all where there are fewer, are weights, which penalties and decay apply to. STEP_ADDRESS is the
# address of an optimiser's step, or NO_STEP.
N_SLOTS, N_WEIGHTS, STEP_ADDRESS = range(3)
NO_STEP = -1


def gather(source, index, out):
    """Overwrite `out` by the rows `index` of `source`."""
    for i in range(index.size):
        values, to = row(source, index[i]), row(out, i)
        for j in range(to.size):
            to[j] = values[j]


def locate(index, settings, later):
    """Overwrite `later` by where rows of data stand, as `product` takes it.

    `settings` are the address of the data, the distance of rows and their length, in bytes.
    """
    later[0] = settings[2]
    for i in range(index.size):
        later[i + 1] = settings[0] + index[i] * settings[1]


def clear(out):
    """Overwrite `out` by zeros."""
    for i in range(out.size):
        out[i] = 0


def copy(source, out):
    """Overwrite `out` by `source`."""
    for i in range(out.size):
        out[i] = source[i]


def add(partial_grad, out):
    """Add the gradient of a further microbatch."""
    for i in range(out.size):
        out[i] += partial_grad[i]


def total(values):
    """Return the sum."""
    result = 0.0
    for i in range(values.size):
        result += values[i]
    return result


def update(params, grad, scaled_grad, slots, constants, scalars, penalties, settings):
    """Add the L2 penalty to a gradient, divide by the minibatch's weight, and take a step.

    The scaled gradient is left in `scaled_grad`: all of it where that is long
    enough (it may be `grad` itself), else one block after the other. Overwrites
    `penalties` by the L2 penalty of each block of parameters.
    """
    l2, scale = params.dtype.type(scalars[L2]), params.dtype.type(scalars[SCALE])
    n_slots = settings[N_SLOTS]
    for start in range(0, params.size, PARAM_BLOCK):
        n = min(PARAM_BLOCK, params.size - start)
        p, g = vector(params, start, n), vector(grad, start, n)
        out = vector(scaled_grad, start if scaled_grad.size > PARAM_BLOCK else 0, n)
        n_weights = max(0, min(n, settings[N_WEIGHTS] - start))
        W = vector(p, 0, n_weights)
        total = 0.0
        for i in range(W.size):
            w = W[i]
            total += np.float64(w) * w
            out[i] = (g[i] + l2 * w) * scale
        penalties[start // PARAM_BLOCK] = 0.5 * scalars[L2] * total
        for i in range(n_weights, n):
            out[i] = g[i] * scale
        if settings[STEP_ADDRESS] != NO_STEP:
            block_slots = matrix(slots, start * n_slots, n_slots, n)
            call_step(settings[STEP_ADDRESS], p, out, block_slots, constants)


def decay(params, scalars, settings):
    """Multiply weights by 1 - RATE * DECAY.

    References
    ----------
    Loshchilov, I., Hutter, F. (2019). Decoupled weight decay regularization. ICLR,
    algorithm 2.
    """
    keep = params.dtype.type(1 - scalars[RATE] * scalars[DECAY])
    W = vector(params, 0, min(params.size, settings[N_WEIGHTS]))
    for i in range(W.size):
        W[i] *= keep


def add_l1_subgradient(params, grad, previous_params, scalars, penalties, settings):
    """Add a subgradient of the L1 penalty to a gradient, and store the weights before the step.

    At a weight of 0, where |W| has a kink, the gradient moves towards 0 by L1 and
    stops there. Overwrites `penalties` by the L1 penalty of each block of
    parameters.

    References
    ----------
    Andrew, G., Gao, J. (2007). Scalable training of L1-regularized log-linear models.
    ICML, equation 4.
    """
    l1 = params.dtype.type(scalars[L1])
    zero = l1 - l1
    for start in range(0, params.size, PARAM_BLOCK):
        n = max(0, min(PARAM_BLOCK, settings[N_WEIGHTS] - start, params.size - start))
        W, g = vector(params, start, n), vector(grad, start, n)
        previous = vector(previous_params, start, n)
        total = 0.0
        for i in range(W.size):
            w = W[i]
            previous[i] = w
            total += np.float64(abs(w))
            size = abs(g[i]) - l1
            at_zero = zero if size < zero else (size if g[i] > zero else -size)
            g[i] = g[i] + l1 if w > zero else (g[i] - l1 if w < zero else at_zero)
        penalties[start // PARAM_BLOCK] = scalars[L1] * total


def project_to_orthant(params, grad, previous_params, settings):
    """Set a weight to 0 if the step changed its sign, or moved it from 0 along the gradient.

    References
    ----------
    Andrew, G., Gao, J. (2007), as above, section 3.2: constraining the step.
    """
    W = vector(params, 0, min(params.size, settings[N_WEIGHTS]))
    zero = params.dtype.type(0)
    for i in range(W.size):
        side = previous_params[i] if previous_params[i] != zero else -grad[i]
        # A product of the two would underflow. A weight that is NaN stays NaN.
        is_other = (W[i] >= zero and side <= zero) or (W[i] <= zero and side >= zero)
        W[i] = zero if is_other else W[i]


def squared_norms(grad, squares):
    """Overwrite `squares` by the sum of squares of each block of a gradient."""
    for start in range(0, grad.size, PARAM_BLOCK):
        g = vector(grad, start, min(PARAM_BLOCK, grad.size - start))
        total = 0.0
        for i in range(g.size):
            total += np.float64(g[i]) * g[i]
        squares[start // PARAM_BLOCK] = total


def clipped_step(params, grad, slots, constants, scalars, settings):
    """Take a step by a gradient whose norm is clipped to CLIP.

    The gradient becomes grad * min(1, CLIP / norm), with the norm over all
    parameters. If squares overflow even in float64, it becomes NaN, so that the
    divergence is seen.

    References
    ----------
    Pascanu, R., Mikolov, T., Bengio, Y. (2013). On the difficulty of training
    recurrent neural networks. ICML, algorithm 1.
    """
    norm = scalars[SQUARES] ** 0.5
    # In float64, since the factor may be below the smallest normal number of float32.
    factor = scalars[CLIP] / norm if norm > scalars[CLIP] else 1.0
    factor = np.nan if norm == np.inf else factor
    n_slots = settings[N_SLOTS]
    for start in range(0, params.size, PARAM_BLOCK):
        n = min(PARAM_BLOCK, params.size - start)
        p, g = vector(params, start, n), vector(grad, start, n)
        for i in range(g.size):
            g[i] *= factor
        block_slots = matrix(slots, start * n_slots, n_slots, n)
        call_step(settings[STEP_ADDRESS], p, g, block_slots, constants)


def average(params, scalars, out):
    """Update averaged parameters: out = KEEP * out + (1 - KEEP) * params."""
    keep = params.dtype.type(scalars[KEEP])
    for i in range(out.size):
        out[i] = params[i] + keep * (out[i] - params[i])


def apply_dropout(a, rate, counters, settings):
    """Set each unit to 0 with the probability `rate`, and divide the others by 1 - rate.

    Which units are dropped depends on seed, layer, step, row and unit alone. The
    backward pass and all threads therefore drop the same ones.

    References
    ----------
    Srivastava, N. et al. (2014). Dropout: a simple way to prevent neural networks
    from overfitting. JMLR 15, section 4; scaled while training, section 10.
    """
    zero = rate[0] - rate[0]
    factor = rate.dtype.type(1 / (1 - rate[0]))
    threshold = int(rate[0] * HASH_RANGE)
    first = hash32(hash32(settings[SEED] + settings[LAYER]) + counters[STEP])
    for i in range(a.shape[0]):
        values = row(a, i)
        place = hash32(first + counters[ROW] + settings[FIRST_ROW] + i)
        for j in range(values.size):
            values[j] = zero if hash32(place + j) < threshold else values[j] * factor


def add_noise(a, deviation, counters, settings):
    """Add noise of the given standard deviation: sums of six uniform numbers, nearly normal."""
    scale = deviation[0] * a.dtype.type(2**0.5 / HALF_RANGE)
    middle = a.dtype.type(3 * HALF_RANGE)
    first = hash32(hash32(settings[SEED] + settings[LAYER]) + counters[STEP])
    for i in range(a.shape[0]):
        values = row(a, i)
        place = hash32(first + counters[ROW] + settings[FIRST_ROW] + i)
        for j in range(values.size):
            x = hash32(place + j)
            y = hash32(x + 1)
            z = hash32(y + 1)
            total = (x & HALF_MASK) + (x >> 16) + (y & HALF_MASK) + (y >> 16)
            total += (z & HALF_MASK) + (z >> 16)
            values[j] += (a.dtype.type(total) - middle) * scale


def csr_affine(data, indices, indptr, index, W, b, out):
    """Overwrite `out` by X[index] W + b, where X is sparse."""
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
    """Add X[index]' delta to `out`, where X is sparse."""
    for i in range(index.size):
        d = row(delta, i)
        for k in range(indptr[index[i]], indptr[index[i] + 1]):
            x = data[k]
            g = row(out, indices[k])
            for j in range(g.size):
                g[j] += x * d[j]
