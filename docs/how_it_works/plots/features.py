"""What hidden units look for: the weights from the pixels to those of the largest norm."""

import numpy as np
from figure_style import show_digit, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier

use_style()
X, y = load_digits(return_X_y=True)
X_train, _, y_train, _ = train_test_split(X / 16, y, random_state=0)
model = MLPClassifier(
    64, batch_size=64, learning_rate_init=0.01, alpha=0.3, max_iter=30, random_state=0
)
W, V = model.set_params(n_iter_no_change=np.inf).fit(X_train, y_train).coefs_
largest = np.argsort(-np.linalg.norm(W, axis=0))[:16]
limit = np.abs(W[:, largest]).max()

fig, axes = plt.subplots(2, 8, figsize=(7.4, 2.7))
for ax, unit in zip(axes.flat, largest, strict=True):
    order = np.argsort(V[unit])
    image = show_digit(ax, W[:, unit], cmap="PuOr", vmin=-limit, vmax=limit)
    ax.set_title(f"for {order[-1]}, {order[-2]}\nagainst {order[0]}", fontsize=8)
fig.colorbar(image, ax=axes, shrink=0.7, label="weight")
