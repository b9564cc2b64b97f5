"""The twitch map: events and coverage to counts, valid time and rates per site and time bin.

Times in seconds count from the night's `start_ns`; bins are multiples of their length in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadValueError
from firmware_host.twitch_map.estimate import (
    BIN_SHAPE,
    Estimate,
    RateModel,
    Seen,
    estimate,
    expected_false,
    night_false_per_h,
)
from firmware_host.twitch_map.limits import SiteLimit, limits_of
from firmware_host.twitch_map.rates import night_dispersion, rates, without_dead_time
from firmware_host.twitch_map.spans import inside, seconds_in
from firmware_host.twitches import MERGE_S, Column, Kind, Label, Table, dtype_of

Floats = npt.NDArray[np.float64]

_MOST_BINS = 1_000_000
_LONGEST_BIN_S = 31 * 86_400.0
_NO_BIN_NS = 10**6
"""What reaches no further into a bin is the rounding of a clock and makes none."""


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
    Column(
        "rate_per_h",
        "f8",
        "1/h",
        "true twitches of at least detection_limit_mg an hour of valid time: corrected for expected false "
        "alarms, missed ones and dead time; where the limit is empty or not reached, all counted ones "
        "corrected for dead time alone; empty where not observed",
    ),
    Column(
        "rate_low",
        "f8",
        "1/h",
        "lower limit of the 95 % interval of rate_per_h: of what took place in this very time",
    ),
    Column(
        "rate_high",
        "f8",
        "1/h",
        "its upper limit; where nothing was seen and the limit is not known, 3 / valid time, corrected for "
        "dead time",
    ),
    Column("expected_false", "f8", "", "false alarms to expect among the twitches; empty where not known"),
    Column(
        "detection_limit_mg",
        "f8",
        "mg",
        "amplitude found 9 times in 10, peak to peak; inf where not even "
        "the largest tried was; empty where not measured",
    ),
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
    limits: Mapping[str, SiteLimit] | None = None,
    rate_model: RateModel | None = None,
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
    limits : mapping of site to SiteLimit, optional
        Without one a site's limit is not known, and
    rate_model : RateModel, optional
        without one its rates are those of counting alone.

    Returns
    -------
    COUNT_DTYPE, (sites x bins,)
        Site by site, in order of time.

    Raises
    ------
    BadValueError
        If the bins cannot be made.
    """
    parts = [
        site_counts(
            events[events["site"] == name], coverage[coverage["site"] == name], name, start_ns, bin_s, end_s,
            tau_s=tau_s, limit=(limits or {}).get(name), rate_model=rate_model,
        )
        for name in sites
    ]  # fmt: skip
    return np.concatenate(parts) if parts else np.zeros(0, COUNT_DTYPE)


def site_counts(
    events: Table,
    coverage: Table,
    site: str,
    start_ns: int,
    bin_s: float | None,
    end_s: float,
    *,
    tau_s: float = MERGE_S,
    limit: SiteLimit | None = None,
    rate_model: RateModel | None = None,
) -> Table:
    """Count as `twitch_map`, of events and coverage that are all of one site: no name is compared."""
    edges_ns, nominal_s = _bins(start_ns, bin_s, end_s)
    edges_s = (edges_ns - start_ns) / 1e9
    rows = np.zeros(len(edges_s) - 1, COUNT_DTYPE)
    rows["site"] = site
    rows["bin_start_s"], rows["bin_start_ns"], rows["bin_s"] = edges_s[:-1], edges_ns[:-1], nominal_s
    counts = events["counted"] & inside(events["peak_s"], coverage[coverage["kind"] == Kind.VALID])
    own = np.flatnonzero(counts)
    own = own[np.argsort(events["peak_s"][own], kind="stable")]
    peaks = _drawn_in(events["peak_s"][own], edges_s)
    _fill_site(rows, edges_s, peaks, coverage, end_s, tau_s)
    if limit is not None:
        known = events[own]
        known["peak_s"] = peaks
        _fill_limits(rows, edges_s, known, limit, coverage, rate_model, tau_s)
    return rows


