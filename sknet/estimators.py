"""The estimators: parameters, validation, target encoding, fitted attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import get_scorer_names, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sknet._html import NetworkHTML
from sknet.activations import Activation
from sknet.hidden_sizes import parse_hidden_layer_sizes
from sknet.initialization import Initializer, draw_layer
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

if TYPE_CHECKING:
    from sknet._network import Network


class Names(StrOptions):
    """The strings that a function returns when asked: parts may be added at run time."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names
        self.type, self.deprecated = str, set()

    @property
    def options(self) -> set[str]:
        """The strings that are allowed at present."""
        return set(self.names())


# Networks of fitted estimators, beside them rather than on them: they hold addresses of
# compiled code, which no pickle and no copy may carry away.
_networks: WeakKeyDictionary[BaseMLP, Network] = WeakKeyDictionary()

# Kernels, and with them Numba, are imported where they are first needed, so
# that `import sknet` costs little more than scikit-learn's own import.


def _is_stochastic(model: BaseMLP) -> Literal[True]:
    if model.solver not in Optimizer.table:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers "
            f"({', '.join(Optimizer.table)}). solver={model.solver!r} is not stochastic."
        )
    return True


class BaseMLP(NetworkHTML, BaseEstimator):
    """What classifier and regressor share: everything but the targets."""

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", str, Interval(Integral, 1, None, closed="left")],
        "activation": [Names(lambda: Activation.table), list, tuple],
        "solver": [Names(lambda: [*Optimizer.table, "lbfgs"])],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Names(lambda: Schedule.table), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [None, Integral],
        "weight_init": [Names(lambda: ["auto", *Initializer.table]), callable],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "input_noise": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "gradient_clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "ema_decay": [Interval(Real, 0, 1, closed="left"), None],
        "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
        "decay_rate": [Interval(Real, 0, 1, closed="right")],
        "decay_epochs": [Interval(Integral, 1, None, closed="left")],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
        "restore_best": ["boolean", None],
    }

    # What the two estimators fill in.

    def _encode(self, y: np.ndarray, incremental: bool, classes: Any = None) -> np.ndarray:
        """Return the targets that the loss takes, of shape (n_samples, n_targets)."""
        raise NotImplementedError

    def _count_outputs(self, targets: np.ndarray) -> int:
        """Return the number of units of the last layer."""
        raise NotImplementedError

    def _loss_part(self) -> type[Loss]:
        """Return the loss, once the targets are known."""
        raise NotImplementedError

    def _validation_score(self, scores: np.ndarray, targets: np.ndarray, weights: Any) -> float:
        """Return accuracy or R2 of raw scores."""
        raise NotImplementedError

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """Return what the validation split is stratified by."""
        return None

    # Training.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept, anything else becomes
            float64. CSR is used as it is, CSC is converted to it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: class labels, or numbers for regression.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None: all 1.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an input is outside its domain, or if training
            diverged to non-finite weights.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool, classes: Any = None
    ) -> Self:
        before = vars(self).copy()
        try:
            self._train(X, y, sample_weight, incremental, classes)
        except BaseException:
            # A call that fails leaves the model that an earlier one has fitted.
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        if not all(np.isfinite(w).all() for w in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed, for instance with "
                "sklearn.preprocessing.StandardScaler; or learning_rate_init="
                f"{self.learning_rate_init} is too large."
            )
        return self

    def _train(self, X: Any, y: Any, sample_weight: Any, incremental: bool, classes: Any) -> None:
        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: one pass over the data has no "
                "epochs to stop between. Set early_stopping=False, or call fit."
            )
        hidden = parse_hidden_layer_sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=(np.float64, np.float32) if first else self._network().params.dtype,
            order="C",
            multi_output=True,
            y_numeric=isinstance(self, RegressorMixin),
            reset=first,
        )
        if sp.issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        weights = _validate_weights(sample_weight, X)
        random_state = check_random_state(self.random_state)
        targets = self._encode(y, incremental, classes).astype(X.dtype, copy=False, order="C")
        n_outputs = self._count_outputs(targets)
        if first:
            self.n_outputs_ = n_outputs
            self._initialize((X.shape[1], *hidden, self.n_outputs_), X.dtype, random_state)
        elif n_outputs != self.n_outputs_:
            raise ValueError(
                f"y has {n_outputs} outputs, but the network fitted before has "
                f"{self.n_outputs_}. Give the same outputs, or fit anew with warm_start=False."
            )
        if self.solver == "lbfgs":
            self._train_lbfgs(X, targets, weights)
        else:
            is_weighted = sample_weight is not None
            self._train_stochastic(
                X, targets, weights, is_weighted, random_state, first, incremental
            )

    def _activations(self, n_hidden: int) -> list[type[Activation]]:
        """Return the activation of each hidden layer."""
        if isinstance(self.activation, str):
            return [Activation.table[self.activation]] * n_hidden
        names = list(self.activation)
        if len(names) != n_hidden or any(name not in Activation.table for name in names):
            raise ValueError(
                f"activation={self.activation!r} must be one name, or one for each of the "
                f"{n_hidden} hidden layers, out of {sorted(Activation.table)}."
            )
        return [Activation.table[name] for name in names]

    def _initialize(
        self, units: tuple[int, ...], dtype: Any, random_state: np.random.RandomState
    ) -> None:
        """Draw weights and clear what earlier training has recorded."""
        from sknet._network import Layout

        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = self._loss_part().out_activation
        activations = self._activations(len(units) - 2)
        activations.append(activations[-1] if activations else self._activations(1)[0])
        layers = [
            draw_layer(self.weight_init, random_state, *pair, activation)
            for pair, activation in zip(pairwise(units), activations, strict=True)
        ]
        layout = Layout(units)
        params = layout.join(*zip(*layers, strict=True)).astype(dtype, copy=False)
        self.coefs_, self.intercepts_ = layout.split(params)
        if self.solver in Optimizer.table:
            self._initialize_records()

    def _initialize_records(self) -> None:
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _network(self, loss: type[Loss] | None = None) -> Network:
        """Return the network of the fitted weights, whoever set them."""
        from sknet._network import Layout, Network

        loss = loss or self._loss_part()
        parts = self._activations(len(self.coefs_) - 1), loss, loss.settings(vars(self))
        network = _networks.get(self)
        if network is None or not network.is_made_of(self.coefs_, self.intercepts_, *parts):
            hidden = [n for W in self.coefs_[:-1] for n in np.shape(W)[-1:]]
            layout = Layout([self.n_features_in_, *hidden, self.n_outputs_])
            params = layout.join(self.coefs_, self.intercepts_)
            if params.dtype not in (np.float64, np.float32):
                params = params.astype(np.float64)
            network = _networks[self] = Network(layout, params, *parts)
        return network

    def _take_weights(self, network: Network) -> None:
        """Show the network's weights as fitted attributes."""
        self.coefs_, self.intercepts_ = list(network.coefs), list(network.intercepts)

    def _train_lbfgs(self, X: Any, targets: np.ndarray, weights: np.ndarray) -> None:
        from sknet import _lbfgs
        from sknet._network import Network, as_kernel_input
        from sknet._training import Data

        # In float64 throughout: a line search compares losses too close for float32.
        fitted = self._network()
        params = fitted.params.astype(np.float64)
        network = Network(fitted.layout, params, fitted.activations, fitted.loss, fitted.settings)
        X, targets, weights = (v.astype(np.float64, copy=False) for v in (X, targets, weights))
        _lbfgs.run(self, network, Data(as_kernel_input(X), targets, weights))
        fitted.params[:] = network.params
        self._take_weights(fitted)

    def _train_stochastic(
        self,
        X: Any,
        targets: np.ndarray,
        weights: np.ndarray,
        is_weighted: bool,
        random_state: np.random.RandomState,
        first: bool,
        incremental: bool,
    ) -> None:
        from sknet import _fit
        from sknet._network import as_kernel_input
        from sknet._training import Data
        from sknet.monitoring import LossMonitor, ScoreMonitor

        network = self._network()
        hyperparameters = self.get_params(deep=False)
        # Moments of a network of other sizes (drawn for L-BFGS, or set by hand) are of no use.
        kept = getattr(self, "_optimizer", None) if incremental else None
        if kept is None or kept.slots.size != kept.n_slots * network.params.size:
            optimizer = Optimizer.table[self.solver]
            self._optimizer = optimizer.start(hyperparameters, network.params)
        self._optimizer.slots = self._optimizer.slots.astype(network.params.dtype, copy=False)
        # As in scikit-learn, of the optimisers only gradient descent has a schedule.
        schedule = Schedule.table[self.learning_rate if self.solver == "sgd" else "constant"]
        watched = "best_validation_score_" if self.early_stopping else "best_loss_"
        if getattr(self, watched, None) is None:  # trained before, but not in this way
            self._initialize_records()

        rows = np.arange(X.shape[0])
        monitor: LossMonitor | ScoreMonitor = LossMonitor(self)
        if self.early_stopping:
            rows, held_out = self._hold_out(rows, targets, random_state)
            X_val, y_val = as_kernel_input(X[held_out]), targets[held_out]
            w_val = weights[held_out] if is_weighted else None
            monitor = ScoreMonitor(
                self,
                lambda network: self._validation_score(network.scores(X_val), y_val, w_val),
                network.params.copy() if first else None,
            )
            if w_val is not None and not w_val.any():
                raise ValueError(
                    "sample_weight is zero for all samples of the validation set, which leaves "
                    "nothing to score. Increase 'validation_fraction', or leave out samples of "
                    "weight 0."
                )
        _fit.run(
            self,
            network,
            self._optimizer,
            schedule.start(hyperparameters),
            monitor,
            Data(as_kernel_input(X), targets, weights),
            rows,
            random_state,
            incremental=incremental,
        )
        self._take_weights(network)

    def _hold_out(
        self, rows: np.ndarray, targets: np.ndarray, random_state: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        try:
            train, held_out = train_test_split(
                rows,
                random_state=random_state,
                test_size=self.validation_fraction,
                stratify=self._strata(targets),
            )
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} of {rows.size} samples cannot be "
                f"set aside for early_stopping: {error} Change 'validation_fraction', give more "
                "samples, or set early_stopping=False."
            ) from error
        if held_out.size < 2:
            raise ValueError(
                "The validation set is too small: validation_fraction="
                f"{self.validation_fraction} of {rows.size} samples leaves {held_out.size}, and "
                "at least 2 are needed. Increase 'validation_fraction' or the size of your dataset."
            )
        return train, held_out

    # Prediction.

    def _scores(self, X: Any, *, link: bool = False) -> np.ndarray:
        """Return raw scores, or predictions, of shape (n_samples, n_outputs)."""
        from sknet._network import as_kernel_input

        if not hasattr(self, "coefs_"):  # asked first: check_is_fitted costs more than a row
            check_is_fitted(self, "coefs_")
        # As in scikit-learn the link is the one of training, whatever `loss` is set to since.
        fitted = (p for p in Loss.table.values() if p.out_activation == self.out_activation_)
        network = self._network(next(fitted))
        if not self._is_plain(X, network.params.dtype):
            X = validate_data(
                self, X, accept_sparse="csr", dtype=network.params.dtype, order="C", reset=False
            )
        return network.scores(as_kernel_input(X), link=link, n_jobs=self.n_jobs)

    def _is_plain(self, X: Any, dtype: np.dtype) -> bool:
        """Return whether X is what `validate_data` would return, so that serving can do without.

        Anything else goes through `validate_data`, and gets its conversions,
        warnings and errors.
        """
        return (
            type(X) is np.ndarray
            and X.dtype == dtype
            and X.ndim == 2
            and X.shape[0] > 0
            and X.shape[1] == self.n_features_in_
            and X.flags.c_contiguous
            and X.flags.aligned
            and not hasattr(self, "feature_names_in_")
            and bool(np.isfinite(X.sum()) or np.isfinite(X).all())
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle or a copy, its weights in one flat vector again."""
        super().__setstate__(state)
        if hasattr(self, "coefs_"):
            self._take_weights(self._network())
        if hasattr(self, "_optimizer"):
            # A memory map of a file would be read-only, or training would write to the file.
            self._optimizer.slots = np.array(self._optimizer.slots)

    def __sklearn_tags__(self) -> Any:
        """Return the tags: sparse input is accepted, several targets as well."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _validate_weights(sample_weight: Any, X: Any) -> np.ndarray:
    """Return one weight for each row of X, in its dtype; ones for None."""
    weights = _check_sample_weight(sample_weight, X, dtype=X.dtype)
    if isinstance(sample_weight, Real) and not np.isfinite(weights[0]):
        raise ValueError(f"sample_weight={sample_weight} is not a finite number.")
    if weights.min() < 0:
        raise ValueError(
            f"sample_weight has negative values (the least is {weights.min():g}); weights must be "
            ">= 0. Leave out samples that are not to count, or give them weight 0."
        )
    if not weights.any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number: all of sample_weight is "
            "zero, which leaves nothing to learn from."
        )
    return weights


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron for classification, trained on the log-loss.

    A drop-in for scikit-learn's estimator of the same name: the same
    parameters, the same fitted attributes and, for the same ``random_state``
    in float64, the same model.

    Parameters
    ----------
    hidden_layer_sizes : int, array-like of shape (n_hidden_layers,) or str, default=(100,)
        Units of each hidden layer, each >= 1. ``()`` is a linear model. As a
        string they are joined by '-', as in ``'100-50'``.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Function of the hidden units; formulas in :mod:`sknet.activations`.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        What minimises the loss: 'adam' and 'sgd' by steps on batches (see
        :mod:`sknet.optimizers`), 'lbfgs' by a quasi-Newton method on all data
        at once, often the better choice below a thousand samples.
    alpha : float, default=0.0001
        L2 penalty, >= 0: ``alpha / 2`` times the sum of squared weights (biases
        left out), divided by the batch's number of samples (sum of weights).
    batch_size : int or 'auto', default='auto'
        Samples in each step, clipped to what there are; the last batch of an
        epoch may be shorter. 'auto' is ``min(200, n_samples)``. Not used by
        'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the learning rate for ``solver='sgd'``; see
        :mod:`sknet.schedules`.
    learning_rate_init : float, default=0.001
        First learning rate, > 0. Not used by 'lbfgs'.
    power_t : float, default=0.5
        Exponent of the 'invscaling' schedule, >= 0.
    max_iter : int, default=200
        Most epochs (passes over the data), or for 'lbfgs' iterations.
    shuffle : bool, default=True
        Whether the samples are shuffled before each epoch.
    random_state : int, RandomState instance or None, default=None
        Seed of first weights, validation split and shuffling. The same int
        gives the same model as scikit-learn's estimator.
    tol : float, default=1e-4
        What counts as progress: a training loss lower, or with
        ``early_stopping`` a validation score higher, than the best by this
        much. For 'lbfgs' the greatest component of the gradient at which to
        stop.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights it finds, instead of new ones.
    momentum : float, default=0.9
        Momentum of ``solver='sgd'``, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to set data aside, score them after each epoch
        (accuracy), stop when the score no longer improves,
        and keep the weights of the best epoch. Not used by 'lbfgs'.
    validation_fraction : float, default=0.1
        Share of the data set aside for that, in [0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of Adam's moments, in [0, 1).
    epsilon : float, default=1e-8
        Adam's guard against division by zero, > 0.
    n_iter_no_change : int or inf, default=10
        Epochs in a row without progress after which training stops.
    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.
    n_jobs : int, default=None
        Most threads inside one fit or prediction. None is 1 unless a
        :func:`joblib.parallel_config` says more, -1 all cores. Threads that
        would slow a small network down stay idle, and the result is the same
        to the last bit for every value.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel targets the labels' indices.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights, layer by layer. Like the biases they may be set by hand before
        `partial_fit` or a warm start.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases, layer by layer.
    loss_ : float
        Last training loss: mean over samples, with the penalty, in nats.
    best_loss_ : float or None
        Least training loss; None with ``early_stopping``.
    loss_curve_ : list of float
        Training loss of each epoch.
    validation_scores_ : list of float or None
        Validation score of each epoch, with ``early_stopping``.
    best_validation_score_ : float or None
        The best of them.
    n_iter_ : int
        Epochs or iterations of the last call.
    t_ : int
        Training samples seen, over all calls.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X was a data frame with names that are strings.
    n_layers_ : int
        Layers, input and output among them.
    n_outputs_ : int
        Units of the last layer.
    out_activation_ : str
        What makes predictions of raw scores.

    See Also
    --------
    MLPRegressor : The same network for numbers.

    Notes
    -----
    Targets of two classes have one output, of several classes one for each,
    with a softmax; multilabel targets (an indicator matrix) have one output
    for each label.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sknet import MLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = MLPClassifier(random_state=0).fit(X_train, y_train)
    >>> clf.predict(X_test[:5])
    array([2, 8, 2, 6, 6])
    >>> round(clf.score(X_test, y_test), 2)
    0.97
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseMLP._parameter_constraints,
        "loss": [Names(lambda: Loss.choices("codes", "indicators"))],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "focal_gamma": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        n_jobs=None,
        loss="log_loss",
        class_weight=None,
        label_smoothing=0.0,
        focal_gamma=2.0,
        weight_init="auto",
        l1_ratio=0.0,
        dropout=0.0,
        input_noise=0.0,
        weight_decay=0.01,
        gradient_clip_norm=None,
        ema_decay=None,
        warmup_fraction=0.0,
        decay_rate=0.95,
        decay_epochs=10,
        scoring=None,
        restore_best=None,
    ):
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.n_jobs = n_jobs
        self.loss = loss
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma
        self.weight_init = weight_init
        self.l1_ratio = l1_ratio
        self.dropout = dropout
        self.input_noise = input_noise
        self.weight_decay = weight_decay
        self.gradient_clip_norm = gradient_clip_norm
        self.ema_decay = ema_decay
        self.warmup_fraction = warmup_fraction
        self.decay_rate = decay_rate
        self.decay_epochs = decay_epochs
        self.scoring = scoring
        self.restore_best = restore_best

    def _encode(self, y: Any, incremental: bool, classes: Any = None) -> np.ndarray:
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        is_multilabel = kind.startswith("multilabel")
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y has several columns of class labels (multiclass-multioutput), which one network "
                "does not take: give one column, or an indicator matrix of 0 and 1, or wrap the "
                "estimator in sklearn.multioutput.MultiOutputClassifier."
            )
        if incremental and _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer().fit(y if is_multilabel else classes)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            before = self._label_binarizer.y_type_
            if is_multilabel != before.startswith("multilabel") or (
                is_multilabel and y.shape[1] != len(self.classes_)
            ):
                raise ValueError(
                    f"y of shape {y.shape} is of the kind {kind!r}, but the labels fitted before "
                    f"are {before!r} with the classes {self.classes_}. Give labels of the same "
                    "kind, or call fit with warm_start=False."
                )
            self._check_known_classes(unique_labels(y))
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return self._label_binarizer.transform(y)
        return np.searchsorted(self.classes_, y).reshape(-1, 1)

    def _check_known_classes(self, classes: np.ndarray) -> None:
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        unknown = np.setdiff1d(classes, self.classes_, assume_unique=True)
        if len(unknown):
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {unknown}. `self.classes_` has "
                f"{self.classes_}. 'y' has {classes}. Name all classes in the first call of "
                "partial_fit."
            )

    def _is_multiclass(self) -> bool:
        return self._label_binarizer.y_type_ == "multiclass"

    def _count_outputs(self, targets: np.ndarray) -> int:
        return len(self.classes_) if self._is_multiclass() else targets.shape[1]

    def _loss_part(self) -> type[Loss]:
        return Loss.find(self.loss, "codes" if self._is_multiclass() else "indicators")

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        # Two classes only, although scikit-learn's documentation says "except multilabel".
        return targets[:, 0] if self.n_outputs_ == 1 else None

    def _validation_score(self, scores: np.ndarray, targets: np.ndarray, weights: Any) -> float:
        # accuracy_score's definition, on codes: decoding labels at every epoch would cost
        # more than the epoch.
        if self._is_multiclass():
            correct = scores.argmax(axis=1) == targets[:, 0]
        else:
            correct = ((scores > 0) == (targets > 0)).all(axis=1)
        return float(np.average(correct, weights=weights))

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Pass once over the given data, one step for each batch.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or an indicator matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None: all 1.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will see; needed in the first call.

        Returns
        -------
        self : object
            The estimator, trained one epoch further.

        Raises
        ------
        ValueError
            If the first call names no classes, `y` has others, or
            ``early_stopping`` is set; and as `fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return raw scores: the log-odds of each class, before softmax or logistic.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            For two classes one score a sample, that of ``classes_[1]``.
        """
        scores = self._scores(X)
        return scores[:, 0] if self.n_outputs_ == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or an indicator matrix.
        """
        scores = self._scores(X)
        return self._label_binarizer.inverse_transform(scores, threshold=0)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``, in the dtype of the weights. For
            multilabel targets the probability of each label.
        """
        p = self._scores(X, link=True)
        if len(self.classes_) == 1:
            return np.ones_like(p)
        return np.hstack([1 - p, p]) if self.n_outputs_ == 1 else p

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`, -inf where that is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In nats, in the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):  # log(0) is -inf, as there
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        """Return the tags: multilabel targets are accepted."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron for regression, trained on squared error or Poisson deviance.

    A drop-in for scikit-learn's estimator of the same name: the same
    parameters, the same fitted attributes and, for the same ``random_state``
    in float64, the same model.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        What is minimised; formulas in :mod:`sknet.losses`. 'poisson' is for
        counts and rates, y >= 0, and predicts the exponential of its score.
    hidden_layer_sizes : int, array-like of shape (n_hidden_layers,) or str, default=(100,)
        Units of each hidden layer, each >= 1. ``()`` is a linear model. As a
        string they are joined by '-', as in ``'100-50'``.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Function of the hidden units; formulas in :mod:`sknet.activations`.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        What minimises the loss: 'adam' and 'sgd' by steps on batches (see
        :mod:`sknet.optimizers`), 'lbfgs' by a quasi-Newton method on all data
        at once, often the better choice below a thousand samples.
    alpha : float, default=0.0001
        L2 penalty, >= 0: ``alpha / 2`` times the sum of squared weights (biases
        left out), divided by the batch's number of samples (sum of weights).
    batch_size : int or 'auto', default='auto'
        Samples in each step, clipped to what there are; the last batch of an
        epoch may be shorter. 'auto' is ``min(200, n_samples)``. Not used by
        'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the learning rate for ``solver='sgd'``; see
        :mod:`sknet.schedules`.
    learning_rate_init : float, default=0.001
        First learning rate, > 0. Not used by 'lbfgs'.
    power_t : float, default=0.5
        Exponent of the 'invscaling' schedule, >= 0.
    max_iter : int, default=200
        Most epochs (passes over the data), or for 'lbfgs' iterations.
    shuffle : bool, default=True
        Whether the samples are shuffled before each epoch.
    random_state : int, RandomState instance or None, default=None
        Seed of first weights, validation split and shuffling. The same int
        gives the same model as scikit-learn's estimator.
    tol : float, default=1e-4
        What counts as progress: a training loss lower, or with
        ``early_stopping`` a validation score higher, than the best by this
        much. For 'lbfgs' the greatest component of the gradient at which to
        stop.
    verbose : bool or int, default=False
        Whether to print the loss of each epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights it finds, instead of new ones.
    momentum : float, default=0.9
        Momentum of ``solver='sgd'``, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to set data aside, score them after each epoch
        (R2), stop when the score no longer improves,
        and keep the weights of the best epoch. Not used by 'lbfgs'.
    validation_fraction : float, default=0.1
        Share of the data set aside for that, in [0, 1).
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of Adam's moments, in [0, 1).
    epsilon : float, default=1e-8
        Adam's guard against division by zero, > 0.
    n_iter_no_change : int or inf, default=10
        Epochs in a row without progress after which training stops.
    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.
    n_jobs : int, default=None
        Most threads inside one fit or prediction. None is 1 unless a
        :func:`joblib.parallel_config` says more, -1 all cores. Threads that
        would slow a small network down stay idle, and the result is the same
        to the last bit for every value.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights, layer by layer. Like the biases they may be set by hand before
        `partial_fit` or a warm start.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases, layer by layer.
    loss_ : float
        Last training loss: mean over samples, with the penalty.
    best_loss_ : float or None
        Least training loss; None with ``early_stopping``.
    loss_curve_ : list of float
        Training loss of each epoch.
    validation_scores_ : list of float or None
        Validation score of each epoch, with ``early_stopping``.
    best_validation_score_ : float or None
        The best of them.
    n_iter_ : int
        Epochs or iterations of the last call.
    t_ : int
        Training samples seen, over all calls.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X was a data frame with names that are strings.
    n_layers_ : int
        Layers, input and output among them.
    n_outputs_ : int
        Units of the last layer.
    out_activation_ : str
        What makes predictions of raw scores.

    See Also
    --------
    MLPClassifier : The same network for class labels.

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

    _parameter_constraints: ClassVar[dict] = {
        **BaseMLP._parameter_constraints,
        "loss": [Names(lambda: Loss.choices("numbers"))],
        "quantile": [Interval(Real, 0, 1, closed="neither"), list, tuple, np.ndarray],
        "non_crossing": ["boolean"],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        n_jobs=None,
        quantile=0.5,
        non_crossing=False,
        huber_delta=1.0,
        weight_init="auto",
        l1_ratio=0.0,
        dropout=0.0,
        input_noise=0.0,
        weight_decay=0.01,
        gradient_clip_norm=None,
        ema_decay=None,
        warmup_fraction=0.0,
        decay_rate=0.95,
        decay_epochs=10,
        scoring=None,
        restore_best=None,
    ):
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
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
        self.decay_rate = decay_rate
        self.decay_epochs = decay_epochs
        self.scoring = scoring
        self.restore_best = restore_best

    def _encode(self, y: Any, incremental: bool, classes: Any = None) -> np.ndarray:
        if y.dtype.kind not in "biuf":
            raise ValueError(
                f"y must hold numbers, got {y.dtype}. For class labels use MLPClassifier."
            )
        self._loss_part().check_targets(y)
        return y.reshape(len(y), -1)

    def _count_outputs(self, targets: np.ndarray) -> int:
        return targets.shape[1]

    def _loss_part(self) -> type[Loss]:
        return Loss.find(self.loss, "numbers")

    def _validation_score(self, scores: np.ndarray, targets: np.ndarray, weights: Any) -> float:
        loss = self._loss_part()
        loss.link(scores, np.array(loss.settings(vars(self))))
        if not np.isfinite(scores).all():
            return np.nan
        return r2_score(targets, scores, sample_weight=weights)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Pass once over the given data, one step for each batch.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None: all 1.

        Returns
        -------
        self : object
            The estimator, trained one epoch further.

        Raises
        ------
        ValueError
            If ``early_stopping`` is set; and as `fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the dtype of the weights.
        """
        y = self._scores(X, link=True)
        return y[:, 0] if y.shape[1] == 1 else y

    def __sklearn_tags__(self) -> Any:
        """Return the tags: several targets are accepted."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
