"""Dates and times of day as people and spreadsheets write them: two columns, other orders, AM/PM, numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from made_tables import FS, N, bring, refusal, rows, samples, times_s
from written_tables import ACC

import firmware_host as tm
from firmware_host.errors import BadValueError, TwitchmapError

EVENING = datetime(2026, 11, 22, 23, 59, 55)  # noqa: DTZ001
"""Midnight comes in the middle of the table."""
BERLIN = "Europe/Berlin"


def clock(form: str, start: datetime = EVENING) -> list[str]:
    """Return stamps 10 ms apart, written as strftime does; MS stands for milliseconds."""
    stamps = (start + timedelta(milliseconds=10 * i) for i in range(N))
    return [at.strftime(form).replace("MS", f"{at.microsecond // 1000:03d}") for at in stamps]


def days(decimals: int, start: datetime = EVENING, fs_hz: float = FS) -> list[str]:
    """Return what a spreadsheet shows of stamps as numbers."""
    zero = (start - datetime(1899, 12, 30)) / timedelta(days=1)  # noqa: DTZ001
    return [f"{zero + i / fs_hz / 86_400:.{decimals}f}" for i in range(N)]


def table(path: Path, header: str, stamps: list[str], delimiter: str = ",") -> Path:
    """Write a table of stamps and samples."""
    path.write_text(f"{header}\n" + rows(stamps, ACC, delimiter=delimiter))
    return path


WRITTEN: dict[str, tuple[str, str, str, str]] = {
    "two columns": ("Date,Time,X,Y,Z", "%Y-%m-%d,%H:%M:%S.MS", "Date + Time", "year-month-day"),
    "time before date": ("Time,Date,X,Y,Z", "%H:%M:%S.MS,%d/%m/%Y", "Date + Time", "day-month-year"),
    "in German": ("Datum;Uhrzeit;X;Y;Z", "%d.%m.%Y;%H:%M:%S,MS", "Datum + Uhrzeit", "day-month-year"),
    "in blanks": ("Date Time X Y Z", "%Y/%m/%d %H:%M:%S.MS", "Date + Time", "year-month-day"),
    "American": ("Date,Time,X,Y,Z", "%m/%d/%Y,%H:%M:%S.MS", "Date + Time", "month-day-year"),
    "AM/PM in two columns": ("Date,Time,X,Y,Z", "%m/%d/%Y,%I:%M:%S.MS %p", "Date + Time", "month-day-year"),
    "AM/PM": ("timestamp,X,Y,Z", "%m/%d/%Y %I:%M:%S.MS %p", "timestamp", "month-day-year"),
    "quoted with a comma": ("time,X,Y,Z", '"%m/%d/%Y, %I:%M:%S.MS%p"', "time", "month-day-year"),
    "without leading zeros": ("time,X,Y,Z", "%m/%d/%Y %-H:%M:%S.MS", "time", "month-day-year"),
    "dots": ("time,X,Y,Z", "%d.%m.%Y %H:%M:%S.MS", "time", "day-month-year"),
    "month by name": ("time,X,Y,Z", "%d-%b-%Y %H:%M:%S.MS", "time", "day-month-year"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_dates_of_many_forms_are_read(tmp_path: Path, name: str) -> None:
    """Each gives the start, goes on past midnight, and is shown with the order of its parts."""
    header, form, column, order = WRITTEN[name]
    path = table(tmp_path / "night.csv", header, clock(form), " " if "blanks" in name else header[-2])
    night, found = bring(tmp_path, path, timezone=BERLIN)
    assert night.start_ns == 1_795_388_395 * 10**9
    assert np.allclose(times_s(night), np.arange(N) / FS, atol=1e-4)
    assert np.allclose(samples(night), ACC, atol=2e-7)
    assert found.time == f"{column}: dates as {order}, clock of {BERLIN}"
    assert (found.columns[0], found.ignored, found.gaps) == (column, (), 0)


def test_noon_is_no_midnight(tmp_path: Path) -> None:
    """11:59 AM goes on with 12:00 PM."""
    stamps = clock("%m/%d/%Y %I:%M:%S.MS %p", EVENING - timedelta(hours=12))
    night, found = bring(tmp_path, table(tmp_path / "a.csv", "time,X,Y,Z", stamps), timezone=BERLIN)
    assert (night.start_ns, found.gaps) == ((1_795_388_395 - 43_200) * 10**9, 0)


@pytest.mark.parametrize(("order", "month", "day"), [("dmy", 5, 11), ("mdy", 11, 5)])
def test_the_order_of_a_date_can_be_given(tmp_path: Path, order: str, month: int, day: int) -> None:
    """Where no date is above 12 the order is asked for, and what is given holds."""
    path = table(tmp_path / "a.csv", "time,X,Y,Z", clock("11/05/2026 %H:%M:%S.MS", datetime(2026, 1, 1)))  # noqa: DTZ001
    assert "day 11 of month 05 or day 05 of month 11; say which with --date-order" in (
        refusal(tmp_path, path, timezone=BERLIN) or ""
    )
    night, _ = bring(tmp_path, path, timezone="UTC", date_order=order)
    assert np.datetime64(night.start_ns, "ns") == np.datetime64(f"2026-{month:02d}-{day:02d}")


def test_a_notebook_gives_the_order_as_well(tmp_path: Path) -> None:
    """`tm.import_night` takes `date_order`, and refuses what is none."""
    path = table(tmp_path / "a.csv", "time,X,Y,Z", clock("11/05/2026 %H:%M:%S.MS", datetime(2026, 1, 1)))  # noqa: DTZ001
    for order in ("ymd", 5):
        with pytest.raises(BadValueError, match="order of dates"):
            tm.import_night(tmp_path / "a.night", {"left_calf": path}, date_order=order)  # type: ignore[arg-type]
    night = tm.import_night(tmp_path / "a.night", {"left_calf": path}, time_zone="UTC", date_order="dmy")
    assert np.datetime64(night.start_ns, "ns") == np.datetime64("2026-05-11")


def test_the_order_may_stand_above(tmp_path: Path) -> None:
    """ActiGraph's tables say in their first line how dates are written."""
    header = "--- Data File Created By ActiLife date format d/M/yyyy at 100 Hz ---\ntime,X,Y,Z"
    night, _ = bring(tmp_path, table(tmp_path / "a.csv", header, clock("11/05/2026 %H:%M:%S.MS",
                     datetime(2026, 1, 1))), timezone="UTC")  # fmt: skip  # noqa: DTZ001
    assert np.datetime64(night.start_ns, "ns") == np.datetime64("2026-05-11")


