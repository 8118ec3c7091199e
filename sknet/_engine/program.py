"""A program: calls of compiled functions, put together in Python and carried out without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sknet._engine.compilation import PYTHON_MODE, WIDTH, instruction


class Program:
    """Instructions in sections, for kernels to `execute`.

    Parameters
    ----------
    dtype : dtype
        That of the parameters, float32 or float64.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._instructions: list[Any] = []
        self._ends = [0]
        self._arrays: list[Any] = []  # instructions hold addresses only

    def add(
        self,
        role: str,
        function: Callable[..., Any],
        *arguments: np.ndarray,
        result: np.ndarray | None = None,
    ) -> None:
        """Append a call; arguments as :func:`~sknet._jit.instruction` takes them."""
        self._arrays.append((arguments, result))
        self._instructions.append(instruction(role, function, self.dtype, arguments, result))

    def end_section(self) -> None:
        """Make all that was appended since the last call of this a section."""
        self._ends.append(len(self._instructions))

    def finish(self) -> tuple[Any, np.ndarray]:
        """Return all instructions as one table, and where sections end, with a 0 before them.

        Both are for kernels, while the program lives.
        """
        if PYTHON_MODE:
            return self._instructions, np.array(self._ends)
        table = np.concatenate(self._instructions) if self._instructions else np.empty(0, np.int64)
        assert table.size == WIDTH * len(self._instructions)
        return table, np.array(self._ends)
