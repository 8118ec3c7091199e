"""Small networks that many tests fit, of sknet or of scikit-learn."""

from __future__ import annotations

import sklearn.neural_network

import sknet

# What `library` may be, for tests that compare both.
BOTH = (None, sklearn.neural_network)

# A filter of warnings, for tests in which fits of all solvers stop early: by lbfgs they say so.
LBFGS_STOPS_EARLY = "ignore:.* solver='lbfgs' holds out:UserWarning"

# A few steps, for tests of what a fit takes and leaves.
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "batch_size": 20, "random_state": 0}

# Enough steps to learn scikit-learn's smallest data sets.
LEARNING = {
    "hidden_layer_sizes": (10,),
    "learning_rate_init": 0.01,
    "batch_size": 32,
    "max_iter": 30,
    "random_state": 0,
}


def classifier(library=None, **parameters):
    """Return a classifier that learns, of sknet unless another library is given."""
    return (library or sknet).MLPClassifier(**{**LEARNING, **parameters})


def regressor(library=None, **parameters):
    """Return a regressor that learns, of sknet unless another library is given."""
    return (library or sknet).MLPRegressor(**{**LEARNING, **parameters})
