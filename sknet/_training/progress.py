"""The bars of ``verbose="progress"``: one for each fit, and one display for all of them."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from sknet._network.network import Network
from sknet._training.observers import Stopwatch, duration, values_of
from sknet._training.records import Records

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import Progress


class _Display:
    """The bars of all fits that run, below everything else that is printed.

    rich has one live display on a terminal. Fits in several threads share this
    one, which runs from the first epoch of the first fit to the end of the last.
    """

    def __init__(self, is_forked: bool = False) -> None:
        self._lock = threading.RLock()  # reentrant, since a signal handler may fit
        self._bars: list[Progress] = []
        self._live: Live | None = None
        self._is_forked = is_forked

    @cached_property
    def _console(self) -> Console:
        from rich import get_console
        from rich.console import Console

        # rich's own console may be locked by a thread that is not there in a forked process.
        return Console() if self._is_forked else get_console()

    def add(self, bar: Progress) -> None:
        """Show a bar."""
        from rich.errors import LiveError
        from rich.live import Live

        with self._lock:
            if bar in self._bars:
                return
            self._bars.append(bar)
            if self._live is None:
                # Transient, because `remove` prints the bars that are to stay.
                self._live = Live(get_renderable=self._group, console=self._console, transient=True)
                try:
                    self._live.start()
                except LiveError:
                    # Before 14.1 rich refuses a display beside that of the user. A bar is then
                    # printed when its fit ends, and not before.
                    self._live = None

    def remove(self, bar: Progress) -> None:
        """Print a bar as it stands now, above those of the fits that still run."""
        with self._lock:
            if bar not in self._bars:
                return
            self._bars.remove(bar)
            if self._live is not None and not self._bars:
                self._live.stop()
                self._live = None
            self._console.print(bar)

    def _group(self) -> Group:
        from rich.console import Group

        # Without the lock: the thread that refreshes calls this while `remove` waits for it.
        return Group(*self._bars)


_display = _Display()


def _start_anew() -> None:
    """Replace the display in a forked process, where no thread of the parent's runs."""
    global _display
    _display = _Display(is_forked=True)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_anew)


class ProgressBar:
    """Shows a bar over all epochs, with the last loss and scores and the time of an epoch.

    Parameters
    ----------
    n_epochs : int
        Maximum number of epochs.
    title : str, default=""
        Text before the bar, which tells it from the bars of other fits.

    Raises
    ------
    ImportError
        If rich is missing.
    """

    def __init__(self, n_epochs: int, title: str = "") -> None:
        try:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )
            from rich.table import Column
        except ImportError as error:
            raise ImportError(
                "verbose='progress' needs rich: pip install 'sknet-mlp[progress]'. verbose=True "
                "prints plain text."
            ) from error
        self._bar = Progress(
            *([TextColumn(title)] if title else []),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            # In a narrow terminal it takes two lines, and nothing is cut off.
            TextColumn("{task.description}", table_column=Column()),
        )
        self._task = self._bar.add_task("", total=n_epochs)
        self._stopwatch = Stopwatch()

    def epoch_begins(self) -> None:
        """Show the bar, from the first epoch on."""
        _display.add(self._bar)
        self._stopwatch.starts()

    def epoch_ends(self, network: Network, records: Records) -> bool:
        """Advance by one epoch."""
        self._stopwatch.stops()
        mean = duration(self._stopwatch.total / len(records.epochs))
        values = values_of(records.last, ("loss", "training_score", "validation_score"))
        text = ", ".join([*values, f"{mean}/epoch"])
        self._bar.update(self._task, advance=1, description=text)
        return False

    def plateau(self, message: str) -> None:
        """Do nothing, since the bar stands still."""

    def training_ends(self, network: Network, records: Records) -> None:
        """Leave the bar as it is."""

    def close(self) -> None:
        """Leave the bar on the screen, and stop refreshing it."""
        _display.remove(self._bar)
