"""Fitted networks in other forms: estimators of scikit-learn, and files."""

from sknet.export.checkpoints import Checkpoint
from sknet.export.files import load, save
from sknet.export.scikit_learn import from_sklearn, to_sklearn
from sknet.export.trusted_types import TRUSTED_TYPES

__all__ = ["TRUSTED_TYPES", "Checkpoint", "from_sklearn", "load", "save", "to_sklearn"]
