"""A history is a dict of exact numbers, which consoles and notebooks show as a table."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from sknet import MLPClassifier
from sknet._training.records import History
from sknet._training.shown_columns import N_ENDS


def rows_of(history) -> list[list[str]]:
    """Return the cells of the HTML, which is well-formed XML."""
    table = ET.fromstring(history._repr_html_())
    return [[cell.text for cell in row] for row in table.iter("tr")]


def test_a_short_history():
    history = History(
        epoch=[1, 2], loss=[2.0, 1.23456789], learning_rate=[0.0010000000000000005, 1e-7]
    )
    assert repr(history).splitlines() == [
        "History of 2 epochs",
        "epoch   loss  learning_rate",
        "    1      2          0.001",
        "    2  1.235          1e-07",
    ]
    assert rows_of(history) == [
        ["epoch", "loss", "learning_rate"],
        ["1", "2", "0.001"],
        ["2", "1.235", "1e-07"],
    ]
    assert history["learning_rate"][0] == 0.0010000000000000005


@pytest.mark.parametrize("n_epochs", [2 * N_ENDS + 1, 2 * N_ENDS + 2, 2500])
def test_a_long_history_shows_its_ends(n_epochs):
    history = History(epoch=list(range(1, n_epochs + 1)), loss=[0.5] * n_epochs)
    head, *rows = [line.split() for line in repr(history).splitlines()[1:]]
    assert head == ["epoch", "loss"]
    assert len(rows) == 2 * N_ENDS + 1
    middle = rows[N_ENDS]
    assert middle == (["...", "..."] if n_epochs > 2 * N_ENDS + 1 else [str(N_ENDS + 1), "0.5"])
    assert rows[0][0] == "1"
    assert rows[-1][0] == f"{n_epochs:,}"
    assert rows_of(history) == [head, *rows]


def test_lines_are_aligned():
    history = History(epoch=[1, 10], loss=[1e-9, 123.0])
    assert len({len(line) for line in repr(history).splitlines()[1:]}) == 1


def test_names_are_escaped():
    history = History({"epoch": [1], "<b>": [0.5]})
    assert rows_of(history)[0] == ["epoch", "<b>"]


COLUMNS = ["epoch", "loss", "learning_rate", "validation_loss", "validation_score"]
MEANT = {
    "val_loss": "Did you mean 'validation_loss'?",
    "val_accuracy": "Did you mean 'validation_score'?",
    "validation_scores": "Did you mean 'validation_score'?",
    "lr": "Did you mean 'learning_rate'?",
    "accuracy": "Each fit needs the parameter training_scoring for 'training_score'.",
    "training_score": "Each fit needs the parameter training_scoring for 'training_score'.",
}


@pytest.mark.parametrize("name", MEANT)
def test_a_column_that_is_not_there(name):
    history = History({column: [0.5] for column in COLUMNS})
    message = f"The history has no column {name!r}, only {COLUMNS}. {MEANT[name]}"
    with pytest.raises(KeyError) as caught:
        history[name]
    assert caught.value.args == (message,)
    assert name not in history
    assert history.get(name) is None


def test_a_column_like_no_other():
    with pytest.raises(KeyError) as caught:
        History(epoch=[1], loss=[0.5])["colour"]
    assert caught.value.args == ("The history has no column 'colour', only ['epoch', 'loss'].",)


NEEDED = {
    "val_loss": "validation data for 'validation_loss'",
    "validation_score": "validation data for 'validation_score'",
    "lr": "a solver other than 'lbfgs' for 'learning_rate'",
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_column_that_needs_something(name):
    with pytest.raises(KeyError, match=f"Each fit needs {NEEDED[name]}"):
        History(epoch=[1], loss=[0.5])[name]


def test_an_empty_history():
    assert repr(History()) == "History of 0 epochs"
    assert rows_of(History()) == [[]]


def test_the_history_of_a_network(digits):
    X, y = digits
    net = MLPClassifier(hidden_layer_sizes=(5,), early_stopping=True, random_state=0)
    net.set_params(max_iter=3, n_iter_no_change=float("inf")).fit(X[:100], y[:100])
    head, *rows = rows_of(net.history_)
    assert head == list(net.history_)
    columns = net.history_.values()
    for row, exact in zip(rows, zip(*columns, strict=True), strict=True):
        for text, number in zip(row, exact, strict=True):
            # Four significant digits.
            assert abs(float(text) - number) <= 0.5e-3 * abs(number)
    assert "0000000" not in repr(net.history_)
