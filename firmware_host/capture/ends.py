"""When a night ends by itself. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from firmware_host.recording.night import local_time, zone

SILENT_NS = 2 * 3600 * 10**9
"""A night ends so long after the last samples of any sensor."""


@dataclass(frozen=True)
class PlannedEnd:
    """What the user asked for; the earlier of the two, or neither."""

    until: time | None = None
    """The first such time on the wall clock behind the night's start."""
    hours: float | None = None
    """Counted from the night's start."""

    def utc_ns(self, start_ns: int, time_zone: str) -> int | None:
        """Return when a night that started at a time (UTC ns) ends, None where nothing is planned."""
        ends = []
        if self.hours is not None:
            ends.append(start_ns + round(self.hours * 3.6e12))
        if self.until is not None:
            start = local_time(start_ns, time_zone).date()
            stamps_ns: list[int] = []
            for days in (0, 1):
                wall = datetime.combine(start + timedelta(days=days), self.until, zone(time_zone))
                first_ns, again_ns = (round(wall.replace(fold=fold).timestamp()) * 10**9 for fold in (0, 1))
                # An hour that the clocks show twice; of one that they leave out the second is too early.
                stamps_ns += [first_ns, max(first_ns, again_ns)]
            ends.append(min(stamp_ns for stamp_ns in stamps_ns if stamp_ns > start_ns))
        return min(ends, default=None)
