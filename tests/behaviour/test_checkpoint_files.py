"""Files of checkpoints: which are kept, what is refused, and what damage does not do."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from subprocess import Popen

import numpy as np
import pytest
from processes import run_script
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from snapshots import assert_same, assert_same_weights, assert_unchanged, snapshot
from versions import HAS_CALLBACKS, needs_callbacks

import sknet
from sknet import Checkpoint, MLPClassifier
from sknet.estimators import callbacks
from sknet.exceptions import ModelFileError
from sknet.export.checkpoints import read_image, write_image

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NET = {
    "hidden_layer_sizes": (6,),
    "batch_size": 40,
    "max_iter": 6,
    "n_iter_no_change": np.inf,
    "learning_rate_init": 0.01,
    "random_state": 0,
}


@pytest.fixture
def small(digits):
    return digits[0][:120], digits[1][:120]


class Quiet:
    """A callback that does nothing. Others are made of it."""

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass


def saved_epochs(folder):
    return sorted(int(path.stem.removeprefix("epoch-")) for path in folder.iterdir())


# Which files are kept.


@needs_callbacks
@pytest.mark.parametrize(
    ("parameters", "epochs"),
    [
        ({}, [5, 6]),
        ({"keep_last": 4}, [3, 4, 5, 6]),
        ({"every_epochs": 2, "keep_last": 9}, [2, 4, 6]),
        ({"every_epochs": 4}, [4]),
        ({"every_epochs": 7}, []),
        ({"every_minutes": 1e-9, "keep_last": 1}, [6]),
        ({"every_minutes": 1e9}, []),
        ({"every_minutes": 1e9, "every_epochs": 3}, [3, 6]),
    ],
)
def test_files_that_are_kept(parameters, epochs, small, tmp_path):
    folder = tmp_path / "new" / "folder"
    MLPClassifier(**NET).set_callbacks(Checkpoint(folder, **parameters)).fit(*small)
    assert saved_epochs(folder) == epochs


@needs_callbacks
def test_minutes_are_counted_from_the_last_file(small, tmp_path, monkeypatch):
    """Each epoch takes half a minute on this clock, so every third one is saved."""
    from sknet.export import checkpoints

    ticks = iter(range(1000))
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: 30.0 * next(ticks))
    checkpoint = Checkpoint(tmp_path, every_minutes=1.5, keep_last=9)
    MLPClassifier(**NET).set_callbacks(checkpoint).fit(*small)
    # After a file the clock is read once more, which takes half a minute, too.
    assert saved_epochs(tmp_path) == [3, 6]


@needs_callbacks
@pytest.mark.parametrize("is_validated", [False, True])
def test_the_best_is_kept(is_validated, small, tmp_path):
    """A rate so large that losses and scores go up and down."""
    X, y = small
    given = {"X_val": X[:50], "y_val": y[:50]} if is_validated else {}
    model = MLPClassifier(**{**NET, "learning_rate_init": 0.5, "max_iter": 12})
    model.set_callbacks(Checkpoint(tmp_path, keep_last=1, keep_best=True)).fit(X, y, **given)
    curve = np.array(model.validation_scores_ if is_validated else model.loss_curve_)
    best = int(curve.argmax() if is_validated else curve.argmin()) + 1
    assert best < 12
    assert saved_epochs(tmp_path) == [best, 12]
    assert Checkpoint.resume(tmp_path).n_iter_ == 12
    found = Checkpoint.resume(tmp_path, which="best")
    assert found.n_iter_ == best
    assert_same_weights(
        found, MLPClassifier(**model.get_params()).set_params(max_iter=best).fit(X, y)
    )


@needs_callbacks
def test_the_best_before_a_crash_stays_the_best(small, tmp_path):
    model = MLPClassifier(**{**NET, "learning_rate_init": 0.5, "max_iter": 12})
    model.set_callbacks(Checkpoint(tmp_path, keep_last=1, keep_best=True)).fit(*small)
    longer = Checkpoint.resume(tmp_path).set_params(max_iter=15).fit(*small)
    number = int(np.argmin(longer.loss_curve_)) + 1
    assert saved_epochs(tmp_path) == sorted({number, 15})


@needs_callbacks
def test_going_back_to_an_earlier_file_gives_up_later_ones(small, tmp_path):
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path, keep_last=9)).fit(*small)
    resumed = Checkpoint.resume(tmp_path / "epoch-000002.safetensors")
    resumed.set_params(max_iter=4).fit(*small)
    assert saved_epochs(tmp_path) == [1, 2, 3, 4]


@needs_callbacks
def test_which_best_needs_files_that_were_kept(small, tmp_path):
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path)).fit(*small)
    with pytest.raises(ValueError, match=r"keep_best=False.*which='newest'"):
        Checkpoint.resume(tmp_path, which="best")
    with pytest.raises(ValueError, match="which='last' must be 'newest' or 'best'"):
        Checkpoint.resume(tmp_path, which="last")


@needs_callbacks
def test_checkpoints_do_not_touch_training(small, tmp_path):
    plain = MLPClassifier(**NET, dropout=0.2, early_stopping=True)
    model = MLPClassifier(**plain.get_params()).set_callbacks(Checkpoint(tmp_path)).fit(*small)
    assert_same(model.set_callbacks().__getstate__(), plain.fit(*small).__getstate__())
    assert not hasattr(model, "_run")


# What is refused, before the first epoch.


def test_without_callbacks_an_error_says_so(monkeypatch, tmp_path):
    if HAS_CALLBACKS:
        monkeypatch.setattr(callbacks, "HAS_CALLBACKS", False)
    for call in (Checkpoint, Checkpoint.resume):
        with pytest.raises(ImportError, match=r"Checkpoint needs .* scikit-learn 1\.9 or newer"):
            call(tmp_path)


@needs_callbacks
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("every_epochs", 0),
        ("every_epochs", 1.5),
        ("every_minutes", 0),
        ("every_minutes", "5"),
        ("every_minutes", np.inf),
        ("keep_last", 0),
        ("keep_last", None),
    ],
)
def test_parameters_outside_their_domains(name, value, tmp_path):
    with pytest.raises(ValueError, match=f"{name}={value!r} must be "):
        Checkpoint(tmp_path, **{name: value})


class Child(MLPClassifier):
    """A subclass."""


def constant(fraction):
    return 1.0


@needs_callbacks
@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (MLPClassifier(solver="lbfgs"), ValueError, "solver='lbfgs'.*Choose one of"),
        (MLPClassifier(learning_rate=constant), ValueError, "cannot save learning_rate=<function"),
        (MLPClassifier(scoring=constant), ValueError, "cannot save scoring=<function"),
        (MLPClassifier(training_scoring=constant), ValueError, "cannot save training_scoring="),
        (MLPClassifier(weight_init=lambda *a: np.ones(a[:2])), ValueError, "save weight_init="),
        (Child(), TypeError, "cannot save Child"),
    ],
)
def test_what_cannot_be_saved_is_told_at_the_start(model, error, message, small, tmp_path):
    model.set_params(max_iter=2).set_callbacks(Checkpoint(tmp_path / "files"))
    before = snapshot(model)
    with pytest.raises(error, match=message):
        model.fit(*small)
    assert_unchanged(model, before)
    assert not (tmp_path / "files").exists()


@needs_callbacks
def test_generators_that_files_do_not_have_are_refused(small, tmp_path):
    model = MLPClassifier(**{**NET, "random_state": np.random.RandomState(np.random.PCG64(0))})
    with pytest.raises(ValueError, match="cannot save random_state="):
        model.set_callbacks(Checkpoint(tmp_path)).fit(*small)


@needs_callbacks
def test_other_estimators_are_refused(small, tmp_path):
    if not hasattr(LogisticRegression, "set_callbacks"):
        with pytest.raises(TypeError, match="cannot save LogisticRegression"):
            Checkpoint(tmp_path).setup(LogisticRegression(), None)


@needs_callbacks
def test_a_folder_belongs_to_one_fit(small, tmp_path):
    checkpoint = Checkpoint(tmp_path)
    MLPClassifier(**NET).set_callbacks(checkpoint).fit(*small)
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"has checkpoints of another fit.*resume.*delete them"):
        MLPClassifier(**NET).set_callbacks(checkpoint).fit(*small)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files
    search = GridSearchCV(
        MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path / "search")),
        {"alpha": [0.1, 1.0]},
        error_score="raise",
        cv=2,
    )
    with pytest.raises(ValueError, match="A search or a cross-validation makes many fits"):
        search.fit(*small)


@needs_callbacks
def test_a_fit_inside_a_fit_is_refused(small, tmp_path):
    checkpoint = Checkpoint(tmp_path)

    class FitsAnother(Quiet):
        def on_fit_task_begin(self, estimator, context):
            MLPClassifier(**NET).set_callbacks(checkpoint).fit(*small)

    with pytest.raises(ValueError, match="is in use by another fit"):
        MLPClassifier(**NET).set_callbacks(checkpoint, FitsAnother()).fit(*small)


# Data and parameters of the fit that goes on.


@needs_callbacks
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y, g: (X[:-1], y[:-1], g), r"X has the shape \(119, 64\), but .* \(120, 64\)"),
        (lambda X, y, g: (X.astype(np.float32), y, g), "X has the dtype float32, but .* float64"),
        (lambda X, y, g: (X + (X[77, 20] == X) * 1e-12, y, g), "X has other values"),
        (lambda X, y, g: (X, np.roll(y, 1), g), "y has other values"),
        (lambda X, y, g: (X, y + 1, g | {"y_val": y + 1}), "y has other values"),
        (lambda X, y, g: (X, y, g | {"sample_weight": np.ones(120) + (y == 0)}), "sample_weight"),
        (lambda X, y, g: (X, y, {}), "X_val is missing, but the interrupted run had it"),
        (lambda X, y, g: (X, y, g | {"y_val": np.roll(y, 1)}), "y_val has other values"),
    ],
)
def test_other_data_are_refused(change, message, small, tmp_path):
    X, y = small
    given = {"X_val": X, "y_val": y}
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path)).fit(X, y, **given)
    resumed = Checkpoint.resume(tmp_path)
    before = snapshot(resumed)
    X_new, y_new, given_new = change(X, y, given)
    with pytest.raises(ValueError, match=message):
        resumed.fit(X_new, y_new, **given_new)
    assert_unchanged(resumed, before)
    resumed.fit(X, y, **given)  # it still goes on with the right ones


@needs_callbacks
def test_data_that_are_new_are_refused(small, tmp_path):
    X, y = small
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path)).fit(X, y)
    with pytest.raises(ValueError, match="X_val is given, but the interrupted run had none"):
        Checkpoint.resume(tmp_path).fit(X, y, X_val=X, y_val=y)


@needs_callbacks
@pytest.mark.parametrize(
    "change",
    [{"alpha": 0.1}, {"hidden_layer_sizes": (7,)}, {"solver": "sgd"}, {"learning_rate": "cosine"}],
)
def test_other_parameters_are_refused(change, small, tmp_path):
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path)).fit(*small)
    (name,) = change
    with pytest.raises(ValueError, match=f"{name}=.*but the interrupted run has {name}="):
        Checkpoint.resume(tmp_path).set_params(**change).fit(*small)


# Damage.


@needs_callbacks
def test_the_newest_whole_file_is_used(small, tmp_path):
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path, keep_last=3)).fit(*small)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"epoch-000006\.safetensors: .*damaged"):
        Checkpoint.resume(newest)
    with pytest.warns(UserWarning, match=r"000006.* is damaged.*000005.*is used instead"):
        resumed = Checkpoint.resume(tmp_path)
    assert resumed.n_iter_ == 5
    whole = MLPClassifier(**NET).fit(*small)
    assert_same_weights(resumed.fit(*small), whole)
    assert Checkpoint.resume(tmp_path).n_iter_ == 6
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    with pytest.raises(ValueError, match=r"All checkpoints in .* are damaged"):
        Checkpoint.resume(tmp_path)


@needs_callbacks
def test_a_folder_without_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        Checkpoint.resume(tmp_path)
    with pytest.raises(FileNotFoundError):
        Checkpoint.resume(tmp_path / "missing")


@needs_callbacks
def test_a_full_disk_costs_a_file_and_not_the_fit(small, tmp_path, monkeypatch):
    fsync, is_full = os.fsync, False

    def fsync_if_there_is_space(descriptor):
        if is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    class FillDisk(Quiet):
        def on_fit_task_begin(self, estimator, context):
            nonlocal is_full
            is_full = context.task_name == "epoch" and context.task_id + 1 in (2, 3)

    monkeypatch.setattr(os, "fsync", fsync_if_there_is_space)
    model = MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path, keep_last=9), FillDisk())
    with pytest.warns(UserWarning, match=r"No checkpoint was saved.*No space left") as warned:
        model.fit(*small)
    assert len([w for w in warned if "No checkpoint" in str(w.message)]) == 2
    assert_same_weights(model, MLPClassifier(**NET).fit(*small))
    assert not list(tmp_path.glob(".*"))
    assert saved_epochs(tmp_path) == [1, 4, 5, 6]


@needs_callbacks
def test_a_file_of_another_version_warns(small, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sknet, "__version__", "0.0.7")
        MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path)).fit(*small)
    with pytest.warns(UserWarning, match=r"saved by sknet 0\.0\.7"):
        Checkpoint.resume(tmp_path)


ENDLESS = """
import sys, warnings
import numpy as np
from sklearn.datasets import load_digits
from sknet import Checkpoint, MLPClassifier

