"""The three products of a layer, and the sums over a batch beside them.

Roles of `_jit`: kernels reach these functions by address, so that each is
compiled once, whatever calls it.
"""

from __future__ import annotations

import numpy as np


def affine(A: np.ndarray, W: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Overwrite `out` by A W + b: a layer forwards.

    Parameters
    ----------
    A : ndarray of shape (n_samples, fan_in)
    W : ndarray of shape (fan_in, fan_out)
    b : ndarray of shape (fan_out,)
    out : ndarray of shape (n_samples, fan_out)
    """
    np.dot(A, W, out)
    for i in range(out.shape[0]):
        row = out[i]
        for j in range(row.size):
            row[j] += b[j]


def weight_gradient(A: np.ndarray, D: np.ndarray, out: np.ndarray) -> None:
    """Overwrite `out` by A' D: the gradient of a layer's weights.

    Parameters
    ----------
    A : ndarray of shape (n_samples, fan_in)
        What the layer took.
    D : ndarray of shape (n_samples, fan_out)
        Derivative of the loss by what it gave.
    out : ndarray of shape (fan_in, fan_out)
    """
    np.dot(A.T, D, out)


def input_gradient(D: np.ndarray, W: np.ndarray, out: np.ndarray) -> None:
    """Overwrite `out` by D W': a layer backwards.

    Parameters
    ----------
    D : ndarray of shape (n_samples, fan_out)
    W : ndarray of shape (fan_in, fan_out)
    out : ndarray of shape (n_samples, fan_in)
    """
    np.dot(D, W.T, out)
