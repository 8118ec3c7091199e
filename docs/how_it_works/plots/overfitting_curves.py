"""A network that memorises 300 digits, some of them with wrong labels."""

import numpy as np
from figure_style import BLUE, GREY, ORANGE, use_style
from matplotlib import pyplot as plt
from noisy_digits import X_test, X_train, fit, y_test, y_train

use_style()
model = fit(X_train[:300], y_train[:300], X_val=X_test, y_val=y_test)
loss, validation_loss = model.history_["loss"], model.history_["validation_loss"]
epochs = np.arange(1, len(loss) + 1)
best = epochs[np.argmin(validation_loss)]

fig, axes = plt.subplots(1, 2, figsize=(7.4, 3))
axes[0].plot(epochs, loss, "--", color=ORANGE, label="300 training digits")
axes[0].plot(epochs, validation_loss, color=BLUE, label="450 held-out digits")
axes[0].set(title="cross-entropy", ylim=(0, 2.5))
axes[0].legend(loc="upper right")
axes[1].plot(epochs, model.history_["validation_score"], color=BLUE)
axes[1].set(title="accuracy on the held-out digits", ylim=(0.5, 1))
axes[1].annotate(
    "least held-out loss", (best, 0.55), (6, 0), textcoords="offset points", color=GREY
)
for ax in axes:
    ax.axvline(best, color=GREY, linestyle=":", linewidth=1.2)
    ax.set_xlabel("epoch")
