"""Nights side by side, and one site over all nights: numbers with their intervals, and no verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
import numpy as np

from firmware_host import body
from firmware_host.errors import NotShownError
from firmware_host.recording import SensorInfo
from firmware_host.review.comparisons import Comparisons
from firmware_host.review.endpoints import Context, endpoint
from firmware_host.review.night_totals import NightTotals, Totals
from firmware_host.review.texts import t
from firmware_host.twitch_map import LimitKind, State, limit_kind

Names = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=200)], ...], msgspec.Meta(max_length=60)]
Site = Annotated[str, msgspec.Meta(max_length=40)]


class ComparedSite(msgspec.Struct, frozen=True):
    """One site's whole night; rates are null where nothing was observed."""

    site: str
    label: str
    sensor: str
    """Model; empty where it is not known."""
    placement: str
    fs_hz: float
    twitches: int
    valid_s: float
    rate_per_h: float
    rate_low: float
    rate_high: float
    detection_limit_mg: float
    """Amplitude found 9 times in 10; null where `limit_kind` is not `found`."""
    limit_kind: LimitKind
    """found, not_reached (by no size that was tried) or unknown."""
    state: str
    """observed, wear_unconfirmed, not_observed or not_worn."""


class ComparedNight(msgspec.Struct, frozen=True):
    """One night beside others."""

    night: str
    title: str
    evening: str | None
    participant: str
    """Who slept it; empty where that was not noted."""
    origin: str
    made_up: bool
    """Simulated or virtual: nobody slept it, and it enters no trend."""
    detector: str
    """Detector, model, operating point and passes: what must be the same for counts to be compared."""
    labels: int
    """Corrections that hold."""
    diary: dict[str, str]
    hidden: str
    """Why its counts are not shown; empty if they are."""
    problem: str
    """Why it has no counts; empty if it has."""
    sites: tuple[ComparedSite, ...]


class CompareQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which nights; `show` asks for counts that are shown on request only."""

    nights: Names = ()
    show: bool = False


class SideBySide(msgspec.Struct, frozen=True):
    """Nights side by side, in the order asked for."""

    nights: tuple[ComparedNight, ...]
    warnings: tuple[str, ...]
    """Why their counts are not of the same kind, one sentence each."""


class TrendQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which site."""

    site: Site
    show: bool = False


class AboveLimit(msgspec.Struct, frozen=True):
    """True twitches per valid hour above a limit that nights share, with the 95 % interval."""

    rate_per_h: float
    rate_low: float
    rate_high: float


class TrendPoint(msgspec.Struct, frozen=True):
    """One night of a site."""

    night: str
    evening: str
    at: ComparedSite
    above: AboveLimit | None
    """The same above the limit that all dots share; null where that is not known of this night."""
    detector: str
    diary: dict[str, str]
    changed: tuple[str, ...]
    """What differs from the night before, one sentence each."""


class Trend(msgspec.Struct, frozen=True):
    """One site over all nights that somebody slept, oldest first."""

    site: str
    label: str
    limit_mg: float | None
    """Only what is larger is in `above`: the largest limit of the nights; null where none is known."""
    points: tuple[TrendPoint, ...]
    left_out: tuple[str, ...]
    """Which nights are not in it and why, one sentence each."""
    sites: tuple[str, ...]
    """Sites that have nights, from head to foot."""


@endpoint("GET", "/compare", summary="Nights side by side, with what makes their counts differ in kind")
def compare(context: Context, query: CompareQuery) -> SideBySide:
    """Return the nights that are asked for."""
    totals = [context.shared(Totals).of(context.night(name)) for name in query.nights]
    shown = tuple(compared(context, night, asked=query.show) for night in totals)
    return SideBySide(shown, tuple(differences(shown)))


@endpoint("GET", "/compare/trend", summary="One site over all nights that somebody slept")
def trend(context: Context, query: TrendQuery) -> Trend:
    """Return the nights of a site, oldest first; made-up nights stay out."""
    label = body.site(query.site).label
    every = context.shared(Totals).all()
    slept = [compared(context, night, asked=query.show) for night in every if not night.made_up]
    found = [(night, site) for night in slept for site in night.sites if site.site == query.site]
    dated = [(night, site) for night, site in found if night.evening is not None]
    alike, other = of_newest(dated)
    told = context.shared(Comparisons).trend([night.night for night, _ in alike], query.site)
    above = {one.night: AboveLimit(one.rate_per_h, one.rate_low, one.rate_high) for one in told.nights}
    points = []
    for number, (night, site) in enumerate(alike):
        pair = [_only(one, query.site) for one, _ in alike[max(number - 1, 0) : number + 1]]
        points.append(
            TrendPoint(
                night.night,
                night.evening or "",
                site,
                above.get(night.night),
                night.detector,
                night.diary,
                tuple(differences(pair)),
            )
        )
    left_out = [*_left_out(every), *(night.hidden for night in slept if night.hidden), *other]
    sites = sorted({site.site for night in slept for site in night.sites}, key=body.order)
    return Trend(query.site, label, told.limit_mg, tuple(points), tuple(left_out), tuple(sites))


