"""
======================================================
How well does a small network read handwritten digits?
======================================================

scikit-learn comes with 1,797 handwritten digits, each an image of 8 by 8 pixels. We train a network
with a single hidden layer on three quarters of them, and then look at every digit that it misreads
among the rest. :doc:`/how_it_works/index` explains what such a network does, step by step.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier

# %%
# Pixels are numbers from 0 to 16. Divided by 16 they lie between 0 and 1, a range in which a
# network learns well.

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
net = MLPClassifier(hidden_layer_sizes=(64,), max_iter=100, n_iter_no_change=np.inf, random_state=0)
net.fit(X_train, y_train)
print(f"{net.score(X_train, y_train):.1%} of the training digits are read right")
print(f"{net.score(X_test, y_test):.1%} of the test digits are read right")

# %%
# Which digits are mistaken for which? Rows are the digits that were written, columns what the
# network read. Zeros are left out.

figure, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
display = ConfusionMatrixDisplay.from_estimator(net, X_test, y_test, ax=ax, cmap="Blues")
for text in display.text_.flat:
    text.set_visible(text.get_text() != "0")

# %%
# A network gives a probability for each digit. Beside each digit that it misreads stand the
# probability of what it read and the probability of the right answer. The surest mistakes come
# first.

probabilities = net.predict_proba(X_test)
read = probabilities.argmax(axis=1)
wrong = np.flatnonzero(read != y_test)
wrong = wrong[np.argsort(-probabilities[wrong, read[wrong]])]

# sphinx_gallery_thumbnail_number = 2
figure, axes = plt.subplots(2, 5, figsize=(9, 4.6), layout="constrained")
for ax in axes.flat:
    ax.axis("off")
for ax, i in zip(axes.flat, wrong, strict=False):
    ax.imshow(X_test[i].reshape(8, 8), cmap="gray_r")
    ax.set_title(
        f"read as {read[i]}: {probabilities[i, read[i]]:.0%}\n"
        f"written {y_test[i]}: {probabilities[i, y_test[i]]:.0%}",
        fontsize=10,
    )

# %%
# Some of these digits would puzzle a human reader, too. Yet not every mistake announces itself by a
# low probability: the first one was read with confidence.
