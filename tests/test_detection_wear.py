"""Worn or not worn: sensors on tables, and still people who hardly breathe, with good and poor chips."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_signals import LOWEST_SCORE, Signal, counted_s, detect, kind_at, kind_s
from scipy import fft
from scipy.spatial.transform import Rotation

from firmware_host.detection import CANDIDATE_DTYPE, Found, detect_stretch
from firmware_host.detection.cover import CellRows, Searched, judge_stretches
from firmware_host.detection.detector import search_stretch
from firmware_host.detection.signals import CELL_S, make_plan
from firmware_host.detection.wear import judge_wear
from firmware_host.twitches import Kind

CHIPS = {
    "LSM6DSOX": (0.07, 0.061),
    "BMI270": (0.16, 0.061),
    "LIS2DH12": (0.22, 1.0),
    "MPU-6050": (0.4, 0.061),
}
"""Density in mg/sqrt(Hz) and step in mg (data sheets)."""
BANDWIDTH_HZ = 42.0


def lying(hours: float, density: float = 0.1, *, seed: int = 0, corner_hz: float = 0.3) -> Signal:
    """Return a motionless sensor: white noise, twice as large on z in power, 1/f noise, slow drift."""
    signal = Signal(hours * 3600, density=density, seed=seed)
    cells = len(signal.mg) // 25 + 2
    flicker = coloured(signal.rng, cells, density, corner_hz)
    flicker += 2.0 * np.sin(np.arange(cells) / 4 * 2 * np.pi / 5400)[:, None] * signal.rng.standard_normal(3)
    at = np.arange(len(signal.mg)) / 25
    for axis in range(3):
        signal.mg[:, axis] += np.interp(at, np.arange(cells), flicker[:, axis])
    signal.mg[:, 2] += signal.rng.standard_normal(len(at)) * density * np.sqrt(signal.fs_hz / 2)
    return signal


def coloured(rng: np.random.Generator, cells: int, density: float, corner_hz: float) -> np.ndarray:
    """Return (cells, 3) of the part of 1/f noise that white noise lacks, four a second."""
    size = fft.next_fast_len(2 * cells)
    f_hz = fft.rfftfreq(size, 0.25)
    shape = np.sqrt(corner_hz / np.maximum(f_hz, f_hz[1]))
    white = rng.standard_normal((size, 3)) * density * np.sqrt(2.0)
    return np.asarray(fft.irfft(fft.rfft(white, axis=0) * shape[:, None], size, axis=0)[:cells])


def breath_mg(rng: np.random.Generator, time_s: np.ndarray, peak_to_peak_mg: float) -> np.ndarray:
    """Return (n, 3) of tilt by breath: its length and depth differ from breath to breath and over minutes."""
    count = int(time_s[-1]) + 10
    slow = np.interp(
        np.arange(count), np.arange(0, count + 300, 300), rng.uniform(0.9, 1.1, count // 300 + 2)
    )
    ends = np.cumsum(4.0 * slow * rng.normal(1, 0.08, count).clip(0.7, 1.3))
    phase = np.interp(time_s, np.concatenate([[0], ends]), np.arange(count + 1))
    depth = np.interp(time_s / 60, np.arange(count // 60 + 2), rng.uniform(0.6, 1.4, count // 60 + 2))
    along = rng.standard_normal(3)
    along /= np.linalg.norm(along)
    return np.asarray((peak_to_peak_mg / 2 * depth * np.sin(2 * np.pi * phase))[:, None] * along)


def breathing(signal: Signal, peak_to_peak_mg: float, start_s: float = 0.0, stop_s: float = np.inf) -> Signal:
    """Add breath for a while."""
    near = (signal.time_s >= start_s) & (signal.time_s < stop_s)
    signal.mg[near] += breath_mg(signal.rng, signal.time_s[near] - start_s, peak_to_peak_mg)
    return signal


def stepped(signal: Signal, step_mg: float) -> np.ndarray:
    """Return the samples in g as a chip of that step gives them."""
    return np.asarray(np.round(signal.mg / step_mg) * step_mg / 1000, np.float32)


def unconfirmed_s(found: Found, fs_hz: float = 100.0) -> float:
    """Return the seconds of valid time of which nothing shows that the sensor was worn."""
    rows = found.coverage[found.coverage["wear_unconfirmed"]]
    return float((rows["stop_index"] - rows["start_index"]).sum() / fs_hz)


@pytest.mark.long
@pytest.mark.parametrize("chip", sorted(CHIPS))
def test_hours_on_the_table_are_not_valid(chip: str) -> None:
    """Never put on, steps beside the table and a phone that buzzes on it: not worn, with any chip."""
    density, step_mg = CHIPS[chip]
    signal = lying(3, density, seed=1)
    for start_s in signal.rng.uniform(60, 10_700, 12):
        for number in range(6):  # steps of somebody who walks by
            signal.twitch(signal.rng.uniform(1, 15), start_s + 0.55 * number, 0.02)
    for number in range(5):
        signal.sway(300.0, 31.0, 5000 + 3 * number, 5001.5 + 3 * number)
    found = detect_stretch(
        [(0, stepped(signal, step_mg))], len(signal.mg), 100.0, LOWEST_SCORE, step_g=step_mg / 1e3
    )
    assert kind_s(found, Kind.VALID) == 0
    assert kind_s(found, Kind.NOT_WORN) > 0.95 * 3 * 3600


@pytest.mark.long
@pytest.mark.parametrize("chip", sorted(CHIPS))
@pytest.mark.parametrize("breath", [0.3, 0.7])
def test_still_people_who_hardly_breathe_are_worn(chip: str, breath: float) -> None:
    """Four hours without movement, breath of 0.3 or 0.7 mg: valid, and confirmed if the chip can show it."""
    density, step_mg = CHIPS[chip]
    signal = breathing(lying(4, density, seed=2), breath)
    found = detect(stepped(signal, step_mg))
    assert kind_s(found, Kind.NOT_WORN) == 0
    assert kind_s(found, Kind.VALID) > 4 * 3600 - 5
    if density < 0.2 or breath > 0.5:
        assert unconfirmed_s(found) == 0


def judged(rng: np.random.Generator, hours: float, density: float, breath: float) -> tuple[bool, bool]:
    """Tell whether a stretch of a still sensor, made as cells, is called not worn, and whether confirmed."""
    cells = round(hours * 14400)
    corner_hz, z_axis = float(np.exp(rng.uniform(np.log(0.1), 0))), rng.uniform(1, 1.6)
    mean_mg = rng.standard_normal((cells, 3)) * density * np.sqrt(2.0)
    mean_mg = (mean_mg + coloured(rng, cells, density, corner_hz)) * [1, 1, z_axis]
    if breath:
        mean_mg += breath_mg(rng, np.arange(cells) / 4, breath)
    energy = density**2 * 3 * BANDWIDTH_HZ * rng.chisquare(63, cells) / 63
    worn = judge_wear(
        mean_mg.T.astype(np.float32),
        energy.astype(np.float32),
        np.full(cells, density, np.float32),
        np.full(cells, Kind.VALID, np.uint8),
        BANDWIDTH_HZ,
        1e-3,
    )
    return bool(worn.not_worn.all()), not (worn.not_worn | worn.unconfirmed).any()


@pytest.mark.long
def test_few_are_wrong_over_many_people_and_tables() -> None:
    """Simulated: over stretches of 0.5-4 h on chips of 70-400 ug hardly an hour is judged wrongly."""
    rng = np.random.default_rng(3)
    hours = rng.choice([0.5, 1, 2, 4], 60)
    density = rng.choice([0.07, 0.09, 0.16, 0.22, 0.3, 0.4], 60)
    breath = np.exp(rng.uniform(np.log(0.3), 0, 60))
    people = np.array([judged(rng, *each) for each in zip(hours, density, breath, strict=True)])
    tables = np.array([judged(rng, *each, 0.0) for each in zip(hours, density, strict=True)])
    share = hours / hours.sum()
    assert share @ people[:, 0] <= 0.01
    assert share @ people[:, 1] >= 0.85
    assert share @ tables[:, 0] >= 0.75
    assert share @ tables[:, 1] <= 0.01


@given(
    seed=st.integers(0, 1000),
    breath=st.sampled_from([0.0, 0.5]),
    turn=st.integers(0, 1000),
    z_axis=st.floats(1, 2),
)
@settings(max_examples=5, deadline=None)
def test_turning_the_sensor_does_not_change_the_judgement(
    seed: int, breath: float, turn: int, z_axis: float
) -> None:
    """The same hour in other axes, a noisier one included, gives the same judgement."""
    rng = np.random.default_rng(seed)
    mean_mg = [100, -200, 970] + rng.standard_normal((14_400, 3)) * 0.14 * [1, 1, z_axis]
    mean_mg += breath_mg(rng, np.arange(14_400) / 4, breath)
    energy = (rng.chisquare(63, 14_400) / 50).astype(np.float32)
    kind = np.full(14_400, Kind.VALID, np.uint8)
    kind[5000:5030] = Kind.MOVEMENT
    turned = mean_mg @ Rotation.random(random_state=turn).as_matrix().T
    one, two = (
        judge_wear(
            part.T.astype(np.float32), energy, np.full(14_400, 0.1, np.float32), kind, BANDWIDTH_HZ, 1e-3
        )
        for part in (mean_mg, turned)
    )
    np.testing.assert_array_equal(one.not_worn, two.not_worn)
    np.testing.assert_array_equal(one.unconfirmed, two.unconfirmed)
    assert one.not_worn.any() == (breath == 0)


def test_a_short_stillness_proves_nothing() -> None:
    """A quarter of an hour that shows nothing, or an hour of a poor sensor: valid and unconfirmed."""
    for signal in (Signal(900, seed=12), lying(0.9, 0.4, seed=12, corner_hz=1.0)):
        found = detect(signal.acc_g)
        assert kind_s(found, Kind.NOT_WORN) == 0
        assert unconfirmed_s(found) == kind_s(found, Kind.VALID) > 890


def test_a_sensor_put_on_late_and_taken_off_early() -> None:
    """An hour on the table, two on a still person, an hour on the table: each is judged by itself."""
    signal = breathing(lying(4, seed=13), 0.5, 3600, 10_800).turn(3600.0).turn(10_800.0)
    found = detect(signal.acc_g)
    assert kind_s(found, Kind.NOT_WORN) == pytest.approx(7200, abs=20)
    assert kind_at(found, 1800.0) == kind_at(found, 12_600.0) == Kind.NOT_WORN
    assert kind_at(found, 7200.0) == Kind.VALID
    assert unconfirmed_s(found) == 0


def test_laid_down_as_it_was_worn_it_is_still_told() -> None:
    """Half a minute of handling between breath and none is a handling, even if gravity is the same after."""
    signal = breathing(lying(2, seed=14), 0.5, 0, 3600).sway(300.0, 1.5, 3600.0, 3630.0)
    found = detect(signal.acc_g)
    assert kind_at(found, 1800.0) == Kind.VALID
    assert kind_at(found, 5400.0) == Kind.NOT_WORN


def test_a_movement_that_turns_confirms_a_quarter_of_an_hour() -> None:
    """15 minutes around a small turn of the body are taken for worn; a bump without a turn shows nothing."""
    turned, bumped = (lying(0.9, 0.4, seed=15, corner_hz=1.0).sway(60.0, 1.0, 1600.0, 1605.0) for _ in "ab")
    turned.mg[160_000:, 0] += 20.0
    found = detect(turned.acc_g)
    assert kind_s(found, Kind.NOT_WORN) == 0
    assert unconfirmed_s(found) == pytest.approx(3240 - 1805, abs=20)
    assert unconfirmed_s(detect(bumped.acc_g)) == pytest.approx(3230, abs=20)


def test_putting_on_and_taking_off_confirm_nothing_beyond_them() -> None:
    """A quarter of an hour on the table before a sensor is put on, and after it is taken off, is doubtful."""
    signal = lying(1, 0.4, seed=24, corner_hz=1.0).turn(900.0).turn(1300.0).turn(2700.0)
    found = detect(signal.acc_g)
    doubtful = found.coverage[found.coverage["wear_unconfirmed"]]
    inside = (doubtful["start_index"] < 270_000) & (doubtful["stop_index"] > 90_000)
    assert kind_s(found, Kind.NOT_WORN) == 0
    assert unconfirmed_s(found) == pytest.approx(1800, abs=20)
    assert not inside.any()


def test_a_sleeper_who_turns_over_is_still_wearing_it() -> None:
    """A turn as large as handling, with breath on both sides, leaves all time worn."""
    found = detect(Signal(5400, seed=16).sway(2.0, 0.25).turn(1800.0).acc_g)
    assert kind_s(found, Kind.NOT_WORN) == unconfirmed_s(found) == 0


def test_pulse_without_breath_confirms_wearing() -> None:
    """Beats of 2.5 mg at a limb that does not tilt, an irregular 66 a minute: worn."""
    signal = Signal(3600, seed=17)
    beats_s = np.cumsum(signal.rng.normal(0.9, 0.04, 3970))
    for beat_s in beats_s[beats_s < 3599]:
        signal.twitch(2.5, beat_s, 0.04, [1, 1, 0])
    found = detect(signal.acc_g)
    assert kind_s(found, Kind.NOT_WORN) == unconfirmed_s(found) == 0


def test_a_still_leg_that_twitches_is_worn() -> None:
    """After a turn as large as handling nothing moves but twitches, two a minute: they all stay valid."""
    signal = Signal(5400, seed=18).sway(2.0, 0.25, 0.0, 1795.0).turn(1800.0)
    onsets = np.arange(1830, 5370, 30.0)
    for onset_s in onsets:
        signal.twitch(15, onset_s)
    found = detect(signal.acc_g)
    assert kind_s(found, Kind.NOT_WORN) == 0
    assert (counted_s(found) > 1820).sum() == len(onsets)


def test_lost_packets_do_not_hide_breath_nor_make_it() -> None:
    """With 5 % of packets lost breath of 0.5 mg still confirms, and a table is still a table."""
    for breath, kind in ((0.5, Kind.VALID), (0.0, Kind.NOT_WORN)):
        signal = breathing(lying(1, seed=19), breath)
        acc_g, first, chunks = signal.acc_g, 0, []
        while first < len(acc_g):
            size = int(signal.rng.integers(5, 60))
            if signal.rng.random() > 0.05:
                chunks.append((first, acc_g[first : first + size]))
            first += size
        found = detect_stretch(chunks, len(acc_g), 100.0, LOWEST_SCORE)
        assert kind_s(found, kind) > 0.85 * 3600
        assert unconfirmed_s(found) == 0


def reconnected(signal: Signal, every_s: int = 600, pause_s: int = 3) -> list[Found]:
    """Judge a signal of which each few minutes are a stretch of its own."""
    parts = [
        signal.acc_g[100 * first : 100 * (first + every_s - pause_s)]
        for first in range(0, len(signal.mg) // 100, every_s)
    ]
    searched = [search_stretch([(0, part)], len(part), 100.0, LOWEST_SCORE) for part in parts]
    return judge_stretches(searched, [float(pause_s)] * (len(parts) - 1))


def test_reconnects_hide_no_table_and_no_breath() -> None:
    """With a new stretch every 10 minutes a table is not worn and weak breath is; each stretch is tiled."""
    for breath, kind in ((0.5, Kind.VALID), (0.0, Kind.NOT_WORN)):
        found = reconnected(breathing(lying(1, seed=21), breath))
        assert len(found) == 6
        for one in found:
            assert (one.coverage["start_index"][0], one.coverage["stop_index"][-1]) == (0, 59_700)
            assert kind_s(one, kind) == pytest.approx(597, abs=1)
            assert unconfirmed_s(one) == 0
            assert kind == Kind.VALID or not len(one.candidates)


def test_a_handling_between_two_stretches_ends_what_is_known() -> None:
    """A sensor that came to lie otherwise while it was not connected is judged anew from there."""
    found = reconnected(breathing(lying(1, seed=22), 0.5, 0, 1795).turn(1798.5))
    assert [kind_s(one, Kind.VALID) > 590 for one in found] == [True] * 3 + [False] * 3
    assert sum(kind_s(one, Kind.NOT_WORN) for one in found[3:]) == pytest.approx(3 * 597, abs=10)


def test_twitches_before_hours_without_samples_still_show_life() -> None:
    """A still leg with two twitches a minute stays valid though its sensor was away for three hours."""
    signal = Signal(1800, seed=23)
    for onset_s in np.arange(30, 1770, 30.0):
        signal.twitch(15, onset_s)
    chunks = [(0, signal.acc_g[:90_000]), (1_170_000, signal.acc_g[90_000:])]
    found = detect_stretch(chunks, 1_260_000, 100.0, LOWEST_SCORE)
    assert kind_s(found, Kind.NOT_WORN) == 0
    assert kind_s(found, Kind.VALID) > 1790


def test_time_without_samples_is_no_proof_of_stillness() -> None:
    """After a turn, 25 min of gap and 5 min without breath are too little to call a sensor not worn."""
    acc_g = Signal(5400, seed=20).sway(2.0, 0.25, 0.0, 1795.0).turn(1800.0).sway(2.0, 0.25, 3700.0).acc_g
    found = detect_stretch([(0, acc_g[:181_000]), (340_000, acc_g[340_000:])], 540_000, 100.0, LOWEST_SCORE)
    assert kind_s(found, Kind.NOT_WORN) == 0


@pytest.mark.parametrize("hours", [24, 96])
def test_a_faint_hump_does_not_become_a_pulse_in_days(hours: int) -> None:
    """A still sensor whose level sways by 1 % is called not worn after a day, and no less so after four."""
    rng, cells = np.random.default_rng(1), hours * 14400
    sway = 0.01 * np.sin(2 * np.pi * 1.1 * np.arange(cells) * CELL_S)
    energy = 0.01 * 3 * BANDWIDTH_HZ * rng.standard_gamma(31.5, cells) / 31.5 * np.exp(sway)
    worn = judge_wear(
        rng.standard_normal((3, cells), np.float32) * np.float32(0.15),
        energy.astype(np.float32),
        np.full(cells, 0.1, np.float32),
        np.full(cells, Kind.VALID, np.uint8),
        BANDWIDTH_HZ,
        1e-3,
    )
    assert worn.not_worn.all()


def memory_of_judging(hours: float, stretches: int = 1) -> int:
    """Return the bytes that are taken, beyond its cells, to judge a sensor that nobody touches."""
    rng, n = np.random.default_rng(1), round(hours * 3600 / CELL_S)
    mean_mg = rng.standard_normal((3, n), np.float32) + np.float32([[100], [20], [970]])
    energy = rng.standard_gamma(10, n, np.float32) * np.float32(0.1)
    density, kind = np.full(n, 0.1, np.float32), np.full(n, Kind.VALID, np.uint8)
    cells, plan = CellRows(mean_mg, energy, density, kind), make_plan(100.0)
    searched = [
        Searched(
            plan, np.zeros(0, CANDIDATE_DTYPE), cells.part(slice(first, first + n // stretches)),
            [], n // stretches * 25, np.zeros(3), 1e-3,
        )
        for first in range(0, n, n // stretches)
    ]  # fmt: skip
    tracemalloc.start()
    try:
        found = judge_stretches(searched, [1.0] * (stretches - 1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(kind_s(one, Kind.NOT_WORN) for one in found) == pytest.approx(hours * 3600, rel=1e-3)
    return peak


def test_a_day_without_a_handling_takes_little_memory() -> None:
    """Wear of 24 h in one piece is judged within 20 MB, whatever signs of life show."""
    assert memory_of_judging(24) < 20e6


@pytest.mark.parametrize(("stretches", "bytes_a_cell"), [(1, 10), (24, 32)])
def test_memory_hardly_grows_with_hours_of_stillness(stretches: int, bytes_a_cell: int) -> None:
    """Each hour more takes less than half the memory of its cells, and that of them where they are joined."""
    more = memory_of_judging(48, stretches) - memory_of_judging(6, stretches)
    assert more < bytes_a_cell * (48 - 6) * 3600 / CELL_S
