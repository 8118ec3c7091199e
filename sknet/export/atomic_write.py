"""A file is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

# Names of files that a killed process may leave behind.
LEFT_BEHIND = ".sknet-*.tmp"


def replace_file(path: str | os.PathLike[str], chunks: Iterable[Any]) -> None:
    """Write bytes to a file, which has either the old or the new content at any time.

    The bytes are written to a new file in the same folder, which is then renamed. That is one
    step for the operating system. If writing fails, the new file is removed. If the process is
    killed or the machine stops before the last step, a file ``.sknet-*.tmp`` may stay behind.

    Parameters
    ----------
    path : str or path-like
        Where to write. A symbolic link is followed. The permissions of an existing file are kept.
    chunks : iterable of bytes-like
        What to write.

    Raises
    ------
    OSError
        If the disk is full, the folder does not exist or must not be written to, and so on.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".sknet-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a renaming last even if the machine loses power. Windows has no call for it."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
