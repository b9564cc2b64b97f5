"""Diary and twitches: the nights of each level of a diary factor, as dots. No verdict is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from firmware_host import body
from firmware_host.errors import BadValueError
from firmware_host.recording.diary import FIELDS
from firmware_host.review.api.compare import ComparedNight, ComparedSite, compared, of_newest
from firmware_host.review.endpoints import Context, endpoint
from firmware_host.review.looked import note_look, read_looked
from firmware_host.review.night_totals import Totals
from firmware_host.review.texts import t

FEWEST = 10
"""Nights of a level below which no dots are shown."""
ANY = "any"
AMOUNTS = ("little", "some", "much")
"""Levels of an amount that are one level here: nights are too few to keep them apart."""
Name = Annotated[str, msgspec.Meta(max_length=40)]


class LevelCount(msgspec.Struct, frozen=True):
    """A level of a factor and how many nights it has."""

    level: str
    nights: int


class Factor(msgspec.Struct, frozen=True):
    """A factor of the diary."""

    name: str
    levels: tuple[LevelCount, ...]
    refused: str
    """Why its dots are not shown; empty if they are."""


class Factors(msgspec.Struct, frozen=True):
    """What can be looked at, at one site."""

    site: str
    sites: tuple[str, ...]
    nights: int
    """Nights with counts of the site, of the person and by the detector of the newest."""
    factors: tuple[Factor, ...]
    looked_factors: int
    looked_pictures: int
    left_out: tuple[str, ...]


class FactorsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At which site; else at the one that most nights have."""

    site: Name | None = None
    show: bool = False


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to look at."""

    factor: Name
    site: Name
    show: bool = False


class Dot(msgspec.Struct, frozen=True):
    """One night."""

    night: str
    evening: str | None
    rate_per_h: float
    rate_low: float
    rate_high: float


class LevelDots(msgspec.Struct, frozen=True):
    """The nights of one level, oldest first."""

    level: str
    dots: tuple[Dot, ...]


class Dots(msgspec.Struct, frozen=True):
    """A factor's nights by level; no levels where it is refused."""

    factor: str
    site: str
    label: str
    levels: tuple[LevelDots, ...]
    refused: str
    looked_factors: int
    looked_pictures: int
    """Different pictures of this folder that were looked at so far, this one among them."""


_Nights = Sequence[tuple[ComparedNight, ComparedSite]]


@endpoint("GET", "/triggers", summary="Which factors of the diary have nights enough to be looked at")
def factors(context: Context, query: FactorsQuery) -> Factors:
    """List the factors; nothing is looked at yet."""
    sites = _sites(context, asked=query.show)
    site = query.site if query.site is not None else max(sites, key=lambda one: sites[one], default="")
    nights, left_out = _nights(context, site, asked=query.show) if site else ([], [])
    looked = read_looked(context.folder)
    return Factors(
        site,
        tuple(sorted(sites, key=body.order)),
        len(nights),
        tuple(_factor(name, nights) for name in _names()),
        len(looked.sites),
        looked.pictures,
        tuple(left_out),
    )


@endpoint("POST", "/triggers", summary="A factor's nights by level; how many were looked at is kept")
def look(context: Context, body: Look) -> Dots:
    """Return the dots of a factor."""
    if body.factor not in _names():
        raise BadValueError(t("triggers.no_levels", factor=body.factor, known=", ".join(_names())))
    label = _label(body.site)
    nights, _ = _nights(context, body.site, asked=body.show)
    refused = _factor(body.factor, nights).refused
    looked = read_looked(context.folder) if refused else note_look(context.folder, body.factor, body.site)
    levels = {} if refused else _by_level(body.factor, nights)
    return Dots(
        body.factor,
        body.site,
        label,
        tuple(
            LevelDots(level, tuple(_dot(*one) for one in here))
            for level, here in levels.items()
            if len(here) >= FEWEST
        ),
        refused,
        len(looked.sites),
        looked.pictures,
    )


def _names() -> tuple[str, ...]:
    return tuple(field.name for field in FIELDS if field.levels)


def _label(site: str) -> str:
    return body.site(site).label


def _sites(context: Context, *, asked: bool) -> dict[str, int]:
    """Return how many nights each site has; nights that nobody slept are none."""
    found: dict[str, int] = {}
    for night in context.shared(Totals).all():
        if not night.made_up:
            for site in compared(context, night, asked=asked).sites:
                found[site.site] = found.get(site.site, 0) + (site.valid_s > 0)
    return found


def _nights(context: Context, site: str, *, asked: bool) -> tuple[_Nights, list[str]]:
    """Return the nights that can be looked at together, oldest first, and why others cannot."""
    _label(site)
    every = [night for night in context.shared(Totals).all() if not night.made_up]
    all_nights = [compared(context, night, asked=asked) for night in every]
    seen = [
        (night, one) for night in all_nights for one in night.sites if one.site == site and one.valid_s > 0
    ]
    alike, other = of_newest(seen)
    return alike, [*(night.hidden for night in all_nights if night.hidden), *other]


def _by_level(factor: str, nights: _Nights) -> Mapping[str, _Nights]:
    """Return the nights of each level, in the order of the levels; amounts are none or any."""
    levels = next(field.levels for field in FIELDS if field.name == factor)
    found: dict[str, list[tuple[ComparedNight, ComparedSite]]] = {
        level: [] for level in dict.fromkeys(ANY if one in AMOUNTS else one for one in levels)
    }
    for night, site in nights:
        level = night.diary.get(factor, "")
        level = ANY if level in AMOUNTS else level
        if level in found:  # another program may have written what is no level here
            found[level].append((night, site))
    return found


def _factor(name: str, nights: _Nights) -> Factor:
    levels = tuple(LevelCount(level, len(here)) for level, here in _by_level(name, nights).items())
    enough = sum(level.nights >= FEWEST for level in levels) >= 2
    return Factor(name, levels, "" if enough else t("triggers.refused", n=FEWEST))


def _dot(night: ComparedNight, site: ComparedSite) -> Dot:
    return Dot(night.night, night.evening, site.rate_per_h, site.rate_low, site.rate_high)
