"""Two groups of nights, or two sites, side by side; a rate ratio where there are nights enough to tell.

Only true twitches above the larger of all limits are compared (the events are asked again whether they reach
it), and only nights of one detector. How much nights differ by themselves is seen in the nights of each side:
a ratio needs five on both. A ratio is no verdict: fewer twitches are not better, more are not worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadValueError
from firmware_host.twitch_map.counting import Weighed
from firmware_host.twitch_map.estimate import RateModel, estimate
from firmware_host.twitch_map.limits import SiteLimit
from firmware_host.twitch_map.rates import rates, without_dead_time
from firmware_host.twitches import MERGE_S, Table

Floats = npt.NDArray[np.float64]

FEWEST_NIGHTS = 5
FEWEST_TWITCHES = 3.0
"""With fewer a night on average the logarithm of its rate says little, and sums are compared instead."""
LEAST_VALID_H = 0.5
"""Nights with less valid time are left out."""
MADE_UP = ("simulated", "virtual")


@dataclass(frozen=True)
class SiteNight:
    """One site's night as it is compared: what was counted in valid time, and who counted.

    `events` (EVENT_DTYPE) are the counted ones in valid time.
    """

    night: str
    date: str
    participant: str
    origin: str
    site: str
    placement: str
    sensor: str
    judge: str
    """Detector, model and operating point: what must be the same for counts to be compared."""
    valid_h: float
    events: Table
    limit: SiteLimit | None
    rate_model: RateModel | None


class NightValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One site's night above a common limit: true twitches and their rate, with 95 % intervals."""

    night: str
    date: str
    site: str
    valid_h: float
    own_limit_mg: float
    twitches: float
    rate_per_h: float
    rate_low: float
    rate_high: float


class LeftOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A night that cannot be compared, and why."""

    night: str
    site: str
    why: str


class Side(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The nights of one side, and the rate of a usual one of them (1/h), None without nights."""

    nights: tuple[NightValue, ...]
    usual_rate_per_h: float | None


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two sides above one limit. `ratio` is the second's rate over the first's, with its 95 % interval.

    None where it is not told; `no_ratio` then says why.
    """

    limit_mg: float | None
    first: Side
    second: Side
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    no_ratio: str
    warnings: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


class Trend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One site night after night above the largest of the limits."""

    site: str
    limit_mg: float | None
    nights: tuple[NightValue, ...]
    warnings: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def compare(first: Sequence[SiteNight], second: Sequence[SiteNight]) -> Comparison:
    """Compare two groups of nights of one site, or of two sites.

    Parameters
    ----------
    first, second : sequence of SiteNight

    Raises
    ------
    BadValueError
        If nights were judged by different detectors, simulated nights stand beside recorded ones, or one
        site's night stands on both sides.
    """
    both = [*first, *second]
    _check(both)
    if {(one.night, one.site) for one in first} & {(one.night, one.site) for one in second}:
        raise BadValueError("The same night of the same site stands on both sides: leave it out of one.")
    known = [_usable(side) for side in (first, second)]
    out = tuple(left for side in (first, second) for left in _left_out(side))
    limit_mg = _largest_limit([*known[0], *known[1]])
    values = [_values(nights, limit_mg) for nights in known]
    by_night = _many_enough(*(_columns(nights)[0] for nights in values if nights))
    sides = [Side(nights, _usual(nights, by_night=by_night)) for nights in values]
    ratio, low, high, why = _ratio(sides[0].nights, sides[1].nights)
    return Comparison(limit_mg, sides[0], sides[1], ratio, low, high, why, _warnings(first, second), out)


def trend(nights: Sequence[SiteNight]) -> Trend:
    """Return one site night after night, in order of date; raises as `compare`."""
    _check(nights)
    if len({one.site for one in nights}) > 1:
        raise BadValueError("A trend is of one site: choose one.")
    ordered = sorted(nights, key=lambda one: (one.date, one.night))
    known = _usable(ordered)
    limit_mg = _largest_limit(known)
    site = ordered[0].site if ordered else ""
    return Trend(site, limit_mg, _values(known, limit_mg), _warnings(ordered, ()), _left_out(ordered))


def rate_ratio(
    first: Sequence[float], first_h: Sequence[float], second: Sequence[float], second_h: Sequence[float]
) -> tuple[float, float, float]:
    """Return the ratio of two rates, second over first, and its 95 % interval.

    Between nights rates differ by a factor that is log-normal; each side's spread is its own. Where nights
    have twitches enough the means of log((n + 1/2) / hours) are compared (Welch's t); else the sums, with the
    spread of the nights around them, at least Poisson's.

    Parameters
    ----------
    first, second : (nights,)
        Twitches; two nights a side at least.
    first_h, second_h : (nights,)
        Valid hours.
    """
    from scipy.special import stdtrit

    sides = [(np.asarray(n, float), np.asarray(h, float)) for n, h in ((first, first_h), (second, second_h))]
    by_night = _many_enough(first, second)
    middles, variances = zip(*((_by_night if by_night else _by_sum)(n, h) for n, h in sides), strict=True)
    total = sum(variances)
    freedom = total**2 / sum(v**2 / (len(n) - 1) for v, (n, _) in zip(variances, sides, strict=True))
    away = float(stdtrit(freedom, 0.975)) * np.sqrt(total)
    log_ratio = middles[1] - middles[0]
    ratio, low, high = np.exp([log_ratio, log_ratio - away, log_ratio + away]).tolist()
    return ratio, low, high


def _many_enough(*sides: Sequence[float]) -> bool:
    """Tell whether each side has twitches enough a night for its nights to be weighed one by one."""
    return min((float(np.mean(n)) for n in sides), default=0.0) >= FEWEST_TWITCHES


