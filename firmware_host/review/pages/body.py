"""One body from many nights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.api.body import SensorsQuery, one_body
from firmware_host.review.charts.page_figure import figure
from firmware_host.review.pages import Context, page


@page("/body", order=40)
def body(context: Context) -> Mapping[str, Any]:
    """Return the empty figure, and whether numbers wait until they are asked for."""
    sites = one_body(context, SensorsQuery(show=True)).sites
    waits = any(context.showing(context.night(one.night)) != "now" for one in sites)
    return {"figure": figure([one.site for one in sites]), "showing": "on_request" if waits else "now"}
