"""One night: where on the body and when in the night twitches were seen, and the signal beneath."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware_host.review.charts.map_data import night_title
from firmware_host.review.charts.page_figure import figure
from firmware_host.review.judged import without_log
from firmware_host.review.night_head import is_counted
from firmware_host.review.pages import Context, page


@page("/night/{night}")
def night(context: Context, night: str) -> Mapping[str, Any]:
    """Return the empty figure, the title, and when numbers are shown."""
    path = context.night(night)
    meta = without_log(path).meta
    return {
        "counted": is_counted(path),
        "title": night_title(meta, meta.start_ns),
        "origin": meta.origin,
        "figure": figure([info.site for info in meta.sensors]),
        "showing": context.showing(path),
    }
