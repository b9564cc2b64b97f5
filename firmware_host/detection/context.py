"""What surrounds a candidate in time and on the body: its neighbours, its site's movement, other sites.

Everything is told from at most 30 s before and after, from differences of times in whole nanoseconds, so that
neither the sampling rate nor the night's start nor the order of sites matters. A group of columns is one
function, found by its decorator. NaN stands for what cannot be known: with no other sensor in view, nothing
is known of other sites; with one in view that shows nothing, its columns are 0.

Coincidence acts between muscles only: two sensors on one muscle may share their twitches (14-44 % are
time-locked, de Carvalho and Swash 2013). It is a column, never a veto: fasciculations of two muscles can
coincide by chance, which `other_expected` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from firmware_host.body import site as body_site
from firmware_host.detection.signals import Bool, Float64
from firmware_host.detection.site_night import (
    CANDIDATE_SCORE,
    REACH_S,
    Int64,
    SiteNight,
    are_neighbours,
    make_site_night,
    whole_ns,
)
from firmware_host.twitches import Column, Kind, Table, in_parts

__all__ = [
    "CANDIDATE_SCORE",
    "CONTEXT",
    "CONTEXT_COLUMNS",
    "REACH_S",
    "add_context",
    "context_of",
    "declares",
]

BESIDE_S = 1.0
"""A larger candidate so near may be the burst of which this one is a later swing."""
TOGETHER_S = 0.15
"""Candidates of two sites so near in time may have one cause: sensors' clocks are this good."""
NEIGHBOURS = 15
"""So many candidates on either side say what is usual here."""
ALIKE = 2.0
"""Neighbours whose scores differ by less than this factor may be of one series."""
LEAST_INTERVALS = 3
"""Fewer say nothing of a period."""
ROWS_AT_ONCE = 1 << 13


class Around(NamedTuple):
    """The candidates near each of k candidates of their own site: (k, neighbours) arrays.

    `lag_s` is negative before, NaN where there is none within reach; `ratio` is their score over its own.
    """

    lag_s: Float64
    ratio: Float64


class Asked(NamedTuple):
    """Candidates of one site whose context is asked for, and all sites in order of their names.

    `among` tells which are themselves among the candidates of `here`.
    """

    here: SiteNight
    sites: Sequence[SiteNight]
    time_ns: Int64
    score: Float64
    size_mg: Float64
    among: Bool
    around: Around


Values = tuple[Float64, ...]
CONTEXT: list[tuple[tuple[str, ...], Callable[[Asked], Values]]] = []
CONTEXT_COLUMNS: list[Column] = []


def declares(*columns: Column) -> Callable[[Callable[[Asked], Values]], Callable[[Asked], Values]]:
    """Declare the columns that a function gives, in their order."""

    def add(function: Callable[[Asked], Values]) -> Callable[[Asked], Values]:
        CONTEXT.append((tuple(column.name for column in columns), function))
        CONTEXT_COLUMNS.extend(columns)
        return function

    return add


def add_context(rows: Table, coverage: Table) -> Table:
    """Return the candidates of all sites with the columns of `CONTEXT_COLUMNS` filled in.

    Parameters
    ----------
    rows : table with site, peak_s, score, peak_to_peak_mg and side_lobe
        In any order; columns of the context that it has are overwritten, others are added at the end.
    coverage : table of `COVERAGE_DTYPE`
        Tiles the night of every site.

    Raises
    ------
    BadValueError
        If a site is none of the body's.
    """
    own = [(name, rows.dtype[name]) for name in rows.dtype.names or ()]
    new = [(c.name, np.dtype(c.dtype)) for c in CONTEXT_COLUMNS if c.name not in (rows.dtype.names or ())]
    out = np.zeros(len(rows), np.dtype(own + new)) if new else rows.copy()
    for name in (rows.dtype.names or ()) if new else ():
        out[name] = rows[name]
    names = sorted(set(rows["site"].tolist()))
    everywhere = sorted({*names, *coverage["site"].tolist()})
    sites = {name: make_site_night(name, rows, coverage) for name in everywhere}
    for name in names:
        of_site = np.flatnonzero(rows["site"] == name)
        for at in (of_site[part] for part in in_parts(len(of_site), ROWS_AT_ONCE)):
            for column, values in context_of(rows[at], sites[name], list(sites.values())):
                out[column][at] = values
    return out


def context_of(rows: Table, here: SiteNight, sites: Sequence[SiteNight]) -> Iterator[tuple[str, Float64]]:
    """Yield the columns of `CONTEXT_COLUMNS` for candidates of one site, `here` among all sites by name."""
    asked = _asked(rows, here, sites)
    for columns, function in CONTEXT:
        yield from zip(columns, function(asked), strict=True)


