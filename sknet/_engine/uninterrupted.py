"""Work that no exception from a signal handler may cut short: importing Numba, compiling."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

Result = TypeVar("Result")

_loaded = threading.Event()


def uninterrupted(function: Callable[[], Result]) -> Result:
    """Return what a function returns; it runs to its end even if the wait for it is interrupted.

    Python runs signal handlers in the main thread, and what a handler raises
    (``KeyboardInterrupt``, a timeout) surfaces wherever that thread stands.
    Half an import of Numba, or half a compilation, would leave Numba unusable.
    In the main thread the function therefore runs in a thread of its own. An
    interrupt ends the wait at once, and the function goes on in the background.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    results: list[Result] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="sknet-uninterrupted").start()
    done.wait()
    if errors:
        raise errors[0]
    return results[0]


def load_engine() -> None:
    """Import Numba and the engine, which `import sknet` leaves out because they take long."""
    if not _loaded.is_set():
        uninterrupted(lambda: import_module("sknet._engine.program"))
        _loaded.set()
