"""The digits with a fifth of the training labels drawn at random, and a network to fit to them."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
rng = np.random.RandomState(0)
spoiled = rng.uniform(size=len(y_train)) < 0.2
y_train[spoiled] = rng.randint(10, size=spoiled.sum())


def fit(X, y, X_val=None, y_val=None, **parameters):
    """Fit a network of 100 hidden units for 100 epochs, without a cure for overfitting."""
    common = {"max_iter": 100, "n_iter_no_change": np.inf, "alpha": 0, "random_state": 0}
    model = MLPClassifier(100, learning_rate_init=0.003, batch_size=32)
    return model.set_params(**{**common, **parameters}).fit(X, y, X_val=X_val, y_val=y_val)
