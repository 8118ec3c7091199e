"""Dask's collections as partitions of rows, and what has to be installed for them."""

from __future__ import annotations

from typing import Any

import numpy as np


def require_dask() -> None:
    """Raise ImportError unless Dask and its distributed scheduler are installed."""
    try:
        import dask.array  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "sknet.dask needs Dask: python -m pip install 'sknet-mlp[dask]'"
        ) from error


def is_collection(data: Any) -> bool:
    """Return whether data are a Dask array, data frame or series."""
    return hasattr(data, "__dask_graph__") and hasattr(data, "to_delayed")


def is_frame(data: Any) -> bool:
    """Return whether a collection is a data frame or a series."""
    return hasattr(data, "map_partitions")


def partitions_of(X: Any, y: Any, sample_weight: Any = None) -> list[Any]:
    """Return a Dask task for each partition, which gives X, y and the weights (or None).

    Parameters
    ----------
    X : dask array or data frame of shape (n_samples, n_features)
    y : dask array, data frame or series of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : dask array or series of shape (n_samples,), or None

    Raises
    ------
    TypeError
        If one of them is no Dask collection.
    ValueError
        If their partitions do not have the same rows.
    """
    from dask import delayed

    given = {"X": X, "y": y, "sample_weight": sample_weight}
    columns = {}
    for name, data in given.items():
        if data is None and name == "sample_weight":
            continue
        if not is_collection(data):
            raise TypeError(
                f"{name} is of the type {type(data).__name__}, but must be a Dask array or data "
                "frame, whose partitions stay on their workers. Make one of it, for example by "
                "dask.array.from_array. For data that fit into memory, MLPClassifier and "
                "MLPRegressor need no cluster."
            )
        columns[name] = _blocks(data, like=X, name=name)
    n = len(columns["X"])
    for name, blocks in columns.items():
        if len(blocks) != n:
            raise ValueError(
                f"X has {n} partitions, but {name} has {len(blocks)}. Their rows are matched "
                f"partition by partition. Give {name} with the partitions of X."
            )
    nothing = [None] * n
    rows = zip(columns["X"], columns["y"], columns.get("sample_weight", nothing), strict=True)
    make = delayed(_together, pure=True)
    return [make(*blocks) for blocks in rows]


def _together(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    return X, y, sample_weight


def _blocks(data: Any, like: Any, name: str) -> list[Any]:
    """Return the blocks of rows of a collection, divided as those of another one if possible."""
    if is_frame(data):
        return list(data.to_delayed())
    if data.ndim == 2:
        data = data.rechunk({1: -1})
    if data is not like and not is_frame(like):
        own, others = data.chunks[0], like.chunks[0]
        if not np.isnan([*own, *others]).any():
            if sum(own) != sum(others):
                raise ValueError(
                    f"X has {sum(others)} rows, but {name} has {sum(own)}. Give as many of both."
                )
            data = data.rechunk({0: others})
    return list(data.to_delayed().reshape(-1))
