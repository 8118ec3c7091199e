"""The command ``mnist``, and the file that it reads."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from matplotlib.image import imread
from processes import run_in_terminal
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier

from sknet._cli import images
from sknet._cli.images import MissingDataError, load_mnist
from sknet._cli.main import main


@pytest.fixture(scope="module")
def arrays():
    """Return digits of 8 x 8 pixels as arrays like those of mnist.npz, 1,400 for training."""
    X, y = load_digits(return_X_y=True)
    # Each pixel becomes a square of 3 x 3, and there is a margin of 2 pixels.
    X = np.kron(
        (X * 255 / 16).round().astype(np.uint8).reshape(-1, 8, 8), np.ones((3, 3), np.uint8)
    )
    X, y = np.pad(X, ((0, 0), (2, 2), (2, 2))), y.astype(np.uint8)
    return {"x_train": X[:1400], "y_train": y[:1400], "x_test": X[1400:], "y_test": y[1400:]}


@pytest.fixture(scope="module")
def folder(arrays, tmp_path_factory):
    """Return a folder with mnist.npz."""
    folder = tmp_path_factory.mktemp("data")
    np.savez(folder / "mnist.npz", **arrays)
    return folder


def epochs(output):
    """Return the lines of epochs as lists of numbers."""
    lines = re.findall(r"^ +(\d+)  +(0\.\d{4})  +(0\.\d{4})  +(\d+\.\d\d)$", output, re.MULTILINE)
    return [[float(number) for number in line] for line in lines]


def test_the_networks_of_tutorials_are_trained(folder, tmp_path, capsys):
    figure = tmp_path / "figure.png"
    main(["mnist", "--data", str(folder), "--epochs", "8", "--output", str(figure)])
    output = capsys.readouterr().out
    assert output.startswith("1,400 training images, 397 test images, float32.\n")
    assert "\n784-128-10: relu units, then softmax." in output
    assert "\nTrained by Adam: learning rate 0.001, minibatches of 128 images.\n" in output
    assert "\n784-32-10: sigmoid units, then softmax." in output
    assert "\nTrained by plain gradient descent: learning rate 0.5, " in output
    lines = epochs(output)
    assert [line[0] for line in lines] == [*range(1, 9), *range(1, 9)]
    for _, training, test, _ in (lines[7], lines[15]):
        assert training > 0.9
        assert test > 0.8
    assert len(re.findall(r"^ +\d( +\d\.\d{3}){3} +\d+$", output, re.MULTILINE)) == 20
    assert max(map(len, output.replace(str(figure), "").splitlines())) <= 80
    assert imread(figure)[..., :3].std() > 0.1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_accuracies_are_those_of_scikit_learn(folder, arrays, capsys):
    """The test images are only reported: scikit-learn's network does not know them."""
    main(["mnist", "--data", str(folder / "mnist.npz"), "--hidden", "12-8", "--epochs", "2",
          "--rows", "500", "--seed", "3", "--dtype", "float64", "--output", ""])  # fmt: skip
    output = capsys.readouterr().out
    assert "500 training images, 397 test images, float64." in output
    assert "\n784-12-8-10: relu" in output
    X, y = arrays["x_train"][:500].reshape(500, -1) / 255, arrays["y_train"][:500]
    X_test, y_test = arrays["x_test"].reshape(397, -1) / 255, arrays["y_test"]
    lines = epochs(output)
    assert len(lines) == 2
    for n_epochs, training, test, _ in lines:
        network = SklearnMLPClassifier((12, 8), batch_size=128, alpha=0, random_state=3)
        network.set_params(max_iter=int(n_epochs)).fit(X, y)
        assert f"{network.score(X, y):.4f}" == f"{training:.4f}"
        assert f"{network.score(X_test, y_test):.4f}" == f"{test:.4f}"
    n_wrong = np.count_nonzero(network.predict(X_test) != y_test)
    assert f"\n{n_wrong} of 397 test images are misread." in output


def test_training_images_need_all_digits(folder):
    command = ["mnist", "--data", str(folder), "--rows", "9", "--output", ""]
    with pytest.raises(SystemExit, match="error: the 9 training images have no 9, which the test"):
        main(command)


@pytest.mark.skipif(sys.platform == "win32", reason="Python makes terminals on POSIX systems only")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_ends_mnist(n_jobs, folder, tmp_path):
    figure = tmp_path / "figure.png"
    command = ["mnist", "--data", folder, "--epochs", 10**6, "--n-jobs", n_jobs, "--output", figure]
    code, text = run_in_terminal("-m", "sknet", *command, interrupt_at="    3  ", timeout=100)
    assert code == 130, text
    assert text.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in text
    assert not figure.exists()


