"""Ensembles for tables go through files of skops, which hold no code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from tables import classifier, regressor, table

import sknet.tabular.base
from sknet.export import TRUSTED_TYPES
from sknet.tabular.configurations import sample_configuration

skops_io = pytest.importorskip("skops.io", reason="skops is not installed")


@pytest.mark.parametrize("encoding", ["robust", "quantile", "piecewise", "sparse"])
def test_trusted_types_are_enough(encoding, monkeypatch):
    X, y = table()
    if encoding == "sparse":
        X = sp.csr_array(np.nan_to_num(X[["a", "b"]].to_numpy()))
    else:
        monkeypatch.setattr(
            sknet.tabular.base,
            "sample_configuration",
            lambda *a, **k: replace(sample_configuration(*a, **k), encoding=encoding),
        )
        X = X.assign(flag=X["b"] > 0, count=range(len(X)))
    models = [
        classifier().fit(X, np.array(["x", "y", "z"])[y]),
        regressor().fit(X, y / 3),
        regressor().fit(X, np.column_stack([y, y**2]) / 3),
    ]
    for model in models:
        loaded = skops_io.loads(skops_io.dumps(model), trusted=TRUSTED_TYPES)
        assert_array_equal(loaded.predict(X), model.predict(X))
        assert repr(loaded.member_table_) == repr(model.member_table_)
        assert loaded.get_params() == model.get_params()
