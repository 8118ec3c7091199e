"""The members of an ensemble as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sknet._training.shown_columns import ShownColumns

if TYPE_CHECKING:
    from sknet.tabular.members import Member


class MemberTable(ShownColumns):
    """The members as a table: a dict of columns, with one entry for each member.

    The columns are "member", "validation_score" and "validation_loss" on the rows that the member
    was not trained on, "best_epoch", "seconds", and the values of its configuration.

    Consoles and notebooks show it with rounded numbers.
    """

    index = "member"

    @classmethod
    def of(cls, members: Sequence[Member], judged: dict[str, list[float]]) -> MemberTable:
        """Return the table of members.

        Parameters
        ----------
        members : sequence of Member
        judged : dict of str to list of float
            Further columns.
        """
        columns: dict[str, list[Any]] = {"member": list(range(len(members))), **judged}
        columns["best_epoch"] = [member.best_epoch for member in members]
        columns["seconds"] = [member.seconds for member in members]
        for name in asdict(members[0].configuration):
            columns[name] = [getattr(member.configuration, name) for member in members]
        return cls(columns)

    def _title(self) -> str:
        n = len(self["member"])
        return f"{n} member{'' if n == 1 else 's'}"
