"""What the pages take from the program is what the program says now."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("made", DOCS / "made.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = _load()


@pytest.mark.parametrize("page", [*MADE.WHOLE, *MADE.PARTS])
def test_pages_are_up_to_date(page: str) -> None:
    """A page or figure that is made from the program is what it would be now."""
    assert (DOCS / page).read_text(encoding="utf-8") == MADE.made(page), "run `make pages`"


def test_no_part_is_forgotten() -> None:
    """Every part of a page that is marked as made has its maker, and every figure too."""
    for page in DOCS.glob("*.md"):
        marked = page.read_text(encoding="utf-8").split("<!-- made: ")[1:]
        assert {text.split(" -->")[0] for text in marked} == set(MADE.PARTS.get(page.name, {})), page.name
    assert {f"figures/{path.name}" for path in (DOCS / "figures").iterdir()} <= set(MADE.WHOLE)


@pytest.mark.parametrize("page", [name for name in MADE.WHOLE if name.endswith(".svg")])
def test_figures_say_what_they_are(page: str) -> None:
    """A figure stands alone, has a title and its numbers in words, and says that it is made up."""
    root = ET.fromstring((DOCS / page).read_text(encoding="utf-8"))
    texts = {part.tag.rpartition("}")[2]: part.text or "" for part in root if part.text}
    assert texts["title"]
    assert len(texts["desc"]) > 40
    assert "simulated" in texts["title"] or "made-up" in texts["desc"]
