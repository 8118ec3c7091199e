"""The estimators: parameters, validation, target encoding, fitted attributes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import check_scoring, d2_pinball_score, get_scorer_names, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import _safe_indexing, check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sknet.activations import Activation
from sknet.estimators.html import NetworkHTML
from sknet.hidden_sizes import parse_hidden_layer_sizes
from sknet.initialization import Initializer, draw_layer
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule, schedule_for

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for what is not there."""


if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.epoch import Data, Recipe
    from sknet._training.monitor import History, Monitor, Tasks, Validation


class Names(StrOptions):
    """The strings that a function returns when asked: parts may be added at run time."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self.names = names
        self.type = str
        self.deprecated: set[str] = set()
        self.hidden = False

    @property
    def options(self) -> list[str]:
        """The strings that are allowed at present."""
        return sorted(self.names())


# Attributes that scikit-learn's callbacks keep on an estimator while it is fitted.
_OF_CALLBACKS = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")

# Attributes that a warm start and `partial_fit` go on writing to.
_GOES_ON = (
    "coefs_", "intercepts_", "loss_curve_", "learning_rate_curve_", "validation_scores_",
    "validation_loss_curve_", "_optimizer", "_averaging",
)  # fmt: skip

# Networks of fitted estimators, beside them rather than on them: they hold addresses of
# compiled code, which no pickle and no copy may carry away.
_networks: WeakKeyDictionary[BaseMLP, Network] = WeakKeyDictionary()

# Kernels, and with them Numba, are imported where they are first needed, so
# that `import sknet` costs little more than scikit-learn's own import.


def _can_fit_in_parts(model: BaseMLP) -> Literal[True]:
    if model.solver not in Optimizer.table:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers "
            f"({', '.join(Optimizer.table)}). solver={model.solver!r} is not stochastic."
        )
    if getattr(model, "class_weight", None) == "balanced":
        raise AttributeError(
            "class_weight='balanced' is not for partial_fit, which sees a part of the data at a "
            "time. Give the weights of all data: sklearn.utils.class_weight.compute_class_weight("
            "'balanced', classes=classes, y=y) as a dict."
        )
    return True


def _has_probabilities(model: MLPClassifier) -> Literal[True]:
    if model.loss == "hinge":
        raise AttributeError(
            "loss='hinge' has no probabilities. Use decision_function, or wrap the estimator in "
            "sklearn.calibration.CalibratedClassifierCV."
        )
    return True


class BaseMLP(NetworkHTML, CallbackSupportMixin, BaseEstimator):
    """What classifier and regressor share: everything but the targets."""

    _trained_by: tuple[str, list[float]]  # loss and its settings

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
        "verbose": ["verbose", StrOptions({"progress"})],
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

    def _targets_of(self, y: np.ndarray) -> np.ndarray:
        """Return them for labels or numbers of the kind that is known by now."""
        raise NotImplementedError

    def _weights_of_classes(self, y: np.ndarray) -> list[np.ndarray]:
        """Return the weights of classes, for each column of targets; none by default."""
        return []

    def _weigh(self, weights: np.ndarray, y: np.ndarray, by_class: list[np.ndarray]) -> np.ndarray:
        """Return weights of samples times those of their classes."""
        if not by_class:
            return weights
        codes = self._targets_of(y)
        for column, table in zip(codes.T, by_class, strict=True):
            weights = weights * table[column].astype(weights.dtype)
        if not weights.any():
            raise ValueError(
                f"class_weight={self.class_weight} leaves a weight of zero for all samples. Give "
                "at least one of their classes a weight above 0."
            )
        return weights

    def _count_outputs(self, targets: np.ndarray) -> int:
        """Return the number of units of the last layer."""
        raise NotImplementedError

    def _loss_part(self) -> type[Loss]:
        """Return the loss, once the targets are known."""
        raise NotImplementedError

    def _validation_score(
        self, network: Network, scores: np.ndarray, targets: np.ndarray, weights: Any
    ) -> float:
        """Return accuracy or R2 of raw scores."""
        raise NotImplementedError

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """Return what the validation split is stratified by."""
        return None

    # Training.

    @_fit_context(prefer_skip_nested_validation=True)
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
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data, scored after each epoch; with ``early_stopping``
            used instead of a part of X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights. None: all 1.

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
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=False)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        *,
        incremental: bool,
        classes: Any = None,
    ) -> Self:
        before = self._state(incremental)
        try:
            self._train(X, y, sample_weight, validation, incremental, classes)
        except BaseException:
            # A call that fails leaves the model that an earlier one has fitted. Callbacks
            # have still to be told that it ended.
            of_callbacks = {k: v for k, v in vars(self).items() if k in _OF_CALLBACKS}
            self.__dict__.clear()
            self.__dict__.update(before | of_callbacks)
            raise
        if not all(np.isfinite(w).all() for w in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed, for instance with "
                "sklearn.preprocessing.StandardScaler; or learning_rate_init="
                f"{self.learning_rate_init} is too large."
            )
        return self

    def _state(self, incremental: bool) -> dict[str, Any]:
        """Return what to go back to should a call fail: copies of what it goes on writing to."""
        state = vars(self).copy()
        if hasattr(self, "coefs_") and (self.warm_start or incremental):
            state |= {name: copy.deepcopy(v) for name, v in state.items() if name in _GOES_ON}
        return state

    def _train(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any],
        incremental: bool,
        classes: Any,
    ) -> None:
        from sknet._network.network import as_kernel_input
        from sknet._training.epoch import Data
        from sknet._training.monitor import Tasks

        if incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True: one pass over the data has no "
                "epochs to stop between. Set early_stopping=False, or call fit."
            )
        hidden = parse_hidden_layer_sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        dtype: Any = (np.float64, np.float32)
        if not first:
            dtype = self._network().params.dtype
        given = X, y, sample_weight
        X, y = self._validate(X, y, dtype, first)
        weights = _validate_weights(sample_weight, X)
        random_state = check_random_state(self.random_state)
        targets = self._encode(y, incremental, classes).astype(X.dtype, copy=False, order="C")
        by_class = self._weights_of_classes(y)
        weights = self._weigh(weights, y, by_class)
        n_outputs = self._count_outputs(targets)
        if first:
            self.n_outputs_ = n_outputs
            self._initialize((X.shape[1], *hidden, self.n_outputs_), X.dtype, random_state)
        elif n_outputs != self.n_outputs_:
            raise ValueError(
                f"y has {n_outputs} outputs, but the network fitted before has "
                f"{self.n_outputs_}. Give the same outputs, or fit anew with warm_start=False."
            )
        loss = self._loss_part()
        self._trained_by = (loss.name, loss.settings(vars(self)))
        self._check_recipe(X)
        rows = np.arange(X.shape[0])
        held_out = self._validation(*validation, targets.shape[1], by_class)
        is_validated = held_out is not None or self.early_stopping
        watched = self.best_validation_score_ if self.early_stopping else self.best_loss_
        if watched is None or (is_validated and self.validation_scores_ is None):
            self._start_watching(is_validated)  # trained before, but not in this way
        if held_out is None and self.early_stopping:
            rows, chosen = self._hold_out(rows, targets, random_state)
            held_out = self._validate_on(
                X[chosen],
                targets[chosen],
                weights[chosen],
                (_chosen_rows(given[0], X, chosen), y[chosen]),
                sample_weight is not None,
            )
            if not held_out.weights.any():
                raise ValueError(
                    "sample_weight is zero for all samples of the validation set, which leaves "
                    "nothing to score. Increase 'validation_fraction', or leave out samples of "
                    "weight 0."
                )
        tasks = None if incremental else Tasks(self, *given)
        data = Data(as_kernel_input(X), targets, weights)
        if self.solver == "lbfgs":
            assert tasks is not None  # partial_fit has refused
            self._train_lbfgs(data, rows, held_out, random_state, first, tasks)
        else:
            self._train_stochastic(data, rows, held_out, random_state, first, tasks)

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
        from sknet._network.network import Layout

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
        self.loss_curve_: list[float] = []
        self.learning_rate_curve_: list[float] = []
        self._start_watching(False)

    def _start_watching(self, is_validated: bool) -> None:
        """Begin records anew; those of a validation only if there is to be one."""
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if is_validated else None
        self.validation_loss_curve_: list[float] | None = [] if is_validated else None
        self.best_validation_score_ = -np.inf if is_validated else None

    def _network(self) -> Network:
        """Return the network of the fitted weights, whoever set them, with the loss of training."""
        from sknet._network.network import Layout, Network

        loss, settings = self._trained_by
        parts = self._activations(len(self.coefs_) - 1), Loss.table[loss], settings
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

    def _train_lbfgs(
        self,
        data: Data,
        rows: np.ndarray,
        validation: Validation | None,
        random_state: np.random.RandomState,
        first: bool,
        tasks: Tasks,
    ) -> None:
        from sknet._network.network import Network
        from sknet._training import lbfgs as _lbfgs
        from sknet._training.epoch import as_doubles

        # In float64 throughout: a line search compares losses too close for float32.
        fitted = self._network()
        params = fitted.params.astype(np.float64)
        network = Network(fitted.layout, params, fitted.activations, fitted.loss, fitted.settings)
        self._take_weights(network)  # for scorers and callbacks
        monitor = self._monitor(network, first, validation, tasks)
        validation = None if validation is None else as_doubles(validation)
        recipe = self._recipe(random_state)
        _lbfgs.run(self, network, recipe, monitor, validation, as_doubles(data), rows, tasks)
        fitted.params[:] = network.params
        self._take_weights(fitted)

    def _train_stochastic(
        self,
        data: Data,
        rows: np.ndarray,
        validation: Validation | None,
        random_state: np.random.RandomState,
        first: bool,
        tasks: Tasks | None,
    ) -> None:
        from sknet._training import trainer as _fit
        from sknet._training.averaging import Averaging

        network = self._network()
        self._take_weights(network)
        hyperparameters = self.get_params(deep=False)
        # Moments of a network of other sizes (drawn for L-BFGS, or set by hand) are of no use.
        kept = getattr(self, "_optimizer", None) if tasks is None else None
        if kept is None or kept.slots.size != kept.n_slots * network.params.size:
            optimizer = Optimizer.table[self.solver]
            self._optimizer = optimizer.start(hyperparameters, network.params)
            self._averaging = Averaging(self.ema_decay, network.params)
        if (self._averaging.mean is None) != (self.ema_decay is None):
            self._averaging = Averaging(self.ema_decay, network.params)
        self._averaging.as_own(network.params.dtype)
        self._optimizer.slots = self._optimizer.slots.astype(network.params.dtype, copy=False)
        _fit.run(
            self,
            network,
            self._optimizer,
            self._schedule(),
            self._recipe(random_state),
            self._averaging,
            self._monitor(network, first, validation, tasks),
            validation,
            data,
            rows,
            random_state,
            tasks,
        )
        self._take_weights(network)

    def _schedule(self) -> Schedule:
        """Return the schedule. As in scikit-learn, 'adam' ignores the two that 'sgd' has."""
        name = self.learning_rate
        if self.solver == "adam" and name in ("invscaling", "adaptive"):
            name = "constant"
        return schedule_for(name, vars(self))

    def _recipe(self, random_state: np.random.RandomState) -> Recipe:
        """Return what training does besides following the gradient."""
        from sknet._training.epoch import Recipe

        dropout = self._dropout(len(self.coefs_) - 1)
        draws = any(dropout) or self.input_noise > 0
        decoupled_weight_decay = (
            self.solver in Optimizer.table and Optimizer.table[self.solver].decoupled_weight_decay
        )
        return Recipe(
            l2=float(self.alpha * (1 - self.l1_ratio)),
            l1=float(self.alpha * self.l1_ratio),
            decay=float(self.weight_decay) if decoupled_weight_decay else 0.0,
            clip=self.gradient_clip_norm,
            dropout=dropout,
            noise=float(self.input_noise),
            ema_decay=self.ema_decay,
            seed=int(random_state.randint(2**31 - 1)) if draws else 0,
        )

    def _dropout(self, n_hidden: int) -> list[float]:
        """Return the probability of each hidden layer."""
        if isinstance(self.dropout, Real):
            return [float(self.dropout)] * n_hidden
        rates: list[Any] = list(self.dropout)
        if len(rates) != n_hidden or not all(
            isinstance(p, Real) and 0 <= float(p) < 1 for p in rates
        ):
            raise ValueError(
                f"dropout={self.dropout!r} must be a number in [0, 1), or one for each of the "
                f"{n_hidden} hidden layers."
            )
        return [float(p) for p in rates]

    def _check_recipe(self, X: Any) -> None:
        """Raise ValueError where parameters do not go together."""
        self._dropout(len(self.coefs_) - 1)
        if sp.issparse(X) and self.input_noise > 0:
            raise ValueError(
                f"input_noise={self.input_noise} would make sparse X dense. Set input_noise=0, or "
                "give X as an array."
            )
        if self.solver == "lbfgs":
            given = {
                "l1_ratio": self.l1_ratio > 0,
                "dropout": any(self._dropout(len(self.coefs_) - 1)),
                "input_noise": self.input_noise > 0,
                "gradient_clip_norm": self.gradient_clip_norm is not None,
                "ema_decay": self.ema_decay is not None,
            }
            for name in (name for name, is_given in given.items() if is_given):
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not for solver='lbfgs', whose line search "
                    f"needs one smooth objective. Choose one of {sorted(Optimizer.table)}."
                )

    def _monitor(
        self, network: Network, first: bool, validation: Validation | None, tasks: Tasks | None
    ) -> Monitor:
        from sknet._training.monitor import Monitor

        restore = self.early_stopping if self.restore_best is None else self.restore_best
        if tasks is None or not restore:  # one pass has no best epoch
            return Monitor(self, None)
        if validation is None:
            return Monitor(self, "loss")
        return Monitor(self, "score", network.params.copy() if first else None)

    def _validation(
        self, X: Any, y: Any, sample_weight: Any, n_targets: int, by_class: list[np.ndarray]
    ) -> Validation | None:
        """Return the user's own validation data."""
        if X is None:
            for name, value in (("y_val", y), ("sample_weight_val", sample_weight)):
                if value is not None:
                    raise ValueError(f"{name} was given without X_val. Give both, or neither.")
            return None
        if y is None:
            raise ValueError("X_val was given without y_val. Give both, or neither.")
        given = X, y
        X, y = self._validate(X, y, self.coefs_[0].dtype, False)
        targets = self._targets_of(y).astype(X.dtype, copy=False, order="C")
        if targets.shape != (X.shape[0], n_targets):
            raise ValueError(
                f"y_val of shape {y.shape} is not of the form of y, of which there are {n_targets} "
                "for each sample. Give targets of the same kind for both."
            )
        weights = self._weigh(_validate_weights(sample_weight, X), y, by_class)
        return self._validate_on(X, targets, weights, given, sample_weight is not None)

    def _validate_on(
        self,
        X: Any,
        targets: np.ndarray,
        weights: np.ndarray,
        given: tuple[Any, Any],
        is_weighted: bool,
    ) -> Validation:
        """Return validation data with the score that ``scoring`` asks for.

        Scorers take the data as they were `given`, with the names of their columns.
        """
        from sknet._network.network import as_kernel_input
        from sknet._training.monitor import Validation

        is_weighted = is_weighted or getattr(self, "class_weight", None) is not None
        options = {"sample_weight": weights} if is_weighted else {}

        def own(network: Network, scores: np.ndarray) -> float:
            return self._validation_score(network, scores, targets, weights)

        def theirs(network: Network, scores: np.ndarray) -> float:
            return float(scorer(self, *given, **options))

        score: Callable[[Network, np.ndarray], float] | None = own
        if self.scoring == "loss":
            score = None
        elif self.scoring is not None:
            scorer, score = check_scoring(self, scoring=self.scoring), theirs
        return Validation(as_kernel_input(X), targets, weights, score)

    def _validate(self, X: Any, y: Any, dtype: Any, reset: bool) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=dtype,
            order="C",
            multi_output=True,
            y_numeric=isinstance(self, RegressorMixin),
            reset=reset,
        )
        if sp.issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    @property
    def history_(self) -> History:
        """What each epoch came to: a dict of columns, and ``as_frame()`` for pandas."""
        from sknet._training.monitor import History

        check_is_fitted(self, "coefs_")
        n = len(self.loss_curve_)
        columns: dict[str, list[Any] | None] = {
            "epoch": list(range(1, n + 1)),
            "loss": self.loss_curve_,
            "learning_rate": self.learning_rate_curve_,
            "validation_loss": self.validation_loss_curve_,
            "validation_score": self.validation_scores_,
        }
        return History(
            {name: list(c) for name, c in columns.items() if c is not None and len(c) == n}
        )

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
        from sknet._network.network import as_kernel_input

        if not hasattr(self, "coefs_"):  # asked first: check_is_fitted costs more than a row
            check_is_fitted(self, "coefs_")
        network = self._network()
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
            # Nor may a copy share its moments with a model that is being trained.
            self._optimizer = copy.copy(self._optimizer)
            self._optimizer.slots = np.array(self._optimizer.slots)
        if hasattr(self, "_averaging"):
            self._averaging = copy.deepcopy(self._averaging)

    def __sklearn_tags__(self) -> Any:
        """Return the tags: sparse input is accepted, unless noise would make it dense."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.input_noise == 0
        return tags


def _chosen_rows(given: Any, validated: Any, rows: np.ndarray) -> Any:
    """Return rows of data as they were given, if they are a frame: its columns have names."""
    return _safe_indexing(given, rows) if hasattr(given, "columns") else validated[rows]


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
    """Multilayer perceptron for classification.

    A drop-in for scikit-learn's estimator of the same name: the same
    parameters, the same fitted attributes and, for the same ``random_state``
    in float64, the same model.

    Parameters
    ----------
    hidden_layer_sizes : int, array-like of shape (n_hidden_layers,) or str, default=(100,)
        Units of each hidden layer, each >= 1. ``()`` is a linear model. As a
        string they are joined by '-', as in ``'100-50'``.
    activation : str or list of str, default='relu'
        Function of the hidden units, a name of :mod:`sknet.activations`; a list
        has one for each hidden layer.
    solver : str, default='adam'
        What minimises the loss: 'adam', 'sgd' and the others of
        :mod:`sknet.optimizers` by steps on batches, 'lbfgs' by a quasi-Newton
        method on all data at once, often the better choice below a thousand
        samples.
    alpha : float, default=0.0001
        L2 penalty, >= 0: ``alpha / 2`` times the sum of squared weights (biases
        left out), divided by the batch's number of samples (sum of weights).
    batch_size : int or 'auto', default='auto'
        Samples in each step, clipped to what there are; the last batch of an
        epoch may be shorter. 'auto' is ``min(200, n_samples)``. Not used by
        'lbfgs'.
    learning_rate : str or callable, default='constant'
        Schedule of the learning rate, a name of :mod:`sknet.schedules`, or a
        function of the share of training that is done (``max_iter`` epochs are
        1) that returns a factor of ``learning_rate_init``. As in scikit-learn
        'invscaling' and 'adaptive' mean nothing to 'adam', and no schedule
        anything to 'lbfgs'.
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
    verbose : bool, int or 'progress', default=False
        Whether to print the loss of each epoch; 'progress' shows a bar instead
        (needs rich: ``sknet-mlp[progress]``).
    warm_start : bool, default=False
        Whether `fit` goes on from the weights it finds, instead of new ones.
    momentum : float, default=0.9
        Momentum of ``solver='sgd'``, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to score validation data (those given to `fit`, else a part of
        X that is set aside) after each epoch
        (accuracy), stop when the score no longer improves,
        and keep the weights of the best epoch.
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
    loss : {'log_loss', 'focal', 'squared_error', 'hinge'}, default='log_loss'
        What is minimised; formulas in :mod:`sknet.losses`. 'squared_error' is
        that of probabilities (Brier score), 'hinge' has no probabilities.
    class_weight : {'balanced'}, dict, list of dict or None, default=None
        Weights of classes, by which sample weights are multiplied. 'balanced'
        is ``n_samples / (n_classes * np.bincount(y))``; for an indicator
        matrix a list has one dict for each label.
    label_smoothing : float, default=0.0
        Share of each target, in [0, 1), that is spread over all classes; for
        ``loss='log_loss'``.
    focal_gamma : float, default=2.0
        How much the focal loss plays down easy samples, >= 0.
    weight_init : str or callable, default='auto'
        How weights are drawn: a name of :mod:`sknet.initialization`, or a
        function of ``fan_in, fan_out, random_state`` that returns weights of shape
        (fan_in, fan_out), or these and biases. 'auto' is what suits the
        activation; for scikit-learn's four that is scikit-learn's.
    l1_ratio : float, default=0.0
        Share of ``alpha``, in [0, 1], that is an L1 penalty, ``alpha * l1_ratio``
        times the sum of absolute weights; it sets weights to 0. Not for 'lbfgs'.
    dropout : float or list of float, default=0.0
        Probability, in [0, 1), with which each hidden unit is left out of a step;
        a list has one for each hidden layer. Not for 'lbfgs'.
    input_noise : float, default=0.0
        Standard deviation, >= 0, of noise that is added to X anew in each step,
        in the units of X. Not for 'lbfgs' nor sparse X.
    weight_decay : float, default=0.01
        Decoupled decay of 'adamw' and 'lion', >= 0: weights, but not biases, are
        multiplied by 1 - rate * weight_decay at each step.
    gradient_clip_norm : float or None, default=None
        Greatest norm of the gradient of all parameters together, > 0; a longer
        one is shortened to it. Not for 'lbfgs'.
    ema_decay : float or None, default=None
        In [0, 1): the fitted weights are a running mean of those after each
        step, of which so much stays at the next. Not for 'lbfgs'.
    warmup_fraction : float, default=0.0
        Share of ``max_iter``, in [0, 1), over which the rate rises from 0.
    decay_rate : float, default=0.95
        Factor, in (0, 1], of the schedules 'exponential' (each epoch) and 'step'.
    decay_epochs : int, default=10
        Epochs between two steps of the schedule 'step'.
    scoring : str, callable or None, default=None
        What validation data are scored by: a scorer of scikit-learn, or 'loss' for
        the negative loss. None is the accuracy.
    restore_best : bool or None, default=None
        Whether the weights of the best epoch are kept: best by validation score
        where there is one to go by, else by training loss. None keeps them with
        ``early_stopping``. Not used by `partial_fit`.

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
        Training loss of each epoch or iteration.
    learning_rate_curve_ : list of float
        Mean learning rate of each epoch; empty for 'lbfgs'.
    history_ : dict of str to list
        All curves as a table; ``history_.as_frame()`` for pandas.
    validation_loss_curve_ : list of float or None
        Loss, without penalties, of validation data after each epoch.
    validation_scores_ : list of float or None
        Their score after each epoch.
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
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
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
        return self._targets_of(y)

    def _targets_of(self, y: np.ndarray) -> np.ndarray:
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return self._label_binarizer.transform(y)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y_val has classes that y has not: {unknown}. The classes are {self.classes_}."
            )
        return np.searchsorted(self.classes_, y).reshape(-1, 1)

    def _weights_of_classes(self, y: np.ndarray) -> list[np.ndarray]:
        if self.class_weight is None:
            return []
        if not self._label_binarizer.y_type_.startswith("multilabel"):
            kinds, columns, classes = [self.class_weight], [y], self.classes_
        else:
            columns, classes = list(np.asarray(y).T), np.array([0, 1])
            kinds = self.class_weight
            if isinstance(kinds, str):
                kinds = [kinds] * len(columns)
            if isinstance(kinds, dict) or len(kinds) != len(columns):
                raise ValueError(
                    f"class_weight={self.class_weight} must be 'balanced' or a list of one dict "
                    f"for each of the {len(columns)} labels."
                )
        tables = []
        for kind, column in zip(kinds, columns, strict=True):
            # A label that all samples have, or none, weighs nothing.
            present = np.isin(classes, column) if isinstance(kind, str) else slice(None)
            table = np.ones(len(classes))
            table[present] = compute_class_weight(kind, classes=classes[present], y=column)
            if not (np.isfinite(table).all() and table.min() >= 0):
                raise ValueError(
                    f"class_weight={self.class_weight} must have finite weights >= 0 only."
                )
            tables.append(table)
        return tables

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

    def _validation_score(
        self, network: Network, scores: np.ndarray, targets: np.ndarray, weights: Any
    ) -> float:
        # accuracy_score's definition, on codes: decoding labels at every epoch would cost
        # more than the epoch.
        if self._is_multiclass():
            correct = scores.argmax(axis=1) == targets[:, 0]
        else:
            correct = ((scores > 0) == (targets > 0)).all(axis=1)
        return float(np.average(correct, weights=weights))

    @available_if(_can_fit_in_parts)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
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
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation data, as for `fit`: scored after the pass.

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
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True, classes=classes)

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

    @available_if(_has_probabilities)
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

    @available_if(_has_probabilities)
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
    """Multilayer perceptron for regression.

    A drop-in for scikit-learn's estimator of the same name: the same
    parameters, the same fitted attributes and, for the same ``random_state``
    in float64, the same model.

    Parameters
    ----------
    loss : str, default='squared_error'
        What is minimised: 'squared_error', 'absolute_error', 'huber', 'log_cosh',
        'quantile', 'poisson' (y >= 0) or 'gamma' (y > 0); formulas in
        :mod:`sknet.losses`. The last two predict the exponential of their score.
    hidden_layer_sizes : int, array-like of shape (n_hidden_layers,) or str, default=(100,)
        Units of each hidden layer, each >= 1. ``()`` is a linear model. As a
        string they are joined by '-', as in ``'100-50'``.
    activation : str or list of str, default='relu'
        Function of the hidden units, a name of :mod:`sknet.activations`; a list
        has one for each hidden layer.
    solver : str, default='adam'
        What minimises the loss: 'adam', 'sgd' and the others of
        :mod:`sknet.optimizers` by steps on batches, 'lbfgs' by a quasi-Newton
        method on all data at once, often the better choice below a thousand
        samples.
    alpha : float, default=0.0001
        L2 penalty, >= 0: ``alpha / 2`` times the sum of squared weights (biases
        left out), divided by the batch's number of samples (sum of weights).
    batch_size : int or 'auto', default='auto'
        Samples in each step, clipped to what there are; the last batch of an
        epoch may be shorter. 'auto' is ``min(200, n_samples)``. Not used by
        'lbfgs'.
    learning_rate : str or callable, default='constant'
        Schedule of the learning rate, a name of :mod:`sknet.schedules`, or a
        function of the share of training that is done (``max_iter`` epochs are
        1) that returns a factor of ``learning_rate_init``. As in scikit-learn
        'invscaling' and 'adaptive' mean nothing to 'adam', and no schedule
        anything to 'lbfgs'.
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
    verbose : bool, int or 'progress', default=False
        Whether to print the loss of each epoch; 'progress' shows a bar instead
        (needs rich: ``sknet-mlp[progress]``).
    warm_start : bool, default=False
        Whether `fit` goes on from the weights it finds, instead of new ones.
    momentum : float, default=0.9
        Momentum of ``solver='sgd'``, in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to score validation data (those given to `fit`, else a part of
        X that is set aside) after each epoch
        (R2), stop when the score no longer improves,
        and keep the weights of the best epoch.
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
    quantile : float or list of float, default=0.5
        What ``loss='quantile'`` predicts, each in (0, 1). Several are outputs of
        one network, side by side.
    non_crossing : bool, default=False
        Whether predicted quantiles are kept in their order.
    huber_delta : float, default=1.0
        Error, > 0, beyond which ``loss='huber'`` grows linearly.
    weight_init : str or callable, default='auto'
        How weights are drawn: a name of :mod:`sknet.initialization`, or a
        function of ``fan_in, fan_out, random_state`` that returns weights of shape
        (fan_in, fan_out), or these and biases. 'auto' is what suits the
        activation; for scikit-learn's four that is scikit-learn's.
    l1_ratio : float, default=0.0
        Share of ``alpha``, in [0, 1], that is an L1 penalty, ``alpha * l1_ratio``
        times the sum of absolute weights; it sets weights to 0. Not for 'lbfgs'.
    dropout : float or list of float, default=0.0
        Probability, in [0, 1), with which each hidden unit is left out of a step;
        a list has one for each hidden layer. Not for 'lbfgs'.
    input_noise : float, default=0.0
        Standard deviation, >= 0, of noise that is added to X anew in each step,
        in the units of X. Not for 'lbfgs' nor sparse X.
    weight_decay : float, default=0.01
        Decoupled decay of 'adamw' and 'lion', >= 0: weights, but not biases, are
        multiplied by 1 - rate * weight_decay at each step.
    gradient_clip_norm : float or None, default=None
        Greatest norm of the gradient of all parameters together, > 0; a longer
        one is shortened to it. Not for 'lbfgs'.
    ema_decay : float or None, default=None
        In [0, 1): the fitted weights are a running mean of those after each
        step, of which so much stays at the next. Not for 'lbfgs'.
    warmup_fraction : float, default=0.0
        Share of ``max_iter``, in [0, 1), over which the rate rises from 0.
    decay_rate : float, default=0.95
        Factor, in (0, 1], of the schedules 'exponential' (each epoch) and 'step'.
    decay_epochs : int, default=10
        Epochs between two steps of the schedule 'step'.
    scoring : str, callable or None, default=None
        What validation data are scored by: a scorer of scikit-learn, or 'loss' for
        the negative loss. None is R2.
    restore_best : bool or None, default=None
        Whether the weights of the best epoch are kept: best by validation score
        where there is one to go by, else by training loss. None keeps them with
        ``early_stopping``. Not used by `partial_fit`.

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
        Training loss of each epoch or iteration.
    learning_rate_curve_ : list of float
        Mean learning rate of each epoch; empty for 'lbfgs'.
    history_ : dict of str to list
        All curves as a table; ``history_.as_frame()`` for pandas.
    validation_loss_curve_ : list of float or None
        Loss, without penalties, of validation data after each epoch.
    validation_scores_ : list of float or None
        Their score after each epoch.
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
        return self._targets_of(y)

    def _targets_of(self, y: np.ndarray) -> np.ndarray:
        self._loss_part().check_targets(y)
        return y.reshape(len(y), -1)

    def _count_outputs(self, targets: np.ndarray) -> int:
        return self._loss_part().n_outputs(targets.shape[1], vars(self))

    def _loss_part(self) -> type[Loss]:
        return Loss.find(self.loss, "numbers")

    def _validation_score(
        self, network: Network, scores: np.ndarray, targets: np.ndarray, weights: Any
    ) -> float:
        network.link(scores)
        if not np.isfinite(scores).all():
            return np.nan
        return self._score_of(targets, scores, weights)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, or for ``loss='quantile'`` the mean D2 of the pinball losses.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Input data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample. None: all 1.

        Returns
        -------
        float
            At most 1; 0 for the best constant prediction.
        """
        predicted = self.predict(X)
        y = np.asarray(y)
        return self._score_of(y.reshape(len(y), -1), predicted.reshape(len(y), -1), sample_weight)

    def _score_of(self, y: np.ndarray, predicted: np.ndarray, weights: Any) -> float:
        loss, settings = self._trained_by
        if loss != "quantile":
            return r2_score(y, predicted, sample_weight=weights)
        quantiles = settings[1:]  # behind whether they rise
        scores = [
            d2_pinball_score(y[:, j], column, sample_weight=weights, alpha=quantile)
            for j, columns in enumerate(np.split(predicted.T, y.shape[1]))
            for column, quantile in zip(columns, quantiles, strict=True)
        ]
        return float(np.mean(scores))

    @available_if(_can_fit_in_parts)
    @_fit_context(prefer_skip_nested_validation=True)
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
        """Pass once over the given data, one step for each batch.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None: all 1.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation data, as for `fit`: scored after the pass.

        Returns
        -------
        self : object
            The estimator, trained one epoch further.

        Raises
        ------
        ValueError
            If ``early_stopping`` is set; and as `fit`.
        """
        validation = (X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation, incremental=True)

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
        tags.target_tags.positive_only = self.loss in ("poisson", "gamma")
        return tags
