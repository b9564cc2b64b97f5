"""The tables of a detection run: their columns, units and checks, declared once.

The results store makes its database columns from these declarations, the exporters their headers and data
dictionary. A table is a numpy structured array; a row of `EVENT_COLUMNS` is a twitch event (or a rejected
candidate), a row of `COVERAGE_COLUMNS` a stretch of one site's night and what could be seen in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.void]

MERGE_S = 0.060
"""Events closer than this are one, and so are truths: two potentials 5-35 ms apart (Kleine 2008) fuse to one
mechanical burst, while units that fire in runs do so every 80-100 ms."""


@dataclass(frozen=True)
class Column:
    """One column: name, numpy dtype, unit ("" where it has none) and what it means."""

    name: str
    dtype: str
    unit: str
    meaning: str


class Kind(IntEnum):
    """What a stretch of a site's night was good for; only in `VALID` time could a twitch have been found."""

    VALID = 0
    MOVEMENT = 1
    GAP = 2
    CLIPPED = 3
    NOT_WORN = 4
    NOISY = 5
    EXCLUDED = 6


class Label(IntEnum):
    """A reviewer's verdict on an event."""

    NONE = 0
    TWITCH = 1
    NOT_TWITCH = 2


class Flag(IntFlag):
    """What else is known of an event."""

    COMPLEX = 1
    """Two or more events closer than 60 ms, counted as one."""
    REJECTED = 2
    """A context rule or the reviewer speaks against it: never counted."""
    BELOW_FLOOR = 4
    """A candidate below the operating point, kept for review and for `export --candidates`."""
    SURE_UNIT = 8
    """Of a unit with many sure twitches: it counts from a lower probability on."""
    SIDE_LOBE = 16
    """By rules a swing of the larger event beside it; pass 2 says whether it is a twitch of its own."""


class Reason(IntEnum):
    """What speaks most against a candidate that does not count; by simple rules, for who looks at it."""

    NONE = 0
    """It counts, or nothing was asked."""
    SECOND_MAXIMUM = 1
    """A later swing of the larger event beside it."""
    ELSEWHERE = 2
    """Sensors on other muscles show something at the same moment."""
    MOVEMENT = 3
    """The site moves just before or after, or is restless."""
    HEART = 4
    """The heartbeats around explain it."""
    SERIES = 5
    """It is one of a regular series."""
    MACHINE = 6
    """Its unit repeats like a clock, or far too often."""
    NOISE = 7
    """Hardly larger than the noise."""
    UNLIKE = 8
    """None of these: its shape and surroundings together."""


EVENT_COLUMNS: tuple[Column, ...] = (
    Column("event_id", "i8", "", "number of the event within its run, in order of site and time"),
    Column("site", "U32", "", "where the sensor sat; left and right are the person's own"),
    Column("unit", "i4", "", "the motor unit it is ascribed to; empty where none is known"),
    Column("peak_s", "f8", "s", "maximum of the zero-phase 3-45 Hz norm, from the night's start_ns"),
    Column("onset_s", "f8", "s", "time where the burst rises out of the floor, from the night's start_ns"),
    Column("duration_ms", "f4", "ms", "time from onset to the end of the burst"),
    Column("peak_to_peak_mg", "f4", "mg", "peak-to-peak in 3-45 Hz along the event's own main direction"),
    Column("snr", "f4", "", "d = sqrt(2 E) / nd: energy over three axes in 3-45 Hz against the local floor"),
    Column("dominant_hz", "f4", "Hz", "frequency at which the burst has most power"),
    Column("probability", "f4", "", "calibrated probability of a twitch; empty where the model gives none"),
    Column(
        "counted",
        "?",
        "",
        "1 where it counts: in valid time, and at or above the operating point (of a sure unit, sooner) or "
        "accepted by a reviewer; never where a reviewer rejected it",
    ),
    Column("label", "u1", "", "the reviewer's verdict: empty, twitch or not_twitch"),
    Column("flags", "u4", "", "what else is known: complex, rejected, below_floor, sure_unit, side_lobe"),
    Column("reason", "u1", "", "what speaks most against it where it does not count, see twitches.Reason"),
)

COVERAGE_COLUMNS: tuple[Column, ...] = (
    Column("site", "U32", "", "where the sensor sat"),
    Column("start_s", "f8", "s", "start of the stretch, from the night's start_ns"),
    Column("end_s", "f8", "s", "end of the stretch (not part of it), from the night's start_ns"),
    Column(
        "kind",
        "u1",
        "",
        "valid (a twitch could be found), movement, gap, clipped, not_worn, noisy or excluded",
    ),
    Column("wear_unconfirmed", "?", "", "1 where the sensor lay so still that wearing it cannot be shown"),
)

UNIT_WAVE_HZ = 100.0
"""Rate of the time grid on which waves of units are kept; the candidate's peak stands at `UNIT_PEAK`."""
UNIT_SAMPLES, UNIT_PEAK = 46, 22

UNIT_COLUMNS: tuple[Column, ...] = (
    Column("site", "U32", "", "where the sensor sat"),
    Column("unit", "i4", "", "number of the unit at its site, from the one with most twitches on"),
    Column("count", "i8", "", "counted twitches ascribed to it"),
    Column("rate_per_h", "f4", "1/h", "these per hour of valid time"),
    Column("peak_to_peak_mg", "f4", "mg", "median peak-to-peak of them"),
    Column("low_mg", "f4", "mg", "lower quartile of it"),
    Column("high_mg", "f4", "mg", "upper quartile of it"),
    Column("doublet_share", "f4", "", "share of them that are two or more potentials closer than 60 ms"),
    Column("run_share", "f4", "", "share of them that follow another of the unit within 60-150 ms"),
    Column("interval_s", "f4", "s", "median interval between them; not known of one, as is the next"),
    Column("regularity", "f4", "", "0 as random intervals are, 1 as a clock"),
)
"""What is told of a unit: twitches of one site that are alike in shape and direction."""