X, y = load_digits(return_X_y=True)
net = MLPClassifier((300, 300), max_iter=100_000, n_iter_no_change=np.inf, random_state=0)
net.set_callbacks(Checkpoint(sys.argv[1], keep_last=2)).fit(X[:200] / 16, y[:200])
"""


@needs_callbacks
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system cannot kill so")
def test_a_process_that_is_killed_at_any_moment_leaves_a_whole_file(tmp_path, digits):
    """It writes most of the time, so most of its ends come in the middle of a file."""
    X, y = digits[0][:200], digits[1][:200]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        process = Popen([sys.executable, "-c", ENDLESS, folder], env=environment)
        deadline = time.monotonic() + 100
        while len(list(folder.glob("epoch-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05 + 0.013 * attempt)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        resumed = Checkpoint.resume(folder)  # without a warning of a damaged one
        n_epochs = resumed.n_iter_ + 2
        resumed.set_params(max_iter=n_epochs).fit(X, y)
        assert not list(folder.glob(".*")), "what the killed process left is cleared away"
        whole = MLPClassifier(**resumed.get_params()).fit(X, y)
        assert resumed.n_iter_ == whole.n_iter_ == n_epochs
        assert_same_weights(resumed, whole)


# The file itself. What damage and strangers may do to any file is in tests/export/test_files.py.


@needs_callbacks
@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.clear(),
        lambda image: image.update({"class": "Popen"}),
        lambda image: image["parameters"].update(no_such=1),
        lambda image: image["parameters"].update(alpha=-1),
        lambda image: image["fitted"].update(n_outputs_=7),
        lambda image: image["fitted"].update(coefs_=[]),
        lambda image: image.update(run=3),
        lambda image: image.pop("checkpoint"),
        lambda image: image["checkpoint"].update(settings={"no_such": 1}),
        lambda image: image["checkpoint"].update(settings={"keep_last": -1}),
    ],
)
def test_files_that_are_no_checkpoints(change, small, tmp_path):
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path, keep_last=1)).fit(*small)
    (path,) = tmp_path.iterdir()
    image = read_image(path)
    change(image)
    write_image(path, image)
    with pytest.raises(ModelFileError):
        Checkpoint.resume(path)


@needs_callbacks
@pytest.mark.parametrize(
    "change",
    [
        {"slots": np.zeros(3)},
        {"best_params": np.zeros(3)},
        {"rows": np.array([10**9] * 120)},
        {"rows": np.arange(119)},
        {"slots": np.zeros(1)[:0]},
    ],
)
def test_states_that_do_not_fit_are_refused_before_a_kernel_sees_them(change, small, tmp_path):
    MLPClassifier(**NET).set_callbacks(Checkpoint(tmp_path, keep_last=1)).fit(*small)
    (path,) = tmp_path.iterdir()
    image = read_image(path)
    image["run"].update(change)
    write_image(path, image)
    with pytest.raises(ValueError, match=r"not what a checkpoint saves|interrupted run"):
        Checkpoint.resume(path).fit(*small)


def test_the_import_stays_light():
    """The names of checkpoints are there, and what fits is not imported."""
    run_script("import sys, sknet; sknet.Checkpoint; assert 'numba' not in sys.modules")
