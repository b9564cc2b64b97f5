"""What a picture of the night is made of, and how its numbers read in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

import numpy as np

from firmware_host.body import order, site
from firmware_host.recording.night import NightMeta, evening_of
from firmware_host.review.charts.time_axis import clock_of, local
from firmware_host.twitch_map import State
from firmware_host.twitches import Kind, Table

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night

NOTE = (
    "Counts of movements that look like twitches, not a diagnosis. The number alone is neither good nor bad."
)
LITTLE = 0.2
"""Share of a bin below which its valid time is called little: its rate is unsteady, and its bar is pale."""
_ORIGINS = {"simulated": "simulated", "virtual": "virtual sensors"}


@dataclass(frozen=True)
class MapData:
    """A night's counts, ready to be drawn."""

    title: str
    start_ns: int
    end_ns: int
    time_zone: str
    origin: str
    """recorded, imported, virtual or simulated"""
    bins: Table
    """`COUNT_DTYPE`: the sites' counts in time bins."""
    totals: Table
    """`COUNT_DTYPE`: one row a worn site, of the whole night."""
    coverage: Table
    """`COVERAGE_DTYPE`"""
    start_known: bool = True
    """Else its times count from 00:00, and there is no date."""

    @property
    def rows(self) -> list[np.void]:
        """The sites' totals, from head to foot."""
        return sorted(self.totals, key=lambda row: order(str(row["site"])))

    @property
    def zone(self) -> tzinfo:
        """The time zone that its times are told in."""
        return clock_of(self.time_zone, self.start_ns, start_known=self.start_known)

    @property
    def night_s(self) -> float:
        """Length of the night in s."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def mark(self) -> str:
        """What must be said of a night that no person slept; empty for a real one."""
        return _ORIGINS.get(self.origin, "")


def map_of(night: Night, run: Run, bin_s: float | None) -> MapData:
    """Return the counts of a run in time bins, ready to be drawn; None makes one bin of the whole night."""
    from firmware_host.analysis import night_counts

    return MapData(
        title=night_title(night.meta, night.start_ns),
        start_ns=run.summary.start_ns,
        end_ns=run.summary.start_ns + round(run.summary.duration_s * 1e9),
        time_zone=night.meta.time_zone,
        origin=night.meta.origin,
        bins=night_counts(night, run, bin_s),
        totals=night_counts(night, run),
        coverage=run.coverage,
        start_known=night.meta.start_known,
    )


def scale_bins(bins: Table) -> Table:
    """Return the bins that a scale is made for: of each site those with enough valid time, else what it has.

    One bin that was hardly observed may hold any rate and would make all others look small.
    """
    seen = bins["valid_s"] > 0
    enough = seen & (bins["valid_s"] >= LITTLE * bins["bin_s"])
    return bins[enough | (seen & ~np.isin(bins["site"], bins["site"][enough]))]


def night_title(meta: NightMeta, start_ns: int) -> str:
    """Return what a person calls the night: its evening, and its label where that says more."""
    evening = evening_of(start_ns, meta.time_zone)
    date = f"Night of {evening.day} {evening:%B %Y}" if meta.start_known else "Night of unknown date"
    return date if meta.label in {"", meta.origin} else f"{date}, {meta.label}"


def rate_digits(rate: float, high: float) -> int:
    """Return with how many digits after the point a rate and its interval are written."""
    return 0 if rate >= 10 or high >= 100 else 1 if rate >= 0.1 or high >= 1 else 2


def rate_parts(rate: float, low: float, high: float) -> tuple[str, str, str]:
    """Return a rate and the ends of its interval as they are written; zero is zero, without digits."""
    digits = rate_digits(rate, high)
    rate_text, low_text, high_text = (f"{one:,.{digits}f}" if one else "0" for one in (rate, low, high))
    return rate_text, low_text, high_text


def rate_words(row: np.void) -> str:
    """Return a site's number with its interval: "38 per valid hour (31 to 46)"."""
    if row["state"] == State.NOT_WORN:
        return "not worn"
    if row["valid_s"] <= 0:
        return "not observed"
    rate, low, high = rate_parts(float(row["rate_per_h"]), float(row["rate_low"]), float(row["rate_high"]))
    if row["twitches"] == 0:
        return f"none seen (0 to {high} per valid hour)"
    return f"{rate} per valid hour ({low} to {high})"


def short_rate(row: np.void) -> str:
    """Return a site's number where there is next to no room: "38/h", "none", "?" where nothing is known."""
    if row["valid_s"] <= 0:
        return "?"
    rate = float(row["rate_per_h"])
    return "none" if row["twitches"] == 0 else f"{rate_parts(rate, rate, rate)[0]}/h"


def valid_words(row: np.void, data: MapData) -> str:
    """Return how much of the night was observed: "6 h 12 min valid of 8 h"."""
    cover = data.coverage[(data.coverage["site"] == row["site"]) & (data.coverage["kind"] == Kind.VALID)]
    cover = cover[cover["wear_unconfirmed"]]
    doubtful_s = float(np.sum(cover["end_s"] - cover["start_s"]))
    doubt = f", wearing not confirmed in {duration_words(doubtful_s)} of it" if doubtful_s >= 60 else ""
    if row["valid_s"] <= 0:
        return f"no valid time in {duration_words(data.night_s)}"
    return f"{duration_words(float(row['valid_s']))} valid of {duration_words(data.night_s)}{doubt}"


def limit_words(row: np.void) -> str:
    """Return the smallest twitch that this site's night could show."""
    limit = float(row["detection_limit_mg"])
    if math.isinf(limit):
        return "detection limit not reached"
    return "detection limit not known" if math.isnan(limit) else f"detection limit {limit:.1f} mg"


def night_words(data: MapData) -> str:
    """Return when the night was, in its own time zone, from the nearest second on as in all that tells it."""
    if not data.start_known:
        return "Date not known, times count from 00:00"
    start, end = (local(ns + 5 * 10**8, data.zone) for ns in (data.start_ns, data.end_ns))
    day = f"{start:%a} {start.day} {start:%b %Y}"
    until = f"{end:%H:%M}" if (end - start).days < 1 else f"{end.day} {end:%b} {end:%H:%M}"
    return f"{day}, {start:%H:%M} to {until} ({data.time_zone})"


def site_words(row: np.void, data: MapData) -> str:
    """Return one sentence on a site, for a screen reader or a pointer."""
    label = site(str(row["site"])).label
    return f"{label}: {rate_words(row)}; {valid_words(row, data)}; {limit_words(row)}"


def duration_words(seconds: float) -> str:
    """Return a duration in hours and minutes: "6 h 12 min"; below a minute in seconds."""
    if seconds < 59.5:
        return f"{seconds:.{1 if seconds < 9.95 and seconds % 1 else 0}f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join([f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0 or not hours))
