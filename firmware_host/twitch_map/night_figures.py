"""Figures of one site's night besides its rate: busy minutes, time to the next twitch, sizes, and spread.

All of them look at counted events in valid time only. What was not observed is never taken for quiet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.twitch_map.spans import inside, seconds_in
from firmware_host.twitches import Table

Floats = npt.NDArray[np.float64]

MINUTE_NS = 60 * 10**9
BUSY = 5
"""Twitches that make a minute a busy one: so the AASM manual counts fragmentary myoclonus in sleep."""
ACTIVE_WITHIN_S = 60.0
"""Two twitches within it make a site active, as ultrasound has it (Noto 2017)."""
PASSED_OVER_S = 60.0
"""A wait goes on over a shorter interruption, which is not counted in it; a longer one ends it."""
_QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Quartiles:
    """Lower quartile, median and upper quartile; NaN where nothing is known, infinite where not reached."""

    low: float
    median: float
    high: float


UNKNOWN = Quartiles(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Waits:
    """The valid time from each counted twitch to the next one of its site, s."""

    quartiles: Quartiles
    longest_s: float
    """The longest of these times, ended by a twitch or not: what is not reached is longer."""


def busy_minutes(
    peaks_s: Floats, valid: Table, start_ns: int, end_s: float, least: int = BUSY
) -> tuple[int, int]:
    """Count the minutes of the clock with so many twitches, and the minutes that could be counted.

    Parameters
    ----------
    peaks_s : (n,)
        Peaks of counted events, s from `start_ns`.
    valid : COVERAGE_DTYPE, (k,)
        The site's valid time, in order and without overlap.
    start_ns : int
        The night's start, UTC.
    end_s : float
        End of the night, s.

    Returns
    -------
    busy, whole
        Only minutes that were valid from their first to their last moment are asked: in a part of a minute
        five twitches are rarer than in a whole one.
    """
    first = start_ns // MINUTE_NS
    last = -(-(start_ns + round(end_s * 1e9)) // MINUTE_NS)
    edges_s = (np.arange(first, last + 1, dtype=np.int64) * MINUTE_NS - start_ns) / 1e9
    whole = seconds_in(valid, edges_s) >= 60.0 - 1e-5
    twitches = np.histogram(peaks_s[inside(peaks_s, valid)], edges_s)[0] if len(edges_s) > 1 else whole
    return int(np.sum(whole & (twitches >= least))), int(whole.sum())


def waits(peaks_s: Floats, valid: Table) -> Waits:
    """Return the quartiles of the time from one twitch to the next (Kaplan & Meier 1958).

    Nights are interrupted every few minutes, mostly for seconds. A wait goes on over interruptions of up to
    `PASSED_OVER_S`, and only valid time is counted in it. A longer one, and the end of the night, cut it off:
    it is then known to be at least so long, and is used as that. Intervals between neighbours alone would be
    too short, as long ones seldom fit between interruptions.

    Parameters
    ----------
    peaks_s : (n,)
        Peaks of counted events, s, in order.
    valid : COVERAGE_DTYPE, (k,)
        The site's valid time, in order and without overlap.
    """
    peaks = peaks_s[inside(peaks_s, valid)]
    if not len(peaks):
        return Waits(UNKNOWN, 0.0)
    starts, ends = valid["start_s"], valid["end_s"]
    before_s = np.cumsum(ends - starts) - (ends - starts)
    at = np.searchsorted(starts, peaks, side="right") - 1
    clock_s = before_s[at] + peaks - starts[at]
    part = np.cumsum(np.append(False, starts[1:] - ends[:-1] > PASSED_OVER_S))
    part_end_s = (before_s + ends - starts)[np.searchsorted(part, part[at], side="right") - 1]
    follows = np.append(part[at][1:] == part[at][:-1], False)
    waited_s = np.where(follows, np.append(clock_s[1:], 0.0), part_end_s) - clock_s
    times, of = np.unique(waited_s, return_inverse=True)
    came, every = np.bincount(of, follows, len(times)), np.bincount(of, minlength=len(times))
    left = len(peaks) - np.concatenate(([0], np.cumsum(every)[:-1]))
    still = np.cumprod(1 - came / left)
    reached = [times[still <= 1 - share + 1e-12] for share in _QUARTERS]
    low, median, high = (float(found[0]) if len(found) else math.inf for found in reached)
    return Waits(Quartiles(low, median, high), float(times[-1]))


def sizes(values: npt.ArrayLike) -> Quartiles:
    """Return the quartiles of sizes; those that are not known (NaN) are left out."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return UNKNOWN
    low, median, high = np.quantile(known, _QUARTERS).tolist()
    return Quartiles(low, median, high)


def is_active(peaks_s: Floats, within_s: float = ACTIVE_WITHIN_S) -> bool:
    """Tell whether two twitches lie so near to each other; `peaks_s` (n,) in order, in valid time."""
    return bool(np.any(np.diff(peaks_s) <= within_s))


def active_by_chance(false_alarms: float, valid_s: float, within_s: float = ACTIVE_WITHIN_S) -> float:
    """Return how probable it is that false alarms alone make a site active.

    Parameters
    ----------
    false_alarms
        How many to expect in the valid time; they are taken to come at random.
    valid_s
        Valid time, s.
    """
    if valid_s <= 0 or not false_alarms > 0:
        return 0.0
    rate = false_alarms / valid_s
    # So many of them have another one behind them soon enough; that there is none at all is nearly Poisson.
    return -math.expm1(false_alarms * math.expm1(-rate * within_s))
