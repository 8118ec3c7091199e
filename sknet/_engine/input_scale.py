"""A learned scale of each input: what precedes and what follows a step of the optimiser.

The weights of the first layer are W = diag(s) V, with a scale s_i for each input.
Steps change V and s. Between two steps the parameters hold W, so that all else
knows nothing of the scales.
"""

from __future__ import annotations

import numpy as np

from sknet._engine.functions import matrix, square_limit
from sknet._engine.kernels import SCALE

# The rows of the scales, each of the length of s: s itself, its gradient, and Adam's moving
# averages of it and of its square.
SCALES, GRADIENT, MEAN, SQUARE = range(4)
N_ROWS = 4


def unscale(W, grad, V, scales, scalars):
    """Overwrite W by V, and the gradient with respect to W by that with respect to V.

    dL/dV_ij = s_i dL/dW_ij, and dL/ds_i is the sum over j of V_ij dL/dW_ij. The latter is divided
    by the weights of the minibatch here (SCALE), the former by the kernel `update`.
    """
    scale, rows = W.dtype.type(scalars[SCALE]), matrix(scales, 0, N_ROWS, W.shape[0])
    for i in range(W.shape[0]):
        s = rows[SCALES, i]
        total = W.dtype.type(0)
        for j in range(W.shape[1]):
            total += V[i, j] * grad[i, j]
        for j in range(W.shape[1]):
            grad[i, j] *= s
            W[i, j] = V[i, j]
        rows[GRADIENT, i] = scale * total


def rescale(W, V, scales, constants, settings):
    """Take a step of Adam with the scales, and return to W.

    W holds V after its own step. `constants` are those of :meth:`sknet.optimizers.Adam.step`, whose
    rate `settings` multiplies.
    """
    keep_m, new_m, keep_v, new_v = constants[0], constants[1], constants[2], constants[3]
    eta, epsilon = constants[4] * settings[0], constants[5]
    rows, limit = matrix(scales, 0, N_ROWS, W.shape[0]), square_limit(W)
    for i in range(W.shape[0]):
        g = min(max(rows[GRADIENT, i], -limit), limit)
        m = keep_m * rows[MEAN, i] + new_m * g
        v = keep_v * rows[SQUARE, i] + new_v * (g * g)
        s = rows[SCALES, i] - eta * m / (np.sqrt(v) + epsilon)
        rows[MEAN, i], rows[SQUARE, i], rows[SCALES, i] = m, v, s
        for j in range(W.shape[1]):
            V[i, j] = W[i, j]
            W[i, j] *= s
