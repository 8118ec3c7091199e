"""
======================================================
How do you learn from more data than fits into memory?
======================================================

``partial_fit`` trains a network on one batch after the other, so that only one batch has to be in
memory. We write handwritten digits to a file, read it in batches, and watch the network learn.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)

# %%
# The file stands for one that is too large: each digit is written 20 times, slightly shifted in its
# brightness, in float32. ``mmap_mode="r"`` opens it without reading it; rows are read when they are
# used.

folder = TemporaryDirectory()
path = Path(folder.name) / "digits.npy"
rng = np.random.default_rng(0)
copies = rng.permutation(np.tile(np.arange(len(X_train)), 20))
noise = rng.normal(0, 0.1, (len(copies), 1))
np.save(path, np.float32(X_train[copies] + noise))
labels = y_train[copies]

in_file = np.load(path, mmap_mode="r")
print(f"{in_file.shape[0]} digits, {path.stat().st_size / 1e6:.1f} MB")

# %%
# The first call has to be told all classes, since its batch may lack some. We score each batch
# before the network learns from it: at that moment it is new data.

net = MLPClassifier(hidden_layer_sizes=(64,), batch_size=100, random_state=0)
n_rows = 500
seen, before, on_test = [], [], []
for start in range(0, len(in_file), n_rows):
    batch, answers = in_file[start : start + n_rows], labels[start : start + n_rows]
    if start > 0:
        before.append(net.score(batch, answers))
        seen.append(start)
        on_test.append(net.score(X_test, y_test))
    net.partial_fit(batch, answers, classes=range(10))

# %%
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(seen, before, ".-", label="next batch, before learning from it")
ax.plot(seen, on_test, label="test digits")
ax.set(xlabel="Digits seen", ylabel="Accuracy")
ax.grid(alpha=0.3)
ax.legend()
print(f"accuracy on the test digits: {net.score(X_test, y_test):.1%}")
del in_file, batch  # the file must be closed before its folder can be removed everywhere
folder.cleanup()

# %%
# Both curves rise together: what the network learns from the batches that have passed serves for
# the next ones, and for digits that are not in the file. If ``mmap_mode`` is all you need, ``fit``
# is simpler: it takes the memory-mapped array as it is, without a copy, shuffles all rows, and
# passes over them several times. :doc:`/guide/streaming` says when to choose what.
