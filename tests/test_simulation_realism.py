"""The simulator against measured facts: real-data.md 3 in figures, and the recordings where they are at hand.

People whose number is a multiple of 3 are kept aside from developing and are not looked at here.
"""

from __future__ import annotations

import os
from dataclasses import astuple, fields
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from beat_measures import FS_HZ, Beats, measure
from scipy import signal

from firmware_host.simulation import DEFAULT_SITES, Parameters
from firmware_host.simulation.bodies import Grid, draw_sleeper, gravity
from firmware_host.simulation.happenings import Canvas, Draft, draw_happenings, render
from firmware_host.simulation.shapes import FINE_HZ, SHAPES, Tissue

pytestmark = pytest.mark.lasts_s(20)

FOLDER = Path(os.environ.get("TWITCHMAP_REAL_DATA", "absent"))
needs_recordings = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="TWITCHMAP_REAL_DATA does not name a folder of recordings"
)
EVOKED = {
    "above_half_ms": (39, 66, 100),
    "above_fifth_ms": (78, 111, 150),
    "low_hz": (3.2, 4.8, 6.5),
    "half_hz": (8, 11, 16),
    "most_hz": (16, 23, 34),
}
"""2,920 evoked twitches of 54 people (tensiomyography, real-data.md 3.1): 5 %, median, 95 % of how long the
envelope is above 50 and 20 % of its peak, and of where 5, 50 and 90 % of the power lie below."""
QUARTILES_MG = (18, 26, 36)
HALF_HZ, MOST_HZ = 10, 19
"""Chest, supine, 492 recordings (MSCardio, real-data.md 3.3): peak to peak of a beat; half and 90 % of its
power lie below."""
PER_MIN, VISIBLE_SHARE, TRANSIENTS_PER_MIN = 67, 0.64, 54
"""The same: median rate; share with a periodicity above 0.5; brief transients where beats are visible."""


def widths_and_bands(acceleration: np.ndarray, fs_hz: float) -> dict[str, float]:
    """Measure a twitch as the table above does."""
    wave = np.concatenate([np.zeros(round(0.3 * fs_hz)), acceleration])
    envelope = np.abs(signal.hilbert(wave))
    power = np.square(np.abs(np.fft.rfft(wave, 1 << 15))).cumsum()
    low, half, most = (
        np.searchsorted(power, part * power[-1]) * fs_hz / (1 << 15) for part in (0.05, 0.5, 0.9)
    )
    above = {part: 1000 * np.sum(envelope > part * envelope.max()) / fs_hz for part in (0.5, 0.2)}
    return {"above_half_ms": above[0.5], "above_fifth_ms": above[0.2], "low_hz": low, "half_hz": half,
            "most_hz": most}  # fmt: skip


@cache
def simulated_twitches(name: str) -> dict[str, np.ndarray]:
    """Measure 150 units of a family of shapes."""
    rng, p = np.random.default_rng(1), Parameters()
    drawn = [
        SHAPES[name].draw(
            rng,
            Tissue(
                rng.uniform(*p.resonance_hz),
                rng.uniform(*p.resonance_damping),
                rng.uniform(*p.resonance_share),
            ),
        )
        for _ in range(150)
    ]
    measured = [widths_and_bands(one, FINE_HZ) for one in drawn]
    return {key: np.array([one[key] for one in measured]) for key in EVOKED}


