"""`MLPRegressor`, with its parameters, its predictions and its score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import RegressorMixin

from sknet.estimators.base import BaseMLP, can_fit_in_parts
from sknet.estimators.data import GivenData
from sknet.estimators.decorators import available_if, partial_fit_context
from sknet.estimators.parameters import CONSTRAINTS, FOR_NUMBERS
from sknet.estimators.targets import NumericTargets
from sknet.losses import Loss
from sknet.metrics import _as_columns


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron for regression.

    This is a drop-in replacement for scikit-learn's estimator of the same name. It has the same
    parameters and fitted attributes. In float64 and with the same ``random_state``, it gives the
    same model.

    Parameters
    ----------
    loss : str, default='squared_error'
        Loss to minimise: 'squared_error', 'absolute_error', 'huber', 'log_cosh', 'quantile',
        'poisson' (for y >= 0) or 'gamma' (for y > 0). Its formula is in :mod:`sknet.losses`. With
        'poisson' and 'gamma' the prediction is the exponential of the raw score, and thus
        positive.
    hidden_layer_sizes : int, array-like of shape (n_hidden_layers,) or str, default=(100,)
        Number of units of each hidden layer, each >= 1. An integer means one hidden layer. ``()``
        means no hidden layers, which gives a linear model. A string has the numbers joined by '-',
        as in ``'100-50'``.
    activation : str or list of str, default='relu'
        Activation function of the hidden layers: a name of :mod:`sknet.activations`, or a list
        with one name for each hidden layer.
    solver : str, default='adam'
        Method that minimises the loss. 'adam', 'sgd' and the others of :mod:`sknet.optimizers`
        take a step for each minibatch. 'lbfgs' is a quasi-Newton method that uses all data in each
        step. It is often the better choice for less than a thousand samples.
    alpha : float, default=0.0001
        Strength of the L2 penalty, >= 0. A larger value reduces overfitting. The penalty is
        ``alpha / 2`` times the sum of squared weights, without biases, divided by the sum of the
        minibatch's sample weights.
    batch_size : int or 'auto', default='auto'
        Number of samples in a minibatch, >= 1. It is clipped to the number of samples. The last
        minibatch of an epoch may be smaller. 'auto' is ``min(200, n_samples)``. Not used by
        'lbfgs'.
    learning_rate : str or callable, default='constant'
        Schedule of the learning rate: a name of :mod:`sknet.schedules`, or a function. The
        function takes the fraction of the ``max_iter`` epochs that is done. It returns the factor
        by which ``learning_rate_init`` is multiplied. As in scikit-learn, 'adam' ignores
        'invscaling' and 'adaptive', and 'lbfgs' ignores every schedule.
    learning_rate_init : float, default=0.001
        Initial learning rate, > 0. Not used by 'lbfgs'.
    power_t : float, default=0.5
        Exponent of the schedule 'invscaling', >= 0.
    max_iter : int, default=200
        Maximum number of epochs (passes over the data), or of iterations of 'lbfgs', >= 1.
    shuffle : bool, default=True
        Whether the samples are shuffled before each epoch.
    random_state : int, RandomState instance or None, default=None
        Seed or source of all random numbers: initial weights, validation split, shuffling, dropout
        and noise. The same int gives the same model as scikit-learn's estimator.
    tol : float, default=1e-4
        Least change that counts as progress. The training loss must be lower than the best one by
        this much. With ``early_stopping``, the validation score must be higher by this much
        instead. 'lbfgs' stops when no component of the gradient is larger than ``tol``.
    verbose : bool, int or 'progress', default=False
        True or 1 prints the loss of each epoch, in scikit-learn's words. 2 or more prints a line
        for each epoch with its time, losses and scores. 'progress' shows a progress bar, for which
        rich must be installed (the extra ``sknet-mlp[progress]``).
    warm_start : bool, default=False
        Whether `fit` continues from the present weights instead of drawing new ones. Sizes and
        activations of the hidden layers must then be those of the present weights.
    momentum : float, default=0.9
        Momentum of ``solver='sgd'``, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether ``solver='sgd'`` uses Nesterov's momentum.
    early_stopping : bool, default=False
        Whether to stop when the validation score no longer improves, and to keep the weights of
        the best epoch. The validation data are those given to `fit`. If none are given, a part of
        X is held out.
    validation_fraction : float, default=0.1
        Fraction of X, in [0, 1), that ``early_stopping`` holds out.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates, in [0, 1), of the first and the second moment of Adam and its relatives. These
        are moving averages of the gradient and of its square.
    epsilon : float, default=1e-8
        Number > 0 that is added to the divisor of Adam's steps, so that it is never 0.
    n_iter_no_change : int or inf, default=10
        Number of epochs without progress that are tolerated, >= 1. Training stops when more epochs
        in a row have made no progress. With inf it lasts for ``max_iter`` epochs.
    max_fun : int, default=15000
        Maximum number of times that 'lbfgs' evaluates the loss, >= 1.
    n_jobs : int or None, default=None
        Maximum number of threads for one fit or prediction. None means 1, unless a
        :func:`joblib.parallel_config` says otherwise. -1 means all cores. Fewer threads are used
        where more would be slower, as in small networks. Results have the same bits for every
        value.
    quantile : float or list of float, default=0.5
        Quantiles that ``loss='quantile'`` predicts, each in (0, 1). For several quantiles, one
        network has an output for each. :func:`sknet.metrics.make_pinball_scorer` scores them.
    non_crossing : bool, default=False
        Whether ``loss='quantile'`` keeps the predicted quantiles in increasing order.
    huber_delta : float, default=1.0
        Size of the error, > 0, above which ``loss='huber'`` grows linearly, in the units of y.
    weight_init : str or callable, default='auto'
        How the initial weights are drawn: a name of :mod:`sknet.initialization`, or a function of
        ``fan_in, fan_out, random_state``. The function returns weights of shape (fan_in, fan_out),
        or a tuple of weights and biases. 'auto' chooses by the activation. For scikit-learn's four
        activations, it draws the weights that scikit-learn draws.
    l1_ratio : float, default=0.0
        Fraction of ``alpha``, in [0, 1], that is an L1 penalty. This is ``alpha * l1_ratio`` times
        the sum of absolute weights, and sets many weights to exactly 0. Not for 'lbfgs'.
    dropout : float or list of float, default=0.0
        Probability, in [0, 1), with which a hidden unit is left out of a training step. A larger
        value reduces overfitting. A list has one probability for each hidden layer. Not for
        'lbfgs'.
    input_noise : float, default=0.0
        Standard deviation, >= 0, of the noise that is added to X in each training step, in the
        units of X. Not for 'lbfgs', nor for sparse X.
    weight_decay : float, default=0.01
        Decoupled weight decay of 'adamw' and 'lion', >= 0. Each step multiplies the weights, but
        not the biases, by ``1 - rate * weight_decay``, where ``rate`` is the learning rate.
    gradient_clip_norm : float or None, default=None
        Maximum norm, > 0, of the gradient with respect to all parameters together. A larger
        gradient is scaled down to this norm. Use it if single steps make the loss jump. None does
        not clip. Not for 'lbfgs'.
    ema_decay : float or None, default=None
        Decay, in [0, 1), of an exponential moving average of the parameters over all steps. The
        fitted weights are then this average, which varies less than the weights themselves. None
        keeps no average. Not for 'lbfgs'.
    warmup_fraction : float, default=0.0
        Fraction of the ``max_iter`` epochs, in [0, 1), in which the learning rate first rises from
        0.
    decay_rate : float, default=0.95
        Factor, in (0, 1], of the schedules 'exponential' and 'step'. 'exponential' applies it once
        per epoch, and 'step' applies it every ``decay_epochs`` epochs.
    decay_epochs : int, default=10
        Number of epochs, >= 1, between two decreases of the schedule 'step'.
    scoring : str, callable or None, default=None
        How validation data are scored: by a scorer of scikit-learn, or by 'loss' for the negative
        loss. None means R2, or D2 with ``loss='quantile'``, as in `score`.
    restore_best : bool or None, default=None
        Whether to keep the weights of the best epoch instead of the last one. With validation
        data, the best epoch is that of the highest validation score. Otherwise it is that of the
        lowest training loss, which is the mean of the losses before each step of an epoch. None
        means to do so with ``early_stopping``. Not used by `partial_fit`.
    training_scoring : str, callable or None, default=None
        How the training data, without held-out rows, are scored after each epoch: by a scorer of
        scikit-learn, such as 'accuracy' or 'r2', or by 'loss' for the negative loss without
        penalties. This does not change the weights. It takes one more prediction of these data for
        each epoch. None does not score them.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weight matrix of each layer. Weights and biases may be set by hand before `partial_fit`,
        before a warm start or before `predict`.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases of each layer.
    loss_ : float
        Training loss of the last epoch: the mean over samples, with penalties.
    best_loss_ : float or None
        Lowest training loss of an epoch. None with ``early_stopping``.
    loss_curve_ : list of float
        Training loss of each epoch or iteration.
    learning_rate_curve_ : list of float
        Mean learning rate of each epoch. Empty for 'lbfgs'.
    history_ : dict of str to list
        All curves as a table. ``history_.as_frame()`` returns it as a data frame of pandas.
    validation_loss_curve_ : list of float or None
        Loss of the validation data after each epoch, without penalties. None without such data.
    validation_scores_ : list of float or None
        Score of the validation data after each epoch. None without such data.
    best_validation_score_ : float or None
        Highest of these scores.
    training_scores_ : list of float
        Score of the training data after each epoch. It exists only with ``training_scoring``.
    n_iter_ : int
        Number of epochs or iterations of the last call.
    t_ : int
        Number of training samples seen in all calls.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. It exists only if X was a data frame whose column names are strings.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of units of the last layer.
    out_activation_ : str
        Name of the inverse link, the function that turns raw scores into predictions.

    See Also
    --------
    MLPClassifier : The same network for class labels.
    TabularMLPRegressor : An ensemble for tables, which scales X and y and needs no tuning.

    Notes
    -----
    y is taken as it is. Unless its values are about 1, scale it, for example with
    :class:`~sklearn.compose.TransformedTargetRegressor`. With the default parameters and prices of
    houses in dollars (the 932 of Sacramento, in five folds), the root mean squared error is 2.13
    standard deviations of y. With standardised y it is 0.57.

    Predictions use the weights, the loss and the activations that were fitted. `set_params` changes
    predictions only after the next `fit`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sknet import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> net = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", alpha=100, max_iter=2000,
    ...                    random_state=0)
    >>> model = make_pipeline(StandardScaler(), net).fit(X_train, y_train)
    >>> round(model.score(X_test, y_test), 1)
    0.3
    """

    _parameter_constraints = CONSTRAINTS | FOR_NUMBERS

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | str | Sequence[int] | np.ndarray = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: str | Callable[[float], float] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int | Literal["progress"] = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        n_jobs: int | None = None,
        quantile: float | Sequence[float] | np.ndarray = 0.5,
        non_crossing: bool = False,
        huber_delta: float = 1.0,
        weight_init: str | Callable[..., Any] = "auto",
        l1_ratio: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        input_noise: float = 0.0,
        weight_decay: float = 0.01,
        gradient_clip_norm: float | None = None,
        ema_decay: float | None = None,
        warmup_fraction: float = 0.0,
        decay_rate: float = 0.95,
        decay_epochs: int = 10,
        scoring: str | Callable[..., float] | None = None,
        restore_best: bool | None = None,
        training_scoring: str | Callable[..., float] | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.n_jobs = n_jobs
        self.quantile = quantile
        self.non_crossing = non_crossing
        self.huber_delta = huber_delta
        self.weight_init = weight_init
        self.l1_ratio = l1_ratio
        self.dropout = dropout
        self.input_noise = input_noise
        self.weight_decay = weight_decay
        self.gradient_clip_norm = gradient_clip_norm
        self.ema_decay = ema_decay
        self.warmup_fraction = warmup_fraction
        self.decay_rate, self.decay_epochs = decay_rate, decay_epochs
        self.scoring = scoring
        self.restore_best = restore_best
        self.training_scoring = training_scoring

    def _encode(
        self, y: np.ndarray, *, is_incremental: bool, classes: Any
    ) -> tuple[NumericTargets, np.ndarray]:
        name, settings = self._loss_before_fit()
        targets = NumericTargets(Loss.get(name), settings)
        return targets, targets.encode(y)

    def _loss_before_fit(self) -> tuple[str, list[float]]:
        loss = Loss.find(self.loss, "numbers")
        return loss.name, loss.settings(vars(self))

    @available_if(can_fit_in_parts)
    @partial_fit_context
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train for one epoch on the given data, with one step for each minibatch.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None means that each is 1.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation data as for `fit`, which are scored after the epoch.

        Returns
        -------
        self : object
            The estimator, trained for one more epoch.

        Raises
        ------
        ValueError
            If ``early_stopping`` is set, or where `fit` raises one.
        """
        validation = GivenData(X_val, y_val, sample_weight_val)
        return self._fit(GivenData(X, y, sample_weight), validation, is_incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted numbers of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the dtype of the weights.
        """
        predicted, _ = self._scores(X, link=True)
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, or with ``loss='quantile'`` the mean D2 of the pinball losses.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample. None means that each is 1.

        Returns
        -------
        float
            A number of at most 1. The best constant prediction has the score 0.
        """
        predicted, state = self._scores(X, link=True)
        y = _as_columns(y, "y")
        name, settings = state.get("_fitted_loss") or self._loss_before_fit()
        targets = NumericTargets(Loss.get(name), settings)
        return targets.score_of_predictions(y, predicted, sample_weight)

    def __sklearn_tags__(self) -> Any:
        """Return the tags, which say that several targets are accepted."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        losses = [loss for loss in Loss.table.values() if loss.public == self.loss]
        tags.target_tags.positive_only = any(loss.positive_targets for loss in losses)
        return tags
