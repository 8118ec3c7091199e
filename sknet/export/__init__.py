"""Fitted networks outside of sknet: in ONNX, the open format that many programs run.

The functions for ONNX need the packages of the extra ``sknet-mlp[onnx]``. Importing this module
does not.
"""

from sknet.export.formulas import onnx_formula
from sknet.export.onnx import to_onnx
from sknet.export.skl2onnx import register_skl2onnx

__all__ = ["onnx_formula", "register_skl2onnx", "to_onnx"]
