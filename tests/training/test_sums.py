"""Sums over a million rows: their errors are those of the blocks in which they are added up.

In the comments on bounds, u is half of the machine epsilon, the largest relative error of one
operation.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp

from sknet._engine.memory import as_kernel_input
from sknet._engine.threads import ThreadTeam
from sknet._network.layout import Layout
from sknet._network.mean_loss import MeanLoss
from sknet._network.network import Network
from sknet._training.contract import Dataset, Regularization
from sknet._training.epoch import EpochRunner
from sknet._training.stage import MICROBATCH
from sknet.losses import Loss

N, N_FEATURES = 1_000_000, 3
both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def problem(dtype):
    """Return a linear model whose rows have no rounding errors, and its data.

    All scores are 1 and all targets 0. The loss of a row is half of its weight w, and the
    derivatives by bias and weights of the model are w and w x.
    """
    rng = np.random.RandomState(0)
    layout = Layout([N_FEATURES, 1])
    params = np.append(np.zeros(N_FEATURES, dtype), np.ones(1, dtype))
    network = Network(layout, params, [], Loss.table["squared_error"])
    X = rng.uniform(-1, 1, size=(N, N_FEATURES)).astype(np.float32).astype(dtype)
    X[:, 0] = np.abs(X[:, 0])  # all terms of the same sign
    weights = rng.uniform(size=N).astype(np.float32).astype(dtype)
    return network, X, np.zeros((N, 1), dtype), weights


def errors_of_a_minibatch(dtype, is_sparse):
    """Return for each sum over all rows its error and the bound, as shares of the sizes of terms.

    The rows of a microbatch are added one after the other, and so are the gradients of the
    microbatches. A term takes part in at most as many sums as a microbatch has rows, plus the
    number of microbatches. In sparse data it takes part in as many sums as its column has values.
    The conversion of the scale and the product with it have one u each. Losses and weights are
    added in float64, weights one after the other.
    """
    network, X, targets, weights = problem(dtype)
    given = as_kernel_input(sp.csr_array(X) if is_sparse else X)
    data = Dataset(given, targets, weights, np.arange(N, dtype=np.int64))
    runner = EpochRunner(network, data, N, Regularization())
    with ThreadTeam(1, runner.step_flops) as team:
        loss = runner.run(team, data.rows, np.zeros(1)) / N

    n_sums, u = MICROBATCH + N / MICROBATCH, np.finfo(dtype).eps / 2
    bound = (n_sums + 2) * u
    errors = {"loss": (abs(loss - 0.5) / 0.5, (n_sums + N) * np.finfo(np.float64).eps / 2)}
    # Products of two numbers of 24 bits are exact in float64, and so is fsum.
    w, x = weights.astype(np.float64), X.astype(np.float64)
    total = math.fsum(w)
    for k, column in enumerate([*(w * x.T), w]):
        expected, size = math.fsum(column) / total, math.fsum(np.abs(column)) / total
        name = f"weight {k}" if k < N_FEATURES else "bias"
        of_column = (N + 2) * u if is_sparse and k < N_FEATURES else bound
        errors[name] = abs(float(runner.grad[k]) - expected) / size, of_column
    return errors


@both_dtypes
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "sparse"])
def test_loss_and_gradient(is_sparse, dtype):
    """One minibatch of all rows, which L-BFGS and `batch_size` can ask for."""
    for name, (error, bound) in errors_of_a_minibatch(dtype, is_sparse).items():
        assert error <= bound, name


@both_dtypes
def test_mean_loss(dtype):
    """NumPy adds in float64, in pairs of blocks of at most 128; what it casts, 8192 at a time."""
    network, _, targets, weights = problem(dtype)
    mean_loss = MeanLoss(network, targets, weights)
    mean_loss.scores[:] = 1
    loss = mean_loss()
    n_sums = 128 + math.log2(N) + N / 8192
    assert abs(loss - 0.5) <= 2 * n_sums * np.finfo(np.float64).eps / 2 * 0.5
