"""The nets of the tutorials on handwritten digits: sknet beside scikit-learn, same seed.

Usage::

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/handwritten.py
    python benchmarks/handwritten.py --data FOLDER        # with mnist.npz in it
    python benchmarks/handwritten.py --rows 5000 --dtype float64 --repeats 1

MNIST comes from ``--data``, else from the folder that the environment variable
SKNET_DATA names, else from OpenML; without it only the small digits run.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any, NamedTuple

from _data import MissingDataError, Split, load_mnist, load_small_digits
from _timing import Table, largest_difference, one_thread, print_header, seconds, time_pairs
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier as Reference

from sknet import MLPClassifier


class Net(NamedTuple):
    """A net of a tutorial: relu, Adam at 1e-3, on one of the data sets."""

    data: str
    hidden: tuple[int, ...]
    batch: int
    epochs: int


NETS = [
    Net("MNIST", (128,), 128, 10),
    Net("MNIST", (32,), 32, 5),
    Net("MNIST", (32,), 32, 10),
    Net("MNIST", (128,), 32, 5),
    Net("digits, binarised", (128, 64), 32, 10),
    Net("digits, standardised", (128, 64), 32, 10),
]

COLUMNS = {
    "net": 22, "data": 20, "dtype": 7, "epochs": 2, "accuracy": 6, "sknet's": 6,
    "loss differs": 6, "scikit-learn (s)": 6, "sknet (s)": 6, "ratio": 18,
}  # fmt: skip
LEGEND = """
accuracy: share of right answers on the test data, of scikit-learn's model and of sknet's.
loss differs: largest relative difference between the loss curves. In float32 rounding grows
during training with some seeds and not with others, so there it says nothing beyond this seed.
ratio: how many times faster sknet is, median over the pairs [min-max].
"""


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", metavar="PATH", help="mnist.npz, or the folder it is in")
    parser.add_argument("--require-mnist", action="store_true", help="fail if MNIST is not found")
    parser.add_argument("--rows", type=int, help="train on the first so many rows of MNIST only")
    parser.add_argument(
        "--dtype", nargs="+", choices=["float64", "float32"], default=["float64", "float32"]
    )
    parser.add_argument("--repeats", type=int, default=3, help="pairs of fits (default 3)")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and shuffling")
    return parser.parse_args()


def load(options: argparse.Namespace) -> dict[str, Split]:
    """Return the data sets by name, MNIST left out if it is nowhere to be found."""
    sets = {
        f"digits, {form}": load_small_digits(form, options.seed)
        for form in ("binarised", "standardised")
    }
    try:
        mnist = load_mnist(options.data)
    except MissingDataError as error:
        if options.require_mnist:
            sys.exit(f"error: {error}")
        print(f"{error}\nOnly the small digits of scikit-learn follow.\n")
    else:
        X, y = mnist.X_train[: options.rows], mnist.y_train[: options.rows]
        sets["MNIST"] = mnist._replace(X_train=X, y_train=y)
    return sets


def parameters(net: Net, seed: int) -> dict[str, Any]:
    """Return what both classifiers take; early stops are off, every epoch runs."""
    return {
        "hidden_layer_sizes": net.hidden,
        "batch_size": net.batch,
        "max_iter": net.epochs,
        "n_iter_no_change": net.epochs,
        "learning_rate_init": 1e-3,
        "random_state": seed,
    }


def warm_up(data: Split, net: Net) -> float:
    """Run both for a moment, and return the seconds that sknet's kernels took to come up."""
    X, y = data.X_train[:200], data.y_train[:200]
    short = parameters(net._replace(epochs=1, batch=32), 0)
    for model in (Reference, MLPClassifier):
        first, fitted = seconds(lambda model=model: model(**short).fit(X, y))
        again, _ = seconds(lambda model=model: model(**short).fit(X, y))
        fitted.score(X, y)
    return first - again


def row(net: Net, data: Split, dtype: str, options: argparse.Namespace) -> list[str]:
    """Train one net on both sides and return its line of the table."""
    arguments = parameters(net, options.seed)
    pairs = time_pairs(
        lambda: Reference(**arguments).fit(data.X_train, data.y_train),
        lambda: MLPClassifier(**arguments).fit(data.X_train, data.y_train),
        options.repeats,
    )
    curves = [model.loss_curve_ for model in pairs.results]
    units = (data.X_train.shape[1], *net.hidden, pairs.results[0].n_outputs_)
    return [
        f"{'-'.join(map(str, units))}, batch {net.batch}",
        net.data,
        dtype,
        str(net.epochs),
        *(f"{model.score(data.X_test, data.y_test):.4f}" for model in pairs.results),
        f"{largest_difference(*curves):.0e}",
        *(f"{median:.3f}" for median in pairs.medians()),
        pairs.ratio(),
    ]


def main() -> None:
    """Print the table."""
    options = parse()
    warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are given
    sets = load(options)
    with one_thread():
        print_header(options.repeats)
        for dtype in options.dtype:
            up = warm_up(sets["digits, binarised"].astype(dtype), NETS[0])
            print(f"kernels for {dtype} compiled, or read from Numba's cache, in {up:.2f} s")
        print(LEGEND)
        table = Table(COLUMNS)
        for dtype in options.dtype:
            for name, data in sets.items():
                converted = data.astype(dtype)
                for net in (net for net in NETS if net.data == name):
                    table.add(row(net, converted, dtype, options))


if __name__ == "__main__":
    main()
