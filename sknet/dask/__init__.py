"""Networks that are trained on more rows than one machine holds, with Dask.

The rows stay on the workers of a Dask cluster, and only parameters and gradients travel. It needs
the extra ``dask``: ``python -m pip install 'sknet-mlp[dask]'``.
"""

from sknet.dask.estimators import DaskMLPClassifier, DaskMLPRegressor

__all__ = ["DaskMLPClassifier", "DaskMLPRegressor"]
