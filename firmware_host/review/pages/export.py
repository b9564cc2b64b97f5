"""Taking nights along: tables and signals for other programs, reports for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.pages import Context, page


@page("/export", order=45)
def export(context: Context) -> Mapping[str, Any]:
    """Return nothing: all is asked for by the page."""
    del context
    return {}
