"""Files of sknet.save: what they hold, what is refused, and that a file is whole or the old one."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from factories import LBFGS_STOPS_EARLY, classifier, regressor
from numpy.testing import assert_array_equal
from processes import run_script
from sklearn.exceptions import NotFittedError
from snapshots import assert_same, assert_same_weights, assert_unchanged, snapshot

import sknet
from sknet.dask import DaskMLPClassifier
from sknet.estimators.pickles import TRAINING_STATE
from sknet.exceptions import ModelFileError
from sknet.optimizers import Optimizer

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", LBFGS_STOPS_EARLY
)

# Beyond ASCII, half a pair, NUL.
LETTERS = np.array([*"abcdefgh", "\u00e4\U0001f600", "j\udc80\0x"])
TARGETS = {
    "integers": lambda y: y,
    "small integers": lambda y: y.astype(np.int8),
    "floats": lambda y: y.astype(float),
    "strings": lambda y: LETTERS[y],
    "wide strings": lambda y: LETTERS.astype("<U20")[y],
    "objects": lambda y: LETTERS.astype(object)[y],
    "bools": lambda y: y > 4,
    "two strings": lambda y: np.where(y > 4, "yes", "no"),
    "one class": lambda y: np.full(len(y), "only"),
    "multilabel": lambda y: np.column_stack([y % 2, y > 4, y < 3]).astype(int),
    "sparse multilabel": lambda y: sp.csr_array(np.column_stack([y % 2, y > 4]).astype(int)),
    "numbers": lambda y: y / 3,
    "several numbers": lambda y: np.column_stack([y, y**2]) / 50,
}
both = pytest.mark.parametrize("training_state", [False, True])
solvers = pytest.mark.parametrize("solver", [*Optimizer.table, "lbfgs"])


@pytest.fixture(scope="module")
def small(digits):
    return digits[0][:120], digits[1][:120]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def make(kind, **parameters):
    one = regressor if "numbers" in kind else classifier
    return one(**{"max_iter": 3, **parameters})


def predictions_of(model, X):
    names = ("predict", "predict_proba", "decision_function")
    found = [getattr(model, name)(X) for name in names if hasattr(model, name)]
    return [p.toarray() if sp.issparse(p) else p for p in found]


def assert_equal_after_round_trip(model, path, X, training_state):
    """Save and load a model, compare everything to the bit, and return the loaded one."""
    before = snapshot(model)
    sknet.save(model, path, training_state=training_state)
    assert_unchanged(model, before)
    loaded = sknet.load(path)
    assert type(loaded) is type(model)
    mine, expected = loaded.__getstate__(), model.__getstate__()
    if not training_state:
        expected = {name: v for name, v in expected.items() if name not in TRAINING_STATE}
    assert_same(mine, expected)
    assert_same(predictions_of(loaded, X), predictions_of(model, X))
    return loaded


@both
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", TARGETS)
def test_targets(kind, dtype, training_state, small, path):
    X, y = small[0].astype(dtype), TARGETS[kind](small[1])
    loaded = assert_equal_after_round_trip(make(kind).fit(X, y), path, X, training_state)
    assert loaded.coefs_[0].dtype == dtype
    assert loaded.history_ == make(kind).fit(X, y).history_


@solvers
@pytest.mark.parametrize("kind", ["integers", "numbers"])
def test_training_goes_on_with_the_same_bits(kind, solver, small, path):
    X, y = small[0], TARGETS[kind](small[1])
    model = make(kind, solver=solver, warm_start=True).fit(X, y)
    loaded = assert_equal_after_round_trip(model, path, X, True)
    for call in ("fit",) if solver == "lbfgs" else ("partial_fit", "fit", "partial_fit"):
        for m in (model, loaded):
            getattr(m, call)(X, y)
        assert_same(loaded.__getstate__(), model.__getstate__())


@pytest.mark.parametrize(
    "how",
    [
        {"dropout": [0.3], "input_noise": 0.1},
        {"ema_decay": 0.9},
        {"early_stopping": True, "scoring": "f1_macro"},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"learning_rate": "cosine", "warmup_fraction": 0.1},
        {"random_state": np.random.RandomState(5)},
        {"training_scoring": "accuracy", "class_weight": "balanced"},
    ],
)
def test_training_goes_on_with(how, small, path):
    X, y = small
    if isinstance(how.get("random_state"), np.random.RandomState):
        how = {"random_state": np.random.RandomState(5)}
        how["random_state"].normal()  # leaves a second number behind
    model = classifier(max_iter=4, warm_start=True, **how).fit(X, y)
    loaded = assert_equal_after_round_trip(model, path, X, True)
    is_incremental = "early_stopping" not in how and how.get("class_weight") != "balanced"
    for _ in range(2):
        for m in (model, loaded):
            m.partial_fit(X, y) if is_incremental else m.fit(X, y)
        assert_same(loaded.__getstate__(), model.__getstate__())


def test_without_the_state_the_optimiser_starts_afresh(small, path):
    model = classifier(max_iter=4).fit(*small)
    sknet.save(model, path)
    loaded = sknet.load(path)
    assert not any(name in vars(loaded) for name in TRAINING_STATE)
    stripped = model.without_training_state()
    for m in (loaded, stripped, model):
        m.partial_fit(*small)
    assert_same_weights(loaded, stripped)
    assert abs(loaded.coefs_[0] - model.coefs_[0]).max() > 1e-4


@both
@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("integers", {"loss": "hinge"}),
        ("bools", {"loss": "hinge"}),
        ("integers", {"loss": "focal", "focal_gamma": 1}),
        ("multilabel", {"loss": "squared_error"}),
        ("integers", {"class_weight": {k: np.float32(1 + k) for k in range(10)}}),
        ("two strings", {"class_weight": {np.str_("yes"): 2.0, "no": 1}}),
        ("multilabel", {"class_weight": [{0: 1.0, 1: 2.0}] * 3}),
        ("integers", {"hidden_layer_sizes": [6, 5], "activation": ["gelu", "tanh"]}),
        ("integers", {"hidden_layer_sizes": np.array([6, 5]), "dropout": (0.1, 0.0)}),
        ("integers", {"hidden_layer_sizes": ()}),
        ("integers", {"hidden_layer_sizes": "6-5", "n_iter_no_change": np.inf}),
        ("integers", {"alpha": np.float32(0.1), "max_iter": np.int64(2), "verbose": np.False_}),
        ("numbers", {"loss": "quantile", "quantile": [0.1, 0.5], "non_crossing": True}),
        ("several numbers", {"loss": "quantile", "quantile": np.array([0.1, 0.5, 0.8])}),
        ("numbers", {"loss": "quantile", "quantile": 0.3}),
        ("numbers", {"loss": "huber", "huber_delta": 0.5}),
        ("numbers", {"loss": "poisson"}),
    ],
)
def test_parameters(kind, parameters, training_state, small, path):
    X, y = small[0], TARGETS[kind](small[1])
    model = make(kind, **parameters).fit(X, y)
    loaded = assert_equal_after_round_trip(model, path, X, training_state)
    mine, expected = loaded.get_params(), model.get_params()
    assert {k: type(v) for k, v in mine.items()} == {k: type(v) for k, v in expected.items()}


def test_names_of_features(small, path):
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    X = pd.DataFrame(small[0]).add_prefix("pixel \u00e9 ")
    loaded = assert_equal_after_round_trip(classifier(max_iter=2).fit(X, small[1]), path, X, False)
    assert list(loaded.feature_names_in_) == list(X.columns)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(X[X.columns[::-1]])


def test_weights_set_by_hand(small, path):
    model = classifier(max_iter=2).fit(*small)
    model.coefs_ = [np.asfortranarray(W).astype(int).tolist() for W in model.coefs_]
    sknet.save(model, path)
    assert_array_equal(sknet.load(path).predict_proba(small[0]), model.predict_proba(small[0]))


def test_values_that_are_no_finite_numbers(small, path):
    """Curves of interrupted fits have NaN, and best values begin with infinity."""
    model = classifier(max_iter=2).fit(*small)
    model.loss_curve_[1], model.loss_, model.best_loss_ = np.nan, np.nan, np.inf
    model.intercepts_[0][0] = -np.inf
    assert_equal_after_round_trip(model, path, small[0], True)


def test_a_stale_optimiser_is_left_out(small, path):
    """L-BFGS leaves the moments of another network, which no call would use."""
    model = classifier(max_iter=2, ema_decay=0.9).fit(*small)
    model.set_params(solver="lbfgs", hidden_layer_sizes=(4,), ema_decay=None).fit(*small)
    assert model._optimizer is not None
    sknet.save(model, path, training_state=True)
    loaded = sknet.load(path)
    for m in (model, loaded):
        m.set_params(solver="adam").partial_fit(*small)
    assert_same_weights(loaded, model)


def test_a_copy_is_independent(small, path):
    model = classifier(max_iter=2).fit(*small)
    sknet.save(model, path, training_state=True)
    content = path.read_bytes()
    sknet.load(path).partial_fit(*small)
    assert path.read_bytes() == content
    assert sknet.load(path).coefs_[0].flags.writeable


def test_the_same_model_gives_the_same_bytes(small, path, tmp_path):
    model = classifier(max_iter=2).fit(*small)
    sknet.save(model, path)
    sknet.save(sknet.load(path), tmp_path / "again")
    sknet.save(classifier(max_iter=2).fit(*small), str(tmp_path / "third"))
    assert path.read_bytes() == (tmp_path / "again").read_bytes()
    assert path.read_bytes() == (tmp_path / "third").read_bytes()


def test_size(digits, path):
    model = classifier(max_iter=100, hidden_layer_sizes=(64,), tol=0).fit(*digits)
    weights = sum(v.nbytes for v in model.coefs_ + model.intercepts_)
    for training_state, copies in ((False, 1), (True, 3)):
        sknet.save(model, path, training_state=training_state)
        assert copies * weights < path.stat().st_size < copies * weights + 10_000


def test_the_library_of_the_format_reads_it(small, path):
    numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    model = classifier(max_iter=2).fit(small[0].astype(np.float32), small[1])
    sknet.save(model, path, training_state=True)
    arrays = numpy.load_file(path)
    for i, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        assert_array_equal(arrays[f"coefs_.{i}"], W, strict=True)
        assert_array_equal(arrays[f"intercepts_.{i}"], b, strict=True)
    assert_array_equal(arrays["loss_curve_"], model.loss_curve_)
    assert_array_equal(arrays["_optimizer.slots"], model._optimizer.slots)


# What cannot be saved.


class Own(sknet.MLPClassifier):
    """A class of the user's."""


