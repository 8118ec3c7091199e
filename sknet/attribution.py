"""Expected gradients: what each feature has added to a score, compared with typical rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params
from sklearn.utils.validation import check_is_fitted

from sknet.estimators.data import validate_for
from sknet.estimators.engine import load_engine
from sknet.inspection import _network_of, _score_indices

# Points whose gradients are computed at a time.
POINTS = 4096


@dataclass(frozen=True, eq=False)
class Attributions:
    """What each feature of some rows has added to a score, and how exact that is.

    :func:`expected_gradients` returns it.

    Parameters
    ----------
    values : ndarray of float64 of shape (n_samples, n_features)
        Contribution of each feature to the score of each row, in units of the score.
    standard_error : ndarray of float64 of shape (n_samples, n_features)
        Standard error of `values`.
    base_values : ndarray of float64 of shape (n_samples,)
        Mean over the background of the score that each row is explained for.
    scores : ndarray of float64 of shape (n_samples,)
        The score of each row itself.
    sum_standard_error : ndarray of float64 of shape (n_samples,)
        Standard error of the sum of each row's `values`. That sum is an estimate
        of ``scores - base_values``.
    data : {ndarray, sparse matrix} of shape (n_samples, n_features)
        The rows, as the network was given them.
    feature_names : list of str or None
        Names of the features, if the network has seen any.

    See Also
    --------
    expected_gradients : The function that computes them.
    """

    values: np.ndarray
    standard_error: np.ndarray
    base_values: np.ndarray
    scores: np.ndarray
    sum_standard_error: np.ndarray
    data: Any
    feature_names: list[str] | None

    def to_shap(self) -> Any:
        """Return the attributions as a `shap.Explanation`, which shap's plots take.

        Returns
        -------
        shap.Explanation
            Its `error_std` is the standard error.

        Raises
        ------
        ImportError
            If shap is not installed.
        """
        try:
            from shap import Explanation
        except ImportError as error:
            raise ImportError(
                "to_shap needs shap, which is not installed. Install it with: "
                "python -m pip install 'sknet-mlp[shap]'"
            ) from error
        return Explanation(
            values=self.values,
            base_values=self.base_values,
            data=_dense(self.data),
            error_std=self.standard_error,
            feature_names=self.feature_names,
        )


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "background": "no_validation",
        "target": "no_validation",
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def expected_gradients(
    estimator: Any,
    X: Any,
    background: Any,
    target: Any = None,
    *,
    n_samples: int = 10,
    random_state: Any = None,
) -> Attributions:
    """Return how much each feature has raised or lowered a raw score, for each row.

    The comparison is with a *background*, which is a set of typical rows. For a row x
    and a score f, feature i is attributed [1]_

        mean over rows b of the background of
        (x_i - b_i) * integral of df/dx_i at b + a (x - b) over a from 0 to 1.

    These contributions add up to f(x) minus the mean of f over the background. A
    feature on which the score does not depend is attributed 0.

    The score f is the raw score that :func:`input_gradients` describes. For a
    classifier, that is the score of `decision_function`, not a probability. For a
    regressor it is the prediction, or with ``loss='poisson'`` or ``'gamma'`` its
    logarithm.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A fitted network of sknet. A :class:`sklearn.frozen.FrozenEstimator` around
        it is accepted, too.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows to explain.
    background : {array-like, sparse matrix} of shape (n_background, n_features)
        The rows to compare with. A hundred rows that are drawn from the training
        data are often enough. All of them are used.
    target : label, int or array-like of shape (n_samples,), default=None
        Which score to explain, as for :func:`input_gradients`. With None, it is that
        of the predicted class of each row, or the only output of the network.
    n_samples : int, default=10
        Number of points, at least 2, on the line from each row of the background to
        each row of X. It must be even. `n_samples` * `n_background` gradients are
        computed for each row of X.
    random_state : int, RandomState instance or None, default=None
        Determines where on the lines the points are. An integer gives the same
        result in each call.

    Returns
    -------
    Attributions
        The contributions, in float64, with their standard errors.

    Raises
    ------
    TypeError
        If the estimator is not a network of sknet.
    ValueError
        If there is no such target, if `n_samples` is odd, or if X or background do
        not have the features of the network.

    See Also
    --------
    input_gradients : Gradients at the rows themselves.
    SaliencyDisplay : Plot of such contributions over an image.

    Notes
    -----
    Each line is cut into ``n_samples / 2`` pieces of the same length. The gradient is
    taken at two random points of each piece, and the integral is the mean over all
    points. This estimate has no bias. The two points of a piece are independent, so
    (g_1 - g_2)^2 / 4 is an estimate without bias of the variance of their mean
    (stratified sampling [2]_). The standard errors follow from the sum of these
    variances. For scores without kinks, they shrink as ``n_samples ** -1.5``. The
    square root of the number of rows in the background divides them, too.

    The standard errors are those of the integrals. They do not tell how much another
    background would change the contributions.

    The same points serve all rows of X. The contributions of a row therefore do not
    depend on which other rows are explained with it.

    Features that are scaled one by one, as by
    :class:`~sklearn.preprocessing.StandardScaler`, have the contributions of the
    features before they were scaled.

    References
    ----------
    .. [1] Erion, G., Janizek, J. D., Sturmfels, P., Lundberg, S. M., Lee, S.-I.
       (2021). Improving performance of deep learning models with axiomatic
       attribution priors and expected gradients. Nature Machine Intelligence 3,
       section "Expected gradients".
    .. [2] Cochran, W. G. (1977). Sampling techniques, 3rd edition, chapter 5.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknet import MLPClassifier, expected_gradients
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(max_iter=500, random_state=0).fit(X, y)
    >>> found = expected_gradients(net, X, background=X[::3], target=2, random_state=0)
    >>> found.values.shape
    (150, 4)
    >>> error = found.values.sum(axis=1) - (found.scores - found.base_values)
    >>> bool((abs(error) <= 5 * found.sum_standard_error).all())
    True
    """
    if n_samples % 2:
        raise ValueError(
            f"n_samples={n_samples} is odd, but points come in pairs. Give {n_samples + 1}."
        )
    load_engine()
    from sknet._engine.memory import as_kernel_input

    mlp = _network_of(estimator)
    check_is_fitted(mlp, "coefs_")
    predictor = mlp._predictor(vars(mlp))
    network = predictor.network
    outputs, signs = _score_indices(mlp, network.layout.units[-1], X, target)
    X, rows = (validate_for(mlp, given, network, vars(mlp)) for given in (X, background))
    outputs, signs = (np.broadcast_to(v, X.shape[0]) for v in (outputs, signs))
    cuts = np.arange(n_samples // 2, dtype=np.float64)[:, None]
    places = check_random_state(random_state).random_sample((rows.shape[0], len(cuts), 2))
    places = (cuts + places) / len(cuts)
    values, *variances = _integrals(mlp, network, X, rows, outputs, signs, places)
    of_rows, of_X = (predictor.scores(as_kernel_input(v), n_jobs=mlp.n_jobs) for v in (rows, X))
    base = of_rows.mean(axis=0, dtype=np.float64)
    scores = np.take_along_axis(of_X, outputs[:, None], axis=1)[:, 0]
    names = getattr(mlp, "feature_names_in_", None)
    return Attributions(
        values,
        np.sqrt(variances[0]),
        base[outputs] * signs,
        scores.astype(np.float64) * signs,
        np.sqrt(variances[1]),
        X,
        None if names is None else list(names),
    )


def _integrals(
    mlp: Any,
    network: Any,
    X: Any,
    background: Any,
    outputs: np.ndarray,
    signs: np.ndarray,
    places: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the contributions, their variances, and the variances of their sums.

    Parameters
    ----------
    mlp, network
        The estimator and its network.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    background : ndarray or CSR matrix of shape (n_background, n_features)
    outputs, signs : ndarray of shape (n_samples,)
        Which score is explained, and its sign.
    places : ndarray of shape (n_background, n_pieces, 2)
        Where on the lines the points are, from 0 to 1.
    """
    from sknet._engine.memory import as_kernel_input
    from sknet._network import tracing

    (n, n_features), (n_background, n_pieces, _) = X.shape, places.shape
    values, variances = np.zeros((2, n, n_features))
    sum_variances = np.zeros(n)
    size = max(1, POINTS // (2 * n_pieces))  # lines whose points are taken at a time
    for those in _blocks(n_background, size):
        start, at = _dense(background[those]), places[those]
        for these in _blocks(n, max(1, size // len(start))):
            way = _dense(X[these])[:, None] - start  # a vector for each line
            points = start[:, None, None] + at[..., None] * way[:, :, None, None]
            points = points.astype(network.params.dtype, copy=False).reshape(-1, n_features)
            counts = len(points) // len(way)
            chosen, sign = (np.repeat(v[these], counts) for v in (outputs, signs))
            gradients = tracing.input_gradients(
                network, as_kernel_input(points), chosen, sign, mlp.n_jobs
            )
            gradients = gradients.reshape(*way.shape[:2], n_pieces, 2, n_features)
            products = gradients * way[:, :, None, None]
            difference = products[..., 0, :] - products[..., 1, :]
            values[these] += products.sum(axis=(1, 2, 3))
            variances[these] += (difference**2).sum(axis=(1, 2))
            sum_variances[these] += (difference.sum(axis=-1) ** 2).sum(axis=(1, 2))
    n_points = places.size
    # The mean of the two points of a piece has the variance difference**2 / 4, and the mean over
    # all pieces 1 / n**2 times their sum, where n is the number of pieces, n_points / 2.
    return values / n_points, variances / n_points**2, sum_variances / n_points**2


def _blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of so many rows, and the rest."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _dense(rows: Any) -> np.ndarray:
    """Return rows as an array, in float64 where they are computed with."""
    return np.asarray(rows.toarray() if sp.issparse(rows) else rows, dtype=np.float64)
