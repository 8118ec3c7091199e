"""Warnings that name the line of the user's code, however deep they come from."""

from __future__ import annotations

import sys
import warnings

# Modules that stand between the line that a user wrote and the one that warns.
BETWEEN = ("sknet.", "sklearn.", "joblib.", "contextlib")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, with the location of the innermost call from outside sknet, scikit-learn and joblib."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(BETWEEN):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


_told: set[str] = set()


def warn_user_once(message: str) -> None:
    """Warn as `warn_user` does, but only once in a process, whatever the filters are.

    Searches change the filters for each fit, after which Python shows a warning again.
    """
    if message not in _told:
        warn_user(message)
        _told.add(message)
