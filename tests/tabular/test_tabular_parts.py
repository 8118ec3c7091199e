"""The parts of an ensemble: configurations, folds, temperature, intervals, runs in threads."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from tables import classifier, regressor, table

from sknet.tabular import networks
from sknet.tabular.calibration import fitted_temperature
from sknet.tabular.configurations import epochs_for, sample_configuration
from sknet.tabular.folds import left_out_rows
from sknet.tabular.intervals import conformal_interval
from sknet.tabular.networks import InitialWeights
from sknet.tabular.running import Run


def configurations(n_rows, n_numbers=10, n=600):
    rngs = (np.random.default_rng(seed) for seed in range(n))
    return [sample_configuration(n_rows, n_numbers, None, rng) for rng in rngs]


# Configurations.


def test_small_tables_draw_from_their_column_of_the_design():
    drawn = configurations(1000)
    assert {c.hidden_layer_sizes[0] for c in drawn} == {64, 96, 128}
    assert {c.encoding for c in drawn} == {"robust", "quantile"}
    assert {c.label_smoothing for c in drawn} == {0.1}
    assert {c.input_scale for c in drawn} == {1.0, 2.0, 4.0}
    assert {c.batch_size for c in drawn} == {64, 128}
    assert 0.025 <= min(c.dropout for c in drawn) < 0.03
    assert 0.145 < max(c.dropout for c in drawn) <= 0.15


def test_large_tables_draw_from_theirs():
    drawn = configurations(4000)
    assert {c.hidden_layer_sizes[0] for c in drawn} == {96, 128, 160}
    assert {c.encoding for c in drawn} == {"robust", "quantile", "piecewise"}
    assert {c.label_smoothing for c in drawn} == {0.03, 0.1}
    assert {c.input_scale for c in drawn} == {2.0, 4.0, 8.0}
    assert {c.batch_size for c in drawn} == {128, 256}
    assert 0.07 < max(c.dropout for c in drawn) <= 0.075  # times sqrt(1000 / 4000)


def test_numbers_have_no_label_smoothing_and_no_dropout():
    """Everything else is drawn as for classes."""
    for_classes, for_numbers = (
        sample_configuration(4000, 10, None, np.random.default_rng(0), is_classifier=is_classifier)
        for is_classifier in (True, False)
    )
    assert for_numbers == replace(for_classes, label_smoothing=0.0, dropout=0.0)
    assert for_classes.dropout > 0


def test_frequencies_of_draws():
    """Fractions of 600 draws differ from their probabilities by less than four deviations."""
    drawn = configurations(1000)
    for name, value, p in (
        ("activation", "selu", 1 / 2),
        ("encoding", "robust", 2 / 3),
        ("initialization", "zero_output", 2 / 5),
        ("learning_rate", "coslog", 1 / 2),
    ):
        fraction = Counter(getattr(c, name) for c in drawn)[value] / len(drawn)
        assert abs(fraction - p) < 4 * np.sqrt(p * (1 - p) / len(drawn)), name
    rates = np.log([c.learning_rate_init for c in drawn])
    assert_allclose([rates.min(), rates.max()], np.log([0.003, 0.008]), atol=0.02)
    assert abs(rates.mean() - np.log([0.003, 0.008]).mean()) < 4 * rates.std() / np.sqrt(600)


@pytest.mark.parametrize(("n_numbers", "n_bins"), [(0, 12), (10, 12), (50, 5), (500, 2)])
def test_bins(n_numbers, n_bins):
    assert {c.n_bins for c in configurations(2000, n_numbers, 5)} == {n_bins}


@pytest.mark.parametrize("n_rows", [50, 1000, 5000, 30_000, 500_000])
def test_epochs_make_the_planned_number_of_steps(n_rows):
    epochs, steps = epochs_for(n_rows, 128), -(-n_rows // 128)
    planned = 2000 * max(1, n_rows / 1000) ** 0.35
    if 64 < epochs < 256:
        assert abs(epochs * steps - planned) <= steps / 2
    else:
        assert epochs in (64, 256)


@pytest.mark.parametrize("initialization", ["normal", "zero_output", "auto"])
def test_initial_weights(initialization):
    drawn = next(
        c
        for c in configurations(1000)
        if c.initialization == initialization
        and (c.input_scale, c.bias_scale, len(c.hidden_layer_sizes)) == (4, 1, 2)
    )
    init, width = InitialWeights(drawn), drawn.hidden_layer_sizes[0]
    shapes = [(1000, width), (width, width), (width, 50)]
    for _ in range(2):  # the next fit begins with the first layer
        random_state = np.random.RandomState(0)
        layers = [init(*shape, random_state) for shape in shapes]
        first, hidden, last = (W for W, _ in layers)
        if initialization != "auto":
            # Of n normal numbers, the deviation of the deviation is about 1 / sqrt(2 n).
            assert_allclose(first.std() * 4 * np.sqrt(1000), 1, atol=4 / np.sqrt(2 * first.size))
            assert_allclose(hidden.std() * np.sqrt(width), 1, atol=4 / np.sqrt(2 * hidden.size))
            assert layers[0][1].std() > 0.5
        assert (last == 0).all() == (initialization == "zero_output")


# Folds.


def test_classifiers_alone_learn_scales(monkeypatch):
    """They were measured for classes only."""
    X, y = table()
    fits = {}
    for rate in (networks.SCALE_RATE, 0.0):
        monkeypatch.setattr(networks, "SCALE_RATE", rate)
        fits[rate] = classifier().fit(X, y).predict_proba(X), regressor().fit(X, y).predict(X)
    (p, numbers), (p_without, numbers_without) = fits.values()
    assert np.abs(p - p_without).max() > 1e-3
    assert_array_equal(numbers, numbers_without)


def test_each_row_is_left_out_once_by_as_many_of_each_class():
    codes = np.repeat([0, 1, 2], [40, 25, 15])
    parts = left_out_rows(80, 8, codes, None, np.random.RandomState(0))
    assert_array_equal(np.sort(np.concatenate(parts)), np.arange(80))
    for part in parts:
        assert abs(np.bincount(codes[part], minlength=3) - np.array([5, 25 / 8, 15 / 8])).max() < 1


@pytest.mark.parametrize(
    ("n_members", "size"), [(1, 20), (3, 20), (4, 20), (5, 16), (8, 10), (20, 10)]
)
def test_number_of_parts(n_members, size):
    parts = left_out_rows(80, n_members, None, None, np.random.RandomState(0))
    assert [len(part) for part in parts] == [size] * n_members
    if n_members == 20:
        assert np.unique(np.concatenate(parts[8:16])).size == 80
        assert not np.array_equal(parts[0], parts[8])


def test_a_class_of_one_row_is_not_left_out():
    codes = np.append(np.zeros(9, int), 1)
    parts = left_out_rows(10, 4, codes, None, np.random.RandomState(0))
    assert 9 not in np.concatenate(parts)


def test_every_class_of_two_rows_or_more_is_among_the_rest():
    codes = np.repeat(np.arange(20), 2)
    for part in left_out_rows(40, 8, codes, None, np.random.RandomState(0)):
        assert set(np.delete(codes, part)) == set(range(20))


@pytest.mark.parametrize("has_strata", [False, True])
def test_groups_are_in_one_part(has_strata):
    rng = np.random.default_rng(0)
    groups, codes = rng.integers(0, 30, 200), rng.integers(0, 3, 200)
    strata = codes if has_strata else None
    parts = left_out_rows(200, 8, strata, groups, np.random.RandomState(0))
    assert_array_equal(np.sort(np.concatenate(parts)), np.arange(200))
    for part in parts:
        assert not set(groups[part]) & set(np.delete(groups, part))


@pytest.mark.parametrize("strata", [np.array([0]), np.array([0, 1, 2])])
def test_too_few_rows(strata):
    with pytest.raises(ValueError, match=f"n_samples = {len(strata)}"):
        left_out_rows(len(strata), 8, strata, None, np.random.RandomState(0))


# The temperature.


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_temperature_against_a_grid(scale):
    rng = np.random.default_rng(0)
    logits, weights = rng.normal(size=(300, 4)) * 2, rng.uniform(0.5, 2, 300)
    codes = np.array([rng.choice(4, p=p) for p in np.exp(log_softmax(logits, axis=1))])
    scores = logits * scale
    temperature = fitted_temperature(scores, codes, weights)

    def objective(T):
        losses = -log_softmax(scores / T, axis=1)[np.arange(300), codes]
        return np.average(losses, weights=weights) + np.log(T) ** 2 / 600

    grid = np.exp(np.linspace(np.log(temperature) - 1, np.log(temperature) + 1, 2001))
    assert_allclose(temperature, grid[np.argmin([objective(T) for T in grid])], rtol=1.1e-3)
    assert_allclose(temperature, scale, rtol=0.25)  # 300 samples tell as much


def test_temperature_of_two_classes_is_that_of_two_columns():
    rng = np.random.default_rng(0)
    scores, codes, weights = rng.normal(size=(50, 1)), rng.integers(0, 2, 50), np.ones(50)
    pairs = np.hstack([np.zeros_like(scores), scores])
    assert fitted_temperature(scores, codes, weights) == pytest.approx(
        fitted_temperature(pairs, codes, weights), rel=1e-4
    )


def test_temperature_stays_above_zero_where_all_predictions_are_right():
    scores, codes = np.tile([[3.0, -3.0], [-3.0, 3.0]], (50, 1)), np.tile([0, 1], 50)
    temperature = fitted_temperature(scores, codes, np.ones(100))
    # A later error has about the probability of one in as many samples.
    assert 1e-4 < np.exp(-6 / temperature) < 1e-1


# Intervals.


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_intervals_against_sorted_numbers(coverage):
    rng = np.random.default_rng(0)
    centers, errors = rng.normal(size=(3, 20)), [np.abs(rng.normal(size=k)) for k in (7, 30, 9)]
    found = conformal_interval(centers, errors, coverage)
    for i in range(20):
        above = np.sort(np.concatenate([c[i] + e for c, e in zip(centers, errors, strict=True)]))
        below = np.sort(np.concatenate([c[i] - e for c, e in zip(centers, errors, strict=True)]))
        rank = int(np.ceil(round(coverage * 47, 9)))
        assert_allclose(found[i], [below[46 - rank], above[rank - 1]], rtol=1e-12)


def test_intervals_are_infinite_where_errors_are_too_few():
    found = conformal_interval([np.zeros(2)], [np.ones(9)], 0.95)
    assert_array_equal(found, [[-np.inf, np.inf]] * 2)
    assert_allclose(conformal_interval([np.zeros(2)], [np.ones(9)], 0.9), [[-1, 1]] * 2)


# Runs in threads.


def run(tasks, n_threads=2, time_limit=None):
    made = Run(tasks, time_limit, time.perf_counter())
    return made, made.results(n_threads)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_are_in_order(n_threads):
    _, results = run([lambda stop, i=i: i for i in range(20)], n_threads)
    assert results == list(range(20))


def test_no_task_starts_after_the_time_limit_and_the_first_one_always_does():
    _, results = run([lambda stop, i=i: i for i in range(3)], 1, time_limit=0)
    assert results == [0]


def test_no_task_starts_that_would_end_after_the_time_limit():
    """The first task takes more than half of the time, so a second one would not be in time."""
    _, results = run([lambda stop: time.sleep(0.2) or 1, lambda stop: 2], 1, time_limit=0.3)
    assert results == [1]


def test_an_error_stops_the_other_tasks():
    ended = []

    def patient(stop):
        assert stop.wait(60)
        ended.append(True)

    def faulty(stop):
        raise ArithmeticError("so it is")

    with pytest.raises(ArithmeticError, match="so it is"):
        run([patient, faulty])
    assert ended == [True]
    assert threading.active_count() >= 1
