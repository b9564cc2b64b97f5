"""Busy minutes, times to the next twitch, sizes and spread, against what is counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_host.twitch_map.night_figures import (
    Quartiles,
    active_by_chance,
    busy_minutes,
    is_active,
    sizes,
    waits,
)
from firmware_host.twitches import COVERAGE_DTYPE, Kind, Table, table

MINUTE = 1_800_000_000 * 10**9  # a whole minute of UTC
SITE = "left_calf"


def valid(*stretches: tuple[float, float], unconfirmed: tuple[int, ...] = ()) -> Table:
    """Return valid time."""
    starts, ends = zip(*stretches, strict=True) if stretches else ((), ())
    rows = table(COVERAGE_DTYPE, len(stretches), site=SITE, start_s=starts, end_s=ends, kind=Kind.VALID)
    rows["wear_unconfirmed"][list(unconfirmed)] = True
    return rows


def peaks(*times_s: float) -> np.ndarray:
    """Return times."""
    return np.array(times_s, float)


def test_busy_minutes_by_hand() -> None:
    """Five twitches make a minute busy and four do not; minutes that are valid only in part are not asked."""
    times = peaks(1, 2, 3, 4, 5, 61, 62, 63, 64, 121, 122, 123, 124, 125, 126)
    assert busy_minutes(times, valid((0, 300)), MINUTE, 300.0) == (2, 5)
    # The third minute loses its last second: six twitches were seen in it, and it is not asked.
    assert busy_minutes(times, valid((0, 179), (180, 300)), MINUTE, 300.0) == (1, 4)
    # Not worn in the first two minutes: what fell there is not seen either.
    assert busy_minutes(times, valid((120, 300)), MINUTE, 300.0) == (1, 3)
    assert busy_minutes(times, valid(), MINUTE, 300.0) == (0, 0)
    assert busy_minutes(peaks(), valid((0, 300)), MINUTE, 300.0) == (0, 5)
    assert busy_minutes(peaks(), valid(), MINUTE, 0.0) == (0, 0)


def test_minutes_are_those_of_the_clock() -> None:
    """A night that starts at 23:30:20 has its first whole minute from 23:31:00 on; its last is cut."""
    start_ns = MINUTE + 20 * 10**9
    times = peaks(39.0, 39.2, 39.4, 40.1, 40.3, 40.5, 40.7, 99.9)  # three before the full minute, five in it
    assert busy_minutes(times, valid((0, 170)), start_ns, 170.0) == (1, 2)
    assert busy_minutes(times[:-1], valid((0, 170)), start_ns, 170.0) == (0, 2)


def test_valid_time_may_be_written_in_parts() -> None:
    """Stretches that touch, because wearing is not confirmed in one of them, are one time."""
    times = peaks(10, 20, 70)
    whole, parts = valid((0, 120)), valid((0, 30), (30, 120), unconfirmed=(1,))
    assert busy_minutes(times, parts, MINUTE, 120.0, least=2) == (1, 2)
    assert waits(times, parts) == waits(times, whole)


def test_waits_by_hand() -> None:
    """Without interruption the quartiles are those of the intervals, the last wait being at least so long."""
    # intervals 1, 2, 3, 4 and a last wait of at least 90: of five, two tenths are gone after each
    found = waits(peaks(0, 1, 3, 6, 10), valid((0, 100)))
    assert found.quartiles == Quartiles(2.0, 3.0, 4.0)
    assert found.longest_s == 90.0


def test_no_wait_goes_across_a_gap() -> None:
    """Two twitches with a gap between them have no interval: the first was watched until the gap only."""
    # waits: 10 (came), then at least 80 until the gap; 5 (came), then at least 15 until the end
    found = waits(peaks(10, 20, 200, 205), valid((0, 100), (180, 220)))
    # at 5: 1 of 4 comes, 3/4 left; at 10: 1 of 3, 1/2 left; 15 and 80 were cut off
    assert found.quartiles == Quartiles(5.0, 10.0, math.inf)
    assert found.longest_s == 80.0
    # Were gaps passed over, 180 would be an interval.
    assert waits(peaks(10, 20, 200, 205), valid((0, 220))).quartiles.high == 180.0


def test_waits_go_on_over_moments() -> None:
    """A wait goes on over an interruption of a minute and less, of which nothing is counted."""
    # 20 s over two interruptions: 5 valid until the first, 10 to the second, 3 after it; then at least 37
    cover = valid((0, 100), (102, 112), (172, 212))
    found = waits(peaks(95, 175), cover)
    assert found.quartiles == Quartiles(18.0, 18.0, math.inf)
    assert found.longest_s == 37.0
    assert waits(peaks(95, 175.5), valid((0, 100), (102, 112), (172.5, 212))).longest_s == 36.5
    # a moment longer, and the first wait ends before it, at 15 s
    assert waits(peaks(95, 175.5), valid((0, 100), (102, 112), (172.5, 212))).quartiles.low == math.inf


def test_lone_twitches_have_no_interval() -> None:
    """One twitch a stretch says that the next is more than so far away, and not how far."""
    found = waits(peaks(10, 180), valid((0, 100), (170, 230)))
    assert found.quartiles == Quartiles(math.inf, math.inf, math.inf)
    assert found.longest_s == 90.0
    nothing = waits(peaks(), valid((0, 100)))
    assert math.isnan(nothing.quartiles.median)
    assert nothing.longest_s == 0.0
    assert math.isnan(waits(peaks(50), valid()).quartiles.median)


def test_what_is_not_valid_is_not_asked() -> None:
    """Twitches outside of valid time, as while the sensor was not worn, change nothing."""
    cover = valid((0, 100), (180, 220))
    inside = waits(peaks(10, 20, 200, 205), cover)
    assert waits(peaks(10, 20, 120, 130, 179.9, 200, 205, 220), cover) == inside


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_interruptions_do_not_shorten_the_median(seed: int) -> None:
    """Of a random process that is watched a fifth of the time in short pieces, the median wait stays true."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.exponential(40.0, 4000))
    starts = np.arange(0, times[-1], 300.0)
    cover = valid(*zip(starts, starts + 60.0, strict=True))
    true_s = 40.0 * math.log(2)
    found = waits(times, cover).quartiles
    assert found.median == pytest.approx(true_s, rel=0.25)
    seen = times[np.isin(np.floor(times % 300.0 / 60.0), 0)]
    gaps = np.diff(seen)
    assert np.median(gaps[gaps < 60]) < 0.75 * true_s  # what intervals between neighbours would have said


