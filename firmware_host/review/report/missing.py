"""What of a night was not measured: times without samples, and places without a sensor."""

from __future__ import annotations

import msgspec

from firmware_host import body
from firmware_host.recording import Gap, Night, gaps, local_time

SHOWN = 8
"""So many of the longest interruptions stand in the report, those of"""
LEAST_S = 60.0
"""so long and longer; of the others their number and length."""
REGIONS = ("bulbar", "cervical", "thoracic", "lumbosacral")


class Interruption(msgspec.Struct, frozen=True):
    """A time without samples, at one site or at several in the same seconds."""

    sites: tuple[str, ...]
    """Empty: all."""
    start_ns: int
    start_local: str
    end_local: str
    seconds: float
    cause: str


class Missing(msgspec.Struct, frozen=True):
    """What was not measured."""

    interruptions: tuple[Interruption, ...]
    """The longest, in order of time."""
    others: int
    """Shorter ones, and"""
    others_s: float
    """the longest of them."""
    places: int
    """Places on the body without a sensor, of"""
    all_places: int
    regions: tuple[str, ...]
    """Regions of the body without any."""


def missing_of(night: Night) -> Missing:
    """Return what a night did not measure."""
    found: dict[tuple[int, int, str], list[tuple[str, Gap]]] = {}
    for site in sorted(night.sites, key=body.order):
        for gap in gaps(night, site):
            key = (round(gap.start_ns / 1e9), round(gap.end_ns / 1e9), gap.cause)
            found.setdefault(key, []).append((site, gap))
    every = [_interruption(night, gone) for gone in found.values()]
    every.sort(key=lambda one: -one.seconds)
    told = min(SHOWN, sum(one.seconds >= LEAST_S for one in every))
    shown = sorted(every[:told], key=lambda one: (one.start_ns, one.sites))
    places = {body.site(site).base for site in night.sites}
    worn = {body.SITES[place].region for place in places}
    return Missing(
        interruptions=tuple(shown),
        others=len(every) - len(shown),
        others_s=max((one.seconds for one in every[told:]), default=0.0),
        places=len(body.SITES) - len(places),
        all_places=len(body.SITES),
        regions=tuple(region for region in REGIONS if region not in worn),
    )


def _interruption(night: Night, gone: list[tuple[str, Gap]]) -> Interruption:
    gap = gone[0][1]
    sites = tuple(site for site, _ in gone)
    return Interruption(
        sites=() if len(sites) == len(night.sites) > 1 else tuple(body.site(site).label for site in sites),
        start_ns=gap.start_ns,
        start_local=local_time(gap.start_ns, night.meta.time_zone).isoformat(),
        end_local=local_time(gap.end_ns, night.meta.time_zone).isoformat(),
        seconds=(gap.end_ns - gap.start_ns) / 1e9,
        cause=gap.cause,
    )
