"""Work that neither a signal handler nor a fork may cut short: importing Numba, compiling."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

# Where Python says that the code of its import statement comes from.
CODE_OF_IMPORTS = "<frozen importlib._bootstrap>"

# Held by the thread that does such work. A fork waits for it. Otherwise that thread would be gone
# in the child, its work half done, and the locks of Numba and of the imports would stay closed.
_working = threading.RLock()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=_working.acquire,
        after_in_parent=_working.release,
        after_in_child=_working.release,
    )


def uninterrupted(function: Callable[[], Result]) -> Result:
    """Return what a function returns; it runs to its end even if the wait for it is interrupted.

    One thread at a time does such work, and no other thread forks meanwhile.

    Python runs signal handlers in the main thread, and what a handler raises
    (``KeyboardInterrupt``, a timeout) surfaces wherever that thread stands.
    Half an import of Numba, or half a compilation, would leave Numba unusable.
    In the main thread the function therefore runs in a thread of its own. An
    interrupt ends the wait at once, and the function goes on in the background.

    A fit that a module runs while it is being imported is not protected in this way.
    A thread that looked at the module would wait for the end of that import, which
    waits for the fit.
    """
    # Not current_thread(): up to Python 3.11 it would keep an entry for each thread of a fit.
    if threading.get_ident() != threading.main_thread().ident or _is_importing():
        with _working:
            return function()
    results: list[Result] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            with _working:
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


def _is_importing() -> bool:
    """Return whether this thread is in the middle of an import."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == CODE_OF_IMPORTS:
            return True
        frame = frame.f_back
    return False
