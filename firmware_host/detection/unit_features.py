"""What pass 2 looks at of a candidate: how it fits its unit, and what pass 1 makes of those that it is like.

Members of a unit speak for each other: the mean over the others, never over the candidate itself, of what
pass 1 says of them and of what it measured. All is told within one site's night.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from firmware_host.detection.series import unevenness
from firmware_host.detection.signals import Bool, Float64
from firmware_host.detection.units import DIMENSIONS, Grouped, Indices, Int32, larger_beside
from firmware_host.twitches import Column, in_parts

Values = Mapping[str, npt.NDArray[np.generic]]

POOLED = (
    "heart_twin", "heart_match", "heart_near", "heart_left", "heart_stand", "heart_swerve", "repeat",
    "repeat_left", "left_near", "left_core", "other_surprise", "movement_share", "since_movement_s",
    "largest_beside", "larger_before_s", "score", "linearity", "series_spread", "before_ratio", "after_ratio",
)  # fmt: skip
"""What pass 1 measured that is put together over the others of a unit."""
SURE = 6.0
"""Log-odds beyond this say no more than this."""
MOST_TOLD = 300
"""Units of more candidates than this are not told apart by their number."""
BEAT_S = (0.5, 1.6)
"""Intervals of a heart at rest."""
LIKE_SIZE = 0.35
"""Sizes that differ by less, in the logarithm, are alike."""
HABIT_STEP_S = 0.02
LEAST_HOURS = 0.02

ROWS_AT_ONCE = 1 << 12
NEAR_COLUMNS = (
    "near_odds", "near_odds_most", "near_odds_least", "near_like", "near_like_most", "near_sizes",
)  # fmt: skip

UNIT_FEATURES: tuple[Column, ...] = (
    Column("unit_like", "f4", "", "correlation with the template of its unit"),
    Column("unit_fit", "f4", "", "the same over what noise would leave of it"),
    Column("unit_margin", "f4", "", "by how much more it is like that template than any other"),
    Column("unit_size", "f4", "", "what the template finds of it, in units of the noise"),
    Column("unit_second", "f4", "", "the same of the next template"),
    Column("unit_left", "f4", "", "logarithm of what the template leaves of it over the noise"),
    Column("unit_lag", "f4", "samples", "by how much it stands before the template"),
    Column("unit_gain", "f4", "", "its size over the median of its unit"),
    Column("unit_spread", "f4", "", "upper over lower quartile of the unit's sizes, as a logarithm"),
    Column("unit_count", "f4", "", "logarithm of how many others the unit has, 300 at most"),
    Column("unit_rate", "f4", "", "logarithm of how many others it has per valid hour"),
    Column("unit_interval_s", "f4", "s", "median interval of the unit"),
    Column("unit_irregular", "f4", "", "upper over lower quartile of its intervals, as a logarithm"),
    Column("unit_uneven", "f4", "", "median logarithm of its intervals over those before, sign left out"),
    Column("unit_uneven_near", "f4", "", "the same of the five of its unit before and after"),
    Column("unit_beats", "f4", "", "share of its intervals that are those of a heart at rest"),
    Column("unit_odds", "f4", "", "mean log-odds that pass 1 gives the others of the unit"),
    Column("unit_odds_spread", "f4", "", "standard deviation of these"),
    Column("unit_odds_over", "f4", "", "by how much its own log-odds are above theirs"),
    Column("unit_twitches", "f4", "", "share of the others that pass 1 takes for a twitch"),
    Column("first_odds", "f4", "", "log-odds that pass 1 gives itself, not calibrated"),
    Column("near_odds", "f4", "", "mean log-odds of its likest ten at the site"),
    Column("near_odds_most", "f4", "", "the largest of these"),
    Column("near_odds_least", "f4", "", "the smallest of these"),
    Column("near_like", "f4", "", "mean correlation with these"),
    Column("near_like_most", "f4", "", "the largest of these"),
    Column("near_sizes", "f4", "", "share of these that have its size"),
    Column("site_rate", "f4", "", "logarithm of how many candidates the site has per valid hour"),
    Column("site_odds", "f4", "", "mean log-odds of the site's candidates"),
    Column("beside_left", "f4", "", "share that the template of the larger candidate within 0.45 s leaves"),
    Column("beside_habit", "f4", "", "how often that one's unit has a candidate at this distance"),
    Column("beside_s", "f4", "s", "time since that one, negative before; empty where there is none"),
    Column("beside_size", "f4", "", "logarithm of its own size over that one's"),
    Column("beside_odds", "f4", "", "log-odds of that one"),
    Column("beside_same", "f4", "", "1 where that one is of its unit"),
    *(Column(f"unit_{name}", "f4", "", f"mean of {name} over the others of the unit") for name in POOLED),
)


def unit_features(
    grouped: Grouped,
    rows: Values,
    peak_s: Float64,
    log_odds: Float64,
    valid_h: float,
    asked: Bool | None = None,
) -> dict[str, Float64]:
    """Return the columns of `UNIT_FEATURES` for the candidates of one site-night, (n,) float64 each.

    Side lobes are told of among all candidates, the others among those that are none: what a burst leaves
    beside it changes nothing in what is known of bursts.

    Parameters
    ----------
    grouped : Grouped
    rows : mapping of the names of `POOLED`, and of side_lobe, to (n,) arrays
    peak_s : (n,) float64
        In order.
    log_odds : (n,) float64
        What pass 1 gives each, not calibrated.
    valid_h : float
        Valid hours of the site.
    asked : (n,) bool, optional
        Candidates that are told of by those that they are like; `near_` columns of others are NaN. By
        default, all are.
    """
    asked = np.ones(len(log_odds), bool) if asked is None else asked
    burst = np.asarray(rows["side_lobe"] == 0)
    if burst.all():
        return _told(grouped, rows, peak_s, log_odds, valid_h, asked)
    told = _told(grouped, rows, peak_s, log_odds, valid_h, asked & ~burst)
    own = np.flatnonzero(burst)
    rows = {name: rows[name][own] for name in POOLED}
    for name, values in _told(grouped.at(own), rows, peak_s[own], log_odds[own], valid_h, asked[own]).items():
        told[name][own] = values
    return told


def _told(
    grouped: Grouped, rows: Values, peak_s: Float64, log_odds: Float64, valid_h: float, asked: Bool
) -> dict[str, Float64]:
    odds = np.clip(log_odds, -SURE, SURE)
    size = np.asarray(rows["score"], float)
    return {
        **_of_unit(grouped, rows, peak_s, odds, max(valid_h, LEAST_HOURS)),
        **_of_nearest(grouped, odds, np.flatnonzero(asked)),
        **_of_larger(grouped, size, peak_s, odds),
        "first_odds": log_odds.copy(),
        "site_rate": np.full(len(odds), np.log(max(len(odds), 1) / max(valid_h, LEAST_HOURS))),
        "site_odds": np.full(len(odds), odds.mean() if len(odds) else 0.0),
    }


def _of_unit(
    grouped: Grouped, rows: Values, peak_s: Float64, odds: Float64, hours: float
) -> dict[str, Float64]:
    unit, member, units = grouped.unit, grouped.member, len(grouped.templates)
    gain = (grouped.like * grouped.size).astype(float)
    middle, spread = _quartiles(gain, unit, member, units)
    interval, irregular, beats = _rhythm(peak_s, unit, member, units)
    uneven, uneven_near = unevenness(peak_s, unit, member)
    known = np.isfinite(uneven)
    (usual,) = _each_unit(uneven[known], unit[known], units, lambda each: (float(np.median(each)),), 4, 1)

    def others(values: npt.NDArray[np.generic]) -> Float64:
        return _others(np.asarray(values, float), unit, member, units)[0]

    mean, count = _others(odds, unit, member, units)
    return {
        "unit_like": grouped.like.astype(float),
        "unit_fit": grouped.fit.astype(float),
        "unit_margin": (grouped.like - grouped.second).astype(float),
        "unit_size": gain,
        "unit_second": (grouped.second * grouped.size).astype(float),
        "unit_left": np.log(np.maximum(grouped.size.astype(float) ** 2 - gain**2, 1.0) / DIMENSIONS),
        "unit_lag": grouped.lag.astype(float),
        "unit_gain": gain / _of(middle, unit),
        "unit_spread": _of(spread, unit),
        "unit_count": np.log1p(np.minimum(count, MOST_TOLD)),
        "unit_rate": np.log(count / hours + 0.5),
        "unit_interval_s": _of(interval, unit),
        "unit_irregular": _of(irregular, unit),
        "unit_uneven": _of(usual, unit),
        "unit_uneven_near": uneven_near,
        "unit_beats": _of(beats, unit),
        "unit_odds": mean,
        "unit_odds_spread": np.sqrt(np.maximum(others(odds**2) - mean**2, 0.0)),
        "unit_odds_over": odds - mean,
        "unit_twitches": others(odds > 0),
        **{f"unit_{name}": others(rows[name]) for name in POOLED},
    }


def _of_nearest(grouped: Grouped, odds: Float64, asked: Indices) -> dict[str, Float64]:
    """Tell of some candidates what pass 1 says of those that they are most like; of others nothing."""
    out = {name: np.full(len(odds), np.nan) for name in NEAR_COLUMNS}
    size = np.log(np.maximum(grouped.size.astype(float), 1e-3))
    for some in (asked[part] for part in in_parts(len(asked), ROWS_AT_ONCE)):
        near, like = grouped.near[some], grouped.near_like[some].astype(float)
        known = near >= 0
        at = np.where(known, near, 0)
        there = np.where(known, odds[at], np.nan)
        weight = np.where(known, np.maximum(like, 0.0) ** 4 + 1e-6, 0.0)
        alike = known & (np.abs(size[at] - size[some, None]) < LIKE_SIZE)
        count = np.maximum(known.sum(axis=1), 1)
        told = (
            (np.nan_to_num(there) * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9),
            np.where(known, there, -np.inf).max(axis=1),
            np.where(known, there, np.inf).min(axis=1),
            (like * known).sum(axis=1) / count,
            like.max(axis=1),
            alike.sum(axis=1) / count,
        )
        any_known = known.any(axis=1)
        for name, values in zip(NEAR_COLUMNS, told, strict=True):
            out[name][some] = np.where(any_known, values, np.nan)
    return out


def _of_larger(grouped: Grouped, score: Float64, peak_s: Float64, odds: Float64) -> dict[str, Float64]:
    """Tell of the largest candidate near each: a unit's second swing comes whenever the first does."""
    unit, n = grouped.unit.astype(np.int64), len(odds)
    out = {name: np.full(n, np.nan) for name in ("habit", "s", "size", "odds", "same")}
    larger = larger_beside(score.astype(np.float32), peak_s)
    own = np.flatnonzero(larger >= 0)
    if len(own):
        other = larger[own]
        late_s = peak_s[own] - peak_s[other]
        key = unit[other] * 1000 + np.rint(late_s / HABIT_STEP_S).astype(np.int64) + 500
        places, counts = np.unique(key, return_counts=True)
        habit = np.zeros(len(own))
        for step in (-1, 0, 1):
            at = np.minimum(np.searchsorted(places, key + step), len(places) - 1)
            habit += np.where(places[at] == key + step, counts[at], 0)
        of_unit = np.bincount(unit, minlength=int(unit.max()) + 1)[unit[other]]
        size = np.log(np.maximum(grouped.size.astype(float), 1e-3))
        out["habit"][own] = (habit - 1) / np.maximum(of_unit - 1, 1)
        out["s"][own], out["odds"][own] = late_s, odds[other]
        out["size"][own], out["same"][own] = size[own] - size[other], unit[own] == unit[other]
    return {f"beside_{name}": values for name, values in out.items()} | {
        "beside_left": grouped.beside_left.astype(float)
    }


