"""Fits on two workers beside the fit of one process to the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sknet import MLPClassifier, MLPRegressor
from sknet.dask import DaskMLPClassifier, DaskMLPRegressor
from sknet.initialization import draw_layer
from sknet.optimizers import Optimizer

da = pytest.importorskip("dask.array", reason="the extra 'dask' is not installed")

pytestmark = [
    pytest.mark.usefixtures("client"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

# Sums in another order differ by the rounding of some hundred terms. A step of an optimiser that
# divides by the root of a moment may make that a thousand times larger where gradients are small.
SUMS = 1e-10
# L-BFGS divides differences of gradients by each other: see `comparisons`.
LBFGS = 1e-7


def collections(X, y, sizes=(100, 37, 263, 200)):
    """Return dask arrays with uneven partitions."""
    sizes = (*sizes, len(X) - sum(sizes))
    chunks = (sizes, (X.shape[1],))
    return da.from_array(X, chunks=chunks), da.from_array(y, chunks=(sizes, *y.shape[1:]))


def assert_close(ours, theirs, atol, rtol=0.0):
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e3 * rtol or atol)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert a.dtype == b.dtype
            assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)


@pytest.fixture(scope="module")
def rows(digits):
    return digits[0][:900], digits[1][:900]


def test_lbfgs_is_the_fit_of_one_machine(rows):
    X, y = rows
    net = MLPClassifier((12,), solver="lbfgs", max_iter=15, random_state=0)
    fitted = DaskMLPClassifier(net).fit(*collections(X, y))
    assert fitted.n_shards_ == 2
    assert_close(fitted.to_local(), net.fit(X, y), LBFGS)
    assert_array_equal(fitted.classes_, net.classes_)
    assert fitted.n_features_in_ == 64


def test_lbfgs_with_weights_of_rows_and_of_classes(rows):
    X, y = rows
    names = np.array(["even", "odd", "three"])[np.where(y == 3, 2, y % 2)]
    weights = np.random.RandomState(0).randint(3, size=len(X)).astype(float)
    weights[:100] = 0  # all of the first partition
    net = MLPClassifier(
        (5,), "tanh", solver="lbfgs", max_iter=8, class_weight="balanced", random_state=0
    )
    dX, dy = collections(X, names)
    dw = da.from_array(weights, chunks=450)  # divided in another way than X
    fitted = DaskMLPClassifier(net).fit(dX, dy, dw)
    assert_close(fitted.to_local(), net.fit(X, names, weights), LBFGS)
    assert_array_equal(fitted.predict(X), net.predict(X))


def test_lbfgs_on_several_targets_in_float32(diabetes):
    X, y = diabetes
    X, Y = X.astype(np.float32), np.column_stack([y, -y]).astype(np.float32) / 100
    net = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=8, random_state=0)
    fitted = DaskMLPRegressor(net).fit(*collections(X, Y, (100, 100)))
    # The fit is in float64, and its weights are rounded to float32 at the end.
    assert_close(fitted.to_local(), net.fit(X, Y), LBFGS, rtol=2 * np.finfo(np.float32).eps)


def test_lbfgs_on_several_labels(rows):
    X, y = rows
    Y = np.column_stack([y % 2, y > 4, y == 0]).astype(int)
    net = MLPClassifier((4,), solver="lbfgs", max_iter=5, random_state=0)
    fitted = DaskMLPClassifier(net).fit(*collections(X, Y))
    assert_close(fitted.to_local(), net.fit(X, Y), LBFGS)
    assert_array_equal(fitted.predict(X), net.predict(X))


@pytest.mark.parametrize(
    "parameters",
    [
        *({"solver": solver} for solver in Optimizer.table if solver != "lion"),
        {"solver": "sgd", "learning_rate": "cosine", "ema_decay": 0.9, "alpha": 0.1},
        {"solver": "adam", "l1_ratio": 0.5, "alpha": 1.0, "gradient_clip_norm": 0.1},
        {"solver": "adamw", "shuffle": False, "batch_size": 77, "weight_decay": 0.1},
    ],
    ids=str,
)
def test_summed_gradients_give_the_steps_of_one_machine(rows, parameters):
    """Lion takes the sign of a number that may be zero but for rounding."""
    X, y = rows
    net = MLPClassifier((8,), max_iter=3, random_state=0, learning_rate_init=0.01)
    net.set_params(**parameters)
    fitted = DaskMLPClassifier(net, sync_every=1).fit(*collections(X, y))
    assert_close(fitted.to_local(), net.fit(X, y), SUMS)


def test_summed_gradients_in_float32(rows):
    X, y = rows[0].astype(np.float32), rows[1]
    net = MLPClassifier((8,), solver="sgd", max_iter=3, random_state=0)
    fitted = DaskMLPClassifier(net, sync_every=1).fit(*collections(X, y))
    # 15 steps of rates of 0.001, each with a gradient that is off by roundings of its sums.
    assert_close(fitted.to_local(), net.fit(X, y), 1e-6)


@pytest.mark.parametrize("sync_every", [1, 4])
def test_validation_data_decide_when_to_stop(rows, digits, sync_every):
    X, y = rows
    validation = {"X_val": digits[0][900:1200], "y_val": digits[1][900:1200]}
    net = MLPClassifier(
        (20,),
        early_stopping=True,
        n_iter_no_change=2,
        learning_rate_init=0.02,
        tol=0.01,
        random_state=0,
    )
    local = DaskMLPClassifier(net, sync_every=sync_every).fit(*collections(X, y), **validation)
    local = local.to_local()
    assert local.n_iter_ < net.max_iter
    assert local.best_validation_score_ == local.score(validation["X_val"], validation["y_val"])
    if sync_every == 1:
        net.fit(X, y, **validation)
        assert local.validation_scores_ == net.validation_scores_


def in_numpy(X, y, n_first, alpha, rate, momentum, batch_size, sync_every, n_epochs, seed):
    """Train a linear model by local steps of two shards, of which the first has `n_first` rows."""
    random_state, n = np.random.RandomState(seed), len(X)
    W, b = draw_layer("auto", random_state, X.shape[1], 1, MLPRegressor_activation())
    mean, order = [np.append(W[:, 0], b), np.zeros(X.shape[1] + 1)], np.arange(n)
    shares = np.array([n_first / n, 1 - n_first / n])
    for _ in range(n_epochs):
        random_state.shuffle(order)
        batches = [order[i : i + batch_size] for i in range(0, n, batch_size)]
        for first in range(0, len(batches), sync_every):
            states, seen = [], []
            for shard in range(2):
                theta, v = (part.copy() for part in mean)
                seen.append(0)
                for batch in batches[first : first + sync_every]:
                    own = batch[(batch >= n_first) == shard]
                    seen[-1] += len(own)
                    error = X[own] @ theta[:-1] + theta[-1] - y[own]
                    grad = np.append(X[own].T @ error, error.sum())
                    grad[:-1] += alpha * shares[shard] * theta[:-1]
                    v = momentum * v - rate * grad / len(own)
                    theta = theta + v
                states.append((theta, v))
            weights = np.array(seen) / sum(seen)
            mean = [sum(w * s[i] for w, s in zip(weights, states, strict=True)) for i in range(2)]
    return mean[0]


def MLPRegressor_activation():
    from sknet.activations import Activation

    return Activation.get("relu")


def test_local_steps_in_numpy(diabetes):
    """Parameters and velocities are averaged, and each shard has its share of the penalty."""
    X, y = diabetes[0], diabetes[1] / 100
    net = MLPRegressor(
        hidden_layer_sizes=(),
        solver="sgd",
        alpha=3.0,
        momentum=0.8,
        nesterovs_momentum=False,
        learning_rate_init=0.01,
        batch_size=50,
        max_iter=4,
        random_state=0,
    )
    fitted = DaskMLPRegressor(net, sync_every=3).fit(*collections(X, y, (300,)))
    expected = in_numpy(X, y, 300, 3.0, 0.01, 0.8, 50, 3, 4, 0)
    local = fitted.to_local()
    assert_allclose(np.append(local.coefs_[0][:, 0], local.intercepts_[0]), expected, atol=1e-13)
    whole = net.fit(X, y)
    assert np.abs(whole.coefs_[0][:, 0] - expected[:-1]).max() > 1e-4  # it is another fit


@pytest.mark.parametrize("parameters", [{}, {"ema_decay": 0.9}, {"dropout": 0.2}], ids=str)
def test_local_steps_learn(rows, digits, parameters):
    X, y = rows
    net = MLPClassifier((30,), learning_rate_init=0.01, max_iter=25, random_state=0, **parameters)
    fitted = DaskMLPClassifier(net, sync_every=3).fit(*collections(X, y))
    assert len(fitted.estimator_.loss_curve_) == 25
    # One machine comes to 0.93; nine rows of the 897 are one percent.
    assert fitted.score(digits[0][900:], digits[1][900:]) > 0.9


@pytest.mark.parametrize("sync_every", [1, 3])
def test_dropout_differs_from_step_to_step(rows, sync_every):
    """A unit that is always dropped would not learn at all."""
    X, y = rows
    net = MLPClassifier(
        (40,), "tanh", solver="sgd", dropout=0.5, alpha=0, max_iter=3, random_state=0
    )
    start = MLPClassifier((40,), "tanh", solver="sgd", learning_rate_init=1e-300, max_iter=1)
    start = start.set_params(random_state=0).fit(X, y)
    fitted = DaskMLPClassifier(net, sync_every=sync_every).fit(*collections(X, y)).to_local()
    assert (fitted.coefs_[1] != start.coefs_[1]).any(axis=1).all()


def test_frames_keep_names_and_index(client, digits):
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    dd = pytest.importorskip("dask.dataframe", reason="the extra 'dask' is not installed")
    X = pd.DataFrame(digits[0][:300, :9], columns=list("abcdefghi")).set_index(
        np.arange(1000, 1300)
    )
    y = pd.Series(np.where(digits[1][:300] < 5, "low", "high"), index=X.index)
    dX, dy = dd.from_pandas(X, npartitions=3), dd.from_pandas(y, npartitions=3)
    net = MLPClassifier((4,), solver="lbfgs", max_iter=5, random_state=0)
    fitted = DaskMLPClassifier(net).fit(dX, dy)
    net.fit(X, y)
    assert_close(fitted.to_local(), net, LBFGS)
    assert fitted.to_local().feature_names_in_.tolist() == list("abcdefghi")
    predicted = fitted.predict(dX).compute()
    assert predicted.index.tolist() == X.index.tolist()
    assert_array_equal(predicted, net.predict(X))
    assert fitted.predict_proba(dX).compute().columns.tolist() == ["high", "low"]
    assert fitted.score(dX, dy) == net.score(X, y)


def test_rows_that_a_filter_leaves_have_unknown_partitions(rows):
    """One of the partitions is empty."""
    X, y = rows
    dX, dy = collections(X, y)
    kept = (y != 3) & (np.arange(len(X)) >= 100)
    mask = da.from_array(kept, chunks=dX.chunks[0])
    net = MLPClassifier((5,), solver="lbfgs", max_iter=5, random_state=0)
    fitted = DaskMLPClassifier(net).fit(dX[mask], dy[mask])
    assert_close(fitted.to_local(), net.fit(X[kept], y[kept]), LBFGS)
    assert_array_equal(fitted.predict(dX[mask]).compute(), net.predict(X[kept]))
    assert fitted.score(dX[mask], dy[mask]) == net.score(X[kept], y[kept])


def test_columns_in_several_chunks(rows):
    X, y = rows
    net = MLPClassifier((5,), solver="lbfgs", max_iter=5, random_state=0)
    dX, dy = da.from_array(X, chunks=(300, 20)), da.from_array(y, chunks=450)
    fitted = DaskMLPClassifier(net).fit(dX, dy)
    assert_close(fitted.to_local(), net.fit(X, y), LBFGS)
    assert fitted.score(dX, dy) == net.score(X, y)


def test_one_class(rows):
    X, y = rows
    net = MLPClassifier((5,), max_iter=2, random_state=0)
    fitted = DaskMLPClassifier(net, sync_every=2).fit(*collections(X, y * 0))
    assert (fitted.predict(X) == 0).all()