@pytest.mark.parametrize("zone", ["+01:00", "Z"])
def test_two_columns_may_have_an_offset(tmp_path: Path, zone: str) -> None:
    """An offset behind the time of day makes another zone needless."""
    path = table(tmp_path / "a.csv", "Date,Time,X,Y,Z", clock(f"%Y-%m-%d,%H:%M:%S.MS{zone}"))
    night, _ = bring(tmp_path, path)
    assert night.start_ns == (1_795_388_395 + 3600 * (zone == "Z")) * 10**9


def test_columns_without_names_are_joined_too(tmp_path: Path) -> None:
    """--columns names the date; the time of day beside it is found by what it holds."""
    path = table(tmp_path / "a.csv", "", clock("%Y-%m-%d,%H:%M:%S.MS"))
    night, found = bring(tmp_path, path, timezone=BERLIN, columns=("1", "3", "4", "5"))
    assert found.columns[0] == "column 1 + column 2"
    assert night.start_ns == 1_795_388_395 * 10**9


def test_a_blank_half_costs_its_row(tmp_path: Path) -> None:
    """A row without date or time of day is left out; its neighbours keep their times."""
    stamps = clock("%Y-%m-%d,%H:%M:%S.MS")
    stamps[50], stamps[70] = "," + stamps[50].partition(",")[2], stamps[70].partition(",")[0] + ",NA"
    path = table(tmp_path / "a.csv", "Date,Time,X,Y,Z", stamps)
    night, found = bring(tmp_path, path, timezone=BERLIN)
    assert found.skipped == 2
    assert np.allclose(times_s(night), np.delete(np.arange(N), [50, 70]) / FS, atol=1e-4)


