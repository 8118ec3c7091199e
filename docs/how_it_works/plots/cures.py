"""The loss of held-out digits with and without cures, and the accuracy with more data."""

from figure_style import BLUE, GREEN, GREY, ORANGE, use_style
from matplotlib import pyplot as plt
from noisy_digits import X_test, X_train, fit, y_test, y_train

use_style()
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3))
cures = {
    "none": ({}, GREY, "-"),
    "L2 penalty, alpha=0.3": ({"alpha": 0.3}, GREEN, "-."),
    "dropout=0.5": ({"dropout": 0.5}, BLUE, "--"),
    "dropout=0.7": ({"dropout": 0.7}, ORANGE, ":"),
}
for name, (parameters, color, style) in cures.items():
    model = fit(X_train[:300], y_train[:300], X_test, y_test, **parameters)
    axes[0].plot(model.history_["validation_loss"], style, color=color, label=name)
axes[0].set(xlabel="epoch", title="loss of 450 held-out digits", ylim=(0.4, 1.2))
axes[0].legend(fontsize=9, loc="upper right")

sizes = [100, 200, 400, 800, len(y_train)]
for name, parameters, color, style in (
    ("no cure", {}, GREY, "o-"),
    ("dropout=0.7", {"dropout": 0.7}, ORANGE, "s:"),
):
    scores = [fit(X_train[:n], y_train[:n], **parameters).score(X_test, y_test) for n in sizes]
    axes[1].plot(sizes, scores, style, color=color, label=name)
axes[1].set(xlabel="training digits", title="accuracy on held-out digits", ylim=(0.7, 1))
axes[1].set_xscale("log")
axes[1].set_xticks(sizes, sizes)
axes[1].minorticks_off()
axes[1].legend()
