"""The colours are the gradients: plain ones, or expected ones that add up to the score."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose, assert_array_equal
from pictures import cut_off, network
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler

import sknet
from sknet import SaliencyDisplay, expected_gradients, input_gradients
from sknet.display.saliency import MOST_BACKGROUND, N_POINTS


def test_plain_gradients(fitted, small):
    X, _ = small
    display = SaliencyDisplay.from_estimator(fitted, X[3], target=7)
    expected = input_gradients(fitted, X[3:4], 7).reshape(8, 8)
    assert_array_equal(display.saliency, expected)
    assert_array_equal(display.image, X[3].reshape(8, 8))
    assert_array_equal(display.image_.get_array(), display.image)
    assert display.ax_.get_title() == "Score of class 7"
    assert display.colorbar_.ax.get_ylabel() == "Gradient of the score"


def test_colours_are_signs_and_sizes(fitted, small):
    X, _ = small
    display = SaliencyDisplay.from_estimator(fitted, X[3:4])
    limit = np.abs(display.saliency).max()
    colors = np.asarray(display.saliency_image_.get_array())
    assert_allclose(colors[..., 3], np.abs(display.saliency) / limit, rtol=1e-15)
    scale = display.colorbar_.cmap
    assert (display.colorbar_.vmin, display.colorbar_.vmax) == (-limit, limit)
    for sign, end in ((1, 1.0), (-1, 0.0)):
        chosen = colors[np.sign(display.saliency) == sign]
        assert len(chosen)
        assert (chosen[:, :3] == to_rgb(scale(end))).all()
    for sign, marks in zip((1, -1), display.signs_, strict=True):
        columns, rows = marks.get_offsets().data.astype(int).T
        marked = np.zeros((8, 8), bool)
        marked[rows, columns] = True
        assert_array_equal(marked, sign * display.saliency >= limit / 4)


def test_a_background_shows_expected_gradients(small):
    X, y = small
    net = network().fit(X, y)
    display = SaliencyDisplay.from_estimator(net, X[3], background=X)
    found = expected_gradients(net, X[3:4], X, n_samples=N_POINTS, random_state=0)
    assert_array_equal(display.saliency, found.values.reshape(8, 8))


def test_expected_gradients_of_a_linear_network_are_exact(small):
    """Without hidden layers they are w (x - mean of the background)."""
    X, y = small
    net = network(hidden_layer_sizes=()).fit(X, y)
    display = SaliencyDisplay.from_estimator(net, X[3], background=X, target=5)
    expected = net.coefs_[0][:, 5] * (X[3] - X.mean(axis=0))
    assert_allclose(display.saliency.reshape(-1), expected, rtol=0, atol=1e-13)


def test_large_backgrounds_are_thinned(digits, fitted):
    X, _ = digits
    rows = np.unique(np.linspace(0, len(X) - 1, MOST_BACKGROUND).astype(int))
    assert len(rows) == MOST_BACKGROUND
    whole, part = (SaliencyDisplay.from_estimator(fitted, X[0], background=b) for b in (X, X[rows]))
    assert_array_equal(whole.saliency, part.saliency)


def test_scaler_before_the_network(small):
    """Expected gradients are those of the pixels, since x - x' is scaled, too."""
    X, y = small
    model = make_pipeline(FunctionTransformer(feature_names_out="one-to-one"), MinMaxScaler())
    model = make_pipeline(model, network()).fit(X * 16, y)
    search = GridSearchCV(model, {"mlpclassifier__alpha": [1e-4]}, cv=2).fit(X * 16, y)
    for estimator in (model, search):
        net = getattr(estimator, "best_estimator_", estimator)[-1]
        scaled = getattr(estimator, "best_estimator_", estimator)[:-1].transform(X * 16)
        display = SaliencyDisplay.from_estimator(estimator, X[3] * 16, background=X * 16)
        alone = SaliencyDisplay.from_estimator(net, scaled[3], background=scaled)
        assert_array_equal(display.saliency, alone.saliency)
        assert_array_equal(display.image, X[3].reshape(8, 8) * 16)


