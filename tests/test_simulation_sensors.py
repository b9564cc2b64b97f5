"""Simulated chips and radio: noise, clocks, losses and arrivals are those that the tables state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from firmware_host.errors import BadValueError
from firmware_host.recording import open_night
from firmware_host.simulation import NightSpec, simulate_night
from firmware_host.simulation.chips import (
    CHIPS,
    CLOCK_ERROR,
    DriftingGrid,
    Specimen,
    add_noise_of,
    chip_named,
    counts_of,
    draw_specimen,
    grid_of,
)
from firmware_host.simulation.radio import (
    NO_TROUBLES,
    Connection,
    Fate,
    Troubles,
    arrivals,
    draw_fate,
    lost_packets,
)


def made(name: str, hours: float = 0.1, seed: int = 1, fs_hz: float = 100.0) -> tuple[Specimen, DriftingGrid]:
    """Return a sensor with a chip and its sample times."""
    specimen = draw_specimen(np.random.default_rng(seed), chip_named(name), fs_hz, hours)
    return specimen, grid_of(specimen, 0.0, hours * 3600)


@pytest.mark.parametrize("name", list(CHIPS))
def test_a_still_chip_has_its_noise(name: str) -> None:
    """The density in 5-40 Hz of what is sent is that of noise and rounding together, on each axis."""
    specimen, grid = made(name)
    acc_g = np.zeros((grid.n, 3), np.float32)
    acc_g[:, 2] = 1.0
    add_noise_of(np.random.default_rng(2), acc_g, grid, specimen)
    counts = counts_of(acc_g, specimen)
    assert counts.dtype == np.int16
    sent_mg = counts * specimen.chip.mg_per_count
    hz, power = signal.welch(sent_mg, grid.fs_hz, nperseg=1024, axis=0)
    density_ug = 1000 * np.sqrt(power[(hz > 5) & (hz < 40)].mean(axis=0))
    expected = np.hypot(specimen.density_ug, specimen.chip.quantisation_ug_per_sqrt_hz(grid.fs_hz))
    assert density_ug == pytest.approx(expected, rel=0.1)
    assert np.all(specimen.density_ug >= 0.9 * specimen.chip.noise_ug_per_sqrt_hz)


def test_noise_rises_below_its_corner() -> None:
    """At a tenth of the corner the density is some three times that of the white noise."""
    specimen, grid = made("ADXL362", hours=1.0)
    specimen = replace(specimen, corner_hz=1.0, drift_mg_per_k=np.zeros(3), offset_mg=np.zeros(3))
    acc_g = np.zeros((grid.n, 3), np.float32)
    add_noise_of(np.random.default_rng(3), acc_g, grid, specimen)
    hz, power = signal.welch(acc_g[:, 0], grid.fs_hz, nperseg=1 << 15)
    low, high = power[(hz > 0.08) & (hz < 0.12)].mean(), power[(hz > 5) & (hz < 40)].mean()
    assert np.sqrt(low / high) == pytest.approx(np.sqrt(11), rel=0.25)


def test_zero_drifts_with_temperature() -> None:
    """The mean of a still axis moves by its drift times the warming of the first half hour."""
    specimen, grid = made("ICM-42688-P", hours=2.0)
    acc_g = np.zeros((grid.n, 3), np.float32)
    add_noise_of(np.random.default_rng(1), acc_g, grid, specimen)
    minute = round(60 * grid.fs_hz)
    moved_mg = 1000 * (acc_g[-minute:].mean(axis=0) - acc_g[:minute].mean(axis=0)) * specimen.scale
    warmed_k = np.interp(7170, specimen.knot_s, specimen.warmth_k) - np.interp(
        30, specimen.knot_s, specimen.warmth_k
    )
    assert warmed_k > 3
    assert moved_mg == pytest.approx(specimen.drift_mg_per_k * warmed_k, abs=0.6)


@pytest.mark.parametrize(("name", "clips_at_g"), [("LSM6DSOX", 2.0), ("LIS2DH12-8g", 8.0), ("ADXL345", 16.0)])
def test_beyond_its_range_a_chip_clips(name: str, clips_at_g: float) -> None:
    """A jolt of 30 g is sent as the end of the range."""
    specimen, _ = made(name)
    sent = counts_of(np.array([[30, -30, 0]], np.float32), specimen)[0] * specimen.chip.mg_per_count / 1000
    assert sent.tolist() == pytest.approx([clips_at_g, -clips_at_g, 0], rel=0.002)


def test_clocks_are_off_as_their_kind_is() -> None:
    """RC clocks are off by percents and drift, crystals by millionths; index and time are inverse."""
    for name, chip in CHIPS.items():
        rates = []
        for seed in range(12):
            specimen, grid = made(name, 8.0, seed)
            rates.append(grid.fs_hz / 100 - 1)
            at = np.array([0.0, 1e5, 2e6])
            assert grid.index(grid.time_s(at)) == pytest.approx(at, abs=1e-6)
            pace = np.diff(grid.index(np.array([0.0, 300.0, 20000.0, 20300.0])))[[0, 2]] / 300
            warmer_k = np.interp(20150, specimen.knot_s, specimen.warmth_k) - np.interp(
                150, specimen.knot_s, specimen.warmth_k
            )
            assert pace[1] / pace[0] - 1 == pytest.approx(specimen.rate_per_k * warmer_k, abs=2e-4)
        limit = CLOCK_ERROR[chip.clock][1]
        assert 0.4 * limit < np.max(np.abs(rates)) < 1.1 * limit


def test_rates_and_names_of_chips() -> None:
    """A chip gives the nearest of its rates; an unknown name is answered with those that are known."""
    assert chip_named("LSM6DSOX").nearest_rate(100.0) == 104.0
    with pytest.raises(BadValueError, match="LIS2DH12"):
        chip_named("LIS3")


@pytest.mark.parametrize("share", [0.002, 0.05, 0.45])
def test_losses_come_in_bursts(share: float) -> None:
    """Over a long time the stated share is lost, mostly in a row."""
    lost = lost_packets(np.random.default_rng(1), 2_000_000, share, 20.0)
    assert lost.mean() == pytest.approx(share, rel=0.15)
    assert lost[1:][lost[:-1]].mean() > 0.7
    assert not lost_packets(np.random.default_rng(1), 1000, 0.0, 20.0).any()


def test_arrivals_scatter_as_measured() -> None:
    """Blocks are late, never early: 1 to 99 % without stalls span some 45 ms, as a wearable's did."""
    _, grid = made("BMI270", 8.0)
    fate = Fate((Connection(0.0, 8 * 3600.0),), 0.01, 1.0, 0.1, False, 0.0)
    blocks = list(arrivals(np.random.default_rng(1), grid, fate, 0))
    late = np.array([block.arrival_s - grid.time_s(block.stop - 1.0) for block in blocks])
    assert late.min() >= 0
    low, high = np.percentile(late[late < 0.09], [1, 99])
    assert 0.03 < high - low < 0.055
    assert 0.003 < np.mean(late > 0.1) < 0.03
    assert late.max() < 2.2
    assert np.all(np.diff([block.arrival_s for block in blocks]) >= 0)


