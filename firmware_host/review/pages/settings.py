"""The page on which somebody chooses when counts are shown; the first that a new folder shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.pages import Context, page


@page("/settings", order=80)
def settings(context: Context) -> Mapping[str, Any]:
    """Return what was chosen."""
    return {"show": context.settings.show, "options": ("nightly", "weekly", "on_request")}
