"""Diary and twitches: dots, and no verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.pages import Context, page


@page("/triggers")
def triggers(context: Context) -> Mapping[str, Any]:
    """Return nothing: all is asked for by the page."""
    del context
    return {}
