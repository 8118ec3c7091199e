"""Parsers of argument values, with errors that say what is allowed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sknet._cli.output import check_output
from sknet.hidden_sizes import parse_hidden_layer_sizes


def checked(
    convert: Callable[[str], Any], allowed: str, is_allowed: Callable[[Any], bool]
) -> Callable[[str], Any]:
    """Return a parser of one argument.

    Parameters
    ----------
    convert : callable
        Converts the text to a value. It raises ValueError if it cannot.
    allowed : str
        Description of the allowed values for the error message.
    is_allowed : callable
        Returns whether a value is allowed.

    Returns
    -------
    callable
        For the parameter `type` of :meth:`argparse.ArgumentParser.add_argument`.
    """

    def parse(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            pass
        else:
            if is_allowed(value):
                return value
        raise argparse.ArgumentTypeError(f"{text!r}: expected {allowed}")

    return parse


hidden_sizes = checked(
    # parse_hidden_layer_sizes takes a missing text for no hidden layers.
    lambda text: tuple(parse_hidden_layer_sizes(text.replace(",", "-") or "-")),
    "integers >= 1 joined by '-' or ',', such as 100 or 100-50",
    lambda sizes: True,
)


def output_file(text: str) -> Path | None:
    """Return the path of a figure that can be saved, or None if the text is empty.

    Parameters
    ----------
    text : str
        Name of the file.

    Returns
    -------
    Path or None

    Raises
    ------
    argparse.ArgumentTypeError
        If the file cannot be written, or its format is unknown.
    """
    if not text:
        return None
    try:
        check_output(Path(text))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text!r}: {error.strerror}") from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
    return Path(text)
