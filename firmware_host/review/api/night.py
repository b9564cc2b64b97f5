"""What is known of one night besides its counts."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import numpy as np

from firmware_host import body
from firmware_host.analysis import Run, Summary, runs_of
from firmware_host.errors import TwitchmapError
from firmware_host.recording import NightMeta, RunInfo, SensorInfo, local_time
from firmware_host.recording.night import META_FILE
from firmware_host.recording.reader import is_being_written
from firmware_host.review.charts.map_data import night_title
from firmware_host.review.charts.time_axis import clock_changes, clock_of, utc_offset_s
from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.judged import without_log
from firmware_host.review.opened import opened_of
from firmware_host.twitches import Kind

NEAR_S = 10.0
"""A mark is made late: who felt a twitch has to reach for the button."""


class WornSite(msgspec.Struct, frozen=True):
    """A site of the night and the sensor there, in order from head to foot."""

    site: str
    label: str
    base: str
    """The place on the figure: two sensors may share one."""
    side: str
    region: str
    view: str
    model: str
    placement: str
    fs_hz: float
    """Rate that the sensor was set to."""
    noise_mg_per_sqrt_hz: float | None
    """Median density of quiet signal; null where no run knows it."""


class ClockPart(msgspec.Struct, frozen=True):
    """From when on local time is so far from UTC: clocks may be changed in a night.

    Where nobody knows when the night began, it is the time from its start on.
    """

    from_s: float
    offset_s: float


class RunFacts(msgspec.Struct, frozen=True):
    """Which run the counts are from."""

    run_id: str
    created_utc: str
    detector: str
    model: str
    operating_point: str
    passes: int
    warnings: tuple[str, ...]


class NightFacts(msgspec.Struct, frozen=True):
    """A night's facts; all times of other answers are in seconds from `start_utc`."""

    night: str
    title: str
    start_utc: str
    start_local: str
    duration_s: float
    time_zone: str
    clock: tuple[ClockPart, ...]
    origin: str
    """recorded, imported, virtual or simulated."""
    start_known: bool
    being_written: bool
    note: str
    sites: tuple[WornSite, ...]
    run: RunFacts | None
    """null where nothing was counted yet; `no_run` then says so."""
    no_run: str
    runs: tuple[str, ...]
    """All complete runs, oldest first."""


class RunQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which run is meant; else the newest complete one."""

    run: str | None = None


@endpoint("GET", "/nights/{night}", summary="One night: when, where on the body, which sensors, which run")
def night_facts(context: Context, night: str, query: RunQuery) -> NightFacts:
    """Return a night's facts; its log is read only if no run says how long the night was."""
    path, opened = context.night(night), opened_of(context)
    meta = without_log(path).meta
    try:
        run, sentence = opened.summary(path, query.run), ""
        start_ns, duration_s = run[1].start_ns, run[1].duration_s
        runs = tuple(info.run_id for info in runs_of(path))
    except TwitchmapError as error:  # none yet, or damaged: the samples are there all the same
        if query.run is not None:
            raise
        run, runs, sentence = None, (), str(error)
        whole = opened.night(path)
        start_ns, duration_s = whole.start_ns, whole.duration_s
    return NightFacts(
        night=path.name,
        title=night_title(meta, start_ns),
        start_utc=local_time(start_ns, "UTC").isoformat(),
        start_local=local_time(start_ns, meta.time_zone).isoformat(),
        duration_s=duration_s,
        time_zone=meta.time_zone,
        clock=_clock(meta, start_ns, duration_s),
        origin=meta.origin,
        start_known=meta.start_known,
        being_written=is_being_written(path),
        note=meta.note,
        sites=tuple(
            _worn(info, run and run[1]) for info in sorted(meta.sensors, key=lambda one: body.order(one.site))
        ),
        run=None if run is None else _run_facts(*run),
        no_run=sentence,
        runs=runs,
    )


class SeenNear(msgspec.Struct, frozen=True):
    """What a site shows around a mark."""

    site: str
    seen: str
    """before, after (the nearest counted event, within `NEAR_S`), none, or not_observed."""
    after_s: float | None
    """When that event was, in seconds after the mark; negative: before it."""


