"""
===========================
Why was this digit misread?
===========================

A network that reads digits gives no reasons. Derivatives do: they tell which pixels would have to
become darker or lighter for the score of a class to rise. We look at a digit that was misread, and
ask what spoke for either answer.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknet import MLPClassifier, SaliencyDisplay, input_gradients

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
net = MLPClassifier(
    hidden_layer_sizes=(64,), alpha=1, max_iter=100, n_iter_no_change=np.inf, random_state=0
)
net.fit(X_train, y_train)

# %%
# The digit that was misread with the greatest confidence, and the probabilities it was given:

probabilities = net.predict_proba(X_test)
read = probabilities.argmax(axis=1)
wrong = np.flatnonzero(read != y_test)
i = wrong[probabilities[wrong, read[wrong]].argmax()]
image, seen, written = X_test[i], read[i], y_test[i]
print(f"written {written}, read as {seen}")
for digit in (seen, written):
    print(f"probability of {digit}: {probabilities[i, digit]:.0%}")

# %%
# Expected gradients compare the image with others, here with the training digits. They say how much
# each pixel has raised the score of a class (orange) or lowered it (blue). A plus or a minus marks
# the pixels that matter most; the digit itself is grey.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, digit in zip(axes, (seen, written), strict=True):
    SaliencyDisplay.from_estimator(
        net, image, image_shape=(8, 8), target=digit, background=X_train, ax=ax
    )

# %%
# The contributions of all pixels add up to the score of the class, compared with its mean over the
# training digits. The scores, before the softmax turns them into probabilities, are

scores = net.decision_function([image])[0]
for digit in (seen, written):
    print(f"score of {digit}: {scores[digit]:.2f}")

# %%
# Plain gradients answer another question: which small changes would do most for the right answer?
# We walk along the gradient of the difference of the two scores, in small steps, until the network
# changes its mind.

changed = image.copy()
for _ in range(100):
    gradients = input_gradients(net, [changed, changed], target=[written, seen])
    direction = gradients[0] - gradients[1]
    changed = np.clip(changed + 0.02 * direction / np.abs(direction).max(), 0, 1)
    if net.predict([changed])[0] == written:
        break

figure, axes = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained")
titles = [f"read as {seen}", f"read as {written}", "change"]
for ax, pixels, title in zip(axes, (image, changed, changed - image), titles, strict=True):
    is_change = title == "change"
    colours = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1} if is_change else {"cmap": "gray_r"}
    ax.imshow(pixels.reshape(8, 8), **colours)
    ax.set(title=title, xticks=[], yticks=[])
print(f"the largest change of a pixel is {np.abs(changed - image).max():.2f}")

# %%
# A human hardly sees the difference. The pixels on which this network relies are not the strokes by
# which we would tell the two digits apart. :doc:`/guide/inspection` says what gradients can tell.