def test_the_counter_counts_what_is_lost() -> None:
    """Counters follow the grid through losses; after a start anew they begin at 0, else they may go on."""
    _, grid = made("BMI270", 1.0)
    connections = (
        Connection(5.0, 1000.0),
        Connection(1030.0, 2000.0),
        Connection(2020.0, 3500.0, "restarted"),
    )
    for counts_on in (True, False):
        fate = Fate(connections, 0.1, 1.0, 0.1, counts_on, 0.0)
        heads = []
        for number in range(3):
            blocks = list(arrivals(np.random.default_rng(number), grid, fate, number))
            assert len({block.start - block.first for block in blocks}) == 1
            heads.append(blocks[0].start - blocks[0].first)
        window = [grid.window(one.start_s, one.end_s).start for one in connections]
        assert heads == ([0, 0, window[2]] if counts_on else window)


def test_fates_are_as_often_as_stated() -> None:
    """Over many sensor-nights: reconnects, absences, new starts and bad nights in their shares."""
    troubles = Troubles()
    fates = [draw_fate(np.random.default_rng(seed), 8.0, troubles) for seed in range(1500)]
    openings = [one.opening for fate in fates for one in fate.connections]
    assert openings.count("restarted") / 1500 == pytest.approx(troubles.reboot_share, abs=0.016)
    assert np.mean([fate.loss_share > 0.1 for fate in fates]) == pytest.approx(0.04, abs=0.016)
    again = (openings.count("connected") - 1500) / 1500
    assert again == pytest.approx(troubles.reconnects_per_h * 8 + troubles.long_absence_share, rel=0.1)
    usual = [fate.loss_share for fate in fates if fate.loss_share < 0.1]
    assert np.median(usual) == pytest.approx(np.sqrt(0.001 * 0.05), rel=0.15)
    for fate in fates:
        edges = [edge for one in fate.connections for edge in (one.start_s, one.end_s)]
        assert edges == sorted(edges)
        assert fate.connections[-1].reason == "end"
    quiet = draw_fate(np.random.default_rng(1), 8.0, NO_TROUBLES)
    assert (len(quiet.connections), quiet.loss_share) == (1, 0.0)
    dead = draw_fate(np.random.default_rng(1), 8.0, troubles, 9000.0)
    assert (dead.connections[-1].end_s, dead.connections[-1].reason) == (9000.0, "battery empty")


def test_a_night_of_troubles_reads_back(tmp_path: Path) -> None:
    """With every trouble the recorder's clock finds each stretch's true times, and the night repeats."""
    spec = NightSpec(seed=11, hours=1.5, sites=("left_calf", "left_thigh"), confounders=(),
                     chips=("LIS2DH12", "BMI270"), rate_scale=0.0)  # fmt: skip
    simulate_night(tmp_path / "a", spec=spec)
    simulate_night(tmp_path / "b", spec=spec)
    nights = [open_night(tmp_path / name) for name in "ab"]
    for site in spec.sites:
        first, again = ([part.counts for part in night.read(site)] for night in nights)
        assert np.array_equal(np.concatenate(first), np.concatenate(again))
        for stretch in nights[0].stretches(site):
            assert 92 < stretch.fs_hz < 108
            assert stretch.end_ns - nights[0].start_ns < 1.5 * 3600e9 + 1e9
