"""`DaskMLPClassifier` and `DaskMLPRegressor`, which fit networks to collections of Dask."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sknet.dask.partitions import is_collection, partitions_of, require_dask
from sknet.dask.prediction import predict_blocks, score_blocks
from sknet.dask.shards import Shards
from sknet.dask.training import fit_on_shards
from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.estimators.base import BaseMLP
from sknet.estimators.data import GivenData
from sknet.estimators.decorators import available_if, fit_context


def _has(method: str) -> Any:
    """Return a check that the network has a method."""

    def check(model: _DaskMLP) -> bool:
        getattr(model.estimator_ if hasattr(model, "estimator_") else model._network(), method)
        return True

    return check


class _DaskMLP:
    """What both estimators share. Its `score` goes before that of scikit-learn's mixins."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [BaseMLP, None],
        "sync_every": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "timeout": [Interval(Real, 0, None, closed="neither")],
    }
    _kind: ClassVar[type[BaseMLP]]

    estimator_: Any

    def __init__(
        self,
        estimator: Any = None,
        *,
        sync_every: int | Literal["auto"] = "auto",
        timeout: float = 300.0,
    ) -> None:
        self.estimator = estimator
        self.sync_every = sync_every
        self.timeout = timeout

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network to Dask collections, on the cluster of the current client.

        Each partition is loaded into the memory of the worker that computes it, and
        stays there until the fit ends. If a worker is lost, its partitions are computed
        again elsewhere, and the fit goes on.

        Parameters
        ----------
        X : dask array or data frame of shape (n_samples, n_features)
            Training data, divided by rows.
        y : dask array, data frame or series of shape (n_samples,) or (n_samples, n_outputs)
            Targets, with the partitions of X.
        sample_weight : dask array or series of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None means that each is 1.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation data in the memory of this process, which are scored after each
            epoch, as in :meth:`sknet.MLPClassifier.fit`. ``early_stopping`` needs them.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ImportError
            If Dask is not installed.
        TypeError
            If X, y or the weights are no Dask collections.
        ValueError
            If there is no client, or if a parameter or an input is outside its domain.
        TimeoutError
            If a worker does not answer within ``timeout`` seconds, or if there are no
            workers for so long.
        RuntimeError
            If workers are lost again and again, or if a partition has other rows when it
            is computed again.

        Warns
        -----
        UserWarning
            If a worker was lost, and as in :meth:`sknet.MLPClassifier.fit`.
        """
        require_dask()
        from distributed import default_client

        try:
            client = default_client()
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__}.fit needs the client of a Dask cluster. Make one first, "
                "for example by `client = dask.distributed.Client()`, which starts workers on "
                "this machine."
            ) from error
        model = self._network()
        model._validate_params()
        model._validated = model._parameters()
        partitions = partitions_of(X, y, sample_weight)
        validation = GivenData(X_val, y_val, sample_weight_val)
        with Shards(client, self._kind, partitions, self.timeout) as shards:
            fit_on_shards(model, shards, self.sync_every, validation)
            n_shards, lost = len(shards.placed), shards.lost_workers
        self.estimator_, self.n_shards_, self.lost_workers_ = model, n_shards, lost
        return self

    def _network(self) -> Any:
        """Return the network to fit, before the fit."""
        if self.estimator is None:
            return self._kind()
        if not isinstance(self.estimator, self._kind):
            raise ValueError(
                f"estimator={self.estimator!r} must be a sknet.{self._kind.__name__} for a "
                f"{type(self).__name__}."
            )
        return clone(self.estimator)

    def to_local(self) -> Any:
        """Return the fitted network as an estimator that needs no Dask.

        Returns
        -------
        MLPClassifier or MLPRegressor
            A copy.
        """
        check_is_fitted(self, "estimator_")
        return copy.deepcopy(self.estimator_)

    def predict(self, X: Any) -> Any:
        """Predict labels or numbers.

        Parameters
        ----------
        X : array-like, or dask array or data frame, of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray, or dask collection, of shape (n_samples,) or (n_samples, n_outputs)
            A collection if X is one. It is computed when you ask for it, one partition
            at a time.
        """
        return self._predict("predict", X)

    def _predict(self, method: str, X: Any) -> Any:
        check_is_fitted(self, "estimator_")
        if is_collection(X):
            return predict_blocks(self.estimator_, method, X)
        return getattr(self.estimator_, method)(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy of a classifier, or R2 of a regressor.

        Parameters
        ----------
        X : array-like, or dask array or data frame, of shape (n_samples, n_features)
            Input data.
        y : array-like, or dask collection, of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : array-like, or dask collection, of shape (n_samples,), default=None
            Weight of each sample. None means that each is 1.

        Returns
        -------
        float
            The score. Of collections, only sums of each partition are gathered.

        Raises
        ------
        ValueError
            For collections with ``loss='quantile'``, whose score needs all of y at once.
        """
        check_is_fitted(self, "estimator_")
        if is_collection(X):
            return score_blocks(self.estimator_, X, y, sample_weight)
        return self.estimator_.score(X, y, sample_weight)

    @property
    def n_features_in_(self) -> int:
        """Number of features seen in `fit`."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.n_features_in_

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a fitted network."""
        return "estimator_" in vars(self)