def dtype_of(columns: Iterable[Column]) -> np.dtype[np.void]:
    """Return the structured dtype that the columns declare."""
    return np.dtype([(column.name, column.dtype) for column in columns])


EVENT_DTYPE = dtype_of(EVENT_COLUMNS)
COVERAGE_DTYPE = dtype_of(COVERAGE_COLUMNS)
UNIT_DTYPE = dtype_of(UNIT_COLUMNS)


def table(dtype: np.dtype[np.void], n: int, **columns: Any) -> Table:  # noqa: ANN401
    """Make a table of `n` rows from named columns; what is not named is 0, or NaN for `probability`.

    Raises
    ------
    ValueError
        If a name is no column of the table.
    """
    rows = np.zeros(n, dtype)
    names = dtype.names or ()
    if "probability" in names:
        rows["probability"] = np.nan
    if "unit" in names:
        rows["unit"] = -1
    for name, values in columns.items():
        if name not in names:
            raise ValueError(f"{name!r} is no column; the columns are {', '.join(names)}")
        rows[name] = values
    return rows


def in_parts(count: int, at_once: int) -> Iterator[slice]:
    """Yield slices of so many rows, the last of what is left: long tables are worked through in parts."""
    for first in range(0, count, at_once):
        yield slice(first, min(first + at_once, count))


def check_events(events: Table) -> None:
    """Check an event table where it is made: its dtype, its order, and that its numbers can be true.

    Raises
    ------
    ValueError
        With the first thing that is wrong and what it probably means.
    """
    if events.dtype != EVENT_DTYPE:
        raise ValueError(f"an event table has the columns of EVENT_COLUMNS, not {events.dtype.names}")
    for name in ("peak_s", "onset_s", "duration_ms", "peak_to_peak_mg", "snr", "dominant_hz"):
        if not np.all(np.isfinite(events[name])):
            raise ValueError(f"column {name} holds a number that is not finite")
    if np.any(events["onset_s"] > events["peak_s"] + 1e-9):
        raise ValueError("an onset lies after its peak")
    if np.any(events["peak_s"] > 40 * 86_400.0):
        raise ValueError("a peak lies more than 40 days after the start: were the times in seconds?")
    _check_order(events, "peak_s")


def check_coverage(coverage: Table) -> None:
    """Check a coverage table: half-open stretches in order, without overlap within a site.

    Raises
    ------
    ValueError
        With the first thing that is wrong.
    """
    if coverage.dtype != COVERAGE_DTYPE:
        raise ValueError(f"a coverage table has the columns of COVERAGE_COLUMNS, not {coverage.dtype.names}")
    if np.any(coverage["end_s"] <= coverage["start_s"]):
        raise ValueError("a stretch of coverage ends before it starts")
    if np.any(coverage["kind"] > max(Kind)):
        raise ValueError("a stretch of coverage has an unknown kind")
    _check_order(coverage, "start_s")
    same = coverage["site"][1:] == coverage["site"][:-1]
    if np.any(same & (coverage["start_s"][1:] < coverage["end_s"][:-1] - 1e-6)):
        raise ValueError("two stretches of one site's coverage overlap")


def _check_order(rows: Table, time: str) -> None:
    same = rows["site"][1:] == rows["site"][:-1]
    if np.any(same & (np.diff(rows[time]) < 0)):
        raise ValueError(f"rows of one site are not in order of {time}")
    if len(set(rows["site"].tolist())) != 1 + int(np.count_nonzero(~same)) and len(rows):
        raise ValueError("the rows of one site do not stand together")


def tiled(covered: Table, site: str, end_s: float) -> Table:
    """Fill what no stretch covers with gaps, so that the coverage tiles the night from 0 to `end_s`.

    Two stretches may overlap by what their clock fits are uncertain; the later one then begins where the
    earlier ends. Neighbours of one kind become one row.
    """
    covered = covered.copy()
    ended_s = np.maximum.accumulate(np.append(0.0, covered["end_s"][:-1]))
    covered["start_s"] = np.maximum(covered["start_s"], ended_s)
    covered = covered[covered["end_s"] > covered["start_s"]]
    starts = np.append(0.0, covered["end_s"])
    ends = np.append(covered["start_s"], end_s)
    open_ = ends > starts
    gaps = table(
        COVERAGE_DTYPE, int(open_.sum()), site=site, start_s=starts[open_], end_s=ends[open_], kind=Kind.GAP
    )
    rows = np.concatenate([covered, gaps])
    rows = rows[np.argsort(rows["start_s"], kind="stable")]
    what = rows[["kind", "wear_unconfirmed"]]
    first = np.flatnonzero(np.append(True, what[1:] != what[:-1])[: len(rows)])
    merged: Table = rows[first]
    merged["end_s"] = np.append(merged["start_s"][1:], rows["end_s"][-1:])
    return merged


def valid_s(coverage: Table) -> float:
    """Return the seconds of valid time in a coverage table."""
    valid = coverage[coverage["kind"] == Kind.VALID]
    return float(np.sum(valid["end_s"] - valid["start_s"]))
