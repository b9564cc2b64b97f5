"""The morning summary: what a night holds, sensor by sensor, and why anything is missing."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from firmware_host.recording import LogEvent, Night, SensorInfo, gaps, local_time, nearest_second, open_night
from firmware_host.recording.condition import captured_s
from firmware_host.sensors import models

UNSURE_MS = 20.0
"""Arrivals that leave the fitted times by more, for good, tell of samples that were lost unseen; arrivals
before those times, of a rate that changed quicker than the fit bends (in ordinary nights by some 10 ms)."""
BIN_NS = 10 * 10**9
BIN_BLOCKS = 5
"""The earliest of fewer may well be late."""


class Missing(msgspec.Struct, frozen=True):
    """What is missing of a sensor for one cause."""

    cause: str
    times: int
    seconds: float


class SensorSummary(msgspec.Struct, frozen=True):
    """What was captured of one sensor."""

    site: str
    model: str
    hours: float
    share: float
    """Of the night, from its start to its end."""
    fs_hz: float | None
    """Measured."""
    missing: tuple[Missing, ...]
    """The largest first."""
    battery_start: int | None
    """Percent."""
    battery_end: int | None
    unsure_ms: float | None
    """Samples without a number seem to have been lost, or they came at no steady rate: times are unsure by so
    much."""
    remarks: tuple[str, ...]
    """What it warned of, a plain sentence each."""


class NightSummary(msgspec.Struct, frozen=True):
    """What was captured in a night."""

    night: str
    origin: str
    """Who slept in it: "recorded", or "virtual" for nobody."""
    start: str
    end: str
    """Local, ISO 8601."""
    hours: float
    sessions: int
    marks: int
    ended: str | None
    """Why, in a few words; None: it was not brought to an end."""
    sensors: tuple[SensorSummary, ...]


def summarise(night: Night | Path) -> NightSummary:
    """Sum up a night from its log.

    Raises
    ------
    NotFoundError, BadFileError, NewerFormatError
        As `open_night`.
    """
    night = open_night(night) if isinstance(night, Path) else night
    events = night.events()
    ended = [str(event.details.get("reason")) for event in events if event.kind == "ended"]
    meta = night.meta
    return NightSummary(
        night=night.path.name,
        origin=meta.origin,
        start=local_time(night.start_ns, meta.time_zone).isoformat(),
        end=local_time(night.end_ns, meta.time_zone).isoformat(),
        hours=night.duration_s / 3600,
        sessions=len(np.unique(night.scan.index["session"])),
        marks=sum(event.kind == "mark" for event in events),
        ended=ended[-1] if ended else None,
        sensors=tuple(_sensor(night, info, events) for info in meta.sensors),
    )


def _sensor(night: Night, info: SensorInfo, events: list[LogEvent]) -> SensorSummary:
    stretches = night.stretches(info.site)
    own = [event for event in events if event.sensor == info.index]
    captured = captured_s(night, info.site)
    charges = [int(event.details["percent"]) for event in own if event.kind == "battery"]
    remarks = [str(event.details["sentence"]) for event in own if event.kind == "warned"]
    if not stretches:
        remarks += [
            str(event.details["sentence"]) for event in own if event.kind in {"trouble", "radio_gone"}
        ]
    return SensorSummary(
        site=info.site,
        model=info.model,
        hours=captured / 3600,
        share=captured / max(1e-9, night.duration_s),
        fs_hz=max(stretches, key=lambda one: one.n).fs_hz if stretches else None,
        missing=_missing(night, info.site),
        battery_start=charges[0] if charges else None,
        battery_end=charges[-1] if charges else None,
        unsure_ms=unsure_ms(night, info),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _missing(night: Night, site: str) -> tuple[Missing, ...]:
    """Return the gaps of a site by cause."""
    by_cause: dict[str, list[float]] = {}
    for gap in gaps(night, site):
        by_cause.setdefault(gap.cause, []).append((gap.end_ns - gap.start_ns) / 1e9)
    found = [Missing(cause, len(lengths), sum(lengths)) for cause, lengths in by_cause.items()]
    return tuple(sorted(found, key=lambda one: -one.seconds))


def unsure_ms(night: Night, info: SensorInfo) -> float | None:
    """Return how far arrivals leave the fitted times, of a sensor that is timed by them; None: as usual.

    Of samples that carry no number, what is lost evenly only seems to change their rate, which the fit
    follows; what is lost at once leaves a step in the earliest arrivals. Where samples are numbered, late
    arrivals tell nothing; but none comes before its samples were taken: the fit then errs, to both sides.
    """
    if info.clock != "arrival":
        return None
    numbered = not _is_unnumbered(info.model)
    spread = 0.0
    for stretch in night.stretches(info.site):
        rows = stretch.run.rows
        late_ns = rows["mono_ns"] + stretch.clock_offset_ns - stretch.time_ns(stretch.run.stop - 1)
        early_ms = -float(late_ns.min()) / 1e6
        if numbered and early_ms <= UNSURE_MS:
            continue
        bins = (rows["mono_ns"] - rows["mono_ns"][0]) // BIN_NS
        begins = np.flatnonzero(np.diff(bins, prepend=-1))
        earliest = np.minimum.reduceat(late_ns, begins)[np.diff(begins, append=len(bins)) >= BIN_BLOCKS]
        spread = max(spread, early_ms, float(np.ptp(earliest)) / 1e6 if len(earliest) else 0.0)
    return spread if spread > UNSURE_MS else None


def unsure_sentence(model: str, ms: float) -> str:
    """Return what a person reads of times that are unsure."""
    why = "Its samples came at no steady rate"
    if _is_unnumbered(model):
        why = "This model does not number its samples and some seem to be lost"
    return f"{why}: times are unsure by {ms:.0f} ms."


def _is_unnumbered(model: str) -> bool:
    known = models().get(model)
    return known is not None and known.counts == "none"


def text(summary: NightSummary) -> str:
    """Return a summary as a person reads it in the morning."""
    start, end = (
        f"{nearest_second(datetime.fromisoformat(iso)):%H:%M}" for iso in (summary.start, summary.end)
    )
    made = "" if summary.origin in {"recorded", "imported"} else f" ({summary.origin})"
    lines = [f"{summary.night}{made}: {start} to {end}, {_long(summary.hours * 3600)}."]
    if summary.sessions > 1:
        lines.append(f"The recorder was started {summary.sessions} times.")
    if summary.marks:
        lines.append(f"{summary.marks} mark{'s' if summary.marks > 1 else ''}.")
    lines += [line for sensor in summary.sensors for line in _lines(sensor)]
    return "\n".join(lines)


def _lines(sensor: SensorSummary) -> list[str]:
    if not sensor.hours:
        return [f"{sensor.site}: no samples came.", *(f"  {remark}" for remark in sensor.remarks)]
    charge = ""
    if sensor.battery_start is not None:
        fell = "" if sensor.battery_end == sensor.battery_start else f" to {sensor.battery_end}"
        charge = f", battery {sensor.battery_start}{fell} %"
    rate = f", {sensor.fs_hz:.1f} Hz" if sensor.fs_hz is not None else ""
    lines = [
        f"{sensor.site}: {_long(sensor.hours * 3600)}, {_percent(sensor.share)} of the night{rate}{charge}."
    ]
    lines += [
        f"  missing {_long(one.seconds)}: {one.cause}" + (f" ({one.times} times)" if one.times > 1 else "")
        for one in sensor.missing
    ]
    if sensor.unsure_ms is not None:
        lines.append(f"  {unsure_sentence(sensor.model, sensor.unsure_ms)}")
    return lines + [f"  {remark}" for remark in sensor.remarks]


def _percent(share: float) -> str:
    """Return a share in percent; what is not all of it never reads as 100 %."""
    return f"{min(share, 0.9999 if share < 0.99995 else 1.0) * 100:.2f} %"


def _long(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