def constant_rate(fraction):
    return 1.0


def draw(fan_in, fan_out, random_state):
    return np.zeros((fan_in, fan_out))


def score(model, X, y):
    return 0.5


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"learning_rate": constant_rate}, "learning_rate=.*function"),
        ({"weight_init": draw}, "weight_init=.*function"),
        ({"training_scoring": score}, "training_scoring=.*function"),
        ({"random_state": np.random.RandomState(np.random.PCG64(0))}, "random_state="),
    ],
)
def test_parameters_that_files_do_not_have(parameters, name, small, path):
    model = classifier(max_iter=2, **parameters).fit(*small)
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match=name):
        sknet.save(model, path)
    assert path.read_bytes() == b"old"


def test_attributes_that_files_do_not_have(small, path):
    model = classifier(max_iter=2).fit(*small)
    model.note_ = "mine"
    with pytest.raises(ValueError, match="note_"):
        sknet.save(model, path)
    del model.note_
    model.set_params(alpha=-1.0)
    with pytest.raises(ValueError, match="alpha"):
        sknet.save(model, path)
    assert not path.exists()


def test_other_objects(small, path):
    for other in (Own(max_iter=2).fit(*small), sknet.HiddenLayers(classifier()), "model"):
        with pytest.raises(TypeError, match="takes an MLPClassifier or MLPRegressor"):
            sknet.save(other, path)
    with pytest.raises(TypeError, match="to_local"):
        sknet.save(DaskMLPClassifier(), path)
    with pytest.raises(NotFittedError, match="not fitted"):
        sknet.save(classifier(), path)


