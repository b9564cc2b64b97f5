"""Nothing but a sensor's own noise: false alarms an hour, and the size found 9 times in 10 beside the limits.

A sensor of each chip is drawn with its noise on three axes, drift, steps and range. Below the band breath
tilts it a little, as no sensor on a body is without; in the band there is noise alone, and in the second kind
of recording twitches of known rise and size.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from firmware_host.analysis import find_candidates
from firmware_host.detection.signals import BAND_HZ, make_plan, twitch_acceleration
from firmware_host.learning import bounds
from firmware_host.learning.cohort_score import Judge, search_score
from firmware_host.learning.match import match
from firmware_host.learning.one_site import write_one_site
from firmware_host.learning.score import in_valid_time
from firmware_host.simulation.bodies import Grid
from firmware_host.simulation.chips import Specimen, add_noise_of, chip_named, counts_of, draw_specimen
from firmware_host.twitches import valid_s

Floats = npt.NDArray[np.float64]

SITE = "left_calf"
RECORDING_H = 1.0
TWITCH_EVERY_S = 6.0
"""On average; at random, at least `APART_S` apart, so that the context is that of a site that twitches."""
APART_S = 1.5
SIZES = (0.55, 1.9)
"""Over the size that the bank needs."""
BREATH_HZ, BREATH_MG = (0.2, 0.3), (4.0, 8.0)
BUDGET_PER_H = 0.1
"""Limits are taken at the detector's own false alarms, but at no fewer than so many: those of few hours are
not known better."""


@dataclass(frozen=True)
class NoiseCase:
    """One recording of a chip: at which rate, how long, and whether twitches are in it."""

    chip: str
    fs_hz: float
    hours: float
    number: int
    with_twitches: bool = False


@dataclass(frozen=True)
class NoiseResult:
    """False alarms by judge, valid hours, measured density (3,), and twitches in it with which were found.

    `alone` and `alone_h`: false alarms away from any twitch, and the valid hours that are so.
    `rise_s`, `size_mg` (n,) of twitches in valid time; `found` (n,) by judge.
    """

    case: NoiseCase
    valid_h: float
    false_alarms: dict[tuple[str, str], int]
    alone: dict[tuple[str, str], int]
    alone_h: float
    density: Floats
    rise_s: Floats
    size_mg: Floats
    found: dict[tuple[str, str], npt.NDArray[np.bool_]]


class Twitches(NamedTuple):
    """Twitches that were added: time of the largest band-passed value, rise and peak-to-peak in the band."""

    peak_s: Floats
    rise_s: Floats
    size_mg: Floats


def noise_case(case: NoiseCase, judges: Sequence[Judge], scratch: Path | None = None) -> NoiseResult:
    """Draw a recording, search it once, and count what each judge counts; `scratch` holds its files."""
    key = [zlib.crc32(case.chip.encode()), round(case.fs_hz * 100)]
    rng = np.random.default_rng([*key, case.number, case.with_twitches])
    chip = chip_named(case.chip)
    # One sensor for all twitches, as their sizes are compared with limits for its density.
    own = np.random.default_rng([*key, 0 if case.with_twitches else 1 + case.number])
    specimen = draw_specimen(own, chip, case.fs_hz, case.hours)
    grid = Grid(0.0, case.fs_hz, int(case.hours * 3600 * case.fs_hz))
    counts, twitches = _drawn(rng, specimen, grid, twitching=case.with_twitches)
    step_g = chip.mg_per_count / 1000
    silent = _drawn(rng, specimen, grid, twitching=False)[0] if case.with_twitches else counts
    density = density_mg(silent * step_g, case.fs_hz)
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        path = write_one_site(
            Path(folder) / "noise.night", counts, np.arange(grid.n) / case.fs_hz,
            site=SITE, fs_hz=case.fs_hz, g_per_count=step_g, range_g=chip.range_g, origin="simulated",
        )  # fmt: skip
        findings = find_candidates(path, search_score(judges))
    truth = np.zeros(len(twitches.peak_s), [("site", "U32"), ("peak_s", "f8")])
    truth["site"], truth["peak_s"] = SITE, twitches.peak_s
    inside = in_valid_time(truth, findings.coverage)
    alarms, alone, found = {}, {}, {}
    for one in judges:
        rows = one.judge(findings)
        rows = rows[rows["counted"] & in_valid_time(rows, findings.coverage)]
        hits, hit_by = match(rows["peak_s"], twitches.peak_s)
        false_s = np.delete(rows["peak_s"], hit_by)
        alarms[one.name] = len(false_s)
        alone[one.name] = int((_distance_s(false_s, twitches.peak_s) > APART_S / 2).sum())
        found[one.name] = np.isin(np.arange(len(truth)), hits)[inside]
    valid_h = valid_s(findings.coverage) / 3600
    return NoiseResult(
        case, valid_h, alarms, alone, valid_h - APART_S * int(inside.sum()) / 3600, density,
        twitches.rise_s[inside], twitches.size_mg[inside], found,
    )  # fmt: skip


def _distance_s(times_s: Floats, others_s: Floats) -> Floats:
    """Return how far the nearest of others (sorted) is; infinite where there are none."""
    edges = np.concatenate([[-np.inf], others_s, [np.inf]])
    after = np.searchsorted(edges, times_s)
    return np.asarray(np.minimum(times_s - edges[after - 1], edges[after] - times_s))


def _drawn(
    rng: np.random.Generator, specimen: Specimen, grid: Grid, *, twitching: bool
) -> tuple[npt.NDArray[np.int16], Twitches]:
    """Return counts, and the twitches in them."""
    acc_g = np.zeros((grid.n, 3), np.float32)
    time_s = np.arange(grid.n) / grid.fs_hz
    upright, tilt = (way / np.linalg.norm(way) for way in rng.standard_normal((2, 3)))
    breath = 5e-4 * rng.uniform(*BREATH_MG) * np.sin(2 * np.pi * rng.uniform(*BREATH_HZ) * time_s)
    acc_g += (upright + breath[:, None] * tilt).astype(np.float32)
    twitches = Twitches(np.zeros(0), np.zeros(0), np.zeros(0))
    if twitching:
        twitches = _add_twitches(rng, acc_g, time_s, float(np.sqrt(np.mean(specimen.density_ug**2))) / 1000)
    add_noise_of(rng, acc_g, grid, specimen)
    return counts_of(acc_g, specimen), twitches


def _add_twitches(
    rng: np.random.Generator, acc_g: npt.NDArray[np.float32], time_s: Floats, density: float
) -> Twitches:
    """Add twitches at random: of the bank's rises in turn, sizes around what the bank needs."""
    pauses = APART_S + rng.exponential(TWITCH_EVERY_S - APART_S, int(time_s[-1] / TWITCH_EVERY_S * 1.5) + 10)
    onset_s = 5 + np.cumsum(pauses)
    onset_s = onset_s[onset_s < time_s[-1] - 5]
    rises = np.array(bounds.BANK_RISE_S)[np.arange(len(onset_s)) % len(bounds.BANK_RISE_S)]
    band = band_of(1 / (time_s[1] - time_s[0]))
    need_mg = {rise: _rough_need_mg(rise, band, density) for rise in bounds.BANK_RISE_S}
    sizes = np.array([need_mg[rise] for rise in rises.tolist()]) * rng.uniform(*SIZES, len(rises))
    peaks = []
    for start_s, rise_s, size_mg in zip(onset_s.tolist(), rises.tolist(), sizes.tolist(), strict=True):
        near = slice(*np.searchsorted(time_s, [start_s, start_s + 10 * rise_s]))
        way = rng.standard_normal(3)
        one_mg, peak_s = _unit_twitch(rise_s, band)
        wave = 1e-3 * size_mg * one_mg * twitch_acceleration(time_s[near] - start_s, rise_s)
        acc_g[near] += (wave[:, None] * way / np.linalg.norm(way)).astype(np.float32)
        peaks.append(start_s + peak_s)
    return Twitches(np.array(peaks), rises, sizes)


