"""The commands of ``python -m sknet``, and the errors for invalid arguments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version

import joblib
import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

import sknet
from sknet._cli import digits, output
from sknet._cli.arguments import hidden_sizes
from sknet._cli.comparison import speed
from sknet._cli.images import Split
from sknet._cli.main import main
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import Optimizer

GRID = ["--hidden", "30", "20-10", "--learning-rates", "0.01", "--folds", "2", "--max-iter", "40"]


def run(*arguments, **environment):
    """Run Python in a new process, with compilation unless `environment` disables it."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "NUMBA_DISABLE_JIT": "0", **environment},
        capture_output=True,
        text=True,
    )


def row(output, label):
    """Return the values of scikit-learn and of sknet in a line of the report."""
    return re.search(rf"^{label} +(\S.*?)  +(\S.*)$", output, re.MULTILINE).groups()


def test_digits_compares_both_and_saves_the_figure(tmp_path):
    figure = tmp_path / "figure.png"
    done = run("-m", "sknet", "digits", *GRID, "--output", str(figure))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"sknet {sknet.__version__}, Python ")
    assert "1437 training images, 360 test images, float64.\n" in done.stdout
    assert "2 candidates x 2 folds, 1 process with one thread each.\n" in done.stdout
    assert re.search(r"^Compiling kernels, .* cache: \d+\.\d s\.$", done.stdout, re.MULTILINE)
    for label in ("cross-validated accuracy", "test accuracy"):
        sklearn_value, sknet_value = row(done.stdout, label)
        assert 0.9 < float(sklearn_value) == float(sknet_value) < 1
    for label in ("best hidden layers", "best learning rate", "fits stopped at 40 epochs"):
        sklearn_value, sknet_value = row(done.stdout, label)
        assert sklearn_value == sknet_value
    assert "Both chose the same parameters: yes." in done.stdout
    assert "On the test images: the same 360 predictions." in done.stdout
    seconds = row(done.stdout, "seconds of the search")
    assert all(len(value.replace(".", "").lstrip("0")) == 3 for value in seconds)
    # Seconds of three digits are off by at most half a unit of the last one, less than 0.5 %.
    theirs, ours = map(float, seconds)
    said = {speed(theirs * (1 + off), ours * (1 - off)) for off in (-0.005, 0, 0.005)}
    assert any(f"sknet is {words} as scikit-learn." in done.stdout for words in said)
    assert max(map(len, done.stdout.partition("\nFigure: ")[0].splitlines())) <= 80
    assert len(re.findall(r"^ +\d( +\d\.\d{3}){3} +\d+$", done.stdout, re.MULTILINE)) == 10
    progress = [
        f"{name}: {k} of 2 candidates" for name in ("scikit-learn", "sknet") for k in (1, 2)
    ]
    assert done.stderr.splitlines() == progress
    image = imread(figure)
    assert min(image.shape[:2]) >= 1000
    assert image[..., :3].std() > 0.1


def test_digits_counts_fits_that_did_not_converge(capsys, recwarn):
    main(["digits", *GRID[:-1], "3", "--output", ""])
    captured = capsys.readouterr()
    assert row(captured.out, "fits stopped at 3 epochs") == ("4 of 4", "4 of 4")
    assert "Figure" not in captured.out
    assert not [w for w in recwarn if "converge" in str(w.message)]


def test_digits_runs_without_matplotlib(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    figure = tmp_path / "figure.png"
    main(["digits", *GRID[:-1], "1", "--dtype", "float32", "--output", str(figure)])
    output = capsys.readouterr().out
    assert "No figure is saved" in output
    assert "python -m pip install 'sknet-mlp[plot]'" in output
    assert "360 test images, float32.\n" in output
    assert row(output, "seconds of the search")
    assert not figure.exists()


def test_processes_of_a_search_have_one_thread(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")  # the search overrides this
    parent = os.getpid()

    def scores(model, X, y):
        threads = [library["num_threads"] for library in threadpool_info()]
        return {"accuracy": 1.0, "threads": max(threads), "elsewhere": os.getpid() != parent}

    monkeypatch.setattr(digits, "_scores", scores)
    settings = digits.Settings([(2,), (3,)], [0.1, 0.01], 2, 1, 0, 2, "float64", None)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 4)), np.repeat([0, 1], 20)
    data = Split(X, X, y, y)
    result = digits._search("sknet", sknet.MLPClassifier(max_iter=1), settings, data)
    np.testing.assert_array_equal(result.grid.cv_results_["mean_test_threads"], 1)
    np.testing.assert_array_equal(result.grid.cv_results_["mean_test_elsewhere"], 1)
    assert result.predictions.shape == y.shape


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_does_not_change_the_search(n_jobs):
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
    grid = {"C": [1e-3, 0.1, 10], "fit_intercept": [True]}
    plain = GridSearchCV(LogisticRegression(), grid, cv=3).fit(X, y)
    ours = digits.GridSearch(LogisticRegression(), grid, cv=3, n_jobs=n_jobs)
    advances: list[int] = []
    ours.advance = advances.append
    with joblib.parallel_config("threading"):
        ours.fit(X, y)
    assert advances == ([1, 1, 1] if n_jobs == 1 else [2, 1])
    assert ours.best_params_ == plain.best_params_
    for key in ("mean_test_score", "rank_test_score"):
        np.testing.assert_array_equal(ours.cv_results_[key], plain.cv_results_[key])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train", r"'train' \(choose from .*digits.*mnist.*versions.*warmup"),
        (
            "digits --hidden 100 10,x",
            "--hidden: '10,x': expected integers >= 1 joined by '-' or ','",
        ),
        ("digits --hidden 10-0", "--hidden: '10-0': expected integers >= 1 joined by"),
        ("digits --hidden 10-", "--hidden: '10-': expected integers >= 1 joined by"),
        ("digits --hidden -10", "--hidden: '-10': expected integers >= 1 joined by"),
        ("digits --learning-rates 0", "--learning-rates: '0': expected a number > 0 and <= 1"),
        ("digits --learning-rates nan", "--learning-rates: 'nan': expected a number"),
        ("digits --folds 1", "--folds: '1': expected an integer from 2 to 100"),
        ("digits --max-iter 1.5", "--max-iter: '1.5': expected an integer >= 1"),
        ("digits --seed -1", r"--seed: '-1': expected an integer from 0 to 2\*\*32 - 1"),
        ("digits --n-jobs 0", "--n-jobs: '0': expected an integer other than 0"),
        ("digits --dtype float16", "--dtype: invalid choice: 'float16'.*float64.*float32"),
        ("digits --output {tmp}/none/a.png", "--output: cannot write '.*': No such file"),
        ("digits --output {tmp}", "--output: cannot write '.*': "),
        ("digits --output {tmp}/a.xyz", "--output: '.*a.xyz': .* end in one of .*png"),
        ("mnist --epochs 0", "--epochs: '0': expected an integer >= 1"),
        ("mnist --rows 0", "--rows: '0': expected an integer >= 1"),
        ("mnist --dtype float16", "--dtype: invalid choice: 'float16'.*float64.*float32"),
        ("warmup --dtype int8", "--dtype: invalid choice: 'int8'.*float64.*float32"),
    ],
)
def test_invalid_arguments_are_named(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments.format(tmp=tmp_path).split())
    assert stopped.value.code == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "sizes"),
    [("50", (50,)), ("50-25", (50, 25)), ("50,25", (50, 25)), (" 8-4-2", (8, 4, 2))],
)
def test_sizes_are_joined_by_hyphens_or_commas(text, sizes):
    assert hidden_sizes(text) == sizes


