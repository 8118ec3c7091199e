"""
===============================================
What do the hidden units of a network look for?
===============================================

Nobody tells a network which strokes make a digit. We look at what its hidden units have found out
by themselves, and at what becomes of the digits on their way through the layers.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sknet import HiddenLayers, MLPClassifier, WeightsDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
net = MLPClassifier(
    hidden_layer_sizes=(48, 24), alpha=1, max_iter=100, n_iter_no_change=np.inf, random_state=0
)
net.fit(X_train, y_train)
print(f"{net.score(X_test, y_test):.1%} of the test digits are read right")

# %%
# Each unit of the first layer has one weight for each pixel, so its weights can be shown as an
# image. Ink in the yellow pixels, whose weights are positive, makes the unit active. Ink in the
# blue ones, whose weights are negative, keeps it quiet.

WeightsDisplay.from_estimator(net, image_shape=(8, 8), n_units=24)

# %%
# :class:`~sknet.HiddenLayers` turns a network into a transformer: instead of predictions it returns
# the activations of a hidden layer. We project the test digits onto two principal components, first
# from their pixels, then from the activations of both hidden layers.

frozen = FrozenEstimator(net)
spaces = {
    "64 pixels": X_test,
    "48 units of the first layer": HiddenLayers(frozen, layer=0).fit_transform(X_test),
    "24 units of the second layer": HiddenLayers(frozen, layer=1).fit_transform(X_test),
}
# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
for ax, (name, space) in zip(axes, spaces.items(), strict=True):
    points = PCA(2, random_state=0).fit_transform(space)
    for digit in range(10):
        own = y_test == digit
        ax.scatter(*points[own].T, s=6, alpha=0.5, color=f"C{digit}")
        ax.text(
            *np.median(points[own], axis=0), str(digit), fontsize=13, weight="bold", ha="center"
        )
    ax.set(title=name, xticks=[], yticks=[])

# %%
# Two dimensions do not hold ten digits apart, but groups that are scattered among the pixels have
# drawn together in the hidden layers. A number says it better than the picture. We show three
# examples of each digit to a classifier that only asks for the nearest neighbour, and count how
# many of the other test digits it reads right.

rng = np.random.default_rng(0)
few = np.concatenate([rng.choice(np.flatnonzero(y_test == digit), 3, False) for digit in range(10)])
rest = np.setdiff1d(np.arange(len(y_test)), few)
for name, space in spaces.items():
    neighbours = KNeighborsClassifier(1).fit(space[few], y_test[few])
    print(f"{name}: {neighbours.score(space[rest], y_test[rest]):.1%}")

# %%
# The hidden layers bring digits of the same kind close to each other, digits included that the
# network has never seen. Features that were learned on one task can therefore serve another one,
# for which there are few examples.