@cache
def simulated_chests() -> tuple[Beats, ...]:
    """Measure 60 simulated chests at rest, 100 s each, with the noise of a phone's sensor."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        night = Draft(100 / 3600, ("left_chest",), draw_sleeper(rng, Parameters(), 100 / 3600))
        grid = Grid(0.0, FS_HZ, round(100 * FS_HZ))
        canvas = Canvas(gravity(rng, grid, []), grid, "left_chest", night)
        render(canvas, draw_happenings(seed, night, ["heart", "breath", "unrest"]))
        noise = rng.uniform(60e-6, 150e-6) * np.sqrt(FS_HZ / 2) * rng.standard_normal(canvas.acc_g.shape)
        found.append(measure(canvas.acc_g + noise))
    return tuple(found)


def visible(chests: tuple[Beats, ...]) -> dict[str, np.ndarray]:
    """Return each measure over the recordings in which beats are visible."""
    seen = np.array([astuple(one) for one in chests if one.periodicity > 0.5])
    return {field.name: seen[:, number] for number, field in enumerate(fields(Beats))}


@pytest.mark.parametrize("key", EVOKED)
def test_plain_twitches_are_as_long_and_as_fast_as_evoked_ones(key: str) -> None:
    """The median of the plain family is that of measured twitches within a quarter; its range covers theirs
    for the most part and is not more than half as wide again."""
    low, median, high = EVOKED[key]
    found = np.percentile(simulated_twitches("gamma")[key], [5, 50, 95])
    assert found[1] == pytest.approx(median, rel=0.25)
    assert 0.6 * low < found[0] < 1.2 * low
    assert 0.85 * high < found[2] < 1.5 * high


@pytest.mark.long
@pytest.mark.parametrize("name", SHAPES)
def test_every_family_lies_in_the_band_of_twitches(name: str) -> None:
    """Half of the power below 4-20 Hz in the median, next to nothing above 45 Hz, all of it short."""
    found = simulated_twitches(name)
    assert 4 < np.median(found["half_hz"]) < 20
    assert np.percentile(found["most_hz"], 95) < 45
    assert 30 < np.median(found["above_half_ms"]) < 200


@pytest.mark.long
def test_simulated_chests_beat_as_real_ones() -> None:
    """Size, band, rate and visibility of beats, and brief transients, are the measured ones."""
    chests = simulated_chests()
    found = visible(chests)
    assert np.percentile(found["size_mg"], [25, 50, 75]) == pytest.approx(QUARTILES_MG, rel=0.25)
    assert np.median(found["half_hz"]) == pytest.approx(HALF_HZ, rel=0.35)
    assert np.median(found["most_hz"]) == pytest.approx(MOST_HZ, rel=0.2)
    assert np.median(found["per_min"]) == pytest.approx(PER_MIN, rel=0.15)
    assert len(found["per_min"]) / len(chests) == pytest.approx(VISIBLE_SHARE, abs=0.2)
    assert np.median(found["transients_per_h"]) / 60 == pytest.approx(TRANSIENTS_PER_MIN, rel=0.5)


def test_limbs_feel_the_pulse_for_a_part_of_the_night() -> None:
    """0.5-8 mg at limbs, on average in 10-60 % of the time (Zschocke 2019, Moebus 2024)."""
    shares, sizes = [], []
    for seed in range(20):
        night = Draft(8.0, DEFAULT_SITES, draw_sleeper(np.random.default_rng(seed), Parameters(), 8.0))
        events = draw_happenings(seed, night, ["heart"])
        shares.append(sum(event.end_s - event.start_s for event in events) / (4 * night.duration_s))
        sizes += [max(event.size_mg) for event in events]
    assert 0.25 < np.mean(shares) < 0.45
    assert min(sizes) >= 0.5
    assert max(sizes) <= 8


@needs_recordings
def test_beats_vary_as_those_of_recorded_people() -> None:
    """Sameness, spread of size and of intervals, direction and band of beats: medians as in recordings."""
    real, made = visible(recorded_chests()), visible(simulated_chests())
    for key, room in {"likeness": 0.08, "likeness_low": 0.15, "size_varies": 0.3, "interval_varies": 0.4,
                      "linearity": 0.12, "half_hz": 0.25, "most_hz": 0.25, "size_mg": 0.25,
                      "periodicity": 0.12, "transients_per_h": 0.5}.items():  # fmt: skip
        assert np.nanmedian(made[key]) == pytest.approx(np.nanmedian(real[key]), rel=room), key


@needs_recordings
def test_twitches_are_as_recorded_ones() -> None:
    """Length and band of evoked twitches of people developed on are near the plain family's."""
    data = np.load(FOLDER / "tmg_twitches.npz")
    shown = data["disp_mm"][data["subject"] % 3 != 0][::6]
    smooth = signal.sosfiltfilt(signal.butter(2, 100, fs=1000, output="sos"), shown, axis=1)
    accelerations = np.gradient(np.gradient(smooth, axis=1), axis=1)[:, 5:600]
    real = [widths_and_bands(one, 1000.0) for one in accelerations]
    for key in EVOKED:
        median = float(np.median([one[key] for one in real]))
        assert np.median(simulated_twitches("gamma")[key]) == pytest.approx(median, rel=0.35), key


@cache
def recorded_chests() -> tuple[Beats, ...]:
    """Measure the recordings of people developed on."""
    data = np.load(FOLDER / "chest_rest_mscardio.npz")
    found = []
    for number, person in enumerate(data["rec_subject"]):
        if person % 3 == 0:
            continue
        rows = slice(*data["rec_offsets"][number : number + 2])
        time_s, acc_g = data["t_s"][rows], data["acc_g"][rows]
        fs_hz = len(time_s) / (time_s[-1] - time_s[0])
        if fs_hz > 1.5 * FS_HZ:
            acc_g = signal.sosfiltfilt(signal.butter(4, 40, fs=fs_hz, output="sos"), acc_g, axis=0)
        even_s = np.arange(time_s[0], time_s[-1], 1 / FS_HZ)
        found.append(measure(np.stack([np.interp(even_s, time_s, axis) for axis in acc_g.T], axis=1)))
    return tuple(found)
