"""The file of a figure: whether it can be written, and how it is never left half written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def has_matplotlib() -> bool:
    """Return whether figures can be drawn."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        return False
    return True


def check_output(path: Path) -> None:
    """Check before the searches whether the figure can be saved.

    Parameters
    ----------
    path : Path
        File of the figure. It need not exist, and it is not changed.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If matplotlib is installed and cannot write the format.
    """
    if path.exists():
        with path.open("ab"):
            pass
    part = _part_of(path)
    with part.open("wb"):
        pass
    part.unlink()
    if has_matplotlib():
        from matplotlib.backend_bases import FigureCanvasBase

        formats = sorted(FigureCanvasBase.get_supported_filetypes())
        if path.suffix[1:].lower() not in formats:
            raise ValueError(f"the name of the file must end in one of .{', .'.join(formats)}")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` at the end of the block.

    If the block fails or is interrupted, `path` stays as it was.

    Parameters
    ----------
    path : Path

    Yields
    ------
    binary file
    """
    part = _part_of(path)
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path.resolve())
    finally:
        part.unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    """Return the name of a file in the folder of `path`, whose links are followed."""
    path = path.resolve()
    return path.with_name(f".{path.name}.{os.getpid()}")