def band_of(fs_hz: float) -> bounds.Band:
    """Return the band that the detector uses at a nominal rate."""
    return bounds.Band(BAND_HZ[0], min(BAND_HZ[1], 0.45 * make_plan(fs_hz).fs_internal_hz))


def _unit_twitch(rise_s: float, band: bounds.Band) -> tuple[float, float]:
    """Return what makes a twitch 1 mg peak-to-peak in the band, and when after its onset it is largest."""
    spectrum, peak_s = bounds.shape_spectrum(rise_s, band)
    n = bounds.BLOCK * bounds.FINE
    raw = fft.rfft(twitch_acceleration(np.arange(n) / (bounds.FS_HZ * bounds.FINE), rise_s))
    largest = int(np.argmax(np.abs(spectrum)))
    return float(np.abs(spectrum[largest]) / np.abs(raw[largest])) * bounds.FS_HZ * bounds.FINE, peak_s


def _rough_need_mg(rise_s: float, band: bounds.Band, density: float) -> float:
    spectrum, _ = bounds.shape_spectrum(rise_s, band)
    return 7.2 * density / float(np.sqrt(2 * bounds.energy_mg2s(spectrum)))


def density_mg(acc_g: npt.NDArray[np.floating], fs_hz: float) -> Floats:
    """Return the density in the band of each axis, (3,) mg/sqrt(Hz), steps included, from 10 s windows."""
    window = round(10 * fs_hz)
    parts = acc_g[: len(acc_g) // window * window].reshape(-1, window, 3).astype(np.float64)
    parts = (parts - parts.mean(axis=1, keepdims=True)) * np.hanning(window)[:, None]
    f_hz = np.fft.rfftfreq(window, 1 / fs_hz)
    band = band_of(fs_hz)
    inside = (f_hz >= band.low_hz) & (f_hz <= band.high_hz)
    power = np.abs(fft.rfft(parts, axis=1)[:, inside]) ** 2
    return np.asarray(1000 * np.sqrt(2 * power.mean(axis=(0, 1)) / fs_hz / np.sum(np.hanning(window) ** 2)))
