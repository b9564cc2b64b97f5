"""A site-night's detection limit as it is stored and used: the share of twitches found, by size and hour."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.twitch_map.spans import seconds_in
from firmware_host.twitches import Table

Floats = npt.NDArray[np.float64]
SHARE = 0.9
"""The limit is found so often."""
LEAST_MG = 0.2
HOUR_S = 3600.0
Positive = Annotated[float, msgspec.Meta(gt=0, lt=1e9)]
LimitKind = Literal["found", "not_reached", "unknown"]


def limit_kind(limit_mg: float) -> LimitKind:
    """Return what a limit in a table of counts is: `not_reached` where not even the largest tried one was."""
    return "found" if math.isfinite(limit_mg) else "unknown" if math.isnan(limit_mg) else "not_reached"


class HourLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One hour of a site's night: its start from the night's, its noise and limit (None: not reached)."""

    start_s: float
    noise_mg_per_sqrt_hz: Positive
    limit_mg: float | None


class SiteLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found of known twitches that were added to one site's night.

    The share found is (1 - lapses) Phi(steepness ln(size / middle)), Phi the normal distribution function;
    the middle is `middle_mg` where the noise is `noise_mg_per_sqrt_hz`, and grows as its power `noise_power`.
    """

    limit_mg: Positive | None
    """Peak-to-peak amplitude found 9 times in 10, over the night; None where not even `largest_mg` is."""
    low_mg: float | None
    """95 % interval, from drawing the excerpts again; None is beyond `largest_mg`."""
    high_mg: float | None
    largest_mg: Positive
    tried: int
    found: int
    middle_mg: Positive
    steepness: Positive
    lapses: Annotated[float, msgspec.Meta(ge=0, le=1)]
    noise_mg_per_sqrt_hz: Positive
    noise_power: Annotated[float, msgspec.Meta(ge=-100, le=100)]
    hours: Annotated[tuple[HourLimit, ...], msgspec.Meta(min_length=1)]
    """In order of time; one without any valid excerpt is taken for the nearest that has some."""

    def noise_at(self, time_s: Floats) -> Floats:
        """Return the noise of the hours that hold some times."""
        at = np.searchsorted(hour_edges_s([hour.start_s for hour in self.hours])[1:-1], time_s, side="right")
        return np.array([hour.noise_mg_per_sqrt_hz for hour in self.hours])[at]

    def within(self, valid: Table) -> SiteLimit:
        """Return the limit as it is over other valid time: a reviewer may have taken some away.

        Its interval moves with it.
        """
        (now,) = limits_of(self, (-np.inf, np.inf), np.ones(1), valid).tolist()
        if not math.isfinite(now):
            return msgspec.structs.replace(self, limit_mg=None, high_mg=None)
        if self.limit_mg is None:
            return msgspec.structs.replace(self, limit_mg=now, low_mg=min(self.low_mg or now, now))
        low, high = (
            None if end is None else round(end * now / self.limit_mg, 3)
            for end in (self.low_mg, self.high_mg)
        )
        return msgspec.structs.replace(self, limit_mg=now, low_mg=low, high_mg=high)

    def share(self, size_mg: Floats, noise: Floats) -> Floats:
        """Return the share found of twitches of some sizes where the noise is so."""
        from scipy.special import ndtr

        ratio = size_mg / (self.middle_mg * (noise / self.noise_mg_per_sqrt_hz) ** self.noise_power)
        return np.asarray((1 - self.lapses) * ndtr(self.steepness * np.log(np.maximum(ratio, 1e-9))))


def limit_over(
    share: Callable[[Floats, Floats], Floats], noise: Floats, weight: Floats, largest_mg: float
) -> float:
    """Return the amplitude found 9 times in 10 where the noise is now this, now that; infinite if none is.

    Parameters
    ----------
    share
        Returns the share found by size (mg) and noise (mg/sqrt(Hz)).
    noise, weight : (k,)
        Noise, and how much of the time it is so.
    largest_mg : float
        Nothing larger is looked at.
    """
    sizes = np.geomspace(LEAST_MG, largest_mg, 400)
    found = share(sizes[:, None], noise) @ weight / weight.sum()
    if found[-1] < SHARE:
        return float("inf")
    return float(np.exp(np.interp(SHARE, found, np.log(sizes))))


def hour_edges_s(starts_s: Sequence[float]) -> Floats:
    """Return the edges (hours + 1,) of the times that known hours stand for: each for what is nearest."""
    starts = np.asarray(starts_s, float)
    return np.concatenate([[-np.inf], 0.5 * (starts[1:] + starts[:-1] + HOUR_S), [np.inf]])


def limits_of(limit: SiteLimit, edges_s: Sequence[float] | Floats, seconds: Floats, valid: Table) -> Floats:
    """Return the limit (mg) of each time bin, (bins,): NaN without valid time, infinite where not reached.

    Each hour's noise counts as much as the bin has valid time in it.

    Parameters
    ----------
    edges_s : (bins + 1,)
    seconds : (bins,)
        Valid time in them, more than 0 where a limit is asked for.
    valid : COVERAGE_DTYPE
        The site's valid time.
    """
    edges, hours = np.asarray(edges_s, float), hour_edges_s([hour.start_s for hour in limit.hours])
    noise = np.array([hour.noise_mg_per_sqrt_hz for hour in limit.hours])
    points = np.union1d(edges, hours[(hours > edges[0]) & (hours < edges[-1])])
    hour = np.searchsorted(hours, points[:-1], side="right") - 1
    shared, cuts = seconds_in(valid, points), np.searchsorted(points, edges)
    out = np.full(len(edges) - 1, np.nan)
    known: dict[tuple[float, ...], float] = {}
    for number in np.flatnonzero(seconds > 0).tolist():
        own = slice(int(cuts[number]), int(cuts[number + 1]))
        there, weight = hour[own], shared[own]
        if len(there) == 1 or not weight.any():  # in a moment that is no time a twitch can be all the same
            weight = np.ones(len(there))
        key = (*there.tolist(), *weight.tolist())
        if key not in known:
            known[key] = limit_over(limit.share, noise[there], weight, limit.largest_mg)
        out[number] = known[key]
    return np.round(out, 3)
