"""The local time axis of a night: full hours by the clock on the wall, through clock changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_DAY_S = 86_400
_STEPS_S = (1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, _DAY_S, 7 * _DAY_S)


@dataclass(frozen=True)
class Tick:
    """A mark on the time axis."""

    ns: int
    label: str


def local(ns: int, zone: ZoneInfo) -> datetime:
    """Return the local time of a UTC time, cut to seconds."""
    return datetime.fromtimestamp(ns // 10**9, zone)


def utc_offset_s(ns: int, zone: ZoneInfo) -> int:
    """Return how far local time is before UTC at a UTC time."""
    offset = local(ns, zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def ticks(start_ns: int, end_ns: int, zone: ZoneInfo, most: int = 12) -> list[Tick]:
    """Return at most about `most` marks at round local times; an hour that comes twice is marked twice."""
    span_s = (end_ns - start_ns) // 10**9
    step_s = next((step for step in _STEPS_S if span_s <= step * most), _STEPS_S[-1])
    form = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < _DAY_S else "%d %b"
    at_s, last_s = -(-start_ns // 10**9), end_ns // 10**9
    marks = []
    while at_s <= last_s:
        now = datetime.fromtimestamp(at_s, zone)
        over_s = (now.hour * 3600 + now.minute * 60 + now.second) % min(step_s, _DAY_S)
        if not over_s:
            marks.append(Tick(at_s * 10**9, now.strftime(form)))
        at_s += step_s - over_s
    return marks


def clock_changes(start_ns: int, end_ns: int, zone: ZoneInfo) -> list[Tick]:
    """Return when within the night the clocks are put forward or back, and by how much."""

    def offset_s(at_s: int) -> int:
        return utc_offset_s(at_s * 10**9, zone)

    changes = []
    end_s = end_ns // 10**9
    low = start_ns // 10**9
    while low < end_s:
        high = min(low + 3600, end_s)
        shift_s = offset_s(high) - offset_s(low)
        if shift_s:
            before, after = low, high
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if offset_s(middle) == offset_s(low) else (before, middle)
            way = "forward" if shift_s > 0 else "back"
            much = f"{abs(shift_s) // 3600} h" if shift_s % 3600 == 0 else f"{abs(shift_s) // 60} min"
            at = datetime.fromtimestamp(before, zone) + timedelta(seconds=1)
            changes.append(Tick(after * 10**9, f"clocks {way} {much} at {at:%H:%M}"))
        low = high
    return changes
