"""The long tables that leave the house: which columns they have and how a night's run fills them.

Every exporter uses these, so that a CSV and any other format of the same night say the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host import body
from firmware_host.analysis import Run, night_counts
from firmware_host.recording import Night
from firmware_host.recording.diary import DIARY_COLUMNS, read_diary
from firmware_host.recording.night import evening_of, zone
from firmware_host.twitch_map import COUNT_COLUMNS
from firmware_host.twitches import COVERAGE_COLUMNS, EVENT_COLUMNS, Column, Flag, Kind, Label, Table

Nanoseconds = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[Any]]
"""A filled table: one array a column, in the order of its declaration. Numbers that are not known are NaN."""

_ISO = "ISO 8601"
_LEADING = (
    Column("participant", "U", "", "pseudonym of the person"),
    Column("night", "U", "", "name of the night's folder"),
    Column("night_date", "U", "", "date of the evening: a start before noon belongs to the evening before"),
    Column("run_id", "U", "", "the detection run that the row comes from"),
    Column("site", "U", "", "where the sensor sat; left and right are the person's own"),
    Column("side", "U", "", "left or right"),
    Column("region", "U", "", "bulbar, cervical, thoracic or lumbosacral"),
)
_DETECTOR = (
    Column("detector", "U", "", "the program that found it, with its version"),
    Column("model", "U", "", "the model bundle that judged it, with its version"),
)


def _declared(columns: tuple[Column, ...], *names: str) -> tuple[Column, ...]:
    known = {column.name: column for column in columns}
    return tuple(known[name] for name in names)


EVENTS = (
    *_LEADING,
    *_declared(EVENT_COLUMNS, "event_id", "unit", "peak_s"),
    Column("onset_utc", "U", _ISO, "where the burst rises out of the floor, in UTC"),
    Column("onset_local", "U", _ISO, "the same in the night's time zone"),
    *_declared(
        EVENT_COLUMNS, "duration_ms", "peak_to_peak_mg", "snr", "dominant_hz", "probability", "counted"
    ),
    Column("label", "U", "", "the reviewer's verdict: empty, twitch or not_twitch"),
    Column("flags", "U", "", "what else is known, separated by spaces: complex, rejected, below_floor"),
    *_DETECTOR,
)
COUNTS = (
    *_LEADING,
    Column("bin_start_utc", "U", _ISO, "start of the time bin, a multiple of its length in UTC"),
    Column("bin_start_local", "U", _ISO, "the same in the night's time zone"),
    *_declared(COUNT_COLUMNS, "bin_s", "valid_s", "twitches", "rate_raw_per_h", "rate_per_h",
               "rate_low", "rate_high", "expected_false", "detection_limit_mg"),
)  # fmt: skip
COVERAGE = (
    *_LEADING,
    *_declared(COVERAGE_COLUMNS, "start_s", "end_s"),
    Column("kind", "U", "", "valid, movement, gap, clipped, not_worn, noisy or excluded; only valid counts"),
    *_declared(COVERAGE_COLUMNS, "wear_unconfirmed"),
)  # fmt: skip
DIARY = (*_LEADING, *DIARY_COLUMNS)


def events_table(night: Night, run: Run, *, candidates: bool = False) -> Columns:
    """Return a run's events, columns of `EVENTS`: counted and labelled ones, or all with `candidates`."""
    events = run.events if candidates else run.events[run.events["counted"] | (run.events["label"] > 0)]
    onset_ns = night.start_ns + np.rint(events["onset_s"] * 1e9).astype(np.int64)
    filled: Columns = {name: events[name] for name in events.dtype.names or ()}
    filled |= _leading(night, run, events["site"])
    filled |= {
        "unit": np.where(events["unit"] < 0, np.nan, events["unit"]),
        "onset_utc": utc_text(onset_ns),
        "onset_local": local_text(onset_ns, night.meta.time_zone),
        "label": _named(events["label"], {label: label.name.lower() for label in Label} | {Label.NONE: ""}),
        "flags": _named(
            events["flags"], {int(value): _flags(int(value)) for value in np.unique(events["flags"])}
        ),
        "detector": np.full(len(events), run.info.detector),
        "model": np.full(len(events), run.info.model),
    }
    return {column.name: filled[column.name] for column in EVENTS}


