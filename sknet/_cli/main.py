"""The command line: ``python -m sknet digits | versions | warmup``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sknet import __version__

DTYPES = ("float64", "float32")
PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "llvmlite", "joblib", "matplotlib", "rich")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments; None: those of the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sknet",
        description="scikit-learn's multilayer perceptron, several times faster.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    text = "Search a grid of networks that read handwritten digits, by scikit-learn and by sknet."
    digits = commands.add_parser("digits", help=text, description=text)
    _add_digits_options(digits)
    digits.set_defaults(run=_digits)

    text = "Print the versions of what is installed, the CPU, and where kernels are cached."
    versions = commands.add_parser("versions", help=text, description=text)
    versions.set_defaults(run=_versions)

    text = "Compile all kernels into Numba's cache, so that no first fit has to wait for them."
    warmup = commands.add_parser("warmup", help=text, description=text)
    warmup.add_argument(
        "--dtype", nargs="+", choices=DTYPES, default=DTYPES, help="of the data (both)"
    )
    warmup.set_defaults(run=_warmup)

    arguments = vars(parser.parse_args(argv))
    arguments.pop("run")(**arguments)


def _add_digits_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hidden",
        nargs="+",
        type=_checked(
            lambda text: tuple(map(int, text.split(","))),
            "integers >= 1 joined by commas, such as 100 or 100,50",
            lambda sizes: min(sizes) >= 1,
        ),
        metavar="SIZES",
        default=[(50,), (100,), (200,), (100, 50)],
        help="hidden layers of each candidate (50 100 200 100,50)",
    )
    parser.add_argument(
        "--learning-rates",
        nargs="+",
        # Adam's steps are no longer than its rate: up to 1 no candidate overflows, which would
        # end the search.
        type=_checked(float, "a number > 0 and <= 1", lambda rate: 0 < rate <= 1),
        metavar="RATE",
        default=[0.0003, 0.001, 0.003, 0.01],
        help="first learning rates of Adam (0.0003 0.001 0.003 0.01)",
    )
    parser.add_argument(
        "--folds",
        type=_checked(int, "an integer from 2 to 100", lambda n: 2 <= n <= 100),
        default=5,
        help="of the cross-validation (5)",
    )
    parser.add_argument(
        "--max-iter",
        type=_checked(int, "an integer >= 1", lambda n: n >= 1),
        default=200,
        help="most epochs of a fit (200)",
    )
    parser.add_argument(
        "--seed",
        type=_checked(int, "an integer from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32),
        default=0,
        help="of the hold-out, the folds and the networks (0)",
    )
    parser.add_argument(
        "--n-jobs",
        type=_checked(int, "an integer other than 0", bool),
        default=1,
        help="processes; -1: one for each core (1)",
    )
    parser.add_argument("--dtype", choices=DTYPES, default="float64", help="of the data (float64)")
    parser.add_argument(
        "--output",
        type=_output,
        metavar="FILE",
        default="sknet-digits.png",
        help="figure to save; '' for none (sknet-digits.png)",
    )


def _checked(
    convert: Callable[[str], Any], allowed: str, is_allowed: Callable[[Any], bool]
) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            pass
        else:
            if is_allowed(value):
                return value
        raise argparse.ArgumentTypeError(f"{text!r}: expected {allowed}")

    return parse


def _output(text: str) -> Path | None:
    from sknet._cli.digits import check_output

    if not text:
        return None
    try:
        check_output(Path(text))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: {error.strerror}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    return Path(text)


def _digits(**settings: Any) -> None:
    from sknet._cli.digits import Settings, run

    print(", ".join(f"{name} {number}" for name, number in _installed()))
    run(Settings(**settings))


def _versions() -> None:
    from joblib import cpu_count

    folder = _cache_folder()
    if folder is None:
        cache = "in no folder, so compiled anew in every process"
    else:
        cache = f"in {folder} ({'writable' if os.access(folder, os.W_OK) else 'not writable'})"
    rows = (*_installed(), ("CPU", f"{_cpu()}, {cpu_count()} cores"), ("kernels cached", cache))
    for name, value in rows:
        print(f"{name:16}{value}")


def _installed() -> Iterator[tuple[str, str]]:
    yield "sknet", __version__
    yield "Python", platform.python_version()
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:  # the optional ones
            continue


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cache_folder() -> Path | None:
    from sknet._training.epoch import epoch

    stats = getattr(epoch, "stats", None)  # with NUMBA_DISABLE_JIT a plain function
    return Path(stats.cache_path) if stats and stats.cache_path else None


def _warmup(dtype: Sequence[str]) -> None:
    folder = _cache_folder()
    if folder is None:
        sys.exit(
            "Numba has no folder to keep kernels in: set NUMBA_CACHE_DIR to a writable one, and "
            "leave NUMBA_DISABLE_JIT unset."
        )
    start = time.time()
    for name in dtype:
        _compile_parts(name)
        _fit_each_way(name)
    files = list(folder.glob("*.nb?"))
    n_new = sum(file.stat().st_mtime >= start for file in files)
    print(f"{n_new} new files among {len(files)} in {folder}")


def _compile_parts(dtype: str) -> None:
    import numpy as np

    from sknet._engine.compilation import address
    from sknet.activations import Activation
    from sknet.losses import Loss

    for kind, roles in ((Activation, ("forward", "backward")), (Loss, ("loss", "link"))):
        for part in kind.table.values():
            with _timed(f"{dtype} {kind.__name__.lower()} {part.name}"):
                for role in roles:
                    address(getattr(part, role), role, np.dtype(dtype))


def _fit_each_way(dtype: str) -> None:
    import warnings

    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.exceptions import ConvergenceWarning

    from sknet import MLPClassifier
    from sknet.optimizers import Optimizer

    X, y = np.eye(4, dtype=dtype), [0, 0, 1, 1]
    everything = {
        "l1_ratio": 0.5, "dropout": 0.5, "gradient_clip_norm": 1.0, "ema_decay": 0.5,
    }  # fmt: skip
    for data in (X, csr_matrix(X)):
        kind = "dense" if data is X else "sparse"
        for solver in (*Optimizer.table, "lbfgs"):
            with _timed(f"{dtype} {kind} fit by {solver}"), warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                network = MLPClassifier((2,), solver=solver, max_iter=1)
                network.fit(data, y, X_val=data, y_val=y).predict(data)
        with _timed(f"{dtype} {kind} fit with every penalty"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            noise = 0.1 if data is X else 0.0
            network = MLPClassifier((2,), solver="adamw", max_iter=1, **everything)
            network.set_params(input_noise=noise, activation="gelu").fit(data, y)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    print(f"{time.perf_counter() - start:6.2f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
