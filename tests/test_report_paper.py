"""The report on a screen and on paper: for everybody, one page a night, the same in HTML and PDF."""

from __future__ import annotations

import base64
import builtins
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import counted_nights
import found_nights
import pytest
from browser import axe_problems, screen
from conftest import Run
from read_report import pages_of
from selenium.webdriver import Chrome

from firmware_host.recording.diary import write_diary
from firmware_host.review.report import pdf

EIGHT = (
    "left_calf", "right_calf", "left_thigh", "right_thigh", "left_upper_arm", "right_upper_arm",
    "left_abdomen", "right_lower_back",
)  # fmt: skip
MM = 72 / 25.4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make three nights of two sites, with a diary."""
    folder = tmp_path_factory.mktemp("nights")
    for day in range(3):
        found_nights.made_night(folder, day, {"left_calf": 300, "right_upper_arm": 40})
    write_diary(next(folder.iterdir()), {"caffeine": "much", "note": "walked & talked"})
    return folder


def pdf_of(run: Run, out: Path, *arguments: object) -> list[Any]:
    """Return the pages of a report, read by another library than the one that wrote them."""
    pytest.importorskip("weasyprint", reason="the extra `pdf` is not installed")
    pypdf = pytest.importorskip("pypdf")
    code, _, err = run("report", *arguments, "--out", out)
    assert code == 0, err
    return list(pypdf.PdfReader(out).pages)


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_read_it(browser: Chrome, run: Run, folder: Path, tmp_path: Path, width: int) -> None:
    """axe-core finds nothing, on a large screen and a phone, and nothing is wider than the screen."""
    out = tmp_path / "r.html"
    known = counted_nights.counted_night(tmp_path / "known.night")
    nights = [folder] if width > 1000 else [min(folder.iterdir()), known]
    assert run("report", *nights, "--mixed", "--out", out)[0] == 0
    screen(browser, width)
    browser.get(out.as_uri())
    assert not axe_problems(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return document.scripts.length") == 0


def test_a_browser_prints_one_page_a_night(printer: Chrome, run: Run, folder: Path, tmp_path: Path) -> None:
    """On A4 and on Letter a browser prints the nights together on one page, and each night on one."""
    pypdf = pytest.importorskip("pypdf")
    out = tmp_path / "r.html"
    assert run("report", folder, "--out", out)[0] == 0
    printer.get(out.as_uri())
    for width, height in ((8.27, 11.69), (8.5, 11.0)):
        paper = {"paperWidth": width, "paperHeight": height, "preferCSSPageSize": False}
        margins = {"marginTop": 0.315, "marginBottom": 0.276, "marginLeft": 0.472, "marginRight": 0.472}
        for _ in range(5):  # a busy browser gives an empty page now and then, before it has laid out anything
            printed = printer.execute_cdp_cmd("Page.printToPDF", paper | margins)["data"]
            (tmp_path / "p.pdf").write_bytes(base64.b64decode(printed))
            pages = len(pypdf.PdfReader(tmp_path / "p.pdf").pages)
            if pages == 4:
                break
            time.sleep(1.0)
        assert pages == 4


@pytest.mark.long
def test_the_pdf_has_one_page_a_night(run: Run, folder: Path, tmp_path: Path) -> None:
    """One page of all nights and one of each, A4 unless Letter is asked for."""
    pages = pdf_of(run, tmp_path / "r.pdf", folder)
    assert len(pages) == 4
    letter = pdf_of(run, tmp_path / "l.pdf", min(folder.iterdir()), "--paper", "letter")
    assert len(letter) == 1
    for page, size in ((pages[0], (210, 297)), (pages[-1], (210, 297)), (letter[0], (215.9, 279.4))):
        assert (page.mediabox.width / MM, page.mediabox.height / MM) == pytest.approx(size, abs=0.2)


@pytest.mark.long
def test_eight_sites_fit_on_a_page(run: Run, tmp_path: Path) -> None:
    """A night of eight sensors is one page too."""
    path = found_nights.made_night(tmp_path, 0, dict.fromkeys(EIGHT, 200), placement="10 cm below the knee")
    assert len(pdf_of(run, tmp_path / "r.pdf", path)) == 1


@pytest.mark.long
def test_the_pdf_says_what_the_html_says(run: Run, folder: Path, tmp_path: Path) -> None:
    """Read back by another library, a night's page has each number and sentence of the HTML."""
    path = min(folder.iterdir())
    (page,) = pdf_of(run, tmp_path / "r.pdf", path)
    text = _letters(page.extract_text())
    run("report", path, "--out", tmp_path / "r.html")
    (html,) = pages_of((tmp_path / "r.html").read_text())
    for site in ("left_calf", "right_upper_arm"):
        for cell in html.row("sites", site) + html.row("sensors", site):
            assert _letters(cell) in text, cell
    lines = [html.line(name) for name in ("spread", "care", "diary", "span")]
    for words in (*html.list("cannot"), *lines):
        assert _letters(words) in text, words


