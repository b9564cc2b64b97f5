"""Nights beside each other, and one site over all nights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.pages import Context, page


@page("/compare", order=40)
def compare(context: Context) -> Mapping[str, Any]:
    """Return nothing: all is asked for by the page."""
    del context
    return {}
