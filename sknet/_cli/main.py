"""The commands of ``python -m sknet`` and their options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from sknet._cli.arguments import checked, existing_path, output_file

DTYPES = ("float64", "float32")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments. None takes them from the command line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sknet",
        description="scikit-learn's multilayer perceptron, several times faster.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    text = "Compare scikit-learn and sknet in a grid search for a classifier of handwritten digits."
    digits = commands.add_parser("digits", help=text, description=text)
    _add_digits_options(digits)
    digits.set_defaults(run=_digits)

    text = "Serve a page on this computer, on which a network reads the digits that you draw."
    draw = commands.add_parser("draw", help=text, description=text)
    _add_draw_options(draw)
    draw.set_defaults(run=_draw)

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
    arguments.pop("run")(**arguments)


def _add_digits_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hidden",
        nargs="+",
        type=checked(
            lambda text: tuple(map(int, text.split(","))),
            "integers >= 1 joined by commas, such as 100 or 100,50",
            lambda sizes: min(sizes) >= 1,
        ),
        metavar="SIZES",
        default=[(50,), (100,), (200,), (100, 50)],
        help="sizes of the hidden layers of each candidate (default: 50 100 200 100,50)",
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
        type=checked(int, "an integer >= 1", lambda n: n >= 1),
        default=200,
        help="maximum number of epochs of each fit (default: 200)",
    )
    parser.add_argument(
        "--seed",
        type=checked(int, "an integer from 0 to 2**32 - 1", lambda n: 0 <= n < 2**32),
        default=0,
        help="seed of the train-test split, the folds and the networks (default: 0)",
    )
    parser.add_argument(
        "--n-jobs",
        type=checked(int, "an integer other than 0", bool),
        default=1,
        help="number of processes; -1 starts one for each core (default: 1)",
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float64", help="dtype of the data (default: float64)"
    )
    parser.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        default="sknet-digits.png",
        help="file to save the figure to; '' saves no figure (default: sknet-digits.png)",
    )


def _add_draw_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=checked(int, "an integer from 0 to 65535", lambda n: 0 <= n < 2**16),
        help="port of the page; 0 takes any free one (default: 8000, or a free one if it is taken)",
    )
    parser.add_argument(
        "--data",
        type=existing_path,
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

    print(", ".join(f"{name} {number}" for name, number in installed_versions()))
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
