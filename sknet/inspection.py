"""Looking inside fitted networks: hidden layers as features, and what a score hangs on."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    TransformerMixin,
    _fit_context,
    clone,
    is_classifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from sknet.estimators.base import BaseMLP

# Rows of a sparse X that are made dense at a time, to multiply gradients by them.
DENSE_ROWS = 1024


class HiddenLayers(TransformerMixin, MetaEstimatorMixin, BaseEstimator):
    """Features that a multilayer perceptron has learnt: what its hidden units put out.

    For row x, hidden layer l puts out a_l = f(a_{l-1} W_l + b_l), with
    a_{-1} = x and f the layer's activation.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        sknet's. `fit` fits a clone of it; to keep a fitted one as it is, wrap
        it in a :class:`sklearn.frozen.FrozenEstimator`.
    layer : int or 'all', default=-1
        Which hidden layer, counted from the input from 0, or from the output
        from -1. 'all' puts all of them side by side, in their order.

    Attributes
    ----------
    estimator_ : MLPClassifier or MLPRegressor
        The fitted network.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X was a data frame with names that are strings.

    See Also
    --------
    input_gradients : What in the input a score hangs on.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import HiddenLayers, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(hidden_layer_sizes=(20, 3), max_iter=500, random_state=0)
    >>> HiddenLayers(net).fit_transform(X, y).shape
    (150, 3)
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit")],
        "layer": [Integral, StrOptions({"all"})],
    }

    def __init__(self, estimator, *, layer=-1):
        self.estimator = estimator
        self.layer = layer

    # The network is not validated yet: its own `fit` does that.
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit the network, unless it is frozen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The network's targets. Only a frozen one needs none.
        **fit_params : dict
            Passed to the network's `fit`, for instance `sample_weight`; with
            scikit-learn's metadata routing only what it requests.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        TypeError
            If the estimator is not one of sknet's networks.
        ValueError
            If the network has no such hidden layer; and as its own `fit`.
        """
        _network_of(self.estimator)
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        fitted = clone(self.estimator).fit(X, y, **fit_params)
        self._layers(_network_of(fitted))
        self.estimator_ = fitted
        self.n_features_in_ = fitted.n_features_in_
        if hasattr(fitted, "feature_names_in_"):
            self.feature_names_in_ = fitted.feature_names_in_
        elif hasattr(self, "feature_names_in_"):  # of a fit before
            del self.feature_names_in_
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return what the units of the layer put out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            In the dtype of the network's weights.
        """
        from sknet._engine.memory import as_kernel_input
        from sknet._network.tracing import activations

        check_is_fitted(self, "estimator_")
        mlp = _network_of(self.estimator_)
        network = mlp._network()
        X = validate_data(
            self, X, accept_sparse="csr", dtype=network.params.dtype, order="C", reset=False
        )
        return activations(network, as_kernel_input(X), self._layers(mlp), mlp.n_jobs)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the units' names, 'hidden0_0' being the first unit of the first hidden layer.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Only compared with what `fit` has seen.

        Returns
        -------
        ndarray of shape (n_units,)
            Strings, as objects.
        """
        check_is_fitted(self, "estimator_")
        _check_feature_names_in(self, input_features, generate_names=False)
        mlp = _network_of(self.estimator_)
        names = [f"hidden{l}_{j}" for l in self._layers(mlp) for j in range(mlp.coefs_[l].shape[1])]
        return np.array(names, dtype=object)

    def _layers(self, mlp: BaseMLP) -> range:
        """Return the numbers of the layers that `layer` asks for."""
        n_hidden = len(mlp.coefs_) - 1
        if n_hidden == 0:
            raise ValueError(
                "The network has no hidden layers to show: give the estimator "
                "hidden_layer_sizes of at least one layer."
            )
        if self.layer == "all":
            return range(n_hidden)
        if not -n_hidden <= self.layer < n_hidden:
            raise ValueError(
                f"layer={self.layer}, but the network has {n_hidden} hidden layers: give an "
                f"integer from {-n_hidden} to {n_hidden - 1}, or 'all'."
            )
        chosen = self.layer % n_hidden
        return range(chosen, chosen + 1)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return who takes what metadata: the network, when it is fitted.

        Returns
        -------
        MetadataRouter
            As scikit-learn's metadata routing has it.
        """
        mapping = MethodMapping()
        for caller in ("fit", "fit_transform"):  # the second is a pipeline's
            mapping.add(caller=caller, callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        """Return the tags: those of the network, for what it takes."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.target_tags = inner.target_tags
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def input_gradients(
    estimator: Any, X: Any, target: Any = None, *, multiply_by_inputs: bool = False
) -> np.ndarray:
    """Return how a raw score of each row changes with each of its features.

    The derivative d score / d x of [1]_ (there its absolute value is shown as a
    *saliency map*), in units of the score per unit of the feature. The score is
    the raw one, before any link: for a classifier that of `decision_function`,
    log-odds in nats; for a regressor the prediction, its logarithm with
    ``loss='poisson'`` or 'gamma', and with ``non_crossing`` what adds up to it.
    After the link the derivative would vanish wherever a class
    is certain. For two classes the log-odds of ``classes_[0]`` are those of
    ``classes_[1]`` with the other sign.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        sknet's, fitted; or one in a :class:`sklearn.frozen.FrozenEstimator`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Input data. The result is dense even for sparse X.
    target : label or int, default=None
        Whose score: a class of `classes_`, for multilabel targets and several
        outputs the number of the output. None: of each row the class that is
        predicted, or a regressor's only output.
    multiply_by_inputs : bool, default=False
        Whether to return gradient times input, x d score / d x, [2]_: what each
        feature adds to the score, to first order, in units of the score.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        In the dtype of the network's weights.

    Raises
    ------
    TypeError
        If the estimator is not one of sknet's networks.
    ValueError
        If there is no such target, or several and none is given.

    See Also
    --------
    HiddenLayers : What hidden units put out, as features.

    References
    ----------
    .. [1] Simonyan, K., Vedaldi, A., Zisserman, A. (2014). Deep inside
       convolutional networks: visualising image classification models and
       saliency maps. ICLR workshop, section 3.
    .. [2] Shrikumar, A., Greenside, P., Shcherbina, A., Kundaje, A. (2016). Not
       just a black box: learning important features through propagating
       activation differences. arXiv:1605.01713, section 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import MLPClassifier, input_gradients
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(max_iter=500, random_state=0).fit(X, y)
    >>> input_gradients(net, X, target=2).shape
    (150, 4)
    """
    from sknet._engine.memory import as_kernel_input
    from sknet._network import tracing

    mlp = _network_of(estimator)
    check_is_fitted(mlp, "coefs_")
    network = mlp._network()
    outputs, signs = _scores_asked_for(mlp, X, target)
    X = validate_data(
        mlp, X, accept_sparse="csr", dtype=network.params.dtype, order="C", reset=False
    )
    outputs, signs = (np.broadcast_to(v, X.shape[0]) for v in (outputs, signs))
    result = tracing.input_gradients(network, as_kernel_input(X), outputs, signs, mlp.n_jobs)
    if multiply_by_inputs:
        for start in range(0, X.shape[0], DENSE_ROWS):
            rows = slice(start, start + DENSE_ROWS)
            result[rows] *= X[rows].toarray() if sp.issparse(X) else X[rows]
    return result


def _scores_asked_for(mlp: BaseMLP, X: Any, target: Any) -> tuple[Any, Any]:
    """Return the number of the raw score and the sign to take it with, of all rows or of each."""
    is_multilabel = is_classifier(mlp) and mlp._label_binarizer.y_type_.startswith("multilabel")
    if is_classifier(mlp) and not is_multilabel:
        if target is None:
            classes = np.searchsorted(mlp.classes_, mlp.predict(X))
        else:
            known = mlp.classes_.tolist()
            if target not in known:
                raise ValueError(
                    f"target={target!r} is not a class of the network: give one of "
                    f"{known}, or None for the class that is predicted."
                )
            classes = known.index(target)
        return (0, 2 * classes - 1) if mlp.n_outputs_ == 1 else (classes, 1)
    if target is None and mlp.n_outputs_ == 1:
        return 0, 1
    if not isinstance(target, int | np.integer) or not 0 <= target < mlp.n_outputs_:
        raise ValueError(
            f"target={target!r}, but the network has {mlp.n_outputs_} outputs: give the number of "
            f"one, from 0 to {mlp.n_outputs_ - 1}."
        )
    return target, 1


def _network_of(estimator: Any) -> Any:
    """Return the network itself, out of the wrapper that keeps it from being fitted."""
    mlp = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    if not isinstance(mlp, BaseMLP):
        raise TypeError(
            f"estimator must be sknet's MLPClassifier or MLPRegressor, got {type(mlp).__name__}. "
            "Of a pipeline or a search give the network inside (pipeline[-1], "
            "search.best_estimator_), and X as that takes it."
        )
    return mlp