def counts_table(night: Night, run: Run, *, bin_s: float) -> Columns:
    """Return the twitch map of a run, columns of `COUNTS`; where nothing was observed the rates are NaN."""
    counts = night_counts(night, run, bin_s=bin_s)
    filled: Columns = {name: counts[name] for name in counts.dtype.names or ()}
    filled |= _leading(night, run, counts["site"])
    filled["bin_start_utc"] = utc_text(counts["bin_start_ns"])
    filled["bin_start_local"] = local_text(counts["bin_start_ns"], night.meta.time_zone)
    return {column.name: filled[column.name] for column in COUNTS}


def coverage_table(night: Night, run: Run) -> Columns:
    """Return what each stretch of each site's night was good for, columns of `COVERAGE`."""
    rows = run.coverage
    filled: Columns = {name: rows[name] for name in rows.dtype.names or ()}
    filled |= _leading(night, run, rows["site"])
    filled["kind"] = _named(rows["kind"], {kind: kind.name.lower() for kind in Kind})
    return {column.name: filled[column.name] for column in COVERAGE}


def diary_table(night: Night, run: Run) -> Columns:
    """Return what a person wrote of a night, columns of `DIARY`: one row, none where nothing was written.

    A diary is of no site: those columns are empty.
    """
    said = read_diary(night.path).fields
    rows = int(bool(said))
    filled = _leading(night, run, np.full(rows, night.sites[0]))
    filled |= {name: np.full(rows, "") for name in ("site", "side", "region")}
    filled |= {column.name: np.full(rows, said.get(column.name, "")) for column in DIARY_COLUMNS}
    return {column.name: filled[column.name] for column in DIARY}


def utc_text(time_ns: Nanoseconds) -> npt.NDArray[np.str_]:
    """Format UTC times (int64 ns) as ISO 8601 with milliseconds and the offset of UTC."""
    return _iso(time_ns, np.zeros(len(time_ns), np.int64))


def local_text(time_ns: Nanoseconds, time_zone: str) -> npt.NDArray[np.str_]:
    """Format UTC times (int64 ns) as local ISO 8601 with offset, which tells the hour that comes twice apart.

    Clocks change on quarter hours of UTC, so that one look-up a quarter hour is enough.
    """
    local = zone(time_zone)
    quarters, which = np.unique(time_ns // (900 * 10**9), return_inverse=True)
    offsets = [
        datetime.fromtimestamp(quarter * 900, UTC).astimezone(local).utcoffset()
        for quarter in quarters.tolist()
    ]
    minutes = np.array([round((offset or timedelta()).total_seconds() / 60) for offset in offsets], np.int64)
    return _iso(time_ns, minutes[which] if len(minutes) else np.zeros(0, np.int64))


def _iso(time_ns: Nanoseconds, offset_min: npt.NDArray[np.int64]) -> npt.NDArray[np.str_]:
    millis = (time_ns + 500_000) // 1_000_000 + offset_min * 60_000
    days = np.datetime_as_string(millis.astype("datetime64[ms]"), unit="ms")
    endings = {
        int(m): f"{'-' if m < 0 else '+'}{abs(m) // 60:02d}:{abs(m) % 60:02d}" for m in np.unique(offset_min)
    }
    return np.char.add(days, _named(offset_min, endings))


def _leading(night: Night, run: Run, sites: npt.NDArray[np.str_]) -> Columns:
    names = np.unique(sites).tolist()
    places = {name: body.site(name) for name in names}
    n = len(sites)
    return {
        "participant": np.full(n, night.meta.participant),
        "night": np.full(n, night.path.name),
        "night_date": np.full(n, evening_of(night.start_ns, night.meta.time_zone).isoformat()),
        "run_id": np.full(n, run.info.run_id),
        "site": sites,
        "side": _named(sites, {name: place.side for name, place in places.items()}),
        "region": _named(sites, {name: place.region for name, place in places.items()}),
    }


def _named(values: npt.NDArray[Any] | Table, names: dict[Any, str]) -> npt.NDArray[np.str_]:
    """Replace each of a few different values by its name."""
    different, which = np.unique(values, return_inverse=True)
    return np.array([names[value] for value in different.tolist()], str)[which]


def _flags(value: int) -> str:
    return " ".join((flag.name or "").lower() for flag in Flag if value & flag)
