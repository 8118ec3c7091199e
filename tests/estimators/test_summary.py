"""`summary`: the layers and their parameters as a table in plain text."""

from __future__ import annotations

import numpy as np
import pytest
from factories import SMALL
from sklearn.exceptions import NotFittedError

from sknet import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_before_a_fit(cls):
    with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not fitted yet"):
        cls().summary()


@pytest.mark.parametrize("hidden", [(), (8,), (1200, 3), (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_count_the_arrays(hidden, dtype, digits):
    X, y = digits[0][:100].astype(dtype), digits[1][:100]
    model = MLPClassifier(**{**SMALL, "hidden_layer_sizes": hidden, "max_iter": 1}).fit(X, y)
    title, _, header, _, *rows = model.summary().splitlines()
    rows, below = rows[: len(model.coefs_)], rows[len(model.coefs_) :]
    assert title == "MLPClassifier"
    assert header.split() == ["Layer", "Shape", "Activation", "Parameters"]
    for i, (row, W, b) in enumerate(zip(rows, model.coefs_, model.intercepts_, strict=True)):
        *name, fan_in, times, fan_out, activation, n = row.replace(",", "").split()
        is_last = i == len(hidden)
        assert name == (["output"] if is_last else ["hidden", str(i + 1)])
        assert (int(fan_in), times, int(fan_out)) == (W.shape[0], "x", W.shape[1])
        assert activation == ("softmax" if is_last else "relu")
        assert int(n) == W.size + b.size
    arrays = [*model.coefs_, *model.intercepts_]
    n_bytes = sum(array.nbytes for array in arrays)
    size = f"{n_bytes / 1024:.1f} KiB" if n_bytes < 2**20 else f"{n_bytes / 2**20:.1f} MiB"
    assert below == [
        "-" * len(header),
        f"Parameters: {sum(array.size for array in arrays):,} ({size} as {np.dtype(dtype)})",
        "Loss: log_loss",
        "Solver: adam",
    ]


def test_columns_are_aligned(digits):
    """Names, shapes and activations of any length start in the same column, in plain ASCII."""
    model = MLPRegressor(**{**SMALL, "hidden_layer_sizes": (1000, 2)}, activation=["relu", "tanh"])
    lines = model.fit(digits[0][:50], digits[1][:50]).summary().splitlines()
    table = [line for line in lines[2:7] if not line.startswith("-")]
    assert len({len(line) for line in table}) == 1
    for column in ("Shape", "Activation"):
        start = table[0].index(column)
        assert all(line[start - 1] == " " != line[start] for line in table)
    assert all(line.isascii() and line == line.rstrip() for line in lines)


def test_it_shows_itself(digits):
    """With `print` and without, as consoles and notebooks do it."""
    summary = MLPClassifier(**SMALL).fit(digits[0][:50], digits[1][:50] % 2).summary()
    assert isinstance(summary, str)
    assert repr(summary) == str(summary)
    assert type(str(summary)) is str
    pretty = pytest.importorskip("IPython.lib.pretty", reason="needs ipython")
    assert pretty.pretty(summary) == str(summary)


def test_it_is_that_of_the_fitted_network(digits):
    """Parameters that are set afterwards count at the next fit."""
    model = MLPClassifier(**SMALL).fit(digits[0][:50], digits[1][:50])
    before = model.summary()
    assert model.set_params(hidden_layer_sizes=(3,), activation="tanh", loss="focal")
    assert model.summary() == before


def test_weights_set_by_hand():
    model = MLPRegressor(activation="tanh")
    model.coefs_ = [np.ones((4, 3), np.float32), np.ones((3, 1), np.float32)]
    model.intercepts_ = [np.zeros(3, np.float32), np.zeros(1, np.float32)]
    lines = model.summary().splitlines()
    assert lines[4].split() == ["hidden", "1", "4", "x", "3", "tanh", "15"]
    assert "19 (76 bytes as float32)" in lines[-3]
