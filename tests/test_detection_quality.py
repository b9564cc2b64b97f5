"""What each moment was good for: gaps, movement, clipping, a stuck sensor, noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_signals import LOWEST_SCORE, Signal, counted_s, detect, kind_at, kind_s

from firmware_host.detection import detect_stretch
from firmware_host.detection.quality import tile
from firmware_host.twitches import Kind


@given(
    kinds=st.lists(st.integers(0, 5), min_size=1, max_size=30),
    gaps=st.lists(st.tuples(st.integers(-20, 320), st.integers(1, 60)), max_size=5),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_coverage_tiles_the_stretch(
    kinds: list[int], gaps: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Half-open intervals follow each other without hole or overlap, and say of each sample what is true."""
    size = 10
    length = data.draw(st.integers((len(kinds) - 1) * size + 1, len(kinds) * size))
    unconfirmed = np.array(data.draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds))))
    holes = [(start, start + count) for start, count in gaps]
    rows = tile(np.array(kinds, np.uint8), unconfirmed, sorted(holes), size, length)
    assert rows["start_index"][0] == 0
    assert rows["stop_index"][-1] == length
    np.testing.assert_array_equal(rows["start_index"][1:], rows["stop_index"][:-1])
    for index in range(length):
        row = rows[np.searchsorted(rows["start_index"], index, side="right") - 1]
        lost = any(start <= index < stop for start, stop in holes)
        assert row["kind"] == (Kind.GAP if lost else kinds[index // size])
        assert row["wear_unconfirmed"] == (unconfirmed[index // size] and row["kind"] == Kind.VALID)


def test_a_gap_is_not_valid_to_the_sample() -> None:
    """Missing samples and a tenth of a second around them are gap; one lost sample is gap without a guard."""
    acc_g = Signal(120).acc_g
    chunks = [(0, acc_g[:5000]), (5100, acc_g[5100:8000]), (8001, acc_g[8001:])]
    found = detect_stretch(chunks, 12_000, 100.0, LOWEST_SCORE)
    gaps = found.coverage[found.coverage["kind"] == Kind.GAP]
    intervals = list(zip(gaps["start_index"].tolist(), gaps["stop_index"].tolist(), strict=True))
    assert intervals == [(0, 10), (4990, 5110), (8000, 8001), (11_990, 12_000)]


def test_a_gap_of_hours_costs_nothing_and_hides_nothing() -> None:
    """After five hours of gap the detector goes on; nothing is found at its edges despite a new position."""
    before, after = Signal(100, seed=1), Signal(100, seed=2)
    after.mg = after.mg[:, [2, 0, 1]]
    for onset_s in np.arange(5, 95, 5.0):
        after.twitch(15, onset_s)
    late = 5 * 360_000
    chunks = [(0, before.acc_g), (late, after.acc_g)]
    found = detect_stretch(chunks, late + 10_000, 100.0, LOWEST_SCORE)
    assert len(counted_s(found)) == 18
    assert kind_s(found, Kind.VALID) == pytest.approx(199.6, abs=3)


@pytest.mark.parametrize("gap_s", [3, 7, 10])
def test_a_sensor_that_turned_within_a_gap_makes_no_events(gap_s: int) -> None:
    """Seconds without samples in which the sensor came to lie otherwise leave no events at their edges."""
    acc_g, turned, late = Signal(100).acc_g, Signal(100, seed=1), 10_000 + 100 * gap_s
    turned.mg = turned.mg[:, [2, 0, 1]]
    found = detect_stretch([(0, acc_g), (late, turned.acc_g)], late + 10_000, 100.0, LOWEST_SCORE)
    assert len(counted_s(found)) == 0
    assert kind_s(found, Kind.VALID) > 180


def test_movement_is_gated_with_a_guard() -> None:
    """A turn of the sensor and a sway of 50 mg are movement with 2 s on both sides."""
    signal = Signal(300, seed=3).turn(100.0).sway(50.0, 1.0, 200.0, 210.0)
    found = detect(signal.acc_g)
    for time_s in (98.3, 101.0, 103.7, 198.3, 205.0, 211.7):
        assert kind_at(found, time_s) == Kind.MOVEMENT
    for time_s in (50.0, 94.0, 150.0, 192.0, 218.0):
        assert kind_at(found, time_s) == Kind.VALID
    assert len(counted_s(found)) == 0


def test_sustained_trembling_is_movement_but_breath_is_not() -> None:
    """10 s of 6 Hz at 10 mg are gated; breathing that tilts by 15 mg is valid time without events."""
    signal = Signal(300, seed=4).sway(15.0, 0.25, axis=1).sway(10.0, 6.0, 150.0, 160.0)
    found = detect(signal.acc_g)
    assert kind_at(found, 155.0) == Kind.MOVEMENT
    assert kind_s(found, Kind.MOVEMENT) < 16
    assert len(counted_s(found)) == 0


@pytest.mark.parametrize("size_mg", [100, 700])
@pytest.mark.parametrize("rise_s", [0.03, 0.05, 0.08])
def test_a_twitch_of_any_size_is_no_movement(size_mg: float, rise_s: float) -> None:
    """Single twitches up to the ceiling of a whole muscle, and runs of six, leave the time valid."""
    signal = Signal(100, seed=5)
    for onset_s in np.arange(5, 50, 5.0):
        signal.twitch(size_mg, onset_s, rise_s, [0.2, 0.1, 1.0])
    for start_s in np.arange(55, 95, 5.0):
        for number in range(6):
            signal.twitch(size_mg / 4, start_s + 0.1 * number, rise_s, [0.2, 0.1, 1.0])
    assert kind_s(detect(signal.acc_g), Kind.MOVEMENT) == 0


@pytest.mark.parametrize("range_g", [2.0, None])
def test_clipped_samples_cannot_be_judged(range_g: float | None) -> None:
    """Samples at the end of the range are clipped time with half a second around, range known or not."""
    signal = Signal(100, seed=6)
    signal.mg[5000:5004, 0] = 2000.0
    found = detect(signal.acc_g, range_g=range_g)
    assert kind_at(found, 50.0) in (Kind.CLIPPED, Kind.MOVEMENT)
    assert kind_s(found, Kind.CLIPPED) + kind_s(found, Kind.MOVEMENT) >= 1.0
    assert kind_s(found, Kind.CLIPPED) <= 2.0
    assert kind_at(found, 45.0) == Kind.VALID


def test_a_stuck_sensor_is_not_observed() -> None:
    """A sensor that repeats one vector for half a minute saw nothing then; 3 s of it may be coarse steps."""
    signal = Signal(200, seed=7)
    signal.mg[5000:8000] = signal.mg[5000]
    signal.mg[12_000:12_300] = signal.mg[12_000]
    found = detect(signal.acc_g)
    assert kind_at(found, 65.0) == Kind.NOISY
    assert kind_at(found, 121.0) == Kind.VALID
    assert kind_s(found, Kind.NOISY) == pytest.approx(30, abs=1)
    assert len(counted_s(found)) == 0


def test_noise_that_hides_twitches_of_100_mg_is_not_observed() -> None:
    """Minutes of 3 mg/sqrt(Hz) are noisy, minutes of 1 mg/sqrt(Hz) valid; the change makes few events."""
    found = detect(Signal(400, seed=8).noise(3.0, 150, 300).acc_g)
    assert kind_at(found, 225.0) == Kind.NOISY
    assert kind_at(found, 60.0) == kind_at(found, 380.0) == Kind.VALID
    assert len(counted_s(found)) <= 2
    assert kind_s(detect(Signal(200, density=1.0, seed=9).acc_g), Kind.NOISY) == 0


def test_a_change_of_noise_makes_few_events() -> None:
    """Noise that doubles or triples at once for minutes is followed by the floor from its first second on."""
    signal = Signal(900, seed=10).noise(0.2, 200, 400).noise(0.35, 600, 700)
    assert len(counted_s(detect(signal.acc_g))) <= 3


def test_a_sensor_that_never_changes_is_not_observed() -> None:
    """One vector for an hour, from the first sample on: no valid time, no event, no floor."""
    found = detect(np.tile(np.float32([0.1, 0.2, 0.97]), (360_000, 1)))
    assert kind_s(found, Kind.NOISY) == pytest.approx(3600, abs=1)
    assert len(found.candidates) == 0
    assert np.isnan(found.density).all()