def _drawn_in(peaks: Floats, edges_s: Floats) -> Floats:
    """Return peaks of which those in an end of the night that makes no bin lie in the bin beside it."""
    inner = np.clip(peaks, edges_s[0], np.nextafter(edges_s[-1], edges_s[0]))
    return np.where(np.abs(inner - peaks) <= _NO_BIN_NS / 1e9, inner, peaks)


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
    if last - first > 1:
        first = (start_ns + _NO_BIN_NS) // step
        last = max(-(-(end_ns - _NO_BIN_NS) // step), first + 1)
    return np.arange(first, last + 1, dtype=np.int64) * step, bin_s


def _fill_site(rows: Table, edges_s: Floats, peaks: Floats, cover: Table, end_s: float, tau_s: float) -> None:
    """Fill in what counting alone tells; `peaks` in order, all in valid time."""
    valid = cover[cover["kind"] == Kind.VALID]
    rows["valid_s"] = seconds_in(valid, edges_s)
    rows["twitches"] = np.histogram(peaks, edges_s)[0] if len(edges_s) > 1 else 0
    # A bin that reaches a nanosecond into the night, and in which a twitch fell, was observed.
    rows["valid_s"] = np.maximum(rows["valid_s"], np.where(rows["twitches"] > 0, 1e-6, 0.0))
    dispersion = night_dispersion(peaks, valid, end_s, rows)
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


def _fill_limits(
    rows: Table, edges_s: Floats, events: Table, limit: SiteLimit, cover: Table, model: RateModel | None,
    tau_s: float,
) -> None:  # fmt: skip
    """Fill in the limits, and the rates above them; `events` are the counted ones in valid time."""
    valid = cover[cover["kind"] == Kind.VALID]
    rows["detection_limit_mg"] = limits_of(limit, edges_s, rows["valid_s"], valid)
    if model is None or not len(rows):
        return
    seen = Weighed(events, limit, model)
    valid_h = rows["valid_s"] / 3600
    whole = slice(0, len(events))
    night_limit = limit.within(valid).limit_mg or 0.0  # where it is not reached all count
    false_per_h = night_false_per_h(seen.above(whole, night_limit, float(valid_h.sum())), model)
    all_false_per_h = night_false_per_h(seen.above(whole, 0.0, float(valid_h.sum())), model)
    prior = (false_per_h, all_false_per_h, BIN_SHAPE)
    if len(rows) == 1:
        prior = (model.false_per_h, model.false_per_h, model.false_shape)
    cuts = np.searchsorted(events["peak_s"], edges_s)
    for number in np.flatnonzero(rows["valid_s"] > 0).tolist():
        row, part = rows[number], slice(int(cuts[number]), int(cuts[number + 1]))
        everything = seen.above(part, 0.0, float(valid_h[number]))
        row["expected_false"] = expected_false(everything, model, prior[1], prior[2])
        if np.isfinite(row["detection_limit_mg"]):
            above = seen.above(part, float(row["detection_limit_mg"]), float(valid_h[number]))
            _fill_rates(row, estimate(above, model, prior[0], prior[2]), tau_s)


def _fill_rates(row: np.void, found: Estimate, tau_s: float) -> None:
    values = np.array([found.twitches, found.high]) / row["valid_s"]
    row["rate_per_h"], row["rate_high"] = 3600 * without_dead_time(values, tau_s)
    row["rate_low"] = 3600 * found.low / row["valid_s"]  # dead time may have cost none


class Weighed:
    """A site's counted events with what each stands for."""

    def __init__(self, events: Table, limit: SiteLimit, model: RateModel) -> None:
        self._model = model
        # What a reviewer added has no size: it is counted, and stands in no rate of twitches above a limit.
        self._size_mg = np.nan_to_num(events["peak_to_peak_mg"].astype(float))
        self._sure = events["label"] == Label.TWITCH
        self._bin = model.bins_of(events["probability"])
        gap_s = np.diff(events["peak_s"], prepend=-np.inf, append=np.inf)
        near = model.gap_share(np.minimum(gap_s[:-1], gap_s[1:]))
        share = limit.share(self._size_mg, limit.noise_at(events["peak_s"]))
        self._weight = 1 / np.clip(share * near, 0.05, 1.0)

    def above(self, part: slice, limit_mg: float, hours: float) -> Seen:
        """Return what of some events counts as above a limit."""
        from scipy.special import ndtr

        model = self._model
        over = np.log(np.maximum(self._size_mg[part], 1e-9) / (max(limit_mg, 1e-9) * model.least_size))
        own = over >= 0
        truly = ndtr(over / max(model.size_spread, 1e-6))
        sure = own & self._sure[part]
        found = np.bincount(self._bin[part][own & ~sure], minlength=len(model.true_share))
        return Seen(
            tuple(found.tolist()),
            hours,
            float(self._weight[part][own].sum()),
            float((truly * (1 - truly)).sum()),
            int(sure.sum()),
        )
