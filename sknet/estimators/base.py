"""What both estimators share: fitting, fitted attributes, raw scores."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Sequence
from itertools import starmap
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sknet._engine.memory import as_kernel_input, read_only
from sknet.estimators.callbacks import CALLBACK_ATTRIBUTES, CallbackSupportMixin
from sknet.estimators.data import (
    GivenData,
    ValidationMaker,
    as_targets,
    held_out_rows,
    is_plain,
    validate,
    validate_for,
)
from sknet.estimators.decorators import fit_context, own_inherited_methods
from sknet.estimators.engine import load_engine
from sknet.estimators.fit_outcome import COLUMNS, additions_to, attributes_of, notices_of
from sknet.estimators.fit_start import (
    network_to_train,
    observers_of,
    records_to_go_on,
    state_to_go_on,
)
from sknet.estimators.fitted_network import (
    NetworkSpec,
    flat_parameters,
    matches,
    predictor_of,
    remember_flat,
    spec_of,
)
from sknet.estimators.html import NetworkHTML
from sknet.estimators.known_parameters import KnownParameters
from sknet.estimators.parameters import (
    CONSTRAINTS,
    check_together,
    hidden_activations,
    plain_numbers,
    training_config,
)
from sknet.estimators.pickles import Pickles
from sknet.estimators.runs import Run, attributes_to_start_from
from sknet.estimators.suggestions import Suggestions
from sknet.estimators.summary import NetworkSummary
from sknet.estimators.targets import Targets
from sknet.estimators.unused_parameters import warn_of_unused
from sknet.estimators.user_warnings import warn_user
from sknet.estimators.weights import apply_class_weights, validate_weights
from sknet.hidden_sizes import parse_hidden_layer_sizes
from sknet.losses import Loss
from sknet.optimizers import Optimizer

if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._network.prediction import Predictor
    from sknet._training.contract import Outcome
    from sknet._training.observers import Observer
    from sknet._training.records import History

# `import sknet` costs little more than scikit-learn's own import: Numba, and what needs it, is
# imported where it is first used.


def can_fit_in_parts(model: BaseMLP) -> Literal[True]:
    """Return True, or raise AttributeError where `partial_fit` is not available."""
    if model.solver not in Optimizer.table:
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers "
            f"({', '.join(Optimizer.table)}). solver={model.solver!r} is not stochastic."
        )
    if getattr(model, "class_weight", None) == "balanced":
        raise AttributeError(
            "class_weight='balanced' is not for partial_fit, which sees only a part of the data at "
            "a time. Compute the weights from all of the data with sklearn.utils.class_weight."
            "compute_class_weight('balanced', classes=classes, y=y), and give them as a dict."
        )
    return True


def has_probabilities(model: BaseMLP) -> Literal[True]:
    """Return True, or raise AttributeError if the loss gives no probabilities.

    After a fit, the loss is the fitted one. Before, it is that of the parameters.
    """
    fitted = getattr(model, "_fitted_loss", None)
    if fitted is not None:
        losses = [Loss.get(fitted[0])]
    else:
        losses = [loss for loss in Loss.table.values() if loss.public == model.loss]
    if not all(loss.has_probabilities for loss in losses):
        raise AttributeError(
            f"loss={losses[0].public!r} gives no probabilities. Use decision_function, or wrap the "
            "estimator in sklearn.calibration.CalibratedClassifierCV."
        )
    return True


class BaseMLP(
    NetworkHTML,
    NetworkSummary,
    Suggestions,
    KnownParameters,
    CallbackSupportMixin,
    Pickles,
    BaseEstimator,
):
    """What classifier and regressor share, which is everything except the targets."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let Python's messages name the class of the user, as in ``MLPClassifier.fit()``."""
        if BaseMLP in cls.__bases__:
            own_inherited_methods(cls)
        super().__init_subclass__(**kwargs)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    learning_rate_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    training_scores_: list[float]
    best_validation_score_: float | None
    n_iter_: int
    t_: int
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str

    # Each estimator defines these.

    def _encode(
        self, y: np.ndarray, *, is_incremental: bool, classes: Any
    ) -> tuple[Targets, np.ndarray]:
        """Return the targets of y, and y as the loss takes it."""
        raise NotImplementedError

    def _loss_before_fit(self) -> tuple[str, list[float]]:
        """Return name and settings of the loss that the parameters ask for.

        They are needed if weights were set by hand and nothing was fitted.
        """
        raise NotImplementedError

    # Fitting.

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
        """Fit the model to data.

        An interrupt (Ctrl-C) ends training with a warning. The weights are then those
        of the last complete step, or those of the best epoch if these are kept.
        `n_iter_` and the curves count complete epochs, and `t_` counts the samples of
        all complete steps. If the interrupt comes before the first step is complete,
        ``KeyboardInterrupt`` is raised. A call that raises an error leaves the
        estimator as it was.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 and float64 are kept. Other dtypes are converted to
            float64, and sparse formats other than CSR are converted to CSR.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: class labels for a classifier, or numbers for a regressor.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None means that each is 1.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data, which are scored after each epoch. With ``early_stopping``
            they are used instead of a part of X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation data.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation data. None means that each is 1.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or an input is outside its domain, or if training
            diverges to a loss or weights that are not finite.
        KeyboardInterrupt
            If training is interrupted before its first step.

        Warns
        -----
        ConvergenceWarning
            If training has not converged after ``max_iter`` epochs. There is no such
            warning with ``n_iter_no_change=inf``, nor with a schedule that is planned
            for exactly ``max_iter`` epochs, such as 'cosine'.
        UserWarning
            Before training, if a parameter that scikit-learn does not have is set but
            has no effect. After training, if it was interrupted, if it diverged and
            the weights of an earlier epoch are kept, or if no validation score was
            finite. The estimator is then fitted, even if warnings are turned into
            errors.
        """
        return self._fit(GivenData(X, y, sample_weight), GivenData(X_val, y_val, sample_weight_val))

    def _fit(
        self,
        given: GivenData,
        given_validation: GivenData,
        *,
        is_incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        load_engine()
        # A call changes a copy of the attributes. They are taken over all at once when the call
        # has succeeded, so a call that fails has changed nothing.
        before, model = vars(self).copy(), object.__new__(type(self))
        start = attributes_to_start_from(before, is_incremental)
        model.__dict__.update(start, _cache=dict(before.get("_cache", {})))
        model._validated = self._parameters()
        try:
            outcome, curves = model._train(self, given, given_validation, is_incremental, classes)
            notices = notices_of(model, outcome, is_incremental)
            model._adopt(outcome, curves)
            self._take_over(model.__dict__, before, additions_to(curves, outcome.state.records))
        except BaseException:
            self._undo_callbacks(before)
            raise
        for message, category in notices:
            warn_user(message, category)
        return self

    def _train(
        self,
        estimator: Self,
        given: GivenData,
        given_validation: GivenData,
        is_incremental: bool,
        classes: Any,
    ) -> tuple[Outcome, dict[str, list[float] | None]]:
        """Train on behalf of an estimator, and return the outcome and the curves to append it to.

        `self` is a copy of the estimator, with attributes of its own.
        """
        from sknet._training.contract import Dataset
        from sknet._training.trainer import train

        if is_incremental and self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True, because it trains for a single "
                "epoch. Set early_stopping=False, or call fit."
            )
        hidden = parse_hidden_layer_sizes(self.hidden_layer_sizes)
        is_warm = hasattr(self, "coefs_") and (self.warm_start or is_incremental)
        fitted = flat_parameters(vars(self)) if is_warm else None
        dtype: Any = (np.float64, np.float32) if fitted is None else fitted.params.dtype
        X, y = validate(
            self, given.X, given.y, dtype, "n_features_in_" not in vars(self) or fitted is None
        )
        weights = validate_weights(given.sample_weight, X)
        run = Run(estimator, self, is_incremental=is_incremental, is_warm=is_warm)
        random_state = run.random_state
        targets, encoded = self._encode(y, is_incremental=is_incremental, classes=classes)
        class_weight = getattr(self, "class_weight", None)
        class_weights = targets.class_weights(y, class_weight)
        weights = apply_class_weights(weights, encoded, class_weights, class_weight)
        rows = np.arange(X.shape[0], dtype=np.int64)
        data = Dataset(as_kernel_input(X), as_targets(encoded, X.dtype), weights, rows)
        network = network_to_train(self, targets, encoded, X, hidden, fitted, random_state)
        check_together(vars(self), len(hidden), sp.issparse(X))
        self._show(network)
        maker = ValidationMaker(self, targets, class_weights, self._show)
        validation = maker.of_user(given_validation, X.dtype, encoded.shape[1])
        run.takes(data, validation)
        if fitted is None or not is_incremental:
            warn_of_unused(self, len(hidden), validation is not None, is_incremental)
        records, curves = records_to_go_on(self, fitted is None, is_incremental, validation)
        if validation is None and self.early_stopping:
            fraction = self.validation_fraction
            strata = targets.strata(encoded, fraction, is_scored=self.scoring is not None)
            rows, chosen = held_out_rows(rows, strata, fraction, random_state)
            validation = maker.of_rows(X, y, data, given, chosen)
            data = data._replace(rows=rows)
        plain = plain_numbers(vars(self))
        config = training_config(
            plain, rows.size, len(hidden), validation is not None, is_incremental, random_state
        )
        state = state_to_go_on(plain, network.params, records, is_incremental)
        network, state = run.goes_on(network, state, rows)
        observers: list[Observer] = [*maker.training_score(X, y, data, given)]
        observers += observers_of(estimator, self, given, curves, run, rows.size)
        # partial_fit uses trainers again.
        self._trainers = trainers = (vars(self).get("_trainers") or []) if is_incremental else None
        outcome = train(network, data, validation, config, state, observers, random_state, trainers)
        return outcome, curves

    def _parameters(self) -> tuple[Any, ...]:
        return tuple(map(vars(self).get, self._parameter_constraints))

    def _has_new_parameters(self) -> bool:
        """Return whether a parameter is another object than it was when it was validated."""
        return not matches(vars(self).get("_validated", ()), self._parameters())

    def _show(self, network: Network) -> None:
        """Make a network the one that predicts."""
        self.coefs_, self.intercepts_ = list(network.coefs), list(network.intercepts)

    def _adopt(self, outcome: Outcome, curves: dict[str, list[float] | None]) -> None:
        """Write the fitted attributes that training leaves.

        What is known before, such as classes and widths, is written when it is found
        out: scorers and callbacks predict with this copy while it is in training.
        """
        self._show(outcome.network)
        self._cache: dict[str, Any] = {}
        remember_flat(self._cache, outcome.network)
        self.__dict__.update(attributes_of(outcome), **curves)

    def _take_over(
        self, attributes: dict[str, Any], before: dict[str, Any], additions: list[Any]
    ) -> None:
        """Take over what a call has changed, all at once, and append its epochs to the curves.

        No signal and no other thread can come in between, since all calls are made
        by one call of C code.
        """
        state = vars(self).copy()
        for name in before:
            if name not in attributes:
                state.pop(name, None)
        state |= {k: v for k, v in attributes.items() if k not in before or before[k] is not v}
        calls = [*additions, (object.__setattr__, self, "__dict__", state)]
        deque(starmap(operator.call, calls), maxlen=0)

    def _undo_callbacks(self, before: dict[str, Any]) -> None:
        """Take back what callbacks were shown. They keep attributes of their own until the end."""
        if "_callback_fit_ctx" in vars(self):
            own = {name: vars(self)[name] for name in CALLBACK_ATTRIBUTES if name in vars(self)}
            object.__setattr__(self, "__dict__", before | own)

    @property
    def history_(self) -> History:
        """What each epoch came to: a dict of columns, and ``as_frame()`` for pandas."""
        from sknet._training.records import History

        check_is_fitted(self, "coefs_")
        n = len(self.loss_curve_)
        columns: dict[str, Sequence[Any] | None] = {"epoch": range(1, n + 1)}
        columns |= {column: vars(self).get(name) for name, column in COLUMNS.items()}
        return History(
            {name: list(c) for name, c in columns.items() if c is not None and len(c) == n}
        )

    # Prediction.

    def _predictor(self, state: dict[str, Any]) -> Predictor:
        """Return what computes scores with the weights, loss and activations that were fitted.

        Parameters count only before the first fit, for weights that were set by hand.
        """
        loss, activations = state.get("_fitted_loss"), state.get("_fitted_activations")
        if loss is None:
            loss = self._loss_before_fit()
        if activations is None or len(activations) != len(state["coefs_"]) - 1:
            activations = hidden_activations(self.activation, len(state["coefs_"]) - 1)
        return predictor_of(state, state.setdefault("_cache", {}), loss, activations)

    def _network(self) -> Network:
        """Return the network of the fitted weights, whoever set them."""
        return self._predictor(self.__dict__).network

    def _spec(self) -> NetworkSpec:
        """Return the fitted network as plain values."""
        state = self.__dict__
        return spec_of(state, self._predictor(state))

    def _scores(self, X: Any, *, link: bool = False) -> tuple[np.ndarray, dict[str, Any]]:
        """Return raw scores, or predictions, and the attributes that they belong to.

        A fit in another thread replaces the attributes as a whole, so these agree
        with each other.
        """
        state = self.__dict__
        if "coefs_" not in state:  # check_is_fitted takes longer than predicting a row
            check_is_fitted(self, "coefs_")
        predictor = self._predictor(state)
        network, n_jobs = predictor.network, self.n_jobs
        if is_plain(X, network.params.dtype, network.layout.units[0], state):
            # scikit-learn's checks would take several times as long as predicting a row.
            scores = predictor.scores_if_finite(read_only(X), link=link, n_jobs=n_jobs)
            if scores is not None:
                return scores, state
        X = validate_for(self, X, network, state, is_whole=False)
        return predictor.scores(as_kernel_input(X), link=link, n_jobs=n_jobs), state

    # What scikit-learn asks.

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are weights.

        scikit-learn asks for this in each call of `partial_fit`. By itself, it would look at the
        names of all attributes.
        """
        return "coefs_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        """Return the tags: sparse input is accepted, unless noise would make it dense."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.input_noise == 0
        return tags
