"""
========================================
The same model as scikit-learn's, faster
========================================

sknet takes scikit-learn's parameters and promises the same model for the same ``random_state``. We
train both on handwritten digits, compare them number by number, and take the time.
"""

import warnings
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import sklearn.neural_network
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import sknet

X, y = load_digits(return_X_y=True)
X = X / 16

# %%
# The first fit of sknet on a machine compiles its kernels, which are then kept on disk. A fit of
# one epoch before the clock starts loads them.

parameters = {"hidden_layer_sizes": (64, 32), "max_iter": 60, "n_iter_no_change": np.inf}
libraries = {
    "scikit-learn": sklearn.neural_network.MLPClassifier,
    "sknet": sknet.MLPClassifier,
}
sknet.MLPClassifier(**parameters).set_params(max_iter=1).fit(X, y)

warnings.simplefilter("ignore", ConvergenceWarning)  # sixty epochs are enough here
nets, seconds = {}, {}
for name, library in libraries.items():
    times = []
    for _ in range(3):
        net = library(random_state=0, **parameters)
        start = perf_counter()
        net.fit(X, y)
        times.append(perf_counter() - start)
    nets[name], seconds[name] = net, times
    print(f"{name}: {np.median(times):.2f} s")

# %%
theirs, ours = nets.values()
same = (theirs.predict(X) == ours.predict(X)).sum()
print(f"{same} of {len(y)} predictions are the same")
difference = max(abs(a - b).max() for a, b in zip(theirs.coefs_, ours.coefs_, strict=True))
print(f"largest difference of two weights: {difference:.0e}")

# %%
# On the left the losses of both, against the time that has passed. On the right how far their
# losses differ, as a share of the loss. Epochs without a dot have exactly equal losses.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, net in nets.items():
    passed = np.linspace(0, np.median(seconds[name]), net.n_iter_ + 1)[1:]
    left.plot(passed, net.loss_curve_, ".-", label=name)
left.set(xlabel="Seconds", ylabel="Training loss", yscale="log")
left.legend()
differences = abs(np.array(ours.loss_curve_) / theirs.loss_curve_ - 1)
right.plot(range(1, ours.n_iter_ + 1), differences, "o", markersize=4)
right.set(
    xlabel="Epoch", ylabel="Relative difference of the losses", yscale="log", ylim=(1e-17, 1e-13)
)
left.grid(alpha=0.3)
right.grid(alpha=0.3)

# %%
# Both go through the same losses, and sknet gets to the end sooner. The differences are those of
# rounding: a single operation in double precision is exact to about 1e-16 of its result.
