"""The diary of a night: a form of half a minute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.night_head import night_head
from firmware_host.review.pages import Context, page


@page("/diary/{night}")
def diary(context: Context, night: str) -> Mapping[str, Any]:
    """Return the head; the form is made from what the diary's fields are."""
    return night_head(context, night)