class Mark(msgspec.Struct, frozen=True):
    """What somebody noted while the night was recorded: "felt one"."""

    at_s: float
    text: str
    near: tuple[SeenNear, ...]
    """What was seen around it, by site; empty where nothing was counted yet, or counts are not shown."""


class NightMarks(msgspec.Struct, frozen=True):
    """What the log says besides samples."""

    marks: tuple[Mark, ...]
    damage: tuple[str, ...]
    """What of the log could not be read, one sentence each."""
    described: bool
    """`night.toml` could be read; else sites and times are those that the log itself gives."""
    grown: bool
    """Samples were added or lost since the run was made: its counts are of another length."""
    samples: bool
    """There are samples in which twitches can be looked for."""


class MarksQuery(Asking, frozen=True):
    """Which run tells what was seen around the marks; else the newest complete one."""

    run: str | None = None


@endpoint("GET", "/nights/{night}/marks", summary="Marks made in the night, and damage of its log")
def night_marks(context: Context, night: str, query: MarksQuery) -> NightMarks:
    """Return the marks of a night, which are in its log; they are shown where counts are not."""
    path, opened = context.night(night), opened_of(context)
    whole = opened.night(path)
    run: Run | None = None
    grown = False
    with suppress(TwitchmapError):  # the map says why
        found = opened.run(path, query.run)
        grown = abs(whole.duration_s - found.summary.duration_s) > 1.0
        context.check_shown(path, asked=query.show)
        run = found
    noted = sorted(
        ((event.utc_ns - whole.start_ns) / 1e9, str(event.details.get("text", "")))
        for event in whole.events()
        if event.kind == "mark"
    )
    marks = tuple(Mark(at_s, text, () if run is None else _near(run, at_s)) for at_s, text in noted)
    damage = tuple(one.what for one in whole.damage if one.file != META_FILE)
    described, samples = len(damage) == len(whole.damage), whole.duration_s > 0
    return NightMarks(marks, damage, described=described, grown=grown, samples=samples)


def _near(run: Run, at_s: float) -> tuple[SeenNear, ...]:
    counted, valid = run.counted, run.coverage[run.coverage["kind"] == Kind.VALID]
    around = counted[np.abs(counted["peak_s"] - at_s) <= NEAR_S]
    found = []
    for site in sorted((one.site for one in run.summary.sites), key=body.order):
        after_s = around["peak_s"][around["site"] == site] - at_s
        here = valid[valid["site"] == site]
        if len(after_s):
            nearest = float(after_s[np.argmin(np.abs(after_s))])
            found.append(SeenNear(site, "after" if nearest > 0 else "before", round(nearest, 2)))
        elif np.any((here["start_s"] <= at_s) & (at_s < here["end_s"])):
            found.append(SeenNear(site, "none", None))
        else:
            found.append(SeenNear(site, "not_observed", None))
    return tuple(found)


def _clock(meta: NightMeta, start_ns: int, duration_s: float) -> tuple[ClockPart, ...]:
    end_ns = start_ns + round(duration_s * 1e9)
    clock = clock_of(meta.time_zone, start_ns, start_known=meta.start_known)
    changes = clock_changes(start_ns, end_ns, clock)
    return tuple(
        ClockPart((at_ns - start_ns) / 1e9, utc_offset_s(at_ns, clock))
        for at_ns in [start_ns, *(change.ns for change in changes)]
    )


def _worn(info: SensorInfo, summary: Summary | None) -> WornSite:
    place = body.site(info.site)
    sites = summary.sites if summary else ()
    noise = next((one.noise_mg_per_sqrt_hz for one in sites if one.site == info.site), None)
    return WornSite(
        info.site, place.label, place.base, place.side, place.region, place.view, info.model, info.placement,
        info.fs_hz, noise,
    )  # fmt: skip


def _run_facts(info: RunInfo, summary: Summary) -> RunFacts:
    return RunFacts(
        info.run_id, info.created_utc, info.detector, info.model, info.operating_point, info.passes,
        summary.warnings,
    )  # fmt: skip
