"""Marks of tests that need a newer scikit-learn than the oldest one that sknet supports.

What is compared with scikit-learn can only be tested where scikit-learn has it, and has it right.
"""

from __future__ import annotations

import pytest
import sklearn
from sklearn.model_selection import train_test_split
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
needs_loss = pytest.mark.skipif(
    parse_version("1.7") > SKLEARN, reason="scikit-learn's MLPRegressor has no loss before 1.7"
)
needs_parameter_tables = pytest.mark.skipif(
    parse_version("1.7") > SKLEARN, reason="scikit-learn shows no table of parameters before 1.7"
)
needs_1_8 = pytest.mark.skipif(
    parse_version("1.8") > SKLEARN, reason="scikit-learn itself raises an error here before 1.8"
)
# Seen with 1.6.0, 1.7.0, 1.7.2 and 1.8.0: "ufunc 'isnan' not supported for the input types".
STOPS_EARLY_ON_STRINGS = parse_version("1.9") <= SKLEARN


def _names_rare_classes() -> bool:
    try:
        train_test_split([0, 1, 2], stratify=[0, 0, 1])
    except ValueError as error:
        return "too few members" in str(error)
    return False


needs_names_of_rare_classes = pytest.mark.skipif(
    not _names_rare_classes(), reason="this scikit-learn does not name classes of too few samples"
)
