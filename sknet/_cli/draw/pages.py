"""The files of the page, as they are sent to the browser."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template
from typing import NamedTuple

from sknet._cli.draw.pictures import SIDE
from sknet._cli.draw.recognizer import Recognizer

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/script.js": ("script.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Page(NamedTuple):
    """A file with its media type."""

    content_type: str
    body: bytes


def load_pages(recognizer: Recognizer) -> dict[str, Page]:
    """Return the files by their paths. `index.html` is told about the network.

    Parameters
    ----------
    recognizer : Recognizer

    Returns
    -------
    dict of str to Page
    """
    folder = files("sknet._cli.draw") / "page"
    pages = {}
    for path, (name, content_type) in FILES.items():
        text = (folder / name).read_text("utf-8")
        if name == "index.html":
            text = Template(text).substitute(
                description=escape(recognizer.description),
                picture_side=SIDE,
                image_side=recognizer.image_side,
                n_hidden=recognizer.n_hidden,
            )
        pages[path] = Page(content_type, text.encode())
    return pages
