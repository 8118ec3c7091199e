"""Whether training keeps its speed as it converges, when derivatives and moments become tiny.

Numbers below the smallest normal one (denormals) take some processors a hundred
times as long. Kernels count them as zero, so late epochs should take as long as
early ones. The first table times Adam's update alone, with moments of different
sizes. The last column of the second compares epochs of one run, in which the amount
of work never changes.

Usage::

    python benchmarks/convergence.py
    python benchmarks/convergence.py --epochs 300 --window 20
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
from _data import load_small_digits
from _timing import Table, machine, one_thread

from sknet import MLPClassifier
from sknet._engine.program import Program, run_program
from sknet.optimizers import Optimizer


class Net(NamedTuple):
    """Hidden layers, and rows of a minibatch."""

    hidden: tuple[int, ...]
    batch: int


NETS = [Net((100,), 200), Net((128, 64), 32), Net((512,), 128)]


# Weights of 784-128-10, and sizes of moments: normal numbers, such whose squares are denormal in
# float32, and denormal ones.
N_PARAMETERS = 101_770
SIZES = {"float32": (1e-3, 1e-21, 1e-39), "float64": (1e-3, 1e-156, 1e-310)}


def microseconds_of_an_update(dtype: str, size: float) -> float:
    """Return the least time of an update by Adam whose gradients and moments have one size."""
    params, grad = np.zeros(N_PARAMETERS, dtype), np.full(N_PARAMETERS, size, dtype)
    slots = np.empty((2, N_PARAMETERS), dtype)
    hyperparameters = {"learning_rate_init": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
    adam = Optimizer.table["adam"].start(hyperparameters, params)
    constants = adam.constants(np.full(1, 1e-3))[0].astype(dtype)
    program = Program(params.dtype)
    program.add(adam.step, params, grad, slots, constants)
    table = program.finish()
    times = []
    for _ in range(50):
        slots[:] = size
        start = perf_counter()
        run_program(table.instructions, 1, params)
        times.append(perf_counter() - start)
    return 1e6 * min(times)


def main() -> None:
    """Print the milliseconds of an epoch at the beginning and at the end of training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=100, help="of each run (default 100)")
    parser.add_argument("--window", type=int, default=10, help="first and last epochs to compare")
    options = parser.parse_args()
    print(f"{machine()}; one thread\n")
    table = Table({"Adam, parameters": 16, "dtype": 7, "size of moments": 8, "update (us)": 6})
    for dtype, sizes in SIZES.items():
        for size in sizes:
            update = f"{microseconds_of_an_update(dtype, size):.1f}"
            table.add([f"{N_PARAMETERS}", dtype, f"{size:g}", update])
    print()
    split = load_small_digits("plain", 0)
    table = Table(
        {"net on digits": 14, "batch": 5, "dtype": 7, "loss at the end": 5, "first (ms)": 7,
         "last (ms)": 7, "speed of last / first": 5}
    )  # fmt: skip
    with one_thread():
        for net in NETS:
            for dtype in ("float32", "float64"):
                X = split.X_train.astype(dtype)
                model = MLPClassifier(net.hidden, batch_size=net.batch, random_state=0)
                model.partial_fit(X, split.y_train, classes=np.arange(10))  # compiles
                times = []
                for _ in range(options.epochs):
                    start = perf_counter()
                    model.partial_fit(X, split.y_train)
                    times.append(1000 * (perf_counter() - start))
                first, last = median(times[: options.window]), median(times[-options.window :])
                table.add([
                    "-".join(map(str, (64, *net.hidden, 10))), str(net.batch), dtype,
                    f"{model.loss_:.2g}", f"{first:.3f}", f"{last:.3f}", f"{first / last:.2f}",
                ])  # fmt: skip


if __name__ == "__main__":
    main()
