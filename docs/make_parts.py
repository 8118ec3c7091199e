"""Write docs/parts.md: every part, its formula and its source, from the docstrings.

Run ``python docs/make_parts.py`` in the project's folder after a part was added or changed.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from sknet.activations import Activation
from sknet.initialization import Initializer
from sknet.losses import Loss
from sknet.optimizers import Optimizer
from sknet.schedules import Schedule

PAGE = Path(__file__).parent / "parts.md"

# Title, and how users ask for a part.
KINDS = {
    Activation: ("Activations", "`activation`: a name, or one for each hidden layer"),
    Initializer: ("Initial weights", "`weight_init`"),
    Loss: ("Losses", "`loss`, by the word given below"),
    Optimizer: ("Optimisers", "`solver`"),
    Schedule: ("Learning-rate schedules", "`learning_rate`"),
}
HEAD = """\
# Parts

<!-- Written by docs/make_parts.py from the docstrings. Change those, and run it. -->

What can be asked for by name, with its formula and its source.
"""
SECTION = re.compile(r"\n\n(\w+)\n-{3,}\n")


def sections(part: type[Any]) -> dict[str, str]:
    """Return a docstring by the titles of its sections; what precedes them has none."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"``\1``", inspect.cleandoc(part.__doc__ or ""))
    first, *rest = SECTION.split(text)
    return {"": first, **dict(zip(rest[::2], rest[1::2], strict=True))}


def paragraphs(part: type[Any]) -> list[str]:
    """Return what a docstring says before its sections."""
    return sections(part)[""].split("\n\n")


def is_formula(paragraph: str) -> bool:
    """Return whether a paragraph has an equation."""
    return " = " in paragraph


def source(part: type[Any]) -> str:
    """Return the section References, empty if there is none."""
    return sections(part).get("References", "")


def prose(text: str) -> str:
    """Return text as Markdown that shows its stars and underscores."""
    pieces = re.split(r"(``.+?``)", " ".join(text.split()))
    return "".join(p if p.startswith("``") else re.sub(r"([*_<])", r"\\\1", p) for p in pieces)


def note(part: type[Any]) -> str:
    """Return what else there is to know about a part of this kind, in a sentence."""
    if issubclass(part, Activation):
        return f"Weights into such units are drawn by `{part.weight_init}` if nobody says how."
    if issubclass(part, Loss):
        return (
            f"Asked for by `loss='{part.public}'`, where targets are {part.targets}. "
            f"Inverse link: {part.out_activation}."
        )
    return ""


def entry(part: type[Any]) -> str:
    """Return a part's piece of the page."""
    pieces = [f"### {part.name}"]
    for paragraph in paragraphs(part):
        if is_formula(paragraph):
            pieces.append("```text\n" + paragraph.replace("``", "") + "\n```")
        else:
            pieces.append(prose(paragraph))
    pieces.append(note(part))
    if source(part):
        pieces.append(f"Source: {prose(source(part))}")
    return "\n\n".join(p for p in pieces if p) + "\n"


def page() -> str:
    """Return the whole page."""
    pieces = [HEAD]
    for kind, (title, parameter) in KINDS.items():
        pieces.append(f"## {title}\n\nParameter {parameter}.\n")
        pieces += [entry(part) for part in kind.table.values()]
    return "\n".join(pieces)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
