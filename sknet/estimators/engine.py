"""Loading what trains and predicts, which ``import sknet`` leaves out: Numba takes long."""

from __future__ import annotations

import threading

from sknet._engine.uninterrupted import uninterrupted

_loaded = threading.Event()


def load_engine() -> None:
    """Import Numba and all modules that functions of the estimators import."""
    if not _loaded.is_set():
        uninterrupted(_load)


def _load() -> None:
    import sknet._network.tracing
    import sknet._training.trainer  # noqa: F401

    _loaded.set()
