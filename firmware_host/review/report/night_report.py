"""What a report says of one night, as one document: `--json` prints it, the template shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from firmware_host import body
from firmware_host.analysis import Run, run_counts
from firmware_host.analysis.labelled import site_slices
from firmware_host.errors import TwitchmapError
from firmware_host.recording import Night, local_time
from firmware_host.recording.diary import read_diary
from firmware_host.recording.night import evening_of
from firmware_host.recording.settings import MADE_UP
from firmware_host.review.charts.map_data import night_title
from firmware_host.review.charts.time_axis import clock_changes, clock_of
from firmware_host.review.report.missing import Missing, missing_of
from firmware_host.review.report.site_report import SiteReport, site_report
from firmware_host.review.report.spot_checks import Checked, checked_of
from firmware_host.review.report.spread import Spread, spread_of

CHANGED_S = 1.0
"""A night whose length differs by more from that of its run has changed since."""


class MadeBy(msgspec.Struct, frozen=True):
    """What the numbers were made by, and of."""

    program: str
    """That wrote the report."""
    recorded_by: str
    """That wrote the night."""
    detector: str
    model: str
    model_sha256: str
    operating_point: str
    passes: int
    run_id: str
    created_utc: str
    samples_sha256: str
    """Of samples.log as it was counted."""


class NightReport(msgspec.Struct, frozen=True):
    """One night. Times are local and carry their offset, so that an hour that comes twice can be told."""

    night: str
    title: str
    evening: str
    """The date that it goes by; empty where it is not known."""
    participant: str
    origin: str
    made_up: bool
    """Simulated or virtual: nobody slept it."""
    start_ns: int
    start_utc: str
    start_local: str
    end_local: str
    duration_s: float
    time_zone: str
    start_known: bool
    clock_changes: tuple[str, ...]
    being_written: bool
    grown: bool
    """Samples were added or lost since it was counted."""
    note: str
    sites: tuple[SiteReport, ...]
    spread: Spread
    missing: Missing
    diary: dict[str, str]
    diary_problem: str
    corrections: int
    checked: Checked | None
    marks: int
    damage: int
    warnings: tuple[str, ...]
    made_by: MadeBy


def night_report(night: Night, run: Run, program: str) -> NightReport:
    """Return what a report says of a night: as it was when the run was made.

    Parameters
    ----------
    program
        What writes the report, with its version.

    Raises
    ------
    BadFileError
        If the results are not those of the night.
    """
    meta, summary = night.meta, run.summary
    sites = _sites(night, run)
    diary, problem = _diary(night)
    start_ns = summary.start_ns
    clock = clock_of(meta.time_zone, start_ns, start_known=meta.start_known)
    end_ns = start_ns + round(summary.duration_s * 1e9)
    return NightReport(
        night=night.path.name,
        title=night_title(meta, start_ns),
        evening=evening_of(start_ns, meta.time_zone).isoformat() if meta.start_known else "",
        participant=meta.participant,
        origin=meta.origin,
        made_up=meta.origin in MADE_UP,
        start_ns=start_ns,
        start_utc=local_time(start_ns, "UTC").isoformat(),
        start_local=local_time(start_ns, meta.time_zone).isoformat(),
        end_local=local_time(end_ns, meta.time_zone).isoformat(),
        duration_s=summary.duration_s,
        time_zone=meta.time_zone,
        start_known=meta.start_known,
        clock_changes=tuple(one.label for one in clock_changes(start_ns, end_ns, clock)),
        being_written=night.being_written,
        grown=abs(night.duration_s - summary.duration_s) > CHANGED_S,
        note=meta.note,
        sites=sites,
        spread=spread_of(sites),
        missing=missing_of(night),
        diary=diary,
        diary_problem=problem,
        corrections=sum(not label.spot_check for label in run.labels.active),
        checked=checked_of(night, run),
        marks=sum(event.kind == "mark" for event in night.events()),
        damage=len(night.damage),
        warnings=summary.warnings,
        made_by=MadeBy(
            program, f"twitchmap {meta.twitchmap}", run.info.detector, run.info.model, run.info.model_sha256,
            run.info.operating_point, run.info.passes, run.info.run_id, run.info.created_utc,
            summary.samples_sha256,
        ),
    )  # fmt: skip


def _diary(night: Night) -> tuple[dict[str, str], str]:
    try:
        return read_diary(night.path).fields, ""
    except TwitchmapError as error:  # it is told in its place; the counts do not hang on it
        return {}, str(error)


def _sites(night: Night, run: Run) -> tuple[SiteReport, ...]:
    totals = {str(row["site"]): row for row in run_counts(run)}
    counted = run.counted
    of_site, covered = site_slices(counted), site_slices(run.coverage)
    none = slice(0, 0)
    return tuple(
        site_report(number, night, run, totals[name], counted[of_site.get(name, none)],
              run.coverage[covered.get(name, none)])
        for number, name in enumerate(sorted(night.sites, key=body.order), 1)
    )  # fmt: skip


def plain(document: object) -> Mapping[str, object]:
    """Return a document as what JSON knows: numbers that are not known are null."""
    found: Mapping[str, object] = json.loads(msgspec.json.encode(document))
    return found
