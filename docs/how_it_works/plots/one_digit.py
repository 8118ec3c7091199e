"""One image on its way through a fitted network: pixels, hidden units, probabilities."""

import numpy as np
from figure_style import BLUE, ORANGE, show_digit, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from sknet import MLPClassifier

use_style()
X, y = load_digits(return_X_y=True)
X = X / 16
model = MLPClassifier((32,), max_iter=40, n_iter_no_change=np.inf, random_state=0)
model.fit(X[500:], y[500:])
x = X[3]
hidden = np.maximum(x @ model.coefs_[0] + model.intercepts_[0], 0)
p = model.predict_proba([x])[0]

fig, axes = plt.subplots(1, 3, figsize=(7.4, 2.4), width_ratios=[1, 2, 1.4])
show_digit(axes[0], x, "input: 64 pixels")
axes[1].bar(np.arange(32), hidden, color=BLUE)
axes[1].set(xlabel="hidden unit", ylabel="activation", title="32 hidden units")
axes[2].bar(np.arange(10), p, color=[ORANGE if k == p.argmax() else BLUE for k in range(10)])
axes[2].set(xlabel="digit", ylabel="probability", title="10 outputs", xticks=range(10), ylim=(0, 1))
