"""
=======================================================
What keeps a network from memorising its training data?
=======================================================

A network with many units and few data can remember each of its training digits, and may still
misread others. We train on 200 handwritten digits only, and try three parameters that are meant
to help: the penalty ``alpha``, ``dropout``, and the ``weight_decay`` of ``adamw``.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit

from sknet import MLPClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
splits = list(StratifiedShuffleSplit(3, train_size=200, random_state=0).split(X, y))

# %%
# Each setting is tried on three different choices of 200 digits. The other 1,597 are the test.

settings = {
    "alpha": ([0.001, 0.01, 0.1, 0.3, 1, 3, 10], {}),
    "dropout": ([0, 0.1, 0.2, 0.4, 0.6, 0.8], {}),
    "weight_decay": ([0.01, 0.1, 0.3, 1, 3, 10], {"solver": "adamw", "alpha": 0}),
}
scores = {}
for name, (values, others) in settings.items():
    for value in values:
        net = MLPClassifier(
            hidden_layer_sizes=(200,),
            max_iter=150,
            n_iter_no_change=np.inf,
            learning_rate_init=0.003,
            random_state=0,
            **others,
            **{name: value},
        )
        scores[name, value] = []
        for train, test in splits:
            net.fit(X[train], y[train])
            probabilities = net.predict_proba(X[test])
            accuracies = net.score(X[train], y[train]), net.score(X[test], y[test])
            scores[name, value].append((*accuracies, log_loss(y[test], probabilities)))

# %%
# The upper row shows accuracies, the lower row the log loss of the test digits, which also counts
# how sure the network was.

figure, axes = plt.subplots(2, 3, figsize=(10, 6), sharey="row", sharex="col", layout="constrained")
for (upper, lower), (name, (values, _)) in zip(axes.T, settings.items(), strict=True):
    of_values = np.array([scores[name, value] for value in values])
    mean, spread = of_values.mean(axis=1), of_values.std(axis=1)
    places = np.arange(len(values))
    upper.errorbar(places, mean[:, 0], spread[:, 0], fmt="o--", capsize=3, label="training digits")
    upper.errorbar(places, mean[:, 1], spread[:, 1], fmt="o-", capsize=3, label="test digits")
    lower.errorbar(places, mean[:, 2], spread[:, 2], fmt="o-", capsize=3, color="C1")
    lower.set(xlabel=name, xticks=places, xticklabels=[f"{v:g}" for v in values])
    for ax in (upper, lower):
        ax.grid(alpha=0.3)
axes[0, 0].set(ylabel="Accuracy")
axes[1, 0].set(ylabel="Log loss of the test digits", yscale="log")
axes[1, 0].set_yticks([0.2, 0.3, 0.4, 0.6], labels=["0.2", "0.3", "0.4", "0.6"])
axes[1, 0].minorticks_off()
axes[0, 1].legend(loc="center")

# %%
# In small doses all three help a little, and in large ones they keep the network from learning even
# its training digits. Dropout works in the widest range. But none of them closes the gap between
# training and test digits, which is mostly due to there being 200 digits only.
# :doc:`/guide/regularisation` has more remedies.
