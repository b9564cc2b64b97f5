"""The pictures of the pages: none is missing, none is of a page that is gone, and they stay small."""

from __future__ import annotations

import re

import pytest

from firmware_host.review.pages import find_pages

pytest.importorskip("PIL")
from make_screenshots import OUT, PAGES, SIZES

MOST_BYTES = 3_500_000


def test_every_page_has_its_pictures() -> None:
    """Each page that there is has a picture, light and dark, for a large screen and a phone."""
    pictured = {re.sub(r"{\w+}", "{}", address.partition("?")[0]) for address, _ in PAGES.values()}
    assert pictured == {re.sub(r"{\w+}", "{}", page.path) for page in find_pages()}
    expected = {f"{name}-{size}-{look}.png" for name in PAGES for size in SIZES for look in ("light", "dark")}
    assert {path.name for path in OUT.glob("*.png")} == expected


def test_the_pictures_stay_small() -> None:
    """All pictures together are a few megabytes; the page about them shows those that there are."""
    assert sum(path.stat().st_size for path in OUT.glob("*.png")) < MOST_BYTES
    shown = re.findall(r"\((.+?\.png)\)", (OUT / "README.md").read_text(encoding="utf-8"))
    assert shown
    assert all((OUT / name).is_file() for name in shown)
