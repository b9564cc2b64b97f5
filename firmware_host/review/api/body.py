"""One body from many nights: what was last seen at each site, and where to measure next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from firmware_host import body
from firmware_host.analysis import Summary, summary_of
from firmware_host.analysis.models import renamed_since
from firmware_host.errors import TwitchmapError
from firmware_host.recording import NightMeta, RunInfo, evening_of, list_nights
from firmware_host.recording.results import ResultsStore
from firmware_host.review.api.compare import newest_noted
from firmware_host.review.api.map import Counts, Scale, counts_of, scale_of
from firmware_host.review.charts.colours import scale_for
from firmware_host.review.charts.placing import Measured, suggested
from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.judged import without_log
from firmware_host.review.opened import Opened, opened_of
from firmware_host.review.texts import t

LEAST_VALID_S = 1800.0
"""With less valid time a night says too little of a site to be its last measured value."""
_MADE_UP = {"simulated", "virtual"}


class LastSeen(msgspec.Struct, frozen=True):
    """What was last measured at a site."""

    site: str
    label: str
    base: str
    night: str
    evening: str
    """The date the night goes by, ISO 8601; empty where its start is not known."""
    counts: Counts
    """Of that whole night."""
    duration_s: float
    detector: str
    model: str
    nights: int
    """In how many nights the site was measured."""


class Suggestion(msgspec.Struct, frozen=True):
    """A site for tonight."""

    site: str
    label: str
    base: str
    why: str
    """anchor, new, or again."""
    last: str
    """The evening on which it was last measured; empty: never."""


class OneBody(msgspec.Struct, frozen=True):
    """Each site's last measured value; sites that are not listed were never measured."""

    made_up: bool
    """There are only simulated or virtual nights; else these stay out."""
    nights: int
    """How many nights it is of."""
    sites: tuple[LastSeen, ...]
    scale: Scale
    detectors: int
    """How many different detectors and models the values are from: more than one do not compare."""
    suggested: tuple[Suggestion, ...]
    left_out: tuple[str, ...]
    """One sentence for each night that could not be read, and on those of other people."""


@dataclass(frozen=True)
class _Night:
    path: Path
    meta: NightMeta
    info: RunInfo
    summary: Summary

    @property
    def evening(self) -> str:
        if not self.meta.start_known:
            return ""
        return evening_of(self.summary.start_ns, self.meta.time_zone).isoformat()

    def measured(self) -> list[str]:
        """Return the sites with enough valid time, by their names now."""
        found = []
        for one in self.summary.sites:
            site = one.site
            for renamed in renamed_since(self.meta, self.info):
                site = renamed.get(site, site)
            if one.seconds.get("valid", 0.0) >= LEAST_VALID_S:
                found.append(site)
        return found


class SensorsQuery(Asking, frozen=True):
    """How many sensors there are tonight; else as many as in the newest night."""

    sensors: int | None = None


@endpoint("GET", "/body", summary="Each site's last measured value, and sites for tonight")
def one_body(context: Context, query: SensorsQuery) -> OneBody:
    """Return one body made of many nights; only the nights whose values are shown are read in full."""
    nights, left_out = _nights(context, asked=query.show)
    real = [one for one in nights if one.meta.origin not in _MADE_UP]
    slept = real or nights
    newest = newest_noted([one.meta.participant for one in slept])
    chosen = [one for one in slept if one.meta.participant in {newest, ""}]  # nobody noted whose
    if len(chosen) < len(slept):
        left_out.append(t("compare.left_participant", n=len(slept) - len(chosen), participant=newest))
    seen: dict[str, list[_Night]] = {}
    for night in chosen:
        for site in night.measured():
            seen.setdefault(site, []).append(night)
    opened = opened_of(context)
    sites = tuple(
        _last(opened, site, seen[site][-1], len(seen[site])) for site in sorted(seen, key=body.order)
    )
    sensors = query.sensors or (len(chosen[-1].meta.sensors) if chosen else 0)
    return OneBody(
        made_up=bool(nights) and not real,
        nights=len(chosen),
        sites=sites,
        scale=scale_of(scale_for(one.counts.rate_per_h[0] for one in sites)),
        detectors=len({(one.detector, one.model) for one in sites}),
        suggested=_suggestions(seen, min(max(sensors, 0), 16)),
        left_out=tuple(left_out),
    )


def _nights(context: Context, *, asked: bool) -> tuple[list[_Night], list[str]]:
    """Return the nights that have a complete run, oldest first, of which only the summary is read.

    Those whose counts are not to be shown stay out.
    """
    found, unreadable = [], []
    for path in list_nights(context.folder):
        try:
            infos = [info for info in ResultsStore(path).runs() if info.complete]
            state = context.showing(path) if infos else "later"
            if state == "now" or (state == "on_request" and asked):
                meta = without_log(path).meta
                found.append(_Night(path, meta, infos[-1], summary_of(infos[-1])))
        except (TwitchmapError, OSError) as error:
            unreadable.append(f"{path.name}: {error}")
    return found, unreadable


def _last(opened: Opened, site: str, night: _Night, nights: int) -> LastSeen:
    totals = opened.counts(night.path, None)
    place = body.site(site)
    return LastSeen(
        site=site,
        label=place.label,
        base=place.base,
        night=night.path.name,
        evening=night.evening,
        counts=counts_of(totals[totals["site"] == site]),
        duration_s=night.summary.duration_s,
        detector=night.info.detector,
        model=night.info.model,
        nights=nights,
    )


def _suggestions(seen: dict[str, list[_Night]], sensors: int) -> tuple[Suggestion, ...]:
    of_base: dict[str, list[_Night]] = {}
    for site, nights in seen.items():
        of_base.setdefault(body.site(site).base, []).extend(nights)
    measured = {
        base: Measured(len(nights), max(one.summary.start_ns for one in nights))
        for base, nights in of_base.items()
    }
    return tuple(
        _suggestion(site, k, of_base.get(site, [])) for k, site in enumerate(suggested(measured, sensors))
    )


def _suggestion(site: str, k: int, nights: Sequence[_Night]) -> Suggestion:
    place = body.SITES[site]
    last = max(nights, key=lambda one: one.summary.start_ns).evening if nights else ""
    why = "anchor" if k == 0 else "again" if nights else "new"
    return Suggestion(site, place.label, place.base, why, last)
