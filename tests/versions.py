"""Marks of tests that need a newer scikit-learn than the oldest one that sknet supports."""

from __future__ import annotations

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

SKLEARN = parse_version(sklearn.__version__)
HAS_CALLBACKS = parse_version("1.9") <= SKLEARN

needs_callbacks = pytest.mark.skipif(
    not HAS_CALLBACKS, reason="scikit-learn has callbacks from 1.9 on"
)
# Before 1.7 scikit-learn's MLP took no sample weights, and meta-estimators went another way.
needs_weights = pytest.mark.skipif(
    parse_version("1.7") > SKLEARN, reason="scikit-learn's MLP takes no sample_weight before 1.7"
)
