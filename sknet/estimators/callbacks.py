"""An observer of training that calls scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sklearn

from sknet.estimators.data import GivenData
from sknet.estimators.runs import RUN, Run

try:
    from sklearn.callback import CallbackSupportMixin

    HAS_CALLBACKS = True
except ImportError:  # scikit-learn before 1.9
    HAS_CALLBACKS = False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Takes the place of scikit-learn's mixin, without callbacks."""


if TYPE_CHECKING:
    from sknet._network.network import Network
    from sknet._training.observers import StateNow
    from sknet._training.records import Records

# Attributes that scikit-learn's callbacks keep on an estimator while it is fitted.
CALLBACK_ATTRIBUTES = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def require_callbacks(what: str) -> None:
    """Raise ImportError if scikit-learn has no callbacks, which something needs."""
    if not HAS_CALLBACKS:
        raise ImportError(
            f"{what} needs the callbacks of scikit-learn 1.9 or newer, but scikit-learn "
            f"{sklearn.__version__} is installed. Update it: pip install 'scikit-learn>=1.9'."
        )


class SklearnCallbacks:
    """Calls scikit-learn's callbacks when training and each epoch begin and end.

    Parameters
    ----------
    estimator : object
        The estimator that the user fits. Its callbacks are called with it.
    given : GivenData
        The training data, for callbacks that use them.
    run : Run or None
        The call of `fit`, for callbacks that save it. None if it cannot be saved.
    attributes : callable
        Takes the network and the records, and returns the fitted attributes that
        the estimator shows to callbacks.
    """

    def __init__(
        self,
        estimator: Any,
        given: GivenData,
        run: Run | None,
        attributes: Callable[[Network, Records], dict[str, Any]],
    ) -> None:
        self.estimator, self.run, self.attributes = estimator, run, attributes
        self.data = {"estimator": estimator, "X": given.X, "y": given.y}
        self.metadata = {"sample_weight": given.sample_weight}
        n_done = 0
        if run is not None:
            vars(estimator)[RUN] = run
            n_done = min(run.n_epochs, int(estimator.max_iter))
        context = estimator._init_callback_context(max_subtasks=int(estimator.max_iter))
        for _ in range(n_done):
            context.subcontext(task_name="epoch")  # those before an interruption have their numbers
        self._context = context.call_on_fit_task_begin(**self.data, metadata=self.metadata)
        self._epoch: Any = None

    def epoch_begins(self) -> None:
        """Call the callbacks before an epoch."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self.data, metadata=self.metadata)

    def epoch_ends(self, network: Network, records: Records, state: StateNow | None = None) -> bool:
        """Call the callbacks after an epoch, and return whether one of them stops training."""
        if self.run is not None:
            self.run.state = state
        vars(self.estimator).update(self.attributes(network, records))
        epoch, self._epoch = self._epoch, None
        return self._end(epoch)

    def plateau(self, message: str) -> None:
        """Do nothing, since callbacks see the curves."""

    def training_ends(self, network: Network, records: Records) -> None:
        """Call the callbacks after the last epoch."""
        vars(self.estimator).update(self.attributes(network, records))
        if self._epoch is not None:  # an iteration of L-BFGS that found no better weights
            self._end(self._epoch)
        self._end(self._context)

    def close(self) -> None:
        """Let the estimator go."""
        vars(self.estimator).pop(RUN, None)

    def _end(self, context: Any) -> bool:
        return context.call_on_fit_task_end(
            **self.data, metadata=self.metadata, reconstruction_attributes=self._fitted_attributes
        )

    def _fitted_attributes(self) -> dict[str, Any]:
        """Return copies of the weights that the estimator predicts with at this moment."""
        return {
            name: [w.copy() for w in getattr(self.estimator, name)]
            for name in ("coefs_", "intercepts_")
        }
