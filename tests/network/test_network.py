"""The kernels against plain NumPy and against numeric gradients."""

from __future__ import annotations

import sys

import naive
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from processes import run_script

from sknet._engine.compilation import PYTHON_MODE
from sknet._engine.memory import as_kernel_input
from sknet._engine.threads import ThreadTeam
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._network.prediction import MAX_IDLE, PREDICT_ROWS, Predictor
from sknet._training.contract import Dataset, Regularization
from sknet._training.epoch import EpochRunner
from sknet._training.stage import MICROBATCH
from sknet.activations import Activation
from sknet.losses import Loss

ALPHA = 0.7
HYPERPARAMETERS = {
    "label_smoothing": 0.1,
    "focal_gamma": 1.5,
    "huber_delta": 0.8,
    "quantile": [0.2, 0.5, 0.9],
    "non_crossing": True,
}


def problem(loss, depth, weighted, n=13, dtype=np.float64, activation="tanh", seed=0):
    """Return a network with `depth` hidden layers and a batch for it."""
    rng = np.random.RandomState(seed)
    part = Loss.table[loss]
    parameters = part.settings(HYPERPARAMETERS)
    # The squared error of several outputs has a test of its own.
    n_outputs = 1 if loss == "squared_error" else 3
    layout = Layout([5, *[4, 6, 3][:depth], n_outputs])
    params = rng.normal(scale=0.5, size=layout.n_parameters).astype(dtype)
    activations = [Activation.table[activation]] * depth
    network = Network(layout, params, activations, part, parameters)
    X = rng.normal(size=(n, 5)) * (rng.rand(n, 5) < 0.7)
    n_targets = n_outputs // part.n_outputs(1, HYPERPARAMETERS)
    targets = {
        "codes": rng.randint(0, 3, size=(n, 1)),
        "indicators": rng.randint(0, 2, size=(n, 3)),
        "numbers": rng.normal(size=(n, n_targets)),
    }[part.targets]
    if loss == "poisson":
        targets = rng.poisson(2.0, size=targets.shape)
    elif loss == "gamma":
        targets = np.exp(targets)
    weights = rng.gamma(2.0, size=n) if weighted else np.ones(n)
    return network, X.astype(dtype), targets.astype(dtype), weights.astype(dtype)


def loss_and_grad(network, X, targets, weights, sparse=False):
    """Return the kernels' objective and gradient over all rows."""
    X = as_kernel_input(sp.csr_array(X) if sparse else X)
    n = len(targets)
    rows = np.arange(n, dtype=np.int64)
    runner = EpochRunner(network, Dataset(X, targets, weights, rows), n, Regularization(l2=ALPHA))
    total = runner.run(ThreadTeam(None, 0), rows, np.zeros(1))
    return total / n, runner.grad


def naive_objective(network, params, X, targets, weights):
    return naive.objective(
        *network.layout.split(params),
        X,
        targets,
        weights,
        network.activations[0].name if network.activations else "identity",
        network.loss.name,
        network.settings,
        ALPHA,
    )


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(
    ("activation", "loss"),
    [*((name, "log_loss") for name in Activation.table), *(("tanh", name) for name in Loss.table)],
)
def test_gradient(activation, loss, depth, weighted, sparse):
    """Analytic gradients equal the plain reference's central differences to 1e-6.

    With a step of 1e-5, truncation is of the order of 1e-10 and rounding of
    1e-16 / 1e-5 = 1e-11, both relative.
    """
    network, X, targets, weights = problem(loss, depth, weighted, activation=activation)
    value, grad = loss_and_grad(network, X, targets, weights, sparse)
    expected = naive_objective(network, network.params, X, targets, weights)
    assert_allclose(value, expected, rtol=1e-13)

    numeric = np.empty_like(grad)
    for i in range(grad.size):
        ends = []
        for step in (1e-5, -1e-5):
            moved = network.params.copy()
            moved[i] += step
            ends.append(naive_objective(network, moved, X, targets, weights))
        numeric[i] = (ends[0] - ends[1]) / 2e-5
    assert np.linalg.norm(grad - numeric) < 1e-6 * np.linalg.norm(numeric)


