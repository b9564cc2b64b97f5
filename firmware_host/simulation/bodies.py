"""The body under the sensors: gravity, breath, heartbeat, movements; one sleeper, seen at each site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host.simulation.parameters import Parameters, Range
from firmware_host.simulation.twitches import FINE_HZ, Firings, Floats, Unit, direction

Signal = npt.NDArray[np.float32]
PHASES = 16
"""A shape may start at this many places between two samples."""
BEAT_S = 0.6


@dataclass(frozen=True)
class Grid:
    """The sample times of one sensor: sample k is taken at `start_s + k / fs_hz` (the true rate)."""

    start_s: float
    fs_hz: float
    n: int

    def index(self, time_s: Floats | float) -> Floats:
        """Return the (fractional) sample number of times in seconds."""
        return (np.asarray(time_s) - self.start_s) * self.fs_hz

    def window(self, start_s: float, end_s: float) -> slice:
        """Return the samples between two times."""
        return slice(*(int(np.clip(np.ceil(self.index(edge)), 0, self.n)) for edge in (start_s, end_s)))


@dataclass(frozen=True)
class Sleeper:
    """What all sensors of a night share: when the heart beats, how it breathes, when it moves."""

    beat_s: Floats
    breath_hz: float
    breath_depth: Floats  # one value a minute, around 1
    movement_start_s: Floats
    movement_s: Floats
    movement_mg: Floats


def draw_sleeper(rng: np.random.Generator, p: Parameters, hours: float) -> Sleeper:
    """Draw the night of one sleeper."""
    duration_s = hours * 3600
    breath_hz = rng.uniform(*p.breath_hz)
    n = int(duration_s * p.heart_hz[1] * 1.1) + 2
    interval_s = 1 / np.interp(np.arange(n), np.linspace(0, n, 12), rng.uniform(*p.heart_hz, 12))
    interval_s *= 1 + rng.normal(0, p.heart_variation / 2, n)
    beat_s = np.cumsum(interval_s)
    beat_s += p.heart_variation * np.sin(2 * np.pi * breath_hz * beat_s) / (2 * np.pi * breath_hz)
    count = int(rng.poisson(p.movements_per_h * hours))
    return Sleeper(
        beat_s[beat_s < duration_s],
        breath_hz,
        rng.uniform(0.6, 1.4, int(duration_s / 60) + 2),
        np.sort(rng.uniform(0, duration_s, count)),
        log_uniform(rng, p.movement_s, count),
        log_uniform(rng, p.movement_mg, count),
    )


def log_uniform(rng: np.random.Generator, limits: Range, n: int) -> Floats:
    """Draw numbers whose logarithms are evenly spread."""
    return limits[0] * (limits[1] / limits[0]) ** rng.random(n)


def add_pulses(acc_g: Signal, at: Floats, gain: Floats, shape: Floats, along: Floats) -> None:
    """Add a shape (at `PHASES` times the sampling rate) along a direction at fractional sample numbers."""
    first, phase = np.divmod(-np.floor(at * PHASES).astype(np.int64), PHASES)
    table = np.pad(shape, (0, -len(shape) % PHASES)).reshape(-1, PHASES).T.astype(np.float32)
    index = -first[:, None] + np.arange(table.shape[1])
    values = gain.astype(np.float32)[:, None] * table[phase]
    inside = (index >= 0) & (index < len(acc_g))
    for axis in range(3):
        np.add.at(acc_g[:, axis], index[inside], (values * np.float32(along[axis]))[inside])


def as_sampled(shape: Floats, fs_hz: float) -> Floats:
    """Bring a shape from `FINE_HZ` to `PHASES` times the sampling rate, low-passed as the chip does it."""
    smooth = signal.sosfiltfilt(signal.butter(3, 0.45 * fs_hz, fs=FINE_HZ, output="sos"), shape)
    at = np.arange(int(len(shape) * PHASES * fs_hz / FINE_HZ)) * FINE_HZ / (PHASES * fs_hz)
    return np.asarray(np.interp(at, np.arange(len(shape)), smooth))


def add_twitches(acc_g: Signal, grid: Grid, firings: Firings, units: tuple[Unit, ...]) -> None:
    """Add every firing of a site's units to its signal."""
    for number, unit in enumerate(units):
        own = firings.unit == number
        at = grid.index(firings.start_s[own])
        add_pulses(acc_g, at, firings.gain[own], as_sampled(unit.shape_g, grid.fs_hz), unit.direction)


