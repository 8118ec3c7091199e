"""Write the last section of docs/coming_from/keras.md: the names that errors translate.

After you change a table of sknet/estimators/suggestions.py, run ``python docs/make_synonyms.py`` in
the root of the repository.
"""

from __future__ import annotations

from pathlib import Path

from sknet.estimators.suggestions import PARAMETER_SYNONYMS, VALUE_SYNONYMS

PAGE = Path(__file__).parent / "coming_from" / "keras.md"
TITLE = "## Names that errors translate\n"
HEAD = f"""\
{TITLE}
If you use one of these names by habit, the error asks whether you meant the other one. For values,
every method does so that checks them. For parameters, `set_params` does, and with it pipelines and
searches, but not the constructor: there Python itself says that the argument is unexpected. The
same help is there for names that are almost right, such as `max_iters`.
"""


def section() -> str:
    """Return the section as Markdown."""
    tables = {"Parameter": PARAMETER_SYNONYMS}
    tables |= {f"Value of `{name}`": synonyms for name, synonyms in VALUE_SYNONYMS.items()}
    lines = [HEAD]
    for title, synonyms in tables.items():
        lines += [f"| {title} elsewhere | here |", "|---|---|"]
        lines += [f"| `{name}` | `{other}` |" for name, other in sorted(synonyms.items())]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    before = PAGE.read_text().split(TITLE)[0].rstrip()
    PAGE.write_text(f"{before}\n\n{section()}")
