"""The command ``warmup``: compile all kernels into Numba's cache."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning

from sknet import MLPClassifier, TabularMLPClassifier
from sknet._cli.versions import cache_folders
from sknet._engine.program import function_address
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import Optimizer


def run(dtypes: Sequence[str]) -> None:
    """Compile all kernels, and print the seconds of each step and the number of new files.

    Parameters
    ----------
    dtypes : sequence of str
        Dtypes of the data: 'float64', 'float32' or both.
    """
    folders = cache_folders()
    if not folders:
        sys.exit(
            "Numba has no folder to cache kernels in. Set NUMBA_CACHE_DIR to a writable folder, "
            "and leave NUMBA_DISABLE_JIT unset."
        )
    start = time.time()
    for dtype in dtypes:
        _compile_parts(dtype)
        _fit_each_way(dtype)
        if dtype == "float32":
            _fit_a_table()
    files = [file for folder in folders for file in folder.glob("*.nb?")]
    n_new = sum(file.stat().st_mtime >= start for file in files)
    print(f"{n_new} new files among {len(files)} in {os.path.commonpath(folders)}")


def _compile_parts(dtype: str) -> None:
    """Compile all activations and losses."""
    for kind, names in ((Activation, ("forward", "backward")), (Loss, ("loss", "link"))):
        for part in kind.table.values():
            with _timed(f"{dtype} {kind.__name__.lower()} {part.name}"):
                for name in names:
                    function_address(getattr(part, name), np.dtype(dtype))


def _fit_each_way(dtype: str) -> None:
    """Fit dense and sparse data with each solver and with each way of regularization."""
    X, y = np.eye(4, dtype=dtype), [0, 0, 1, 1]
    regularization: dict[str, Any] = {
        "l1_ratio": 0.5, "dropout": 0.5, "gradient_clip_norm": 1.0, "ema_decay": 0.5,
    }  # fmt: skip
    for data in (X, csr_matrix(X)):
        kind = "dense" if data is X else "sparse"
        for solver in (*Optimizer.table, "lbfgs"):
            with _timed(f"{dtype} {kind} fit by {solver}"):
                network = MLPClassifier((2,), solver=solver, max_iter=1)
                network.fit(data, y, X_val=data, y_val=y).predict(data)
        with _timed(f"{dtype} {kind} fit with all regularization"):
            noise = 0.1 if data is X else 0.0
            network = MLPClassifier((2,), solver="adamw", max_iter=1, **regularization)
            network.set_params(input_noise=noise, activation="gelu").fit(data, y)


def _fit_a_table() -> None:
    """Fit a tabular classifier, whose networks learn scales of their inputs, in float32."""
    X, y = np.eye(16), np.arange(16, dtype=np.int64) % 2
    with _timed("float32 fit of a table"):
        TabularMLPClassifier(n_members=1, max_iter=1).fit(X, y)


@contextmanager
def _timed(step: str) -> Iterator[None]:
    """Print the seconds that a step takes, and ignore its warnings about convergence."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
    print(f"{time.perf_counter() - start:6.2f} s  {step}", flush=True)
