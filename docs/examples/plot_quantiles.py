"""
================================
How far off may a prediction be?
================================

A network for regression usually predicts a mean. With the quantile loss (pinball loss) it predicts
*quantiles* instead: values that the target stays below with a given probability. With the quantiles
0.1, 0.5 and 0.9 a single network gives a median, and a band in which eight of ten patients should
lie. Do they?

The target is the progress of diabetes within a year, in 442 patients.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import MLPRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

# %%
# The network is small, since the data are few. ``non_crossing=True`` makes sure that no quantile
# falls below a lower one. Targets in the hundreds are scaled for the network, and its predictions
# are scaled back.

quantiles = [0.1, 0.5, 0.9]
net = MLPRegressor(
    hidden_layer_sizes=(20,),
    loss="quantile",
    quantile=quantiles,
    non_crossing=True,
    learning_rate_init=0.01,
    max_iter=100,
    n_iter_no_change=np.inf,
    random_state=0,
)
model = TransformedTargetRegressor(
    make_pipeline(StandardScaler(), net), transformer=StandardScaler()
)

# %%
# First from a single feature, the body mass index, which can be drawn.

bmi = X[["bmi"]].to_numpy()
model.fit(bmi, y)
grid = np.linspace(bmi.min(), bmi.max(), 200)[:, None]
low, median, high = model.predict(grid).T

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
ax.scatter(bmi, y, s=10, color="0.4", label="patients")
ax.plot(grid, median, color="C0", label="median")
ax.fill_between(grid[:, 0], low, high, color="C0", alpha=0.2, label="quantiles 0.1 to 0.9")
ax.set(xlabel="Body mass index", ylabel="Progress of the disease after a year")
ax.legend(loc="upper left")

# %%
# Now from all ten features, and for patients whom the network has not seen. A network that has
# memorised its patients gives bands that are too narrow for others. Split-conformal
# calibration [1]_ mends that with patients who were held out: how far beyond the band are the
# targets of the worst fifth of them? The band is widened by that much on both sides.
#
# One split would say more about chance than about the method, so we take 20 splits.


def distance_beyond(bands, y):
    """Return how far each target lies outside of its band; inside, the distance is negative."""
    return np.maximum(bands[:, 0] - y, y - bands[:, -1])


X, y = X.to_numpy(), y.to_numpy()
shares = {"training patients": [], "new patients": [], "new patients,\ncalibrated": []}
for split in range(20):
    X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=120, random_state=split)
    X_train, X_held, y_train, y_held = train_test_split(
        X_rest, y_rest, test_size=120, random_state=split
    )
    model.fit(X_train, y_train)
    beyond = distance_beyond(model.predict(X_held), y_held)
    widening = np.quantile(beyond, 0.8 * 121 / 120, method="higher")
    test_distances = distance_beyond(model.predict(X_test), y_test)
    train_distances = distance_beyond(model.predict(X_train), y_train)
    for name, within in zip(
        shares, (train_distances <= 0, test_distances <= 0, test_distances <= widening), strict=True
    ):
        shares[name].append(within.mean())

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.boxplot(shares.values(), tick_labels=shares.keys())
ax.axhline(0.8, color="C0", linestyle="--", label="promised")
ax.set(ylabel="Share of patients within their band")
ax.legend(loc="lower right")
for name, values in shares.items():
    print(f"{name.replace(chr(10), ' ')}: {np.mean(values):.0%} on average")

# %%
# For the patients to whom they were fitted, the bands nearly keep their promise. Of new patients
# they hold too few. Calibrated with patients who were held out, they keep the promise for new
# patients, too, up to the chance that every split brings. :doc:`/guide/regression` has the method
# in a few lines.
#
# .. [1] Romano, Y., Patterson, E., Candès, E. (2019). Conformalized quantile regression. NeurIPS.
