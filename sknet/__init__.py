"""Multilayer perceptrons for scikit-learn users, trained fast on a CPU.

`MLPClassifier` and `MLPRegressor` take scikit-learn's own parameters and give
the same model for the same seed, several times faster.
"""

from typing import TYPE_CHECKING, Any

from sknet.attribution import Attributions, expected_gradients
from sknet.display import (
    LossCurveDisplay,
    NetworkDisplay,
    SaliencyDisplay,
    SearchDisplay,
    WeightsDisplay,
)
from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.hidden_sizes import HiddenLayerSizes
from sknet.inspection import HiddenLayers, input_gradients
from sknet.tabular import TabularMLPClassifier, TabularMLPRegressor

if TYPE_CHECKING:
    from sknet.export.checkpoints import Checkpoint
    from sknet.export.files import load, save

__version__ = "0.1.0.dev0"
__all__ = [
    "Attributions",
    "Checkpoint",
    "HiddenLayerSizes",
    "HiddenLayers",
    "LossCurveDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "NetworkDisplay",
    "SaliencyDisplay",
    "SearchDisplay",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "WeightsDisplay",
    "__version__",
    "expected_gradients",
    "input_gradients",
    "load",
    "save",
]


def __getattr__(name: str) -> Any:
    """Import files and checkpoints where they are first used: ``import sknet`` stays light."""
    if name in ("Checkpoint", "load", "save"):
        from sknet import export

        return getattr(export, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
