"""The estimators: scikit-learn's interface to networks and their training."""

from sknet.estimators.base import BaseMLP, MLPClassifier, MLPRegressor

__all__ = ["BaseMLP", "MLPClassifier", "MLPRegressor"]
