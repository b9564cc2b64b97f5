"""The newest recording of a folder after its end: what of it is safe, and whether it can go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from firmware_host import body
from firmware_host.errors import TwitchmapError
from firmware_host.recording import Night, ResultsStore, gaps, known_meta, open_night
from firmware_host.recording.computer_clock import CONTINUED_NS
from firmware_host.recording.condition import captured_s
from firmware_host.recording.reader import LOG_FILE, is_finished

SHOWN_NS = 18 * 3600 * 10**9
"""So long after its end a night is the last one."""
LOOKED_AT = 8
"""So many folders, newest names first, are looked at for a recording among imports and simulations."""


class SensorNight(msgspec.Struct, frozen=True, kw_only=True):
    """What a night holds of one sensor."""

    site: str
    label: str
    """What a person reads: "left calf"."""
    seconds: float
    share: float
    """Of the night's length, 0 to 1."""
    missing: str | None
    """The cause of most of what is missing; None: next to nothing is."""
    missing_s: float


class LastNight(msgspec.Struct, frozen=True, kw_only=True):
    """A recording after its end."""

    night: str
    start_ns: int
    end_ns: int
    """UTC."""
    time_zone: str
    seconds: float
    virtual: bool
    finished: bool
    """It came to its end; else it ended unexpectedly."""
    can_continue: bool
    """With the sensors of the set-up as it is now."""
    detected: bool
    """Twitches have been looked for."""
    sensors: tuple[SensorNight, ...]


class LastNights:
    """Finds the last night; what it costs to open one is paid once, as long as nothing is added to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: tuple[tuple[Path, int], LastNight] | None = None

    def find(self, sites: frozenset[str], *, virtual: bool) -> LastNight | None:
        """Return the newest night that was recorded here, if it ended within 18 h.

        Parameters
        ----------
        sites, virtual
            Of the set-up: a night is continued with the same ones only.
        """
        now_ns = time.time_ns()
        for path in _newest(self._folder):
            try:
                if known_meta(path).origin not in {"recorded", "virtual"}:
                    continue
                last = self._opened(path)
            except (TwitchmapError, OSError):  # the list of nights says so
                continue
            if now_ns - last.end_ns > SHOWN_NS:
                return None
            same = {one.site for one in last.sensors} == sites and last.virtual == virtual
            recent = abs(now_ns - last.start_ns) < CONTINUED_NS
            return msgspec.structs.replace(
                last, can_continue=same and recent and not last.finished, detected=_detected(path)
            )
        return None

    def _opened(self, path: Path) -> LastNight:
        key = path, (path / LOG_FILE).stat().st_size
        if self._known is None or self._known[0] != key:
            self._known = key, _last(path)
        return self._known[1]


def _newest(folder: Path) -> Iterator[Path]:
    """Yield the folders whose names come last; the names of recordings begin with their date."""
    found = sorted((path.parent for path in folder.glob(f"*/{LOG_FILE}")), key=lambda path: path.name)
    yield from found[: -LOOKED_AT - 1 : -1]


def _last(path: Path) -> LastNight:
    night = open_night(path)
    return LastNight(
        night=path.name,
        start_ns=night.start_ns,
        end_ns=night.end_ns,
        time_zone=night.meta.time_zone,
        seconds=night.duration_s,
        virtual=night.meta.origin == "virtual",
        finished=is_finished(night),
        can_continue=False,
        detected=False,
        sensors=tuple(_sensor(night, site) for site in night.sites),
    )


def _sensor(night: Night, site: str) -> SensorNight:
    lost_s: dict[str, float] = {}
    for gap in gaps(night, site):
        lost_s[gap.cause] = lost_s.get(gap.cause, 0.0) + (gap.end_ns - gap.start_ns) / 1e9
    cause = max(lost_s, key=lambda one: lost_s[one], default=None)
    seconds = captured_s(night, site)
    return SensorNight(
        site=site,
        label=body.site(site).label,
        seconds=seconds,
        share=min(1.0, seconds / max(1e-9, night.duration_s)),
        missing=cause,
        missing_s=lost_s[cause] if cause is not None else 0.0,
    )


def _detected(path: Path) -> bool:
    try:
        ResultsStore(path).run()
    except TwitchmapError:  # none yet, or damaged: it can be made again
        return False
    return True