def test_many_twitches_take_no_time() -> None:
    """A hundred thousand twitches have the median of their intervals."""
    times = np.cumsum(np.full(100_000, 0.25))
    found = waits(times, valid((0, times[-1] + 1)))
    assert found.quartiles.median == pytest.approx(0.25)


def test_sizes_leave_out_what_is_not_known() -> None:
    """Quartiles of sizes are numpy's; a twitch that a reviewer added has no size."""
    assert sizes(np.array([4, 1, 3, np.nan, 2, 5], np.float32)) == Quartiles(2.0, 3.0, 4.0)
    assert math.isnan(sizes([]).median)
    assert math.isnan(sizes([math.nan]).high)


def test_two_within_a_minute_make_a_site_active() -> None:
    """A minute is enough, more is not; one twitch alone is never."""
    assert is_active(peaks(0, 100, 160))
    assert not is_active(peaks(0, 100, 160.1))
    assert not is_active(peaks(5))
    assert not is_active(peaks())


def test_chance_makes_sites_active_as_often_as_it_says() -> None:
    """False alarms that come at random make as many sites active as is told."""
    rng = np.random.default_rng(5)
    for expected in (1.0, 6.0, 20.0):
        valid_s = 8 * 3600.0
        drawn = [is_active(np.sort(rng.uniform(0, valid_s, rng.poisson(expected)))) for _ in range(4000)]
        assert active_by_chance(expected, valid_s) == pytest.approx(np.mean(drawn), abs=0.025)
    assert active_by_chance(0.0, 100.0) == 0.0
    assert active_by_chance(math.nan, 100.0) == 0.0
    assert active_by_chance(3.0, 0.0) == 0.0
