"""How many rows a second `partial_fit` learns from a Parquet file, which pyarrow reads in batches.

Usage::

    python -m pip install pandas polars pyarrow
    python benchmarks/parquet.py
    python benchmarks/parquet.py --rows 2000000 --features 100 --batch 10000

The file has columns of float32 and a label. Each batch becomes an array, a frame of pandas or a
frame of polars, and goes to `partial_fit`. "Reading" does the same without `partial_fit`. The
figures are medians of five passes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from _timing import as_markdown

from sknet import MLPClassifier

CLASSES = np.arange(3)
N_PASSES = 5


def as_array(batch: Any) -> tuple[Any, Any]:
    """Return X and y as arrays."""
    *columns, y = (column.to_numpy() for column in batch.columns)
    return np.column_stack(columns), y


def as_pandas(batch: Any) -> tuple[Any, Any]:
    """Return X as a frame of pandas, and y."""
    frame = batch.to_pandas()
    return frame.drop(columns="y"), frame["y"].to_numpy()


def as_polars(batch: Any) -> tuple[Any, Any]:
    """Return X as a frame of polars, and y."""
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame.drop("y"), frame["y"].to_numpy()


FORMS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "array": as_array,
    "pandas": as_pandas,
    "polars": as_polars,
}


def write(path: Path, n_rows: int, n_features: int) -> None:
    """Write random rows, in row groups of 100,000."""
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, n_rows, 100_000):
        X = rng.standard_normal((min(100_000, n_rows - start), n_features), np.float32)
        columns = {f"x{j}": X[:, j] for j in range(n_features)}
        table = pa.table({**columns, "y": (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)})
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def batches(path: Path, size: int, form: str) -> Iterator[tuple[Any, Any]]:
    """Yield X and y of one batch after the other."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=size):
        yield FORMS[form](batch)


def main() -> None:
    """Write a file, read it in each form, learn from it, and print a table."""
    parser = argparse.ArgumentParser(description="Rows a second of partial_fit over Parquet.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="default: 1000000")
    parser.add_argument("--features", type=int, default=50, help="default: 50")
    parser.add_argument("--batch", type=int, default=10_000, help="default: 10000")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        write(path, options.rows, options.features)
        for form in FORMS:
            net = MLPClassifier((100,), random_state=0)
            for i, (X, y) in enumerate(batches(path, options.batch, form)):  # also fills the cache
                if i == 0:
                    net.partial_fit(X, y, classes=CLASSES)  # compiles
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(N_PASSES):
                for learns, times in seconds.items():
                    start = perf_counter()
                    for X, y in batches(path, options.batch, form):
                        if learns:
                            net.partial_fit(X, y, classes=CLASSES)
                    times.append(perf_counter() - start)
            speeds = (options.rows / median(times) for times in seconds.values())
            lines.append([form, *(f"{speed:,.0f}" for speed in speeds)])
        size = path.stat().st_size / 1e6
    print(f"{options.rows:,} rows of {options.features} features, {size:.0f} MB of Parquet")
    print(as_markdown(["form", "rows/s of reading", "rows/s of learning"], lines))


if __name__ == "__main__":
    main()