def _halfway(of: list[str], other: Callable[[str], str]) -> list[str]:
    return [*of[:700], *map(other, of[700:])]


REFUSED: dict[str, tuple[str, list[str], str]] = {
    "a date that stays": ("Date,Time,X,Y,Z", clock("2026-11-22,%H:%M:%S.MS"), "do not go on at midnight"),
    "hours of twelve without AM": (
        "time,X,Y,Z",
        clock("%m/%d/%Y %I:%M:%S.MS", EVENING + timedelta(hours=1)),
        "AM and PM are missing",
    ),
    "AM on some rows": (
        "time,X,Y,Z",
        _halfway(clock("%m/%d/%Y %I:%M:%S.MS %p"), lambda stamp: stamp[:-3]),
        "line 702: .* differ in having AM or PM",
    ),
    "a month that is none": (
        "time,X,Y,Z",
        _halfway(clock("%m/%d/%Y %H:%M:%S.MS"), lambda _: "23/11/2026 10:00:00"),
        "line 702: '23/11/2026 10:00:00' is no month-day-year",
    ),
    "an hour of thirteen PM": ("time,X,Y,Z", clock("%m/%d/%Y %H:%M:%S.MS PM"), "line 2: .* is no month"),
    "a year of two digits": ("time,X,Y,Z", clock("%d.%m.%y %H:%M:%S.MS"), "is no day-month-year"),
    "no day of the calendar": ("time,X,Y,Z", clock("31.11.2026 %H:%M:%S.MS"), "no day of the calendar"),
    "elapsed time beside a date": (
        "Date,Elapsed time,X,Y,Z",
        clock("%Y-%m-%d,%H:%M:%S.MS"),
        "no column beside it has the time of day",
    ),
    "two times of day": ("Date,Time,UTC time,X,Y,Z", clock("%Y-%m-%d,%H:%M:%S.MS,%H:%M:%S.MS"),
                         "may belong with Time or UTC time"),
    "day numbers of six decimals": ("Time,X,Y,Z", days(6), "6 decimals, 0.086 s each: too coarse for 100"),
    "day numbers too coarse for 400 Hz": ("Time,X,Y,Z", days(8, fs_hz=400), "too coarse for 400"),
    "days from another zero": ("Time,X,Y,Z", [f"{20_779 + i / 8_640_000:.10f}" for i in range(N)],
                               "no sampling rate"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_dates_that_do_not_tell_the_time_are_refused(tmp_path: Path, name: str) -> None:
    """What is not sure, or would put samples at wrong times, gets a sentence."""
    header, stamps, sentence = REFUSED[name]
    with pytest.raises(TwitchmapError, match=sentence):
        bring(tmp_path, table(tmp_path / "a.csv", header, stamps), timezone=BERLIN)


@pytest.mark.parametrize("decimals", [8, 9, 10, 15])
@pytest.mark.parametrize("name", ["Date", "Time", "timestamp"])
def test_day_numbers_of_a_spreadsheet_are_read(tmp_path: Path, decimals: int, name: str) -> None:
    """Days since 1899-12-30 are local times, exact to their last decimal."""
    path = table(tmp_path / "a.csv", f"{name},X,Y,Z", days(decimals))
    assert "--timezone" in (refusal(tmp_path, path) or "")
    night, found = bring(tmp_path, path, timezone=BERLIN)
    assert abs(night.start_ns / 1e9 - 1_795_388_395) < 86_400 * 10.0**-decimals + 1e-6
    assert np.allclose(times_s(night), np.arange(N) / FS, atol=1e-3)
    assert found.time.startswith(f"{name}: day numbers of a spreadsheet, from 1899-12-30 on, clock of")
    assert (found.gaps, found.time_kind) == (0, "samples")
