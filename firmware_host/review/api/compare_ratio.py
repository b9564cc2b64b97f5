"""How many times as many twitches: two groups of nights, or two sites, where there are nights enough."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from firmware_host import body
from firmware_host.errors import BadValueError, NotShownError
from firmware_host.review.api.compare import Names, Site
from firmware_host.review.comparisons import Comparisons
from firmware_host.review.endpoints import Context, endpoint


class RatioQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nights of two sides, and the site; `other_site` is the site of side b, else the same."""

    site: Site
    a: Names
    b: Names
    other_site: Site | None = None
    show: bool = False


class SideRate(msgspec.Struct, frozen=True):
    """One side: how many of its nights could be compared, and the rate of a usual one."""

    label: str
    nights: int
    rate_per_h: float | None


class Ratio(msgspec.Struct, frozen=True):
    """Side b's rate over side a's, above the largest limit of all the nights."""

    limit_mg: float | None
    a: SideRate
    b: SideRate
    ratio: float | None
    low: float | None
    """Of its 95 % interval, which holds how much nights differ by themselves."""
    high: float | None
    refused: str
    """Why there is no ratio; empty where there is one."""
    warnings: tuple[str, ...]
    left_out: tuple[str, ...]


@endpoint("GET", "/compare/ratio", summary="The ratio of two sides' rates, where the rules allow one")
def compare_ratio(context: Context, query: RatioQuery) -> Ratio:
    """Return a ratio, or why there is none."""
    other = query.other_site or query.site
    labels = body.site(query.site).label, body.site(other).label
    (first, second), hidden = _shown(context, (query.a, query.b), asked=query.show)
    try:
        told = context.shared(Comparisons).compare(first, second, query.site, other)
    except BadValueError as error:
        a, b = (SideRate(label, 0, None) for label in labels)
        return Ratio(None, a, b, None, None, None, str(error), (), tuple(hidden))
    a, b = (
        SideRate(label, len(side.nights), side.usual_rate_per_h)
        for label, side in zip(labels, (told.first, told.second), strict=True)
    )
    return Ratio(
        told.limit_mg,
        a,
        b,
        told.ratio,
        told.ratio_low,
        told.ratio_high,
        told.no_ratio,
        told.warnings,
        (*hidden, *(f"{one.night}: {one.why}." for one in told.left_out)),
    )


def _shown(
    context: Context, sides: Sequence[Sequence[str]], *, asked: bool
) -> tuple[list[list[str]], list[str]]:
    """Return the nights of each side whose counts may be shown, and a sentence on each other."""
    shown: list[list[str]] = []
    hidden: list[str] = []
    for names in sides:
        here = []
        for name in dict.fromkeys(names):
            try:
                context.check_shown(context.night(name), asked=asked)
            except NotShownError as error:
                hidden.append(str(error))
            else:
                here.append(name)
        shown.append(here)
    return shown, hidden
