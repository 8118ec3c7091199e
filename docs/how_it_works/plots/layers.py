"""A network as circles and lines: one digit's pixels, some of the hidden units, ten outputs."""

import numpy as np
from figure_style import show_digit, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits

from sknet import MLPClassifier, NetworkDisplay

use_style()
X, y = load_digits(return_X_y=True)
X = X / 16
model = MLPClassifier((32,), max_iter=40, n_iter_no_change=np.inf, random_state=0)
model.fit(X[500:], y[500:])
x = X[3]

fig, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.6), width_ratios=[1, 3])
show_digit(left, x, "64 pixels")
names = [f"pixel {number}" for number in range(64)]
NetworkDisplay.from_estimator(model, x, feature_names=names, max_units=10, ax=right)
