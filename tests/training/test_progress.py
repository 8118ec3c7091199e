"""The bars of ``verbose="progress"``: several at once, inside the user's display, after a fork."""

from __future__ import annotations

import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from factories import classifier
from joblib import parallel_config
from processes import run_in_terminal, run_script
from rich.console import Console
from rich.errors import LiveError
from rich.progress import Progress
from sklearn.model_selection import cross_validate

from sknet._training import progress as bars

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(40, 3))
y = np.arange(40) % 2


@pytest.fixture(params=["the rich that is installed", "a rich that refuses a second display"])
def rich(request, monkeypatch):
    """Let rich refuse a second display as before 14.1, whichever version is installed."""
    if request.param.startswith("a rich"):
        displays = []

        def set_live(console, live):
            if displays:
                raise LiveError("Only one live display may be active at once")
            displays.append(live)
            return True

        monkeypatch.setattr(Console, "set_live", set_live)
        monkeypatch.setattr(Console, "clear_live", lambda console: displays.clear())


def fit_bar(meet, n_epochs):
    """Fit with a bar. `meet` is called after the first epoch."""
    n_calls = 0

    def scoring(model, X, y):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            meet()
        return 0.5

    model = classifier(verbose="progress", max_iter=n_epochs, scoring=scoring)
    return model.fit(X, y, X_val=X, y_val=y)


@pytest.mark.usefixtures("rich")
def test_bars_of_fits_in_several_threads(capsys):
    """All fits run at once; each bar is printed when its fit ends, and no thread stays behind."""
    barrier = threading.Barrier(3, timeout=60)
    with ThreadPoolExecutor(3) as pool:
        models = list(pool.map(lambda n: fit_bar(barrier.wait, n), (2, 3, 5)))
    assert [model.n_iter_ for model in models] == [2, 3, 5]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for n in (2, 3, 5):
        assert sum(f"{n}/{n}" in line for line in lines) == 1
    assert not bars._display._bars
    assert bars._display._live is None


@pytest.mark.usefixtures("rich")
def test_bars_in_a_threaded_search(capsys):
    with parallel_config("threading", n_jobs=3):
        net = classifier(verbose="progress", max_iter=4)
        cross_validate(net, X, y, cv=6, error_score="raise")
    assert capsys.readouterr().out.count("4/4") == 6


@pytest.mark.usefixtures("rich")
def test_a_bar_inside_the_progress_of_the_user(capsys):
    with Progress() as outer:
        for _ in outer.track(range(2), description="outer"):
            classifier(verbose="progress", max_iter=3).fit(X, y)
    out = capsys.readouterr().out
    assert out.count("3/3") == 2
    assert "outer" in out
    # The display of the fits is closed: the next one opens as usual.
    classifier(verbose="progress", max_iter=2).fit(X, y)
    assert capsys.readouterr().out.count("2/2") == 1


def test_a_bar_stays_when_its_fit_fails(capsys):
    def fail():
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fit_bar(fail, 5)
    assert "0/5" in capsys.readouterr().out
    assert bars._display._live is None


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_narrow_terminal_cuts_nothing_off(columns, capsys, monkeypatch):
    monkeypatch.setattr(bars, "_display", bars._Display())
    monkeypatch.setattr(bars._display, "_console", Console(width=columns))
    model = classifier(verbose="progress", max_iter=5, training_scoring="accuracy")
    model.fit(X, y, X_val=X, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert (len(lines) == 1) == (columns == 200)
    text = " ".join(" ".join(lines).split())
    assert re.match("━+ 5/5 ", text)
    for value in (
        f"loss {model.loss_curve_[-1]:.4f},",
        f"training score {model.training_scores_[-1]:.4f},",
        f"validation score {model.validation_scores_[-1]:.4f},",
    ):
        assert value in text
    assert re.search(r", \d+\.\d m?s/epoch$", text)


TWO_BARS = """
import threading, warnings
import numpy as np
from sknet import MLPClassifier

warnings.simplefilter("ignore")
X, y = np.eye(4), [0, 0, 1, 1]
barrier = threading.Barrier(2, timeout=60)


def fit(n):
    n_calls = 0

    def scoring(model, X, y):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 2:
            barrier.wait()  # both bars are shown
            if n == 17:
                first.join()  # the other one has ended
        return 0.5

    net = MLPClassifier(max_iter=n, scoring=scoring, verbose="progress")
    net.fit(X, y, X_val=X, y_val=y)
    print("fit of", n, "has ended")


first, second = (threading.Thread(target=fit, args=(n,)) for n in (13, 17))
first.start(), second.start(), first.join(), second.join()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Python makes terminals on POSIX systems only")
def test_bars_in_a_terminal():
    """What others print comes between the bars, and in the end each is there once and whole."""
    code, text = run_in_terminal("-c", TWO_BARS)
    assert code == 0, text
    for n in (13, 17):
        assert f"{n}/{n}" in text
        assert f"fit of {n} has ended" in text
    assert text.index("13/13") < text.index("fit of 13") < text.index("17/17")
    assert text.count("\\x1b[?25l") == text.count("\\x1b[?25h")  # the cursor hides and comes back


AFTER_A_FORK = """
import multiprocessing, threading, warnings
import numpy as np
from rich import get_console
from sknet import MLPClassifier

warnings.simplefilter("ignore")
X, y = np.eye(4), [0, 0, 1, 1]
has_begun, may_end = threading.Event(), threading.Event()


def scoring(model, X, y):
    has_begun.set()
    assert may_end.wait(60)
    return 0.5


def fit_in_thread():
    net = MLPClassifier(max_iter=1, scoring=scoring, verbose="progress")
    net.fit(X, y, X_val=X, y_val=y)


def fit_in_child():
    MLPClassifier(max_iter=2, verbose="progress").fit(X, y)


thread = threading.Thread(target=fit_in_thread)
thread.start()
assert has_begun.wait(60)
# The parent's display runs, and its lock and the console's are taken when the fork happens.
from sknet._training import progress

with progress._display._lock, get_console()._lock:
    child = multiprocessing.get_context("fork").Process(target=fit_in_child)
    child.start()
child.join(60)
print(child.exitcode, flush=True)
child.kill()
may_end.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_bar_in_a_forked_process():
    out = run_script(AFTER_A_FORK)
    assert "2/2" in out
    assert "0" in out.splitlines()
    assert "1/1" in out