def test_strings_of_very_different_lengths(small, path):
    """NumPy's form of them would take much more memory than the file."""
    y = np.where(small[1] > 4, "x", "y" * 200_000)
    model = classifier(max_iter=2).fit(small[0], y.astype(object))
    assert_equal_after_round_trip(model, path, small[0][:2], False)
    model.classes_ = np.array(["x", "y" * 9_000_000])
    with pytest.raises(ValueError, match="object"):
        sknet.save(model, path)


# Files that are not there, and files that are replaced.


def test_missing_files(small, tmp_path):
    with pytest.raises(FileNotFoundError):
        sknet.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        sknet.save(classifier(max_iter=2).fit(*small), tmp_path / "none" / "model")
    with pytest.raises(IsADirectoryError):
        sknet.load(tmp_path)


def test_the_message_names_the_file(path):
    path.write_bytes(b"something else")
    with pytest.raises(ModelFileError, match=r"model\.safetensors.*sknet\.save"):
        sknet.load(path)


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions and links")
def test_permissions_and_links(small, path, tmp_path):
    model = classifier(max_iter=2).fit(*small)
    sknet.save(model, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    sknet.save(model, link, training_state=True)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "_optimizer" in vars(sknet.load(path))


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


SAVE = """
import os, signal, sys
import numpy as np
import sknet

path, how = sys.argv[1:]
X = np.random.default_rng(0).normal(size=(40, 200))
model = sknet.MLPRegressor(hidden_layer_sizes=(100,), max_iter=1, random_state=1).fit(X, X[:, 0])
"""
FULL = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    sknet.save(model, path)
except OSError as error:
    print(error.errno)
"""
KILLED = """
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(os, how, die)
sknet.save(model, path)
"""
FOREVER = """
print("ready", flush=True)
while True:
    for seed in (0, 1):
        model.random_state = seed
        sknet.save(model, path)
"""
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such limits and signals")


@pytest.fixture
def old(small, path):
    model = classifier(max_iter=2).fit(*small)
    sknet.save(model, path)
    return model


@posix
def test_a_full_disk_leaves_the_old_file(old, path, small, tmp_path):
    import errno

    assert run_script(SAVE + FULL, path, "full").split() == [str(errno.EFBIG)]
    assert os.listdir(tmp_path) == [path.name]
    assert_same_weights(sknet.load(path), old)


@posix
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_killed_process_leaves_the_old_file(moment, old, path, tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", SAVE + KILLED, path, moment],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 2  # the new file, which was not finished
    assert_same_weights(sknet.load(path), old)
    sknet.save(old, path, training_state=True)
    assert "_optimizer" in vars(sknet.load(path))


@posix
def test_a_process_killed_at_any_moment_leaves_a_whole_file(old, path):
    rng = np.random.default_rng(0)
    seen = set()
    for delay in rng.uniform(0, 0.05, 5):
        with subprocess.Popen(
            [sys.executable, "-c", SAVE + FOREVER, path, "killed"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay)
            process.kill()
        seen.add(sknet.load(path).random_state)
    assert seen <= {0, 1}


def test_import_sknet_stays_light():
    script = "import sys, sknet; print('sknet.export' in sys.modules, 'numba' in sys.modules)"
    assert run_script(script).split() == ["False", "False"]
    assert run_script("import sknet; print(sknet.save.__module__)").strip() == "sknet.export.files"
    assert {"save", "load"} <= set(sknet.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = sknet.nothing