def test_squared_error_of_several_outputs():
    """The value is the mean over outputs, the gradient that of the sum, as in scikit-learn."""
    rng = np.random.RandomState(0)
    scores, y = rng.normal(size=(2, 7, 3))
    weights, delta, values = rng.gamma(2.0, size=7), np.empty((7, 3)), np.empty(7)
    Loss.table["squared_error"].loss(scores, y, weights, np.empty(0), delta, values)
    assert_allclose(values, weights * naive.LOSSES["squared_error"](scores, y), rtol=1e-14)
    assert_allclose(delta, weights[:, None] * (scores - y), rtol=1e-14)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("n", [MICROBATCH, MICROBATCH + 1, 2 * MICROBATCH, 2 * MICROBATCH + 13])
def test_minibatch_in_microbatches(n, sparse):
    """The gradient of a minibatch is the sum of those of its microbatches."""
    network, X, targets, weights = problem("log_loss", 2, True, n=n)
    value, grad = loss_and_grad(network, X, targets, weights, sparse)
    expected = naive_objective(network, network.params, X, targets, weights)
    assert_allclose(value, expected, rtol=1e-13)
    halves = slice(0, n // 3), slice(n // 3, n)
    parts = [loss_and_grad(network, X[h], targets[h], weights[h])[1] for h in halves]
    penalty = ALPHA * network.params
    penalty[network.layout.n_weights :] = 0
    sums = [g * weights[h].sum() - penalty for g, h in zip(parts, halves, strict=True)]
    assert_allclose(grad, (sum(sums) + penalty) / weights.sum(), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("loss", Loss.table)
def test_float32_gradient(loss):
    """In float32 the gradient is that of float64 to float32's precision."""
    results = []
    for dtype in (np.float32, np.float64):
        network, X, targets, weights = problem(loss, 2, True, dtype=np.float32)
        params = network.params.astype(dtype)
        network = Network(
            network.layout, params, network.activations, network.loss, network.settings
        )
        value, grad = loss_and_grad(network, *(v.astype(dtype) for v in (X, targets, weights)))
        assert grad.dtype == dtype
        results.append((value, grad))
    (value, grad), (value_64, grad_64) = results
    assert_allclose(value, value_64, rtol=1e-5)
    assert np.linalg.norm(grad - grad_64) < 1e-5 * np.linalg.norm(grad_64)


@given(
    n=st.integers(1, 40),
    units=st.lists(st.integers(1, 20), min_size=2, max_size=5),
    activation=st.sampled_from(list(Activation.table)),
    sparse=st.booleans(),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=150, deadline=None)
def test_any_shape(n, units, activation, sparse, seed):
    """Scores and gradients agree with NumPy for any number of rows, layers and units."""
    rng = np.random.RandomState(seed)
    layout = Layout(units)
    params = rng.normal(size=layout.n_parameters)
    loss = Loss.table["squared_error"]
    network = Network(layout, params, [Activation.table[activation]] * (len(units) - 2), loss)
    X, targets = rng.normal(size=(n, units[0])), rng.normal(size=(n, units[-1]))
    data = as_kernel_input(sp.csr_array(X) if sparse else X)
    expected = naive.scores(*layout.split(params), X, activation)
    assert_allclose(Predictor(network).scores(data), expected, rtol=1e-9, atol=1e-9)
    value, _ = loss_and_grad(network, X, targets, np.ones(n), sparse)
    expected = naive_objective(network, params, X, targets, np.ones(n))
    assert_allclose(value, expected, rtol=1e-9)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize(
    "n", [1, PREDICT_ROWS - 1, PREDICT_ROWS, PREDICT_ROWS + 1, 3 * PREDICT_ROWS + 7]
)
@pytest.mark.parametrize("loss", Loss.table)
def test_prediction_in_chunks(loss, n, sparse):
    network, X, *_ = problem(loss, 2, False, n=n)
    data = as_kernel_input(sp.csr_array(X) if sparse else X)
    scores = naive.scores(*network.layout.split(network.params), X, "tanh")
    assert_allclose(Predictor(network).scores(data), scores, rtol=1e-11, atol=1e-12)
    linked = scores.copy()
    network.loss.link(linked, network.settings)
    assert_allclose(Predictor(network).scores(data, link=True), linked, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("n", [1, PREDICT_ROWS, 3 * PREDICT_ROWS + 7])
def test_prediction_of_rows(n, sparse):
    """Rows in any order have the bits that they have among all rows.

    Without compilation the products are NumPy's, which may add in another order: two layers of sums
    of fewer than 50 numbers of about 1.
    """
    atol = 100 * np.finfo(float).eps if PYTHON_MODE else 0
    network, X, *_ = problem("log_loss", 2, False, n=100)
    data = as_kernel_input(sp.csr_array(X) if sparse else X)
    predictor, rows = Predictor(network), np.random.RandomState(0).randint(0, 100, size=n)
    for link in (False, True):
        scores = predictor.scores(data, rows, link=link)
        assert_allclose(scores, predictor.scores(data, link=link)[rows], rtol=0, atol=atol)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("row", [-1, 100])
def test_prediction_of_rows_that_are_not_there(row, sparse):
    """A kernel would read memory that belongs to something else."""
    network, X, *_ = problem("log_loss", 2, False, n=100)
    data = as_kernel_input(sp.csr_array(X) if sparse else X)
    with pytest.raises(ValueError, match="Rows must be numbers from 0 to 99"):
        Predictor(network).scores(data, np.array([3, row]))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_predictions_in_memory_that_is_given(sparse):
    network, X, *_ = problem("log_loss", 2, False, n=2 * PREDICT_ROWS + 7)
    data = as_kernel_input(sp.csr_array(X) if sparse else X)
    predictor, rows = Predictor(network), np.arange(0, len(X), 3)
    for chosen in ([], [rows]):
        expected = predictor.scores(data, *chosen)
        out = np.full_like(expected, np.nan)
        assert predictor.scores(data, *chosen, out=out) is out
        assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda out: out[:-1],
        lambda out: out[:, :-1].copy(),
        lambda out: np.vstack([out, out]),
        np.asfortranarray,
        lambda out: out.astype(np.float32),
        lambda out: np.broadcast_to(out[:1], out.shape),
    ],
    ids=["fewer rows", "fewer columns", "more rows", "Fortran order", "float32", "read-only"],
)
def test_predictions_in_memory_that_does_not_fit(change):
    """The kernel would write to memory that belongs to something else, or to nothing."""
    network, X, *_ = problem("log_loss", 2, False, n=20)
    data, predictor = as_kernel_input(X), Predictor(network)
    out = change(predictor.scores(data))
    before = out.copy()
    with pytest.raises(ValueError, match=r"out must be a C-contiguous, writeable array of shape"):
        predictor.scores(data, out=out)
    assert_array_equal(out, before)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_prediction_of_float32_data_in_float64(sparse):
    """A network of float64 computes with the exact values of float32 data."""
    network, X, *_ = problem("log_loss", 2, False, n=PREDICT_ROWS + 7)
    X = X.astype(np.float32)
    container = sp.csr_array if sparse else np.asarray
    single, double = (as_kernel_input(container(values)) for values in (X, X.astype(np.float64)))
    predictor = Predictor(network)
    for _ in range(2):  # programs that are used again have the dtype that they were made for
        scores = predictor.scores(single)
        assert scores.dtype == np.float64
        assert_array_equal(scores, predictor.scores(double))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, PREDICT_ROWS + 7, 3 * PREDICT_ROWS])
