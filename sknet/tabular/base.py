"""What both estimators share: the fit of all members, and what is read before it."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_y, check_is_fitted, column_or_1d

from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.estimators.data_errors import explained
from sknet.estimators.decorators import fit_context
from sknet.estimators.engine import load_engine
from sknet.estimators.parameters import CONSTRAINTS
from sknet.estimators.user_warnings import warn_user
from sknet.estimators.weights import validate_weights
from sknet.tabular.columns import Columns
from sknet.tabular.configurations import Configuration, sample_configuration
from sknet.tabular.folds import left_out_rows, read_groups
from sknet.tabular.members import Member, Samples, fit_member
from sknet.tabular.networks import StopIfSet
from sknet.tabular.running import Run
from sknet.tabular.table import MemberTable

if TYPE_CHECKING:
    from sknet._training.observers import Observer


class Trained(NamedTuple):
    """A fitted member, and what it predicts for the rows that it was not trained on.

    Attributes
    ----------
    member : Member
    rows : ndarray of int64 of shape (n_left_out,)
        Numbers of these rows.
    samples : Samples
        These rows.
    scores : ndarray of shape (n_left_out, n_outputs)
        Raw scores of classes, or predicted numbers.
    """

    member: Member
    rows: np.ndarray
    samples: Samples
    scores: np.ndarray


class BaseTabular(BaseEstimator):
    """What classifier and regressor share, which is everything except the targets."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "time_limit": [Interval(Real, 0, None, closed="left"), None],
        "random_state": ["random_state"],
        "n_jobs": CONSTRAINTS["n_jobs"],
        "verbose": CONSTRAINTS["verbose"],
    }

    n_members: int
    categorical_features: Any
    max_iter: int | None
    time_limit: float | None
    random_state: Any
    n_jobs: int | None
    verbose: Any

    members_: list[Member]
    n_members_: int
    n_iter_: list[int]
    member_table_: MemberTable
    oof_score_: float

    # Each estimator defines these.

    def _read_targets(self, y: np.ndarray, name: str, *, is_first: bool) -> np.ndarray:
        """Return classes by number, or numbers in columns; the first call notes their form."""
        raise NotImplementedError

    def _weighted(self, weights: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return weights of samples times those of their classes."""
        raise NotImplementedError

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """Return the numbers by which folds are stratified."""
        raise NotImplementedError

    def _net(self, configuration: Configuration, seed: int) -> MLPClassifier | MLPRegressor:
        """Return a net that is not fitted yet."""
        raise NotImplementedError

    def _judge(self, trained: list[Trained], n_rows: int) -> dict[str, list[float]]:
        """Note what rows that were left out say, and return score and loss of each member."""
        raise NotImplementedError

    # Fitting.

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit all members.

        An interrupt (Ctrl-C) ends the fit with a warning, as a time limit does, once a member is
        fitted. Before, it raises ``KeyboardInterrupt``. A call that raises an error leaves the
        estimator as it was.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_samples, n_features)
            Numbers, categories and missing values. A sparse matrix has only numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels for a classifier, or numbers for a regressor, which may have several
            columns.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0 and not all 0. None means that each is 1. A sample with
            the weight 0 is left out of everything.
        groups : array-like of shape (n_samples,), default=None
            Group of each sample. All samples of a group are left out by the same member. Give it
            if samples of a group resemble each other, as those of one patient do.
        X_val : {array-like, data frame, sparse matrix} of shape (n_val, n_features), default=None
            Validation data. All members then are trained on all of X, and no member leaves
            samples out.
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
            If a parameter or an input is outside its domain, or if there are too few samples to
            leave some out.
        KeyboardInterrupt
            If the fit is interrupted before a member is fitted.

        Warns
        -----
        UserWarning
            If ``time_limit`` or an interrupt has left fewer than ``n_members`` members.
        """
        began = perf_counter()
        load_engine()
        # The fit writes to a copy of the estimator without fitted attributes. They are taken over
        # all at once, so a call that fails has changed nothing.
        model = object.__new__(type(self))
        model.__dict__.update({k: v for k, v in vars(self).items() if not k.endswith("_")})
        model._columns = Columns.fit(X, self.categorical_features, model)
        samples = model._read(X, y, sample_weight)
        n_rows = samples.table.n_rows
        validation = model._read_validation(X_val, y_val, sample_weight_val, groups)
        model._has_validation = validation is not None
        rows = np.flatnonzero(samples.weights)
        samples = samples.rows(rows)
        random_state = check_random_state(self.random_state)
        entropy = int(random_state.randint(2**31 - 1))
        splits = None
        if validation is None:
            groups = None if groups is None else read_groups(groups, n_rows)[rows]
            splits = left_out_rows(
                rows.size, self.n_members, model._strata(samples.targets), groups, random_state
            )
        tasks = [
            partial(
                model._fit_member,
                i,
                np.random.SeedSequence([entropy, i]),
                samples,
                validation,
                None if splits is None else splits[i],
            )
            for i in range(self.n_members)
        ]
        from sknet._engine.threads import n_threads_for

        run = Run(tasks, self.time_limit, began)
        trained = run.results(n_threads_for(self.n_jobs))
        model.members_ = [member for member, *_ in trained]
        model.n_members_ = len(trained)
        model.n_iter_ = [member.network.n_iter_ for member in model.members_]
        if validation is None:
            trained = [one._replace(rows=rows[one.rows]) for one in trained]
        else:
            n_rows = validation.table.n_rows
        judged = model._judge(trained, n_rows)
        model.member_table_ = MemberTable.of(model.members_, judged)
        object.__setattr__(self, "__dict__", model.__dict__)
        if self.n_members_ < self.n_members:
            cause = "An interrupt" if run.was_interrupted else f"time_limit={self.time_limit}"
            warn_user(
                f"{cause} ended the fit: {self.n_members_} of {self.n_members} members were fitted."
            )
        return self

    def _fit_member(
        self,
        i: int,
        seeds: np.random.SeedSequence,
        samples: Samples,
        validation: Samples | None,
        left_out: np.ndarray | None,
        stop: Event,
    ) -> Trained:
        """Fit the i-th member."""
        rng = np.random.default_rng(seeds)
        if validation is None:
            assert left_out is not None
            validation = samples.rows(left_out)
            is_kept = np.ones(samples.table.n_rows, bool)
            is_kept[left_out] = False
            samples = samples.rows(np.flatnonzero(is_kept))
        else:
            left_out = np.arange(validation.table.n_rows, dtype=np.int64)
        table = samples.table
        configuration = sample_configuration(
            table.n_rows,
            table.numbers.shape[1],
            self.max_iter,
            rng,
            is_classifier=is_classifier(self),
        )
        observers: list[Observer] = [StopIfSet(stop)]
        if self.verbose == "progress":
            from sknet._training.progress import ProgressBar

            width = len(str(self.n_members))
            title = f"Member {i + 1:{width}}/{self.n_members}"
            observers.append(ProgressBar(configuration.max_iter, title))
        seed = int(rng.integers(2**31 - 1))
        member = fit_member(self._net, configuration, seed, samples, validation, observers)
        if self.verbose and self.verbose != "progress" and not stop.is_set():
            loss = min(member.validation_losses)
            print(
                f"Member {i + 1} of {self.n_members}: {member.seconds:.1f} s, best epoch "
                f"{member.best_epoch} of {configuration.max_iter}, validation loss {loss:.4f}"
            )
        return Trained(member, left_out, validation, member.scores(validation.table))

    # Reading what users give.

    def _read(self, X: Any, y: Any, sample_weight: Any, ending: str = "") -> Samples:
        """Return samples as the user gave them. The first call notes what targets there are."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        table = self._columns.read(X, self, ending)
        is_number = isinstance(self, RegressorMixin)
        with explained(X, y, ending):
            y = _check_y(y, multi_output=True, y_numeric=is_number, estimator=self)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if len(y) != table.n_rows:
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"[{table.n_rows}, {len(y)}]. These are the rows of X{ending} and the entries of "
                f"y{ending}. Give one entry for each row."
            )
        targets = self._read_targets(y, f"y{ending}", is_first=not ending)
        weights = validate_weights(sample_weight, table.numbers, f"sample_weight{ending}")
        weights = self._weighted(weights, y)
        return Samples(table, targets, weights / weights[weights > 0].mean())

    def _read_validation(
        self, X_val: Any, y_val: Any, sample_weight_val: Any, groups: Any
    ) -> Samples | None:
        if X_val is None:
            for name, value in (("y_val", y_val), ("sample_weight_val", sample_weight_val)):
                if value is not None:
                    raise ValueError(f"{name} was given without X_val. Give both, or neither.")
            return None
        if y_val is None:
            raise ValueError("X_val was given without y_val. Give both, or neither.")
        if groups is not None:
            raise ValueError(
                "groups and X_val were both given, but with validation data no member leaves "
                "samples out. Give only one of them."
            )
        return self._read(X_val, y_val, sample_weight_val, "_val")

    # Prediction.

    def _member_scores(self, X: Any) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return what each member predicts, and the attributes that this belongs to.

        A fit in another thread replaces the attributes as a whole, so these agree with each other.
        """
        state = self.__dict__
        check_is_fitted(self, "members_")
        table = state["_columns"].read(X, self)
        return [member.scores(table) for member in state["members_"]], state

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there are members."""
        return "members_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        """Return the tags: X may be sparse, and values may be missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        return tags
