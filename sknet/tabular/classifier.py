"""`TabularMLPClassifier`: classes from tables."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from sknet.estimators.parameters import FOR_LABELS
from sknet.estimators.targets import ClassTargets
from sknet.estimators.weights import apply_class_weights
from sknet.tabular.base import BaseTabular, Trained
from sknet.tabular.calibration import ensemble_probabilities, fitted_temperature, log_loss
from sknet.tabular.configurations import Configuration
from sknet.tabular.networks import MemberClassifier, classifier_of


class TabularMLPClassifier(ClassifierMixin, BaseTabular):
    """Classifier for tables of numbers and categories that needs no tuning.

    It is an ensemble of small nets. Each of them draws its own configuration at random, leaves out
    another part of the samples, and keeps the weights of the epoch that predicts this part best.
    The predictions for all parts together say how far the nets can be trusted: one temperature,
    fitted to them, makes the probabilities calibrated. The probabilities of the ensemble are those
    that the mean of its members' scores gives.

    Numbers need no scaling, categories no encoding, and missing values no imputation.

    Parameters
    ----------
    n_members : int, default=8
        Number of nets, >= 1. More of them predict a little better, and take longer in proportion.
    categorical_features : 'from_dtype', array-like of bool, int or str, or None, \
default='from_dtype'
        Which columns hold categories. 'from_dtype' takes the columns of a data frame that hold
        categories, strings or booleans, and none of an array. Otherwise it is a boolean for each
        column, the positions of columns, or their names. None means that there are none.
    class_weight : {'balanced'}, dict or None, default=None
        Weights of classes, by which the sample weights are multiplied. 'balanced' gives rare
        classes a higher weight, ``n_samples / (n_classes * np.bincount(y))``. The probabilities
        are then those of data in which all classes are equally frequent.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    members_ : list of Member
        The members. Each has its ``configuration``, its ``encoder`` and its ``network``, an
        :class:`~sknet.MLPClassifier`.
    n_members_ : int
        Number of members.
    n_iter_ : list of int
        Number of epochs of each member.
    member_table_ : dict of str to list
        The members as a table: their scores and losses on the samples that they left out, their
        best epochs, the seconds that they took, and their configurations.
        ``member_table_.as_frame()`` returns it as a data frame of pandas.
    temperature_ : float
        What all raw scores are divided by before the softmax.
    oof_predictions_ : ndarray of shape (n_samples, n_classes)
        Probabilities for each sample by members that left it out (out of fold). NaN for a sample
        that no member left out. With validation data, it has the probabilities for these.
    oof_score_ : float
        Accuracy of these predictions. It is that of single members, so the ensemble is likely to
        be a little better. With validation data, the ensemble predicts, and it is a little
        optimistic because the best epochs were chosen by the same data.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. It exists only if X was a data frame whose column names are strings.

    See Also
    --------
    TabularMLPRegressor : The same for numbers.
    MLPClassifier : A single net, whose parameters are chosen by the user.

    Notes
    -----
    The samples are divided into as many parts as there are members, at least 4 and at most 8, with
    as many samples of each class as possible in each. A class that has only one sample is never
    left out, since no other sample teaches it.

    A pickle holds the weights of eight members in 0.5 MB for some ten columns and several hundred
    samples, and in 2 to 4 MB for wide or long tables. To this it adds ``oof_predictions_``.

    References
    ----------
    Holzmueller, D., Grinsztajn, L., Steinwart, I. (2024). Better by default: strong pre-tuned MLPs
    and boosted trees on tabular data. NeurIPS, arXiv:2407.04491. Its nets, learned scales of
    the inputs, encoding and schedules are the starting point of those here.

    Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
    networks. ICML, arXiv:1706.04599, section 4.2: the temperature.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import train_test_split
    >>> from sknet import TabularMLPClassifier
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = TabularMLPClassifier(n_members=4, random_state=0).fit(X_train, y_train)
    >>> clf.predict_proba(X_test[:2]).round(2)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    >>> clf.score(X_test, y_test) > 0.9
    True
    """

    _parameter_constraints = BaseTabular._parameter_constraints | {
        "class_weight": [option for option in FOR_LABELS["class_weight"] if option is not list]
    }

    classes_: np.ndarray
    temperature_: float
    oof_predictions_: np.ndarray

    def __init__(
        self,
        n_members: int = 8,
        *,
        categorical_features: Any = "from_dtype",
        class_weight: Literal["balanced"] | dict[Any, float] | None = None,
        max_iter: int | None = None,
        time_limit: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
        verbose: bool | int | Literal["progress"] = False,
    ) -> None:
        self.n_members = n_members
        self.categorical_features = categorical_features
        self.class_weight = class_weight
        self.max_iter = max_iter
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # Fitting.

    def _read_targets(self, y: np.ndarray, name: str, *, is_first: bool) -> np.ndarray:
        if is_first:
            ClassTargets.check_kind(y)
            targets = ClassTargets.of(y)
            if targets.is_multilabel:
                raise ValueError(
                    f"y has {y.shape[1]} columns of labels (multilabel), but TabularMLPClassifier "
                    "takes one class for each sample. Give one column, or wrap the estimator in "
                    "sklearn.multioutput.MultiOutputClassifier."
                )
            self.classes_ = targets.classes
        encoded = ClassTargets.of(self.classes_).encode(y)
        if encoded is None:
            raise ValueError(
                f"{name} must have one of the classes of y for each sample, {self.classes_}. Leave "
                "out samples of other classes."
            )
        return encoded[:, 0].astype(np.intp)

    def _weighted(self, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
        if self.class_weight is None:
            return weights
        targets = ClassTargets.of(self.classes_)
        tables = targets.class_weights(y[weights > 0], self.class_weight)
        codes = self._read_targets(y, "y", is_first=False).reshape(-1, 1)
        return apply_class_weights(weights, codes, tables, self.class_weight)

    def _strata(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def _net(self, configuration: Configuration, seed: int) -> MemberClassifier:
        return classifier_of(configuration, seed, len(self.classes_))

    def _judge(self, trained: list[Trained], n_rows: int) -> dict[str, list[float]]:
        scores = np.concatenate([one.scores for one in trained])
        codes = np.concatenate([one.samples.targets for one in trained])
        weights = np.concatenate([one.samples.weights for one in trained])
        self.temperature_ = fitted_temperature(scores, codes, weights)
        total, count = np.zeros((n_rows, scores.shape[1])), np.zeros((n_rows, 1))
        y, row_weights = np.zeros(n_rows, np.intp), np.zeros(n_rows)
        judged: dict[str, list[float]] = {"validation_score": [], "validation_loss": []}
        for _, rows, samples, own in trained:
            p = ensemble_probabilities([own], self.temperature_)
            total[rows] += own
            count[rows] += 1
            y[rows], row_weights[rows] = samples.targets, samples.weights
            accuracy = accuracy_score(
                samples.targets, p.argmax(axis=1), sample_weight=samples.weights
            )
            judged["validation_score"].append(float(accuracy))
            judged["validation_loss"].append(log_loss(own, *samples[1:], self.temperature_))
        with np.errstate(invalid="ignore"):
            p = ensemble_probabilities([total / count], self.temperature_)
        self.oof_predictions_ = p[:, : len(self.classes_)]
        known = count[:, 0] > 0
        predicted = p[known].argmax(axis=1)
        accuracy = accuracy_score(y[known], predicted, sample_weight=row_weights[known])
        self.oof_score_ = float(accuracy)
        return judged

    # Prediction.

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Input data. Missing values and categories that were not seen in `fit` are allowed.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype=float64
            Probabilities in the order of ``classes_``.
        """
        return self._probabilities(X)[0]

    def _probabilities(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the probabilities of classes, and the classes."""
        scores, state = self._member_scores(X)
        p, classes = ensemble_probabilities(scores, state["temperature_"]), state["classes_"]
        return (np.ones((len(p), 1)) if len(classes) == 1 else p), classes

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`, which is -inf for a probability of 0.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), dtype=float64
            Natural logarithms of the probabilities, in the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logarithms of the probabilities, or for two classes the log-odds.

        Their softmax, or for two classes their logistic function, is what `predict_proba` returns.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes), dtype=float64
            With two classes, each sample has one score, which is that of ``classes_[1]``.
        """
        log_p = self.predict_log_proba(X)
        return log_p[:, 1] - log_p[:, 0] if log_p.shape[1] == 2 else log_p

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class label of each sample.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Input data. Missing values and categories that were not seen in `fit` are allowed.

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        p, classes = self._probabilities(X)
        return classes[p.argmax(axis=1)]
