"""
================================
What helps when a class is rare?
================================

Screening for a disease finds few sick people among many healthy ones. We make a sample like that
from the breast cancer data: all benign tumours, and every fifth malignant one. A network that
treats all samples alike pays little for missing some of the rare ones. Do class weights or the
focal loss help?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import PrecisionRecallDisplay, precision_score, recall_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknet import MLPClassifier

X, y = load_breast_cancer(return_X_y=True)
is_malignant = y == 0
rows = np.sort(np.concatenate([np.flatnonzero(~is_malignant), np.flatnonzero(is_malignant)[::5]]))
X, y = X[rows], is_malignant[rows]
print(f"{y.sum()} malignant tumours among {len(y)}")

# %%
# The same network is trained in three ways. Each tumour is judged by a network that has not seen
# it.

settings = {
    "plain": {},
    "class weights": {"class_weight": "balanced"},
    "focal loss": {"loss": "focal"},
}
folds = StratifiedKFold(5, shuffle=True, random_state=0)
probabilities = {}
for name, setting in settings.items():
    net = MLPClassifier(
        hidden_layer_sizes=(32,), max_iter=50, n_iter_no_change=np.inf, random_state=0, **setting
    )
    model = make_pipeline(StandardScaler(), net)
    found = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    probabilities[name] = found

# %%
# Recall is the share of malignant tumours that are found. Precision is the share of malignant ones
# among those that raise an alarm. A curve shows what can be had by moving the probability from
# which a tumour counts as malignant; the dot on it is where ``predict`` stands, at one half.

figure, ax = plt.subplots(figsize=(6, 4.8), layout="constrained")
for name, found in probabilities.items():
    display = PrecisionRecallDisplay.from_predictions(y, found, name=name, ax=ax)
    recall, precision = recall_score(y, found > 0.5), precision_score(y, found > 0.5)
    ax.plot(recall, precision, "o", markersize=9, color=display.line_.get_color())
    print(f"{name}: recall {recall:.0%}, precision {precision:.0%}")
ax.set(xlabel="Recall", ylabel="Precision", xlim=(0.5, 1.02), ylim=(0.4, 1.02), aspect="auto")

# %%
# With class weights the network finds almost every malignant tumour, and pays for it by more false
# alarms: the dot has moved down and to the right. The focal loss moves it much less.
#
# At high recall the curve of class weights also lies above the others. With 43 malignant tumours
# that is a matter of few patients, and another sample may rank the curves otherwise. But it is no
# chance that the dot moves. Class weights draw the line between an alarm and none where the rare
# class counts as much as the frequent one. :doc:`/guide/imbalance` says when to choose what.