@pytest.mark.parametrize("step", [PCA(64), FunctionTransformer()])
def test_steps_that_move_features_are_refused(step, small):
    model = make_pipeline(step, network()).fit(*small)
    with pytest.raises(ValueError, match="do not keep each feature in its place"):
        SaliencyDisplay.from_estimator(model, small[0][3])


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_data_frames(library, small):
    frames = pytest.importorskip(library, reason=f"needs {library}")
    X, y = small
    frame = frames.DataFrame({f"pixel {j}": X[:, j] for j in range(64)})
    row = frame[3:4]
    for model in (network(), make_pipeline(MinMaxScaler(), network())):
        plain = SaliencyDisplay.from_estimator(model.fit(X, y), X[3], background=X)
        display = SaliencyDisplay.from_estimator(model.fit(frame, y), row, background=frame)
        # Sums of rows in another order differ by their rounding.
        assert_allclose(display.saliency, plain.saliency, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", [sp.csr_matrix, np.ndarray.tolist])
def test_sparse_rows_and_lists(kind, small):
    X, y = small
    model = make_pipeline(MaxAbsScaler(), network()).fit(X, y)
    plain = SaliencyDisplay.from_estimator(model, X[3], background=X)
    display = SaliencyDisplay.from_estimator(model, kind(X[3:4]), background=kind(X))
    assert_allclose(display.saliency, plain.saliency, rtol=0, atol=1e-13)
    assert_array_equal(display.image, plain.image)


def test_regressors(diabetes):
    X, y = diabetes
    net = network(sknet.MLPRegressor, tol=1e4).fit(X, y)
    display = SaliencyDisplay.from_estimator(net, X[0], image_shape=(2, 5), background=X)
    assert display.saliency.shape == (2, 5)
    assert display.ax_.get_title() == "Score of output 0"


def test_nothing_is_cut_off(fitted, small):
    display = SaliencyDisplay.from_estimator(fitted, small[0][3])
    assert cut_off(display.figure_) <= 1
    wide = SaliencyDisplay.from_estimator(fitted, small[0][3], image_shape=(2, 32))
    assert cut_off(wide.figure_) <= 1


def test_axes_given(fitted, small):
    ax = plt.figure().subplots()
    display = SaliencyDisplay.from_estimator(fitted, small[0][3], ax=ax, colorbar=False)
    assert display.ax_ is ax
    assert display.figure_.axes == [ax]
    assert display.colorbar_ is None


def test_constant_image():
    display = SaliencyDisplay(np.zeros((2, 2)), np.zeros((2, 2))).plot()
    assert cut_off(display.figure_) <= 1
    assert not np.asarray(display.saliency_image_.get_array())[..., 3].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.zeros((2, 64))}, r"X has the shape \(2, 64\), but one sample of 64"),
        ({"X": np.zeros(63)}, r"X has the shape \(63,\)"),
        ({"image_shape": (8, 9)}, "64 features do not fill an image of 8 x 9"),
        ({"target": 11}, "target=11 is not a class"),
        ({"background": np.zeros((3, 5))}, r"background has the shape \(3, 5\)"),
        ({"background": np.zeros((0, 64))}, "at least one row of 64 features"),
    ],
)
def test_bad_input_is_refused(fitted, arguments, message):
    arguments = {"X": np.zeros(64), **arguments}
    with pytest.raises(ValueError, match=message):
        SaliencyDisplay.from_estimator(fitted, **arguments)


def test_scikit_learns_network_is_refused(small):
    net = network(sklearn.neural_network.MLPClassifier).fit(*small)
    with pytest.raises(TypeError, match="must be sknet's"):
        SaliencyDisplay.from_estimator(net, small[0][3])
