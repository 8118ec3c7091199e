"""Losses, each fused with its link. A new one is one class in one of the files here."""

from sknet.losses.base import Loss
from sknet.losses.classification import (
    BinaryBrier,
    BinaryFocal,
    BinaryHinge,
    BinaryLogLoss,
    Brier,
    Focal,
    Hinge,
    LogLoss,
)
from sknet.losses.regression import (
    AbsoluteError,
    Gamma,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SquaredError,
)

__all__ = [
    "AbsoluteError",
    "BinaryBrier",
    "BinaryFocal",
    "BinaryHinge",
    "BinaryLogLoss",
    "Brier",
    "Focal",
    "Gamma",
    "Hinge",
    "Huber",
    "LogCosh",
    "LogLoss",
    "Loss",
    "Poisson",
    "Quantile",
    "SquaredError",
]
