"""Four activation functions and their derivatives, from the code that training uses."""

import numpy as np
from figure_style import BLUE, GREEN, ORANGE, PINK, use_style
from matplotlib import pyplot as plt

from sknet.activations import Activation

use_style()
z = np.linspace(-4, 4, 401)
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3))
styles = {
    "logistic": (BLUE, "-"),
    "tanh": (GREEN, "--"),
    "relu": (ORANGE, "-"),
    "gelu": (PINK, "-."),
}
for name, (color, style) in styles.items():
    a, slope = z.copy(), np.ones_like(z)
    Activation.get(name).forward(a)
    Activation.get(name).backward(z, a, slope)
    axes[0].plot(z, a, color=color, linestyle=style, label=name)
    axes[1].plot(z, slope, color=color, linestyle=style, label=name)
axes[0].set(xlabel="z", title="f(z)", ylim=(-1.2, 2.5))
axes[1].set(xlabel="z", title="derivative f'(z)", ylim=(-0.2, 1.2))
axes[0].legend()
