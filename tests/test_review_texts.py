"""The texts of the pages: every one that is asked for is there, and values reach it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import firmware_host.review as review
from firmware_host.review.pages import find_pages
from firmware_host.review.texts import script, t, texts

FOLDER = Path(next(iter(review.__path__)))
SOURCES = sorted(path for kind in ("html", "js", "py") for path in FOLDER.rglob(f"*.{kind}"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_text_that_is_asked_for_is_there(source: Path) -> None:
    """A template, script or page asks for texts by keys that exist."""
    asked = re.findall(r"""\bt\(["']([\w.]+)["'][,)]""", source.read_text(encoding="utf-8"))
    assert set(asked) <= set(texts())


@pytest.mark.parametrize("source", sorted(FOLDER.glob("texts/*/*.json")), ids=lambda path: path.stem)
def test_no_text_is_there_twice(source: Path) -> None:
    """A key has one text: a second one would take its place unseen."""
    keys = [key for key, _ in json.loads(source.read_text(encoding="utf-8"), object_pairs_hook=list)]
    assert len(keys) == len(set(keys))


def test_every_page_has_its_title_and_its_place_in_the_menu() -> None:
    """What the layout asks for by the name of a page is there for each."""
    for page in find_pages():
        assert t(f"{page.name}.title")
        if page.order is not None:
            assert t(f"{page.name}.menu")


def test_values_and_numbers() -> None:
    """Values stand where the text has their names; one has a form of its own; an unknown key is a fault."""
    assert t("nights.found", n=1) == "1 night"
    assert t("nights.found", n=500) == "500 nights"
    assert t("nights.folder", folder="{n} <b>") == "In {n} <b>"
    with pytest.raises(KeyError):
        t("nights.no_such_text")


def test_scripts_have_the_same_texts() -> None:
    """The module that pages load holds all texts, as data that a script cannot be broken with."""
    found = re.search(r"export const texts = (\{.*?\n\});", script(), re.DOTALL)
    assert found
    assert json.loads(found[1]) == texts()
