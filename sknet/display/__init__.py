"""Plots of fitted networks and of searches over their parameters.

The displays follow scikit-learn's convention: ``from_estimator`` draws, ``plot``
draws again, and what was drawn is in attributes that end in an underscore. They
need matplotlib, which ``sknet-mlp[plot]`` installs.
"""

from sknet.display.loss_curve import LossCurveDisplay
from sknet.display.network import NetworkDisplay
from sknet.display.saliency import SaliencyDisplay
from sknet.display.search import SearchDisplay
from sknet.display.weights import WeightsDisplay

__all__ = [
    "LossCurveDisplay",
    "NetworkDisplay",
    "SaliencyDisplay",
    "SearchDisplay",
    "WeightsDisplay",
]
