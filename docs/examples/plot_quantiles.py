"""
==========================================
How far off may a prediction be? Quantiles
==========================================

A network for regression usually predicts a mean. The quantile loss (pinball loss) lets it predict
instead what the target stays below with a given probability. With the quantiles 0.1, 0.5 and 0.9 a
single network gives a median and a band that should hold eight of ten patients. Does it?

The target is the progress of diabetes within a year, in 442 patients.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import MLPRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)

# %%
# The network is small, since the data are few. ``non_crossing=True`` makes sure that no quantile
# falls below a lower one. Targets in the hundreds are scaled for the network, and its predictions
# are scaled back.

quantiles = [0.1, 0.5, 0.9]


def model(**settings):
    """Return a network for the quantiles, with scaled inputs and targets."""
    net = MLPRegressor(
        hidden_layer_sizes=(20,),
        loss="quantile",
        quantile=quantiles,
        non_crossing=True,
        n_iter_no_change=np.inf,
        random_state=0,
        **settings,
    )
    return TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net), transformer=StandardScaler()
    )


def share_within(y, bands):
    """Return the share of targets between the lowest and the highest quantile."""
    return np.mean((y >= bands[:, 0]) & (y <= bands[:, -1]))


# %%
# First from a single feature, the body mass index, which can be drawn.

bmi = X[["bmi"]].to_numpy()
fitted = model(max_iter=200, alpha=1, learning_rate_init=0.01).fit(bmi, y)
grid = np.linspace(bmi.min(), bmi.max(), 200)[:, None]
low, median, high = fitted.predict(grid).T

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
ax.scatter(bmi, y, s=10, color="0.4", label="patients")
ax.plot(grid, median, color="C0", label="median")
ax.fill_between(grid[:, 0], low, high, color="C0", alpha=0.2, label="quantiles 0.1 to 0.9")
ax.set(xlabel="Body mass index", ylabel="Progress of the disease after a year")
ax.legend(loc="upper left")
