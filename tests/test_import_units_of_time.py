"""What a stamp says: nominal rates, units, ISO 8601, and clocks that change."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import SITE, bring

from firmware_host.errors import TwitchmapError
from firmware_host.formats import stamps
from firmware_host.formats.iso_time import parse_iso
from firmware_host.formats.zones import utc_from_local

Ints = npt.NDArray[np.int64]


@pytest.mark.parametrize(
    ("measured", "span_s", "given", "nominal"),
    [
        (99.38, 3600, None, 100.0),
        (197.2434, 300, None, 197.0),
        (51.3, 100, None, 51.2),
        (103.9, 100, None, 104.0),
        (99.38, 10, None, 99.38),
        (97.0, 3600, 100.0, 100.0),
        (80.0, 3600, 100.0, 80.0),
    ],
)
def test_nominal_rates(measured: float, span_s: float, given: float | None, nominal: float) -> None:
    """The nominal rate is the one given, a usual one near by, or the measured one."""
    assert stamps.nominal_rate(measured, span_s, given) == nominal


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("fs_hz", [45.0, 100.0, 400.0, 1000.0])
@pytest.mark.parametrize("first_s", [0.0, 1.7e9, 5e5])
def test_the_unit_of_stamps_is_found(unit: str, fs_hz: float, first_s: float) -> None:
    """Numbers are seconds to nanoseconds, elapsed or since 1970, as a sensor's rate demands."""
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[unit]
    steps = np.full(5000, scale / fs_hz)
    steps[2000] *= 50_000  # a gap
    if first_s == 1.7e9 or unit != "ms" or fs_hz != 1000:  # that goes up by 1, as a count does
        assert stamps.unit_of_numbers(first_s * scale, steps, None) == (unit, first_s == 1.7e9)
    bursts = np.tile([0.02, 0.01, 0.03, 3.94], 1000) * scale / fs_hz
    assert stamps.unit_of_numbers(first_s * scale, bursts, None)[0] == unit


