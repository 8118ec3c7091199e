"""How a command ends by Ctrl-C or SIGTERM, or when nobody reads its output."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Exit codes, as shells report them for a program that a signal has ended: 128 plus its number.
FROM_SIGNAL = 128
UNREAD = 141  # SIGPIPE, which Windows lacks
INTERRUPTED = FROM_SIGNAL + signal.SIGINT


def end_quietly(command: Callable[[], None]) -> None:
    """Run a command; Ctrl-C, SIGTERM or a closed pipe ends the process without a traceback.

    After Ctrl-C one line says so.

    Parameters
    ----------
    command : callable
        It is ended by :class:`SystemExit`. `KeyboardInterrupt` would only end the
        fit that runs: both scikit-learn's networks and sknet's keep what they have
        learned, and the command would go on with the next fit.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    if sys.stdout is not None:
        # Names of files may have letters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            command()
        except SystemExit as end:
            if end.code == INTERRUPTED and sys.stderr is not None:
                # Terminals show ^C at the end of the line before.
                print("\nInterrupted.", file=sys.stderr, flush=True)
            raise
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes both streams once more when it ends, which must not fail again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())
        sys.exit(UNREAD)


@contextmanager
def until_ctrl_c() -> Iterator[None]:
    """Run a block that Ctrl-C is meant to end: one line says so, and the command goes on.

    Yields
    ------
    None
    """
    try:
        yield
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        print("\nStopped.", flush=True)  # terminals show ^C at the end of the line before


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the command, and let another signal while it is cleaning up end it at once."""
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, lambda number, frame: os._exit(FROM_SIGNAL + number))
    sys.exit(FROM_SIGNAL + number)
