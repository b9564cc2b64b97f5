"""The twitch map: events and coverage to counts, valid time and rates per site and time bin.

Times in seconds count from the night's `start_ns`; bins are multiples of their length in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadValueError
from firmware_host.twitches import MERGE_S, Column, Kind, Table, dtype_of

Floats = npt.NDArray[np.float64]

MOST_LOST = 0.5
"""Share of time lost to dead time beyond which the correction grows no more: the formula diverges as the
share nears 1 and is not to be relied on long before (Knoll, Radiation Detection and Measurement, ch. 4)."""
_MOST_BINS = 1_000_000
_LONGEST_BIN_S = 31 * 86_400.0


class State(IntEnum):
    """What a bin of a site's night says."""

    OBSERVED = 0
    """There was valid time: a count of zero here means none."""
    WEAR_UNCONFIRMED = 1
    """Valid time, most of it so still that wearing the sensor cannot be shown."""
    NOT_OBSERVED = 2
    """No valid time (movement, gap, clipped, noisy, excluded): nothing is known."""
    NOT_WORN = 3
    """No valid time, and for most of the bin the sensor was not worn."""


COUNT_COLUMNS: tuple[Column, ...] = (
    Column("site", "U32", "", "where the sensor sat; left and right are the person's own"),
    Column(
        "bin_start_s", "f8", "s", "start of the bin, from the night's start_ns; negative if it began before"
    ),
    Column("bin_start_ns", "i8", "ns", "start of the bin in UTC"),
    Column("bin_s", "f8", "s", "nominal length of the bin; the first and last reach beyond the night"),
    Column("valid_s", "f8", "s", "time in the bin in which a twitch could have been found; 0 = not observed"),
    Column("twitches", "i8", "", "counted events with their peak in the bin's valid time"),
    Column("rate_raw_per_h", "f8", "1/h", "twitches per hour of valid time; empty where not observed"),
    Column("rate_per_h", "f8", "1/h", "rate corrected for dead time; empty where not observed"),
    Column("rate_low", "f8", "1/h", "lower limit of the 95 % interval of rate_per_h"),
    Column(
        "rate_high", "f8", "1/h", "upper limit of the 95 % interval; 3 / valid time where nothing was seen"
    ),
    Column("expected_false", "f8", "", "false alarms to expect among the twitches; empty where not known"),
    Column("detection_limit_mg", "f8", "mg", "amplitude found 9 times in 10; empty where not measured"),
    Column("state", "u1", "", "observed, wear_unconfirmed, not_observed or not_worn"),
)
COUNT_DTYPE = dtype_of(COUNT_COLUMNS)


def twitch_map(
    events: Table,
    coverage: Table,
    sites: Sequence[str],
    start_ns: int,
    bin_s: float | None,
    end_s: float,
    *,
    tau_s: float = MERGE_S,
) -> Table:
    """Count the twitches of each site in each time bin, over the time in which they could be seen.

    Parameters
    ----------
    events : EVENT_DTYPE, (n,)
        Only rows with `counted`, and whose peak lies in valid time, are counted.
    coverage : COVERAGE_DTYPE, (k,)
        Sorted by time within each site, without overlap. What it does not cover was not observed.
    sites : sequence of str
        The sites of the table, in this order; one without coverage was not observed.
    start_ns : int
        The night's start, UTC.
    bin_s : float or None
        Length of the bins in s; None makes one bin of the whole night.
    end_s : float
        End of the night in s from `start_ns`.
    tau_s : float
        Dead time in s: events closer than this are one.

    Returns
    -------
    COUNT_DTYPE, (sites x bins,)
        Site by site, in order of time.

    Raises
    ------
    BadValueError
        If the bins cannot be made.
    """
    edges_ns, nominal_s = _bins(start_ns, bin_s, end_s)
    edges_s = (edges_ns - start_ns) / 1e9
    n = len(edges_s) - 1
    counts = np.zeros(n * len(sites), COUNT_DTYPE)
    for index, name in enumerate(sites):
        rows = counts[index * n : (index + 1) * n]
        rows["site"] = name
        rows["bin_start_s"], rows["bin_start_ns"], rows["bin_s"] = edges_s[:-1], edges_ns[:-1], nominal_s
        cover = coverage[coverage["site"] == name]
        peaks = events["peak_s"][(events["site"] == name) & events["counted"]]
        _fill_site(rows, edges_s, peaks, cover, end_s, tau_s)
    return counts


