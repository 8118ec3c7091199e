"""What activations, losses, optimisers and the like have in common: a name in a table."""

from __future__ import annotations

from typing import Any, ClassVar


class Part:
    """A named, replaceable piece of a network.

    A direct subclass is a *kind* of part and owns a table. A subclass of a
    kind is one part, filed in that table under the ``name`` of its class
    statement::

        class ReLU(Activation, name="relu"): ...

    The table is the one place where the accepted strings, the error messages
    and the parametrised tests look a part up, so that a new part is one class
    in one file.

    Attributes
    ----------
    name : str
        The string by which users ask for the part.
    table : dict of str to type
        All parts of this kind, in the order of definition.
    """

    name: ClassVar[str]
    table: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Part in cls.__bases__:
            cls.table = {}
        elif name is not None:
            cls.name = name
            cls.table[name] = cls
