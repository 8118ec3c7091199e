"""Warnings that name the line of the user's code, however deep they come from."""

from __future__ import annotations

import sys
import warnings

# Modules that stand between the line that a user wrote and the one that warns.
BETWEEN = ("sknet.", "sklearn.", "joblib.", "contextlib")

# What was told once: the message, the file and the line.
_told: set[tuple[str, str, int]] = set()


def warn_user(
    message: str | Warning, category: type[Warning] = UserWarning, *, is_repeated: bool = True
) -> None:
    """Warn, with the location of the innermost call from outside sknet, scikit-learn and joblib.

    Parameters
    ----------
    message : str or Warning
    category : type, default=UserWarning
        Ignored if the message is a warning itself.
    is_repeated : bool, default=True
        False warns once for each line of the user's code. Python's own filters do
        not, since searches reset them for each of their fits.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(BETWEEN):
        frame, level = frame.f_back, level + 1
    place = str(message), frame.f_code.co_filename, frame.f_lineno
    if is_repeated or place not in _told:
        warnings.warn(message, category, stacklevel=level)
    if not is_repeated:
        _told.add(place)