def test_no_scores_of_numbers_that_are_not_finite(n, bad):
    network, X, *_ = problem("log_loss", 2, False, n=n)
    predictor = Predictor(network)
    for place in {0, X.size // 2, X.size - 1}:
        spoilt = X.copy()
        spoilt.flat[place] = bad
        assert predictor.scores_if_finite(as_kernel_input(spoilt)) is None
    # The program that was stopped runs again.
    data = as_kernel_input(X)
    assert_array_equal(predictor.scores_if_finite(data), Predictor(network).scores(data))


def test_scores_of_numbers_whose_sum_overflows():
    network, X, *_ = problem("log_loss", 2, False, n=2 * PREDICT_ROWS)
    data = as_kernel_input(np.full_like(X, np.finfo(X.dtype).max / X.size * 2))
    with np.errstate(over="ignore"):
        assert np.isinf(data.sum())
    expected = Predictor(network).scores(data)
    assert np.isfinite(expected).all()
    assert_array_equal(Predictor(network).scores_if_finite(data), expected)


def test_programs_that_are_used_again_read_the_data_of_the_call():
    """All rows are read where they are, and other choices of as many rows are copied.

    Without compilation the products are NumPy's, as for `test_prediction_of_rows`.
    """
    atol = 100 * 3 * np.finfo(float).eps if PYTHON_MODE else 0
    network, X, *_ = problem("log_loss", 2, False, n=PREDICT_ROWS + 7)
    predictor, order = Predictor(network), np.random.RandomState(0).permutation(len(X))
    for scale in (1, 2, 3):
        data = as_kernel_input(scale * X)
        expected = Predictor(network).scores(data)
        assert_array_equal(predictor.scores(data), expected)
        assert_allclose(predictor.scores(data, order), expected[order], rtol=0, atol=atol)


AT_THE_EDGE = """
import ctypes, mmap
import numpy as np
from sknet._engine.memory import as_kernel_input
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._network.prediction import Predictor
from sknet.activations import Activation
from sknet.losses import Loss

PAGE, N_PAGES = mmap.PAGESIZE, 40
memory = mmap.mmap(-1, (N_PAGES + 2) * PAGE)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None, use_errno=True)
for page in (0, N_PAGES + 1):
    assert libc.mprotect(ctypes.c_void_p(start + page * PAGE), PAGE, 0) == 0
for dtype in (np.float32, np.float64):
    for width in (1, 3, 8, 17, 64):
        layout = Layout((width, 5, 3))
        params = np.random.RandomState(0).normal(size=layout.n_parameters).astype(dtype)
        network = Network(layout, params, [Activation.get("relu")], Loss.get("log_loss"))
        for n in (*range(1, 18), 256, 263):
            size = n * width * np.dtype(dtype).itemsize
            if size > N_PAGES * PAGE:
                continue
            for first in (PAGE, (N_PAGES + 1) * PAGE - size):
                X = np.frombuffer(memory, dtype, n * width, first).reshape(n, width)
                X[:] = 1
                scores = Predictor(network).scores_if_finite(as_kernel_input(X))
                assert (scores == Predictor(network).scores(as_kernel_input(X.copy()))).all()
print("right")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mprotect")
def test_nothing_beside_the_data_is_read():
    """The pages before and after X may not be read: a process that does so crashes."""
    assert run_script(AT_THE_EDGE).split() == ["right"]


def test_layout_views():
    """Splitting gives views in order, and joining them gives the vector itself, not a copy."""
    layout = Layout([3, 2, 4])
    params = np.arange(layout.n_parameters, dtype=float)
    coefs, intercepts = layout.split(params)
    assert [W.shape for W in coefs] == [(3, 2), (2, 4)]
    assert_array_equal(np.concatenate([v.ravel() for v in (*coefs, *intercepts)]), params)
    assert layout.join(coefs, intercepts) is params
    copies = [W.copy() for W in coefs]
    assert_array_equal(layout.join(copies, intercepts), params)
    assert layout.join(copies, intercepts) is not params
    swapped = layout.join(coefs, [intercepts[0] + 1, intercepts[1]])
    assert_array_equal(swapped[: layout.n_weights], params[: layout.n_weights])
    assert swapped[layout.n_weights] == params[layout.n_weights] + 1


def test_layout_names_a_wrong_shape():
    layout = Layout([3, 2, 4])
    coefs, intercepts = layout.split(np.zeros(layout.n_parameters))
    with pytest.raises(ValueError, match=r"coefs_\[1\] has shape \(4, 2\).*\(2, 4\)"):
        layout.join([coefs[0], coefs[1].T], intercepts)
    with pytest.raises(ValueError, match=r"intercepts_\[0\] has shape \(3,\).*\(2,\)"):
        layout.join(coefs, [np.zeros(3), intercepts[1]])
    with pytest.raises(ValueError, match=r"intercepts_ has 1 .* 2"):
        layout.join(coefs, intercepts[:1])


def test_a_predictor_keeps_programs_of_few_sizes():
    network, X, *_ = problem("log_loss", 1, False, n=3 * MAX_IDLE)
    predictor = Predictor(network)
    for n in range(1, 3 * MAX_IDLE):
        predictor.scores(as_kernel_input(X[:n]))
    assert sum(map(len, predictor._idle.values())) <= MAX_IDLE + 1
