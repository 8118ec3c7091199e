"""
===================================
What do hidden units add to a line?
===================================

Without a hidden layer a network separates classes by straight lines. Hidden units let these lines
bend. We watch that on the iris flowers, with two measurements only, so that the regions of
the classes can be drawn.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.preprocessing import StandardScaler

from sknet import MLPClassifier, NetworkDisplay

iris = load_iris(as_frame=True)
names = ["sepal length (cm)", "sepal width (cm)"]
X = StandardScaler().fit_transform(iris.data[names])
y = iris.target_names[iris.target]

# %%
# ``lbfgs`` goes down to a minimum of the loss near its start. A narrow network has several of them,
# so we start ten times from other weights and keep the network with the lowest loss.


def best_of_ten(sizes):
    """Return the network with the lowest loss of ten."""
    nets = [
        MLPClassifier(
            hidden_layer_sizes=sizes,
            activation="tanh",
            solver="lbfgs",
            alpha=0.01,
            max_iter=3000,
            random_state=seed,
        ).fit(X, y)
        for seed in range(10)
    ]
    return min(nets, key=lambda net: net.loss_)


figure, axes = plt.subplots(1, 4, figsize=(12, 3.6), sharey=True, layout="constrained")
nets = {}
for ax, n_units in zip(axes, [0, 2, 4, 50], strict=True):
    nets[n_units] = net = best_of_ten((n_units,) if n_units else ())
    DecisionBoundaryDisplay.from_estimator(
        net,
        X,
        response_method="predict",
        multiclass_colors=["C0", "C1", "C2"],
        grid_resolution=300,
        alpha=0.3,
        ax=ax,
    )
    for flower in iris.target_names:
        ax.scatter(*X[y == flower].T, s=12, label=flower)
    ax.set(title=f"{n_units} hidden units: {net.score(X, y):.0%}", xlabel=names[0])
axes[0].set(ylabel=names[1])
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

# %%
# Without hidden units the regions have straight borders. With more of them, borders bend around
# single flowers. That raises the accuracy on these flowers, but those borders would hardly be right
# for others.
#
# A small network can be drawn whole. Each line is a weight; the circles show what the units of the
# network answer to the first flower.

# sphinx_gallery_thumbnail_number = 2
NetworkDisplay.from_estimator(nets[4], X[0], feature_names=names)

# %%
# Each of the four units draws one soft line across the plane. The outputs add them up, with the
# weights of the second layer. :doc:`/how_it_works/forward_pass` explains how.
