"""From a page to HTML: its template inside the layout that all pages share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from firmware_host import __version__
from firmware_host.review.pages import Page, find_pages
from firmware_host.review.texts import LANGUAGE, t

STATIC = Path(__file__).parent / "static"
_TEMPLATES = Path(__file__).parent / "templates"
_IMPORT = re.compile(r'^(?:import|\}) (?:.* )?(?:from )?"\./(\w+)\.js"', re.MULTILINE)


def page_html(page: Page, named: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Return a page with what its function returned; `named` are the names in its path."""
    return _html(f"{page.name}.html", {"page": page.name, "named": named} | dict(values))


def error_html(sentence: str) -> str:
    """Return a page that says one sentence and leads back."""
    return _html("error.html", {"page": "error", "named": {}, "sentence": sentence})


def _html(template: str, values: Mapping[str, Any]) -> str:
    name = values["page"]
    files = {kind: (STATIC / f"{name}.{kind}").is_file() for kind in ("js", "css")}
    menu = sorted(
        (page for page in find_pages() if page.order is not None), key=lambda page: (page.order, page.name)
    )
    return filled(template, {"menu": menu, "files": files} | dict(values))


def filled(template: str, values: Mapping[str, Any]) -> str:
    """Return a template with its values, all of them as text but what is `Markup`."""
    return _environment().get_template(template).render(values)


def prepare(name: str) -> None:
    """Read a page's template and imports, so that its first request does not wait for that."""
    _environment().get_template(f"{name}.html")
    modules_of(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # a server is of one version, also while the program is being updated
    )
    environment.globals |= {"t": t, "version": __version__, "language": LANGUAGE}
    environment.globals["modules_of"] = modules_of
    return environment


@cache
def modules_of(name: str) -> tuple[str, ...]:
    """Return what a page's script imports, directly or not: the browser is told of all at once."""
    known, new = [name], [name]
    while new:
        script = STATIC / f"{new.pop()}.js"
        text = script.read_text(encoding="utf-8") if script.is_file() else ""  # texts.js is made
        found = [one for one in _IMPORT.findall(text) if one not in known]
        known += found
        new += found
    return tuple(known[1:])
