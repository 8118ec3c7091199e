"""A user's script that imports only sknet and NumPy: `mypy --strict` and pyright pass it."""

from __future__ import annotations

import numpy as np

import sknet
from sknet import (
    HiddenLayers,
    HiddenLayerSizes,
    LossCurveDisplay,
    MLPClassifier,
    MLPRegressor,
    NetworkDisplay,
    SaliencyDisplay,
    WeightsDisplay,
    input_gradients,
)
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.metrics import make_pinball_scorer


def halve(fraction: float) -> float:
    """Return a factor of the learning rate."""
    return 0.5 if fraction > 0.5 else 1.0


def accuracy(model: MLPClassifier, X: np.ndarray, y: np.ndarray) -> float:
    """Return the fraction of right predictions."""
    return float((model.predict(X) == y).mean())


def classify(X: np.ndarray, y: np.ndarray) -> float:
    """Fit a classifier in several ways, and return its last loss."""
    model = MLPClassifier(
        (8, 4),
        ["tanh", "relu"],
        solver="adamw",
        learning_rate=halve,
        max_iter=3,
        random_state=np.random.RandomState(0),
        dropout=[0.1, 0.0],
        n_iter_no_change=np.inf,
        scoring=accuracy,
        restore_best=True,
        training_scoring="accuracy",
        n_jobs=2,
    )
    model = model.fit(X, y, sample_weight=np.ones(len(y)), X_val=X, y_val=y)
    model.partial_fit(X, y, X_val=X, y_val=y)
    net = MLPClassifier(class_weight={0: 1.0, 1: 2.0}, solver="lbfgs", max_iter=3).fit(X, y)
    scores: np.ndarray = model.decision_function(X)
    probabilities: np.ndarray = model.predict_proba(X) + np.exp(model.predict_log_proba(X))
    curve: list[float] = model.loss_curve_
    weights: list[np.ndarray] = [*model.coefs_, *model.intercepts_]
    units: int = model.n_layers_ + model.n_outputs_ + model.n_iter_ + model.t_
    validation: list[float] | None = model.validation_scores_
    training: list[float] = model.training_scores_
    history: dict[str, list[float]] = model.history_
    summary: str = model.set_params(verbose=2).summary()
    features: np.ndarray = HiddenLayers(net, layer="all").fit(X, y).transform(X)
    gradients: np.ndarray = input_gradients(model, X, target=1, multiply_by_inputs=True)
    LossCurveDisplay.from_estimator(model)
    WeightsDisplay.from_estimator(model, image_shape=(1, 5))
    SaliencyDisplay.from_estimator(model, X[0], image_shape=(1, 5), background=X)
    drawn: list[np.ndarray] = NetworkDisplay.from_estimator(model, X[0], max_units=4).units_
    units += sum(map(len, drawn))
    print(scores, probabilities, curve, weights, units, validation, history, features, gradients)
    print(training, summary)
    return model.loss_


def regress(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fit a regressor, and return its predictions."""
    model = MLPRegressor("quantile", 10, quantile=[0.1, 0.9], non_crossing=True, max_iter=3)
    print(make_pinball_scorer([0.1, 0.9])(model.fit(X, y), X, y))
    return model.predict(X)


def main() -> None:
    """Fit small models."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(60, 5))
    y = (X[:, 0] > 0).astype(int)
    print(sknet.__version__, classify(X, y), regress(X, X[:, 0]).shape)
    sizes: tuple[int, ...] = HiddenLayerSizes(width=(4, 8)).rvs(random_state=0)
    several: list[tuple[int, ...]] = HiddenLayerSizes(width=(4, 8)).rvs(2, random_state=0)
    print(sizes, several, list(Activation.table), list(Loss.table))


if __name__ == "__main__":
    main()
