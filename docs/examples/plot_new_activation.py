"""
=============================
A new activation in ten lines
=============================

An activation function is a class with two methods. Numba compiles both into the network, so that it
runs as fast as the ones that are built in. We add the squared ReLU, which Primer [1]_ found by a
search for better transformers, and try it on handwritten digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier
from sknet.activations import Activation

# %%
# ``forward`` overwrites the inputs z of the units with f(z) = max(0, z)**2. ``backward`` multiplies
# the derivative of the loss by f'(z) = 2 max(0, z). Here max(0, z) is the square root of f(z), so
# it can be computed without z. Constants take the type of the array, so that float32 stays float32.


class SquaredReLU(Activation, name="squared_relu"):
    """Squared rectified linear unit: f(z) = max(0, z)**2, f'(z) = 2 max(0, z)."""

    @staticmethod
    def forward(a):
        """Overwrite `a` with max(0, a)**2."""
        zero = a.dtype.type(0)
        for i in range(a.size):
            a[i] = a[i] * a[i] if a[i] > zero else zero

    @staticmethod
    def backward(z, a, delta):
        """Multiply `delta` by 2 max(0, z), which is twice the root of a."""
        for i in range(delta.size):
            root = np.sqrt(a[i])
            delta[i] *= root + root


# %%
# From now on the name is a value of ``activation`` like any other. We train networks with three
# activations, ten times each with other first weights.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
nets = {}
for activation in ("relu", "squared_relu", "tanh"):
    nets[activation] = [
        MLPClassifier(
            hidden_layer_sizes=(32, 32),
            activation=activation,
            weight_init="he_uniform",
            max_iter=50,
            n_iter_no_change=np.inf,
            random_state=seed,
        ).fit(X_train, y_train, X_val=X_test, y_val=y_test)
        for seed in range(10)
    ]

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
epochs = range(1, 51)
for activation, style in zip(nets, ("-", "--", ":"), strict=True):
    losses = np.array([net.loss_curve_ for net in nets[activation]])
    accuracies = np.array([net.validation_scores_ for net in nets[activation]])
    left.plot(epochs, np.median(losses, axis=0), style, label=activation)
    right.plot(epochs, np.median(accuracies, axis=0), style, label=activation)
    print(f"{activation}: {np.median(accuracies[:, -1]):.1%} of the test digits")
left.set(xlabel="Epoch", ylabel="Training loss, median", yscale="log")
right.set(xlabel="Epoch", ylabel="Accuracy on the test digits, median", ylim=(0.8, 1))
for ax in (left, right):
    ax.legend()
    ax.grid(alpha=0.3)

# %%
# The training loss falls fastest with the new activation, and yet no more test digits are read
# right. Learning the training data faster is not the same as learning more. :doc:`/extending` shows
# how to add losses and optimisers, too.
#
# .. [1] So, D. R., Mańke, W., Liu, H., Dai, Z., Shazeer, N., Le, Q. V. (2021). Primer: searching
#    for efficient transformers for language modeling. NeurIPS.
