"""Learning from corrections: a model of one's own, beside the shipped one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.pages import Context, page


@page("/learning", order=50)
def learning(context: Context) -> Mapping[str, Any]:
    """Return nothing: all is asked for by the page."""
    del context
    return {}
