"""Tables as dicts of columns, which consoles and notebooks show with rounded numbers."""

from __future__ import annotations

from html import escape
from typing import Any, ClassVar

# Of a long table, this many rows of the beginning and of the end are shown.
N_ENDS = 5


class ShownColumns(dict[str, list[Any]]):
    """A dict of columns of equal lengths, which is shown as a table.

    Attributes
    ----------
    index : str
        The column that numbers the rows.
    """

    index: ClassVar[str]

    def __repr__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(text.rjust(n) for text, n in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join([self._title(), *lines]).rstrip()

    def _repr_html_(self) -> str:
        head, *rows = self._rows()
        names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows
        )
        return (
            f'<table style="text-align: right"><caption>{self._title()}</caption>'
            f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _title(self) -> str:
        """Return what the table is called where it is shown."""
        raise NotImplementedError

    def _rows(self) -> list[list[str]]:
        """Return the names of the columns, then the epochs to show, as text."""
        rows = [[_as_text(v) for v in row] for row in zip(*self.values(), strict=True)]
        if len(rows) > 2 * N_ENDS + 1:
            rows[N_ENDS:-N_ENDS] = [["..." for _ in self]]
        return [list(self), *rows]

    def as_frame(self) -> Any:
        """Return the table as a :class:`pandas.DataFrame`.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__}.as_frame needs pandas: pip install pandas. It is a "
                "dict of lists without it."
            ) from error
        return pd.DataFrame(dict(self)).set_index(self.index)


def _as_text(value: Any) -> str:
    """Return a value for a table: real numbers with four significant digits, others whole."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
