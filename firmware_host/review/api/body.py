"""One body from many nights: what was last seen at each site, and where to measure next."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from firmware_host import body
from firmware_host.review.api.compare import newest_noted
from firmware_host.review.api.map import Counts, Scale, counts_of, scale_of
from firmware_host.review.charts.colours import scale_for
from firmware_host.review.charts.placing import Measured, suggested
from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.night_list import NightsSeen, SeenNight
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
    """By how many detectors, models, operating points and passes: values of more than one do not compare."""
    suggested: tuple[Suggestion, ...]
    left_out: tuple[str, ...]
    """One sentence for each night that could not be read, and on those of other people."""


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
    seen: dict[str, list[SeenNight]] = {}
    for night in chosen:
        for one in night.sites:
            if (one.valid_s or 0.0) >= LEAST_VALID_S:
                seen.setdefault(one.site, []).append(night)
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
        detectors=len({nights[-1].judge for nights in seen.values()}),
        suggested=_suggestions(seen, min(max(sensors, 0), 16)),
        left_out=tuple(left_out),
    )


def _nights(context: Context, *, asked: bool) -> tuple[list[SeenNight], list[str]]:
    """Return the nights that have a complete run, oldest first, in brief: as they are with their labels.

    Those whose counts are not to be shown stay out.
    """
    nights, unreadable = context.shared(NightsSeen).nights()
    found = []
    for night in reversed(nights):
        if not night.runs:
            unreadable += [f"{night.path.name}: {problem}" for problem in night.warnings]
            continue
        state = context.showing(night.path)
        if state == "now" or (state == "on_request" and asked):
            found.append(night)
    return found, unreadable


def _last(opened: Opened, site: str, night: SeenNight, nights: int) -> LastSeen:
    totals, info = opened.counts(night.path, None), opened.brief(night.path).info
    place = body.site(site)
    return LastSeen(
        site=site,
        label=place.label,
        base=place.base,
        night=night.path.name,
        evening=_evening(night),
        counts=counts_of(totals[totals["site"] == site]),
        duration_s=night.duration_s or 0.0,
        detector=info.detector,
        model=info.model,
        nights=nights,
    )


def _suggestions(seen: dict[str, list[SeenNight]], sensors: int) -> tuple[Suggestion, ...]:
    of_base: dict[str, list[SeenNight]] = {}
    for site, nights in seen.items():
        of_base.setdefault(body.site(site).base, []).extend(nights)
    measured = {
        base: Measured(len({one.path for one in nights}), max(one.start_ns for one in nights))
        for base, nights in of_base.items()
    }
    return tuple(
        _suggestion(site, k, of_base.get(site, [])) for k, site in enumerate(suggested(measured, sensors))
    )


def _suggestion(site: str, k: int, nights: Sequence[SeenNight]) -> Suggestion:
    place = body.SITES[site]
    last = _evening(max(nights, key=lambda one: one.start_ns)) if nights else ""
    why = "anchor" if k == 0 else "again" if nights else "new"
    return Suggestion(site, place.label, place.base, why, last)


def _evening(night: SeenNight) -> str:
    return night.evening.isoformat() if night.evening else ""
