"""`TabularMLPRegressor`: numbers from tables."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from sknet.estimators import MLPRegressor
from sknet.tabular.base import BaseTabular, Trained
from sknet.tabular.configurations import Configuration
from sknet.tabular.intervals import conformal_interval
from sknet.tabular.networks import regressor_of

# Squares of larger numbers to predict, summed over the samples, might overflow.
LARGEST_TARGET = 1e150


class TabularMLPRegressor(RegressorMixin, BaseTabular):
    """Regressor for tables of numbers and categories that needs no tuning.

    It is an ensemble of small nets. Each of them draws its own configuration at random, leaves out
    another part of the samples, and keeps the weights of the epoch that predicts this part best.
    The prediction is the mean of those of the members. The errors on the parts that were left out
    give `predict_interval` the widths of its intervals.

    Numbers need no scaling, categories no encoding, and missing values no imputation. y needs no
    scaling either: each member standardises it by the mean and the standard deviation of the
    samples that it is trained on.

    Parameters
    ----------
    n_members : int, default=8
        Number of nets, >= 1. More of them predict a little better, and take longer in proportion.
    categorical_features : 'from_dtype', array-like of bool, int or str, or None, \
default='from_dtype'
        Which columns hold categories. 'from_dtype' takes the columns of a data frame that hold
        categories, strings or booleans, and none of an array. Otherwise it is a boolean for each
        column, the positions of columns, or their names. None means that there are none.
    max_iter : int or None, default=None
        Number of epochs of each member, >= 1. None chooses it by the number of samples, from 64
        to 256. Fewer epochs save time and cost accuracy; fewer members cost less of it.
    time_limit : float or None, default=None
        Seconds, >= 0, after which no more members are started. A member is not started either if
        it would probably end later. No member is cut short, and at least one is always fitted. A
        warning says how many there are. None is no limit.
    random_state : int, RandomState instance or None, default=None
        Seed or source of all random numbers. With an int, every fit to the same data gives the
        same model.
    n_jobs : int or None, default=None
        Number of members that are fitted at the same time, each in a thread. None means 1, unless
        a :func:`joblib.parallel_config` says otherwise. -1 means all cores. Results have the same
        bits for every value, unless ``time_limit`` ends the fit.
    verbose : bool, int or 'progress', default=False
        True or a number above 0 prints a line for each member when it is fitted. 'progress' shows
        a progress bar for each, for which rich must be installed (the extra
        ``sknet-mlp[progress]``).

    Attributes
    ----------
    members_ : list of Member
        The members. Each has its ``configuration``, its ``encoder`` and its ``network``, an
        :class:`~sknet.MLPRegressor`.
    n_members_ : int
        Number of members.
    n_iter_ : list of int
        Number of epochs of each member.
    member_table_ : dict of str to list
        The members as a table: their scores and losses on the samples that they left out, their
        best epochs, the seconds that they took, and their configurations.
        ``member_table_.as_frame()`` returns it as a data frame of pandas.
    oof_predictions_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Prediction for each sample by members that left it out (out of fold). NaN for a sample
        that no member left out. With validation data, it has the predictions for these.
    oof_score_ : float
        R2 of these predictions. It is that of single members, so the ensemble is likely to be
        better. With validation data, the ensemble predicts, and it is a little optimistic because
        the best epochs were chosen by the same data.
    n_outputs_ : int
        Number of columns of y.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. It exists only if X was a data frame whose column names are strings.

    See Also
    --------
    TabularMLPClassifier : The same for class labels.
    MLPRegressor : A single net, whose parameters are chosen by the user.

    Notes
    -----
    The nets compute in float32. Predictions are float64, since they are brought back to the units
    of y in it.

    A pickle holds the weights of eight members in 0.5 MB for some ten columns and several hundred
    samples, and in 2 to 4 MB for wide or long tables. To this it adds 16 bytes for each sample and
    column of y.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sknet import TabularMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> reg = TabularMLPRegressor(n_members=4, random_state=0).fit(X_train, y_train)
    >>> reg.predict(X_test).shape
    (111,)
    >>> reg.score(X_test, y_test) > 0.3
    True
    >>> intervals = reg.predict_interval(X_test, coverage=0.8)
    >>> intervals.shape
    (111, 2)
    """

    n_outputs_: int
    oof_predictions_: np.ndarray

    def __init__(
        self,
        n_members: int = 8,
        *,
        categorical_features: Any = "from_dtype",
        max_iter: int | None = None,
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: bool | int | Literal["progress"] = False,
    ) -> None:
        self.n_members = n_members
        self.categorical_features = categorical_features
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # Fitting.

    def _read_targets(self, y: np.ndarray, name: str, *, is_first: bool) -> np.ndarray:
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"{name} must hold numbers, got {y.dtype}. For class labels use "
                "TabularMLPClassifier, and replace dates by numbers."
            )
        columns = y.reshape(len(y), -1).astype(np.float64)
        largest = np.abs(columns).max()
        if largest > LARGEST_TARGET:
            raise ValueError(
                f"{name} must be at most {LARGEST_TARGET:g}, since its squares are summed, but "
                f"has a number of the size {largest:g}. Give it in a larger unit."
            )
        if is_first:
            self.n_outputs_, self._is_vector = columns.shape[1], y.ndim == 1
        elif columns.shape[1] != self.n_outputs_:
            raise ValueError(
                f"{name} has {columns.shape[1]} columns, but y has {self.n_outputs_}. Give as many."
            )
        return columns

    def _weighted(self, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
        return weights

    def _strata(self, targets: np.ndarray) -> None:
        return None

    def _net(self, configuration: Configuration, seed: int) -> MLPRegressor:
        return regressor_of(configuration, seed)

    def _judge(self, trained: list[Trained], n_rows: int) -> dict[str, list[float]]:
        y, weights = np.zeros((n_rows, self.n_outputs_)), np.zeros(n_rows)
        total, count = np.zeros((n_rows, self.n_outputs_)), np.zeros((n_rows, 1))
        judged: dict[str, list[float]] = {"validation_score": [], "validation_loss": []}
        for _, rows, samples, own in trained:
            total[rows] += own
            count[rows] += 1
            y[rows], weights[rows] = samples.targets, samples.weights
            judged["validation_score"].append(_r2(samples.targets, own, samples.weights))
            squares = ((samples.targets - own) ** 2).mean(axis=1)
            judged["validation_loss"].append(float(np.average(squares, weights=samples.weights)))
        with np.errstate(invalid="ignore"):
            predicted = total / count
        known = count[:, 0] > 0
        self.oof_predictions_ = predicted[:, 0] if self._is_vector else predicted
        self.oof_score_ = _r2(y[known], predicted[known], weights[known])
        self._errors = [np.abs(one.samples.targets - one.scores) for one in trained]
        if self._has_validation:
            self._errors = [np.abs(y - predicted)]
        return judged

    # Prediction.

    def predict(self, X: Any) -> np.ndarray:
        """Predict numbers.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Input data. Missing values and categories that were not seen in `fit` are allowed.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), dtype=float64
            Mean of the predictions of the members.
        """
        scores, state = self._member_scores(X)
        mean = np.mean(scores, axis=0)
        return mean[:, 0] if state["_is_vector"] else mean

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Predict intervals that contain the true numbers with a given probability.

        The method is CV+. It adds the absolute errors for the samples that a member left out to
        the predictions of this member, and takes quantiles of all these numbers. Whatever the data
        are, such an interval contains the number of a new sample with a probability of at least
        about ``2 * coverage - 1``, and in practice of about ``coverage``: on six real tables,
        intervals with a coverage of 0.9 contained 91 to 94 % of the numbers (see
        ``benchmarks/tabular.py``). The samples must be as if drawn at random from the same source.
        This holds neither for forecasts of a series that changes, nor for new groups if a group has
        several samples.

        The guarantee is for members that do not use what they leave out. Ours choose their best
        epochs by it, which makes the errors a little smaller than those for new samples. With
        validation data, the intervals are the predictions plus and minus one number, a quantile
        of the absolute errors of the ensemble for these data.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Input data.
        coverage : float, default=0.9
            Probability, in (0, 1).

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2), dtype=float64
            Lower and upper bounds. They are infinite where ``coverage`` is so close to 1 that the
            errors are too few for it. The prediction may be outside of the interval where members
            disagree very much.

        References
        ----------
        Barber, R. F., Candes, E. J., Ramdas, A., Tibshirani, R. J. (2021). Predictive inference
        with the jackknife+. Annals of Statistics 49(1), arXiv:1905.02928, theorem 4.
        """
        if not (isinstance(coverage, Real) and 0 < float(coverage) < 1):
            raise ValueError(
                f"coverage={coverage!r} must be a number between 0 and 1, both excluded. Give the "
                "fraction of intervals that are to contain the true number, such as 0.9."
            )
        centers, state = self._member_scores(X)
        errors = state["_errors"]
        if state["_has_validation"]:
            centers = [np.mean(centers, axis=0)]
        bounds = [
            conformal_interval(
                [center[:, k] for center in centers], [e[:, k] for e in errors], coverage
            )
            for k in range(state["n_outputs_"])
        ]
        return bounds[0] if state["_is_vector"] else np.stack(bounds, axis=1)

    def __sklearn_tags__(self) -> Any:
        """Return the tags, which say that y may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _r2(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
    """Return R2, or NaN for a single sample, of which it does not exist."""
    return float(r2_score(y, predicted, sample_weight=weights)) if len(y) > 1 else float("nan")