def newest_noted(names: Sequence[str]) -> str:
    """Return the last name that is not empty; empty where none is noted."""
    return next(filter(None, reversed(names)), "")


def of_newest(
    nights: Sequence[tuple[ComparedNight, ComparedSite]],
) -> tuple[list[tuple[ComparedNight, ComparedSite]], list[str]]:
    """Return the nights of the newest one's detector and of nobody else, and a sentence on those left out."""
    left_out, alike = [], list(nights)
    for key in ("participant", "detector"):
        newest = newest_noted([getattr(night, key) for night, _ in alike])
        same = [one for one in alike if getattr(one[0], key) in {newest, ""}]  # nobody noted who
        if len(same) < len(alike):
            left_out.append(t(f"compare.left_{key}", n=len(alike) - len(same), **{key: newest}))
        alike = same
    return alike, left_out


def compared(context: Context, night: NightTotals, *, asked: bool) -> ComparedNight:
    """Return a night for a comparison, without counts where they are not to be shown."""
    hidden = ""
    try:
        context.check_shown(night.path, asked=asked)
    except NotShownError as error:
        hidden = str(error)
    rows = () if hidden or night.totals is None else night.totals
    sites = sorted((_site(row, night) for row in rows), key=lambda one: body.order(one.site))
    return ComparedNight(
        night=night.path.name,
        title=night.title,
        evening=None if night.evening is None else night.evening.isoformat(),
        participant=night.meta.participant,
        origin=night.meta.origin,
        made_up=night.made_up,
        detector=night.judge,
        labels=night.labels,
        diary=night.diary,
        hidden=hidden,
        problem=night.problem,
        sites=tuple(sites),
    )


def _site(row: np.void, night: NightTotals) -> ComparedSite:
    name = str(row["site"])
    info: SensorInfo | None = next((one for one in night.meta.sensors if one.site == name), None)
    numbers = {
        column: round(float(row[column]), 4)
        for column in ("valid_s", "rate_per_h", "rate_low", "rate_high", "detection_limit_mg")
    }
    return ComparedSite(
        site=name,
        label=body.site(name).label,
        sensor=info.model if info else "",
        placement=info.placement if info else "",
        fs_hz=info.fs_hz if info else 0.0,
        twitches=int(row["twitches"]),
        limit_kind=limit_kind(float(row["detection_limit_mg"])),
        state=State(int(row["state"])).name.lower(),
        **numbers,
    )


def differences(nights: Sequence[ComparedNight]) -> Iterable[str]:
    """Yield a sentence on each thing besides twitching that makes the counts of nights differ."""
    counted = [night for night in nights if night.sites]
    participants = sorted({night.participant for night in counted if night.participant})
    if len(participants) > 1:
        yield t("compare.other_participant", participants=" / ".join(participants))
    detectors = sorted({night.detector for night in counted})
    if len(detectors) > 1:
        yield t("compare.other_detector", detectors=" / ".join(detectors))
    if any(night.made_up for night in counted):
        yield t("compare.made_up")
    if len({night.labels > 0 for night in counted}) > 1:
        yield t("compare.corrected", n=sum(night.labels > 0 for night in counted), of=len(counted))
    by_site: dict[str, list[ComparedSite]] = {}
    for night in counted:
        for site in night.sites:
            by_site.setdefault(site.site, []).append(site)
    for sites in by_site.values():
        label = sites[0].label
        for key, values in (
            ("sensor", {site.sensor or t("compare.not_noted") for site in sites}),
            ("placement", {site.placement or t("compare.not_noted") for site in sites}),
            ("rate", {f"{site.fs_hz:g} Hz" for site in sites}),
        ):
            if len(values) > 1:
                yield t(f"compare.other_{key}", site=label, values=" / ".join(sorted(values)))


def _only(night: ComparedNight, site: str) -> ComparedNight:
    return msgspec.structs.replace(night, sites=tuple(one for one in night.sites if one.site == site))


def _left_out(nights: Sequence[NightTotals]) -> list[str]:
    made_up = sum(night.made_up for night in nights)
    empty = sum(not night.made_up and night.totals is None for night in nights)
    undated = sum(
        not night.made_up and night.totals is not None and night.evening is None for night in nights
    )
    counts = (("made_up", made_up), ("not_counted", empty), ("undated", undated))
    return [t(f"compare.left_{key}", n=count) for key, count in counts if count]
