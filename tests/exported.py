"""Models of ONNX, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'test' has onnxruntime")

onnxruntime.set_default_logger_severity(3)  # skl2onnx leaves constants that nothing uses

# The largest difference that an export may make, relative to the largest output.
TOLERANCES = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-12}


def program(model: Any) -> Callable[[np.ndarray], dict[str, Any]]:
    """Check a model, and return a function that gives what it computes by the outputs' names."""
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda X: dict(zip(names, session.run(None, {"X": X}), strict=True))


def run(model: Any, X: np.ndarray) -> dict[str, Any]:
    """Return what a model computes, by the names of the outputs."""
    return program(model)(X)


def assert_same_numbers(found: Any, expected: np.ndarray, scale: float = 0.0) -> None:
    """Compare numbers in the dtype and shape of those expected, but for rounding.

    A larger `scale` than that of the largest output is that of the raw scores, where the outputs
    are probabilities: softmax and logistic function pass the errors of scores on.
    """
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    largest = max(scale, np.abs(expected).max())
    assert np.abs(found - expected).max() <= TOLERANCES[expected.dtype] * largest