def _bins(start_ns: int, bin_s: float | None, end_s: float) -> tuple[npt.NDArray[np.int64], float]:
    """Return the edges of the bins (UTC ns) and their nominal length in s."""
    end_ns = start_ns + round(end_s * 1e9)
    if end_ns <= start_ns:
        return np.array([start_ns], np.int64), bin_s or 0.0
    if bin_s is None:
        return np.array([start_ns, end_ns], np.int64), end_s
    if not 1 <= bin_s <= _LONGEST_BIN_S or end_s / bin_s > _MOST_BINS:
        raise BadValueError(
            f"Time bins of {bin_s:g} s cannot be used: choose 1 s to 31 days, such as 15 min."
        )
    step = round(bin_s * 1e9)
    first, last = start_ns // step, -(-end_ns // step)
    return np.arange(first, last + 1, dtype=np.int64) * step, bin_s


def _fill_site(
    rows: Table, edges_s: Floats, peaks_s: Floats, cover: Table, end_s: float, tau_s: float
) -> None:
    is_valid = cover["kind"] == Kind.VALID
    valid = cover[is_valid]
    peaks = np.sort(peaks_s[inside(peaks_s, valid)])
    rows["valid_s"] = seconds_in(valid, edges_s)
    rows["twitches"] = np.histogram(peaks, edges_s)[0] if len(edges_s) > 1 else 0
    # A bin that reaches a nanosecond into the night, and in which a twitch fell, was observed.
    rows["valid_s"] = np.maximum(rows["valid_s"], np.where(rows["twitches"] > 0, 1e-6, 0.0))
    dispersion = _night_dispersion(peaks, valid, end_s, rows)
    for name, values in rates(rows["twitches"], rows["valid_s"], dispersion, tau_s).items():
        rows[name] = values
    rows["expected_false"] = rows["detection_limit_mg"] = np.nan

    unconfirmed = seconds_in(valid[valid["wear_unconfirmed"]], edges_s)
    not_worn = seconds_in(cover[cover["kind"] == Kind.NOT_WORN], edges_s)
    inside_s = np.diff(np.clip(edges_s, 0, end_s))
    rows["state"] = np.select(
        [rows["valid_s"] > 2 * unconfirmed, rows["valid_s"] > 0, not_worn > inside_s / 2],
        [State.OBSERVED, State.WEAR_UNCONFIRMED, State.NOT_WORN],
        State.NOT_OBSERVED,
    )


def inside(times_s: Floats, stretches: Table) -> npt.NDArray[np.bool_]:
    """Tell which times lie in one of the half-open stretches."""
    if not len(stretches):
        return np.zeros(len(times_s), bool)
    at = np.searchsorted(stretches["start_s"], times_s, side="right") - 1
    return np.asarray((at >= 0) & (times_s < stretches["end_s"][at]))


def seconds_in(stretches: Table, edges_s: Floats) -> Floats:
    """Return the seconds of the stretches that fall between each two edges."""
    if not len(stretches):
        return np.zeros(max(len(edges_s) - 1, 0))
    lengths = stretches["end_s"] - stretches["start_s"]
    knots_s = np.column_stack((stretches["start_s"], stretches["end_s"])).ravel()
    # rounded to 1 us: what is left of 1e-12 s after a subtraction is no observed time
    total_s = np.repeat(np.concatenate(([0.0], np.cumsum(lengths))), 2)[1:-1]
    return np.asarray(np.round(np.diff(np.interp(edges_s, knots_s, total_s)), 6))


