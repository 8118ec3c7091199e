"""The loss after fifteen epochs, by learning rate, for three optimisers."""

import numpy as np
from figure_style import BLUE, GREEN, GREY, ORANGE, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier

use_style()
X, y = load_digits(return_X_y=True)
X, _, y, _ = train_test_split(X / 16, y, random_state=0)
rates = np.logspace(-4, 1, 16)
solvers = [
    ("gradient descent", {"solver": "sgd", "momentum": 0.0}, GREEN, "^:"),
    ("momentum 0.9", {"solver": "sgd", "momentum": 0.9}, ORANGE, "s--"),
    ("Adam", {"solver": "adam"}, BLUE, "o-"),
]
fig, ax = plt.subplots(figsize=(6.5, 3.3))
for name, parameters, color, style in solvers:
    losses = []
    for rate in rates:
        model = MLPClassifier(
            32,
            learning_rate_init=rate,
            batch_size=64,
            max_iter=15,
            n_iter_no_change=np.inf,
            random_state=0,
            **parameters,
        )
        losses.append(model.fit(X, y).loss_)
    ax.loglog(rates, losses, style, color=color, ms=5, label=name)
ax.axhline(np.log(10), color=GREY, linewidth=0.8)
ax.annotate(
    "log 10: nothing learned", (1.2e-4, np.log(10)), (0, 6), fontsize=9, textcoords="offset points"
)
ax.set(xlabel="learning rate", ylabel="training loss after 15 epochs", ylim=(4e-3, 20))
ax.legend(loc="lower left")
