"""Seconds of expected gradients beside shap's KernelExplainer, on the breast cancer data.

Usage::

    python -m pip install shap
    python benchmarks/attribution.py
    python benchmarks/attribution.py --explain 20 --background 50

Both explain the score of the same network for the same rows, against the same background. They do
not estimate the same number: KernelExplainer estimates Shapley values, and sknet expected gradients
(Aumann-Shapley values). The correlation tells how alike they are. Of both methods the script shows
by how much the contributions miss the difference of scores that they should add up to.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np
import shap
from _timing import as_markdown
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sknet import MLPClassifier, expected_gradients


def main() -> None:
    """Explain the same rows by both methods, and print a table."""
    parser = argparse.ArgumentParser(description="Expected gradients beside KernelExplainer.")
    parser.add_argument("--explain", type=int, default=50, help="rows to explain (default: 50)")
    parser.add_argument("--background", type=int, default=100, help="its rows (default: 100)")
    options = parser.parse_args()
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, _ = train_test_split(X, y, stratify=y, random_state=0)
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    net = MLPClassifier((100,), early_stopping=True, random_state=0).fit(X_train, y_train)
    background, rows = X_train[: options.background], X_test[: options.explain]
    expected_gradients(net, rows[:2], background, 1)  # compiles
    exact = net.decision_function(rows) - net.decision_function(background).mean()
    table = []
    for n_samples in (2, 10, 50):
        start = perf_counter()
        result = expected_gradients(net, rows, background, 1, n_samples=n_samples, random_state=0)
        seconds = perf_counter() - start
        table.append([f"expected_gradients, n_samples={n_samples}", seconds, result.values])
    start = perf_counter()
    explainer = shap.KernelExplainer(net.decision_function, background)
    theirs = explainer.shap_values(rows, silent=True)
    table.append(["shap.KernelExplainer", perf_counter() - start, theirs])
    lines = [
        [
            name,
            f"{seconds:.2f}",
            f"{1000 * seconds / len(rows):.1f}",
            f"{abs(values.sum(axis=1) - exact).max():.1e}",
            f"{np.corrcoef(values.ravel(), theirs.ravel())[0, 1]:.3f}",
        ]
        for name, seconds, values in table
    ]
    heads = ["method", "s", "ms per row", "largest error of a sum", "correlation with the last"]
    print(f"{len(rows)} rows of {X.shape[1]} features, background of {len(background)} rows")
    print(as_markdown(heads, lines))


if __name__ == "__main__":
    main()
