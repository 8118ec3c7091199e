"""What a call leaves for the next one: bests, curves, the optimiser, attributes of callbacks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from versions import needs_callbacks

from sknet import MLPClassifier, MLPRegressor, input_gradients
from sknet._training import trainer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 5}


@pytest.fixture
def small(diabetes):
    return diabetes[0][:120], (diabetes[1] / diabetes[1].std())[:120]


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_training_goes_on_after_a_rescued_divergence(solver, small):
    """The optimiser's own numbers have diverged as well: they are not kept."""
    model = MLPRegressor(
        **{**SMALL, "max_iter": 300}, solver=solver, activation="identity", restore_best=True,
        n_iter_no_change=np.inf, learning_rate=lambda f: 1.0 if f < 0.1 else 1e308,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="diverged"):
        model.fit(*small, X_val=small[0], y_val=small[1])
    model.set_params(learning_rate="constant", learning_rate_init=1e-5)
    model.partial_fit(*small)
    assert all(np.isfinite(W).all() for W in model.coefs_)


def test_partial_fit_does_not_hide_another_score(small):
    """R2 of 0.9 and a negative squared error are not compared, whatever came in between."""
    X, y = small
    model = MLPRegressor(**SMALL, early_stopping=True, warm_start=True)
    model.fit(X, y, X_val=X, y_val=y)
    model.best_validation_score_ = 0.9  # no squared error is better
    model.set_params(early_stopping=False, scoring="neg_mean_squared_error")
    model.partial_fit(X, y, X_val=X, y_val=y)
    assert model.best_validation_score_ == 0.9  # partial_fit starts nothing anew
    model.set_params(early_stopping=True).fit(X, y, X_val=X, y_val=y)
    assert model.best_validation_score_ < 0


def test_a_warm_start_that_was_not_planned_keeps_its_curves(small):
    X, y = small
    model = MLPRegressor(**SMALL).fit(X, y, X_val=X, y_val=y)
    model.set_params(warm_start=True).fit(X, y, X_val=X.copy(), y_val=y.copy())
    assert len(model.loss_curve_) == len(model.validation_scores_) == 10


def test_other_validation_data_leave_the_best_loss(small):
    X, y = small
    model = MLPRegressor(**SMALL, warm_start=True).fit(X, y, X_val=X, y_val=y)
    model.best_loss_ = 1e-9  # never reached again
    model.fit(X, y, X_val=X[:50], y_val=y[:50])
    assert model.best_loss_ == 1e-9
    assert len(model.loss_curve_) == 10
    assert len(model.validation_scores_) == 5


def test_an_interrupt_in_the_first_epoch_leaves_the_last_loss(small):
    def interrupt(model, X, y):
        raise KeyboardInterrupt

    X, y = small
    model = MLPRegressor(**SMALL, warm_start=True).fit(X, y)
    model.set_params(scoring=interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y, X_val=X, y_val=y)
    assert model.loss_ == model.loss_curve_[-1]


def test_an_infinite_score_is_not_the_best(small):
    X, y = small
    model = MLPRegressor(**SMALL, restore_best=True, scoring=lambda *data: np.inf)
    with pytest.warns(UserWarning, match="not a finite number"):
        model.fit(X, y, X_val=X, y_val=y)
    for ours, last in zip(model.coefs_, MLPRegressor(**SMALL).fit(X, y).coefs_, strict=True):
        assert_array_equal(ours, last)


def test_batches_of_two_sizes_in_turn_use_two_trainers(small, monkeypatch):
    X, y = small
    made, init = [], trainer.Trainer.__init__

    def counted(self, *arguments):
        made.append(self)
        init(self, *arguments)

    monkeypatch.setattr(trainer.Trainer, "__init__", counted)
    ours = MLPRegressor(**SMALL)
    for _ in range(4):
        for n in (50, 60):
            ours.partial_fit(X[:n], y[:n])
    assert len(made) == 2
    ours.fit(X, y)
    assert not ours._trainers


@needs_callbacks
def test_callbacks_keep_their_own_attributes(small):
    """They see what training changes, and may count on the estimator."""
    seen = []

    class Counter:
        def setup(self, estimator, context):
            estimator.own_count_ = getattr(estimator, "own_count_", 0)

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **kwargs):
            pass

        def on_fit_task_end(self, estimator, context, **kwargs):
            if context.task_name == "epoch":
                estimator.own_count_ += 1
                seen.append((estimator.own_count_, estimator.n_iter_, estimator.t_))
            return False

    X, y = small
    model = MLPRegressor(**SMALL).set_callbacks(Counter())
    model.fit(X, y)
    model.fit(X, y)
    counts, epochs, samples = zip(*seen, strict=True)
    assert counts == tuple(range(1, 11))
    assert epochs == (1, 2, 3, 4, 5) * 2
    assert samples == tuple(len(y) * k for k in epochs)


@pytest.mark.parametrize("missing", ["coefs_", "intercepts_"])
def test_half_of_the_weights_is_named(missing, small):
    model = MLPRegressor(**SMALL)
    names = {"coefs_": [np.ones((10, 1))], "intercepts_": [np.zeros(1)]}
    for name, value in names.items():
        if name != missing:
            setattr(model, name, value)
    with pytest.raises(
        (ValueError, AttributeError), match="not fitted" if missing == "coefs_" else missing
    ):
        model.predict(small[0])


def test_looking_inside_weights_that_were_set_by_hand(small):
    X, _ = small
    model = MLPClassifier(hidden_layer_sizes=(3,))
    rng = np.random.RandomState(0)
    model.coefs_ = [rng.normal(size=(10, 3)), rng.normal(size=(3, 1))]
    model.intercepts_ = [np.zeros(3), np.zeros(1)]
    model.classes_ = np.array([0, 1])
    assert model.predict(X).shape == (120,)
    assert input_gradients(model, X, target=1).shape == (120, 10)
    with pytest.raises(ValueError, match=r"4 features.*takes 10"):
        input_gradients(model, X[:, :4], target=1)
