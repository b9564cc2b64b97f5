"""How widely over the body twitches were seen: worn sites, by region and side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from firmware_host.body import SITES
from firmware_host.review.report.missing import REGIONS
from firmware_host.review.report.site_report import SiteReport
from firmware_host.twitch_map.night_figures import active_by_chance


class Place(msgspec.Struct, frozen=True):
    """A place on the body; several sensors there are one."""

    place: str
    label: str
    active: bool
    valid_s: float


class Part(msgspec.Struct, frozen=True):
    """The worn places of one region and side: so many active, of so many."""

    region: str
    side: str
    active: int
    worn: int
    sensors: int
    """Places there that had a sensor, worn or not."""


class Spread(msgspec.Struct, frozen=True):
    """Worn places with two twitches and more within 60 s."""

    active: int
    worn: int
    by_chance: float | None
    """How many would be active by false alarms alone; null where these are not known of every place."""
    parts: tuple[Part, ...]
    """By region and side, from head to foot, left before right; those without a worn place have 0 of 0."""
    not_active: tuple[Place, ...]
    unconfirmed: tuple[Place, ...]
    """Wearing is not confirmed for most of their valid time: they are in no number here."""
    not_seen: tuple[Place, ...]
    """Not worn or not observed: nothing is known of them."""


def spread_of(sites: Sequence[SiteReport]) -> Spread:
    """Return how widely twitches were seen over the worn sites of a night."""
    by_place: dict[str, list[SiteReport]] = {}
    for one in sites:
        by_place.setdefault(one.base, []).append(one)
    worn: list[Place] = []
    unconfirmed: list[Place] = []
    not_seen: list[Place] = []
    chance: float | None = 0.0
    for place, sensors in by_place.items():
        known = [one for one in sensors if one.state == "observed"]
        doubted = [one for one in sensors if one.state == "wear_unconfirmed"]
        use = known or doubted or sensors
        found = Place(
            place, SITES[place].label, any(one.active for one in use), max(one.valid_s for one in use)
        )
        (worn if known else unconfirmed if doubted else not_seen).append(found)
        if known:
            quiet = 1.0
            for one in known:
                quiet *= 1 - active_by_chance(one.expected_false, one.valid_s)
            lacking = any(math.isnan(one.expected_false) for one in known)
            chance = None if lacking or chance is None else chance + 1 - quiet
    parts = tuple(_part(region, side, worn, by_place) for region in REGIONS for side in ("left", "right"))
    return Spread(
        active=sum(one.active for one in worn),
        worn=len(worn),
        by_chance=chance if worn else None,
        parts=parts,
        not_active=tuple(one for one in worn if not one.active),
        unconfirmed=tuple(unconfirmed),
        not_seen=tuple(not_seen),
    )


def _part(region: str, side: str, worn: Sequence[Place], sensors: Iterable[str]) -> Part:
    def there(place: str) -> bool:
        return (SITES[place].region, SITES[place].side) == (region, side)

    here = [one for one in worn if there(one.place)]
    return Part(region, side, sum(one.active for one in here), len(here), sum(map(there, sensors)))
