"""A fit that was killed goes on from its checkpoint, and ends with the same bits."""

from __future__ import annotations

import os
import pickle
import signal

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from processes import run_script
from sklearn.base import clone
from sklearn.datasets import load_digits
from snapshots import CALLBACKS, assert_same, assert_same_weights
from versions import needs_callbacks

import sknet
from sknet import Checkpoint, MLPClassifier, MLPRegressor
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

needs_kill = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="only processes that can fork are killed at a chosen epoch"
)

N = 150
X_DIGITS, Y_DIGITS = load_digits(return_X_y=True)
X, Y = X_DIGITS[:N] / 16, Y_DIGITS[:N]
X_VAL, Y_VAL = X_DIGITS[N : 2 * N] / 16, Y_DIGITS[N : 2 * N]
WEIGHTS = np.linspace(0.0, 2.0, N)
VALIDATION = {"X_val": X_VAL, "y_val": Y_VAL}

# Few units and small batches: what counts is that each epoch has several steps.
NET = {"hidden_layer_sizes": (7, 5), "batch_size": 32, "max_iter": 9, "n_iter_no_change": np.inf}
PLATEAUS = {"n_iter_no_change": 1, "tol": 0.05, "max_iter": 25}


def case(kind=MLPClassifier, data=(X, Y), given=None, fitted=None, **parameters):
    """Return what a fit is made of: parameters, data, and what was fitted before."""
    model = {**NET, "random_state": 0, "learning_rate_init": 0.01, **parameters}
    return {"kind": kind, "parameters": model, "data": data, "given": given or {}, "fitted": fitted}


CASES = {
    **{f"solver {name}": case(solver=name) for name in Optimizer.table},
    **{
        f"schedule {name}": case(solver="sgd", learning_rate=name, learning_rate_init=0.1)
        for name in Schedule.table
    },
    "invscaling and momentum": case(solver="sgd", learning_rate="invscaling", momentum=0.5),
    "warm-up": case(learning_rate="cosine", warmup_fraction=0.4),
    "dropout": case(dropout=[0.3, 0.1]),
    "input noise": case(input_noise=0.2),
    "ema": case(ema_decay=0.9),
    "ema, dropout, noise, cosine": case(
        ema_decay=0.8, dropout=0.2, input_noise=0.1, learning_rate="cosine", solver="adamw"
    ),
    "l1, clipping": case(alpha=0.01, l1_ratio=0.5, gradient_clip_norm=0.1),
    "adaptive with plateaus": case(
        solver="sgd", learning_rate="adaptive", learning_rate_init=0.1, **PLATEAUS
    ),
    "adaptive, early stopping": case(
        solver="sgd", learning_rate="adaptive", early_stopping=True, **PLATEAUS
    ),
    "early stopping": case(
        early_stopping=True,
        validation_fraction=0.2,
        max_iter=40,
        **{"n_iter_no_change": 3, "learning_rate_init": 0.03},
    ),
    "early stopping, ema, dropout": case(
        early_stopping=True, n_iter_no_change=4, ema_decay=0.7, dropout=0.1
    ),
    "early stopping, scorer": case(early_stopping=True, scoring="f1_macro"),
    "best weights by the loss": case(restore_best=True, learning_rate_init=0.3),
    "best weights, validation data": case(
        restore_best=True, learning_rate_init=0.1, given=VALIDATION
    ),
    "last weights": case(early_stopping=True, restore_best=False),
    "no shuffling": case(shuffle=False),
    "training scores": case(training_scoring="accuracy"),
    "sample weights": case(given={"sample_weight": WEIGHTS}),
    "class weights": case(class_weight={k: 1.0 + k for k in range(10)}),
    "float32": case(data=(X.astype(np.float32), Y)),
    "sparse": case(data=(sp.csr_matrix(X), Y)),
    "strings": case(data=(X, np.array([f"digit {k}" for k in Y]))),
    "strings as objects": case(data=(X, np.array([f"digit {k}" for k in Y], object))),
    "two classes": case(data=(X, Y > 4)),
    "two labels": case(data=(X, np.column_stack([Y > 4, Y % 2]).astype(int))),
    "numbers": case(MLPRegressor, data=(X, Y / 10)),
    "several numbers": case(MLPRegressor, data=(X, np.column_stack([Y / 10, Y % 2]))),
    "quantiles": case(MLPRegressor, data=(X, Y / 10), loss="quantile", quantile=[0.1, 0.9]),
    "warm start": case(warm_start=True, fitted={"max_iter": 3}, given=VALIDATION),
    "warm start, early stopping": case(
        warm_start=True, early_stopping=True, fitted={"max_iter": 3}
    ),
    "a generator": case(random_state=np.random.RandomState(3)),
    "two threads": case(n_jobs=2, hidden_layer_sizes=(64,)),
}


