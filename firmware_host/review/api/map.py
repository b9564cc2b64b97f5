"""Where on the body and when in the night twitches were counted."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host import body
from firmware_host.review.charts import colours
from firmware_host.review.charts.colours import scale_for
from firmware_host.review.charts.map_data import LITTLE, scale_bins
from firmware_host.review.endpoints import Asking, Context, endpoint
from firmware_host.review.opened import opened_of
from firmware_host.twitch_map import LimitKind, State, limit_kind
from firmware_host.twitches import Kind, Table

SLIVER_S = 1.0
"""A last bin with less of the night in it is left out, if nothing was counted there."""


class MapQuery(Asking, frozen=True):
    """Length of the time bins, and which run."""

    bin_s: Annotated[float, msgspec.Meta(ge=60, le=86_400)] = 900.0
    run: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """Counts of one site: one value a bin, or one of the whole night. Rates are null where not observed."""

    twitches: tuple[int, ...]
    valid_s: tuple[float, ...]
    rate_per_h: tuple[float, ...]
    """True twitches of at least the detection limit an hour of valid time; all counted ones where no limit is
    known."""
    rate_low: tuple[float, ...]
    """Lower limit of its 95 % interval."""
    rate_high: tuple[float, ...]
    detection_limit_mg: tuple[float, ...]
    """Amplitude found 9 times in 10; null where `limit_kind` is not `found`."""
    limit_kind: tuple[LimitKind, ...]
    """found; not_reached: not even the largest tried amplitude was; unknown: it was not measured."""
    state: tuple[str, ...]
    """observed, wear_unconfirmed, not_observed or not_worn."""
    little: tuple[bool, ...]
    """There was so little valid time that the rate is unsteady."""


class SiteMap(msgspec.Struct, frozen=True):
    """A site's counts: in time bins, and in all."""

    site: str
    bins: Counts
    night: Counts
    unconfirmed_s: float
    """Valid time in which wearing the sensor cannot be shown."""
    top: float
    """Rate at the top of its strip; the same for all unless their rates differ too much for that.

    Bins of little valid time set it only where the site has no others: theirs may be above it.
    """


class Scale(msgspec.Struct, frozen=True):
    """Rates from zero to `top` as shares of the colours or of a strip's height."""

    top: float
    root: bool
    """By square root: rates differ too much for a linear scale."""
    ticks: tuple[float, ...]


class NightMap(msgspec.Struct, frozen=True):
    """A night's counts."""

    run: str
    bin_s: float
    duration_s: float
    start_s: tuple[float, ...]
    """Start of each bin; the first and the last bin reach beyond the night."""
    sites: tuple[SiteMap, ...]
    night_scale: Scale
    """For the rates of the whole night."""
    bin_scale: Scale
    """For the rates of all sites' bins."""


@endpoint("GET", "/nights/{night}/map", summary="Counts, valid time, rates and intervals by site and time")
def night_map(context: Context, night: str, query: MapQuery) -> NightMap:
    """Return a night's counts in bins and in all, from head to foot."""
    path, opened = context.counted(night, query), opened_of(context)
    run = opened.brief(path, query.run)
    bins, totals = (opened.counts(path, length, query.run) for length in (query.bin_s, None))
    sliver = bins["bin_start_s"] >= max(run.summary.duration_s - SLIVER_S, 1e-9)
    if not bins["twitches"][sliver].any():
        bins = bins[~sliver]
    sites = sorted((str(row["site"]) for row in totals), key=body.order)
    night_scale = scale_for(totals["rate_per_h"][totals["valid_s"] > 0].tolist())
    scaled = scale_bins(bins)
    bin_scale = scale_for(scaled["rate_per_h"].tolist())
    first = bins[bins["site"] == sites[0]] if sites else bins
    return NightMap(
        run=run.info.run_id,
        bin_s=query.bin_s,
        duration_s=run.summary.duration_s,
        start_s=tuple(first["bin_start_s"].tolist()),
        sites=tuple(
            SiteMap(
                site,
                counts_of(bins[bins["site"] == site]),
                counts_of(totals[totals["site"] == site]),
                _unconfirmed_s(run.coverage, site),
                _top(scaled[scaled["site"] == site]) if night_scale.root else bin_scale.top,
            )
            for site in sites
        ),
        night_scale=scale_of(night_scale),
        bin_scale=scale_of(bin_scale),
    )


def counts_of(rows: Table) -> Counts:
    """Return rows of a table of counts as they go out."""
    limit_mg = rows["detection_limit_mg"]
    return Counts(
        twitches=tuple(rows["twitches"].tolist()),
        valid_s=tuple(np.round(rows["valid_s"], 3).tolist()),
        rate_per_h=_short(rows["rate_per_h"]),
        rate_low=_short(rows["rate_low"]),
        rate_high=_short(rows["rate_high"]),
        detection_limit_mg=_short(np.where(np.isinf(limit_mg), np.nan, limit_mg)),
        limit_kind=tuple(map(limit_kind, limit_mg.tolist())),
        state=tuple(State(value).name.lower() for value in rows["state"].tolist()),
        little=tuple((rows["valid_s"] < LITTLE * rows["bin_s"]).tolist()),
    )


def _short(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(np.round(values, 4).tolist())


def _top(rows: Table) -> float:
    return scale_for(rows["rate_per_h"].tolist(), root=False).top


def scale_of(scale: colours.Scale) -> Scale:
    """Return a scale as it goes out."""
    return Scale(scale.top, scale.root, tuple(scale.ticks()))


def _unconfirmed_s(coverage: Table, site: str) -> float:
    rows = coverage[
        (coverage["site"] == site) & (coverage["kind"] == Kind.VALID) & coverage["wear_unconfirmed"]
    ]
    return float(np.sum(rows["end_s"] - rows["start_s"]))


class CoverageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which site (else all), which run."""

    site: str | None = None
    run: str | None = None


class Coverage(msgspec.Struct, frozen=True):
    """What every stretch of the night was good for, site after site, in order of time."""

    site: tuple[str, ...]
    start_s: tuple[float, ...]
    end_s: tuple[float, ...]
    kind: tuple[str, ...]
    """valid (a twitch could be found), movement, gap, clipped, not_worn, noisy or excluded."""
    wear_unconfirmed: tuple[bool, ...]


@endpoint("GET", "/nights/{night}/coverage", summary="What every stretch of the night was good for")
def night_coverage(context: Context, night: str, query: CoverageQuery) -> Coverage:
    """Return the coverage of one site or of all."""
    rows = opened_of(context).brief(context.night(night), query.run).coverage
    if query.site is not None:
        rows = rows[rows["site"] == query.site]
    return Coverage(
        site=tuple(rows["site"].tolist()),
        start_s=tuple(np.round(rows["start_s"], 3).tolist()),
        end_s=tuple(np.round(rows["end_s"], 3).tolist()),
        kind=tuple(Kind(value).name.lower() for value in rows["kind"].tolist()),
        wear_unconfirmed=tuple(rows["wear_unconfirmed"].tolist()),
    )