def _asked(rows: Table, here: SiteNight, sites: Sequence[SiteNight]) -> Asked:
    time_ns, score = whole_ns(rows["peak_s"]), rows["score"].astype(float)
    step = np.arange(NEIGHBOURS)
    before = np.searchsorted(here.time_ns, time_ns)[:, None] - NEIGHBOURS + step
    after = np.searchsorted(here.time_ns, time_ns, side="right")[:, None] + step
    at = np.concatenate([before, after], axis=1)
    there = (at >= 0) & (at < len(here.time_ns))
    at = np.where(there, at, 0)
    lag_ns = np.append(here.time_ns, 0)[at] - time_ns[:, None]
    there &= np.abs(lag_ns) <= whole_ns(REACH_S)
    around = Around(
        np.where(there, lag_ns / 1e9, np.nan),
        np.where(there, np.append(here.score, 1.0)[at] / score[:, None], np.nan),
    )
    size_mg = rows["peak_to_peak_mg"].astype(float)
    return Asked(here, sites, time_ns, score, size_mg, are_neighbours(rows), around)


@declares(
    Column("previous_s", "f4", "s", "time since the candidate before it, 30 at most"),
    Column("next_s", "f4", "s", "time until the candidate after it, 30 at most"),
    Column("larger_before_s", "f4", "s", "time since the last larger candidate, 1 where none within 1 s"),
    Column("larger_before_ratio", "f4", "", "its own score over that one's, 1 where there is none"),
    Column("larger_after_s", "f4", "s", "time until the next larger candidate, 1 where none within 1 s"),
    Column("larger_after_ratio", "f4", "", "its own score over that one's, 1 where there is none"),
    Column("largest_beside", "f4", "", "largest score within 1 s over its own, 0 where there is none"),
)
def beside(asked: Asked) -> Values:
    """Tell the candidates just before and after: a burst's later swings, doublets and runs."""
    lag_s, ratio = asked.around
    near = np.abs(lag_s) <= BESIDE_S
    out = [
        np.nan_to_num(np.abs(lag_s[:, NEIGHBOURS - 1]), nan=REACH_S),
        np.nan_to_num(lag_s[:, NEIGHBOURS], nan=REACH_S),
    ]
    larger = near & (ratio > 1.0)
    each = np.arange(len(lag_s))
    # The nearest stands last before and first after.
    for part, nearest_first in (
        (slice(0, NEIGHBOURS), slice(None, None, -1)),
        (slice(NEIGHBOURS, None), slice(None)),
    ):
        some, lags, ratios = (values[:, part][:, nearest_first] for values in (larger, lag_s, ratio))
        first = np.argmax(some, axis=1)
        found = some[each, first]
        out.append(np.where(found, np.abs(lags[each, first]), BESIDE_S))
        out.append(1.0 / np.where(found, ratios[each, first], 1.0))
    return (*out, np.where(near, ratio, 0.0).max(axis=1))