def model_of(parts):
    """Return the estimator of a case, before the fit that is killed."""
    parameters, fitted = dict(parts["parameters"]), parts["fitted"]
    if isinstance(parameters["random_state"], np.random.RandomState):
        parameters["random_state"] = pickle.loads(pickle.dumps(parameters["random_state"]))
    model = parts["kind"](**parameters)
    if fitted is not None:
        model.set_params(**fitted).fit(*parts["data"], **parts["given"])
        model.set_params(**{name: parameters[name] for name in fitted})
    return model


class Quiet:
    """A callback that does nothing. Others are made of it."""

    def __init__(self, epoch=None):
        self.epoch = epoch

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def is_its_epoch(self, context):
        return context.task_name == "epoch" and context.task_id + 1 == self.epoch


class KillAt(Quiet):
    """A callback that kills the process at the end of an epoch, as a power failure would."""

    def on_fit_task_end(self, estimator, context):
        if self.is_its_epoch(context):
            os.kill(os.getpid(), signal.SIGKILL)


KILLED_AT = 5
KILL_ALL = """
import os, signal, sys, warnings
from pathlib import Path
from test_checkpoints import CASES, KILLED_AT, KillAt, model_of
from sknet import Checkpoint
from sknet.estimators.engine import load_engine

warnings.simplefilter("ignore")
load_engine()
for number, (name, parts) in enumerate(CASES.items()):
    model = model_of(parts)
    process = os.fork()
    if process == 0:
        try:
            checkpoint = Checkpoint(Path(sys.argv[1]) / str(number), every_epochs=2, keep_last=1)
            model.set_callbacks(checkpoint, KillAt(KILLED_AT))
            model.fit(*parts["data"], **parts["given"])
        finally:
            os._exit(1)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, name
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Return a folder with the checkpoints of all cases. Each was killed after its epoch."""
    folder = tmp_path_factory.mktemp("checkpoints")
    run_script(KILL_ALL, folder, timeout=300)
    return folder


def state_of(model):
    """Return all attributes of an estimator except its callbacks."""
    state = model.__getstate__()
    generator = state["random_state"]
    if isinstance(generator, np.random.RandomState):
        state["random_state"] = generator.get_state(legacy=False)
    return {name: value for name, value in state.items() if name != CALLBACKS}


@needs_callbacks
@needs_kill
@pytest.mark.parametrize("name", CASES)
def test_a_killed_fit_goes_on_to_the_same_bits(name, killed):
    parts = CASES[name]
    whole = model_of(parts).fit(*parts["data"], **parts["given"])
    resumed = Checkpoint.resume(killed / str(list(CASES).index(name)))
    assert resumed.n_iter_ == KILLED_AT - 1
    resumed.set_callbacks().fit(*parts["data"], **parts["given"])
    assert resumed.n_iter_ > KILLED_AT, "the fit must have something left to do"
    assert_same(state_of(resumed), state_of(whole))


class Interruption(Exception):
    """Stands for a crash in tests that need no process of their own."""


class CrashAt(Quiet):
    """A callback that raises at the end of an epoch."""

    def on_fit_task_end(self, estimator, context):
        if self.is_its_epoch(context):
            raise Interruption


