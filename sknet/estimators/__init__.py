"""The estimators: scikit-learn's interface to networks and their training."""

from sknet.estimators.classifier import MLPClassifier
from sknet.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
