"""Losses, each with the inverse link that turns raw scores into predictions.

The module `classification` has the losses for class labels. `regression` has those for numbers, and
`base` has what both share. To add a loss, define a named subclass of :class:`Loss` in
`classification` or in `regression`.
"""

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