def test_mnist_without_matplotlib(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    main(["mnist", "--data", str(folder), "--hidden", "4", "--epochs", "1", "--rows", "50"])
    assert "python -m pip install 'sknet-mlp[plot]'" in capsys.readouterr().out


def test_the_folder_of_the_environment_variable(folder, arrays, monkeypatch):
    monkeypatch.setenv("SKNET_DATA", str(folder))
    split = load_mnist()
    assert split.X_train.dtype == np.float64
    np.testing.assert_array_equal(split.X_train[7], arrays["x_train"][7].ravel() / 255)
    np.testing.assert_array_equal(split.y_test, arrays["y_test"])
    with pytest.raises(MissingDataError, match="--data gives 'elsewhere'"):
        load_mnist("elsewhere")


def test_mnist_is_downloaded_where_no_path_is_given(monkeypatch):
    def fetch(name, **options):
        return np.full((60_010, 784), 255.0), np.array(["5"] * 60_010)

    monkeypatch.delenv("SKNET_DATA", raising=False)
    monkeypatch.setattr(images, "fetch_openml", fetch)
    split = load_mnist()
    assert split.X_train.shape == (60_000, 784)
    assert split.X_test.max() == 1
    assert split.y_test.tolist() == [5] * 10
    with pytest.raises(MissingDataError, match="SKNET_DATA is not set"):
        load_mnist(fetch=False)


def test_a_failed_download_is_an_error_that_names_the_option(capsys, monkeypatch):
    def fetch(name, **options):
        raise OSError("no route to host")

    monkeypatch.delenv("SKNET_DATA", raising=False)
    monkeypatch.setattr(images, "fetch_openml", fetch)
    with pytest.raises(SystemExit, match=r"OpenML \(no route to host\)\. Give the path .* --data"):
        main(["mnist", "--output", ""])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a complete .npz file"),
        (b"PK\x03\x04 and nothing else", "is not a complete .npz file"),
        (b"<html>404</html>", "is not a complete .npz file"),
        (None, "there is no file"),
    ],
)
def test_a_file_that_cannot_be_read(content, message, tmp_path):
    file = tmp_path / "mnist.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        main(["mnist", "--data", str(file), "--output", ""])


def test_a_file_that_is_cut_or_changed(folder, tmp_path):
    content = (folder / "mnist.npz").read_bytes()
    file = tmp_path / "mnist.npz"
    file.write_bytes(content[:-1000])
    with pytest.raises(ValueError, match="is not a complete"):
        load_mnist(str(file))
    middle = len(content) // 2
    file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(ValueError, match="is not a complete"):
        load_mnist(str(file))


def test_a_file_that_may_not_be_read(folder, monkeypatch):
    def load(file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(np, "load", load)
    with pytest.raises(MissingDataError, match=r"Cannot read '.*mnist\.npz': .*Permission denied"):
        load_mnist(str(folder))


def test_a_single_array_is_not_mnist(arrays, tmp_path):
    np.save(tmp_path / "mnist.npy", arrays["x_train"])
    (tmp_path / "mnist.npy").rename(tmp_path / "mnist.npz")
    with pytest.raises(ValueError, match="is not a complete"):
        load_mnist(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None, "x_train": None}, "has no array x_train, y_test"),
        ({"x_train": np.zeros((5, 8, 8))}, r"x_train of shape \(5, 8, 8\) and dtype float64"),
        ({"x_test": np.zeros((0, 28, 28))}, r"x_test of shape \(0, 28, 28\)"),
        ({"x_test": np.array(["a"])}, r"x_test of shape \(1,\) and dtype <U1"),
        ({"y_train": np.zeros((1400, 10))}, r"y_train of shape \(1400, 10\)"),
        ({"y_train": np.zeros(1400)}, r"y_train of .* dtype float64\. Expected an integer"),
        ({"y_train": np.full(1400, 10)}, r"y_train of .*Expected an integer from 0 to 9"),
        ({"y_test": np.zeros(3, int)}, "y_test .* for each of the 397 images of x_test"),
        ({"x_train": np.full((1400, 784), 0.5)}, "x_train with values from 0.5 to 0.5"),
        ({"x_train": np.full((1400, 784), -3)}, "x_train with values from -3 to -3"),
        ({"x_train": np.full((1400, 784), np.nan)}, "x_train with values from nan to nan"),
    ],
)
def test_arrays_that_are_not_mnist_are_named(changes, message, arrays, tmp_path):
    changed = {name: value for name, value in {**arrays, **changes}.items() if value is not None}
    np.savez(tmp_path / "mnist.npz", **changed)
    with pytest.raises(ValueError, match=message):
        load_mnist(str(tmp_path))
