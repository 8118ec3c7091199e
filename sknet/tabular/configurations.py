"""Configurations: how each member of an ensemble encodes its table, and how it is trained.

Every member draws its own. Nets that differ in more than their initial weights make different
errors, and the mean of their predictions is better for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# From so many training rows on, nets are wider and numbers may be encoded piecewise.
LARGE = 1500

# A member takes about so many steps, times max(1, n_rows / 1000) ** STEPS_EXPONENT.
STEPS = 2000
STEPS_EXPONENT = 0.35

# But it goes over its training rows at least and at most so many times.
EPOCHS = (64, 256)

# The bins of the piecewise encoding: of each column, and of all columns together.
BINS = 12
BINS_IN_ALL = 288


@dataclass(frozen=True)
class Configuration:
    """What one member draws at random.

    Attributes
    ----------
    encoding : {'robust', 'quantile', 'piecewise'}
        How numbers are encoded.
    n_bins : int
        Bins of each number with the encoding 'piecewise'.
    input_scale : float
        Factor of the encoded table, by which the initial weights of the first layer are divided.
        The size of Adam's steps does not depend on that of gradients. A step therefore changes what
        the first layer computes by this factor more.
    initialization : {'normal', 'zero_output', 'auto'}
        How weights are drawn: normal with the variance 1 / fan_in; the same, with an output layer
        of zeros; or as `MLPClassifier` draws them.
    bias_scale : float
        Standard deviation of the biases, unless ``initialization`` is 'auto'.
    hidden_layer_sizes, activation, learning_rate_init, weight_decay, learning_rate, beta_2, \
label_smoothing, dropout, batch_size, max_iter
        Parameters of :class:`~sknet.MLPClassifier`.
    """

    encoding: str
    n_bins: int
    input_scale: float
    initialization: str
    bias_scale: float
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    learning_rate_init: float
    weight_decay: float
    learning_rate: str
    beta_2: float
    label_smoothing: float
    dropout: float
    batch_size: int
    max_iter: int


def sample_configuration(
    n_rows: int,
    n_numbers: int,
    max_iter: int | None,
    rng: np.random.Generator,
    *,
    is_classifier: bool = True,
) -> Configuration:
    """Draw the configuration of one member.

    Parameters
    ----------
    n_rows : int
        Rows that the member is trained on.
    n_numbers : int
        Columns of numbers.
    max_iter : int or None
        Number of epochs. None chooses it by the number of rows.
    rng : Generator
        Source of random numbers.
    is_classifier : bool, default=True
        False draws the same, but without label smoothing and dropout. Numbers have no labels to
        smooth, and their predictions were worse with dropout.

    Examples
    --------
    >>> configuration = sample_configuration(400, 10, None, np.random.default_rng(0))
    >>> configuration.batch_size, configuration.max_iter
    (64, 256)
    """

    def one_of(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    is_large = n_rows >= LARGE
    width = one_of(96, 128, 160) if is_large else one_of(64, 96, 128)
    depth = one_of(2, 3, 3, 3)
    activation = (
        one_of("selu", "relu", "silu") if is_large else one_of("selu", "selu", "relu", "silu")
    )
    if is_large:
        encoding = one_of("robust", "quantile", "piecewise", "piecewise")
    else:
        encoding = one_of("robust", "robust", "quantile")
    dropout = float(rng.uniform(0.025, 0.15))
    if is_large:
        dropout *= min(1.0, np.sqrt(1000 / n_rows))
    batch_size = batch_size_for(n_rows) * one_of(1, 1, 1, 2)
    return Configuration(
        encoding=encoding,
        n_bins=max(2, min(BINS, BINS_IN_ALL // max(n_numbers, 1))),
        input_scale=one_of(2.0, 4.0, 8.0) if is_large else one_of(1.0, 2.0, 4.0),
        initialization=one_of("normal", "normal", "zero_output", "zero_output", "auto"),
        bias_scale=one_of(0.0, 1.0),
        hidden_layer_sizes=(width,) * depth,
        activation=activation,
        learning_rate_init=log_uniform(0.003, 0.008),
        weight_decay=log_uniform(0.02, 1.0),
        learning_rate=one_of("coslog", "cosine"),
        beta_2=one_of(0.95, 0.999),
        label_smoothing=is_classifier * (one_of(0.03, 0.1) if is_large else 0.1),
        dropout=is_classifier * dropout,
        batch_size=min(batch_size, n_rows),
        max_iter=epochs_for(n_rows, batch_size) if max_iter is None else max_iter,
    )


def batch_size_for(n_rows: int) -> int:
    """Return the number of rows in a minibatch, which some members double."""
    if n_rows <= 1024:
        return 64
    return 128 if n_rows <= 8192 else 256


def epochs_for(n_rows: int, batch_size: int) -> int:
    """Return the number of epochs that make the steps that so many rows need.

    Examples
    --------
    >>> epochs_for(1000, 64), epochs_for(100, 64), epochs_for(20_000, 256)
    (125, 256, 72)
    """
    steps = STEPS * max(1.0, n_rows / 1000) ** STEPS_EXPONENT
    low, high = EPOCHS
    return int(np.clip(round(steps / -(-n_rows // batch_size)), low, high))
