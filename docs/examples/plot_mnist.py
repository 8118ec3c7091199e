"""
======================================================
How far do the networks of the tutorials get on MNIST?
======================================================

Many introductions to neural networks train the same two networks on MNIST, 70,000 handwritten
digits of 28 by 28 pixels: one with 32 hidden units and one with 128. We follow the accuracy of both
on the 10,000 test digits, epoch by epoch.

MNIST is read from the file ``mnist.npz`` in the folder that the environment variable ``SKNET_DATA``
names. Without it, the example runs on scikit-learn's small digits instead.
"""

import os
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier

# %%
# Pixels are divided by their largest value, and kept in float32: half the memory, and faster.

if "SKNET_DATA" in os.environ:
    name = "MNIST"
    with np.load(Path(os.environ["SKNET_DATA"]) / "mnist.npz") as data:
        X_train, y_train = data["x_train"].reshape(60_000, 784), data["y_train"]
        X_test, y_test = data["x_test"].reshape(10_000, 784), data["y_test"]
else:
    name = "scikit-learn's digits"
    X_train, X_test, y_train, y_test = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )
largest = X_train.max()
X_train, X_test = (np.float32(X / largest) for X in (X_train, X_test))
print(f"{name}: {len(X_train)} digits for training, {len(X_test)} for the test")

# %%
# The test digits are given as validation data, so that the accuracy is recorded after each epoch.
# They do not influence the training, as there is no ``early_stopping``.

nets = {}
for units in (32, 128):
    net = MLPClassifier(
        hidden_layer_sizes=(units,),
        batch_size=128,
        max_iter=20,
        n_iter_no_change=np.inf,
        n_jobs=-1,
        random_state=0,
    )
    start = perf_counter()
    net.fit(X_train, y_train, X_val=X_test, y_val=y_test)
    nets[units] = net
    print(
        f"{X_train.shape[1]}-{units}-10: {net.validation_scores_[-1]:.2%} after {net.n_iter_} "
        f"epochs, {perf_counter() - start:.1f} s"
    )

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for units, net in nets.items():
    epochs = np.arange(1, net.n_iter_ + 1)
    left.plot(epochs, net.validation_scores_, "o-", markersize=3, label=f"{units} hidden units")
    (line,) = right.plot(epochs, net.loss_curve_, label=f"{units}: training")
    right.plot(
        epochs, net.validation_loss_curve_, "--", color=line.get_color(), label=f"{units}: test"
    )
left.set(xlabel="Epoch", ylabel="Accuracy on the test digits", xticks=range(0, 21, 5))
right.set(xlabel="Epoch", ylabel="Loss", yscale="log", xticks=range(0, 21, 5))
left.legend()
right.legend()
left.grid(alpha=0.3)
right.grid(alpha=0.3)

# %%
# On MNIST, more hidden units read more digits right. The loss of the training data keeps falling,
# while that of the test data levels off: from there on the network memorises its training digits.
#
# scikit-learn's digits are so few that an epoch has eleven steps. There 20 epochs are a beginning,
# and both losses are still falling.
