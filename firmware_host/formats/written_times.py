"""Times as tables write them: ISO 8601 with milliseconds and offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.recording.night import zone

Nanoseconds = npt.NDArray[np.int64]
QUARTER_NS = 900 * 10**9
"""Clocks change on quarter hours of UTC."""


def utc_text(time_ns: Nanoseconds) -> npt.NDArray[np.str_]:
    """Format UTC times (int64 ns) as ISO 8601 with milliseconds and the offset of UTC."""
    return _iso(time_ns, np.zeros(len(time_ns), np.int64))


def local_text(time_ns: Nanoseconds, time_zone: str) -> npt.NDArray[np.str_]:
    """Format UTC times (int64 ns) as local ISO 8601 with offset, which tells the hour that comes twice apart.

    One look-up a quarter hour is enough.
    """
    quarters, which = np.unique(time_ns // QUARTER_NS, return_inverse=True)
    minutes = np.array(
        [offset_min(quarter * QUARTER_NS, time_zone) for quarter in quarters.tolist()], np.int64
    )
    return _iso(time_ns, minutes[which] if len(minutes) else np.zeros(0, np.int64))


def offset_min(time_ns: int, time_zone: str) -> int:
    """Return how far a zone's clocks are ahead of UTC at a UTC time, in whole minutes."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // 10**9)
    offset = moment.astimezone(zone(time_zone)).utcoffset() or timedelta()
    return round(offset.total_seconds() / 60)


def offset_text(minutes: int) -> str:
    """Format an offset from UTC: +05:30."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def clock_changes(start_ns: int, end_ns: int, time_zone: str) -> list[tuple[int, int]]:
    """Return when clocks are changed between two UTC times (ns), and the offset from then on (min)."""
    quarters = [start_ns, *range((start_ns // QUARTER_NS + 1) * QUARTER_NS, end_ns, QUARTER_NS)]
    offsets = [offset_min(at_ns, time_zone) for at_ns in quarters]
    return [
        (at_ns, now)
        for at_ns, before, now in zip(quarters[1:], offsets, offsets[1:], strict=False)
        if now != before
    ]


def _iso(time_ns: Nanoseconds, minutes: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    millis = (time_ns + 500_000) // 1_000_000 + minutes * 60_000
    days = np.datetime_as_string(millis.astype("datetime64[ms]"), unit="ms")
    return np.char.add(days, named(minutes, {int(m): offset_text(int(m)) for m in np.unique(minutes)}))


def named(values: npt.NDArray[Any], names: dict[Any, str]) -> npt.NDArray[np.str_]:
    """Replace each of a few different values by its name."""
    different, which = np.unique(values, return_inverse=True)
    return np.array([names[value] for value in different.tolist()], str)[which]
