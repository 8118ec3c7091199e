"""
===================================
Which optimiser learns the fastest?
===================================

All optimisers get the same network, the same first weights and the same handwritten digits in the
same order. But each prefers a learning rate of its own, so we try several rates for each and keep
the one with the lowest training loss at the end.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sknet import MLPClassifier
from sknet.optimizers import Optimizer

X, y = load_digits(return_X_y=True)
X = X / 16

# %%
# ``Optimizer.table`` has every optimiser by its name. The rates span four powers of ten, in steps
# of about three.

rates = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
losses = {}
for solver in Optimizer.table:
    for rate in rates:
        net = MLPClassifier(
            hidden_layer_sizes=(32,),
            solver=solver,
            learning_rate_init=rate,
            max_iter=20,
            n_iter_no_change=np.inf,
            random_state=0,
        )
        losses[solver, rate] = net.fit(X, y).loss_curve_

best_rate = {s: min(rates, key=lambda rate: losses[s, rate][-1]) for s in Optimizer.table}

# %%
# On the left, each optimiser at its best rate. On the right, how much the last loss depends on the
# rate.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for number, solver in enumerate(Optimizer.table):
    style = ["-", "--", "-.", ":"][number % 4]
    label = f"{solver}, {best_rate[solver]:g}"
    left.plot(range(1, 21), losses[solver, best_rate[solver]], linestyle=style, label=label)
    last = [losses[solver, rate][-1] for rate in rates]
    right.plot(rates, last, linestyle=style, marker=".", label=solver)
left.set(xlabel="Epoch", ylabel="Training loss", yscale="log", xticks=range(0, 21, 5))
right.set(
    xlabel="Learning rate", ylabel="Training loss of the last epoch", xscale="log", yscale="log"
)
left.legend(title="optimiser, best rate", ncols=2, fontsize=8)
right.legend(fontsize=8)
left.grid(alpha=0.3)
right.grid(alpha=0.3)

# %%
# At their best rates five of the seven end close together; ``rmsprop`` and ``lion`` do not come as
# far in 20 epochs. What tells them apart is above all where the best rate lies: ``sgd`` wants a
# larger one than ``adam`` and its relatives, ``rmsprop`` a much smaller one, and for ``lion`` the
# range that works well is narrow. Whoever changes the optimiser has to search for the learning rate
# again. :doc:`/how_it_works/optimisers` derives the most important ones.
