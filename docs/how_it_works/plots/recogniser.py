"""The digit recogniser: its progress, and the digits that it misreads."""

import numpy as np
from figure_style import BLUE, GREY, ORANGE, show_digit, use_style
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier

use_style()
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
model = MLPClassifier(
    64, batch_size=64, learning_rate_init=0.01, alpha=0, max_iter=30, random_state=0
)
model.set_params(n_iter_no_change=np.inf, restore_best=False)
model.fit(X_train, y_train, X_val=X_test, y_val=y_test)
p = model.predict_proba(X_test)
wrong = np.flatnonzero(p.argmax(axis=1) != y_test)
wrong = wrong[np.argsort(-p[wrong].max(axis=1))][:8]

fig = plt.figure(figsize=(7.4, 3.1))
left, right = fig.subfigures(1, 2, width_ratios=[1, 1.1])
epochs = np.arange(1, 31)
axes = left.subplots(2, 1, sharex=True)
axes[0].plot(epochs, model.loss_curve_, color=BLUE)
axes[0].set(title="training loss", yscale="log")
axes[1].plot(epochs, model.history_["validation_score"], color=BLUE)
axes[1].axhline(0.97, color=GREY, linestyle="--", linewidth=1)
axes[1].annotate("0.97", (30, 0.97), (0, -12), textcoords="offset points", ha="right", color=GREY)
axes[1].set(title="accuracy on the test digits", xlabel="epoch", ylim=(0.85, 1))
for ax in right.subplots(2, 4).flat:
    ax.axis("off")
for ax, i in zip(right.axes, wrong, strict=False):
    show_digit(ax, X_test[i])
    k = p[i].argmax()
    ax.set_title(f"{y_test[i]} read as {k}\n{p[i, k]:.0%} sure", color=ORANGE, fontsize=9)
