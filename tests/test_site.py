"""The web site of the documents: it builds without a warning and needs nothing but itself."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("furo") is None, reason="the group docs is not installed: make docs"
)

ROOT = Path(__file__).parents[1]
PAGES = {path.stem for path in ROOT.glob("docs/*.md")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    (command,) = re.findall(
        r"-m (sphinx .*) build/docs$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    words = [word if word != "build/doctrees" else str(out / "trees") for word in command.split()]
    done = subprocess.run(
        [sys.executable, "-m", *words, str(out / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_every_page_is_built(site: Path) -> None:
    """Each page of docs/ is a page of the site and can be reached from the contents on every page."""
    assert {path.stem for path in (site / "docs").glob("*.html")} == PAGES
    contents = (site / "docs" / "start.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'href="([\w-]+)\.html"', contents)) | {"start"}
    assert linked >= PAGES - {"index"}


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """No page, style or script of the site takes a font, script, style or picture from another place."""
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 25
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source|object)\b[^>]*\b(?:src|data)=\"([^\"]+)", text)
        loaded += re.findall(r"<link\b[^>]*\brel=\"(?:stylesheet|preload|icon)[^>]*\bhref=\"([^\"]+)", text)
        loaded += re.findall(r"url\(['\"]?([^)'\"]+)", text) + re.findall(r"@import ['\"]([^'\"]+)", text)
        elsewhere = [one for one in loaded if re.match(r"(?:\w+:)?//", one)]
        assert not elsewhere, page


def test_links_and_pictures_are_there(site: Path) -> None:
    """What a page of the site links to or shows is in the site, down to the heading."""
    texts = {page.resolve(): page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    ids = {page: set(re.findall(r"\bid=\"([^\"]+)", text)) for page, text in texts.items()}
    for page, text in texts.items():
        for link in set(re.findall(r"\b(?:href|src)=\"([^\"]+)", text)):
            path, heading = urldefrag(link)
            if re.match(r"\w+:|//", link):
                continue
            target = (page.parent / unquote(path.partition("?")[0])).resolve() if path else page
            assert target.exists(), f"{page.name}: {link}"
            if heading and target.suffix == ".html":
                assert unquote(heading) in ids[target], f"{page.name}: {link}"
