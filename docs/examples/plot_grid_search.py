"""
====================================
Which size, and which learning rate?
====================================

The number of hidden units and the learning rate matter more than the other parameters of a network,
and they depend on each other. We try six sizes with six rates on handwritten digits.
"""

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sknet import MLPClassifier, SearchDisplay

X, y = load_digits(return_X_y=True)
X = X / 16

# %%
# Each network is trained for 30 epochs; those with a good learning rate need no more. The networks
# train without Python's lock, so threads fit candidates side by side on all cores. A first fit
# loads the compiled code, so that it is not in the time of the first candidate.

net = MLPClassifier(max_iter=30, n_iter_no_change=float("inf"), random_state=0).fit(X, y)
grid = {
    "hidden_layer_sizes": [4, 8, 16, 32, 64, 128],
    "learning_rate_init": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
}
folds = StratifiedKFold(3, shuffle=True, random_state=0)
search = GridSearchCV(net, grid, cv=folds)
with joblib.parallel_config(backend="threading", n_jobs=-1):
    search.fit(X, y)

# %%
# The frame marks the best candidate.

SearchDisplay.from_estimator(search)
print(f"best: {search.best_params_}, accuracy {search.best_score_:.3f}")

# %%
# With a small rate 30 epochs are too few, above all for small networks, which have fewer weights to
# move. Too large a rate is a gamble. In between lies a broad region in which more units help, yet
# ever less: there the scores differ by no more than chance, while the time of a fit keeps growing.
# If the best candidate lies at the edge of such a map, as it does here, a further search should go
# beyond that edge. :doc:`/guide/searching` has other ways to search.
