"""The local time axis of a night: full hours by the clock on the wall, through clock changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from firmware_host.recording.night import zone

_DAY_S = 86_400
_LONG_S = _DAY_S + 3600
"""So long a day may be: in what is longer, times need their dates."""
_STEPS_S = (1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, _DAY_S, 7 * _DAY_S)


@dataclass(frozen=True)
class Tick:
    """A mark on the time axis."""

    ns: int
    label: str


def clock_of(time_zone: str, start_ns: int, *, start_known: bool) -> tzinfo:
    """Return a night's time zone; where nobody knows when it began, one in which that was at 00:00."""
    if start_known:
        return zone(time_zone)
    return timezone(-timedelta(seconds=start_ns // 10**9 % _DAY_S))


def local(ns: int, zone: tzinfo) -> datetime:
    """Return the local time of a UTC time, cut to seconds."""
    return datetime.fromtimestamp(ns // 10**9, zone)


def time_words(ns: int, start_ns: int, end_ns: int, zone: tzinfo, *, start_known: bool) -> str:
    """Return a time of a night: "23:40"; of one longer than a day with its date, or hours that go on."""
    when = local(ns, zone)
    if end_ns - start_ns <= _LONG_S * 10**9:
        return f"{when:%H:%M}"
    if not start_known:
        return f"{max(ns - start_ns, 0) // (3600 * 10**9):02}:{when:%M}"
    return f"{when:%a} {when.day} {when:%b}, {when:%H:%M}"


def utc_offset_s(ns: int, zone: tzinfo) -> int:
    """Return how far local time is before UTC at a UTC time."""
    offset = local(ns, zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def ticks(
    start_ns: int, end_ns: int, zone: tzinfo, most: int = 12, *, start_known: bool = True
) -> list[Tick]:
    """Return at most about `most` marks at round local times; an hour that comes twice is marked twice.

    Of what is longer than a day each midnight is marked by its date; where no date is known, hours go on.
    """
    span_s = (end_ns - start_ns) // 10**9
    step_s = next((step for step in _STEPS_S if span_s <= step * most), _STEPS_S[-1])
    form = "%H:%M:%S" if step_s < 60 else "%H:%M"
    at_s, last_s = -(-start_ns // 10**9), end_ns // 10**9
    marks = []
    while at_s <= last_s:
        now = datetime.fromtimestamp(at_s, zone)
        over_s = (now.hour * 3600 + now.minute * 60 + now.second) % min(step_s, _DAY_S)
        if not over_s:
            label = now.strftime(form)
            if span_s > _LONG_S and not start_known:
                label = f"{(at_s - start_ns // 10**9) // 3600:02}:{now:%M}"
            elif span_s > _LONG_S and now.hour == now.minute == 0:
                label = f"{now.day} {now:%b}"
            marks.append(Tick(at_s * 10**9, label))
        at_s += step_s - over_s
    return marks


def clock_changes(start_ns: int, end_ns: int, zone: tzinfo) -> list[Tick]:
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
