"""sknet's product of matrices beside OpenBLAS and oneMKL, one thread, in GFLOP/s for each shape.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/gemm.py
    python benchmarks/gemm.py --dtype float32 --only square --repeats 3

*tile* is `sknet._engine.gemm.product`, called by a program as in training; it adds a
bias. *OpenBLAS* is `numpy.dot` in a compiled loop, which calls SciPy's library without
any of Python's overhead. *oneMKL* is called from a compiled loop, too. It needs the
package `mkl`, which comes with the extra `bench`, and is left out without it. Intel
tunes it for Intel's processors: on AMD's it may choose other kernels, so its figures
there are not its best. *matmul* is NumPy's, called from Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import numba
import numpy as np
from _onemkl import load, repeat_onemkl, version
from _peak import peak
from _problems import PROBLEMS
from _timing import Table, loops_for, machine, one_thread, seconds, warn_of_environment

from sknet._engine.gemm import COPY_BYTES, NOTHING, product, scratch_size
from sknet._engine.program import Program, execute

SQUARES = (16, 32, 64, 128, 256, 512, 1024)
COLUMNS = {
    "dtype": 7, "product": 33, "m x k x n": 16, "tile": 5, "of peak": 4, "OpenBLAS": 5,
    "oneMKL": 5, "matmul": 5, "tile / OpenBLAS": 18, "tile / oneMKL": 18,
}  # fmt: skip


class Shape(NamedTuple):
    """(m, k) times (k, n); A may be the transpose of what lies in memory."""

    name: str
    m: int
    k: int
    n: int
    transposed: bool = False


def shapes() -> Iterator[Shape]:
    """Yield the products of the problems' layers, once each, then squares."""
    seen = set()
    for units, batch in ((p.units, p.batch) for p in PROBLEMS):
        net = f"{'-'.join(map(str, units))}"
        for layer, (a, b) in enumerate(pairwise(units)):
            candidates = [
                Shape(f"{net} forward", batch, a, b),
                Shape(f"{net} gradient", a, batch, b, transposed=True),
            ]
            if layer:
                candidates.append(Shape(f"{net} back", batch, b, a))
            for shape in candidates:
                if shape[1:] not in seen:
                    seen.add(shape[1:])
                    yield shape
    yield from (Shape("square", n, n, n) for n in SQUARES)


@numba.njit
def repeat_tile(n, program, like):
    """Carry out a program of one product."""
    for _ in range(n):
        execute(program, 0, 1, like)


@numba.njit
def repeat_dot(n, A, B, out):
    """Call BLAS through Numba."""
    for _ in range(n):
        np.dot(A, B, out)


def repeat_matmul(n: int, A: np.ndarray, B: np.ndarray, out: np.ndarray) -> None:
    """Call NumPy."""
    for _ in range(n):
        np.matmul(A, B, out=out)


def measure(
    shape: Shape, dtype: str, repeats: int, onemkl: Callable[..., Any] | None
) -> list[list[float]]:
    """Return GFLOP/s of all, one of each in turn; oneMKL last, if it is there."""
    random = np.random.default_rng(0)
    A = random.normal(size=(shape.k, shape.m) if shape.transposed else (shape.m, shape.k))
    A = A.astype(dtype).T if shape.transposed else A.astype(dtype)
    B = random.normal(size=(shape.k, shape.n)).astype(dtype)
    bias, out = np.zeros(shape.n, dtype), np.empty((shape.m, shape.n), dtype)
    scratch = np.empty(scratch_size(shape.m, out.itemsize) + COPY_BYTES // out.itemsize, dtype)
    program = Program(out.dtype)
    program.add(product, A, B, bias, NOTHING, scratch, out)
    functions: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (repeat_tile, (program.finish().instructions, out[0])),
        (repeat_dot, (A, B, out)),
        (repeat_matmul, (A, B, out)),
    ]
    if onemkl:
        functions.append((onemkl, (A, B, out)))
    loops, results = [], []
    for function, arguments in functions:
        out[:] = 0
        function(1, *arguments)  # compiles
        results.append(out.copy())
        loops.append(loops_for(seconds(lambda f=function, a=arguments: f(10, *a))[0] / 10))
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    for result in results[1:]:
        np.testing.assert_allclose(results[0], result, rtol=tolerance, atol=tolerance * shape.k)
    flops = 2e-9 * shape.m * shape.k * shape.n
    rates: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for rate, n, (function, arguments) in zip(rates, loops, functions, strict=True):
            taken, _ = seconds(lambda f=function, n=n, a=arguments: f(n, *a))
            rate.append(flops * n / taken)
    return rates


def quotient(ours: list[float], theirs: list[float]) -> str:
    """Return the median of the ratios, and the least and the greatest."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"]
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help="products with such a word")
    parser.add_argument("--repeats", type=int, default=7, help="of each in turn (default 7)")
    options = parser.parse_args()
    warn_of_environment()
    library = load()
    print(machine())
    print(version(library) if library else "oneMKL is left out: the package mkl is not installed")
    print(f"one thread; medians of {options.repeats}, in GFLOP/s\n")
    words = options.only or [""]
    chosen = [shape for shape in shapes() if any(word in shape.name for word in words)]
    with one_thread():
        table = Table(COLUMNS)
        for dtype in options.dtype:
            onemkl = repeat_onemkl(library, dtype) if library else None
            most = peak(dtype)
            for shape in chosen:
                tile, *others = measure(shape, dtype, options.repeats, onemkl)
                openblas, matmul, *mkl = [f"{median(rates):.1f}" for rates in others]
                ratios = [quotient(tile, rates) for rates in (others[0], *others[2:])]
                table.add(
                    [
                        dtype,
                        shape.name,
                        f"{shape.m} x {shape.k} x {shape.n}",
                        f"{median(tile):.1f}",
                        f"{median(tile) / most:.0%}",
                        openblas,
                        *(mkl or [""]),
                        matmul,
                        ratios[0],
                        *(ratios[1:] or [""]),
                    ]
                )
            print(f"{dtype}: peak {most:.0f} GFLOP/s", flush=True)


if __name__ == "__main__":
    main()