def rest(rng: np.random.Generator, p: Parameters, grid: Grid, sleeper: Sleeper, region: str) -> Signal:
    """Return gravity, breath, heartbeat and movements at one site, float32 (n, 3) in g, without twitches."""
    acc_g = _gravity(rng, p, grid, sleeper)
    _add_breath(rng, p, grid, sleeper, region, acc_g)
    _add_heart(rng, p, grid, sleeper, region, acc_g)
    for start_s, duration_s, size_mg in zip(
        sleeper.movement_start_s, sleeper.movement_s, sleeper.movement_mg * rng.uniform(0.3, 1.0), strict=True
    ):
        add_movement(rng, acc_g, grid, start_s, duration_s, size_mg)
    hours = grid.n / grid.fs_hz / 3600
    count = int(rng.poisson(p.small_movements_per_h * hours))
    for start_s, duration_s, size_mg in zip(
        rng.uniform(0, hours * 3600, count),
        log_uniform(rng, p.small_movement_s, count),
        log_uniform(rng, p.small_movement_mg, count),
        strict=True,
    ):
        add_movement(rng, acc_g, grid, start_s, duration_s, size_mg)
    return acc_g


def _gravity(rng: np.random.Generator, p: Parameters, grid: Grid, sleeper: Sleeper) -> Signal:
    """Return the gravity vector, which turns to a new one in each movement."""
    postures = [direction(rng)]
    for _ in sleeper.movement_start_s:
        angle = np.radians(rng.uniform(*p.turn_degrees))
        aside = np.cross(postures[-1], direction(rng))
        turned = np.cos(angle) * postures[-1] + np.sin(angle) * aside / np.linalg.norm(aside)
        postures.append(turned / np.linalg.norm(turned))
    spans = zip(sleeper.movement_start_s, sleeper.movement_s, strict=True)
    windows = [grid.window(start, start + length) for start, length in spans]
    stops = np.maximum.accumulate([0, *(window.stop for window in windows), grid.n])
    acc_g = np.repeat(np.array(postures, np.float32), np.diff(stops), axis=0)
    for number, window in enumerate(windows):
        window = slice(max(window.start, int(stops[number])), int(stops[number + 1]))
        part = np.linspace(0, 1, max(0, window.stop - window.start))[:, None]
        between = postures[number] + (0.5 - 0.5 * np.cos(np.pi * part)) * (
            postures[number + 1] - postures[number]
        )
        acc_g[window] = between / np.linalg.norm(between, axis=1, keepdims=True)
    return acc_g


def _add_breath(
    rng: np.random.Generator, p: Parameters, grid: Grid, sleeper: Sleeper, region: str, acc_g: Signal
) -> None:
    size_g = rng.uniform(*(p.breath_mg_trunk if region == "thoracic" else p.breath_mg_limb)) / 2000
    way = direction(rng).astype(np.float32)
    coarse_s = np.arange(grid.n // int(grid.fs_hz / 4) + 2) * int(grid.fs_hz / 4) / grid.fs_hz + grid.start_s
    depth = np.interp(coarse_s / 60, np.arange(len(sleeper.breath_depth)), sleeper.breath_depth)
    tilt = size_g * depth * np.sin(2 * np.pi * sleeper.breath_hz * coarse_s)
    fine = np.interp(np.arange(grid.n), np.arange(len(tilt)) * int(grid.fs_hz / 4), tilt).astype(np.float32)
    acc_g += fine[:, None] * way


def _add_heart(
    rng: np.random.Generator, p: Parameters, grid: Grid, sleeper: Sleeper, region: str, acc_g: Signal
) -> None:
    """Add a short burst a beat; at the limbs it is seen in a part of the night only."""
    size_mg = rng.uniform(
        *{"thoracic": p.heart_mg_chest, "lumbosacral": p.heart_mg_leg}.get(region, p.heart_mg_arm)
    )
    t = np.arange(round(BEAT_S * FINE_HZ)) / FINE_HZ
    burst = np.sin(2 * np.pi * rng.uniform(*p.heart_burst_hz) * t) * (t / 0.05) * np.exp(-t / 0.07)
    shape = as_sampled(burst * size_mg / 1000 / np.ptp(burst), grid.fs_hz)
    beats = sleeper.beat_s + rng.uniform(0.05, 0.25)
    gain = 1 + 0.2 * np.sin(2 * np.pi * sleeper.breath_hz * beats)
    if region != "thoracic":
        gain *= rng.random(int(beats.max(initial=0) / 1200) + 1)[(beats / 1200).astype(int)] < 0.4
    way = direction(rng)
    add_pulses(acc_g, grid.index(beats[gain > 0]), gain[gain > 0], shape, way)


def add_movement(
    rng: np.random.Generator, acc_g: Signal, grid: Grid, start_s: float, duration_s: float, size_mg: float
) -> None:
    """Add one movement: noise in 0.5-8 Hz that rises and falls, scaled to its largest swing from zero."""
    window = grid.window(start_s, start_s + duration_s)
    n = window.stop - window.start
    if n < 8:
        return
    band = signal.butter(2, (0.5, 8.0), "bandpass", fs=grid.fs_hz, output="sos")
    swing = (
        signal.sosfilt(band, rng.standard_normal((n, 3)), axis=0) * np.sin(np.linspace(0, np.pi, n))[:, None]
    )
    acc_g[window] += (swing * (size_mg / 1000 / np.abs(swing).max())).astype(np.float32)