def test_a_unit_that_cannot_be_is_refused() -> None:
    """A column named in seconds that holds milliseconds is not read as seconds."""
    with pytest.raises(ValueError, match="in ms it would be 100 Hz"):
        stamps.unit_of_numbers(0.0, np.full(1000, 10.0), "s")


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(2200, 12, 30)),  # noqa: DTZ001
    digits=st.integers(0, 9),
    offset=st.sampled_from(["", "Z", "z", "+00:00", "+02:00", "-0330", "+14", "-12:00"]),
    separator=st.sampled_from(["T", " ", "t"]),
    date=st.sampled_from(["-", "/"]),
    mark=st.sampled_from([".", ","]),
)
def test_iso_stamps_are_exact(
    moment: datetime, digits: int, offset: str, separator: str, date: str, mark: str
) -> None:
    """Dates, fractions to the nanosecond and offsets are read as they stand."""
    fraction = f"{moment.microsecond * 1000 + 7:09d}"[:digits]
    text = moment.strftime("%Y-%m-%d").replace("-", date) + separator + moment.strftime("%H:%M:%S")
    text += (mark + fraction if digits else "") + offset
    found = parse_iso(np.array([b"", text.encode(), b" nan "]))
    seconds = int(
        (moment.replace(microsecond=0, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    )
    assert found.ns.tolist()[1] == seconds * 10**9 + int(fraction.ljust(9, "0") if digits else 0)
    assert found.ns[0] == found.ns[2] == np.iinfo(np.int64).min
    east = {"": None, "Z": 0, "z": 0, "+02:00": 7200, "-0330": -12_600, "+14": 50_400, "-12:00": -43_200}
    if offset:
        assert found.offset_s is not None
        assert found.offset_s[1] == east.get(offset, 0)
        assert found.utc_ns[1] == found.ns[1] - found.offset_s[1] * 10**9
    else:
        assert found.offset_s is None


@pytest.mark.parametrize(
    "text",
    [
        "now",
        "today",
        "2025",
        "2025-13-01T00:00",
        "2025-02-30T00:00:00",
        "2025-02-03T24:00",
        "2025-02-03T23:60:00",
        "2025-02-03T23:59:60",
        "2025-02-03T23:5",
        "2025-02-03T23:59:1",
        "2025-02-03T23:59:10.1x",
        "2025-02-03T23:59:10 pm",
        "2025-02-03T23:59:10+1:00",
        "2025-02-03T23:59:10+ab:cd",
        "2025-02-03T23:59:10+14:01",
        "2025-02-03T23:59:10-12:30",
        "2025-02-03T23:59:10+02:60",
        "2025-02-03T23:59:10+9900",
        "03.02.2025 23:59:10",
        "1925-02-03T23:59:10",
        "2225-02-03T23:59:10",
        "22:59:10",
        "2025-02-03",
        "２025-02-03T10:10",
    ],
)
def test_what_is_no_iso_stamp_is_refused(text: str) -> None:
    """Words, wrong dates and clock times without a date are no stamps."""
    with pytest.raises(ValueError, match=r"no ISO 8601|no day of the calendar|offset"):
        parse_iso(np.array([text.encode()]))


@given(st.lists(st.binary(max_size=45), max_size=5))
def test_random_cells_are_stamps_or_refused(cells: list[bytes]) -> None:
    """No bytes crash the reader of stamps."""
    with contextlib.suppress(ValueError):
        assert len(parse_iso(np.array(cells, "S45")).ns) == len(cells)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001
)
def test_clock_times_rise_as_time_does(name: str, start: datetime) -> None:
    """A night of clock times without offset becomes the UTC it came from, also when the clocks change."""
    zone = ZoneInfo(name)
    begin = start.replace(tzinfo=UTC, second=0, microsecond=0)
    utc = [begin + timedelta(minutes=7 * i) for i in range(90)]
    local = [moment.astimezone(zone).replace(tzinfo=UTC) for moment in utc]
    found, _ = utc_from_local(_ns(local), zone)
    assert np.array_equal(found, _ns(utc))


def test_a_start_in_the_hour_that_comes_twice() -> None:
    """Without a step back the pass is told by what follows; where nothing does, it is said."""
    berlin = ZoneInfo("Europe/Berlin")
    second = [datetime(2026, 10, 25, 1, 30, tzinfo=UTC) + timedelta(minutes=i) for i in range(60)]
    local = _ns([moment.astimezone(berlin).replace(tzinfo=UTC) for moment in second])
    found, remark = utc_from_local(local, berlin)
    assert np.array_equal(found, _ns(second))
    assert "told apart" in remark
    _, remark = utc_from_local(local[:20], berlin)
    assert "may be an hour early" in remark


def test_a_logger_that_kept_winter_time_is_noticed(tmp_path: Path) -> None:
    """Clock times that never were in the zone are refused, with what to say instead."""
    path = tmp_path / "night.csv"
    start = datetime(2026, 3, 29, 1, 59, 55, tzinfo=UTC)
    path.write_text(
        "timestamp,ax,ay,az\n"
        + "".join(
            f"{(start + timedelta(milliseconds=10 * i)).isoformat(timespec='milliseconds')[:23]},"
            f"0.1,0.2,{0.97 + i % 3 / 100}\n"
            for i in range(1000)
        )
    )
    with pytest.raises(TwitchmapError, match=r"2026-03-29T02:00:00 never was in Europe/Berlin.*Etc/GMT-1"):
        bring(tmp_path, path, timezone="Europe/Berlin")
    night, _ = bring(tmp_path, path, timezone="Etc/GMT-1")
    assert night.start_ns == _ns([start - timedelta(hours=1)])[0]
    assert night.stretches(SITE)[0].n == 1000


def _ns(moments: list[datetime]) -> Ints:
    zero = datetime(1970, 1, 1, tzinfo=UTC)
    return np.array(
        [round((moment - zero) / timedelta(microseconds=1)) * 1000 for moment in moments], np.int64
    )
