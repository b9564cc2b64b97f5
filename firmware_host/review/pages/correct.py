"""Correcting a night: piles first, then single events and stretches of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.night_head import night_head, read_ahead
from firmware_host.review.pages import Context, page


@page("/correct/{night}")
def correct(context: Context, night: str) -> Mapping[str, Any]:
    """Return the head; all else is asked for by the page."""
    read_ahead(context, night)
    return {**night_head(context, night), "showing": context.showing(context.night(night))}
