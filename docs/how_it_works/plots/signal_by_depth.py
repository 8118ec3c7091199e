"""The size of the signal, layer by layer, for three sizes of the initial weights."""

import numpy as np
from figure_style import BLUE, GREEN, ORANGE, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

use_style()
X = load_digits().data / 16
depth, width = 20, 100
fig, ax = plt.subplots(figsize=(6, 3.2))
cases = [
    (0.25, "variance 0.5 / fan-in: too small", BLUE, "o"),
    (1, "variance 2 / fan-in: He", GREEN, "s"),
    (4, "variance 8 / fan-in: too large", ORANGE, "^"),
]
for factor, label, color, marker in cases:
    rng, a, sizes = np.random.RandomState(0), X, []
    for _ in range(depth):
        W = rng.normal(0, np.sqrt(factor * 2 / a.shape[1]), (a.shape[1], width))
        a = np.maximum(a @ W, 0)
        sizes.append(np.sqrt((a**2).mean()))
    ax.semilogy(np.arange(1, depth + 1), sizes, marker=marker, color=color, label=label)
ax.set(xlabel="layer", ylabel="root mean square of activations", xticks=range(2, depth + 1, 2))
ax.legend(loc="upper left", fontsize=9)
