"""Digest of the models that many small fits end in: equal digests, equal bits.

A change that must not alter any result prints the same line before and after it::

    $ python benchmarks/digest.py

Fits every solver with every activation and every loss, dense and CSR, float32 and float64, on one
thread and on three. The last bits depend on the processor: compare on one machine.
"""

from __future__ import annotations

import hashlib
import itertools
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_diabetes, load_digits

from sknet import MLPClassifier, MLPRegressor
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import Optimizer

FEATURES = (
    {"l1_ratio": 0.5, "alpha": 0.1, "gradient_clip_norm": 0.1, "ema_decay": 0.9},
    {"dropout": 0.3, "batch_size": 600},
    {"learning_rate": "one_cycle", "solver": "adamw"},
    {"early_stopping": True, "learning_rate": "adaptive", "solver": "sgd"},
    {"restore_best": True, "hidden_layer_sizes": ()},
)


def use_every_thread() -> None:
    """Have each fit and prediction use as many threads as it is asked for, cores or not."""
    try:
        from sknet._engine import threads

        team = threads.ThreadTeam
        name = "schedule_steps"
    except (ImportError, AttributeError):  # commits before the engine had a folder of its own
        try:
            from sknet._engine import threads
        except ImportError:
            from sknet._engine import threads

        team, name = threads.Team, "rounds"

    def all_at_once(self, n_steps):
        yield self.n_threads, slice(0, n_steps)

    setattr(team, name, all_at_once)
    threads.cpu_count = lambda: 8
    for threshold in ("LEAST_WORK", "LEAST_SHARED_OUT", "MIN_STEP_FLOPS", "MIN_SHARED_FLOPS"):
        if hasattr(threads, threshold):
            setattr(threads, threshold, 0)


def problems():
    """Yield an estimator's class, a loss and data for each loss and kind of target."""
    X, y = load_digits(return_X_y=True)
    X = X[:700] / 16
    y = y[:700]
    for loss in Loss.choices("codes"):
        yield MLPClassifier, loss, X, y
    for loss in Loss.choices("indicators"):
        yield MLPClassifier, loss, X, y % 2
    X, y = load_diabetes(return_X_y=True)
    X = X / X.std(axis=0)
    for loss in Loss.choices("numbers"):
        yield MLPRegressor, loss, X, y / y.std()


def settings(loss: str):
    """Yield the parameters to fit with."""
    solvers = [*Optimizer.table, "lbfgs"]
    for solver, activation in itertools.product(solvers, Activation.table):
        yield {"solver": solver, "activation": activation}
    yield from FEATURES
    if loss == "quantile":
        yield {"quantile": [0.1, 0.5, 0.9], "non_crossing": True}


def main() -> None:
    """Print the digest."""
    use_every_thread()
    warnings.simplefilter("ignore")
    total, n_fits = hashlib.sha256(), 0
    for estimator, loss, X, y in problems():
        for parameters in settings(loss):
            for dtype, sparse, n_jobs in itertools.product("fd", (False, True), (1, 3)):
                data = X.astype(dtype)
                given = {"hidden_layer_sizes": (20, 9), "max_iter": 2, **parameters}
                model = estimator(**given, loss=loss, random_state=0, n_jobs=n_jobs)
                n_fits += 1
                try:
                    model.fit(sp.csr_array(data) if sparse else data, y)
                except ValueError:  # some combinations diverge
                    total.update(b"diverged")
                    continue
                arrays = *model.coefs_, *model.intercepts_, np.array(model.loss_curve_)
                for array in (*arrays, model.predict(data[:10])):
                    total.update(np.ascontiguousarray(array).tobytes())
    print(f"{total.hexdigest()[:32]} of {n_fits} fits")


if __name__ == "__main__":
    main()