def rates(
    twitches: npt.ArrayLike,
    valid_s: npt.ArrayLike,
    dispersion: npt.ArrayLike = 1.0,
    tau_s: float = MERGE_S,
) -> dict[str, Floats]:
    """Return rates per hour of valid time with their 95 % limits, by the names of the columns.

    The limits are Garwood's exact Poisson limits (Garwood 1936) of the count divided by its dispersion,
    scaled back (quasi-Poisson); at zero the upper one is the rule of three (Hanley & Lippman-Hand 1983).
    Rate and limits are then corrected for a non-extending dead time, rate = m / (1 - m tau) (Knoll, ch. 4).

    Parameters
    ----------
    twitches, valid_s : array_like
        Counts and the seconds in which they were seen; where these are 0 the rates are NaN: not observed.
    dispersion : array_like
        Variance of the counts over their mean, 1 or more.
    tau_s : float
        Dead time in s.
    """
    from scipy.special import gammaincinv

    n = np.asarray(twitches, float)
    seconds = np.where(np.asarray(valid_s) > 0, valid_s, np.nan)
    phi = np.asarray(dispersion, float)
    low = np.where(n > 0, phi * gammaincinv(np.maximum(n / phi, 1e-300), 0.025), 0.0)
    high = np.where(n > 0, phi * gammaincinv(n / phi + 1, 0.975), 3.0)
    return {
        "rate_raw_per_h": 3600 * n / seconds,
        "rate_per_h": 3600 * without_dead_time(n / seconds, tau_s),
        "rate_low": 3600 * without_dead_time(low / seconds, tau_s),
        "rate_high": 3600 * without_dead_time(high / seconds, tau_s),
    }


def without_dead_time(rate_per_s: Floats, tau_s: float) -> Floats:
    """Correct observed rates (1/s) for a non-extending dead time, by at most 1 / (1 - MOST_LOST)."""
    return np.asarray(rate_per_s / (1 - np.minimum(rate_per_s * tau_s, MOST_LOST)))


def _night_dispersion(peaks_s: Floats, valid: Table, end_s: float, rows: Table) -> float:
    """Return the dispersion of the counts in bins of this length, estimated from the whole night.

    Bursts that last longer than a minute make counts of longer times vary more than those of minutes, so a
    bin is judged by blocks of 1, 5, 20 and 60 min, as far as six of them go into it. In simulated 8 h nights
    the interval then holds the true rate in 94-98 of 100 (Poisson, or bursts up to 5 min), in about 90 with
    bursts of 20 min and in about 80 with bursts of 30 min: one night holds too few of those.
    """
    if not len(rows) or not len(peaks_s):
        return 1.0
    bin_min = min(float(rows["bin_s"][0]), end_s) / 60
    blocks_min = [1, *(minutes for minutes in (5, 20, 60) if 6 * minutes <= bin_min)]
    return max(_dispersion(peaks_s, valid, np.arange(0.0, end_s + 60 * b, 60 * b)) for b in blocks_min)


def _dispersion(peaks_s: Floats, valid: Table, edges_s: Floats) -> float:
    """Return the variance of block counts over their mean, 1 or more, drawn towards 1 if blocks are few.

    The ratio of sums (instead of Pearson's sum of ratios) keeps blocks with next to no valid time harmless.
    """
    seconds = seconds_in(valid, edges_s)
    n = np.histogram(peaks_s, edges_s)[0][seconds > 0]
    seconds = seconds[seconds > 0]
    blocks = len(seconds)
    if blocks < 2:
        return 1.0
    expected = n.sum() * seconds / seconds.sum()
    estimate = float(((n - expected) ** 2).sum() / expected.sum()) * blocks / (blocks - 1)
    return max(1.0, 1.0 + (estimate - 1.0) * (blocks - 1) / (blocks + 4))
