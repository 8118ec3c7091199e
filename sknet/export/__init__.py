"""Fitted networks in other forms: estimators of scikit-learn, and files."""

from sknet.export.scikit_learn import from_sklearn, to_sklearn

__all__ = ["from_sklearn", "to_sklearn"]
