"""The page with the list of nights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.pages import Context, page


@page("/nights", order=20)
def nights(context: Context) -> Mapping[str, Any]:
    """Return what the page needs besides what it fetches."""
    return {"folder": context.folder.resolve()}
