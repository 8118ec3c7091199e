"""scikit-learn's own checks of the estimators for tables."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknet import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")

WHY = "a repeated sample may be left out by another member than its twin"
EXPECTED = {f"check_sample_weight_equivalence_on_{kind}_data": WHY for kind in ("dense", "sparse")}


@parametrize_with_checks(
    [
        TabularMLPClassifier(n_members=2, max_iter=30),
        TabularMLPRegressor(n_members=2, max_iter=30),
    ],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_scikit_learns_checks_of_ensembles(estimator, check):
    check(estimator)
