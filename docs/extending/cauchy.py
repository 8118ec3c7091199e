"""A loss in one class: the Cauchy loss, which barely notices outliers."""

import numpy as np

from sknet.losses.base import WithIdentity


class Cauchy(WithIdentity, name="cauchy"):
    """Cauchy loss: the negative log-likelihood of errors with a Cauchy distribution.

    e = z - y, loss = log(1 + e**2 / 2), dloss/dz = e / (1 + e**2 / 2).

    References
    ----------
    Barron, J. T. (2019). A general and adaptive robust loss function. CVPR, arXiv:1701.03077,
    section 1 (with alpha = 0 and c = 1).
    """

    public = "cauchy"
    targets = "numbers"

    @staticmethod
    def loss(scores, targets, weights, settings, delta, values):
        """Write w log(1 + e**2 / 2) to `values` and w e / (1 + e**2 / 2) to `delta`."""
        for i in range(scores.shape[0]):
            value = 0.0
            for k in range(scores.shape[1]):
                error = np.float64(scores[i, k]) - targets[i, k]
                half_square = error * error / 2
                value += np.log1p(half_square)
                delta[i, k] = weights[i] * error / (1 + half_square)
            values[i] = weights[i] * value
