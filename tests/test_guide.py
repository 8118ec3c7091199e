"""The examples of the guide run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from versions import needs_callbacks

import sknet

GUIDE = Path(sknet.__file__).parents[1] / "docs" / "guide.md"


@needs_callbacks
@pytest.mark.skipif(not GUIDE.exists(), reason="an installed package has no docs")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_examples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) > 5
    names: dict = {"np": np}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
    # What the examples of scaled targets say: better than the best constant.
    assert names["explained"].mean() > 0.2
    constant = np.quantile(names["y_num"], names["quantiles"])
    losses = [
        np.mean(np.maximum(tau * (names["y_num"] - c), (tau - 1) * (names["y_num"] - c)))
        for tau, c in zip(names["quantiles"], constant, strict=True)
    ]
    assert -names["pinball"].mean() < np.mean(losses)
