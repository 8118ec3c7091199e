"""Watching training: what each epoch came to, whether it still improves, which weights were best.

The fitted attributes themselves hold the state (``best_loss_``,
``best_validation_score_``, ``validation_scores_``), so that a warm start and
`partial_fit` go on where the call before stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sknet._network.network import CSR, Network


class History(dict[str, list[float]]):
    """What each epoch came to: columns by name, one entry for each epoch.

    Columns are "epoch", "loss", "learning_rate" and, with validation data,
    "validation_loss" and "validation_score"; those that were not recorded for
    every epoch are left out.
    """

    def as_frame(self) -> Any:
        """Return the table as a :class:`pandas.DataFrame` with the epochs as index.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "History.as_frame needs pandas: pip install pandas. The history itself is a dict "
                "of lists."
            ) from error
        return pd.DataFrame(dict(self)).set_index("epoch")


class Validation(NamedTuple):
    """Data that training does not learn from, as kernels take it, and how to score on them.

    `score` returns the score of a network by its raw scores, the higher the
    better; it may be NaN. `None` scores by the loss.
    """

    X: np.ndarray | CSR
    targets: np.ndarray
    weights: np.ndarray
    score: Callable[[Network, np.ndarray], float] | None

    def record(self, model: Any, network: Network) -> None:
        """Append loss and score of an epoch to the model's curves."""
        scores = network.scores(self.X, n_jobs=model.n_jobs)
        loss = network.mean_loss(scores, self.targets, self.weights)
        model.validation_loss_curve_.append(loss)
        score = -loss if self.score is None else self.score(network, scores)
        model.validation_scores_.append(score)


class Monitor:
    """Counts epochs in a row without progress, and keeps the weights of the best one.

    Progress is a training loss at least ``tol`` below ``best_loss_``, or with
    ``early_stopping`` a validation score at least ``tol`` above
    ``best_validation_score_``.

    Parameters
    ----------
    model : object
        Holds the curves, the bests and ``_no_improvement_count``.
    keeps : {'loss', 'score'} or None
        By what the best epoch is chosen whose weights are put back when training
        ends. None leaves the last ones.
    best_params : ndarray of shape (n_parameters,) or None
        What to put back if no epoch is better than those before.
    """

    def __init__(
        self, model: Any, keeps: str | None, best_params: np.ndarray | None = None
    ) -> None:
        self.model, self.keeps, self.best_params = model, keeps, best_params
        self.quantity = "Validation score" if model.early_stopping else "Training loss"

    def epoch_ends(self, network: Network) -> None:
        """Take note of the last epoch."""
        model, is_better = self.model, {"loss": False, "score": False}
        loss, best = model.loss_curve_[-1], model.best_loss_
        if best is not None:  # scikit-learn keeps none with early stopping
            is_stalled = loss > best - model.tol
            is_better["loss"] = loss < best
        if model.validation_scores_:
            score, best_score = model.validation_scores_[-1], model.best_validation_score_
            is_better["score"] = score > best_score
            if model.early_stopping:
                is_stalled = score < best_score + model.tol
        model._no_improvement_count = model._no_improvement_count + 1 if is_stalled else 0
        if is_better["loss"]:
            model.best_loss_ = loss
        if is_better["score"]:
            model.best_validation_score_ = score
        if self.keeps is not None and is_better[self.keeps]:
            self.best_params = network.params.copy()

    def training_ends(self, network: Network) -> None:
        """Put the best weights back, if wanted."""
        if self.best_params is not None:
            network.params[:] = self.best_params


class Report:
    """Tells of each epoch: nothing, lines of text as scikit-learn's, or a bar of rich."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.prints = bool(model.verbose) and model.verbose != "progress"
        self._bar: Any = None
        if model.verbose == "progress":
            self._bar = _progress_bar()
            self._task = self._bar.add_task("", total=model.max_iter)
            self._bar.start()

    def epoch(self, scores: bool) -> None:
        """Tell of the last epoch; `scores` says whether it was validated."""
        model = self.model
        if self.prints:
            print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
            if scores:
                print(f"Validation score: {model.validation_scores_[-1]:f}")
        if self._bar is not None:
            text = f"loss {model.loss_:.4g}"
            if scores:
                text += f", validation score {model.validation_scores_[-1]:.4g}"
            self._bar.update(self._task, advance=1, description=text)

    def plateau(self, quantity: str, what_follows: str) -> None:
        """Tell that there was no progress for a while."""
        if self.prints:
            model = self.model
            print(
                f"{quantity} did not improve more than tol={model.tol:f} for "
                f"{model.n_iter_no_change} consecutive epochs. {what_follows}"
            )

    def ends(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()


def _progress_bar() -> Any:
    try:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError as error:
        raise ImportError(
            "verbose='progress' needs rich: pip install 'sknet-mlp[progress]'. verbose=True "
            "prints plain text."
        ) from error
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )


class Tasks:
    """Calls scikit-learn's callbacks at the beginning and the end of training and of each epoch.

    Does nothing where there are none, as before scikit-learn 1.9.

    Parameters
    ----------
    model : object
        What is fitted.
    X, y, sample_weight : array-like
        What it learns from, for callbacks that ask for it.
    """

    def __init__(self, model: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self.model = model
        self.data = {"estimator": model, "X": X, "y": y}
        self.metadata = {"sample_weight": sample_weight}
        self._context: Any = None
        if getattr(model, "_skl_callbacks", None):  # their tree costs more than a small epoch
            context = model._init_callback_context(max_subtasks=model.max_iter)
            self._context = context.call_on_fit_task_begin(**self.data, metadata=self.metadata)
        self._epoch: Any = None

    def epoch_begins(self) -> None:
        """Call the callbacks before an epoch."""
        if self._context is not None:
            self._epoch = self._context.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self.data, metadata=self.metadata)

    def epoch_ends(self) -> bool:
        """Call them after it, and return whether one of them wants to stop."""
        return self._epoch is not None and self._end(self._epoch)

    def training_ends(self) -> None:
        """Call them after the last epoch."""
        if self._context is not None:
            self._end(self._context)

    def _end(self, context: Any) -> bool:
        return context.call_on_fit_task_end(
            **self.data, metadata=self.metadata, reconstruction_attributes=self._fitted_attributes
        )

    def _fitted_attributes(self) -> dict[str, Any]:
        """Return what a copy of the model needs to predict as of now, whatever is learnt later."""
        return {
            name: [w.copy() for w in getattr(self.model, name)]
            for name in ("coefs_", "intercepts_")
        }
