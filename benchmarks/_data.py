"""The data of the benchmarks: handwritten digits, large and small."""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sknet._cli.images import MissingDataError, Split, load_mnist

__all__ = ["MissingDataError", "Split", "load_mnist", "load_small_digits"]


def load_small_digits(form: str, seed: int) -> Split:
    """Return scikit-learn's 1797 digits of 8 x 8 pixels, a quarter of them for testing.

    Parameters
    ----------
    form : {'binarised', 'standardised', 'plain'}
        Ink or none, from half of the full ink on; or each pixel with mean 0
        and variance 1 over the training data; or ink from 0 to 1.
    seed : int
        Of the split.
    """
    X, y = load_digits(return_X_y=True)
    X = X / X.max()
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=seed
    )
    if form == "binarised":
        X_train, X_test = ((part >= 0.5).astype(float) for part in (X_train, X_test))
    elif form == "standardised":
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    return Split(X_train, X_test, y_train, y_test)