def _by_night(n: Floats, hours: Floats) -> tuple[float, float]:
    """Return the mean logarithm of the nights' rates, and its variance: at least that of the counts."""
    logs = np.log((n + 0.5) / hours)
    least = 1 / (n.sum() + 0.5)
    return float(logs.mean()), max(float(logs.var(ddof=1)) / len(n), least)


def _by_sum(n: Floats, hours: Floats) -> tuple[float, float]:
    """Return the logarithm of the rate of all nights together, and its variance."""
    total = n.sum() + 0.5
    rest = n - total / hours.sum() * hours
    spread = float((rest**2).sum()) * len(n) / (len(n) - 1)
    return float(np.log(total / hours.sum())), max(spread, total) / total**2


def _ratio(
    first: Sequence[NightValue], second: Sequence[NightValue]
) -> tuple[float | None, float | None, float | None, str]:
    fewest = min(len(first), len(second))
    if fewest < FEWEST_NIGHTS:
        why = f"A ratio needs {FEWEST_NIGHTS} nights on each side; there are {len(first)} and {len(second)}."
        return None, None, None, why
    if not sum(one.twitches for one in (*first, *second)):
        return None, None, None, "No twitches above the limit on either side: there is no ratio."
    told = rate_ratio(*_columns(first), *_columns(second))
    return (*told, "")


def _columns(nights: Sequence[NightValue]) -> tuple[list[float], list[float]]:
    # Corrected for dead time, as rates are.
    return [one.rate_per_h * one.valid_h for one in nights], [one.valid_h for one in nights]


def _usual(nights: Sequence[NightValue], *, by_night: bool) -> float | None:
    """Return the rate of a usual night: the geometric mean, or that of all where twitches are few.

    Both sides are told in the same way, as their ratio is.
    """
    if not nights:
        return None
    n, hours = (np.array(column) for column in _columns(nights))
    if by_night:
        return float(np.exp(np.log((n + 0.5) / hours).mean()))
    return float(n.sum() / hours.sum())


def _check(nights: Sequence[SiteNight]) -> None:
    judges = {one.judge: one.night for one in nights}
    if len(judges) > 1:
        (one, here), (other, there) = list(judges.items())[:2]
        raise BadValueError(
            f"{here} and {there} were judged by different detectors ({one}; {other}): "
            "run `twitchmap detect` on all of them first."
        )
    made_up = {one.origin in MADE_UP: one.night for one in nights}
    if len(made_up) > 1:
        raise BadValueError(
            f"{made_up[True]} is simulated and {made_up[False]} is not: they are never compared."
        )


def _why_not(one: SiteNight) -> str:
    """Say why a night cannot be compared; nothing if it can."""
    if one.valid_h < LEAST_VALID_H:
        return f"it has less than {60 * LEAST_VALID_H:.0f} minutes of valid time"
    if one.limit is None:
        return "its detection limit was not measured: run `twitchmap detect` again"
    return "" if one.limit.limit_mg is not None else "its detection limit was not reached"


def _usable(nights: Sequence[SiteNight]) -> list[SiteNight]:
    return [one for one in nights if not _why_not(one)]


def _left_out(nights: Sequence[SiteNight]) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(one.night, one.site, why) for one in nights if (why := _why_not(one)))


def _largest_limit(nights: Sequence[SiteNight]) -> float | None:
    limits = [
        one.limit.limit_mg for one in nights if one.limit is not None and one.limit.limit_mg is not None
    ]
    return max(limits) if limits else None


def _values(nights: Sequence[SiteNight], limit_mg: float | None) -> tuple[NightValue, ...]:
    return tuple(_value(one, one.limit, limit_mg) for one in nights if one.limit and limit_mg is not None)


def _value(one: SiteNight, limit: SiteLimit, limit_mg: float) -> NightValue:
    """Estimate a night's true twitches above a limit that is its own or larger."""
    if one.rate_model is None:
        count = int((one.events["peak_to_peak_mg"] >= limit_mg).sum())
        told = rates(count, 3600 * one.valid_h)
        twitches, (rate, low, high) = (
            float(count),
            (float(told[name]) for name in ("rate_per_h", "rate_low", "rate_high")),
        )
    else:
        model = one.rate_model
        seen = Weighed(one.events, limit, model).above(slice(None), limit_mg, one.valid_h)
        found = estimate(seen, model, model.false_per_h, model.false_shape)
        twitches = found.twitches
        per_s = np.array([found.twitches, found.high]) / (3600 * one.valid_h)
        rate, high = (3600 * without_dead_time(per_s, MERGE_S)).tolist()
        low = found.low / one.valid_h
    return NightValue(
        one.night, one.date, one.site, one.valid_h, float(limit.limit_mg or np.nan), twitches, rate, low, high
    )


def _warnings(first: Sequence[SiteNight], second: Sequence[SiteNight]) -> tuple[str, ...]:
    """Say what else differs between nights and may be all that a difference shows."""
    found, both = [], [*first, *second]
    if len({one.participant for one in both}) > 1:
        found.append("The nights are of different participants.")
    for site in dict.fromkeys(one.site for one in both):
        own = [one for one in both if one.site == site]
        if len({one.placement for one in own}) > 1:
            found.append(f"{site}: the sensor was placed differently; 1-2 cm change what it feels.")
        if len({one.sensor for one in own}) > 1:
            found.append(f"{site}: different sensors were used.")
    if any(one.origin in MADE_UP for one in both):
        found.append("All nights are simulated.")
    return tuple(found)
