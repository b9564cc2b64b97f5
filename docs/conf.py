"""How the pages of the project become a web site: `make docs` builds it, and any warning is an error.

The pages are plain Markdown that reads well where the repository is browsed too. So the source folder is the
whole repository, and links between its pages lead somewhere in both places. Nothing is fetched from the
network, neither by the build nor by whoever reads the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
CONTENTS = "docs/index"

project = "twitchmap"
author = copyright = "The twitchmap developers"  # noqa: A001
release = re.findall(r'__version__ = "(.+)"', (ROOT / "firmware_host/__init__.py").read_text("utf-8"))[0]
extensions = ["myst_parser"]
root_doc = CONTENTS
include_patterns = [
    "docs/**",
    "models/*/README.md",
    "recordings/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = ["docs/site"]
nitpicky = True
smartquotes = False  # quotes in sentences stay what can be typed
highlight_language = "text"  # a block is in the language that it names
myst_heading_anchors = 4
myst_enable_extensions = ["strikethrough"]

html_theme = "furo"
html_title = f"twitchmap {release}"
html_show_search_summary = False  # it would fetch pages, which a site opened from the disk may not
html_favicon = "../firmware_host/review/static/icon.svg"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
templates_path = ["site/templates"]
html_additional_pages = {"index": "to_contents.html"}
html_copy_source = html_show_sourcelink = html_show_sphinx = html_use_index = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1b5e6f", "color-brand-content": "#1b5e6f"},
    "dark_css_variables": {"color-brand-primary": "#8cc7d6", "color-brand-content": "#8cc7d6"},
}


def name_links(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Show links to a page, which name its file where the repository is browsed, by the page's title."""
    source[0] = re.sub(r"(?<!!)\[[\w./-]+\.md\]\(([^)]+)\)", r"[](\1)", source[0])


def add_contents(app: Sphinx, docname: str, source: list[str]) -> None:  # noqa: ARG001
    """Make the site's table of contents from the list of links on the page of contents.

    A page that is listed but not there yet is left out, also from the list.
    """
    if docname != CONTENTS:
        return
    parts = re.split(r"^(?=## )", source[0], flags=re.MULTILINE)
    for number, part in enumerate(parts[1:], start=1):
        links = re.findall(r"^- \[.+?\]\((.+?)\).*\n(?:  .*\n)*", part, flags=re.MULTILINE)
        missing = [link for link in links if not (ROOT / "docs" / link).exists()]
        for link in missing:
            part = re.sub(rf"^- \[.+?\]\({re.escape(link)}\).*\n(?:  .*\n)*", "", part, flags=re.MULTILINE)
        title = part.split("\n", 1)[0].removeprefix("## ")
        entries = "\n".join(link.removesuffix(".md") for link in links if link not in missing)
        parts[number] = f"{part}\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n\n"
    source[0] = "".join(parts)


def setup(app: Sphinx) -> None:
    """Let Sphinx read the pages through the functions above."""
    app.connect("source-read", name_links)
    app.connect("source-read", add_contents)
