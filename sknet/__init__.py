"""Multilayer perceptrons for scikit-learn users, trained fast on a CPU.

`MLPClassifier` and `MLPRegressor` take scikit-learn's own parameters and give
the same model for the same seed, several times faster.
"""

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

__version__ = "0.1.0.dev0"
__all__ = [
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
    "input_gradients",
]
