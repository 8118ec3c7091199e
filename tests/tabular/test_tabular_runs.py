"""Long fits: time limits, interrupts, and what is shown meanwhile."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from processes import run_script
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from snapshots import assert_unchanged, snapshot
from tables import classifier, regressor, table

from sknet.tabular import running

X, y = table()


def test_a_time_limit_leaves_one_member_at_least():
    with pytest.warns(
        UserWarning, match=r"time_limit=0 ended the fit: 1 of 3 members were"
    ) as told:
        model = classifier(time_limit=0).fit(X, y)
    assert told[0].filename == __file__
    assert model.n_members_ == len(model.members_) == len(model.member_table_["member"]) == 1
    # The first member is what it would have been without a limit.
    full = classifier().fit(X, y)
    assert_array_equal(model.members_[0].network.coefs_[1], full.members_[0].network.coefs_[1])
    known = ~np.isnan(model.oof_predictions_[:, 0])
    assert known.sum() == len(y) / 4
    assert np.isfinite(model.predict_proba(X)).all()


def test_a_time_limit_that_is_not_reached_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert classifier(time_limit=1e6).fit(X, y).n_members_ == 3


class InterruptedWait:
    """Stands for the wait of the calling thread, which is interrupted after so many members."""

    def __init__(self, monkeypatch, n_ended):
        def wait(run, ended):
            while len(run._results) < n_ended:
                pass
            raise KeyboardInterrupt

        monkeypatch.setattr(running.Run, "_wait", wait)


def test_an_interrupt_keeps_members_that_are_fitted(monkeypatch):
    InterruptedWait(monkeypatch, 2)
    with pytest.warns(UserWarning, match=r"An interrupt ended the fit: \d of 40 members were"):
        model = classifier(n_members=40, max_iter=50).fit(X, y)
    assert 2 <= model.n_members_ < 40
    assert len(model.predict(X)) == len(y)


def test_an_interrupt_before_the_first_member_leaves_the_model_as_it_was(monkeypatch):
    model = regressor().fit(X, y)
    before = snapshot(model)
    InterruptedWait(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        model.set_params(max_iter=1_000_000).fit(X, y)
    model.set_params(max_iter=6)
    assert_unchanged(model, before)


SCRIPT = """
import os, signal, sys, threading, time, warnings
sys.path.append(sys.argv[1])
from tables import classifier, table
X, y = table()
classifier().fit(X, y)
timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
timer.start()
began = time.perf_counter()
try:
    classifier(max_iter=10**7, n_jobs=2).fit(X, y)
except KeyboardInterrupt:
    print("interrupted", threading.active_count())
"""


@pytest.mark.skipif("sys.platform == 'win32'", reason="os.kill ends the process there")
def test_ctrl_c_ends_training_in_threads():
    from pathlib import Path

    assert run_script(SCRIPT, Path(__file__).parent) == "interrupted 1\n"


def test_lines(capsys):
    model = classifier(verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for i, line in enumerate(lines):
        epoch = model.member_table_["best_epoch"][i]
        assert re.match(rf"Member {i + 1} of 3: .* s, best epoch {epoch} of 6, validation", line)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_progress_bars_name_their_members(capsys, n_jobs):
    pytest.importorskip("rich", reason="the extra 'progress' is not installed")
    classifier(verbose="progress", n_jobs=n_jobs).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    starts = sorted(line.split()[1] for line in lines if line.startswith("Member"))
    assert starts == ["1/3", "2/3", "3/3"]
    assert sum("6/6" in line for line in lines) == 3


# Intervals of whole ensembles.


def test_coverage_on_real_data():
    """Of 221 patients, so many are inside as the coverage says, but for four deviations."""
    data, t = load_diabetes(return_X_y=True)
    a, b, t_a, t_b = train_test_split(data, t, test_size=0.5, random_state=0)
    model = regressor(n_members=8, max_iter=60).fit(a, t_a)
    for coverage in (0.5, 0.8, 0.9):
        low, high = model.predict_interval(b, coverage).T
        inside = np.mean((low <= t_b) & (t_b <= high))
        assert abs(inside - coverage) < 4 * np.sqrt(coverage * (1 - coverage) / len(t_b))
    assert (high > low).all()


def test_intervals_with_validation_data_have_one_width():
    t = np.nan_to_num(X["a"].to_numpy())
    model = regressor().fit(X[:80], t[:80], X_val=X[80:], y_val=t[80:])
    low, high = model.predict_interval(X, 0.8).T
    errors = np.sort(np.abs(t[80:] - model.predict(X[80:])))
    np.testing.assert_allclose((high - low) / 2, errors[32], rtol=1e-9)  # of rank 0.8 * 41
    np.testing.assert_allclose((high + low) / 2, model.predict(X), atol=1e-9)


@pytest.mark.parametrize("coverage", [0, 1, -0.1, "0.9", None])
def test_coverage_must_be_a_fraction(coverage):
    t = X["b"]
    model = regressor(n_members=1).fit(X, t)
    with pytest.raises(ValueError, match=re.escape(f"coverage={coverage!r} must be a number")):
        model.predict_interval(X, coverage)
