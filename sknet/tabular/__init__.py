"""Estimators for tables of numbers and categories that need no tuning."""

from sknet.tabular.classifier import TabularMLPClassifier
from sknet.tabular.regressor import TabularMLPRegressor

__all__ = ["TabularMLPClassifier", "TabularMLPRegressor"]
