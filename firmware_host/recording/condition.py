"""What state a night is in: every block checked, and every gap with its cause."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from firmware_host.errors import BadFileError, DamagedNightError
from firmware_host.recording.blocks import Damage
from firmware_host.recording.diary import read_diary
from firmware_host.recording.labels import read_labels
from firmware_host.recording.reader import LogEvent, Night, open_night
from firmware_host.recording.stretch import Stretch

CAUSES = {
    "session": "recorder was not running",
    "connected": "connection lost",
    "restarted": "sensor restarted",
    "suspended": "computer asleep",
    "counter": "sensor counts anew",
}
NEAR_NS = 2 * 10**9
"""What is logged up to so long before a gap may be its cause; a start or end that is no later is none."""


class Check(msgspec.Struct, frozen=True):
    """What `verify` found."""

    blocks: int
    samples: dict[str, int]
    """Whole samples of each site."""
    sessions: int
    missing_blocks: int
    """Blocks whose numbers are skipped: lost with the damage, or given up while the disk was full."""
    being_written: bool
    damage: tuple[Damage, ...]


class Gap(msgspec.Struct, frozen=True):
    """A time from which a site has no samples, [start_ns, end_ns), and why."""

    start_ns: int
    end_ns: int
    cause: str


def verify(path: Path) -> Check:
    """Check every block of a night, that its samples can be decoded, and every line of labels and diary.

    Raises
    ------
    NotFoundError, BadFileError, NewerFormatError
        As `open_night`.
    """
    night = open_night(path)
    damage, samples = list(night.damage), {}
    for site in night.sites:
        samples[site] = 0
        try:
            for stretch in night.stretches(site):
                samples[site] += sum(len(counts) for _, counts in stretch.count_chunks())
        except DamagedNightError as error:
            damage.append(Damage(0, 0, str(error)))
    for read in (read_labels, read_diary):
        try:
            damage += read(path).damage
        except BadFileError as error:
            damage.append(Damage(0, 0, str(error), Path(error.path or path).name))
    index = night.scan.index
    steps = np.diff(index["sequence"].astype(np.int64))
    return Check(
        blocks=len(index),
        samples=samples,
        sessions=len(np.unique(index["session"])),
        missing_blocks=int(np.sum(steps[steps > 1] - 1)),
        being_written=night.being_written,
        damage=tuple(damage),
    )


def captured_s(night: Night, site: str) -> float:
    """Return how much of a site's samples is there, seconds."""
    return sum(int(np.diff(one.time_ns(one.pieces), axis=1).sum()) / 1e9 for one in night.stretches(site))


def gaps(night: Night, site: str) -> tuple[Gap, ...]:
    """Return where a site has no samples between the night's start and end, and why, in time order."""
    events = [event for event in night.events() if event.sensor in {None, night.meta.sensor(site).index}]
    found: list[Gap] = []
    last_ns, last_offset = night.start_ns, -1
    for stretch in night.stretches(site):
        cause = "not connected yet" if last_offset < 0 else CAUSES[stretch.cause]
        for begin, end in stretch.pieces.tolist():
            start_ns, end_ns = stretch.time_ns([begin, end]).tolist()
            offset = int(stretch.run.rows["offset"][np.searchsorted(stretch.run.start, begin)])
            if start_ns - last_ns > (NEAR_NS if last_offset < 0 else 1.5e9 / stretch.fs_hz):
                why = _logged(events, last_ns, start_ns) or _in_file(night, last_offset, offset) or cause
                found.append(Gap(last_ns, start_ns, why))
            last_ns, cause = end_ns, "samples lost on the way"
            last_offset = _offset_before(stretch, end)
    if night.end_ns - last_ns > NEAR_NS:
        rest = "no more samples came" if last_offset >= 0 else "no samples came"
        found.append(Gap(last_ns, night.end_ns, _logged(events, last_ns, night.end_ns) or rest))
    return tuple(found)


def _offset_before(stretch: Stretch, end: int) -> int:
    """Return where the block stands that ends at a grid index."""
    return int(stretch.run.rows["offset"][np.searchsorted(stretch.run.stop, end)])


def _logged(events: list[LogEvent], start_ns: int, end_ns: int) -> str | None:
    """Return the cause that was logged last around a gap."""
    for event in reversed(events):
        if event.kind == "lost_data":
            details = event.details
            if details["start_utc_ns"] - NEAR_NS <= end_ns and start_ns <= details["end_utc_ns"] + NEAR_NS:
                return "disk refused"
        elif start_ns - NEAR_NS <= event.utc_ns <= end_ns and event.kind in {"lost", "suspended", "gap"}:
            why = event.details.get("reason") or event.details.get("cause")
            name = {"lost": "connection lost", "suspended": "computer asleep", "gap": "gap"}[event.kind]
            return f"{name}: {why}" if why else name
    return None


def _in_file(night: Night, after: int, before: int) -> str | None:
    """Tell whether damage of the log lies between two blocks of a site, with samples lost in it."""
    inside = [one for one in night.scan.damage if after < one.offset < before]
    return "file damaged" if after >= 0 and inside else None
