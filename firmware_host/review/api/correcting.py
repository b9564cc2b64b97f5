"""What correcting needs besides labels and piles: the counts as they were before anybody said anything."""

from __future__ import annotations

import msgspec

from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.judged import Judged


class FoundSite(msgspec.Struct, frozen=True):
    """A site's whole night as the detector left it; rates are null where nothing was observed."""

    site: str
    twitches: int
    valid_s: float
    rate_per_h: float
    rate_low: float
    rate_high: float


class FoundCounts(msgspec.Struct, frozen=True):
    """Counts without any label."""

    run: str
    sites: tuple[FoundSite, ...]


@endpoint("GET", "/nights/{night}/labels/found", summary="The counts of a night without its labels")
def found_counts(context: Context, night: str, query: Asking) -> FoundCounts:
    """Return the counts of the newest run as the detector left it."""
    opened = context.shared(Judged).night(context.counted(night, query))
    raw, rows = opened.raw, opened.counts(opened.raw)
    names = FoundSite.__struct_fields__
    return FoundCounts(
        raw.info.run_id, tuple(FoundSite(*(row[name].item() for name in names)) for row in rows)
    )
