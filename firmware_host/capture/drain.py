"""How long a sensor's battery really lasts: from its levels in the nights that it was recorded in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from firmware_host.capture.plan import Lasted
from firmware_host.errors import TwitchmapError
from firmware_host.recording import list_nights, open_night
from firmware_host.recording.reader import is_being_written

NIGHTS = 5
"""So many of the newest are looked at."""
LEAST_H, LEAST_PERCENT = 1.0, 10
"""A night tells something if the level was seen to fall so far, in so long."""


def measured_hours(directory: Path) -> dict[str, Lasted]:
    """Return how long a full battery lasted in the newest night that tells, by serial number (or address, of
    sensors that have none), as nights keep it.

    Nights that cannot be read tell nothing.
    """
    found: dict[str, Lasted] = {}
    for path in list_nights(directory)[-NIGHTS:]:
        try:
            if not is_being_written(path):
                found |= _of_night(path)
        except (OSError, TwitchmapError):
            continue
    return found


def _of_night(path: Path) -> dict[str, Lasted]:
    night = open_night(path)
    levels: dict[int, list[tuple[int, int]]] = {}
    for event in night.events():
        percent = event.details.get("percent")
        if event.kind == "battery" and event.sensor is not None and isinstance(percent, int):
            levels.setdefault(event.sensor, []).append((event.utc_ns, percent))
    hours = ((info, _hours(levels.get(info.index, ()))) for info in night.meta.sensors)
    return {info.serial: Lasted(told, info.fs_hz) for info, told in hours if info.serial and told is not None}


def _hours(levels: Sequence[tuple[int, int]]) -> float | None:
    """Return the hours of a full battery by levels in percent at times; None where they tell nothing."""
    since = 0
    for i in range(1, len(levels)):
        if levels[i][1] > levels[i - 1][1] + 1:  # charged, or another cell: what was before does not count
            since = i
    if not levels:
        return None
    (begin_ns, full), (end_ns, left) = levels[since], levels[-1]
    passed_h, fell = (end_ns - begin_ns) / 3.6e12, full - left
    return 100 * passed_h / fell if passed_h >= LEAST_H and fell >= LEAST_PERCENT else None
