"""The axis of a night's picture: few round ticks in any zone, and right when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from drawn_nights import BERLIN, ns

from firmware_host.errors import BadValueError
from firmware_host.recording.night import zone
from firmware_host.review.charts.time_axis import clock_changes, ticks


@pytest.mark.parametrize(
    ("start", "hours", "labels", "change"),
    [
        (
            datetime(2026, 10, 24, 22, tzinfo=BERLIN),
            9,
            "22 23 00 01 02 02 03 04 05 06",
            "clocks back 1 h at 03:00",
        ),
        (
            datetime(2026, 3, 28, 22, tzinfo=BERLIN),
            7,
            "22 23 00 01 03 04 05 06",
            "clocks forward 1 h at 02:00",
        ),
        (datetime(2026, 11, 22, 22, tzinfo=BERLIN), 8, "22 23 00 01 02 03 04 05 06", ""),
    ],
)
def test_the_axis_is_right_when_the_clocks_change(
    start: datetime, hours: int, labels: str, change: str
) -> None:
    """A clock change shows the hour that comes twice, or leaves out the one that does not come."""
    start_ns = ns(start)
    end_ns = start_ns + hours * 3600 * 10**9
    marks = ticks(start_ns, end_ns, BERLIN)
    assert [mark.label for mark in marks] == [f"{hour}:00" for hour in labels.split()]
    assert np.all(np.diff([mark.ns for mark in marks]) == 3600 * 10**9)
    assert [each.label for each in clock_changes(start_ns, end_ns, BERLIN)] == [change] * bool(change)


@pytest.mark.parametrize(
    ("noon", "hours", "labels"),
    [
        (datetime(2026, 10, 24, 12, tzinfo=BERLIN), 25, "12 15 18 21 00 03 06 09 12"),
        (datetime(2026, 3, 28, 12, tzinfo=BERLIN), 23, "12 14 16 18 20 22 00 04 06 08 10 12"),
    ],
)
def test_days_of_25_and_23_hours(noon: datetime, hours: int, labels: str) -> None:
    """From noon to noon over a clock change there are 25 or 23 hours; marks stay on full local hours."""
    end = noon.replace(day=noon.day + 1)
    assert ns(end) - ns(noon) == hours * 3600 * 10**9
    assert [mark.label for mark in ticks(ns(noon), ns(end), BERLIN)] == [f"{h}:00" for h in labels.split()]


@pytest.mark.parametrize("span_s", [0, 3, 100, 4000, 30_000, 10 * 86_400])
@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia", "UTC"])
def test_ticks_are_few_and_round_in_any_zone(span_s: int, zone: str) -> None:
    """From seconds to days, in zones with odd offsets, there are a few rising marks inside the night."""
    start_ns = 5_400 * 10**9 + 123  # 1970, when Monrovia was 44 min 30 s behind
    marks = ticks(start_ns, start_ns + span_s * 10**9, ZoneInfo(zone))
    assert len(marks) <= 13
    assert span_s < 100 or len(marks) >= 4
    assert all(start_ns <= mark.ns <= start_ns + span_s * 10**9 for mark in marks)


def test_a_clock_change_of_half_an_hour() -> None:
    """Where clocks change by half an hour, the axis goes on with full local hours."""
    start = datetime(2026, 4, 4, 12, tzinfo=UTC)
    zone = ZoneInfo("Australia/Lord_Howe")
    assert [each.label for each in clock_changes(ns(start), ns(start) + 8 * 3600 * 10**9, zone)] == [
        "clocks back 30 min at 02:00"
    ]
    assert all(mark.label.endswith(":00") for mark in ticks(ns(start), ns(start) + 8 * 3600 * 10**9, zone))


def test_an_unknown_zone_gets_a_sentence() -> None:
    """A name that is no time zone is refused, also one that looks like a path."""
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(BadValueError, match="Europe/Berlin"):
            zone(name)
