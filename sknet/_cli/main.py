"""The commands of ``python -m sknet`` and their options."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from sknet import __version__
from sknet._cli.arguments import checked, hidden_sizes, output_file

DTYPES = ("float64", "float32")
POSITIVE = checked(int, "an integer >= 1", lambda n: n >= 1)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command, or print the help if none is given.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments. None takes them from the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sknet",
        description="scikit-learn's multilayer perceptron, several times faster.",
    )
    parser.add_argument("--version", action="version", version=f"sknet {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")

    text = "Compare scikit-learn and sknet in a grid search for a classifier of handwritten digits."
    digits = commands.add_parser("digits", help=text, description=text)
    _add_digits_options(digits)
    digits.set_defaults(run=_digits)

    text = "Serve a page on this computer, on which a network reads the digits that you draw."
    draw = commands.add_parser("draw", help=text, description=text)
    _add_draw_options(draw)
    draw.set_defaults(run=_draw)

    text = (
        "Train the networks of tutorials on the handwritten digits of MNIST: 784-128-10 with relu "
        "and Adam, and 784-32-10 with sigmoid and plain gradient descent."
    )
    mnist = commands.add_parser("mnist", help=text, description=text)
    _add_mnist_options(mnist)
    mnist.set_defaults(run=_mnist)

    text = "Print the versions of the installed packages, the CPU, and where kernels are cached."
    versions = commands.add_parser("versions", help=text, description=text)
    versions.set_defaults(run=_versions)

    text = "Compile all kernels into Numba's cache, so that no first fit has to wait for them."
    warmup = commands.add_parser("warmup", help=text, description=text)
    warmup.add_argument(
        "--dtype",
        nargs="+",
        choices=DTYPES,
        default=DTYPES,
        help="dtypes of the data to compile for (default: both)",
    )
    warmup.set_defaults(run=_warmup)

    arguments = vars(parser.parse_args(argv))
    if "run" not in arguments:
        parser.print_help(sys.stderr)
        sys.exit(2)  # as argparse ends a command that lacks an argument
    arguments.pop("run")(**arguments)


def _add_digits_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hidden",
        nargs="+",
        type=hidden_sizes,
        metavar="SIZES",
        default=[(50,), (100,), (200,), (100, 50)],
        help="sizes of the hidden layers of each candidate (default: 50 100 200 100-50)",
    )
    parser.add_argument(
        "--learning-rates",
        nargs="+",
        # The length of Adam's steps is at most about the learning rate. Up to a rate of 1 no
        # candidate overflows; an overflow would end the search.
        type=checked(float, "a number > 0 and <= 1", lambda rate: 0 < rate <= 1),
        metavar="RATE",
        default=[0.0003, 0.001, 0.003, 0.01],
        help="initial learning rates of Adam (default: 0.0003 0.001 0.003 0.01)",
    )
    parser.add_argument(
        "--folds",
        type=checked(int, "an integer from 2 to 100", lambda n: 2 <= n <= 100),
        default=5,
        help="number of folds of the cross-validation (default: 5)",
    )
    parser.add_argument(
        "--max-iter",
        type=POSITIVE,
        default=200,
        help="maximum number of epochs of each fit (default: 200)",
    )
    _add_common_options(
        parser,
        seed="seed of the train-test split, the folds and the networks",
        n_jobs="number of processes; -1 starts one for each core",
        dtype="float64",
        output="sknet-digits.png",
    )


def _add_mnist_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="the file mnist.npz, or the folder that contains it (default: the environment "
        "variable SKNET_DATA; without it MNIST is downloaded from OpenML)",
    )
    parser.add_argument(
        "--hidden",
        nargs="+",
        type=hidden_sizes,
        metavar="SIZES",
        help="sizes of the hidden layers of other networks, which are trained as 784-128-10 is",
    )
    parser.add_argument(
        "--epochs",
        type=POSITIVE,
        default=10,
        help="number of passes over the training images (default: 10)",
    )
    parser.add_argument(
        "--rows",
        type=POSITIVE,
        help="train on the first ROWS images only (default: all)",
    )
    _add_common_options(
        parser,
        seed="seed of the initial weights and the shuffling",
        n_jobs="maximum number of threads of a fit; -1 allows one for each core",
        dtype="float32",
        output="sknet-mnist.png",
    )


def _add_common_options(
    parser: argparse.ArgumentParser, *, seed: str, n_jobs: str, dtype: str, output: str
) -> None:
    """Add options that all trainings have. `seed` and `n_jobs` say what they are for."""
    parser.add_argument(
        "--seed",
        type=checked(int, "an integer from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32),
        default=0,
        help=f"{seed} (default: 0)",
    )
    parser.add_argument(
        "--n-jobs",
        type=checked(int, "an integer other than 0", bool),
        default=1,
        help=f"{n_jobs} (default: 1)",
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default=dtype, help=f"dtype of the data (default: {dtype})"
    )
    parser.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        default=output,
        help=f"file to save the figure to; '' saves no figure (default: {output})",
    )


def _add_draw_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=checked(int, "an integer from 0 to 65535", lambda n: 0 <= n < 2**16),
        help="port of the page; 0 takes any free one (default: 8000, or a free one if it is taken)",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="train on MNIST: the file mnist.npz with the arrays x_train, y_train, x_test and "
        "y_test, or its folder (default: train on scikit-learn's digits)",
    )
    parser.add_argument(
        "--seed",
        type=checked(int, "an integer from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32),
        default=0,
        help="seed of the training (default: 0)",
    )
    parser.add_argument(
        "--open", action="store_true", dest="open_page", help="open the page in the browser"
    )


# Each command imports its module when it runs, so that --help does not wait for all of them.


def _digits(**settings: Any) -> None:
    from sknet._cli.digits import Settings, run
    from sknet._cli.versions import installed_versions

    versions = ", ".join(f"{name} {number}" for name, number in installed_versions())
    print(textwrap.fill(versions, width=80, break_on_hyphens=False))
    run(Settings(**settings))


def _mnist(**settings: Any) -> None:
    from sknet._cli.mnist import Settings, run

    run(Settings(**settings))


def _draw(**settings: Any) -> None:
    from sknet._cli.draw.command import run

    run(**settings)


def _versions() -> None:
    from sknet._cli.versions import run

    run()


def _warmup(dtype: Sequence[str]) -> None:
    from sknet._cli.warmup import run

    run(dtype)
