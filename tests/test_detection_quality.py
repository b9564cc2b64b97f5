"""What each moment was good for: gaps, movement, clipping, a stuck sensor, noise, and whether it was worn."""

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


def wear(found_seconds: float, signal: Signal) -> tuple[float, float]:
    """Return the share of a stretch that is not worn, and the share of valid time that is unconfirmed."""
    found = detect(signal.acc_g)
    valid = found.coverage[found.coverage["kind"] == Kind.VALID]
    length = valid["stop_index"] - valid["start_index"]
    unconfirmed = float((length * valid["wear_unconfirmed"]).sum() / max(length.sum(), 1))
    return kind_s(found, Kind.NOT_WORN) / found_seconds, unconfirmed


def test_breath_confirms_wearing() -> None:
    """A worn sensor that shows breath of 1 mg is valid and confirmed for an hour without movement."""
    assert wear(3600, Signal(3600, seed=11).sway(1.0, 0.25)) == (0, 0)


def test_stillness_alone_is_unconfirmed_but_valid() -> None:
    """A sensor that shows only its own noise for an hour: valid time, nothing confirmed, not called off."""
    assert wear(3600, Signal(3600, seed=12)) == (0, 1)


def test_movement_confirms_a_quarter_of_an_hour() -> None:
    """Around a movement 15 minutes before and after are taken for worn, the rest stays unconfirmed."""
    signal = Signal(7200, density=0.4, seed=13).sway(60.0, 1.0, 3600.0, 3605.0)
    not_worn, unconfirmed = wear(7200, signal)
    assert not_worn == 0
    assert unconfirmed == pytest.approx(1 - 1805 / 7200, abs=0.01)


def test_a_sensor_laid_down_is_not_worn() -> None:
    """Worn with breath, then handled, turned and noise-only for an hour: that hour is not worn."""
    signal = Signal(5400, seed=14).sway(2.0, 0.25, 0.0, 1795.0).turn(1800.0)
    found = detect(signal.acc_g)
    assert kind_at(found, 900.0) == Kind.VALID
    assert kind_at(found, 3600.0) == Kind.NOT_WORN
    assert kind_s(found, Kind.NOT_WORN) == pytest.approx(3597, abs=10)


def test_a_sleeper_who_turns_over_is_still_wearing_it() -> None:
    """A turn as large as handling, with breath on both sides, leaves all time worn."""
    signal = Signal(5400, seed=15).sway(2.0, 0.25).turn(1800.0)
    assert wear(5400, signal) == (0, 0)


def test_a_poor_sensor_proves_nothing() -> None:
    """A sensor too noisy to show a limb's breath is never called not worn, only unconfirmed."""
    signal = Signal(5400, density=0.4, seed=16).turn(1800.0)
    not_worn, unconfirmed = wear(5400, signal)
    assert not_worn == 0
    assert unconfirmed > 0.4


def test_a_still_leg_that_twitches_is_worn() -> None:
    """After a turn as large as handling nothing moves but twitches, two a minute: they all stay valid."""
    signal = Signal(5400, seed=17).sway(2.0, 0.25, 0.0, 1795.0).turn(1800.0)
    onsets = np.arange(1830, 5370, 30.0)
    for onset_s in onsets:
        signal.twitch(15, onset_s)
    found = detect(signal.acc_g)
    assert kind_s(found, Kind.NOT_WORN) == 0
    assert (counted_s(found) > 1820).sum() == len(onsets)
    late = found.coverage[found.coverage["start_index"] > 270_000]
    assert late["wear_unconfirmed"][late["kind"] == Kind.VALID].all()


def test_breath_too_small_to_confirm_wearing_does_not_deny_it() -> None:
    """After a turn, breath that hardly shows in the noise is no proof that the sensor was taken off."""
    signal = Signal(5400, density=0.16, seed=18).sway(2.0, 0.25, 0.0, 1795.0).turn(1800.0)
    assert wear(5400, signal.sway(0.25, 0.25, 1805.0))[0] == 0


def test_time_without_samples_is_no_proof_of_stillness() -> None:
    """After a turn, 25 min of gap and 5 min without breath are too little to call a sensor not worn."""
    acc_g = Signal(5400, seed=19).sway(2.0, 0.25, 0.0, 1795.0).turn(1800.0).sway(2.0, 0.25, 3700.0).acc_g
    found = detect_stretch([(0, acc_g[:181_000]), (340_000, acc_g[340_000:])], 540_000, 100.0, LOWEST_SCORE)
    assert kind_s(found, Kind.NOT_WORN) == 0


def test_a_sensor_that_never_changes_is_not_observed() -> None:
    """One vector for an hour, from the first sample on: no valid time, no event, no floor."""
    found = detect(np.tile(np.float32([0.1, 0.2, 0.97]), (360_000, 1)))
    assert kind_s(found, Kind.NOISY) == pytest.approx(3600, abs=1)
    assert len(found.candidates) == 0
    assert np.isnan(found.density).all()
