"""The types that skops must be told to trust before it loads models of sknet."""

from __future__ import annotations

from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.hidden_sizes import HiddenLayerSizes
from sknet.inspection import HiddenLayers
from sknet.metrics import d2_pinball_score, mean_pinball_loss
from sknet.tabular import TabularMLPClassifier, TabularMLPRegressor
from sknet.tabular.columns import Columns
from sknet.tabular.configurations import Configuration
from sknet.tabular.encoding import (
    Encoder,
    _Categories,
    _Numbers,
    _Piecewise,
    _Quantile,
    _Robust,
    _SparseNumbers,
)
from sknet.tabular.members import Member, Standardization
from sknet.tabular.networks import InitialWeights, MemberClassifier
from sknet.tabular.table import MemberTable

#: Names of types and functions for ``skops.io.load(file, trusted=sknet.export.TRUSTED_TYPES)`` and
#: for ``mlflow.sklearn.save_model(..., skops_trusted_types=sknet.export.TRUSTED_TYPES)``. Building
#: objects of these types runs no code of the file. The last one is what
#: ``sklearn.metrics.make_scorer`` returns, and calls only functions that are trusted themselves.
TRUSTED_TYPES: list[str] = [
    *(
        f"{thing.__module__}.{thing.__qualname__}"
        for thing in (
            MLPClassifier,
            MLPRegressor,
            HiddenLayers,
            HiddenLayerSizes,
            mean_pinball_loss,
            d2_pinball_score,
            # Ensembles for tables, and what they are made of.
            TabularMLPClassifier,
            TabularMLPRegressor,
            Columns,
            Configuration,
            Encoder,
            InitialWeights,
            Member,
            MemberClassifier,
            MemberTable,
            Standardization,
            _Categories,
            _Numbers,
            _Piecewise,
            _Quantile,
            _Robust,
            _SparseNumbers,
        )
    ),
    "sklearn.metrics._scorer._Scorer",
]
