"""What the commands write: a line while kernels compile, and the file of a figure.

The file is checked before the work begins, and it is never left half written.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def compiling() -> Iterator[None]:
    """Print the seconds of a first fit, in which kernels are compiled.

    The words are there from the beginning, so that nobody wonders what the command
    is waiting for.

    Yields
    ------
    None
    """
    print("Compiling kernels, or loading them from Numba's cache: ", end="", flush=True)
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    print(f"{seconds:.1f} s.\nThe times below leave this out.\n", flush=True)


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


def drawable(output: Path | None) -> Path | None:
    """Return the file of the figure, or None if no figure can be drawn, and say so.

    Parameters
    ----------
    output : Path or None

    Returns
    -------
    Path or None
    """
    if output is not None and not has_matplotlib():
        print(
            "No figure is saved, because matplotlib is not installed. Install it with: "
            "python -m pip install 'sknet-mlp[plot]'"
        )
        return None
    return output


def save(figure: Figure, path: Path) -> None:
    """Save a figure and print where it is. End the command if it cannot be written.

    Parameters
    ----------
    figure : matplotlib Figure
    path : Path
    """
    try:
        with replacing(path) as file:
            figure.savefig(file, format=path.suffix[1:], dpi=150)
    except OSError as error:
        sys.exit(f"The figure is not saved: cannot write {str(path)!r}: {error.strerror}")
    print(f"\nFigure: {path}")


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
