"""The pages on performance: one for each processor, with a block for each script that measures.

A script rewrites its own block on the page of the processor at hand. All other text
stays as it is.
"""

from __future__ import annotations

from pathlib import Path

from _processor import Processor, processor

ROOT = Path(__file__).resolve().parents[1]
NOT_YET = "Not measured on this processor yet."
TEMPLATE = f"""# {{name}}

What each table shows, and how it was measured, is on the page on [performance](../performance.md).

## Beside scikit-learn's MLP

<!-- benchmark: begin -->

{NOT_YET}

<!-- benchmark: end -->

## Beside other libraries

<!-- peers: begin -->

{NOT_YET}

<!-- peers: end -->

## What bounds it

<!-- roofline: begin -->

{NOT_YET}

<!-- roofline: end -->

## From small to large

<!-- scaling: begin -->

{NOT_YET}

<!-- scaling: end -->

## Grid searches

<!-- grid: begin -->

{NOT_YET}

<!-- grid: end -->
"""


def page_here(docs: Path = ROOT / "docs", prefix: str = "", template: str = TEMPLATE) -> Path:
    """Return the page of the processor at hand. If there is none yet, it is made."""
    return page_of(processor(), docs, prefix, template)


def page_of(kind: Processor, docs: Path, prefix: str = "", template: str = TEMPLATE) -> Path:
    """Return the page of a processor. If there is none yet, it is made, with empty blocks.

    Parameters
    ----------
    kind : Processor
    docs : path
    prefix : str
        What the name of the file begins with, before that of the processor.
    template : str
        The text of a new page, with `{name}` for the name of the processor.
    """
    page = docs / "performance" / f"{prefix}{kind.slug}.md"
    if not page.exists():
        page.parent.mkdir(exist_ok=True)
        page.write_text(template.format(name=kind.name), encoding="utf-8")
    return page


def beside(page: Path, ending: str) -> Path:
    """Return the path of a file that belongs to a page, such as "scaling.csv"."""
    return page.with_name(f"{page.stem}-{ending}")


def _parts(page: Path, block: str) -> tuple[str, str, str]:
    """Return the text before a block, in it, and after it, the marks left out."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {block}: begin -->", f"<!-- {block}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"error: {page} must hold {begin} and {end}, once each")
    before, _, rest = text.partition(begin)
    inside, _, after = rest.partition(end)
    return before, inside.strip(), after


def read_block(page: Path, block: str) -> str:
    """Return the text of a block."""
    return _parts(page, block)[1]


def write_block(page: Path, block: str, *paragraphs: str) -> None:
    """Replace the text of a block."""
    before, _, after = _parts(page, block)
    marked = [f"<!-- {block}: begin -->", *paragraphs, f"<!-- {block}: end -->"]
    page.write_text(before + "\n\n".join(marked) + after, encoding="utf-8")
