"""Several nights of a report: side by side, and from five nights on each site's trend.

The rules are those of `twitch_map.comparison`: one detector, above the largest of the limits, and never with
simulated nights, which stand in the table only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec
import numpy as np

from firmware_host import body
from firmware_host.analysis import Run
from firmware_host.analysis.comparing import judge_of, site_night
from firmware_host.errors import BadValueError
from firmware_host.recording import Night
from firmware_host.review.report.night_report import NightReport
from firmware_host.review.report.site_report import SiteReport
from firmware_host.twitch_map.comparison import FEWEST_NIGHTS, NightValue, SiteNight, trend
from firmware_host.twitches import EVENT_COLUMNS, dtype_of

_COMPARED = dtype_of(
    column
    for column in EVENT_COLUMNS
    if column.name in {"peak_s", "peak_to_peak_mg", "probability", "counted", "label"}
)
"""All that a comparison asks of an event: of many nights no more is kept."""


class TrendNight(msgspec.Struct, frozen=True):
    """One night of a trend: true twitches per valid hour above the limit that all its nights share."""

    night: str
    evening: str
    rate_per_h: float
    rate_low: float
    rate_high: float
    confirmed: bool
    """Wearing the sensor is confirmed for most of the valid time."""
    changed: bool
    """The sensor, its rate or its placement differ from the night before."""


class SiteTrend(msgspec.Struct, frozen=True):
    """One site over the nights."""

    site: str
    label: str
    limit_mg: float
    """Only what is larger is counted: the largest detection limit of the nights."""
    nights: tuple[TrendNight, ...]


class LeftOutNight(msgspec.Struct, frozen=True):
    """A night that stands in no trend of a site, and why."""

    night: str
    label: str
    why: str


class NightsReport(msgspec.Struct, frozen=True):
    """Nights together, oldest first."""

    sites: tuple[str, ...]
    labels: tuple[str, ...]
    trends: tuple[SiteTrend, ...]
    no_trend: tuple[str, ...]
    """Keys of the reasons why there is none: few, made_up, participants, undated."""
    judge: str
    """Detector, model and operating point of the nights in trends."""
    other_judges: int
    """Nights of other detectors: they are in no trend."""
    made_up: int
    warnings: tuple[str, ...]
    left_out: tuple[LeftOutNight, ...]


@dataclass(frozen=True)
class Compared:
    """One night as the trends ask for it."""

    report: NightReport
    judge: str
    sites: dict[str, SiteNight]


def compared(night: Night, run: Run, report: NightReport) -> Compared:
    """Return what the comparison of nights needs of one."""
    sites = {}
    for site in night.sites:
        one = site_night(night, run, site)
        events = np.zeros(len(one.events), _COMPARED)
        for name in _COMPARED.names or ():
            events[name] = one.events[name]
        sites[site] = replace(one, events=events)
    return Compared(report, judge_of(run.info), sites)


def check_one_judge(nights: Sequence[Compared]) -> None:
    """Refuse nights that different detectors judged.

    Raises
    ------
    BadValueError
        With the first two that differ.
    """
    for one, other in pairwise(nights):
        if one.judge != other.judge:
            raise BadValueError(
                f"{one.report.night} and {other.report.night} were judged by different detectors: "
                f"{one.judge}; {other.judge}. Run `twitchmap detect` on all of them, or report them with "
                "--mixed: they then stand side by side, and trends are of the newest night's detector."
            )


def nights_report(nights: Sequence[Compared]) -> NightsReport:
    """Return several nights, oldest first, side by side, with the trends that may be drawn."""
    ordered = sorted(nights, key=lambda one: (one.report.start_ns, one.report.night))
    sites = sorted({site for one in ordered for site in one.sites}, key=body.order)
    slept = [one for one in ordered if not one.report.made_up]
    dated = [one for one in slept if one.report.evening]
    judge = dated[-1].judge if dated else ""
    alike = [one for one in dated if one.judge == judge]
    reasons = []
    if not slept:
        reasons.append("made_up")
    elif len(dated) < len(slept):
        reasons.append("undated")
    several = len({one.report.participant for one in dated}) > 1
    if several:
        reasons.append("participants")
    trends: list[SiteTrend] = []
    warnings: list[str] = []
    left_out: list[LeftOutNight] = []
    for site in [] if several else sites:
        here = [one for one in alike if site in one.sites]
        if len(here) < FEWEST_NIGHTS:
            continue
        told = trend([one.sites[site] for one in here])
        left_out += [LeftOutNight(one.night, body.site(site).label, one.why) for one in told.left_out]
        if len(told.nights) >= FEWEST_NIGHTS and told.limit_mg is not None:
            trends.append(_trend(site, told.limit_mg, here, told.nights))
            named = [one.replace(f"{site}:", f"{body.site(site).label}:", 1) for one in told.warnings]
            warnings += [one for one in named if one not in warnings]
    if slept and not several and not trends:
        reasons.append("few")
    return NightsReport(
        sites=tuple(sites),
        labels=tuple(body.site(site).label for site in sites),
        trends=tuple(trends),
        no_trend=tuple(reasons),
        judge=judge,
        other_judges=len(dated) - len(alike),
        made_up=len(ordered) - len(slept),
        warnings=tuple(warnings),
        left_out=tuple(left_out),
    )


def _trend(site: str, limit_mg: float, here: Sequence[Compared], values: Sequence[NightValue]) -> SiteTrend:
    """Return a site's trend; what changed is told against the night before, in a trend or not."""
    # Nights in different folders may be called alike.
    by_night = {(one.report.night, one.sites[site].date): k for k, one in enumerate(here)}
    seen = [next(at for at in one.report.sites if at.site == site) for one in here]
    nights = []
    for value in values:
        k = by_night[value.night, value.date]
        nights.append(
            TrendNight(
                night=value.night,
                evening=here[k].report.evening,
                rate_per_h=value.rate_per_h,
                rate_low=value.rate_low,
                rate_high=value.rate_high,
                confirmed=seen[k].state == "observed",
                changed=k > 0 and _how(seen[k]) != _how(seen[k - 1]),
            )
        )
    return SiteTrend(site, body.site(site).label, limit_mg, tuple(nights))


def _how(one: SiteReport) -> tuple[str, str, str, float]:
    return one.sensor, one.serial, one.placement, one.fs_nominal_hz