def _others(values: Float64, unit: Int32, member: Bool, units: int) -> tuple[Float64, Float64]:
    """Return the mean over the other members of each one's unit, NaN where none, and how many there are."""
    known = member & np.isfinite(values)
    value = np.where(known, values, 0.0)
    sums = [np.bincount(unit, each, units).astype(float) for each in (value, known.astype(float))]
    total, count = _of(sums[0], unit) - value, _of(sums[1], unit) - known
    return np.where(count > 0.5, total / np.maximum(count, 1.0), np.nan), count


def _of(values: Float64, unit: Int32) -> Float64:
    return np.asarray(values[unit]) if len(values) else np.full(len(unit), np.nan)


def _each_unit(
    values: Float64,
    unit: Int32,
    units: int,
    tell: Callable[[Float64], tuple[float, ...]],
    least: int,
    told: int,
) -> tuple[Float64, ...]:
    """Return what is told of the values of each unit, NaN for units of fewer than `least`."""
    order = np.argsort(unit, kind="stable")
    stops = np.searchsorted(unit[order], np.arange(units + 1))
    out = np.full((told, units), np.nan)
    for number in range(units):
        own = values[order[stops[number] : stops[number + 1]]]
        if len(own) >= least:
            out[:, number] = tell(own)
    return tuple(out)


def _quartiles(gain: Float64, unit: Int32, member: Bool, units: int) -> tuple[Float64, ...]:
    """Return the median size of each unit, and the spread of its sizes."""

    def tell(sizes: Float64) -> tuple[float, ...]:
        low, middle, high = np.quantile(np.maximum(sizes, 1e-9), (0.25, 0.5, 0.75))
        return float(middle), float(np.log(high / low)) if len(sizes) > 3 else np.nan

    return _each_unit(gain[member], unit[member], units, tell, 1, 2)


def _rhythm(peak_s: Float64, unit: Int32, member: Bool, units: int) -> tuple[Float64, ...]:
    """Return of each unit the median interval, the spread of its intervals, and how many could be beats."""

    def tell(times_s: Float64) -> tuple[float, ...]:
        interval = np.maximum(np.diff(times_s), 0.05)
        low, middle, high = np.quantile(interval, (0.25, 0.5, 0.75))
        beats = np.mean((interval > BEAT_S[0]) & (interval < BEAT_S[1]))
        return float(middle), float(np.log(high / low)), float(beats)

    return _each_unit(peak_s[member], unit[member], units, tell, 5, 3)