@declares(
    Column("around_per_min", "f4", "1/min", "other candidates within 30 s per minute of valid time"),
    Column("around_larger", "f4", "", "share of up to 15 candidates on either side that are larger"),
    Column("around_ratio", "f4", "", "its own score over the median of theirs"),
    Column("around_spread", "f4", "", "upper over lower quartile of their scores"),
    Column(
        "series_period_s",
        "f4",
        "s",
        "median interval of those of half to twice its score, its own time among them",
    ),
    Column("series_spread", "f4", "", "median deviation of these intervals from it, as a factor's logarithm"),
    Column("series_count", "f4", "", "how many such candidates there are"),
)
def usual(asked: Asked) -> Values:
    """Tell how many candidates there are here, how it stands among them, and how regularly they come."""
    lag_s, ratio = asked.around
    others = asked.here.count(asked.time_ns, REACH_S) - asked.among
    valid_s = asked.here.valid.seconds(asked.time_ns, REACH_S)
    count = np.isfinite(ratio).sum(axis=1)
    ordered = np.sort(ratio, axis=1)
    larger = (ratio > 1.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    spread = _quantile(ordered, count, 0.75) / _quantile(ordered, count, 0.25)
    alike = np.abs(np.log(ratio)) <= np.log(ALIKE)
    times = np.where(alike, lag_s, np.nan)
    times = np.sort(np.concatenate([times, np.zeros((len(times), 1))], axis=1), axis=1)
    interval = np.log(np.diff(times, axis=1))
    intervals = alike.sum(axis=1)
    period = _quantile(np.sort(interval, axis=1), intervals, 0.5)
    off = _quantile(np.sort(np.abs(interval - period[:, None]), axis=1), intervals, 0.5)
    told = intervals >= LEAST_INTERVALS
    return (
        60.0 * others / np.maximum(valid_s, 1.0),
        larger,
        1.0 / _quantile(ordered, count, 0.5),
        spread,
        np.where(told, np.exp(period), np.nan),
        np.where(told, off, np.nan),
        intervals.astype(float),
    )


@declares(
    Column("since_movement_s", "f4", "s", "time since the site's last movement, 30 at most"),
    Column("until_movement_s", "f4", "s", "time until the site's next movement, 30 at most"),
    Column("since_gap_s", "f4", "s", "time since the site's samples began or came back, 30 at most"),
    Column("until_gap_s", "f4", "s", "time until the site's samples end or are lost, 30 at most"),
    Column("movement_share", "f4", "", "share of the 30 s before and after in which the site moved"),
)
def own_movement(asked: Asked) -> Values:
    """Tell how far movement and gaps of its own site are."""
    moving, gaps, at = asked.here.moving, asked.here.gaps, asked.time_ns
    share = moving.seconds(at, REACH_S) / (2 * REACH_S)
    return moving.since_s(at), moving.until_s(at), gaps.since_s(at), gaps.until_s(at), share


@declares(
    Column("other_sites", "f4", "", "sites on other muscles where a twitch could be found at that moment"),
    Column("other_hits", "f4", "", "how many of them have a candidate within 0.15 s"),
    Column(
        "other_expected", "f4", "", "how many would have one by chance, from their candidates within 30 s"
    ),
    Column("other_surprise", "f4", "", "sum over those that have one of -ln of the chance of it"),
    Column("other_score", "f4", "", "largest score there within 0.15 s, 0 where there is no candidate"),
    Column("other_ratio", "f4", "", "that one's peak-to-peak over its own, 0 where there is none"),
    Column("other_lag_s", "f4", "s", "how far in time that one is; empty where there is none"),
)
def other_muscles(asked: Asked) -> Values:
    """Tell what sensors on other muscles show at the same time."""
    base = body_site(asked.here.name).base
    return _coincidence(asked, [site for site in asked.sites if body_site(site.name).base != base])


@declares(
    Column("far_sites", "f4", "", "sites of other regions where a twitch could be found at that moment"),
    Column("far_hits", "f4", "", "how many of them have a candidate within 0.15 s"),
    Column("far_expected", "f4", "", "how many would have one by chance, from their candidates within 30 s"),
    Column("far_surprise", "f4", "", "sum over those that have one of -ln of the chance of it"),
    Column("far_score", "f4", "", "largest score there within 0.15 s, 0 where there is no candidate"),
    Column("far_ratio", "f4", "", "that one's peak-to-peak over its own, 0 where there is none"),
    Column("far_lag_s", "f4", "s", "how far in time that one is; empty where there is none"),
)
def other_regions(asked: Asked) -> Values:
    """Tell what sensors in other regions of the body show at the same time."""
    region = body_site(asked.here.name).region
    return _coincidence(asked, [site for site in asked.sites if body_site(site.name).region != region])


@declares(
    Column("other_moving", "f4", "", "share of the sensors on other muscles that move at that moment"),
    Column("other_quiet_s", "f4", "s", "time to the nearest movement at any of them, 30 at most"),
)
def movement_elsewhere(asked: Asked) -> Values:
    """Tell whether the body moves elsewhere."""
    base = body_site(asked.here.name).base
    present, moving = np.zeros(len(asked.time_ns)), np.zeros(len(asked.time_ns))
    quiet_s = np.full(len(asked.time_ns), np.nan)
    for site in asked.sites:
        if body_site(site.name).base == base:
            continue
        there = ~np.isin(site.kind_at(asked.time_ns), (Kind.GAP, Kind.NOT_WORN))
        to_s = np.minimum(site.moving.since_s(asked.time_ns), site.moving.until_s(asked.time_ns))
        present += there
        moving += there & (to_s == 0.0)
        quiet_s = np.fmin(quiet_s, np.where(there, to_s, np.nan))
    return moving / np.where(present > 0, present, np.nan), quiet_s


def _coincidence(asked: Asked, others: Sequence[SiteNight]) -> Values:
    """Return the seven columns of coincidence with some sites; NaN where none of them can be seen."""
    n = len(asked.time_ns)
    sites, hits, expected, surprise, score, ratio = (np.zeros(n) for _ in range(6))
    lag_s = np.full(n, np.nan)
    for other in others:
        seen: Bool = other.kind_at(asked.time_ns) == Kind.VALID
        first, stop = other.near(asked.time_ns, TOGETHER_S)
        hit = seen & (stop > first)
        # What coincides says nothing of how much there is by chance.
        rest = other.count(asked.time_ns, REACH_S) - (stop - first) + 0.5
        chance = 1.0 - np.exp(-2 * TOGETHER_S * rest / (other.valid.seconds(asked.time_ns, REACH_S) + 1.0))
        sites += seen
        hits += hit
        expected += seen * chance
        surprise -= hit * np.log(chance)
        for step in range(int((stop - first).max(initial=0))):
            at = np.minimum(first + step, len(other.score) - 1)
            larger = hit & (first + step < stop) & (other.score[at] > score)
            score[larger] = other.score[at[larger]]
            ratio[larger] = other.size_mg[at[larger]] / np.maximum(asked.size_mg[larger], 1e-6)
            lag_s[larger] = np.abs(other.time_ns[at[larger]] - asked.time_ns[larger]) / 1e9
    known = np.where(sites > 0, 0.0, np.nan)
    return (sites, *(values + known for values in (hits, expected, surprise, score, ratio, lag_s)))


def _quantile(ordered: Float64, count: Int64, share: float) -> Float64:
    """Return a quantile of each row of numbers in order, NaN behind them; NaN where there are none."""
    place = share * np.maximum(count - 1, 0)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    each = np.arange(len(ordered))
    one, two = ordered[each, low], ordered[each, high]
    return np.asarray(one + (place - low) * (two - one))
