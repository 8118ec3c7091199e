"""A neuron that tells ones from eights: its weights, and its pre-activations of new images."""

import numpy as np
from figure_style import BLUE, ORANGE, show_digit, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

use_style()
X, y = load_digits(return_X_y=True)
chosen = (y == 1) | (y == 8)
X_train, X_test, y_train, y_test = train_test_split(
    X[chosen] / 16, (y[chosen] == 8).astype(int), random_state=0
)
mean_1, mean_8 = X_train[y_train == 0].mean(axis=0), X_train[y_train == 1].mean(axis=0)
w = mean_8 - mean_1
z = X_test @ w - w @ (mean_1 + mean_8) / 2

fig, axes = plt.subplots(1, 4, figsize=(7.4, 2.3), width_ratios=[1, 1, 1.2, 2.2])
show_digit(axes[0], mean_1, "average 1")
show_digit(axes[1], mean_8, "average 8")
limit = np.abs(w).max()
image = show_digit(axes[2], w, "weights w: 8 minus 1", cmap="PuOr", vmin=-limit, vmax=limit)
fig.colorbar(image, ax=axes[2], shrink=0.7)
bins = np.linspace(-2.5, 2.5, 21)
axes[3].hist(z[y_test == 0], bins, color=BLUE, alpha=0.8, label="ones")
axes[3].hist(z[y_test == 1], bins, color=ORANGE, alpha=0.6, hatch="//", label="eights")
axes[3].axvline(0, color="black", linewidth=1)
axes[3].set(xlabel="pre-activation z", ylabel="images", title="89 images not used for w")
axes[3].set(ylim=(0, 14), yticks=range(0, 11, 5))
axes[3].legend(loc="upper center", ncols=2)