def test_empty_sizes_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["digits", "--hidden", ""])
    assert "--hidden: '': expected integers >= 1" in capsys.readouterr().err


def test_without_a_command_the_help_is_printed(capsys):
    """It goes to the standard error: nothing was done."""
    with pytest.raises(SystemExit) as asked:
        main(["--help"])
    text = capsys.readouterr().out
    assert asked.value.code == 0
    assert "Serve a page on this computer" in text
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert capsys.readouterr() == ("", text)


def test_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"sknet {sknet.__version__}\n"


def test_check_of_the_output_changes_no_file(tmp_path):
    old, new = tmp_path / "old.png", tmp_path / "new.PNG"
    old.write_bytes(b"old")
    output.check_output(old)
    output.check_output(new)
    assert old.read_bytes() == b"old"
    assert not new.exists()


def test_versions(tmp_path):
    done = run("-m", "sknet", "versions", NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = dict(re.split("  +", line, maxsplit=1) for line in done.stdout.splitlines())
    assert lines["sknet"] == sknet.__version__
    assert lines["Python"] == ".".join(map(str, sys.version_info[:3]))
    for name in ("numpy", "scipy", "scikit-learn", "numba", "llvmlite", "joblib", "matplotlib"):
        assert lines[name] == version(name)
    assert re.fullmatch(rf"\S.*, {joblib.cpu_count()} cores", lines["CPU"])
    assert lines["kernels cached"] == f"in {tmp_path} (writable)"


def test_warmup_compiles_what_fits_need(tmp_path):
    done = run("-m", "sknet", "warmup", "--dtype", "float64", NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for kind in (Activation, Loss, Optimizer):
        for name in kind.table:
            assert re.search(rf"\d s  float64 .*\b{name}$", done.stdout, re.MULTILINE)
    assert "float32" not in done.stdout
    n_files = len(list(tmp_path.rglob("*.nb?")))
    assert f"\n{n_files} new files among {n_files} in {tmp_path}" in done.stdout
    compiled = set(tmp_path.rglob("*.nbc"))
    assert compiled

    later = run("-W", "ignore", "-c", FITS, NUMBA_CACHE_DIR=str(tmp_path))
    assert later.returncode == 0, later.stderr
    assert set(tmp_path.rglob("*.nbc")) == compiled


FITS = """
import numpy as np, scipy.sparse as sp
from sknet import MLPClassifier, MLPRegressor
X = np.random.default_rng(0).normal(size=(30, 5))
y = np.arange(30) % 3
for data in (X, sp.csr_array(X)):
    for net in (
        MLPClassifier((4, 3), activation="tanh", max_iter=2),
        MLPClassifier(activation="logistic", early_stopping=True, max_iter=2),
        MLPClassifier(solver="sgd", learning_rate="adaptive", max_iter=2),
        MLPRegressor(solver="lbfgs", activation="identity", max_iter=2),
        MLPRegressor(loss="poisson", max_iter=2),
    ):
        net.fit(data, y, np.ones(30)).predict(data)
    MLPClassifier(max_iter=2).fit(data, y > 0).predict_proba(data)
"""


@pytest.mark.parametrize("command", ["versions", "warmup"])
def test_without_a_cache_commands_say_so(command, capsys, monkeypatch):
    monkeypatch.setattr(f"sknet._cli.{command}.cache_folders", list)
    if command == "versions":
        main([command])
        assert "nowhere; every process compiles them again" in capsys.readouterr().out
    else:
        with pytest.raises(SystemExit, match="Set NUMBA_CACHE_DIR to a writable folder"):
            main([command])