def _letters(text: str) -> str:
    """Return a text without what breaks lines: spaces and hyphens."""
    return re.sub(r"[\s\u00ad-]+", "", text)


@pytest.mark.long
def test_the_pdf_has_a_structure(run: Run, folder: Path, tmp_path: Path) -> None:
    """The PDF is tagged, so that a screen reader finds headings and tables, and has the night's name."""
    pages = pdf_of(run, tmp_path / "r.pdf", min(folder.iterdir()))
    assert pages
    import pypdf

    reader = pypdf.PdfReader(tmp_path / "r.pdf")
    assert "/StructTreeRoot" in reader.trailer["/Root"]
    assert reader.metadata is not None
    assert "Night of 22 November 2026" in str(reader.metadata.title)


@pytest.mark.parametrize(("error", "words"), [(ImportError, "twitchmap[pdf]"), (OSError, "libpango-1.0-0")])
def test_what_a_pdf_needs_is_told(
    run: Run,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    words: str,
) -> None:
    """Without the library, or without Pango, a sentence says what to install, and what does without."""
    real = builtins.__import__

    def lacking(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "weasyprint":
            raise error("cannot load library")
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    out = tmp_path / "r.pdf"
    code, printed, err = run("report", min(folder.iterdir()), "--out", out)
    assert (code, printed) == (1, "")
    assert words in err
    assert "FILE.html" in err
    assert not out.exists()


@pytest.mark.long
def test_what_a_pdf_needs_is_told_first(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library, or without Pango, the sentence comes before a night is looked for."""
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    code, _, err = run("report", tmp_path / "no.night", "--out", tmp_path / "r.pdf")
    assert code == 1
    assert "twitchmap[pdf]" in err
    monkeypatch.undo()
    pytest.importorskip("weasyprint", reason="the extra `pdf` is not installed")
    monkeypatch.setattr(pdf, "find_library", lambda _: None)
    pdf._found_by_weasyprint.cache_clear()
    pdf.check_libraries()  # WeasyPrint finds it all the same, so it is there
    monkeypatch.setattr(pdf.sys, "executable", shutil.which("false"))
    pdf.check_libraries()  # nor is it asked again, each time that the page asks
    pdf._found_by_weasyprint.cache_clear()
    code, _, err = run("report", tmp_path / "no.night", "--out", tmp_path / "r.pdf")
    assert code == 1
    pdf._found_by_weasyprint.cache_clear()
    assert "libpango-1.0-0" in err


def test_a_pdf_fetches_nothing() -> None:
    """Whatever stood in the HTML, the library that makes the PDF is given no address."""
    pytest.importorskip("weasyprint", reason="the extra `pdf` is not installed")
    from firmware_host.review.report.pdf import _nothing_else

    with pytest.raises(ValueError, match="asks for"):
        _nothing_else("file:///etc/hostname")
