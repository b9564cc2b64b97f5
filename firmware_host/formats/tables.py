"""The long tables that leave the house: which columns they have and how a night's run fills them.

Every exporter uses these, so that a CSV and any other format of the same night say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host import body
from firmware_host.analysis import night_counts
from firmware_host.formats.leaving import Leaving
from firmware_host.formats.written_times import local_text, named, utc_text
from firmware_host.recording.diary import DIARY_COLUMNS
from firmware_host.twitch_map import COUNT_COLUMNS
from firmware_host.twitches import COVERAGE_COLUMNS, EVENT_COLUMNS, Column, Flag, Kind, Label, Table

Columns = dict[str, npt.NDArray[Any]]
"""A filled table: one array a column, in the order of its declaration. Numbers that are not known are NaN."""

EVENT_ROWS = 1 << 15
_ISO = "ISO 8601"
LEADING = (
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
    *LEADING,
    *_declared(EVENT_COLUMNS, "event_id", "unit", "peak_s"),
    Column("onset_utc", "U", _ISO, "where the burst rises out of the floor, in UTC"),
    Column("onset_local", "U", _ISO, "the same in the night's time zone"),
    *_declared(
        EVENT_COLUMNS, "duration_ms", "peak_to_peak_mg", "snr", "dominant_hz", "probability", "counted"
    ),
    Column("label", "U", "", "the reviewer's verdict: empty, twitch or not_twitch"),
    Column(
        "flags",
        "U",
        "",
        "what else is known, separated by spaces: complex, rejected, below_floor, sure_unit, side_lobe",
    ),
    *_DETECTOR,
)
COUNTS = (
    *LEADING,
    Column("bin_start_utc", "U", _ISO, "start of the time bin, a multiple of its length in UTC"),
    Column("bin_start_local", "U", _ISO, "the same in the night's time zone"),
    *_declared(COUNT_COLUMNS, "bin_s", "valid_s", "twitches", "rate_raw_per_h", "rate_per_h",
               "rate_low", "rate_high", "expected_false", "detection_limit_mg"),
)  # fmt: skip
COVERAGE = (
    *LEADING,
    *_declared(COVERAGE_COLUMNS, "start_s", "end_s"),
    Column("kind", "U", "", "valid, movement, gap, clipped, not_worn, noisy or excluded; only valid counts"),
    *_declared(COVERAGE_COLUMNS, "wear_unconfirmed"),
)  # fmt: skip
DIARY = (*LEADING, *DIARY_COLUMNS)


TABLES: dict[str, tuple[Column, ...]] = {
    "events": EVENTS,
    "counts": COUNTS,
    "coverage": COVERAGE,
    "diary": DIARY,
}
"""Every table with its columns."""


def filled(leaving: Leaving) -> list[tuple[str, Columns]]:
    """Return the tables of a night but for its events, by name as in `TABLES`."""
    return [
        ("counts", counts_table(leaving)),
        ("coverage", coverage_table(leaving)),
        ("diary", diary_table(leaving)),
    ]


def events_tables(leaving: Leaving) -> Iterator[Columns]:
    """Yield a run's events in order, columns of `EVENTS`, so many rows at a time."""
    events = leaving.events
    for first in range(0, len(events), EVENT_ROWS):
        yield _events_table(leaving, events[first : first + EVENT_ROWS])


def _events_table(leaving: Leaving, events: Table) -> Columns:
    onset_ns = leaving.start_ns + np.rint(events["onset_s"] * 1e9).astype(np.int64)
    columns: Columns = {name: events[name] for name in events.dtype.names or ()}
    columns |= _leading(leaving, events["site"])
    columns |= {
        "unit": np.where(events["unit"] < 0, np.nan, events["unit"]),
        "onset_utc": utc_text(onset_ns),
        "onset_local": local_text(onset_ns, leaving.time_zone),
        "label": named(events["label"], {label: label.name.lower() for label in Label} | {Label.NONE: ""}),
        "flags": named(
            events["flags"], {int(value): _flags(int(value)) for value in np.unique(events["flags"])}
        ),
        "detector": np.full(len(events), leaving.run.info.detector),
        "model": np.full(len(events), leaving.model),
    }
    return {column.name: columns[column.name] for column in EVENTS}


