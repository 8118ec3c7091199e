"""The whole state of an estimator before a call, to compare with its state after it."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import numpy as np

# scikit-learn keeps an estimator's callbacks under this name; they change by being called.
CALLBACKS = "_skl_callbacks"


class Snapshot(NamedTuple):
    """The names of an estimator's attributes, and a deep copy of what a pickle would hold."""

    names: set[str]
    state: dict[str, Any]


def snapshot(model: Any) -> Snapshot:
    """Return the state of an estimator as it is now."""
    return Snapshot(set(vars(model)), copy.deepcopy(_state(model)))


def assert_unchanged(model: Any, before: Snapshot) -> None:
    """Compare the state of an estimator with a snapshot, arrays to the bit."""
    assert set(vars(model)) == before.names
    assert_same(_state(model), before.state)


def assert_same_weights(a: Any, b: Any) -> None:
    """Compare the weights and biases of two estimators to the bit."""
    assert_same(list(a.coefs_), list(b.coefs_), "coefs_")
    assert_same(list(a.intercepts_), list(b.intercepts_), "intercepts_")


def assert_same(a: Any, b: Any, where: str = "") -> None:
    """Compare two values part by part: numbers to the bit, objects by their attributes."""
    assert type(a) is type(b), f"{where} is {a!r}, and was {b!r}"
    if isinstance(a, np.ndarray) and a.dtype == object:
        assert_same(a.tolist(), b.tolist(), where)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, f"{where} has the dtype {a.dtype}, and had {b.dtype}"
        assert a.shape == b.shape, f"{where} has the shape {a.shape}, and had {b.shape}"
        assert a.tobytes() == b.tobytes(), (
            f"{where} differs in {np.sum(a != b)} of {a.size} numbers, the first of which is "
            f"{a.ravel()[:1]}, and was {b.ravel()[:1]}"
        )
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), f"{where} has the keys {set(a)}, and had {set(b)}"
        for key in a:
            assert_same(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), f"{where} has {len(a)} entries, and had {len(b)}"
        for i, (mine, other) in enumerate(zip(a, b, strict=True)):
            assert_same(mine, other, f"{where}[{i}]")
    elif isinstance(a, float | np.floating):
        assert repr(a) == repr(b), f"{where} is {a!r}, and was {b!r}"  # NaN is equal to NaN
    elif callable(a):
        pass  # a function of the user, which may count its calls
    elif hasattr(a, "__dict__"):
        assert_same(a.__getstate__(), b.__getstate__(), where)
    else:
        assert a is b or a == b or pickle.dumps(a) == pickle.dumps(b), (
            f"{where} is {a!r}, and was {b!r}"
        )


def _state(model: Any) -> dict[str, Any]:
    return {name: value for name, value in model.__getstate__().items() if name != CALLBACKS}
