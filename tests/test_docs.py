"""The documentation: every example runs alone and prints what its page shows, and every public
name has its place on a page of the API.

An example is a block of Python in the README or in a page of docs. If a block of text follows it,
after one paragraph that ends in a colon at most, that is what the example prints. An example that
needs more than sknet itself says so in a comment above it, for instance
``<!-- needs: scikit-learn>=1.9 -->``; where that is not installed, the example is skipped.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from operator import attrgetter
from pathlib import Path

import pytest
import sklearn
from packaging.requirements import Requirement

import sknet
from sknet.parts import Part

ROOT = Path(sknet.__file__).parents[1]
API = ROOT / "docs" / "api"
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]

pytestmark = pytest.mark.skipif(not API.exists(), reason="an installed package has no docs")

EXAMPLE = re.compile(
    r"(?:^<!-- needs: (?P<needs>[^\n]+) -->\n+)?"
    r"^```python\n(?P<code>.*?)^```\n"
    r"(?:\n*(?:(?:[^\s`][^\n]*\n)*[^\s`][^\n]*:\n)?\n*^```text\n(?P<output>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Example:
    """A block of Python, the number of its first line, what it prints, and what it needs."""

    page: Path
    line: int
    code: str
    output: str | None
    needs: str | None


def examples_of(text: str, page: Path) -> list[Example]:
    """Return the examples of a page's text."""
    return [
        Example(page, 1 + text.count("\n", 0, m.start("code")), m["code"], m["output"], m["needs"])
        for m in EXAMPLE.finditer(text)
    ]


EXAMPLES = [e for page in PAGES if page.exists() for e in examples_of(page.read_text(), page)]


@pytest.fixture
def place_of_its_own(tmp_path, monkeypatch):
    """Give an example an empty folder, and take back the settings and the parts that it makes."""
    plt = pytest.importorskip("matplotlib.pyplot", reason="the extra 'plot' is not installed")
    plt.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    for kind in Part.__subclasses__():
        monkeypatch.setattr(kind, "table", dict(kind.table))
    with sklearn.config_context():
        yield
    plt.close("all")


def skip_without(needs: str | None) -> None:
    """Skip the test if a package that an example needs is missing or has another version."""
    if needs is None:
        return
    for requirement in map(Requirement, needs.split(" and ")):
        try:
            has_it = version(requirement.name) in requirement.specifier
        except PackageNotFoundError:
            has_it = False
        if not has_it:
            pytest.skip(f"the example needs {needs}")


def lines_of(text: str) -> list[str]:
    """Return the lines without the blanks at their ends, which a page does not show."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda e: f"{e.page.relative_to(ROOT).as_posix()}:{e.line}"
)
@pytest.mark.usefixtures("place_of_its_own")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_example_runs_alone(example, capsys):
    skip_without(example.needs)
    # The empty lines make line numbers of errors those of the page.
    code = "\n" * (example.line - 1) + example.code
    exec(compile(code, example.page, "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    if example.output is not None:
        assert lines_of(printed) == lines_of(example.output)


PAGE = """\
# Title

```python
print(1)
```

It prints
one:

```text
1
```

<!-- needs: nothing>=2 -->

```python
x = 2
```

This is not about what is printed.

```text
y = 2
```
"""


def test_examples_are_found():
    first, second = examples_of(PAGE, ROOT)
    assert first == Example(ROOT, 4, "print(1)\n", "1\n", None)
    assert second == Example(ROOT, 17, "x = 2\n", None, "nothing>=2")
    n_blocks = sum(page.read_text().count("```python") for page in PAGES)
    assert len(EXAMPLES) == n_blocks > 50


@pytest.mark.parametrize(
    "needs", ["scikit-learn<1", "no-such-distribution", "numpy and no-such-distribution"]
)
def test_examples_are_skipped_without_what_they_need(needs):
    with pytest.raises(pytest.skip.Exception, match=needs):
        skip_without(needs)
    skip_without("scikit-learn>=1")


def public_names() -> set[str]:
    """Return the names that users may import, as 'module.name'.

    These are the names in a module's ``__all__`` or, if there is none, those of the classes and
    functions that it defines without an underscore.
    """
    found = set()
    modules = [m.name for m in pkgutil.iter_modules(sknet.__path__, "sknet.")]
    for module in ["sknet", *(m for m in modules if not m.startswith("sknet._"))]:
        contents = vars(importlib.import_module(module))
        defined = [
            name
            for name, thing in contents.items()
            if not name.startswith("_") and getattr(thing, "__module__", "") == module
        ]
        found |= {f"{module}.{name}" for name in contents.get("__all__", defined)}
    return found - {"sknet.__version__"}


def names_on_pages() -> set[str]:
    """Return the names that the pages of the API give to autodoc and autosummary."""
    found = set()
    for page in API.glob("*.rst"):
        text = page.read_text()
        module = re.search(r"^\.\. (?:automodule|currentmodule):: (\S+)$", text, re.MULTILINE)[1]
        named = re.findall(r"^\.\. auto(?:class|data|function):: (\S+)$", text, re.MULTILINE)
        for table in re.findall(r"^\.\. autosummary::\n((?:[ \n].*\n)+)", text, re.MULTILINE):
            named += re.findall(r"^   (\w[\w.]*)$", table, re.MULTILINE)
        found |= {f"{module}.{name.removeprefix('sknet.')}" for name in named}
    return found


def test_every_public_name_has_its_place_in_the_api():
    """A new public name goes on a page of docs/api, or gets an underscore."""

    def things(names: set[str]) -> dict[int, str]:
        # A class may have several names: those of its module and of the package.
        return {id(attrgetter(name.removeprefix("sknet."))(sknet)): name for name in names}

    public, on_pages = things(public_names()), things(names_on_pages())
    assert {public[thing] for thing in public.keys() - on_pages.keys()} == set()
    assert {on_pages[thing] for thing in on_pages.keys() - public.keys()} == set()
