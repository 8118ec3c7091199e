"""How fits on Dask scale, and where more workers stop paying.

It measures fits with 1 and 2 workers on this machine, beside one process, and what a round trip
costs. From these it computes what 4 to 256 workers would take, each on a machine of its own.

A pass over the data takes

    c / S + r (h + S o + 2 S b / B)

with S workers: c seconds of computation on one core, r round trips of h seconds, o seconds of work
of the client for each worker, and b bytes of parameters there and of gradients back, at B bytes
per second of the client's network.
"""

from __future__ import annotations

import argparse
import os
import warnings
from time import perf_counter

import joblib
import numpy as np
from _data import load_mnist
from _timing import as_markdown, machine
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sknet import MLPClassifier
from sknet.dask import DaskMLPClassifier

# Of the network 784-128-10, and of the one that measures how fast bytes travel, in float32.
N_PARAMETERS = 784 * 128 + 128 + 128 * 10 + 10
MANY_BYTES = 4 * 4000 * 128

WORKERS = [1, 2, 4, 8, 16, 32, 64, 128, 256]


class Clock:
    """A scorer that notes when it is called, which is after each epoch."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, estimator, X, y) -> float:
        """Note the time."""
        self.times.append(perf_counter())
        return 0.0

    @property
    def seconds(self) -> float:
        """Seconds of an epoch: the least of all but the first, which compiles."""
        return float(np.diff(self.times[1:]).min())


def partitioned(X, y, n):
    """Return dask arrays of n partitions."""
    import dask.array as da

    size = -(-len(X) // n)
    return da.from_array(X, chunks=(size, -1)), da.from_array(y, chunks=size)


def seconds_of(net, X, y, n_workers, sync_every="auto"):
    """Return the seconds of an epoch, with workers or (0) in this process."""
    net = clone(net).set_params(scoring=Clock(), restore_best=False)
    validation = {"X_val": X[:2], "y_val": y[:2]}
    if n_workers == 0:
        net.fit(X, y, **validation)
    else:
        model = DaskMLPClassifier(net, sync_every=sync_every)
        net = model.fit(*partitioned(X, y, n_workers), **validation).to_local()
    return net.scoring.seconds


class WithWorkers:
    """A cluster of some workers, as a context. They are processes unless told otherwise."""

    def __init__(self, n: int, *, processes: bool = True) -> None:
        self.n, self.processes = n, processes

    def __enter__(self):
        """Start the workers."""
        from distributed import Client, LocalCluster

        self.cluster = LocalCluster(
            n_workers=self.n, processes=self.processes, threads_per_worker=1, dashboard_address=":0"
        )
        self.client = Client(self.cluster, direct_to_workers=True)
        return self.client

    def __exit__(self, *error):
        """End them."""
        self.client.close()
        self.cluster.close()


def tasks() -> dict[str, tuple[MLPClassifier, int | str]]:
    """Return the fits to measure: by name the network, and sync_every."""
    net = MLPClassifier((128,), max_iter=6, random_state=0)
    return {
        "lbfgs, all rows": (clone(net).set_params(solver="lbfgs"), "auto"),
        "adam, batch 200, summed gradients": (net, 1),
        "adam, batch 200, 16 local steps": (net, 16),
        "adam, batch 4000, summed gradients": (clone(net).set_params(batch_size=4000), 1),
    }


def round_trips(n_workers):
    """Return the seconds of a step with hardly any rows: of few and of many parameters."""
    random = np.random.RandomState(0)
    found = []
    for n_features in (8, 4000):
        X, y = random.rand(2 * n_workers, n_features).astype(np.float32), np.arange(2 * n_workers)
        net = MLPClassifier((128,), max_iter=60, n_iter_no_change=1000, random_state=0)
        found.append(seconds_of(net, X, y % 2, n_workers, 1))
    return found


def scaling(rows: int) -> None:
    """Measure, then compute what more workers would take."""
    split = load_mnist(fetch=False).astype("float32")
    X, y, fits = split.X_train[:rows], split.y_train[:rows], tasks()
    measured = {name: [seconds_of(net, X, y, 0)] for name, (net, _) in fits.items()}
    trips = []
    for n in (1, 2):
        with WithWorkers(n):
            trips.append(round_trips(n))
            for name, (net, every) in fits.items():
                measured[name].append(seconds_of(net, X, y, n, every))
    (few_1, many_1), (few_2, _) = trips
    (h, o), _ = nnls([[1, 1], [1, 2]], [few_1, few_2])  # neither is negative
    B = 2 * MANY_BYTES / max(many_1 - few_1, 1e-9)
    print(f"h = {1e3 * h:.1f} ms, o = {1e3 * o:.1f} ms, B = {B / 1e9:.2f} GB/s\n")
    rows_of_table = []
    for name, (net, every) in fits.items():
        is_lbfgs = net.solver == "lbfgs"
        batch = {"auto": 200}.get(net.batch_size, net.batch_size)
        n_trips = 1 if is_lbfgs else -(-len(X) // batch) / every
        size = N_PARAMETERS * (8 if is_lbfgs else 4) * (3 if every == 16 else 1)
        c = measured[name][0]
        computed = [c / n + n_trips * (h + n * o + 2 * n * size / B) for n in WORKERS]
        best = WORKERS[int(np.argmin(computed))]
        times = [f"{1e3 * t:.0f}" for t in (*measured[name], *computed)]
        rows_of_table.append([name, *times, str(best)])
    titles = ["ms for each pass", "one process", "1 worker", "2 workers"]
    titles += [f"computed: {n}" for n in WORKERS]
    print(as_markdown([*titles, "fastest with"], rows_of_table))


def accuracy(rows: int) -> None:
    """Train by summed gradients and by local steps, and print the accuracy on test data."""
    split = load_mnist(fetch=False).astype("float32")
    X, y = split.X_train[:rows], split.y_train[:rows]
    lines = []

    def line(name: str, fit) -> None:
        found = [name]
        for seed in range(3):
            net = MLPClassifier((128,), max_iter=10, n_iter_no_change=10, random_state=seed)
            found.append(f"{fit(net).score(split.X_test, split.y_test):.4f}")
        lines.append(found)

    line("one machine", lambda net: net.fit(X, y))
    for n, lengths in ((2, (1, 16, 60)), (8, (16, 60))):
        with WithWorkers(n, processes=False):  # no times are measured
            for every in lengths:
                data = partitioned(X, y, n)
                line(
                    f"{n} workers, sync_every={every}",
                    lambda net, data=data, every=every: DaskMLPClassifier(
                        net, sync_every=every
                    ).fit(*data),
                )
    print(as_markdown(["accuracy on the 10,000 test images", "seed 0", "seed 1", "seed 2"], lines))


def search() -> None:
    """Time 24 small fits, one after the other, on threads and on Dask."""
    X, y = load_digits(return_X_y=True)
    net = MLPClassifier((50,), max_iter=10, n_iter_no_change=10, random_state=0)
    grid = {"alpha": np.logspace(-5, 0, 8)}

    def seconds(repeats=3, **backend):
        times = []
        for _ in range(repeats):
            start = perf_counter()
            with joblib.parallel_config(**backend):
                GridSearchCV(net, grid, cv=3, refit=False).fit(X / 16, y)
            times.append(perf_counter() - start)
        return times[0], min(times[1:])

    lines = [("one after the other", seconds(backend="threading", n_jobs=1))]
    lines.append(("two threads", seconds(backend="threading", n_jobs=2)))
    with WithWorkers(2):
        lines.append(("two Dask workers", seconds(backend="dask")))
    table = [[name, f"{first:.2f} s", f"{warm:.2f} s"] for name, (first, warm) in lines]
    print(as_markdown(["24 fits", "first time", "again"], table))


def main() -> None:
    """Print what is asked for, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["scaling", "accuracy", "search"])
    parser.add_argument("--rows", type=int, default=12000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(machine())
    print(f"load of the machine: {os.getloadavg()[0]:.1f}\n")
    if "scaling" in arguments.what:
        scaling(arguments.rows)
    if "accuracy" in arguments.what:
        accuracy(arguments.rows)
    if "search" in arguments.what:
        search()


if __name__ == "__main__":
    main()
