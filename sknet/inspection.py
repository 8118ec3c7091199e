"""Inspection of fitted networks: what hidden layers compute, and which inputs matter."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
    is_classifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _check_feature_names_in, _num_samples, check_is_fitted

from sknet.estimators.base import BaseMLP
from sknet.estimators.data import validate_for
from sknet.estimators.decorators import fit_context
from sknet.estimators.engine import load_engine
from sknet.estimators.targets import fitted_targets

# To multiply gradients by a sparse X, this many of its rows at a time are converted to dense.
DENSE_ROWS = 1024


class HiddenLayers(TransformerMixin, MetaEstimatorMixin, BaseEstimator):
    """Transformer that turns samples into the activations of hidden layers of a network.

    Use it to feed learned features to another estimator, or to look at them.

    The activations of hidden layer l for a row x are a_l = f(a_{l-1} W_l + b_l),
    where a_{-1} = x and f is the activation function of the layer.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A network of sknet. `fit` fits a clone of it. To use a network that is
        already fitted, wrap it in a :class:`sklearn.frozen.FrozenEstimator`.
    layer : int or 'all', default=-1
        Index of the hidden layer. 0 is the layer next to the input, and -1 is the
        layer next to the output. 'all' concatenates the activations of all hidden
        layers.

    Attributes
    ----------
    estimator_ : MLPClassifier or MLPRegressor
        The fitted network.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen in `fit`. It exists only if X had feature
        names that are all strings.

    See Also
    --------
    input_gradients : Gradients of a score with respect to the input.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import HiddenLayers, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((20, 3), learning_rate_init=0.01, max_iter=1000, random_state=0)
    >>> HiddenLayers(net).fit_transform(X, y).shape
    (150, 3)
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit")],
        "layer": [Integral, StrOptions({"all"})],
    }

    def __init__(self, estimator: Any, *, layer: int | Literal["all"] = -1) -> None:
        self.estimator = estimator
        self.layer = layer

    # The parameters of the network are validated when the network is fitted.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit the network, unless it is frozen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets of the network. A frozen network does not need them.
        **fit_params : dict
            Arguments that are passed to `fit` of the network, for example
            `sample_weight`. If scikit-learn's metadata routing is enabled, only the
            metadata that the network requests are passed.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        TypeError
            If the estimator is not a network of sknet.
        ValueError
            If the network has no such hidden layer, or if the fit of the network
            raises a ValueError.
        """
        _network_of(self.estimator)
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        fitted = clone(self.estimator).fit(X, y, **fit_params)
        self._layer_indices(_network_of(fitted))
        self.estimator_ = fitted
        self.n_features_in_ = fitted.n_features_in_
        if hasattr(fitted, "feature_names_in_"):
            self.feature_names_in_ = fitted.feature_names_in_
        elif hasattr(self, "feature_names_in_"):  # from an earlier fit
            del self.feature_names_in_
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the activations of the hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            The activations, in the dtype of the network's weights.
        """
        load_engine()
        from sknet._engine.memory import as_kernel_input
        from sknet._network.tracing import activations

        check_is_fitted(self, "estimator_")
        mlp = _network_of(self.estimator_)
        network = mlp._network()
        X = validate_for(self, X, network, vars(self))
        return activations(network, as_kernel_input(X), self._layer_indices(mlp), mlp.n_jobs)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the units.

        'hidden0_0' is the first unit of the first hidden layer.

        Parameters
        ----------
        input_features : array-like of str of shape (`n_features_in_`,), default=None
            Names of the features. They must be those seen in `fit`, and have no
            other effect.

        Returns
        -------
        ndarray of shape (n_units,)
            Names of the units, as strings in an array of dtype object.
        """
        check_is_fitted(self, "estimator_")
        _check_feature_names_in(self, input_features, generate_names=False)
        mlp = _network_of(self.estimator_)
        layers = self._layer_indices(mlp)
        names = [f"hidden{l}_{j}" for l in layers for j in range(mlp.coefs_[l].shape[1])]
        return np.array(names, dtype=object)

    def _layer_indices(self, mlp: BaseMLP) -> range:
        """Return the indices of the hidden layers that the parameter `layer` selects."""
        n_hidden = len(mlp.coefs_) - 1
        if n_hidden == 0:
            raise ValueError(
                "The network has no hidden layers to show. Give the estimator "
                "hidden_layer_sizes of at least one layer."
            )
        if self.layer == "all":
            return range(n_hidden)
        if not -n_hidden <= self.layer < n_hidden:
            raise ValueError(
                f"layer={self.layer}, but the network has {n_hidden} hidden layers. Give an "
                f"integer from {-n_hidden} to {n_hidden - 1}, or 'all'."
            )
        index = self.layer % n_hidden
        return range(index, index + 1)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata `fit` passes on to `fit` of the network.

        Returns
        -------
        MetadataRouter
            The routing in the form that scikit-learn reads.
        """
        mapping = MethodMapping()
        for caller in ("fit", "fit_transform"):  # pipelines call fit_transform
            mapping.add(caller=caller, callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_tags__(self) -> Any:
        """Return the tags. The tags of inputs and targets are those of the network."""
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.target_tags = inner.target_tags
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def input_gradients(
    estimator: Any, X: Any, target: Any = None, *, multiply_by_inputs: bool = False
) -> np.ndarray:
    """Return, for each row, the gradient of a raw score with respect to the features.

    It shows how a small change of each feature would change the score. The gradient
    is d score / d x, in units of the score per unit of the feature. Its absolute
    value is called a *saliency map* [1]_.

    A raw score is the output of the network before the inverse link, which turns
    raw scores into predictions. The gradient of the prediction would be almost 0
    wherever a class is almost certain. The meaning of the raw score depends on the
    estimator:

    - For a classifier, it is the score that `decision_function` returns. With two
      classes, the score of ``classes_[0]`` is minus that of ``classes_[1]``.
    - For a regressor, it is the prediction. With ``loss='poisson'`` or ``'gamma'``
      it is the logarithm of the prediction.
    - With ``non_crossing=True``, the score of the lowest quantile is its prediction.
      The score of each other quantile is the z whose log(1 + exp(z)) is added to the
      quantile below.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A fitted network of sknet. A :class:`sklearn.frozen.FrozenEstimator` around
        it is accepted, too.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Input data. The result is dense even for sparse X.
    target : label, int or array-like of shape (n_samples,), default=None
        Which score to take. For a classifier it is one of `classes_`. For multilabel
        targets and for regressors it is the index of the output. An array has one
        target for each row, for example the true classes. With None, it is the
        predicted class of each row, or the only output of the network.
    multiply_by_inputs : bool, default=False
        Whether to return the gradient times the input, x d score / d x [2]_. To
        first order, this is how much each feature contributes to the score, in
        units of the score.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Gradients, in the dtype of the network's weights.

    Raises
    ------
    TypeError
        If the estimator is not a network of sknet.
    ValueError
        If there is no such target, or if `target` is None and the network has
        several outputs that are not classes.

    See Also
    --------
    HiddenLayers : Transformer that returns the activations of hidden layers.

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
    load_engine()
    from sknet._engine.memory import as_kernel_input
    from sknet._network import tracing

    mlp = _network_of(estimator)
    check_is_fitted(mlp, "coefs_")
    network = mlp._network()
    outputs, signs = _score_indices(mlp, network.layout.units[-1], X, target)
    X = validate_for(mlp, X, network, vars(mlp))
    outputs, signs = (np.broadcast_to(v, X.shape[0]) for v in (outputs, signs))
    result = tracing.input_gradients(network, as_kernel_input(X), outputs, signs, mlp.n_jobs)
    if multiply_by_inputs:
        for start in range(0, X.shape[0], DENSE_ROWS):
            rows = slice(start, start + DENSE_ROWS)
            result[rows] *= X[rows].toarray() if sp.issparse(X) else X[rows]
    return result


def _score_indices(mlp: BaseMLP, n_outputs: int, X: Any, target: Any) -> tuple[Any, Any]:
    """Return the index of the raw score and its sign.

    Both are either an integer for all rows, or an array with an integer for each row.
    """
    if np.ndim(target) > 0 and np.shape(target) != (_num_samples(X),):
        raise ValueError(
            f"target has the shape {np.shape(target)}, but X has {_num_samples(X)} rows. Give one "
            "target for all rows, or one for each row."
        )
    if is_classifier(mlp) and not fitted_targets(mlp, vars(mlp)).is_multilabel:
        known = mlp.classes_.tolist()
        labels = np.asarray(mlp.predict(X) if target is None else target)
        for label in set(labels.reshape(-1).tolist()):
            if label not in known:
                raise ValueError(
                    f"target={label!r} is not a class of the network. Give one of {known}, or "
                    "None for the predicted class."
                )
        classes = np.searchsorted(mlp.classes_, labels)
        return (0, 2 * classes - 1) if n_outputs == 1 else (classes, 1)
    if target is None and n_outputs == 1:
        return 0, 1
    outputs = np.asarray(target)
    if outputs.dtype.kind not in "iu" or ((outputs < 0) | (outputs >= n_outputs)).any():
        raise ValueError(
            f"target={target!r}, but the network has {n_outputs} outputs. Give the index of "
            f"an output, from 0 to {n_outputs - 1}."
        )
    return outputs, 1


def _network_of(estimator: Any) -> Any:
    """Return the network, and take it out of a FrozenEstimator if it is in one."""
    mlp = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    if not isinstance(mlp, BaseMLP):
        raise TypeError(
            f"estimator must be sknet's MLPClassifier or MLPRegressor, got {type(mlp).__name__}. "
            "If it is inside a pipeline or a search, give the network itself (pipeline[-1], "
            "search.best_estimator_), with X transformed as the network receives it."
        )
    return mlp