class DaskMLPClassifier(_DaskMLP, ClassifierMixin, BaseEstimator):
    """Multilayer perceptron for classification, fitted to a Dask collection.

    No process needs to hold all rows. Each worker keeps its part of them, and computes
    gradients or steps on it. Only parameters and gradients travel.

    Parameters
    ----------
    estimator : MLPClassifier, default=None
        The network to fit, with all its parameters. `fit` fits a clone of it. None means
        ``MLPClassifier()``.
    sync_every : int or 'auto', default='auto'
        Steps of a stochastic solver between two synchronisations, >= 1. With 1, the
        workers divide each minibatch among them, and their gradients are summed. The
        result is that of one machine except for rounding. With more, each worker takes
        its own steps on its share of the minibatches, and parameters and moments are
        averaged afterwards. 'auto' is 1 if each worker has at least 1e9 floating-point
        operations in a step, 16 otherwise. Not used by ``solver='lbfgs'``.
    timeout : float, default=300
        Seconds that a worker may take to answer, > 0. It must be longer than a pass over
        a shard takes with 'lbfgs', or ``sync_every`` steps with another solver. `fit`
        also waits so long for the first worker of a cluster that has none.

    Attributes
    ----------
    estimator_ : MLPClassifier
        The fitted network, an estimator that needs no Dask.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen in `fit`.
    n_shards_ : int
        Number of shards at the end of the fit. Usually it is that of the workers.
    lost_workers_ : list of str
        Addresses of workers that were lost during the fit.

    See Also
    --------
    DaskMLPRegressor : The same for numbers.
    sknet.MLPClassifier : The network, for data that fit into memory.

    References
    ----------
    Stich, S. U. (2019). Local SGD converges fast and communicates little. ICLR.

    Lin, T., Stich, S. U., Patel, K. K., Jaggi, M. (2020). Don't use large mini-batches,
    use local SGD. ICLR.

    Examples
    --------
    With Dask installed, this starts two workers on this machine::

        import dask.array as da
        from dask.distributed import Client
        from sknet import MLPClassifier
        from sknet.dask import DaskMLPClassifier

        client = Client(n_workers=2, threads_per_worker=1)
        net = DaskMLPClassifier(MLPClassifier(solver="lbfgs"))
        net.fit(da.from_array(X, chunks=(1000, -1)), da.from_array(y, chunks=1000))
    """

    _kind = MLPClassifier

    @property
    def classes_(self) -> np.ndarray:
        """Class labels."""
        check_is_fitted(self, "estimator_")
        return self.estimator_.classes_

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like, or dask array or data frame, of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray, or dask array or data frame, of shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``, a collection if X is one.
        """
        return self._predict("predict_proba", X)

    @available_if(_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like, or dask array or data frame, of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray, or dask array or data frame, of shape (n_samples, n_classes)
            Natural logarithms of the probabilities.
        """
        return self._predict("predict_log_proba", X)

    def decision_function(self, X: Any) -> Any:
        """Return the raw scores of the classes.

        Parameters
        ----------
        X : array-like, or dask array or data frame, of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray, or dask collection, of shape (n_samples,) or (n_samples, n_outputs)
            With two classes, each sample has one score, which is that of ``classes_[1]``.
        """
        return self._predict("decision_function", X)


class DaskMLPRegressor(_DaskMLP, RegressorMixin, BaseEstimator):
    """Multilayer perceptron for regression, fitted to a Dask collection.

    No process needs to hold all rows. Each worker keeps its part of them, and computes
    gradients or steps on it. Only parameters and gradients travel.

    Parameters
    ----------
    estimator : MLPRegressor, default=None
        The network to fit, with all its parameters. `fit` fits a clone of it. None means
        ``MLPRegressor()``.
    sync_every : int or 'auto', default='auto'
        Steps of a stochastic solver between two synchronisations, >= 1, as in
        :class:`DaskMLPClassifier`.
    timeout : float, default=300
        Seconds that a worker may take to answer, > 0, as in :class:`DaskMLPClassifier`.

    Attributes
    ----------
    estimator_ : MLPRegressor
        The fitted network, an estimator that needs no Dask.
    n_features_in_ : int
        Number of features seen in `fit`.
    n_shards_ : int
        Number of shards at the end of the fit. Usually it is that of the workers.
    lost_workers_ : list of str
        Addresses of workers that were lost during the fit.

    See Also
    --------
    DaskMLPClassifier : The same for class labels.
    sknet.MLPRegressor : The network, for data that fit into memory.
    """

    _kind = MLPRegressor