@needs_callbacks
@pytest.mark.parametrize(
    "name", ["adaptive with plateaus", "early stopping", "schedule invscaling", "ema"]
)
def test_it_goes_on_from_every_epoch(name, tmp_path):
    """Whatever an epoch brings: a plateau, a better score, the end of patience."""
    parts = CASES[name]
    model = model_of(parts).set_callbacks(Checkpoint(tmp_path / "all", keep_last=1000))
    whole = model.fit(*parts["data"], **parts["given"])
    files = sorted((tmp_path / "all").iterdir())
    assert len(files) == whole.n_iter_
    if name == "adaptive with plateaus":
        assert len(set(whole.learning_rate_curve_)) > 2
    if name == "early stopping":
        assert whole.n_iter_ < whole.max_iter
    for number, file in enumerate(files, start=1):
        resumed = Checkpoint.resume(file).set_callbacks()
        assert resumed.n_iter_ == number
        assert_same(state_of(resumed.fit(*parts["data"], **parts["given"])), state_of(whole))


@needs_callbacks
def test_a_fit_may_be_cut_short_again_and_again(tmp_path):
    parts = CASES["early stopping, ema, dropout"]
    whole = model_of(parts).fit(X, Y)
    model = model_of(parts).set_callbacks(Checkpoint(tmp_path, every_epochs=1))
    for epoch in (2, 3, 5):
        model.set_callbacks(*vars(model)[CALLBACKS], CrashAt(epoch))
        with pytest.raises(Interruption):
            model.fit(X, Y)
        model = Checkpoint.resume(tmp_path)
        assert model.n_iter_ == epoch
    assert_same(state_of(model.fit(X, Y)), state_of(whole))


@needs_callbacks
def test_what_errors_advise_to_begin_anew(tmp_path):
    model_of(CASES["ema"]).set_callbacks(Checkpoint(tmp_path)).fit(X, Y)
    resumed = Checkpoint.resume(tmp_path)
    advice = r"To begin anew, fit sklearn\.base\.clone\(estimator\)\.set_callbacks\(\)\."
    with pytest.raises(ValueError, match=f"other values.*{advice}"):
        resumed.fit(1 - X, Y)
    with pytest.raises(ValueError, match=f"alpha=1.0.*{advice}"):
        resumed.set_params(alpha=1.0).fit(X, Y)
    assert clone(resumed).set_callbacks().fit(X, Y).n_iter_ == NET["max_iter"]
    with pytest.raises(ValueError, match="checkpoints of another fit"):
        clone(resumed).fit(X, Y)


@needs_callbacks
def test_callbacks_count_epochs_as_if_there_had_been_no_crash(tmp_path):
    class Counter(Quiet):
        def __init__(self):
            self.numbers = []

        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch":
                self.numbers.append((context.task_id, estimator.n_iter_))

    model = model_of(CASES["ema"]).set_callbacks(Checkpoint(tmp_path, every_epochs=4), CrashAt(6))
    with pytest.raises(Interruption):
        model.fit(X, Y)
    counter = Counter()
    Checkpoint.resume(tmp_path).set_callbacks(counter).fit(X, Y)
    assert counter.numbers == [(4, 5), (5, 6), (6, 7), (7, 8), (8, 9)]


@needs_callbacks
@pytest.mark.parametrize("verbose", [True, 2, "progress"])
def test_reports_go_on_where_the_fit_goes_on(verbose, tmp_path, capsys):
    model = model_of(CASES["ema"]).set_callbacks(Checkpoint(tmp_path, every_epochs=7)).fit(X, Y)
    capsys.readouterr()
    Checkpoint.resume(tmp_path).set_params(verbose=verbose).set_callbacks().fit(X, Y)
    out = capsys.readouterr().out
    if verbose == "progress":
        assert "9/9" in out
        assert f"loss {model.loss_:.4f}" in out
    else:
        lines = [line for line in out.splitlines() if "loss" in line]
        starts = ["Iteration 8,", "Iteration 9,"] if verbose is True else ["Epoch 8/9", "Epoch 9/9"]
        assert len(lines) == 2
        assert all(map(str.startswith, lines, starts))


