"""The base class of activations, losses, optimisers, schedules and initialisers.

Each of these five kinds keeps a table of its parts by name. The estimators read from these tables
which values their parameters accept. Error messages and tests read the same tables.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class Part:
    """A component of a network or of its training, which users select by name.

    A direct subclass of ``Part`` is a *kind* of part and owns a table. A subclass of a kind is a
    part. It is registered in this table under the ``name`` that its class statement gives::

        class ReLU(Activation, name="relu"): ...

    A subclass without a ``name`` is not registered, and can be a base class of several parts.

    Attributes
    ----------
    name : str
        The string by which users select the part.
    kind : str
        What kind of part it is, for example 'activation'.
    table : dict of str to type
        All parts of the same kind by name, in the order of their definition.

    Raises
    ------
    ValueError
        If a class is defined under a name that another class of the same kind already has. There is
        no error if both classes have the same module and qualified name. The new class then
        replaces the old one, so you can reload a module or run a notebook cell again.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    table: ClassVar[dict[str, type[Self]]]

    def __init_subclass__(cls: type[Self], *, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Part in cls.__bases__:
            cls.kind = cls.__name__.lower()
            cls.table = {}
        elif name is not None:
            registered = cls.table.get(name, cls)
            if _path(registered) != _path(cls):
                raise ValueError(
                    f"The {cls.kind} name {name!r} is already taken by {_path(registered)}. "
                    f"Define {_path(cls)} under another name."
                )
            cls.name = name
            cls.table[name] = cls

    @classmethod
    def get(cls, name: str) -> type[Self]:
        """Return the part of this kind that has the given name.

        Parameters
        ----------
        name : str
            Name of the part, as in its class statement.

        Returns
        -------
        type
            The class that is registered under the name.

        Raises
        ------
        ValueError
            If no part of this kind has the name.

        Examples
        --------
        >>> from sknet.activations import Activation
        >>> Activation.get("relu")
        <class 'sknet.activations.ReLU'>
        """
        if name not in cls.table:
            raise ValueError(
                f"There is no {cls.kind} named {name!r}. Known names: "
                f"{', '.join(map(repr, cls.table))}. If the {cls.kind} is your own, import the "
                "module that defines it first, for example before you load a pickled model."
            )
        return cls.table[name]


def _path(part: type[Part]) -> str:
    """Return the module and the qualified name of a class."""
    return f"{part.__module__}.{part.__qualname__}"
