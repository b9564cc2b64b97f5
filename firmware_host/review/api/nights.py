"""The list of nights, and finding the twitches of one."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Literal

import msgspec

from firmware_host.errors import NightBusyError
from firmware_host.recording import evening_of, local_time
from firmware_host.recording.reader import is_being_written
from firmware_host.recording.settings import MADE_UP, Show, Showing, last_evening, showing
from firmware_host.review.detecting import Detecting, Detection
from firmware_host.review.endpoints import Context, endpoint
from firmware_host.review.evening import Evening
from firmware_host.review.night_list import NightsSeen, SeenNight, SeenSite
from firmware_host.review.texts import t

DetectionState = Literal["none", "waiting", "running", "done", "failed", "cancelled"]


class NightsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which counts the list has."""

    show: bool = False
    """Also those that are shown on request only."""


class ListedSite(msgspec.Struct, frozen=True):
    """One site's night; numbers are null where there is no run or counts are not shown."""

    site: str
    label: str
    """What people call it."""
    state: str
    """`observed`, `wear_unconfirmed`, `not_observed`, `not_worn`; `not_counted` without a run."""
    valid_h: float | None
    twitches: int | None
    rate_per_h: float | None
    """As on the night's map: corrected, an hour of valid time."""


class DetectionStatus(msgspec.Struct, frozen=True):
    """How far the search for a night's twitches is."""

    night: str
    state: DetectionState
    progress: float
    """0 to 1."""
    sentence: str
    """What went wrong, or what is to be known besides."""


class ListedNight(msgspec.Struct, frozen=True):
    """A night in the list."""

    night: str
    evening: str | None
    """The date it goes by; null where it is not known."""
    start: str
    """ISO 8601 with the night's own offset."""
    hours: float | None
    """Null until a run is there."""
    participant: str
    label: str
    origin: str
    made_up: bool
    """Simulated or virtual: nobody slept it, and it enters no comparison."""
    sites: tuple[ListedSite, ...]
    valid_share: float | None
    runs: int
    warnings: tuple[str, ...]
    recording: bool
    """It is being recorded now."""
    samples: bool
    """Its log is there and not empty: without it there is nothing to find twitches in."""
    showing: Showing
    """Whether its counts are shown: now, on request, or later."""
    detection: DetectionStatus


class WeekSite(msgspec.Struct, frozen=True):
    """One site's week."""

    site: str
    label: str
    nights: int
    valid_h: float
    twitches: int
    """In these hours. Its nights have no rate together: each has a detection limit of its own."""


class Week(msgspec.Struct, frozen=True):
    """A week that is over: its nights together, of one participant, without those that are made up."""

    monday: str
    participant: str
    """Whose nights they are; empty: nobody noted it."""
    nights: int
    sites: tuple[WeekSite, ...]
    mixed: bool
    """Different detectors counted: the numbers do not belong together."""


class NightList(msgspec.Struct, frozen=True):
    """All nights of the folder, newest first."""

    nights: tuple[ListedNight, ...]
    unreadable: tuple[str, ...]
    """One sentence for each night that cannot be read."""
    show: Show | None
    """The folder's setting; null: nobody was asked yet."""
    weeks: tuple[Week, ...]
    """With the setting `weekly`: the weeks that are over, newest first."""


class DetectionOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How twitches are to be looked for."""

    operating_point: Literal["specific", "balanced", "sensitive"] = "balanced"


class Detections(msgspec.Struct, frozen=True):
    """The searches since the server began."""

    detections: tuple[DetectionStatus, ...]


@endpoint("GET", "/nights", summary="The nights of the folder, newest first")
def nights(context: Context, query: NightsQuery) -> NightList:
    """List the nights; one that cannot be read does not hide the others."""
    seen, unreadable = context.shared(NightsSeen).nights()
    show, detecting = context.settings.show, context.shared(Detecting)
    listed = tuple(_listed(night, show, detecting, asked=query.show) for night in seen)
    weeks = _weeks(seen) if show == "weekly" else ()
    return NightList(listed, tuple(unreadable), show, weeks)


@endpoint("POST", "/nights/{night}/detection", summary="Find the twitches of a night")
def detect(context: Context, night: str, body: DetectionOrder) -> DetectionStatus:
    """Start `twitchmap detect` as a process of its own; its run is added to the night."""
    path = context.night(night)
    if is_being_written(path):
        raise NightBusyError(t("nights.still_recording", night=night))
    evening = context.shared(Evening).now()
    if evening.phase == "detecting" and evening.last is not None and evening.last.night == night:
        raise NightBusyError(t("tonight.finding"))  # by the recorder
    return _status(night, context.shared(Detecting).start(path, body.operating_point))


@endpoint("GET", "/nights/{night}/detection", summary="How far the search for a night's twitches is")
def detection(context: Context, night: str) -> DetectionStatus:
    """Tell how far the search is that this server was asked for."""
    return _status(night, context.shared(Detecting).of(context.night(night).name))


@endpoint("DELETE", "/nights/{night}/detection", summary="Stop looking for a night's twitches")
def stop_detection(context: Context, night: str) -> DetectionStatus:
    """End the search; the runs that the night has stay."""
    return _status(night, context.shared(Detecting).cancel(context.night(night)))


@endpoint("GET", "/detections", summary="The searches for twitches since the server began")
def detections(context: Context) -> Detections:
    """Tell how far all searches are."""
    return Detections(tuple(_status(one.night, one) for one in context.shared(Detecting).all()))


def _status(night: str, found: Detection | None) -> DetectionStatus:
    if found is None:
        return DetectionStatus(night, "none", 0.0, "")
    return DetectionStatus(night, found.state, found.progress, found.sentence)


def _listed(night: SeenNight, show: Show | None, detecting: Detecting, *, asked: bool) -> ListedNight:
    meta = night.meta
    today = evening_of(time.time_ns(), meta.time_zone)
    state = showing(show, meta.origin, night.evening, today)
    shown = state == "now" or (state == "on_request" and asked)
    return ListedNight(
        night=night.path.name,
        evening=night.evening.isoformat() if night.evening else None,
        start=local_time(night.start_ns, meta.time_zone).isoformat(),
        hours=None if night.duration_s is None else night.duration_s / 3600,
        participant=meta.participant,
        label=meta.label,
        origin=meta.origin,
        made_up=meta.origin in MADE_UP,
        sites=tuple(_listed_site(site, shown=shown) for site in night.sites),
        valid_share=night.valid_share,
        runs=night.runs,
        warnings=night.warnings,
        recording=night.being_written,
        samples=night.samples,
        showing=state,
        detection=_status(night.path.name, detecting.of(night.path.name)),
    )


def _listed_site(site: SeenSite, *, shown: bool) -> ListedSite:
    twitches = site.twitches if shown else None
    return ListedSite(
        site=site.site,
        label=site.label,
        state="not_counted" if site.state is None else site.state.name.lower(),
        valid_h=None if site.valid_s is None else site.valid_s / 3600,
        twitches=twitches,
        rate_per_h=None if twitches is None else site.rate_per_h,
    )


def _weeks(nights: Iterable[SeenNight]) -> tuple[Week, ...]:
    """Return the weeks that are over, of nights that somebody slept and whose twitches were looked for."""
    weeks: dict[date, list[SeenNight]] = defaultdict(list)
    for night in nights:
        if night.evening is None or night.meta.origin in MADE_UP or not night.runs:
            continue
        sunday = last_evening(night.evening)
        if evening_of(time.time_ns(), night.meta.time_zone) > sunday:
            weeks[sunday - timedelta(days=6)].append(night)
    return tuple(
        _week(monday, whose, own)
        for monday in sorted(weeks, reverse=True)
        for whose, own in _by_participant(weeks[monday])
    )


def _by_participant(nights: list[SeenNight]) -> list[tuple[str, list[SeenNight]]]:
    """Return the nights of each participant; those of nobody are the only one's, where there is only one."""
    named = sorted({night.meta.participant for night in nights} - {""})
    if len(named) < 2:
        return [("".join(named), nights)]
    found = (
        (whose, [night for night in nights if night.meta.participant == whose]) for whose in (*named, "")
    )
    return [(whose, own) for whose, own in found if own]


def _week(monday: date, participant: str, nights: list[SeenNight]) -> Week:
    sites: dict[str, list[SeenSite]] = defaultdict(list)
    for night in nights:
        for site in night.sites:
            if site.valid_s:
                sites[site.site].append(site)
    return Week(
        monday=monday.isoformat(),
        participant=participant,
        nights=len(nights),
        sites=tuple(_week_site(name, sites[name]) for name in sorted(sites)),
        mixed=len({night.judge for night in nights}) > 1,
    )


def _week_site(name: str, seen: list[SeenSite]) -> WeekSite:
    valid_h = sum(site.valid_s or 0.0 for site in seen) / 3600
    twitches = sum(site.twitches or 0 for site in seen)
    return WeekSite(name, seen[0].label, len(seen), valid_h, twitches)
