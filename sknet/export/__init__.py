"""Fitted networks in other forms: ONNX, estimators of scikit-learn, and files.

The functions for ONNX need the packages of the extra ``sknet-mlp[onnx]``. Importing this module
does not.
"""

from sknet.export.checkpoints import Checkpoint
from sknet.export.files import load, save
from sknet.export.formulas import onnx_formula
from sknet.export.onnx import to_onnx
from sknet.export.scikit_learn import from_sklearn, to_sklearn
from sknet.export.skl2onnx import register_skl2onnx
from sknet.export.trusted_types import TRUSTED_TYPES

__all__ = [
    "TRUSTED_TYPES",
    "Checkpoint",
    "from_sklearn",
    "load",
    "onnx_formula",
    "register_skl2onnx",
    "save",
    "to_onnx",
    "to_sklearn",
]