@needs_callbacks
def test_an_interrupt_after_resuming_counts_all_epochs(tmp_path):
    """Ctrl-C ends the training that goes on as it would have ended the first one."""

    class InterruptAt(Quiet):
        def on_fit_task_begin(self, estimator, context):
            if self.is_its_epoch(context):
                raise KeyboardInterrupt

    parts = CASES["schedule invscaling"]
    model_of(parts).set_callbacks(Checkpoint(tmp_path, every_epochs=4)).fit(X, Y)
    models = []
    for model in (model_of(parts), Checkpoint.resume(tmp_path / "epoch-000004.safetensors")):
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            models.append(model.set_callbacks(InterruptAt(7)).fit(X, Y))
    assert models[0].n_iter_ == 6
    assert models[0].t_ == 6 * N
    assert_same(*map(state_of, models))


@needs_callbacks
def test_max_iter_may_be_changed_before_it_goes_on(tmp_path):
    model_of(CASES["ema"]).set_callbacks(Checkpoint(tmp_path)).fit(X, Y)
    longer = Checkpoint.resume(tmp_path).set_params(max_iter=14, n_jobs=2).fit(X, Y)
    whole = model_of(CASES["ema"]).set_params(max_iter=14).fit(X, Y)
    assert longer.n_iter_ == 14
    assert_same_weights(longer, whole)


@needs_callbacks
def test_the_resumed_estimator_predicts_and_can_be_pickled(tmp_path):
    parts = CASES["strings as objects"]
    X, y = parts["data"]
    model = model_of(parts).set_params(max_iter=4)
    predicted = model.set_callbacks(Checkpoint(tmp_path)).fit(X, y).predict_proba(X)
    resumed = Checkpoint.resume(tmp_path)
    assert_array_equal(resumed.predict_proba(X), predicted)
    assert_array_equal(resumed.classes_, model.classes_)
    assert resumed.history_ == model.history_
    copy = pickle.loads(pickle.dumps(resumed.set_callbacks()))
    for net in (resumed, copy):
        assert_same_weights(net.set_params(max_iter=9).fit(X, y), model_of(parts).fit(X, y))


@needs_callbacks
def test_a_model_is_saved_without_its_callbacks_and_its_interrupted_fit(tmp_path):
    model = model_of(CASES["strings"]).set_callbacks(Checkpoint(tmp_path / "run", every_epochs=4))
    X, y = CASES["strings"]["data"]
    model.fit(X, y)
    resumed = Checkpoint.resume(tmp_path / "run")
    for net in (model, resumed):
        sknet.save(net, tmp_path / "model")
        for copy in (sknet.load(tmp_path / "model"), net.without_training_state()):
            assert_array_equal(copy.predict_proba(X), net.predict_proba(X))
            assert_same_weights(copy.set_callbacks().fit(X, y), model)  # from the first epoch on


@needs_callbacks
def test_partial_fit_and_clone_leave_the_interrupted_fit(tmp_path):
    model = model_of(CASES["solver adam"]).set_callbacks(Checkpoint(tmp_path, every_epochs=4))
    whole = model.fit(X, Y).set_callbacks()
    resumed = Checkpoint.resume(tmp_path).set_callbacks()
    assert_same_weights(clone(resumed).fit(X, Y), whole)
    resumed.partial_fit(X, Y)
    assert len(resumed.loss_curve_) == 9
    assert_same_weights(resumed.fit(X, Y), whole)
    assert resumed.n_iter_ == 9


@needs_callbacks
def test_the_global_generator_is_left_alone(tmp_path):
    model = model_of(CASES["dropout"]).set_params(random_state=None)
    np.random.seed(5)  # noqa: NPY002
    whole = model.set_callbacks(Checkpoint(tmp_path, every_epochs=4)).fit(X, Y)
    resumed = Checkpoint.resume(tmp_path)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert_same_weights(resumed.fit(X, Y), whole)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
