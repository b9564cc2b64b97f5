"""The report as PDF, from the same HTML."""

from __future__ import annotations

import subprocess
import sys
from ctypes.util import find_library
from functools import cache
from importlib.util import find_spec
from typing import Any, NoReturn

from firmware_host.errors import MissingExtraError

_INSTEAD = "Or name FILE.html and print it from a browser."


def check_libraries() -> None:
    """Raise `MissingExtraError` where a PDF could not be made; nothing is imported into this process."""
    if find_spec("weasyprint") is None:
        raise _no_library()
    if find_library("pangoft2-1.0") is None and not _found_by_weasyprint():
        raise _no_pango()


@cache
def _found_by_weasyprint() -> bool:
    """Tell whether Pango lies where WeasyPrint alone looks; to ask takes seconds, and the page asks often."""
    found = subprocess.run([sys.executable, "-c", "import weasyprint"], capture_output=True, check=False)
    return found.returncode == 0


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
    try:
        import weasyprint
    except ImportError:
        raise _no_library() from None
    except OSError:  # the library is there, the system's is not
        raise _no_pango() from None
    return weasyprint


def _no_library() -> MissingExtraError:
    return MissingExtraError(f'A PDF needs WeasyPrint: pip install "twitchmap[pdf]". {_INSTEAD}')


def _no_pango() -> MissingExtraError:
    return MissingExtraError(
        "A PDF needs Pango, which draws its letters: on Debian and Ubuntu apt install libpango-1.0-0 "
        f"libpangoft2-1.0-0, with Homebrew brew install pango. {_INSTEAD}"
    )


def _nothing_else(url: str, *_: object, **__: object) -> NoReturn:
    """Refuse every address: a report has all that it needs in itself."""
    raise ValueError(f"a report asks for {url[:80]}")
