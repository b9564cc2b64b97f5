"""The report as PDF, from the same HTML."""

from __future__ import annotations

from typing import Any, NoReturn

from firmware_host.errors import MissingExtraError


def report_pdf(html: str) -> bytes:
    """Return a report as PDF.

    Raises
    ------
    MissingExtraError
        If WeasyPrint, or the Pango that it draws letters with, is not installed.
    """
    library = _library()
    document = library.HTML(string=html, url_fetcher=_nothing_else)
    pdf: bytes = document.write_pdf(pdf_tags=True)
    return pdf


def _library() -> Any:  # noqa: ANN401
    instead = "Or name FILE.html and print it from a browser."
    try:
        import weasyprint
    except ImportError:
        raise MissingExtraError(f'A PDF needs WeasyPrint: pip install "twitchmap[pdf]". {instead}') from None
    except OSError:  # the library is there, the system's is not
        raise MissingExtraError(
            "A PDF needs Pango, which draws its letters: on Debian and Ubuntu apt install libpango-1.0-0 "
            f"libpangoft2-1.0-0, with Homebrew brew install pango. {instead}"
        ) from None
    return weasyprint


def _nothing_else(url: str, *_: object, **__: object) -> NoReturn:
    """Refuse every address: a report has all that it needs in itself."""
    raise ValueError(f"a report asks for {url[:80]}")
