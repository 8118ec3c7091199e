"""Checkpoints with a valid checksum and other values: what strangers could write."""

from __future__ import annotations

import json

import numpy as np
import pytest
from factories import classifier
from versions import needs_callbacks

import sknet
from sknet.exceptions import ModelFileError
from sknet.export.tensor_file import Content, read, write

pytestmark = [
    needs_callbacks,
    pytest.mark.filterwarnings("ignore"),  # harmless values may still make training diverge
]

VALUES = [None, True, -1, 2**62, 1e300, {"float": "nan"}, "x", [1], {"dict": []}]


@pytest.fixture
def data(digits):
    X, y = digits
    return X[:100], y[:100]


@pytest.fixture
def path(tmp_path, data):
    model = classifier(max_iter=4, early_stopping=True, ema_decay=0.9, n_iter_no_change=np.inf)
    model.set_callbacks(sknet.Checkpoint(tmp_path / "run", every_epochs=2)).fit(*data)
    return tmp_path / "run" / "epoch-000002.safetensors"


def places(node, place=()):
    """Yield the place of each value inside some JSON."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


def replaced(document, place, value):
    """Return JSON with another value in one place."""
    copied = json.loads(json.dumps(document))
    node = copied
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return copied


def is_refused(path, text, arrays, data):
    """Return whether a file is refused when it is loaded, or when the fit is to go on."""
    write(path, Content(text, arrays), sknet.__version__)
    try:
        sknet.Checkpoint.resume(path).set_callbacks().fit(*data)
    except ModelFileError:
        return True
    except ValueError as error:
        if "interrupted run" not in str(error):
            raise
        return True
    return False


def test_other_values_are_refused_or_harmless(path, data):
    content = read(path)
    document = json.loads(content.text)
    assert not is_refused(path, content.text, content.arrays, data)
    refused = [
        is_refused(path, json.dumps(replaced(document, place, value)), content.arrays, data)
        for i, place in enumerate(places(document["run"], ("run",)))
        for value in VALUES[i % 3 :: 3]
    ]
    assert 0.8 < np.mean(refused) < 1


def test_other_arrays_are_refused_or_harmless(path, data):
    content = read(path)
    changes = [
        lambda a: a.reshape(-1)[: max(1, a.size // 2)].copy(),
        lambda a: np.tile(a.reshape(-1), 2),
        lambda a: a.astype(np.int64 if a.dtype == np.float32 else np.float32),
        lambda a: np.full_like(a, 2**31 - 1),
    ]
    refused = [
        is_refused(path, content.text, content.arrays | {name: change(array)}, data)
        for name, array in content.arrays.items()
        for change in changes
    ]
    assert 0.5 < np.mean(refused) < 1
