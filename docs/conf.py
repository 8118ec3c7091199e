"""Configuration of Sphinx, which builds the documentation as a web site.

One line, in the root of the repository, installs what it needs and builds it in build/site::

    python -m pip install '.[docs]' && python -m sphinx -W -n --keep-going docs build/site

Nothing is fetched from elsewhere, neither while the site is built nor when it is read. With
``SKNET_DOCS_QUICK=1`` the examples that take long are shown without their output.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import indent
from typing import Any

from sphinx_gallery.sorting import ExplicitOrder
from threadpoolctl import threadpool_limits

import sknet

# The networks of the examples are small: more threads of a BLAS than one would only wait for each
# other.
threadpool_limits(1)

# What takes longer than some seconds: without these the gallery is built within two minutes.
LONG_EXAMPLES = ["plot_mnist"]

# The examples in the order in which a newcomer would read them.
LEARNING_ORDER = [
    "plot_digits.py",
    "plot_hidden_units.py",
    "plot_learned_features.py",
    "plot_saliency.py",
    "plot_optimizers.py",
    "plot_grid_search.py",
    "plot_regularization.py",
    "plot_columns.py",
    "plot_imbalance.py",
    "plot_quantiles.py",
    "plot_out_of_core.py",
    "plot_mnist.py",
    "plot_against_scikit_learn.py",
    "plot_new_activation.py",
    "*",
]

project = "sknet"
author = copyright = "The sknet developers"
version = release = sknet.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax as a part of the site
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "matplotlib.sphinxext.plot_directive",
]
exclude_patterns = ["examples"]  # sphinx-gallery writes its pages to auto_examples
templates_path = ["_templates"]
nitpicky = True

# Pages
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# API: numpydoc reads the docstrings, which state the types, so signatures need not.
autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "none"
numpydoc_show_class_members = False
default_role = "literal"  # of names in single backticks
toc_object_entries_show_parents = "hide"
nitpick_ignore_regex = [
    # Classes and functions of other projects, whose pages are not at hand when this is built.
    ("py:.*", r"(sklearn|numpy|scipy|matplotlib|joblib|numba|pandas)\..*"),
]

# Pictures
plot_formats = [("png", 180)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = True
plot_rcparams = {"savefig.bbox": "tight"}
plot_apply_rcparams = True

quick = os.environ.get("SKNET_DOCS_QUICK", "0") not in ("", "0")
skipped = f"(?!{'|'.join(LONG_EXAMPLES)})" if quick else ""
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": ExplicitOrder(LEARNING_ORDER),
    "capture_repr": ("_repr_html_",),  # tables, but no lists of matplotlib's objects
    "filename_pattern": f"{re.escape(os.sep)}{skipped}plot_",
    "doc_module": "sknet",
    "reference_url": {"sknet": None},
    "backreferences_dir": "api/generated/examples",
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
}

# Looks
html_theme = "pydata_sphinx_theme"
html_title = "sknet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_sidebars = {"*": []}  # pages without a section around them
html_theme_options = {
    "logo": {"text": "sknet"},
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}

FOREIGN_ROLE = re.compile(r":(?:ref|term):`([^`<]+?)(?:\s*<[^`]*>)?`")
MARKDOWN_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+\.md)(?:#[^)]*)?\)")
EXAMPLE_LINK = re.compile(r"\]\(((?:\.\./)*)examples/(plot_\w+)\.py\)")
PLOT = re.compile(r"^```\{plot\}(.*)\n((?:.*\n)*?)```$", re.MULTILINE)


def name_foreign_labels(
    app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Replace references to labels of scikit-learn's pages, which docstrings inherit, by texts."""
    lines[:] = [FOREIGN_ROLE.sub(r"\1", line) for line in lines]


def unlink_pages_outside(app: Any, docname: str, source: list[str]) -> None:
    """Replace links to Markdown files outside of this folder by their texts: they have no page."""
    folder = (Path(app.srcdir) / docname).parent

    def replace(link: re.Match[str]) -> str:
        text, target = link.groups()
        is_page = (folder / target).resolve().is_relative_to(app.srcdir)
        return link[0] if is_page else text

    source[0] = MARKDOWN_LINK.sub(replace, source[0])


def link_examples_to_gallery(app: Any, docname: str, source: list[str]) -> None:
    """Lead links to the scripts of examples, which work in the repository, to their pages."""
    source[0] = EXAMPLE_LINK.sub(r"](\1auto_examples/\2.rst)", source[0])


def put_plots_into_rst(app: Any, docname: str, source: list[str]) -> None:
    """Hand plots on pages of Markdown to docutils' own parser, which their directive needs."""

    def replace(block: re.Match[str]) -> str:
        return f"```{{eval-rst}}\n.. plot::{block[1]}\n{indent(block[2], '   ')}```"

    source[0] = PLOT.sub(replace, source[0])


def setup(app: Any) -> None:
    """Connect the hooks of this file."""
    app.connect("source-read", put_plots_into_rst)
    app.connect("source-read", unlink_pages_outside)
    app.connect("source-read", link_examples_to_gallery)
    app.connect("autodoc-process-docstring", name_foreign_labels)
    if quick:
        print("Quick: these examples are shown without being run:", *LONG_EXAMPLES)