def counts_table(leaving: Leaving) -> Columns:
    """Return the twitch map of a run, columns of `COUNTS`; where nothing was observed the rates are NaN."""
    # Bins of the shifted clock: where those of UTC begin on it tells the offset, so the season and the place.
    counts = night_counts(leaving.night, leaving.run, leaving.choices.bin_s, leaving.shift_ns)
    columns: Columns = {name: counts[name] for name in counts.dtype.names or ()}
    columns |= _leading(leaving, counts["site"])
    columns["bin_start_utc"] = utc_text(counts["bin_start_ns"])
    columns["bin_start_local"] = local_text(counts["bin_start_ns"], leaving.time_zone)
    return {column.name: columns[column.name] for column in COUNTS}


def coverage_table(leaving: Leaving) -> Columns:
    """Return what each stretch of each site's night was good for, columns of `COVERAGE`."""
    rows = leaving.run.coverage
    columns: Columns = {name: rows[name] for name in rows.dtype.names or ()}
    columns |= _leading(leaving, rows["site"])
    columns["kind"] = named(rows["kind"], {kind: kind.name.lower() for kind in Kind})
    return {column.name: columns[column.name] for column in COVERAGE}


def diary_table(leaving: Leaving) -> Columns:
    """Return what a person wrote of a night, columns of `DIARY`: one row, none where nothing was written.

    A diary is of no site: those columns are empty.
    """
    said = leaving.diary()
    rows = int(bool(said))
    columns = _leading(leaving, np.full(rows, leaving.night.sites[0]))
    columns |= {name: np.full(rows, "") for name in ("site", "side", "region")}
    columns |= {column.name: np.full(rows, said.get(column.name, "")) for column in DIARY_COLUMNS}
    return {column.name: columns[column.name] for column in DIARY}


def data_dictionary(ending: str, empty: str, note: Sequence[str] = (), undated: Sequence[str] = ()) -> str:
    """Return what every column of every table means, as Markdown made from their declarations.

    Parameters
    ----------
    ending
        That of the tables' files, such as ".csv".
    empty
        What stands where a value is not known, such as "An empty cell".
    note
        More lines before the tables.
    undated
        Names of the nights of which nobody knows when they began.
    """
    lines = [
        "# What the columns mean",
        "",
        f"{empty} is a value that is not known. A bin with `valid_s` = 0 was not observed: its rates",
        "are not known, never 0. Times in seconds count from the night's `start_ns` in night.json",
        "(that of `meta` is what the computer's clock said when the night began).",
        "",
        "A night of which nobody knows when it began (`start_known` is false in night.json) lies on",
        "1970-01-01 in UTC: its dates and times of day are made up, its seconds and lengths are not.",
        f"Such nights here: {', '.join(f'`{name}`' for name in undated) or 'none'}.",
        *note,
    ]
    for name, columns in TABLES.items():
        lines += ["", f"## {name}{ending}", "", "| column | unit | meaning |", "| --- | --- | --- |"]
        lines += [f"| {column.name} | {column.unit} | {column.meaning} |" for column in columns]
    return "\n".join(lines) + "\n"


def _leading(leaving: Leaving, sites: npt.NDArray[np.str_]) -> Columns:
    names = np.unique(sites).tolist()
    places = {name: body.site(name) for name in names}
    n = len(sites)
    return {
        "participant": np.full(n, leaving.participant),
        "night": np.full(n, leaving.name),
        "night_date": np.full(n, leaving.date.isoformat()),
        "run_id": np.full(n, leaving.run.info.run_id),
        "site": sites,
        "side": named(sites, {name: place.side for name, place in places.items()}),
        "region": named(sites, {name: place.region for name, place in places.items()}),
    }


def _flags(value: int) -> str:
    return " ".join((flag.name or "").lower() for flag in Flag if value & flag)
